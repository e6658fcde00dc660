"""Calibration of the teacher: whether the confidences that verify and weigh soft labels can be believed."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import FigureSpec, Missing, Words, legend_below, register
from emosynth.report.figures.sentisynth.common import PART
from emosynth.report.numbers import count, interval, points, summary
from emosynth.report.tables import Tables
from emosynth.style import current_theme, new_figure, palette_colour

NAMES = {"seed": "Teacher trained on the seed", "oracle": "Oracle (all training rows)"}
_TEST = "test"


def teacher_numbers(tables: Tables) -> pd.DataFrame:
    """Return reliability by teacher, scaled or not, and bin, on test rows at the largest seed, bins pooled over repeats."""
    found = tables.teacher_reliability
    if found is None or found.empty:
        raise Missing("No teacher was trained (synthesis/reliability.parquet).")
    rows = found[(found["n"] > 0) & (found["size"] == found["size"].max())]
    kind = _TEST if _TEST in set(rows["rows"]) else str(rows["rows"].iloc[0])
    rows = rows[rows["rows"] == kind]
    weighted = rows.assign(confidence=rows["confidence"] * rows["n"], accuracy=rows["accuracy"] * rows["n"])
    keys = ["teacher", "size", "rows", "scaled", "bin"]
    pooled = weighted.groupby(keys, sort=True)[["confidence", "accuracy", "n"]].sum().reset_index()
    pooled["confidence"] /= pooled["n"]
    pooled["accuracy"] /= pooled["n"]
    return pooled.sort_values(["teacher", "scaled", "bin"], ascending=[False, True, True], kind="stable").reset_index(drop=True)


def paint_teacher(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one reliability diagram per teacher, before and after temperature scaling."""
    theme = current_theme()
    teachers = list(dict.fromkeys(frame["teacher"]))
    fig = new_figure(figures, 1.2 + min(3.0, (figures.width - 0.6) / len(teachers)))
    panels = fig.subplots(1, len(teachers), squeeze=False, sharey=True)[0]
    entries = {}
    for axes, teacher in zip(panels, teachers, strict=True):
        axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1.0, linestyle=(0, (1, 2)))
        rows = frame[frame["teacher"] == teacher]
        for scaled, position, marker, style in ((False, 7, "o", (0, (3.5, 1.8))), (True, 3, "s", "-")):
            line = rows[rows["scaled"].astype(bool) == scaled].sort_values("confidence")
            colour = theme.muted if position == 7 else palette_colour(position)
            (drawn,) = axes.plot(line["confidence"], line["accuracy"], color=colour, linestyle=style, linewidth=1.3)
            drawn.set_label("after temperature scaling" if scaled else "before")
            sizes = 8 + 60 * line["n"] / max(float(rows["n"].max()), 1.0)
            axes.scatter(line["confidence"], line["accuracy"], s=sizes, color=colour, marker=marker, linewidths=0, zorder=3)
            entries[scaled] = drawn
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.grid(visible=True, axis="both")
        axes.set_title(NAMES.get(teacher, teacher))
        axes.set_xlabel("stated confidence")
    panels[0].set_ylabel("share correct")
    legend_below(fig, list(entries.values()), 2)
    return fig


def teacher_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say the calibration error and the macro-F1 of each teacher, before and after scaling."""
    level, size = tables.evidence.confidence, int(frame["size"].iloc[0])
    table = tables.teacher_calibration
    title, reading = "Calibration of the teacher", []
    if table is not None and len(table):
        rows = table[(table["size"] == size) & (table["rows"] == frame["rows"].iloc[0])]
        for teacher in dict.fromkeys(frame["teacher"]):
            of_teacher = rows[rows["teacher"] == teacher]
            if of_teacher.empty:
                continue
            if teacher == "oracle":  # one model stands for every repeat: on test rows it gives one number
                of_teacher = of_teacher.drop_duplicates(["macro_f1", "ece_before", "ece_after"])
            before, after = summary(of_teacher["ece_before"], level), summary(of_teacher["ece_after"], level)
            f1 = summary(of_teacher["macro_f1"] * 100, level)
            temperature = summary(of_teacher["temperature"], level)
            if teacher == "seed":
                title = (
                    f"The teacher's calibration error is {points(before.mean, digits=3)} before and {points(after.mean, digits=3)} after "
                    f"temperature scaling on {frame['rows'].iloc[0]} rows, n = {size}"
                )
            reading.append(
                f"{NAMES.get(teacher, teacher)}: macro-F1 {points(f1.mean)} ({interval(f1, level)}), temperature "
                f"{points(temperature.mean, digits=2)}, calibration error {points(before.mean, digits=3)} → {points(after.mean, digits=3)} "
                f"({interval(after, level, digits=3)})."
            )
    reading.append("On the dotted line, of texts given confidence 0.8 eight in ten are right; below it the teacher is too sure of itself.")
    shown = frame[frame["scaled"].astype(bool) & (frame["teacher"] == frame["teacher"].iloc[0])]
    limits = (
        f"calibration on generated text, of which nobody knows the true label: real rows are shown, pooled over repeats ({count(int(shown['n'].sum()))} predictions a teacher). "
        "The oracle has seen every training row, no published budget has it. Larger dots stand for more texts."
    )
    return Words(title, reading, limits, "Reliability diagrams of the teachers, before and after temperature scaling.")


draw_teacher_calibration = register(
    FigureSpec("teacher_calibration", "Calibration of the teacher", teacher_numbers, paint_teacher, teacher_words, 180, PART)
)
