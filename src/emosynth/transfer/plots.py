"""Figures of the step. The report draws its own, more carefully; these are for reading the notebook."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.stats import t_interval
from emosynth.transfer.context import ALL_REPEATS, CONTEXT_ONLY, INPUTS
from emosynth.transfer.run import HEADLINE

_REGIMES = ("target", "target-long", "two-stage", "joint")
_LINES = {"zero-shot": ":", "leave-one-out": "--"}


def headline(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the headline thresholds: one a model."""
    return scores[scores["thresholds"] == scores["task"].map(HEADLINE)]


def by_size(scores: pd.DataFrame, arm: str) -> Figure:
    """Return macro-F1 against the seed's size: a row of panels a learner, a panel a target; mean and t interval over repeats.

    Rows of the given arm; zero-shot and leave-one-out, which have no seed, are horizontal lines.
    """
    rows = headline(scores)
    rows = rows[(rows["arm"] == arm) | ~rows["regime"].isin(["two-stage", "joint", "zero-shot"])]
    learners, targets = list(dict.fromkeys(rows["learner"])), list(dict.fromkeys(rows["target"]))
    figure = Figure(figsize=(3.2 * len(targets) + 0.6, 2.6 * len(learners) + 0.4), layout="constrained")
    panels = figure.subplots(len(learners), len(targets), squeeze=False)
    colours = dict(zip((*_REGIMES, *_LINES), sns.color_palette("colorblind", len(_REGIMES) + len(_LINES)), strict=True))
    for line, learner in zip(panels, learners, strict=True):
        for axes, target in zip(line, targets, strict=True):
            cell = rows[(rows["learner"] == learner) & (rows["target"] == target)]
            for regime in _REGIMES:
                _errorbars(axes, cell[cell["regime"] == regime], regime, colours[regime])
            for regime, style in _LINES.items():
                value = cell.loc[cell["regime"] == regime, "macro_f1"]
                if len(value):
                    axes.axhline(value.mean(), color=colours[regime], linestyle=style, linewidth=1, label=regime)
            axes.set(title=f"{target}, {learner}", xlabel="seed rows")
        line[0].set_ylabel("macro-F1 on test")
    panels[0][0].legend(fontsize=7, frameon=False)
    sns.despine(figure)
    return figure


def _errorbars(axes: object, rows: pd.DataFrame, label: str, colour: object) -> None:
    points = []
    for size, cell in rows.groupby("size", sort=True):
        interval = t_interval(cell["macro_f1"])
        points.append((size, cell["macro_f1"].mean(), interval.low, interval.high))
    if points:
        frame = pd.DataFrame(points, columns=["size", "mean", "low", "high"])
        spread = [frame["mean"] - frame["low"], frame["high"] - frame["mean"]]
        axes.errorbar(frame["size"], frame["mean"], yerr=spread, fmt="o-", color=colour, markersize=4, linewidth=1.2, label=label)  # type: ignore[attr-defined]


def context_bars(table: pd.DataFrame) -> Figure:
    """Return what each input is worth on held-out rows (LRAP) and on pairs (share moved the right way); means over repeats."""
    rows = table[(table["repeat"] == ALL_REPEATS) & table["input"].isin(INPUTS)]
    panels = [("lrap", "LRAP on held-out stories")]
    if (rows["measure"] == "flips").any():
        panels.append(("flips", "pairs moved the right way"))
    figure = Figure(figsize=(4.2 * len(panels), 2.8), layout="constrained")
    learners = list(dict.fromkeys(rows["learner"]))
    colours = sns.color_palette("colorblind", len(learners))
    for axes, (measure, label) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for place, learner in enumerate(learners):
            part = rows[(rows["measure"] == measure) & (rows["learner"] == learner)].set_index("input").reindex(list(INPUTS))
            y = [row + 0.8 * (place - (len(learners) - 1) / 2) / len(learners) for row in range(len(INPUTS))]
            spread = [part["value"] - part["low"], part["high"] - part["value"]]
            axes.barh(y, part["value"], height=0.7 / len(learners), color=colours[place], alpha=0.7, label=learner)
            axes.errorbar(part["value"], y, xerr=spread, fmt="none", ecolor="#333333", linewidth=1)
        if measure == "flips":
            axes.axvline(0.5, color="#777777", linewidth=0.8)
        axes.set_yticks(range(len(INPUTS)), [name if name != CONTEXT_ONLY else "context alone" for name in INPUTS])
        axes.invert_yaxis()
        axes.set(xlabel=label)
    figure.axes[0].legend(fontsize=7, frameon=False)
    sns.despine(figure)
    return figure
