"""Figures of step 05."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.authenticity.panel import OTHER, REAL

_COLOURS = {True: "#0b6e75", False: "#c2571a"}


def _records(frame: pd.DataFrame) -> Iterator[Any]:
    yield from frame.itertuples()


def rates(panel: pd.DataFrame, measures: Sequence[str]) -> Figure:
    """Return value and interval of some measures by arm, beside real text; a tick marks real text at the same amount."""
    rows = panel[panel["measure"].isin(list(measures))]
    arms = list(dict.fromkeys(rows["arm"]))
    columns = min(2, len(measures))
    lines = math.ceil(len(measures) / columns)
    figure = Figure(figsize=(3.4 * columns + 0.8, 0.6 + lines * (0.5 + 0.3 * len(arms))), layout="constrained")
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes in panels[len(measures) :]:
        axes.set_visible(False)
    for position, (axes, measure) in enumerate(zip(panels, measures, strict=False)):
        for row in _records(rows[rows["measure"] == measure]):
            if math.isnan(row.value):
                continue
            y = arms.index(row.arm) + (0.0 if row.arm in (REAL, OTHER) else (0.15 if row.verified else -0.15))
            colour = "#444444" if row.arm in (REAL, OTHER) else _COLOURS[bool(row.verified)]
            if not math.isnan(row.low):
                axes.plot([row.low, row.high], [y, y], color=colour, linewidth=1.4)
            axes.plot(row.value, y, "o", color=colour, markersize=4.5)
            if not math.isnan(row.reference) and row.arm != REAL:
                axes.plot(row.reference, y, "|", color="#888888", markersize=9)
        axes.set(title=measure.replace("_", " "), yticks=range(len(arms)), yticklabels=arms, ylim=(len(arms) - 0.5, -0.5))
        axes.tick_params(labelsize=8)
        if not position:
            for verified, label in ((False, "as generated"), (True, "verified")):
                axes.plot([], [], "o", color=_COLOURS[verified], label=label)
            axes.plot([], [], "|", color="#888888", label="real text, same amount")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def effects(panel: pd.DataFrame) -> Figure:
    """Return a heat map of how far each arm lies from real text; a dot marks Holm-corrected p below 0.05.

    Effects of different kinds are put on one scale: ratios as their natural logarithm; others as they are.
    """
    rows = panel[(panel["arm"] != REAL) & panel["effect"].notna()].copy()
    rows["row"] = [
        arm if arm == OTHER else f"{arm}{', verified' if verified else ''}"
        for arm, verified in zip(rows["arm"], rows["verified"], strict=True)
    ]
    rows["distance"] = [
        math.log(effect) if kind == "ratio" and effect > 0 else (math.nan if kind == "ratio" else effect)
        for effect, kind in zip(rows["effect"], rows["effect_kind"], strict=True)
    ]
    names, measures = list(dict.fromkeys(rows["row"])), list(dict.fromkeys(rows["measure"]))
    table = rows.pivot(index="row", columns="measure", values="distance").loc[names, measures]
    sure = rows.assign(sure=rows["p_holm"] < 0.05).pivot(index="row", columns="measure", values="sure").loc[names, measures]
    figure = Figure(figsize=(1.5 + 0.5 * len(measures), 1.6 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    marks = sure.map(lambda value: "•" if value is True else "").to_numpy()
    sns.heatmap(
        table.astype(float),
        cmap="RdBu_r",
        center=0,
        vmin=-1,
        vmax=1,
        annot=marks,
        fmt="",
        linewidths=0.5,
        cbar_kws={"label": "effect"},
        ax=axes,
    )
    axes.set(xlabel="", ylabel="", xticklabels=[measure.replace("_", " ") for measure in measures])
    return figure
