"""Tokens: what speaks most for each class in the seed."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.numbers import number, some
from emosynth.params import Figures
from emosynth.report.figures.base import Figure, Words
from emosynth.report.tables import Missing, Tables
from emosynth.report.wording import size
from emosynth.style import current_theme, drawn_name, new_figure, palette_colour

SHOWN = 8
_COLUMNS = 3
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
        found = (
            rows.assign(first=first).groupby(["label", "token"], sort=True).agg(shap=("shap", "sum"), first=("first", "sum")).reset_index()
        )
        found = found.assign(shap=found["shap"] / repeats, repeats=repeats, size=int(rows["size"].max()))
        found = found.sort_values(["label", "shap", "token"], ascending=[True, False, True], kind="stable")
        classes = [label for label in tables.corpora[tables.target]["classes"] if label in set(found["label"])][:_CLASSES]
        return pd.concat([found[found["label"] == label].head(SHOWN) for label in classes], ignore_index=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw bars; those of tokens that every repeat ranks high are full."""
        labels = list(dict.fromkeys(frame["label"]))
        lines = -(-len(labels) // _COLUMNS)
        fig = new_figure(figures, 0.4 + 2.2 * lines)
        grid = fig.subplots(lines, min(_COLUMNS, len(labels)), squeeze=False)
        for axes in grid.flat[len(labels) :]:
            axes.set_visible(False)
        for place, (axes, label) in enumerate(zip(grid.flat, labels, strict=False)):
            rows = frame[frame["label"] == label]
            colour = palette_colour(place % 9)
            bars = axes.barh(range(len(rows)), rows["shap"], color=colour, height=0.62)
            for bar, share in zip(bars, rows["first"] / rows["repeats"], strict=True):
                bar.set_alpha(0.3 + 0.7 * share)
            axes.set_yticks(range(len(rows)), [drawn_name(str(token), 16) for token in rows["token"]])
            axes.set_ylim(len(rows) - 0.4, -0.6)
            axes.set_title(drawn_name(str(label), 22))
            axes.tick_params(axis="x", labelcolor=current_theme().muted)
            axes.grid(axis="x")
            axes.grid(visible=False, axis="y")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say how many of the strongest tokens every repeat finds."""
        repeats = int(frame["repeats"].iloc[0])
        steady = int((frame["first"] == frame["repeats"]).sum())
        title = f"{steady} of {len(frame)} strongest tokens are among the first {SHOWN} in every one of {some(repeats, 'seed')}"
        strongest = frame.iloc[int(frame["shap"].to_numpy().argmax())]
        reading = (
            f"SHAP values of a classifier fitted on {size(int(frame['size'].iloc[0]))} labels of {tables.target}, mean over repeats. Strongest: "
            f"“{strongest['token']}” for {strongest['label']} ({number(float(strongest['shap']), 2)}). Pale bars: ranked high in few repeats."
        )
        return Words(
            title,
            reading,
            "They describe a model of few rows, not the language.",
            "Bars of SHAP values of the strongest tokens, one panel a class.",
        )
