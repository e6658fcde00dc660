"""Tuning: whether a writer that is tuned on the seed learns to write like it."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.numbers import number, some
from emosynth.params import Figures
from emosynth.report.figures.base import Figure, Words, handle, legend_below
from emosynth.report.tables import Missing, Tables
from emosynth.report.wording import size
from emosynth.style import new_figure, palette_colour


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
        """Draw a panel a seed size."""
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
        legend_below(fig, [handle(name, look) for name, look in zip(names, looks, strict=True)], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say how far perplexity falls at the largest seed."""
        rows = frame[frame["size"] == frame["size"].max()]
        before = float(rows.loc[rows["epoch"] == 0, "perplexity"].mean())
        best = rows[rows["best"].astype(bool)]
        after = float(best["perplexity"].mean())
        title = f"Tuning on {int(rows['size'].max())} labels changes the perplexity of held-out seed rows from {number(before)} to {number(after)}"
        reading = f"Mean over {some(len(best), 'tuned writer')} at {size(int(rows['size'].max()))}. Dots: the epoch that is kept."
        limits = "Held-out rows are a tenth of the seed, a few texts. Lower perplexity is not yet better text."
        return Words(title, reading, limits, "Line charts of perplexity by epoch, one line a seed.")
