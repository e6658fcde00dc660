"""Diversity: whether grounding in narratives makes texts more varied, at equal amounts of text."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.authenticity.sample import ALL
from emosynth.evidence.numbers import number, span
from emosynth.params import Figures
from emosynth.report.figures.base import Figure, Words, bare, dot_interval, handle, legend_below, limits_of, rows_of, zero_line
from emosynth.report.tables import Missing, Tables
from emosynth.style import current_theme, new_figure

NAMES = {
    "distinct_1": "distinct words",
    "distinct_2": "distinct word pairs",
    "self_repetition": "repeated 4-grams",
    "spread": "spread of embeddings",
}
KINDS = {"utterance": "utterances", "context": "contexts", "contextless": "texts told anew", "text": "texts"}


class Diversity(Figure):
    """A panel a measure: grounded minus ungrounded."""

    name = "diversity"
    label = "Diversity"
    page = "authenticity"
    order = 20
    reads = ("authenticity/diversity",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return differences of accepted texts by measure, kind and label; labels with too few texts are left out."""
        rows = tables.need("authenticity/diversity")
        rows = rows[
            (rows["corpus"] == tables.target) & (rows["against"].fillna("") != "") & rows["verified"].astype(bool) & rows["value"].notna()
        ]
        if rows.empty:
            raise Missing("No grounded arm stands beside an ungrounded one.")
        order = {name: place for place, name in enumerate(NAMES)}
        rows = rows.assign(m=rows["measure"].map(order)).sort_values(["m", "kind", "label"], kind="stable")
        return rows[["measure", "kind", "label", "arm", "against", "value", "low", "high", "n_texts"]].reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw the difference over all labels as a dot, and each label as a faint mark."""
        theme, measures = current_theme(), [name for name in NAMES if name in set(frame["measure"])]
        kinds = list(dict.fromkeys(frame["kind"]))
        look = {"color": theme.ink, "marker": "o", "linestyle": "none"}
        fig = new_figure(figures, 1.5 + 0.55 * len(kinds))
        for axes, measure in zip(fig.subplots(1, len(measures), squeeze=False, sharey=True)[0], measures, strict=True):
            rows = frame[frame["measure"] == measure]
            axes.set_xlim(limits_of(rows, "value"))
            zero_line(axes)
            for row in rows_of(rows):
                if row.label == ALL:
                    dot_interval(axes, row.value, kinds.index(row.kind), (row.low, row.high), look)
                else:
                    axes.plot([row.value], [kinds.index(row.kind) + 0.22], marker="|", color=theme.muted, alpha=0.7)
            bare(axes, [KINDS.get(kind, kind) for kind in kinds])
            axes.set_title(NAMES[measure], wrap=True)
            axes.locator_params(axis="x", nbins=3)
        marks = [
            handle("all labels", look, line=False),
            handle("one label", {"color": theme.muted, "marker": "|", "linestyle": "none"}, line=False),
        ]
        legend_below(fig, marks, 2)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say in how many comparisons grounding is shown to be the more diverse."""
        rows = frame[(frame["label"] == ALL) & (frame["measure"] != "self_repetition")]
        more, less = int((rows["low"] > 0).sum()), int((rows["high"] < 0).sum())
        arm, against = (tables.looks.title(str(frame[name].iloc[0])) for name in ("arm", "against"))
        title = f"{arm} text is more diverse than {against} in {more} of {len(rows)} comparisons, less in {less}"
        parts = [
            f"{NAMES[row.measure]} of {KINDS.get(row.kind, row.kind)} {number(row.value, 3, sign=True)} ({span(row.low, row.high, 3)})"
            for row in rows_of(rows)
        ]
        reading = f"Differences at equal numbers of tokens, shares between 0 and 1: {'; '.join(parts)}."
        return Words(
            title,
            reading,
            "Diverse texts need not be good ones: noise is diverse, too.",
            "Dots with intervals of differences in diversity, one panel a measure.",
        )
