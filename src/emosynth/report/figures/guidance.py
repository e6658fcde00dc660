"""The page on guidance: words that carry a class, and whether rankings of them agree."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.numbers import number, per_cent, size, some, span
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures.base import Figure, Missing, Words, rows_of
from emosynth.report.tables import Tables
from emosynth.style import current_theme, drawn_names, new_figure, palette_colour

SHOWN = 8
_PANELS_WIDE = 3
_CLASSES = 9


class Tokens(Figure):
    """Bars of SHAP values, a panel a class."""

    name = "tokens"
    label = "Words that carry a class"
    page = "guidance"
    order = 10
    reads = ("materials/tokens",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return the tokens with the highest mean SHAP value by class, and in how many repeats each is among the first, at the largest seed."""
        rows = tables.need("materials/tokens")
        rows = rows[(rows["corpus"] == tables.target) & (rows["size"] == rows.loc[rows["corpus"] == tables.target, "size"].max())]
        if rows.empty:
            raise Missing(f"There are no ranked tokens of {tables.target}.")
        repeats = int(rows["repeat"].nunique())
        first = rows["rank_shap"] - rows.groupby(["repeat", "label"])["rank_shap"].transform("min") < SHOWN
        found = rows.assign(first=first).groupby(["label", "token"], sort=True)[["shap", "first"]].sum().reset_index()
        found = found.assign(shap=found["shap"] / repeats, repeats=repeats, size=int(rows["size"].max()))
        found = found.sort_values(["label", "shap", "token"], ascending=[True, False, True], kind="stable")
        classes = [label for label in tables.corpora[tables.target]["classes"] if label in set(found["label"])][:_CLASSES]
        return pd.concat([found[found["label"] == label].head(SHOWN) for label in classes], ignore_index=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        labels = list(dict.fromkeys(frame["label"]))
        titles = drawn_names(list(map(str, labels)), 22)
        fig = new_figure(figures, 0.4 + 2.2 * -(-len(labels) // _PANELS_WIDE))
        for place, (axes, label) in enumerate(zip(chart.grid_of(fig, len(labels), _PANELS_WIDE), labels, strict=True)):
            rows = frame[frame["label"] == label]
            colour = palette_colour(place % 9)
            bars = axes.barh(range(len(rows)), rows["shap"], color=colour, height=0.62)
            for bar, share in zip(bars, rows["first"] / rows["repeats"], strict=True):
                bar.set_alpha(0.3 + 0.7 * share)
            axes.set_yticks(range(len(rows)), drawn_names(rows["token"].astype(str).tolist(), 16))
            axes.set_ylim(len(rows) - 0.4, -0.6)
            axes.set_title(titles[place])
            axes.tick_params(axis="x", labelcolor=current_theme().muted)
            axes.grid(axis="x")
            axes.grid(visible=False, axis="y")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        repeats = int(frame["repeats"].iloc[0])
        steady = int((frame["first"] == frame["repeats"]).sum())
        title = f"{steady} of {len(frame)} strongest tokens are among the first {SHOWN} in every one of {some(repeats, 'seed')}"
        strongest = chart.top(frame, "shap")
        reading = (
            f"SHAP values of a classifier fitted on {size(int(frame['size'].iloc[0]))} labels of {tables.target}, mean over repeats. Strongest: "
            f"“{strongest['token']}” for {strongest['label']} ({number(float(strongest['shap']), 2)}). Pale bars: ranked high in few repeats."
        )
        limits = "They describe a model of few rows, not the language."
        return Words(title, reading, limits, "Bars of SHAP values of the strongest tokens, one panel a class.")


# --- whether token rankings agree: SHAP with TF-IDF on one seed, and each with itself from seed to seed ---

_PANELS = {"stability": "same ranking, other seeds", "agreement": "same seed, other ranking"}
_MARKERS = "oXv^Ps"


class TokenAgreement(Figure):
    """Share of the first tokens that two rankings have in common, by seed size."""

    name = "token_agreement"
    label = "Agreement of rankings"
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
            found = means.groupby(["series", "size"], sort=True)["overlap"].agg(mean="mean", low="min", high="max", units="count")
            parts.append(found.reset_index().assign(panel=panel))
        if not parts:
            raise Missing("The run holds no comparison of token rankings.")
        return pd.concat(parts, ignore_index=True)[["panel", "series", "size", "mean", "low", "high", "units"]]

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
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
                x = line["size"] * chart.dodged(place, rows["series"].nunique(), sizes)
                chart.dotted(axes, x, line, "mean", looks[name])
            chart.size_axis(axes, sizes)
            axes.set_xlim(sizes[0] / chart.BEYOND, sizes[-1] * chart.BEYOND)
            axes.set_title(_PANELS[panel])
        fig.axes[0].set_ylabel("share of first tokens in common")
        chart.legend_below(fig, [chart.handle(_spelled(name), looks[name]) for name in names], 4)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
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
