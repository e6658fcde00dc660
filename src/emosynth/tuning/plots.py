"""Figures and tables of step 06."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure


def perplexity_curves(history: pd.DataFrame) -> Figure:
    """Return held-out perplexity by epoch, one panel a kind, one line a seed."""
    kinds = list(dict.fromkeys(history["kind"]))
    figure = Figure(figsize=(2.4 * len(kinds) + 1.6, 3.0), layout="constrained")
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    sizes = sorted(history["size"].unique())
    colours = dict(zip(sizes, sns.color_palette("colorblind", len(sizes)), strict=True))
    for axes, kind in zip(panels, kinds, strict=True):
        for (size, repeat), rows in history[history["kind"] == kind].groupby(["size", "repeat"], sort=True):
            axes.plot(
                rows["epoch"], rows["perplexity"], "o-", color=colours[size], markersize=3, linewidth=1, label=f"n = {size}" * (repeat == 0)
            )
            best = rows[rows["best"]]
            axes.plot(best["epoch"], best["perplexity"], "o", color=colours[size], markersize=7, markerfacecolor="none")
        axes.set(title=kind, xlabel="epoch", yscale="log")
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_ylabel("held-out perplexity (circle: kept)")
    panels[0].legend(fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def summary(tuned: pd.DataFrame) -> pd.DataFrame:
    """Return per kind and size: generators, share of parameters trained, epochs, perplexity before and after (means over repeats)."""
    groups = tuned.assign(share=tuned["trainable"] / tuned["total"]).groupby(["kind", "size"], sort=False)
    table = groups.agg(
        generators=("repeat", "count"),
        share=("share", "mean"),
        epochs=("best_epoch", "mean"),
        before=("perplexity_before", "mean"),
        after=("perplexity", "mean"),
    ).reset_index()
    return table.rename(columns={"share": "share trained"})
