"""The main contrast: what each way to grow a seed is worth to the students, as had and at equal budgets."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import CLIPPED, FigureSpec, Missing, Words, dot_interval, register, rows_of
from emosynth.report.figures.sentisynth.common import (
    HARD,
    MEAN,
    PART,
    RAW,
    SEED,
    SOFT,
    VERSION,
    Version,
    bare_rows,
    equal_spans,
    gain,
    headline,
    means,
    of_version,
    reference_line,
    row_label,
    said,
    scored,
    short,
    student_order,
    version_label,
    version_look,
    versions,
)
from emosynth.report.numbers import count, interval, points
from emosynth.report.tables import Tables
from emosynth.style import arm_label, is_real, new_figure

_COLUMNS = ["student", "size", *VERSION, *MEAN, "n_real", "n_synthetic", "n_wanted", "n_generated"]


def _frame(rows: pd.DataFrame, tables: Tables, by: list[str]) -> pd.DataFrame:
    parts = [of_version(rows[rows["student"] == student], version) for student in student_order(tables, rows) for version in versions(rows)]
    ordered = pd.concat(parts, ignore_index=True)
    return means(ordered, by, tables.evidence.confidence, extra=["n_real", "n_synthetic", "n_wanted", "n_generated"])


# --- gain --------------------------------------------------------------------------------------------


def gain_numbers(tables: Tables) -> pd.DataFrame:
    """Return mean macro-F1 (points) by student and version: seed, real rows, naïve and the grown arm; other kinds have a figure of their own."""
    frame = contrast_numbers(tables)
    return frame[frame["arm"].map(is_real) | frame["arm"].isin(["naive", tables.grown])].reset_index(drop=True)


def contrast_numbers(tables: Tables) -> pd.DataFrame:
    """Return mean macro-F1 (points) by student and version of every arm in the main contrast, at the student's largest size."""
    rows = scored(tables, "main", "main contrast of students")
    return _frame(rows, tables, ["student", "size", *VERSION])[_COLUMNS]


def paint_gain(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one row per version and one panel per student; the dotted line is the seed alone."""
    students = list(dict.fromkeys(frame["student"]))
    shown = versions(frame)
    fig = new_figure(figures, 1.2 + 0.38 * len(shown))
    panels = fig.subplots(1, len(students), squeeze=False, sharey=True)[0]
    frames = [frame[frame["student"] == student] for student in students]
    equal_spans(list(panels), frames, horizontal=True)
    for axes, student, rows in zip(panels, students, frames, strict=True):
        seed = of_version(rows, SEED)
        if len(seed):
            reference_line(axes, float(seed["mean"].iloc[0]), horizontal=False)
        for row in rows_of(rows):
            version = (row.arm, row.verified, row.labels)
            size = 9.0 if row.labels == "soft" else 6.0
            dot_interval(axes, row.mean, shown.index(version), row.low, row.high, version_look(version), size=size, limits=axes.get_xlim())
        bare_rows(axes, len(shown))
        axes.set_title(f"{short(student)}\nn = {int(rows['size'].iloc[0])}")
        axes.set_xlabel("macro-F1 (points)")
    panels[0].set_yticks(range(len(shown)), [row_label(version) for version in shown])
    return fig


def gain_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say what verified rows with soft labels add to the seed, and what verification, soft labels and real rows are worth."""
    level, arm = tables.evidence.confidence, tables.grown
    rows = scored(tables, "main", "main contrast of students")
    soft, hard, raw = (arm, *SOFT), (arm, *HARD), (arm, *RAW)
    having = rows[rows["student"].isin(set(of_version(rows, soft)["student"]))]
    student = headline(tables, having if len(having) else rows)
    size = int(frame.loc[frame["student"] == student, "size"].iloc[0])
    title = f"Macro-F1 of {len(versions(frame))} ways to train a student"
    reading = []
    found = gain(rows, student, soft, SEED, level)
    if found.n:
        title = (
            f"Distilled, verified rows of the tuned generator change macro-F1 by {points(found.mean, sign=True)} points over the seed alone "
            f"at n = {size} ({interval(found, level, sign=True)}; {short(student)})"
        )
    compared = [
        ("the same rows with the labels they were written for", hard, SEED),
        ("all its rows, unverified", raw, SEED),
        ("unverified naïve rows", ("naive", *RAW), SEED),
        *(
            (f"real rows ({arm_label(name)})", (name, False, "hard"), SEED)
            for name in sorted(set(rows["arm"]))
            if name != "seed" and is_real(name)
        ),
    ]
    parts = [(what, gain(rows, student, first, second, level)) for what, first, second in compared]
    parts = [(what, mean) for what, mean in parts if mean.n]
    if parts:
        reading.append(
            f"Minus the seed alone ({short(student)}): " + "; ".join(f"{what} {said(mean, level)}" for what, mean in parts) + "."
        )
    for what, first, second in (("Verification (same labels) is worth", hard, raw), ("Soft labels (same rows) are worth", soft, hard)):
        mean = gain(rows, student, first, second, level)
        if mean.n:
            reading.append(f"{what} {said(mean, level)}.")
    others = [(name, gain(rows, name, soft, SEED, level)) for name in student_order(tables, rows) if name != student]
    if any(mean.n for _, mean in others):
        reading.append("Other students: " + "; ".join(f"{short(name)} {said(mean, level)}" for name, mean in others if mean.n) + ".")
    reading.append(_rows_had(frame, student, soft))
    reading.append("A star is a student taught by soft labels, a hollow mark unverified text; the dotted line is the seed alone.")
    limits = (
        "arms at equal numbers of rows: verified rows are fewer than generated ones (the next figure matches budgets). Intervals are over "
        "repeats (seeds), not over the choice of test texts or corpora. " + CLIPPED
    )
    alt = "Dots with intervals of macro-F1, one row per way to grow the seed, one panel per student."
    return Words(title, [line for line in reading if line], limits, alt)


def _rows_had(frame: pd.DataFrame, student: str, version: Version) -> str:
    rows = of_version(frame[frame["student"] == student], version)
    if rows.empty:
        return ""
    row = rows.iloc[0]
    return (
        f"On average {count(row['n_synthetic'])} of {count(row['n_wanted'])} wanted synthetic rows were had, from "
        f"{count(row['n_generated'])} generated ones."
    )


draw_distillation_gain = register(
    FigureSpec("distillation_gain", "Gain from distillation", gain_numbers, paint_gain, gain_words, 100, PART)
)


# --- matched budgets ------------------------------------------------------------------------------------

BUDGETS = {"matched_accepted": "equally many accepted rows", "matched_generated": "equally many generated rows"}


def matched_numbers(tables: Tables) -> pd.DataFrame:
    """Return mean macro-F1 (points) by budget, student and version."""
    parts = []
    for sweep in BUDGETS:
        try:
            rows = scored(tables, sweep, "comparison at equal budgets")
        except Missing:
            continue
        parts.append(_frame(rows, tables, ["sweep", "student", "size", *VERSION]))
    if not parts:
        raise Missing("The run holds no comparison of arms at equal budgets (distillation/scores.parquet).")
    return pd.concat(parts, ignore_index=True)[["sweep", *_COLUMNS]]


def paint_matched(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one column per budget and one row of panels per student."""
    students, sweeps = list(dict.fromkeys(frame["student"])), list(dict.fromkeys(frame["sweep"]))
    shown = versions(frame)
    fig = new_figure(figures, 0.7 + len(students) * (0.65 + 0.38 * len(shown)))
    grid = fig.subplots(len(students), len(sweeps), squeeze=False, sharey=True, sharex="row")
    for panels, student in zip(grid, students, strict=True):
        of_student = frame[frame["student"] == student]
        equal_spans([panels[0]], [of_student], horizontal=True)
        for axes, sweep in zip(panels, sweeps, strict=True):
            rows = of_student[of_student["sweep"] == sweep]
            seed = of_version(rows, SEED)
            if len(seed):
                reference_line(axes, float(seed["mean"].iloc[0]), horizontal=False)
            for row in rows_of(rows):
                version = (row.arm, row.verified, row.labels)
                dot_interval(axes, row.mean, shown.index(version), row.low, row.high, version_look(version),
                             size=9.0 if row.labels == "soft" else 6.0, limits=axes.get_xlim())  # fmt: skip
            bare_rows(axes, len(shown))
            axes.set_title(f"{short(student)}\n{BUDGETS[sweep]}", fontsize=0.9 * figures.font_size)
        panels[0].set_yticks(range(len(shown)), [row_label(version) for version in shown])
    for axes in grid[-1]:
        axes.set_xlabel("macro-F1 (points)")
    return fig


def matched_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say the difference of tuned and naïve generation at each budget."""
    level, arm = tables.evidence.confidence, tables.grown
    reading, titles = [], []
    for sweep, what in BUDGETS.items():
        if sweep not in set(frame["sweep"]):
            continue
        rows = scored(tables, sweep, what)
        student = headline(tables, rows)
        size = int(rows.loc[rows["student"] == student, "size"].max())
        for version in (SOFT, HARD, RAW):
            found = gain(rows, student, (arm, *version), ("naive", *version), level)
            if found.n:
                titles.append(f"{points(found.mean, sign=True)} F1 points at {what} ({interval(found, level, sign=True)})")
                name = version_label((arm, *version)).split(", ", 1)[1]
                each = [
                    f"{arm_label(of)} {count(float(of_version(rows, (of, *version))[column].mean()))}"
                    for of in (arm, "naive")
                    for column in ("n_synthetic" if sweep == "matched_accepted" else "n_generated",)
                ]
                reading.append(
                    f"At {what} ({short(student)}, n = {size}, rows {name}), tuned minus naïve is {said(found, level)}; "
                    f"{'rows used' if sweep == 'matched_accepted' else 'rows generated'}: {', '.join(each)}."
                )
                break
    title = "Tuned minus naïve: " + "; ".join(titles) if titles else "Arms at equal budgets"
    limits = (
        "the cost of tuning itself, which naïve generation does not have, nor larger budgets: all arms are cut to the same number of rows per seed row. "
        + CLIPPED
    )
    return Words(title, reading, limits, "Dots with intervals of macro-F1 by arm, at equal numbers of accepted and of generated rows.")


draw_matched_budget = register(FigureSpec("matched_budget", "Equal budgets", matched_numbers, paint_matched, matched_words, 110, PART))
