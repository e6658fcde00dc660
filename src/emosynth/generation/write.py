"""Write what is planned: look into the row cache, write what is missing, model by model.

A unit of work is ``batch`` texts of one origin, model and step; see `emosynth.generation.fill`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from emosynth.design.cells import Cell
from emosynth.generation.fill import fill
from emosynth.generation.slots import Item, Written
from emosynth.models.lm import LanguageModel, request_key
from emosynth.params import Decoding, Generator, Params
from emosynth.progress import Progress
from emosynth.store import RowStore
from emosynth.writers import decoding_of, generator_of, is_tuned

OpenWriter = Callable[[str, Cell | None, str], LanguageModel]
"""Opens a writer by name; a tuned one by the seed and the salt of guides that it was tuned with."""


@dataclass
class _Job:
    """What one opened model writes: items by origin and writer."""

    name: str
    writer: str
    generator: Generator
    cell: Cell | None
    salt: str
    parts: dict[tuple[str, str], list[int]] = field(default_factory=dict)


def write_all(
    items: Sequence[Item], params: Params, open_writer: OpenWriter, store: RowStore
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the candidates of all items, in their order, and the account of the run.

    Texts found in ``store`` are taken from there. Each model is opened once, and only if an item is its own; of items with several texts
    it writes all first ones, then all second ones, and so on.

    Returns
    -------
    candidates
        Rows of the candidates table.
    account
        ``generators``: identity of each by name; ``deterministic``: whether all are; ``steps``: by origin and step the number of
        ``texts``, ``inferences`` (texts but for equal requests), ``prompt_tokens`` and ``new_tokens`` over all texts, reused ones
        included, so that it is the same account however often a run was interrupted.
    """
    progress = Progress(sum(len(item.steps) for item in items), "generation", "texts")
    account: dict[str, Any] = {"generators": {}, "deterministic": True, "steps": {}}
    written: list[dict[str, Written]] = [{} for _ in items]
    keys: dict[tuple[str, str], set[str]] = {}
    names = [""] * len(items)
    for job in _jobs(items, params):
        model = open_writer(job.writer, job.cell, job.salt)
        account["generators"][job.name] = dict(model.identity)
        account["deterministic"] &= model.deterministic
        try:
            for turn in range(max(len(items[place].steps) for part in job.parts.values() for place in part)):
                for (origin, writer), part in job.parts.items():
                    places = [place for place in part if turn < len(items[place].steps)]
                    if places:
                        _write(turn, places, items, written, keys, _Use(model, decoding_of(params, writer), job, origin), store, progress)
            for part in job.parts.values():
                for place in part:
                    names[place] = job.name
        finally:
            model.close()
    for (origin, step), made in keys.items():
        texts = [found[step] for item, found in zip(items, written, strict=True) if item.slot.origin.name == origin and step in found]
        account["steps"].setdefault(origin, {})[step] = {
            "texts": len(texts),
            "inferences": len(made),
            "prompt_tokens": sum(text.prompt_tokens for text in texts),
            "new_tokens": sum(text.new_tokens for text in texts),
        }
    rows = [row | {"generator": name} for item, texts, name in zip(items, written, names, strict=True) for row in item.rows(texts)]
    return rows, account


@dataclass(frozen=True)
class _Use:
    model: LanguageModel
    decoding: Decoding
    job: _Job
    origin: str


def _write(
    turn: int,
    places: Sequence[int],
    items: Sequence[Item],
    written: list[dict[str, Written]],
    keys: dict[tuple[str, str], set[str]],
    use: _Use,
    store: RowStore,
    progress: Progress,
) -> None:
    """Write the texts of one turn into ``written``, and note their cache keys by origin and step."""
    steps = [items[place].steps[turn] for place in places]
    asks = [items[place].ask(step, written[place]) for place, step in zip(places, steps, strict=True)]
    found = [request_key(use.model.identity, use.decoding, ask.request) for ask in asks]
    requests = {key: ask.request for key, ask in zip(found, asks, strict=True)}
    what = f"generation: {use.origin} by {use.job.name}" + (f", {steps[0]}" if steps[0] != "text" else "")
    fill(use.model, use.decoding, use.job.generator.batch, what, requests, len(found), store, progress)
    for place, step, ask, key in zip(places, steps, asks, found, strict=True):
        value = store.get(key)
        text, whole = items[place].clean(step, value["text"], ask.opening)
        finish = value["finish"]
        written[place][step] = Written(
            text, whole or finish == "stop", finish, ask.request, value.get("prompt_tokens", 0), value["new_tokens"]
        )
        keys.setdefault((use.origin, step), set()).add(key)


def _jobs(items: Sequence[Item], params: Params) -> list[_Job]:
    """Group items by the model that writes them, so that each is opened once: plain ones, and tuned ones seed by seed."""
    jobs: dict[str, _Job] = {}
    for place, item in enumerate(items):
        slot = item.slot
        generator, tuned = generator_of(params, slot.writer), is_tuned(params, slot.writer)
        # A path of the user's machine is nobody else's business: its last part names the model.
        name = f"{generator.backend}:{PurePath(generator.model).name}"
        cell, salt = (slot.cell, slot.origin.salt) if tuned else (None, "none")
        if tuned:
            name += f"+{slot.writer}/{slot.cell}" + (f"/{salt}" if salt != "none" else "")
        key = json.dumps([name, generator.model_dump(mode="json")])
        job = jobs.setdefault(key, _Job(name, slot.writer, generator, cell, salt))
        job.parts.setdefault((slot.origin.name, slot.writer), []).append(place)
    return list(jobs.values())
