"""What the page says of the second system beside its figures: key result, tables, samples, notes on the budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from emosynth.params import Params
from emosynth.report.examples import example_groups
from emosynth.report.figures.base import Missing, get_figure
from emosynth.report.figures.sentisynth.common import (
    HARD,
    RAW,
    SEED,
    SOFT,
    headline,
    of_version,
    scored,
    short,
    student_order,
    version_label,
    versions,
)
from emosynth.report.figures.sentisynth.contrast import contrast_numbers, gain_numbers
from emosynth.report.figures.sentisynth.teacher import NAMES
from emosynth.report.figures.sentisynth.tuning import kind_label
from emosynth.report.figures.verification import check_names
from emosynth.report.numbers import count, per_cent, points, span, summary
from emosynth.report.tables import Tables
from emosynth.style import arm_label, is_real, order_arms

__all__ = ["NOT_RUN", "details", "key_result"]

NOT_RUN = "This run holds no results of this part: no generator was tuned and no student was trained (steps 06 to 08)."


def key_result(tables: Tables) -> dict[str, Any]:
    """Return the key sentence and the levels of the main contrast; without results, a sentence that says so."""
    try:
        frame = gain_numbers(tables)
    except Missing:
        return {"sentence": NOT_RUN.rstrip("."), "rows": [], "learner": "", "size": None}
    rows = scored(tables, "main", "main contrast")
    of_soft = rows[rows["student"].isin(set(of_version(rows, (tables.grown, *SOFT))["student"]))]
    student = headline(tables, of_soft if len(of_soft) else rows)
    of_student = frame[frame["student"] == student]
    wanted = [SEED, *((tables.grown, *version) for version in (RAW, HARD, SOFT))]
    real = [version for version in versions(of_student) if is_real(version[0]) and version != SEED]
    return {
        "sentence": get_figure("distillation_gain").describe(tables).title,
        "rows": [
            {
                "label": version_label(version),
                "value": points(float(row["mean"])),
                "interval": span(float(row["low"]), float(row["high"])) if row["repeats"] > 1 else "one repeat",
            }
            for version in [SEED, *real, *wanted[1:]]
            for _, row in of_version(of_student, version).iterrows()
        ],
        "learner": short(student),
        "size": int(of_student["size"].iloc[0]),
    }


def details(tables: Tables, params: Params) -> dict[str, Any]:
    """Return everything the template ``sentisynth.html.j2`` shows."""
    if not tables.distilled:
        return {"missing": NOT_RUN}
    return {
        "missing": "",
        "tuned": _tuned(tables),
        "contrast": _contrast(tables),
        "teachers": _teachers(tables),
        "checks": _checks(tables),
        "samples": _samples(tables, params),
        "guarded": params.tuning.corpus in tables.corpora,
        "notes": _notes(tables, params),
    }


def _mean(values: pd.Series, level: float, digits: int = 1, scale: float = 1.0) -> dict[str, str]:
    found = summary(values * scale, level)
    edges = span(found.low, found.high, digits=digits) if found.known else "one repeat" if found.n else ""
    return {"mean": points(found.mean, digits=digits), "span": edges}


def _tuned(tables: Tables) -> list[dict[str, Any]]:
    """Return one row per kind and size: weights trained, epochs, perplexity before and after."""
    if tables.tuned is None:
        return []
    level, rows = tables.evidence.confidence, []
    for (kind, size), group in tables.tuned.groupby(["kind", "size"], sort=False):
        rows.append(
            {
                "kind": kind_label(str(kind)),
                "size": size,
                "repeats": len(group),
                "share": per_cent(float((group["trainable"] / group["total"]).mean()), 1),
                "split": f"{count(float(group['n_train'].mean()))} + {count(float(group['n_held_out'].mean()))}",
                "epochs": f"{points(float(group['best_epoch'].mean()))} of {points(float(group['epochs'].mean()))}",
                "before": _mean(group["perplexity_before"], level),
                "after": _mean(group["perplexity"], level),
            }
        )
    return rows


def _contrast(tables: Tables) -> dict[str, Any]:
    """Return macro-F1 by version and student, each student at its largest size."""
    try:
        frame = contrast_numbers(tables)
    except Missing:
        return {"students": [], "rows": []}
    students = student_order(tables, frame)
    rows = []
    for version in versions(frame):
        cells, had = [], ""
        for student in students:
            found = of_version(frame[frame["student"] == student], version)
            if found.empty:
                cells.append({"mean": "–", "span": ""})
                continue
            row = found.iloc[0]
            edges = span(float(row["low"]), float(row["high"])) if row["low"] == row["low"] else "one repeat"
            cells.append({"mean": points(float(row["mean"])), "span": edges})
            if version != SEED and not had:
                added = float(row["n_real"]) - float(row["size"]) + float(row["n_synthetic"])
                had = f"{count(added)} of {count(float(row['n_wanted']))}"
        rows.append({"label": version_label(version), "had": had or "none", "cells": cells})
    sizes = frame.drop_duplicates("student").set_index("student")["size"]
    return {"students": [{"label": short(name), "size": int(sizes[name])} for name in students], "rows": rows}


def _teachers(tables: Tables) -> list[dict[str, Any]]:
    """Return one row per teacher, size and kind of rows: F1, temperature, calibration error and loss before and after."""
    found = tables.teacher_calibration
    if found is None:
        return []
    level, rows = tables.evidence.confidence, []
    for (teacher, size, kind), group in found.groupby(["teacher", "size", "rows"], sort=False):
        if teacher == "oracle":  # one model stands for every repeat: on test rows it gives one number
            group = group.drop_duplicates(["macro_f1", "ece_before", "ece_after"])
        rows.append(
            {
                "teacher": NAMES.get(str(teacher), str(teacher)),
                "size": size,
                "rows": kind,
                "n": count(float(group["n"].mean())),
                "cells": [
                    _mean(group["macro_f1"], level, 1, 100.0),
                    _mean(group["temperature"], level, 2),
                    _mean(group["ece_before"], level, 3),
                    _mean(group["ece_after"], level, 3),
                    _mean(group["nll_before"], level, 3),
                    _mean(group["nll_after"], level, 3),
                ],
            }
        )
    return rows


def _checks(tables: Tables) -> dict[str, Any]:
    """Return candidates, acceptance and pass rates of the checks by arm."""
    found = tables.synthetic
    if found is None or found.empty:
        return {"checks": [], "rows": []}
    checks, rows = check_names(found), []
    for arm in order_arms(found["arm"]):
        of_arm = found[found["arm"] == arm]
        rows.append(
            {
                "label": arm_label(arm),
                "candidates": count(len(of_arm)),
                "accepted": per_cent(float(of_arm["accepted"].mean())),
                "checks": [per_cent(float(of_arm[f"ok_{name}"].mean())) for name in checks],
            }
        )
    return {"checks": [name.replace("_", " ") for name in checks], "rows": rows}


def _samples(tables: Tables, params: Params) -> list[dict[str, Any]]:
    """Return texts by arm. Without the corpus that the generators were tuned on nothing can be guarded, and nothing is shown."""
    if tables.synthetic is None or params.tuning.corpus not in tables.corpora:
        return []
    groups = example_groups(tables.synthetic, order_arms(tables.synthetic["arm"]), tables.corpus_texts)
    for group in groups:
        kind = tables.kind_of(group["arm"])
        group["label"] += f" (tuned: {kind_label(kind)})" if kind else ""
    return groups


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _notes(tables: Tables, params: Params) -> list[str]:
    """Return what each stage was allowed to see, and what the budget of n labelled rows leaves out."""
    tuning, distillation, teacher = params.tuning, params.distillation, params.synthesis.teacher
    corpus = tables.corpora.get(tuning.corpus)
    sizes = corpus.sizes() if corpus is not None else {}
    validation = f" ({count(sizes['validation'])} real labelled rows)" if sizes else ""
    training = f" of {count(sizes['train'])} rows" if sizes else ""
    notes = [
        f"The generator was tuned on the n seed rows and on nothing else of {tuning.corpus}; {per_cent(tuning.held_out)} of them were held out "
        "to stop early.",
        f"The teacher saw the same n seed rows; its temperature was fitted on their out-of-fold logits ({teacher.folds} folds). "
        + (
            f"The oracle teacher, trained on the whole training split{training}, serves for comparison and for the ablation only."
            if teacher.oracle
            else "There was no oracle teacher in this run."
        ),
        f"The students' strength of regularisation c was chosen on the validation split{validation}, from {_list([f'{c:g}' for c in distillation.c_grid])}: "
        "labelled rows beyond the seed, which someone with n rows alone would not have. Every arm had them, the seed alone too.",
        f"The sweeps choose nothing: they are scored on the test split to be shown, and the headline setting (α = {distillation.alpha:g}, "
        f"T = {distillation.temperature:g}, β = {distillation.beta:g}, τ = {params.synthesis.verification.min_confidence:g}, "
        f"{distillation.growth:g}× the seed) is that of the parameters.",
        "Generator and encoder were pretrained by others on much text; what they know from there is in no budget. Near-copies of test texts among "
        "what the generator was pretrained on cannot be ruled out.",
    ]
    if "tiny" in distillation.students:
        notes.append(
            f"The fine-tuned student takes {distillation.tiny.steps} gradient steps in every arm; nothing about it was chosen on validation."
        )
    if distillation.growth < 20:
        notes.append(
            f"The published setting grows 1,000 rows twenty-fold. Here seeds of {_list([str(size) for size in tuning.seeding.sizes])} rows are grown "
            f"{distillation.growth:g}×, so that what is said holds for that scale."
        )
    return notes
