"""Whether token rankings agree: SHAP with TF-IDF on one seed, and each with itself from seed to seed."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.numbers import per_cent, span
from emosynth.params import Figures
from emosynth.report.figures.base import Figure, Missing, Words, dot_interval, handle, legend_below, rows_of, size_axis
from emosynth.report.tables import Tables
from emosynth.report.wording import size
from emosynth.style import new_figure, palette_colour

_PANELS = {"stability": "same ranking, other seeds", "agreement": "same seed, other ranking"}
_MARKERS = "oXv^Ps"


class TokenAgreement(Figure):
    """Share of the first tokens that two rankings have in common, by seed size."""

    name = "token_agreement"
    label = "Do rankings agree?"
    page = "guidance"
    order = 20
    reads = ("materials/stability", "materials/agreement")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return mean overlap by panel, series and seed size; ``low`` and ``high`` are the smallest and largest repeat (or pair)."""
        parts = []
        for panel in _PANELS:
            rows = tables.get(f"materials/{panel}")
            rows = rows if rows is None else rows[rows["corpus"] == tables.target]
            if rows is None or rows.empty:
                continue
            unit = ["repeat_a", "repeat_b"] if panel == "stability" else ["repeat"]
            series = rows["ranking"] if panel == "stability" else rows["first"] + " and " + rows["second"]
            means = rows.assign(series=series.astype(str)).groupby(["series", "size", *unit], sort=True)["overlap"].mean().reset_index()
            found = (
                means.groupby(["series", "size"], sort=True)["overlap"].agg(mean="mean", low="min", high="max", units="count").reset_index()
            )
            parts.append(found.assign(panel=panel))
        if not parts:
            raise Missing("The run holds no comparison of token rankings.")
        return pd.concat(parts, ignore_index=True)[["panel", "series", "size", "mean", "low", "high", "units"]]

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw dots with ranges."""
        panels = [name for name in _PANELS if name in set(frame["panel"])]
        names, sizes = list(dict.fromkeys(frame["series"])), sorted(set(frame["size"]))
        looks = {
            name: {"color": palette_colour(place), "marker": _MARKERS[place % len(_MARKERS)], "linestyle": "-"}
            for place, name in enumerate(names)
        }
        fig = new_figure(figures, 3.6)
        for axes, panel in zip(fig.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True):
            axes.set_ylim(0, 1.02)
            rows = frame[frame["panel"] == panel]
            for place, name in enumerate(dict.fromkeys(rows["series"])):
                line = rows[rows["series"] == name]
                x = line["size"] * 1.04**place
                axes.plot(x, line["mean"], color=looks[name]["color"])
                for at, row in zip(x, rows_of(line), strict=True):
                    dot_interval(axes, row.mean, at, (row.low, row.high), looks[name], size=5.0, horizontal=False)
            size_axis(axes, sizes)
            axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.4)
            axes.set_title(_PANELS[panel])
        fig.axes[0].set_ylabel("share of first tokens in common")
        legend_below(fig, [handle(_spelled(name), looks[name]) for name in names], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say how far SHAP and TF-IDF agree, and how far SHAP agrees with itself."""
        last = frame[frame["size"] == frame["size"].max()]
        both = next(rows_of(last[(last["panel"] == "agreement") & last["series"].isin(["shap and tfidf", "tfidf and shap"])]), None)
        own = next(rows_of(last[(last["panel"] == "stability") & (last["series"] == "shap")]), None)
        parts = []
        if both is not None:
            parts.append(f"SHAP and TF-IDF share {per_cent(both.mean)} of their first tokens")
        if own is not None:
            parts.append(f"SHAP shares {per_cent(own.mean)} with itself on another seed")
        title = "; ".join(parts) or "How far token rankings agree"
        first = next(rows_of(frame[(frame["panel"] == "stability") & (frame["series"] == "shap")]), None)
        reading = f"At {size(int(frame['size'].max()))} on {tables.target}, mean over classes. "
        if first is not None and own is not None and first.size < own.size:
            reading += f"At {size(int(first.size))} SHAP agrees with itself in {per_cent(first.mean)}. "
        if own is not None:
            reading += f"Bars reach from the smallest to the largest of {int(own.units)} pairs of seeds ({span(100 * own.low, 100 * own.high, 0, sign=False)} %)."
        limits = "A ranking can be steady and yet useless for a prompt."
        return Words(title, reading.strip(), limits, "Line charts of the share of tokens in common against the number of labels.")


def _spelled(name: str) -> str:
    return name.replace("tfidf", "TF-IDF").replace("shap", "SHAP").replace("both", "both together")
