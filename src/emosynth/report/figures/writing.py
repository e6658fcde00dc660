"""The page on writing: what checks accept and why not the rest, the teacher's confidence, and tuned writers."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch

from emosynth import pieces
from emosynth.checks.base import Check
from emosynth.evidence.numbers import count, number, per_cent, size, some
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures.base import Figure, Missing, Words
from emosynth.report.tables import Tables
from emosynth.style import current_theme, muted_colour, new_figure, palette_colour

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
        return chart.ordered(counts, ["arm", "reason"], arm=tables.looks.arms, reason=[ACCEPTED, *order.index])  # other reasons last

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
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
                    ink: dict[str, Any] = {"color": theme.background, "fontweight": "bold"}
                    axes.annotate(f"{value:.0f} %", (0, y), xytext=(5, 0), textcoords="offset points", va="center", **ink)
            start = start + share
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of candidates (%)")
        chart.bare(axes, [tables.looks.title(arm) for arm in arms])
        names = {name: name if name == ACCEPTED else reason_words(name) for name in reasons}
        chart.legend_below(fig, [Patch(facecolor=colours[name], label=shown) for name, shown in names.items()], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        looks = tables.looks
        kept = frame[frame["reason"] == ACCEPTED].set_index("arm")["share"].reindex(looks.order(frame["arm"])).fillna(0.0)
        low, high = str(kept.idxmin()), str(kept.idxmax())
        least, most = (f"{per_cent(kept[arm])} ({looks.title(arm)})" for arm in (low, high))
        title = f"Checks accept {least} to {most} of what is written"
        against = frame[frame["reason"] != ACCEPTED].groupby("reason", sort=False)["count"].sum()
        reading = f"{count(frame['count'].sum())} candidates on {tables.target}, each arm at its largest seed (up to {size(int(frame['size'].max()))}). "
        if len(against):
            reading += f"The commonest first reason against one is “{reason_words(str(against.idxmax()))}” ({count(against.max())})."
        limits = (
            "A candidate counts under the first check that it fails, so that a later check may look milder than it is. The check of the label "
            "is a classifier trained on the same few rows, and errs."
        )
        return Words(title, reading, limits, "Stacked bars of accepted and rejected candidates, one bar an arm.")


# --- the teacher's calibration: whether its confidence can be believed, before and after its temperature is fitted ---

_ROWS = {"out-of-fold": "seed rows that it was not fitted on", "test": "test rows"}
_FEW = 5


class TeacherCalibration(Figure):
    """Accuracy by confidence: seed rows out of fold, test rows."""

    name = "teacher_calibration"
    label = "The teacher's confidence"
    page = "writing"
    order = 20
    reads = ("verdicts/reliability", "verdicts/teachers")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return confidence, accuracy and count by bin, repeats taken together, at the target's largest seed size."""
        rows = tables.need("verdicts/reliability", "verdicts/teachers")
        rows = rows[rows["corpus"] == tables.target]
        rows = rows[(rows["size"] == rows["size"].max()) & (rows["count"] > 0)]
        held = rows.assign(confidence=rows["confidence"] * rows["count"], accuracy=rows["accuracy"] * rows["count"])
        sums = held.groupby(["rows", "scaled", "size", "bin"], sort=True)[["confidence", "accuracy", "count"]].sum().reset_index()
        return sums.assign(confidence=sums["confidence"] / sums["count"], accuracy=sums["accuracy"] / sums["count"])

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        theme = current_theme()
        kinds = [kind for kind in _ROWS if kind in set(frame["rows"])]
        fig = new_figure(figures, 3.6)
        for axes, kind in zip(fig.subplots(1, len(kinds), squeeze=False, sharey=True)[0], kinds, strict=True):
            axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1.0, linestyle=(0, (4, 2)))
            for scaled in (False, True):
                rows = frame[(frame["rows"] == kind) & (frame["scaled"].astype(bool) == scaled)]
                colour = palette_colour(1) if scaled else theme.muted
                axes.plot(rows["confidence"], rows["accuracy"], color=colour, label="temperature fitted" if scaled else "as fitted")
                sizes = 8 + 60 * np.sqrt(rows["count"] / frame["count"].max())
                axes.scatter(rows["confidence"], rows["accuracy"], s=sizes, color=colour, zorder=3)
            axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence")
            axes.set_title(_ROWS[kind])
        fig.axes[0].set_ylabel("accuracy")
        fig.axes[0].legend(loc="upper left")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        def error(kind: str, scaled: bool) -> float:
            rows = frame[(frame["rows"] == kind) & (frame["scaled"].astype(bool) == scaled)]
            return float((rows["confidence"] - rows["accuracy"]).abs().mul(rows["count"]).sum() / max(1, rows["count"].sum()))

        kind = "test" if "test" in set(frame["rows"]) else str(frame["rows"].iloc[0])
        before, after = 100 * error(kind, False), 100 * error(kind, True)
        title = f"The teacher's confidence is off by {number(after)} points on {_ROWS.get(kind, kind)}, {number(before)} before its temperature is fitted"
        teachers = tables.get("verdicts/teachers")
        reading = f"Trained on {size(int(frame['size'].max()))} labels of {tables.target}. "
        if teachers is not None:
            own = teachers[(teachers["corpus"] == tables.target) & (teachers["size"] == frame["size"].max())]
            reading += f"Macro-F1 out of fold: {number(100 * float(own['macro_f1'].mean()))} points ({some(len(own), 'repeat')})."
        limits = f"Bins of fewer than {_FEW} rows are drawn small and say little. Generated rows have no true label to compare with."
        return Words(title, reading, limits, "Line charts of accuracy against confidence, with the diagonal of perfect calibration.")


# --- tuning: whether a writer that is tuned on the seed learns to write like it ---


class Tuning(Figure):
    """Held-out perplexity by epoch, a thin line a seed."""

    name = "tuning"
    label = "Tuned writers"
    page = "writing"
    order = 30
    reads = ("tuning/history",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return held-out perplexity by writer, size, repeat and epoch on the target; epoch 0 is the untuned model."""
        rows = tables.need("tuning/history")
        rows = rows[rows["corpus"] == tables.target]
        if rows.empty:
            raise Missing(f"No writer was tuned on {tables.target}.")
        named = [writer if salt == "none" else f"{writer} ({salt})" for writer, salt in zip(rows["writer"], rows["salt"], strict=True)]
        return rows.assign(series=named)[["series", "size", "repeat", "epoch", "perplexity", "best"]].reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        sizes, names = sorted(set(frame["size"])), list(dict.fromkeys(frame["series"]))
        fig = new_figure(figures, 3.5)
        for axes, at in zip(fig.subplots(1, len(sizes), squeeze=False, sharey=True)[0], sizes, strict=True):
            for (series, _), line in frame[frame["size"] == at].groupby(["series", "repeat"], sort=True):
                colour = palette_colour(names.index(str(series)))
                axes.plot(line["epoch"], line["perplexity"], color=colour, alpha=0.7, linewidth=1.2)
                best = line[line["best"].astype(bool)]
                axes.plot(best["epoch"], best["perplexity"], color=colour, marker="o", linestyle="none")
            axes.set_title(f"{at} labels")
            axes.set_xlabel("epoch (0: untuned)")
            axes.set_xticks(sorted(set(frame["epoch"])))
        fig.axes[0].set_ylabel("perplexity of held-out seed rows")
        looks = [{"color": palette_colour(place), "marker": "o", "linestyle": "-"} for place in range(len(names))]
        chart.legend_below(fig, [chart.handle(name, look) for name, look in zip(names, looks, strict=True)], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        rows = frame[frame["size"] == frame["size"].max()]
        before = float(rows.loc[rows["epoch"] == 0, "perplexity"].mean())
        best = rows[rows["best"].astype(bool)]
        after = float(best["perplexity"].mean())
        title = f"Tuning on {int(rows['size'].max())} labels changes the perplexity of held-out seed rows from {number(before)} to {number(after)}"
        reading = f"Mean over {some(len(best), 'tuned writer')} at {size(int(rows['size'].max()))}. Dots: the epoch that is kept."
        limits = "Held-out rows are a tenth of the seed, a few texts. Lower perplexity is not yet better text."
        return Words(title, reading, limits, "Line charts of perplexity by epoch, one line a seed.")
