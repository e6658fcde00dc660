"""Figures of step narratives."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.narratives.build import Built

_KINDS = {"name": "#4c78a8", "role": "#e1812c"}


def passages_by_source(built: Built) -> Figure:
    """Return bars of passages kept by source, and the distribution of their lengths in words."""
    frame = built.passages
    counts = frame["source"].value_counts(sort=False)
    figure = Figure(figsize=(7, 2.2 + 0.3 * len(counts)), layout="constrained")
    left, right = figure.subplots(1, 2)
    sns.barplot(x=counts.to_numpy(), y=list(counts.index), color="#4c78a8", ax=left)
    for position, count in enumerate(counts):
        left.text(count, position, f" {count:,}", va="center", fontsize=8)
    left.set(xlabel="passages", ylabel="", xlim=(0, counts.max() * 1.25))
    sns.boxplot(data=frame, x="words", y="source", order=list(counts.index), color="#4c78a8", fliersize=1, linewidth=0.8, ax=right)
    right.set(xlabel="words a passage", ylabel="", yticklabels=[])
    sns.despine(figure)
    return figure


def frequent_characters(built: Built, top: int = 20) -> Figure:
    """Return bars of the names and of the roles that most passages have; ``top`` of each."""
    figure = Figure(figsize=(7, 0.8 + 0.22 * top), layout="constrained")
    for axes, (kind, colour) in zip(figure.subplots(1, 2), _KINDS.items(), strict=True):
        counts = built.characters.loc[built.characters["kind"] == kind, "character"].value_counts()
        # ties by name, so that equal runs draw equal figures
        frame = pd.DataFrame({"character": counts.index, "passages": counts.to_numpy()})
        frame = frame.sort_values(["passages", "character"], ascending=[False, True]).head(top)
        sns.barplot(data=frame, x="passages", y="character", color=colour, ax=axes)
        axes.set(xlabel="passages", ylabel="", title=f"{kind}s")
        axes.tick_params(axis="y", labelsize=8)
    sns.despine(figure)
    return figure
