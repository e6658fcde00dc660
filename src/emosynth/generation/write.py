"""Write what is planned: look into the row cache, write what is missing, model by model; see `emosynth.generation.fill`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from emosynth.design.cells import Cell
from emosynth.generation.fill import Part, Value, Work, fill
from emosynth.generation.gate import Kind, kind_of
from emosynth.generation.slots import Ask, Item, Written
from emosynth.models.lm import LanguageModel, Streaming, request_key
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
        included, so that it is the same account however often a run was interrupted, and their ``cost`` where a writer has a price;
        ``unusable``: of these, by the same, how many are
        ``empty``, ``cut`` or ``refused``. What a server's model found out about its server is a generator's ``notes``.

    Raises
    ------
    UserError
        If a model cannot answer, or too many of its texts cannot be used; see `emosynth.generation.gate.Gate`.
    """
    progress = Progress(sum(len(item.steps) for item in items), "generation", "texts")
    account: dict[str, Any] = {"generators": {}, "deterministic": True, "steps": {}, "unusable": {}}
    written: list[dict[str, Written]] = [{} for _ in items]
    keys: dict[str, dict[str, set[str]]] = {}
    names = [""] * len(items)
    for job in _jobs(items, params):
        model = open_writer(job.writer, job.cell, job.salt)
        account["deterministic"] &= model.deterministic
        try:
            for turn in range(max(len(items[place].steps) for part in job.parts.values() for place in part)):
                # Origins whose texts are decoded alike share units: each call of a local model has a start that is dear.
                alike: dict[str, list[tuple[str, list[int]]]] = {}
                for (origin, writer), part in job.parts.items():
                    places = [place for place in part if turn < len(items[place].steps)]
                    if places:
                        alike.setdefault(decoding_of(params, writer).model_dump_json(), []).append((origin, places))
                for decoding, origins in alike.items():
                    bounds = params.generation.unusable, params.generation.cut
                    what = f"generation: texts by {job.name}"
                    work = Work(model, Decoding.model_validate_json(decoding), job.generator.batch, what, store, progress, bounds)
                    _write(turn, origins, items, written, keys, work)
            for part in job.parts.values():
                for place in part:
                    names[place] = job.name
        finally:
            account["generators"][job.name] = dict(model.identity) | _notes(model, store)
            model.close()
    for origin, step, made in [(origin, step, made) for origin, steps in keys.items() for step, made in steps.items()]:
        own = [
            (found[step], item.slot.writer)
            for item, found in zip(items, written, strict=True)
            if item.slot.origin.name == origin and step in found
        ]
        texts = [text for text, _ in own]
        cost = sum(generator_of(params, writer).cost(text.prompt_tokens, text.new_tokens) for text, writer in own)
        account["steps"].setdefault(origin, {})[step] = {
            "texts": len(texts),
            "inferences": len(made),
            "prompt_tokens": sum(text.prompt_tokens for text in texts),
            "new_tokens": sum(text.new_tokens for text in texts),
        } | ({"cost": round(cost, 6)} if cost else {})
        kinds = Counter(_kind(step, text.text, text.finish, text.complete) for text in texts)
        account["unusable"].setdefault(origin, {})[step] = {kind: kinds[kind] for kind in ("empty", "cut", "refused")}
    rows = [row | {"generator": name} for item, texts, name in zip(items, written, names, strict=True) for row in item.rows(texts)]
    return rows, account


_ON_THE_WAY = "context"
"""The step whose text is no candidate: it is shown to the model again, and may well be unfinished."""


def _kind(step: str, text: str, finish: str, whole: bool) -> Kind:
    return kind_of(text, finish, whole or step == _ON_THE_WAY)


@dataclass(frozen=True)
class _Asked:
    item: Item
    step: str
    ask: Ask
    key: str

    def clean(self, value: Value) -> tuple[str, bool]:
        """Return the text proper, and whether its end was reached."""
        if value.get("error"):  # else what the prompt wrote of the text would stand for it
            return "", False
        text, whole = self.item.clean(self.step, value["text"], self.ask.opening)
        return text, whole or value["finish"] == "stop"


def _write(
    turn: int,
    origins: Sequence[tuple[str, list[int]]],
    items: Sequence[Item],
    written: list[dict[str, Written]],
    keys: dict[str, dict[str, set[str]]],
    work: Work,
) -> None:
    """Write the texts of one turn of origins into ``written``, and note their cache keys by origin and step."""
    asked = {origin: _ask(turn, places, items, written, work) for origin, places in origins}
    found = fill(work, [_part(origin, list(those.values()), work) for origin, those in asked.items() if those])
    for origin, those in asked.items():
        for place, one in those.items():
            value = found[one.key]
            text, whole = one.clean(value)
            tokens = value.get("prompt_tokens", 0), value["new_tokens"]
            written[place][one.step] = Written(text, whole, value["finish"], one.ask.request, *tokens, value.get("error", ""))
            keys.setdefault(origin, {}).setdefault(one.step, set()).add(one.key)


def _ask(turn: int, places: Sequence[int], items: Sequence[Item], written: list[dict[str, Written]], work: Work) -> dict[int, _Asked]:
    """Return what is asked for items, by their places; those whose earlier text was lost are not asked, and lost too."""
    asked: dict[int, _Asked] = {}
    for place in places:
        item, before = items[place], written[place]
        step = item.steps[turn]
        ask = item.ask(step, before)
        lost = next((text for text in before.values() if text.finish in ("refused", "failed")), None)
        if lost is None:
            asked[place] = _Asked(item, step, ask, request_key(work.model.identity, work.decoding, ask.request))
        else:  # there is nothing to go on from
            before[step] = replace(lost, request=ask.request, prompt_tokens=0, new_tokens=0)
    if len(asked) < len(places):
        work.progress.advance(len(places) - len(asked))
    return asked


def _part(origin: str, asked: Sequence[_Asked], work: Work) -> Part:
    by_key = {one.key: one for one in asked}

    def judge(key: str, value: Value) -> Kind:
        text, whole = by_key[key].clean(value) if value["text"].strip() else ("", True)
        return _kind(by_key[key].step, text, value["finish"], whole)

    what = f"{work.what}, {origin}" + (f", {asked[0].step}" if asked[0].step != "text" else "")
    return Part(what, {one.key: one.ask.request for one in asked}, len(asked), judge)


def _notes(model: LanguageModel, store: RowStore) -> dict[str, str]:
    """Return what was ever found out about a model's server: a run that takes all from the cache says it too."""
    if not isinstance(model, Streaming):
        return {}
    key = "notes " + hashlib.sha256(json.dumps(model.identity, sort_keys=True).encode()).hexdigest()
    before = store.get(key, [])
    notes = list(dict.fromkeys([*before, *model.notes]))
    if notes != before:
        store.commit({key: notes})
    return {"notes": "; ".join(notes)} if notes else {}


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
