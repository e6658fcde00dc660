"""Write the examples: three texts each, step by step, through the row cache.

A unit of work is ``generator.batch`` texts of one generator, step and arm; see `emosynth.generation.fill`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pandas as pd

from emosynth.errors import UserError
from emosynth.generation.fill import fill
from emosynth.grounding.plan import STEPS, Example, Kind
from emosynth.grounding.prompts import Prompt, Style, Wording, build_prompt, clean
from emosynth.models.lm import LanguageModel, Request, request_key
from emosynth.params import Decoding, Generator, Grounding
from emosynth.progress import Progress
from emosynth.store import RowStore

COLUMNS = [
    "example_id", "arm", "grounded", "index", "emotions", "passage_id", "character", "character_kind", "topic",
    *STEPS, *(f"complete_{step}" for step in STEPS), *(f"prompt_hash_{step}" for step in STEPS), *(f"prompt_{step}" for step in STEPS),
    *(f"row_seed_{step}" for step in STEPS), "generator", "new_tokens",
]  # fmt: skip


@dataclass(frozen=True)
class Written:
    """One text of an example, with how it came about."""

    text: str
    complete: bool
    prompt: str
    key: str
    prompt_tokens: int
    new_tokens: int


def generate_examples(
    plan: Sequence[Example],
    params: Grounding,
    passages: Mapping[str, str],
    open_model: Callable[[Generator], LanguageModel],
    store: RowStore,
    *,
    wording: Wording,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return all planned examples with their texts, and the run's account.

    Texts found in ``store`` are taken from there. Every generator is opened once and writes all its contexts, then all its
    utterances, then all its context-less texts.

    Parameters
    ----------
    passages
        Text of every passage, by id.
    open_model
        Opens a generator.
    wording
        How labels are put into words.

    Returns
    -------
    frame
        One row per example in the order of ``plan``; columns ``COLUMNS``. ``new_tokens`` is of the three texts together.
    account
        ``generators``: identity of each. ``deterministic``: whether all are. ``steps``: for each step the number of ``texts``,
        ``inferences`` (texts but for equal requests), ``prompt_tokens`` and ``new_tokens`` over all texts, reused ones included,
        so that it is the same account however often a run was interrupted.

    Raises
    ------
    UserError
        If an example's passage is not there.
    """
    missing = next((example for example in plan if example.grounded and example.passage_id not in passages), None)
    if missing is not None:
        raise UserError(
            f"There is no passage {missing.passage_id}.",
            where=f"example {missing.example_id}",
            remedy="Run the narratives step again; its passages do not belong to this plan.",
        )
    progress = Progress(len(STEPS) * len(plan), "grounding", "texts")
    account: dict[str, Any] = {"generators": {}, "deterministic": True}
    written: dict[str, list[Written]] = {example.example_id: [] for example in plan}
    names: dict[str, str] = {}
    for name, weighted in params.generators.items():
        mine = [example for example in plan if example.generator == name]
        if not mine:
            continue
        model = open_model(weighted.generator)
        # A path of the user's machine is nobody else's business: its last part names the model.
        names[name] = f"{weighted.generator.backend}:{PurePath(weighted.generator.model).name}"
        account["generators"][names[name]] = dict(model.identity)
        account["deterministic"] &= model.deterministic
        try:
            for step in STEPS:
                for arm in dict.fromkeys(example.arm for example in mine):
                    rows = [example for example in mine if example.arm == arm]
                    before = [[text.text for text in written[row.example_id]] for row in rows]
                    prompts = [
                        build_prompt(step, weighted.prompt_style, row, wording, passages.get(row.passage_id, ""), *earlier)
                        for row, earlier in zip(rows, before, strict=True)
                    ]
                    texts = _write(
                        step, weighted.prompt_style, arm, rows, prompts, model, params.decoding, weighted.generator, store, progress
                    )
                    for row, text in zip(rows, texts, strict=True):
                        written[row.example_id].append(text)
        finally:
            model.close()
    account["steps"] = {
        step: {
            "texts": len(plan),
            "inferences": len({texts[place].key for texts in written.values()}),
            "prompt_tokens": sum(texts[place].prompt_tokens for texts in written.values()),
            "new_tokens": sum(texts[place].new_tokens for texts in written.values()),
        }
        for place, step in enumerate(STEPS)
    }
    records = [_record(example, written[example.example_id], names[example.generator]) for example in plan]
    return pd.DataFrame.from_records(records, columns=COLUMNS), account


def _write(
    step: Kind,
    style: Style,
    arm: str,
    rows: Sequence[Example],
    prompts: Sequence[Prompt],
    model: LanguageModel,
    decoding: Decoding,
    generator: Generator,
    store: RowStore,
    progress: Progress,
) -> list[Written]:
    seeds = [row.row_seeds[STEPS.index(step)] for row in rows]
    requests = [Request(prompt.text, seed, style == "chat") for prompt, seed in zip(prompts, seeds, strict=True)]
    keys = [request_key(model.identity, decoding, request) for request in requests]
    fill(
        model,
        decoding,
        generator.batch,
        f"grounding: {step} of arm {arm}",
        dict(zip(keys, requests, strict=True)),
        len(keys),
        store,
        progress,
    )
    out = []
    for prompt, key in zip(prompts, keys, strict=True):
        value = store.get(key)
        text, whole = clean(step, style, value["text"], prompt.opening)
        out.append(Written(text, whole or value["finish"] == "stop", prompt.text, key, value.get("prompt_tokens", 0), value["new_tokens"]))
    return out


def _record(example: Example, texts: Sequence[Written], generator: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "example_id": example.example_id,
        "arm": example.arm,
        "grounded": example.grounded,
        "index": example.index,
        "emotions": list(example.emotions),
        "passage_id": example.passage_id,
        "character": example.character,
        "character_kind": example.character_kind,
        "topic": example.topic,
        "generator": generator,
        "new_tokens": sum(text.new_tokens for text in texts),
    }
    for step, text, seed in zip(STEPS, texts, example.row_seeds, strict=True):
        record[step] = text.text
        record[f"complete_{step}"] = text.complete
        record[f"prompt_hash_{step}"] = hashlib.sha256(text.prompt.encode("utf-8")).hexdigest()[:16]
        record[f"prompt_{step}"] = text.prompt
        record[f"row_seed_{step}"] = seed
    return record
