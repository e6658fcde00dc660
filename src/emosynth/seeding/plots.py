"""Figure of step 01."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.corpora import Corpus
from emosynth.params import Seeding
from emosynth.seeding.seeds import seed_rows


def class_shares(order: pd.DataFrame, corpus: Corpus, seeding: Seeding) -> Figure:
    """Return the share of each class in each seed (all repeats) beside its share in the training split."""
    records = [
        {"n": f"n = {size}", "class": label, "share": float((seed_rows(order, repeat, size)["label"] == label).mean())}
        for size in seeding.sizes
        for repeat in range(seeding.repeats)
        for label in corpus.classes
    ]
    whole = order[order["repeat"] == 0]["label"].value_counts(normalize=True)
    records += [{"n": "train", "class": label, "share": float(whole.get(label, 0.0))} for label in corpus.classes]
    figure = Figure(figsize=(7, 0.8 + 0.35 * len(corpus.classes)), layout="constrained")
    axes = figure.subplots()
    sns.stripplot(data=pd.DataFrame(records), x="share", y="class", hue="n", dodge=True, jitter=False, size=5, ax=axes)
    axes.set(xlabel="share of rows", ylabel="")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    sns.despine(figure)
    return figure
