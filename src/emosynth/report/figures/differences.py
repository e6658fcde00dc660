"""Paired differences of every generating arm from naïve generation and from real expansion."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import (
    CLIPPED,
    FigureSpec,
    Missing,
    Words,
    arm_look,
    bounds,
    dot_interval,
    handle,
    legend_below,
    register,
    rows_of,
    zero_line,
)
from emosynth.report.figures.curves import difference
from emosynth.report.numbers import Mean, interval, points
from emosynth.report.tables import Tables
from emosynth.style import arm_label, current_theme, learner_label, new_figure

REFERENCES = ("naive", "real+1x")


def paired_difference_numbers(tables: Tables) -> pd.DataFrame:
    """Return mean differences (points) by learner, reference, arm and size: the headline version of each arm, paired by repeat."""
    if tables.scores is None or tables.scores.empty:
        raise Missing("No scores yet (training/scores.parquet).")
    rows = []
    for learner in tables.learners:
        sizes = sorted(set(tables.scores.loc[tables.scores["learner"] == learner, "size"]))
        for reference in REFERENCES:
            for arm in tables.generating:
                for size in sizes if arm != reference else []:
                    found = difference(tables, learner, int(size), arm, reference)
                    if found.n:
                        rows.append([learner, reference, arm, tables.verified(arm), int(size), found.mean, found.low, found.high, found.n])
    if not rows:
        raise Missing("No generating arm was scored beside naïve generation or real expansion on the same seeds.")
    return pd.DataFrame(rows, columns=["learner", "reference", "arm", "verified", "size", "mean", "low", "high", "repeats"])


def paint_paired_differences(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw a forest: rows are arms with their sizes, columns learners, one block per reference."""
    learners = list(dict.fromkeys(frame["learner"]))
    references = list(dict.fromkeys(frame["reference"]))
    sizes = sorted(set(frame["size"]))
    arms = {name: list(dict.fromkeys(frame.loc[frame["reference"] == name, "arm"])) for name in references}
    lines = sum(len(found) for found in arms.values()) * max(len(sizes), 2)
    fig = new_figure(figures, 1.7 + 0.45 * len(references) + 0.15 * lines)
    panels = fig.subplots(
        len(references), len(learners), squeeze=False, sharex=True, sharey="row", height_ratios=[len(arms[name]) for name in references]
    )
    spread = min(0.34, 0.66 / max(len(sizes) - 1, 1))
    limits = bounds(frame)
    margin = 100 * tables.evidence.equivalence_margin
    for line, reference in enumerate(references):
        for column, learner in enumerate(learners):
            axes = panels[line][column]
            zero_line(axes, margin)
            axes.set_xlim(min(limits[0], -1.5 * margin), max(limits[1], 1.5 * margin))
            for y, arm in enumerate(arms[reference]):
                rows = frame[(frame["learner"] == learner) & (frame["reference"] == reference) & (frame["arm"] == arm)]
                for row in rows_of(rows):
                    place = sizes.index(row.size)
                    at = y + (place - (len(sizes) - 1) / 2) * spread
                    dot_interval(
                        axes,
                        row.mean,
                        at,
                        row.low,
                        row.high,
                        arm_look(arm, row.verified),
                        size=_dot(place, len(sizes)),
                        limits=axes.get_xlim(),
                    )
            axes.set_yticks(range(len(arms[reference])), [arm_label(arm) for arm in arms[reference]])
            axes.set_ylim(len(arms[reference]) - 0.45, -0.55)
            axes.grid(axis="x")
            axes.grid(visible=False, axis="y")
            axes.spines["left"].set_visible(False)
            if line == 0:
                axes.set_title(learner_label(learner, short=True), pad=22)
            axes.annotate(
                f"minus {arm_label(reference)}",
                (0, 1),
                xytext=(0, 5),
                xycoords="axes fraction",
                textcoords="offset points",
                fontsize=0.9 * figures.font_size,
                color=current_theme().muted,
                va="bottom",
            )
    for axes in panels[-1]:
        axes.set_xlabel("difference (F1 points)")
    ink = {"color": current_theme().muted, "marker": "o", "linestyle": "none"}
    entries = [handle(f"n = {size}", ink, line=False) for size in sizes]
    for place, entry in enumerate(entries):
        entry.set_markersize(_dot(place, len(sizes)))
    legend_below(fig, entries, len(entries))
    return fig


def _dot(place: int, of: int) -> float:
    return 4.0 + 3.5 * (place / max(of - 1, 1) if of > 1 else 1.0)


def paired_difference_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say which arm does best against each reference at the largest size, and how many intervals exclude zero."""
    level = tables.evidence.confidence
    learner = tables.learner if tables.learner in set(frame["learner"]) else frame["learner"].iloc[0]
    rows = frame[frame["learner"] == learner]
    size = int(rows["size"].max())
    at_size = rows[rows["size"] == size]
    reading = []
    title = f"Differences of {len(set(frame['arm']))} generating arms from naïve generation and real expansion"
    for reference in REFERENCES:
        found = at_size[at_size["reference"] == reference]
        if found.empty:
            continue
        best = found.iloc[int(found["mean"].to_numpy().argmax())]
        mean = _mean(best)
        reading.append(
            f"Minus {arm_label(reference)} at n = {size} ({learner_label(str(learner), short=True)}), the highest mean is {arm_label(best['arm'])}: "
            f"{points(mean.mean, sign=True)} points ({interval(mean, level, sign=True)})."
        )
    naive = frame[frame["reference"] == "naive"]
    with_interval = naive[naive["low"].notna()]
    if len(with_interval):
        above, below = int((with_interval["low"] > 0).sum()), int((with_interval["high"] < 0).sum())
        verb = "lies" if above == 1 else "lie"
        title = f"Against naïve, {above} of {len(with_interval)} guided comparisons {verb} wholly above zero and {below} wholly below"
        reading.append(
            f"Each {100 * level:g} % interval is taken alone: of {len(with_interval)} such intervals "
            f"about {points((1 - level) * len(with_interval))} would exclude zero by chance. The table of claims corrects for this."
        )
    elif len(naive):
        title = f"{len(naive)} guided comparisons with naïve, one repeat each: no interval"
    limits = (
        "how the arms compare at equal cost: arms are compared at equal row counts where enough rows were accepted, and guided prompts are "
        f"longer. The shaded band is ±{points(100 * tables.evidence.equivalence_margin)} points, within which two arms count as equally good. "
        + CLIPPED
    )
    alt = "Forest plot: one row per generating arm, dots with intervals for each seed size, one column per learner."
    return Words(title, reading, limits, alt)


def _mean(row: pd.Series) -> Mean:
    return Mean(float(row["mean"]), float(row["low"]), float(row["high"]), int(row["repeats"]))


draw_paired_differences = register(
    FigureSpec("paired_differences", "Paired differences", paired_difference_numbers, paint_paired_differences, paired_difference_words, 20)
)
