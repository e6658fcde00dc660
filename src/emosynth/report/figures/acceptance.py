"""Acceptance: how many candidates each arm's checks accept, and why not the others."""

from __future__ import annotations

from typing import cast

import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch

from emosynth import pieces
from emosynth.checks.base import Check
from emosynth.evidence.numbers import count, per_cent
from emosynth.params import Figures
from emosynth.report.figures.base import Figure, Words, bare, legend_below
from emosynth.report.tables import Tables
from emosynth.report.wording import size
from emosynth.style import current_theme, muted_colour, new_figure

ACCEPTED = "accepted"
_MOST = 8
"""Reasons with a colour of their own; the rarest are taken together."""


def reason_words(reason: str) -> str:
    """Return what a check says of the rows that it rejects."""
    found = pieces.registered("check").get(reason)
    said = "" if found is None else cast(type[Check], found).reason
    return said or reason.replace("-", " ").replace("_", " ")


class Acceptance(Figure):
    """A stacked bar an arm."""

    name = "acceptance"
    label = "Acceptance"
    page = "writing"
    order = 10
    reads = ("verdicts/verdicts",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return counts and shares of candidates by arm and first reason against them, at the largest size of each arm."""
        verdicts = tables.need("verdicts/verdicts")
        verdicts = verdicts[verdicts["corpus"] == tables.target]
        verdicts = verdicts[verdicts["size"] == verdicts.groupby("arm")["size"].transform("max")]
        reason = verdicts["reason"].fillna("").where(~verdicts["accepted"].astype(bool), ACCEPTED).replace("", "other reasons")
        counts = verdicts.assign(reason=reason).groupby(["arm", "size", "reason"], sort=False).size().rename("count").reset_index()
        order = counts[counts["reason"] != ACCEPTED].groupby("reason")["count"].sum().sort_values(ascending=False, kind="stable")
        if len(order) > _MOST:
            counts["reason"] = counts["reason"].where(counts["reason"].isin([ACCEPTED, *order.index[: _MOST - 1]]), "other reasons")
            counts = counts.groupby(["arm", "size", "reason"], sort=False)["count"].sum().reset_index()
        counts["share"] = counts["count"] / counts.groupby("arm")["count"].transform("sum")
        places = {name: place for place, name in enumerate([ACCEPTED, *order.index])}
        arms = {arm: place for place, arm in enumerate(tables.looks.arms)}
        keys = pd.DataFrame({"a": counts["arm"].map(arms), "r": counts["reason"].map(places).fillna(len(places))})
        return counts.loc[keys.sort_values(["a", "r"], kind="stable").index].reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw bars, accepted first."""
        theme, arms = current_theme(), tables.looks.order(frame["arm"])
        reasons = [ACCEPTED, *(reason for reason in dict.fromkeys(frame["reason"]) if reason != ACCEPTED)]
        colours = {reason: muted_colour(place - 1) if place else theme.muted for place, reason in enumerate(reasons)}
        fig = new_figure(figures, 1.6 + 0.34 * len(arms))
        axes = fig.subplots()
        start = pd.Series(0.0, index=arms)
        for reason in reasons:
            share = 100 * frame[frame["reason"] == reason].set_index("arm")["share"].reindex(arms).fillna(0.0)
            axes.barh(range(len(arms)), share, left=start, height=0.64, color=colours[reason], edgecolor=theme.background)
            if reason == ACCEPTED:
                for y, value in enumerate(share):
                    axes.annotate(
                        f"{value:.0f} %",
                        (0, y),
                        xytext=(5, 0),
                        textcoords="offset points",
                        va="center",
                        color=theme.background,
                        fontweight="bold",
                    )
            start = start + share
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of candidates (%)")
        bare(axes, [tables.looks.title(arm) for arm in arms])
        legend_below(fig, [Patch(facecolor=colours[name], label=name if name == ACCEPTED else reason_words(name)) for name in reasons], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say how much is accepted, and the commonest reason against a candidate."""
        looks = tables.looks
        kept = frame[frame["reason"] == ACCEPTED].set_index("arm")["share"].reindex(looks.order(frame["arm"])).fillna(0.0)
        low, high = str(kept.idxmin()), str(kept.idxmax())
        title = (
            f"Checks accept {per_cent(kept[low])} ({looks.title(low)}) to {per_cent(kept[high])} ({looks.title(high)}) of what is written"
        )
        against = frame[frame["reason"] != ACCEPTED].groupby("reason", sort=False)["count"].sum()
        reading = f"{count(frame['count'].sum())} candidates on {tables.target}, each arm at its largest seed (up to {size(int(frame['size'].max()))}). "
        if len(against):
            reading += f"The commonest first reason against one is “{reason_words(str(against.idxmax()))}” ({count(against.max())})."
        limits = (
            "A candidate counts under the first check that it fails, so that a later check may look milder than it is. The check of the label "
            "is a classifier trained on the same few rows, and errs."
        )
        return Words(title, reading, limits, "Stacked bars of accepted and rejected candidates, one bar an arm.")
