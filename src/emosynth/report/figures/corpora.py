"""The answer on every corpus: what the main arms gain over the labels alone, by seed size."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence import usable
from emosynth.evidence.numbers import POINTS, count, listed, some
from emosynth.params import Figures
from emosynth.report.figures.answer import headline_of
from emosynth.report.figures.base import (
    SCORES,
    Figure,
    Missing,
    Words,
    dot_interval,
    handle,
    legend_below,
    limits_of,
    rows_of,
    size_axis,
    zero_line,
)  # fmt: skip
from emosynth.report.tables import Tables, main_rows
from emosynth.report.wording import INTERVALS
from emosynth.style import new_figure

MOST = 4
"""Written arms that are drawn."""


class Corpora(Figure):
    """A panel a corpus; the first written arms that were run on every corpus and seed size, beside as many real rows."""

    name = "corpora"
    label = "Every corpus"
    page = "index"
    order = 1
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return gains in points with intervals by corpus, arm and seed size, with the headline's learner."""
        head = headline_of(tables)
        assert tables.contrasts is not None
        rows = main_rows(tables.contrasts)
        rows = rows[(rows["learner"] == head.learner) & (rows["version"] == "")]
        seen = rows.drop_duplicates(["arm", "corpus", "size"])["arm"].value_counts()
        whole = set(seen.index[seen == seen.max()])
        written = [name for name, arm in tables.params.arms.items() if name in whole and usable(arm)][:MOST]
        frame = rows[rows["arm"].isin([head.real, *written])][["corpus", "size", "arm", "learner", "gain", "low", "high", "repeats"]]
        frame = frame.assign(**{name: POINTS * frame[name] for name in ("gain", "low", "high")})
        places = {name: place for place, name in enumerate((*tables.params.corpora.names, *tables.looks.arms))}
        keys = frame.assign(corpus=frame["corpus"].map(places), arm=frame["arm"].map(places))
        return frame.loc[keys.sort_values(["corpus", "arm", "size"], kind="stable").index].reset_index(drop=True)

    def signal(self, frame: pd.DataFrame, tables: Tables) -> str:
        """One corpus is told above."""
        return "" if frame["corpus"].nunique() > 1 else "The profile has one corpus."

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw dots with intervals, a little apart, joined over seed sizes."""
        looks, corpora = tables.looks, list(dict.fromkeys(frame["corpus"]))
        arms = looks.order(frame["arm"])
        fig = new_figure(figures, 0.9 + 2.3 * ((len(corpora) + 1) // 2))
        panels = fig.subplots((len(corpora) + 1) // 2, min(2, len(corpora)), squeeze=False, sharey=True)
        limits = limits_of(frame)
        for axes in panels.flat[len(corpora) :]:
            axes.set_visible(False)
        for axes, corpus in zip(panels.flat, corpora, strict=False):
            own = frame[frame["corpus"] == corpus]
            sizes = sorted(set(own["size"]))
            axes.set_ylim(limits)
            zero_line(axes, horizontal=False)
            spread = (sizes[-1] / sizes[0]) ** (0.16 / len(sizes)) if len(sizes) > 1 else 1.15
            for place, arm in enumerate(arms):
                line, look = own[own["arm"] == arm], looks.look(arm)
                x = line["size"] * spread ** (2 * place / max(1, len(arms) - 1) - 1)
                axes.plot(x, line["gain"], color=look["color"], alpha=0.6, linewidth=1.0)
                for at, row in zip(x, rows_of(line), strict=True):
                    dot_interval(axes, row.gain, at, (row.low, row.high), look, size=5.0, horizontal=False)
            size_axis(axes, sizes)
            axes.set_xlim(sizes[0] / spread**2, sizes[-1] * spread**2)
            axes.set_title(corpus)
        for axes in panels[:, 0]:
            axes.set_ylabel("gain (F1 points)")
        legend_below(fig, [handle(looks.title(arm), looks.look(arm)) for arm in arms], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say on how many corpora written text is shown to help with learners of the headline's kind."""
        head, looks = headline_of(tables), tables.looks
        if tables.answers is None or tables.told is None:
            raise Missing("The run holds no answers.")
        rows = tables.answers[tables.answers["kind"] == tables.told["kind"].iloc[0]]
        helps = [str(corpus) for corpus, own in rows.groupby("corpus", sort=False) if own["shown"].any()]
        title = f"Written and checked text is shown to help on {count(len(helps))} of {some(rows['corpus'].nunique(), 'corpus', 'corpora')}"
        at = [
            f"{corpus}, {listed([count(item) for item in sorted(set(own['size']))])} labels"
            for corpus, own in frame.groupby("corpus", sort=False)
        ]
        reading = f"Gain over the labels alone with {looks.learner(head.learner)}: {'; '.join(at)}."
        if helps:
            reading += f" The best way is shown to help on {listed(helps)}, cross-fitted and corrected for all rows of the table below."
        limits = (
            f"Drawn are the first {MOST} written arms, in the order of the parameters, that were run in every cell: none was picked for its gain. "
            "These intervals are not corrected for the number of arms and cells. "
        )
        alt = "Dots with intervals of the gain in macro-F1 by seed size, one panel a corpus, one line an arm."
        return Words(title, reading, limits + INTERVALS, alt)
