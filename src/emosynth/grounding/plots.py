"""Figures of the grounding step. The report draws its own, more carefully; these are for reading the notebook."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.grounding.diversity import ALL, COMPARED
from emosynth.grounding.plan import STEPS

_MEASURES = dict(zip(COMPARED, ("distinct-1", "distinct-2", "self-repetition", "spread (cosine distance)"), strict=True))
_COLOURS = {"label": "#4c78a8", "synonym": "#72b7b2", "neighbour": "#eeca3b", "rejected": "#e45756", "empty": "#999999"}


def acceptance(rows: pd.DataFrame) -> Figure:
    """Return the share of accepted rows by arm and kind, bars labelled with the number of rows."""
    shares = rows.groupby(["arm", "kind"], sort=False)["accepted"].agg(["mean", "size"]).reset_index()
    arms, kinds = list(dict.fromkeys(shares["arm"])), list(dict.fromkeys(shares["kind"]))
    figure = Figure(figsize=(7, 1.0 + 0.55 * len(arms)), layout="constrained")
    axes = figure.subplots()
    sns.barplot(data=shares, x="mean", y="arm", hue="kind", order=arms, hue_order=kinds, palette="colorblind", errorbar=None, ax=axes)
    for bars, kind in zip(axes.containers, kinds, strict=True):
        numbers = shares[shares["kind"] == kind].set_index("arm")["size"].reindex(arms)
        axes.bar_label(bars, [f" {count:,.0f} rows" for count in numbers], fontsize=7)  # type: ignore[arg-type]
    axes.set(xlabel="share accepted", ylabel="", xlim=(0, 1.2))
    axes.legend(fontsize=8, frameon=False, title="")
    sns.despine(figure)
    return figure


def diversity_gaps(differences: pd.DataFrame, emotion: str = ALL) -> Figure:
    """Return grounded minus ungrounded by measure and kind of text: dots, with intervals over draws; right of 0 is more by grounding."""
    rows = differences[differences["emotion"] == emotion]
    pairs = list(dict.fromkeys(zip(rows["arm"], rows["against"], strict=True)))
    figure = Figure(figsize=(2.6 * len(COMPARED), 1.4 + 0.3 * len(pairs)), layout="constrained")
    panels = figure.subplots(1, len(COMPARED), sharey=True)
    for axes, measure in zip(panels, COMPARED, strict=True):
        for place, (pair, colour) in enumerate(zip(pairs, sns.color_palette("colorblind", max(1, len(pairs))), strict=False)):
            own = rows[(rows["measure"] == measure) & (rows["arm"] == pair[0]) & (rows["against"] == pair[1])].set_index("kind")
            for row, kind in enumerate(STEPS):
                if kind not in own.index:
                    continue
                y = row + 0.2 * (place - (len(pairs) - 1) / 2)
                found = own.loc[kind]
                axes.plot([found["low"], found["high"]], [y, y], color=colour, linewidth=1.2)
                axes.plot(found["difference"], y, "o", color=colour, markersize=5, label=f"{pair[0]} − {pair[1]}" if row == 0 else None)
        axes.axvline(0, color="#777777", linewidth=0.8)
        axes.set(xlabel=_MEASURES[measure], yticks=range(len(STEPS)), yticklabels=STEPS)
    panels[0].invert_yaxis()
    if len(pairs) > 1:
        panels[0].legend(fontsize=7, frameon=False)
    sns.despine(figure)
    return figure


def top_names(confusion: pd.DataFrame, top: int = 25) -> Figure:
    """Return the names that generators gave most often, with the labels they went to; colour: how they were resolved."""
    rows = confusion.head(top)
    labels = [
        f"{raw or '(none)'} → {label if isinstance(label, str) else '–'}" for raw, label in zip(rows["raw"], rows["label"], strict=True)
    ]
    figure = Figure(figsize=(7, 1.0 + 0.2 * max(1, len(rows))), layout="constrained")
    axes = figure.subplots()
    for how, colour in _COLOURS.items():
        places = [place for place, item in enumerate(rows["how"]) if item == how]
        if places:
            axes.barh(places, rows["count"].iloc[places], color=colour, label=how)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="times named")
    if len(rows):
        axes.legend(fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def explicit_by_emotion(rows: pd.DataFrame) -> Figure:
    """Return the share of accepted rows that name their emotion, by emotion and kind; a row of two emotions counts for each."""
    each = rows.loc[rows["accepted"], ["kind", "emotions", "explicit"]].explode("emotions")
    shares = each.assign(explicit=each["explicit"].astype(float)).groupby(["emotions", "kind"], sort=False)["explicit"].mean().reset_index()
    order = shares.groupby("emotions")["explicit"].mean().sort_values(ascending=False, kind="stable").index.tolist()
    figure = Figure(figsize=(6, 1.0 + 0.2 * max(1, len(order))), layout="constrained")
    axes = figure.subplots()
    if len(shares):
        sns.pointplot(
            data=shares, x="explicit", y="emotions", hue="kind", order=order, errorbar=None, linestyle="none", markersize=4,
            palette="colorblind", ax=axes,
        )  # fmt: skip
        axes.legend(fontsize=8, frameon=False, title="")
    axes.set(xlabel="share of accepted rows that name their emotion", ylabel="")
    sns.despine(figure)
    return figure
