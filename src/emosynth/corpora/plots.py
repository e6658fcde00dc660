"""Figures of step 00."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.corpora.build import Corpus
from emosynth.text import words


def class_counts(corpus: Corpus) -> Figure:
    """Return bars of the training rows of each class, the rarest marked by its share."""
    counts = pd.Series({label: int(corpus.counts["train"][label]) for label in corpus.classes})
    figure = Figure(figsize=(7, 0.6 + 0.28 * len(counts)), layout="constrained")
    axes = figure.subplots()
    sns.barplot(x=counts.to_numpy(), y=list(counts.index), color="#4c78a8", ax=axes)
    total = int(corpus.counts["train"]["all"])
    for position, count in enumerate(counts):
        axes.text(count, position, f" {count:,} ({count / total:.1%})", va="center", fontsize=8)
    axes.set(xlabel=f"training rows of {corpus.name}", ylabel="", xlim=(0, counts.max() * 1.2))
    sns.despine(figure)
    return figure


def text_lengths(corpus: Corpus) -> Figure:
    """Return the distribution of lengths in words by split."""
    frame = corpus.frame.assign(words=[min(len(words(text)), 80) for text in corpus.frame["text"]])
    figure = Figure(figsize=(7, 2.4), layout="constrained")
    axes = figure.subplots()
    sns.histplot(
        data=frame,
        x="words",
        hue="split",
        hue_order=["train", "validation", "test"],
        stat="density",
        common_norm=False,
        element="step",
        fill=False,
        binwidth=2,
        ax=axes,
    )
    axes.set(xlabel=f"words per text of {corpus.name} (longer than 80: at 80)")
    sns.despine(figure)
    return figure
