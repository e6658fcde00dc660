"""Generate candidates: plan, look into the row cache, write what is missing, publish in order.

Rows are generated in units of work of ``generator.batch`` rows of one arm; see `emosynth.generation.fill`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pandas as pd

from emosynth.errors import UserError
from emosynth.generation.fill import fill
from emosynth.generation.plan import Planned, plan_cell
from emosynth.generation.prompts import Style, clean_completion, one_line
from emosynth.models.lm import LanguageModel, request_key
from emosynth.params import Generation, Generator
from emosynth.progress import Progress
from emosynth.store import RowStore

OpenTuned = Callable[[str, int, int], LanguageModel]
"""Opens the generator tuned on one seed, from kind, size and repeat."""

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
    prefix: str = "",
) -> dict[str, list[Planned]]:
    """Plan every arm on every cell (size, repeat); returns the planned candidates by arm, in order."""
    cells = list(cells)
    plan: dict[str, list[Planned]] = {}
    for name, arm in generation.arms.items():
        plan[name] = []
        # Ascending size within a repeat: rows shared by sizes are generated once, for the smallest.
        for size, repeat in sorted(cells, key=lambda cell: (cell[1], cell[0])):
            if (arm.sizes is not None and size not in arm.sizes) or (arm.repeats is not None and repeat >= arm.repeats):
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
                guidance=guidance.get((size, repeat), {}),
                texts=seed_texts[size, repeat],
                prefix=prefix,
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
    open_tuned: OpenTuned | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return all planned candidates with their texts, and the run's account.

    Rows found in ``store`` are taken from there.

    Parameters
    ----------
    open_model
        Opens a generator.
    open_tuned
        Opens the generator tuned on one seed: kind, size, repeat. Needed if an arm is ``tuned``.

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
    for job in _jobs(plan, generation):
        if job.tuned is None:
            model = open_model(job.generator)
        else:
            assert open_tuned is not None  # the parameters are checked for it
            model = open_tuned(*job.tuned)
        # A path of the user's machine is nobody else's business: its last part names the model.
        name = f"{job.generator.backend}:{PurePath(job.generator.model).name}{job.suffix}"
        account["generators"][name] = dict(model.identity)
        account["deterministic"] &= model.deterministic
        try:
            for arm, rows in job.rows.items():
                keys = [request_key(model.identity, decoding, row.request) for row in rows]
                requests = {key: row.request for row, key in zip(rows, keys, strict=True)}
                fill(model, decoding, job.generator.batch, f"generation: arm {arm}{job.suffix}", requests, len(rows), store, progress)
                style: Style = "tuned" if job.tuned else generation.prompt_style
                frames.append(_publish(rows, keys, store, name, style))
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


@dataclass(frozen=True)
class _Job:
    """Rows that one loaded model writes, by arm. ``tuned``: kind, size and repeat of a tuned model."""

    generator: Generator
    rows: dict[str, list[Planned]]
    tuned: tuple[str, int, int] | None = None

    @property
    def suffix(self) -> str:
        """What tells a tuned model from another in names."""
        return "" if self.tuned is None else "+{}/{}/{}".format(*self.tuned)


def _jobs(plan: Mapping[str, Sequence[Planned]], generation: Generation) -> list[_Job]:
    """Group rows by the model that writes them, so that each is loaded once: plain, tuned seed by seed, with logit bias."""
    plain: dict[str, list[Planned]] = {}
    biased: dict[str, list[Planned]] = {}
    tuned: dict[tuple[str, int, int], dict[str, list[Planned]]] = {}
    for name, rows in plan.items():
        arm = generation.arms[name]
        if arm.tuned is not None:
            for row in rows:
                tuned.setdefault((arm.tuned, row.size, row.repeat), {}).setdefault(name, []).append(row)
        else:
            needs_bias = arm.guidance == "shap_bias" and generation.bias_generator is not None
            (biased if needs_bias else plain)[name] = list(rows)
    jobs = [_Job(generation.generator, plain)] if plain else []
    jobs += [_Job(generation.generator, rows, seed) for seed, rows in tuned.items()]
    if biased and generation.bias_generator is not None:
        jobs.append(_Job(generation.bias_generator, biased))
    return jobs


def _publish(rows: Sequence[Planned], keys: Sequence[str], store: RowStore, generator: str, style: Style) -> pd.DataFrame:
    records = []
    for row, key in zip(rows, keys, strict=True):
        value = store.get(key)
        text, closed = clean_completion(style, value["text"])
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
