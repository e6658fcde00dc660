"""Learning curves: what each way of growing a seed is worth at each seed size."""

from __future__ import annotations

import math
from itertools import pairwise

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
)
from emosynth.report.numbers import POINTS, Mean, interval, paired, points, summary, summary_by
from emosynth.report.tables import Tables
from emosynth.style import arm_label, is_real, learner_label, new_figure


def learning_curve_numbers(tables: Tables) -> pd.DataFrame:
    """Return mean macro-F1 (points) by learner, arm, verified and size, for the headline arms."""
    if tables.scores is None or tables.scores.empty:
        raise Missing("No scores yet (training/scores.parquet).")
    rows = tables.scores[tables.scores["arm"].isin(tables.headline_arms())]
    frame = summary_by(rows, ["learner", "arm", "verified", "size"], "macro_f1", tables.evidence.confidence, POINTS)
    return _sorted(frame, tables)


def _sorted(frame: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    place = {arm: position for position, arm in enumerate(tables.arms)}
    learner = {name: position for position, name in enumerate(tables.learners)}
    order = pd.DataFrame(
        {"l": frame["learner"].map(learner), "a": frame["arm"].map(place), "v": ~frame["verified"].astype(bool), "s": frame["size"]}
    )
    return frame.loc[order.sort_values(["l", "a", "v", "s"], kind="stable").index].reset_index(drop=True)


def paint_learning_curves(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one panel per learner; panels span equally many points, so that slopes can be compared."""
    learners = list(dict.fromkeys(frame["learner"]))
    fig = new_figure(figures, 4.2)
    panels = fig.subplots(1, len(learners), squeeze=False)[0]
    series = list(dict.fromkeys(zip(frame["arm"], frame["verified"], strict=True)))
    extent = {learner: bounds(frame[frame["learner"] == learner]) for learner in learners}
    span = max(high - low for low, high in extent.values())
    sizes = sorted(set(frame["size"]))
    step = 0.014 if len(sizes) == 1 else 0.035 * min(1.0, _log_gap(sizes))
    for axes, learner in zip(panels, learners, strict=True):
        middle = sum(extent[learner]) / 2
        limits = middle - span / 2, middle + span / 2
        axes.set_ylim(limits)
        rows = frame[frame["learner"] == learner]
        for position, (arm, verified) in enumerate(series):
            line = rows[(rows["arm"] == arm) & (rows["verified"] == verified)].sort_values("size")
            if line.empty:
                continue
            # Shifted a little sideways, so that intervals do not cover each other.
            x = line["size"] * 10 ** (step * (position - (len(series) - 1) / 2))
            look = arm_look(arm, verified or is_real(arm))
            axes.plot(x, line["mean"], color=look["color"], linestyle=look["linestyle"], alpha=0.9)
            for at, row in zip(x, rows_of(line), strict=True):
                dot_interval(axes, at, row.mean, row.low, row.high, look, size=5.5, horizontal=False, limits=limits)
        axes.set_xscale("log")
        axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_title(learner_label(learner, short=True))
        axes.set_xlabel("seed size n (real rows)")
    panels[0].set_ylabel("macro-F1 on the test split (points)")
    legend_below(fig, [handle(arm_label(arm, verified), arm_look(arm, verified or is_real(arm))) for arm, verified in series], 4)
    return fig


def _log_gap(sizes: list[int]) -> float:
    gaps = [math.log10(b / a) for a, b in pairwise(sizes)]
    return min(gaps) / 0.6


def learning_curve_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say by how much SHAP-guided and naïve rows differ, and what each adds to the seed alone, at the largest size."""
    learner = tables.learner
    size = tables.largest_size(learner)
    level = tables.evidence.confidence
    assert learner is not None and size is not None
    reading = []
    title = f"Macro-F1 of {len(set(frame['arm']))} ways to grow a seed, up to n = {size}"
    if tables.shap and "naive" in tables.arms:
        found = difference(tables, learner, size, tables.shap, "naive")
        if found.n:
            title = (
                f"{arm_label(tables.shap)} {points(found.mean, sign=True)} F1 points over naïve at n = {size} "
                f"({interval(found, level, sign=True)}; {learner_label(learner, short=True)}, {_version(tables, tables.shap)} rows)"
            )
            checked = difference(tables, learner, size, tables.shap, "naive", verified=True)
            if checked.n and not tables.verified(tables.shap):
                reading.append(
                    f"Of verified rows, of which there can be fewer, the same difference is {points(checked.mean, sign=True)} points "
                    f"({interval(checked, level, sign=True)})."
                )
    seed = _cell(frame, learner, "seed", False, size)
    if seed is not None:
        reading.append(
            f"With {learner_label(learner)}, {size} real rows alone reach {points(seed.mean)} points of macro-F1 ({interval(seed, level)}, "
            f"{_repeats(seed.n)})."
        )
    gains = []
    for arm in tables.headline_arms():
        if arm != "seed":
            found = difference(tables, learner, size, arm, "seed")
            if found.n:
                gains.append(
                    f"{arm_label(arm, tables.verified(arm))} {points(found.mean, sign=True)} ({interval(found, level, sign=True)})"
                )
    if gains:
        reading.append("Added to that seed, in points: " + "; ".join(gains) + ".")
    if int(frame["repeats"].max()) < 2:
        reading.append("There is one repeat only, so that no interval can be given and no difference can be told from chance.")
    limits = (
        "whether a difference would hold on another corpus or with another generator; intervals are over repeats (seeds drawn anew), "
        "not over test rows. Solid and filled: real or verified rows; dashed and hollow: rows as generated. Settings are chosen on the validation split, which is larger than the seed; "
        "fine-tuning runs for the same epochs, so that more rows mean more steps. " + CLIPPED
    )
    alt = "Line chart of macro-F1 against seed size, one panel per learner, one line per arm."
    return Words(title, reading, limits, alt)


def _version(tables: Tables, arm: str) -> str:
    return "verified" if tables.verified(arm) else "unverified"


def _repeats(n: int) -> str:
    return "1 repeat" if n == 1 else f"{n} repeats"


def _cell(frame: pd.DataFrame, learner: str, arm: str, verified: bool, size: int) -> Mean | None:
    rows = frame[(frame["learner"] == learner) & (frame["arm"] == arm) & (frame["verified"] == verified) & (frame["size"] == size)]
    if rows.empty:
        return None
    row = rows.iloc[0]
    return Mean(float(row["mean"]), float(row["low"]), float(row["high"]), int(row["repeats"]))


def difference(tables: Tables, learner: str, size: int, arm: str, other: str, verified: bool | None = None) -> Mean:
    """Return the mean difference in macro-F1 points between two arms, paired by repeat; ``verified`` None: the headline version of each."""
    assert tables.scores is not None
    held: dict[str, object] = {"learner": learner, "size": size}
    rows = paired(
        tables.scores,
        {**held, "arm": arm, "verified": tables.verified(arm) if verified is None else verified and not is_real(arm)},
        {**held, "arm": other, "verified": tables.verified(other) if verified is None else verified and not is_real(other)},
        ["repeat"],
        "macro_f1",
    )
    return summary(rows["difference"], tables.evidence.confidence)


draw_learning_curves = register(
    FigureSpec("learning_curves", "Learning curves", learning_curve_numbers, paint_learning_curves, learning_curve_words, 10)
)
