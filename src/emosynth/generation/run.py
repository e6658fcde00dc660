"""Generate candidates: plan, look into the row cache, write what is missing, publish in order.

Rows are generated in units of work of ``generator.batch`` rows of one arm. A unit is committed to the cache
whole or not at all, so that a killed run resumes at a unit's border with the very calls that an
uninterrupted run would have made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import pandas as pd

from emosynth.errors import UserError
from emosynth.generation.plan import Planned, plan_cell
from emosynth.generation.prompts import clean_completion, one_line
from emosynth.models.lm import LanguageModel, request_key
from emosynth.params import Decoding, Generation, Generator
from emosynth.progress import Progress, say
from emosynth.store import RowStore

COLUMNS = [
    "candidate_id", "arm", "size", "repeat", "label", "index", "text", "complete", "prompt_hash", "prompt", "row_seed", "generator", "finish",
    "new_tokens",
]  # fmt: skip


def plan_all(
    generation: Generation,
    cells: Iterable[tuple[int, int]],
    *,
    classes: Sequence[str],
    phrases: Mapping[str, str],
    noun: str,
    guidance: Mapping[tuple[int, int], Mapping[str, Any]],
    seed_texts: Mapping[tuple[int, int], Mapping[str, str]],
) -> dict[str, list[Planned]]:
    """Plan every arm on every cell (size, repeat); returns the planned candidates by arm, in order."""
    cells = list(cells)
    plan: dict[str, list[Planned]] = {}
    for name, arm in generation.arms.items():
        plan[name] = []
        # Ascending size within a repeat: rows shared by sizes are generated once, for the smallest.
        for size, repeat in sorted(cells, key=lambda cell: (cell[1], cell[0])):
            if arm.sizes is not None and size not in arm.sizes:
                continue
            plan[name] += plan_cell(
                name,
                arm,
                size,
                repeat,
                generation=generation,
                classes=classes,
                phrases=phrases,
                noun=noun,
                guidance=guidance[size, repeat],
                texts=seed_texts[size, repeat],
            )
    return plan


def check_no_leak(plan: Mapping[str, Sequence[Planned]], forbidden: Iterable[str]) -> None:
    """Fail if a text that must stay unseen stands in a prompt.

    Parameters
    ----------
    forbidden
        Texts of the validation and test splits and of the pool. Texts of fewer than 20 characters are not
        looked for: they occur in other texts by chance.

    Raises
    ------
    UserError
        Naming the candidate whose prompt holds the text.
    """
    prompts = {planned.request.prompt: planned.candidate_id for rows in plan.values() for planned in rows}
    joined = "\n\x00\n".join(prompts)
    for text in forbidden:
        flat = one_line(text)
        shown = [form for form in (f'- "{flat}"\n', f"- {flat}\n") if len(flat) >= 20 and form in joined]
        if shown:
            where = next(name for prompt, name in prompts.items() if shown[0] in prompt)
            raise UserError(
                "A text outside the seed stands in a prompt.",
                where=where,
                remedy="Rebuild seeds and guidance from step 01 on: dvc repro -f 01_seeding.",
            )


def generate(
    plan: Mapping[str, Sequence[Planned]],
    open_model: Callable[[Generator], LanguageModel],
    store: RowStore,
    *,
    generation: Generation,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return all planned candidates with their texts, and the run's account.

    Rows found in ``store`` are taken from there.

    Returns
    -------
    frame
        One row per candidate, sorted by arm order, size, repeat, label, index; columns ``COLUMNS``.
    account
        Rows generated and reused, tokens, and the identity of each generator.
    """
    decoding = generation.decoding
    total = sum(len(rows) for rows in plan.values())
    progress = Progress(total, "generation", "texts")
    account: dict[str, Any] = {"generators": {}, "deterministic": True}
    frames = []
    for generator, arms in _by_generator(plan, generation):
        model = open_model(generator)
        # A path of the user's machine is nobody else's business: its last part names the model.
        name = f"{generator.backend}:{PurePath(generator.model).name}"
        account["generators"][name] = dict(model.identity)
        account["deterministic"] &= model.deterministic
        try:
            for arm in arms:
                rows = list(plan[arm])
                keys = [request_key(model.identity, decoding, row.request) for row in rows]
                _fill(model, decoding, generator.batch, arm, rows, keys, store, progress)
                frames.append(_publish(rows, keys, store, name, generation))
        finally:
            model.close()
    if not frames:
        return pd.DataFrame(columns=COLUMNS), account
    frame = pd.concat(frames, ignore_index=True)
    order = {arm: position for position, arm in enumerate(plan)}
    frame = frame.sort_values(
        ["arm", "size", "repeat", "label", "index"], key=lambda column: column.map(order) if column.name == "arm" else column, kind="stable"
    )
    return frame.reset_index(drop=True)[COLUMNS], account


def _by_generator(plan: Mapping[str, Sequence[Planned]], generation: Generation) -> list[tuple[Generator, list[str]]]:
    """Group arms by the generator that writes them, so that each model is loaded once."""
    plain: list[str] = []
    biased: list[str] = []
    for name in plan:
        needs_bias = generation.arms[name].guidance == "shap_bias" and generation.bias_generator is not None
        (biased if needs_bias else plain).append(name)
    groups = [(generation.generator, plain)] if plain else []
    if biased and generation.bias_generator is not None:
        groups.append((generation.bias_generator, biased))
    return groups


def _fill(
    model: LanguageModel,
    decoding: Decoding,
    batch: int,
    arm: str,
    rows: Sequence[Planned],
    keys: Sequence[str],
    store: RowStore,
    progress: Progress,
) -> None:
    """Generate and commit the rows that the store lacks, unit by unit."""
    missing: dict[str, Planned] = {}
    for row, key in zip(rows, keys, strict=True):
        if key not in store:
            missing.setdefault(key, row)
    progress.skip(len(rows) - len(missing))
    if not missing:
        say(f"generation: arm {arm}: all {len(rows)} texts already there")
        return
    items = list(missing.items())
    for start in range(0, len(items), batch):
        unit = items[start : start + batch]
        before = progress.done

        def report(done: int, before: int = before) -> None:
            progress.at(before + done)

        completions = model.generate([row.request for _, row in unit], decoding, progress=report)
        store.commit(
            {
                key: {"text": completion.text, "finish": completion.finish, "new_tokens": completion.new_tokens}
                for (key, _), completion in zip(unit, completions, strict=True)
            }
        )
        progress.at(before + len(unit))


def _publish(rows: Sequence[Planned], keys: Sequence[str], store: RowStore, generator: str, generation: Generation) -> pd.DataFrame:
    records = []
    for row, key in zip(rows, keys, strict=True):
        value = store.get(key)
        text, closed = clean_completion(generation.prompt_style, value["text"])
        records.append(
            {
                "candidate_id": row.candidate_id,
                "arm": row.arm,
                "size": row.size,
                "repeat": row.repeat,
                "label": row.label,
                "index": row.index,
                "text": text,
                "complete": closed or value["finish"] == "stop",
                "prompt_hash": hashlib.sha256(row.request.prompt.encode("utf-8")).hexdigest()[:16],
                "prompt": row.request.prompt,
                "row_seed": row.request.row_seed,
                "generator": generator,
                "finish": value["finish"],
                "new_tokens": value["new_tokens"],
            }
        )
    return pd.DataFrame.from_records(records, columns=COLUMNS)
