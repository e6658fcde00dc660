"""Where distillation helps: the gain over the seed by class, by lexical coverage and by phenomenon."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import CLIPPED, FigureSpec, Missing, Words, bounds, dot_interval, register, rows_of, zero_line
from emosynth.report.figures.sentisynth.common import MEAN, PART, SEED, SOFT, bare_rows, gain, mean_of, said, short, version_look
from emosynth.report.numbers import count, interval, points
from emosynth.report.tables import Tables
from emosynth.style import is_real, new_figure

GROUPINGS = {"class": "class", "coverage": "content words that the seed holds", "phenomenon": "phenomenon"}
SMALL = 30
"""Groups of fewer test rows on average are not named in sentences."""


def gap_numbers(tables: Tables) -> pd.DataFrame:
    """Return the gain of verified rows with soft labels over the seed (points of F1 and of accuracy) by student and group."""
    rows = tables.gaps
    if rows is None or rows.empty:
        raise Missing("No scores by group (distillation/gaps.parquet).")
    rows = rows.assign(verified=rows["verified"].astype(bool) & ~rows["arm"].map(is_real))
    rows["labels"] = rows["labels"].where(~rows["arm"].map(is_real), "hard")
    version = (tables.grown, *SOFT)
    level = tables.evidence.confidence
    found: list[list[object]] = []
    known = set(rows["student"])
    for student in [*(name for name in tables.student_names if name in known), *sorted(known - set(tables.student_names))]:
        of_student = rows[rows["student"] == student]
        size = int(of_student["size"].max())
        of_student = of_student[of_student["size"] == size]
        for grouping in GROUPINGS:
            for group in dict.fromkeys(of_student.loc[of_student["grouping"] == grouping, "group"]):
                cell = of_student[(of_student["grouping"] == grouping) & (of_student["group"] == group)]
                f1 = gain(cell.dropna(subset=["f1"]), student, version, SEED, level, "f1")
                accuracy = gain(cell, student, version, SEED, level, "accuracy")
                if f1.n:
                    found.append(
                        [student, size, grouping, group, float(cell["n"].mean()), float(cell["share"].mean()), f1.mean, f1.low, f1.high, f1.n,
                         accuracy.mean, accuracy.low, accuracy.high]
                    )  # fmt: skip
    if not found:
        raise Missing("The grown arm and the seed alone were not scored by group on the same seeds.")
    columns = ["student", "size", "grouping", "group", "n", "share", *MEAN, "accuracy_mean", "accuracy_low", "accuracy_high"]
    return pd.DataFrame(found, columns=columns)


def paint_gaps(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one block of rows per grouping and one column per student."""
    students = list(dict.fromkeys(frame["student"]))
    groups = {name: list(dict.fromkeys(frame.loc[frame["grouping"] == name, "group"])) for name in GROUPINGS}
    groups = {name: found for name, found in groups.items() if found}
    lines = sum(len(found) for found in groups.values())
    fig = new_figure(figures, 1.3 + 0.45 * len(groups) + 0.23 * lines)
    grid = fig.subplots(
        len(groups), len(students), squeeze=False, sharex=True, sharey="row", height_ratios=[len(found) + 0.4 for found in groups.values()]
    )
    limits = bounds(frame)
    limits = min(limits[0], -0.5), max(limits[1], 0.5)
    look = version_look((tables.grown, *SOFT))
    for panels, (grouping, names) in zip(grid, groups.items(), strict=True):
        for axes, student in zip(panels, students, strict=True):
            zero_line(axes)
            axes.set_xlim(limits)
            for row in rows_of(frame[(frame["student"] == student) & (frame["grouping"] == grouping)]):
                dot_interval(axes, row.mean, names.index(row.group), row.low, row.high, look, size=8.0, limits=limits)
            bare_rows(axes, len(names))
        sizes = frame[frame["grouping"] == grouping].drop_duplicates("group").set_index("group")["n"]
        panels[0].set_yticks(range(len(names)), [f"{name} ({count(float(sizes[name]))})" for name in names])
        panels[0].set_title(f"By {GROUPINGS[grouping]}", fontsize=0.9 * figures.font_size)
    for axes, student in zip(grid[0], students, strict=True):
        size = int(frame.loc[frame["student"] == student, "size"].iloc[0])
        before = axes.get_title(loc="left")
        axes.set_title(f"{short(student)}\nn = {size}\n{before}", fontsize=0.9 * figures.font_size)
    for axes in grid[-1]:
        axes.set_xlabel("gain (F1 points)")
    return fig


def gap_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say which group gains most and which least, of groups with enough test rows, and the gradient over coverage."""
    level = tables.evidence.confidence
    enough = frame[frame["repeats"] > 1]
    student = str((enough if len(enough) else frame)["student"].iloc[0])
    rows = frame[frame["student"] == student]
    large = rows[rows["n"] >= SMALL]
    rows = (large if len(large) else rows).sort_values("mean", kind="stable")
    top, bottom = rows.iloc[-1], rows.iloc[0]
    title = (
        f"The gain is largest for “{top['group']}”: {points(float(top['mean']), sign=True)} F1 points ({interval(mean_of(top), level, sign=True)}), "
        f"smallest for “{bottom['group']}”: {points(float(bottom['mean']), sign=True)} ({interval(mean_of(bottom), level, sign=True)}); "
        f"{short(student)}, n = {int(top['size'])}"
    )
    reading = []
    coverage = frame[(frame["student"] == student) & (frame["grouping"] == "coverage")]
    if len(coverage) > 1:
        parts = "; ".join(f"{row['group']} {said(mean_of(row), level)}" for _, row in coverage.iterrows())
        reading.append(f"By how many of a test text's content words stand in the seed: {parts}.")
    above = int((rows["low"] > 0).sum())
    reading.append(
        f"Of {len(rows)} groups, {above} {'has' if above == 1 else 'have'} an interval wholly above zero; each is taken alone, and "
        f"about {points((1 - level) * len(rows))} would exclude zero by chance."
    )
    reading.append("In parentheses: test rows (mean over repeats). A text may show several phenomena.")
    limits = (
        "why a group gains: groups overlap and differ in difficulty. Phenomena are found by word lists and patterns, which err. Macro-F1 is "
        "taken within a group, over all classes; for a class it is that class's own F1. " + CLIPPED
    )
    return Words(
        title, reading, limits, "Gain in F1 over the seed alone by class, lexical coverage and phenomenon, one column per student."
    )


draw_gaps = register(FigureSpec("gaps", "Where it helps", gap_numbers, paint_gaps, gap_words, 200, PART))
