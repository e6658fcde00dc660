"""The first page: macro-F1 by number of labels on the target, and gains on every corpus."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from emosynth.design.arms import SEED
from emosynth.evidence import Group, usable
from emosynth.evidence.numbers import INTERVALS, count, gain, gain_words, known, listed, score, size, some
from emosynth.params import Figures, Params
from emosynth.report.figures import base as chart
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, rows_of
from emosynth.report.tables import Headline, Tables, main_rows
from emosynth.style import blend, current_theme, new_figure

LABELS = {"own": "your labels only", "written": "+ generated and checked", "real": "+ as many real"}


def headline_of(tables: Tables) -> Headline:
    """Return what the first page is about. Raises Missing if the run has no trials that it could be about."""
    if tables.headline is None:
        raise Missing("No written arm was trained beside the labels alone on the target.")
    return tables.headline


def headline_row(tables: Tables, learner: str, arm: str) -> Any:
    """Return the contrast of a headline arm at the largest seed size; None: there is none."""
    head = headline_of(tables)
    assert tables.contrasts is not None
    rows = main_rows(tables.contrasts)
    rows = rows[(rows["corpus"] == head.corpus) & (rows["learner"] == learner) & (rows["arm"] == arm) & (rows["version"] == "")]
    return next(rows_of(rows[rows["size"] == rows["size"].max()]), None)


class Answer(Figure):
    """Three directly labelled curves with ribbons; beside them the learner with which the arm falls short most."""

    name = "answer"
    label = "The answer"
    page = "index"
    order = 0
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return mean macro-F1 in points with its interval, by learner, curve and seed size."""
        head, scored = headline_of(tables), tables.scored
        assert scored is not None
        curves = {"own": SEED, "written": head.arm, **({"real": head.real} if head.real else {})}
        rows = []
        for learner in [head.learner, *([head.other] if head.other else [])]:
            for at in head.sizes:
                groups = {curve: Group(head.corpus, learner, at, arm) for curve, arm in curves.items()}
                groups = {curve: group for curve, group in groups.items() if group in scored.groups}
                repeats = scored.shared(groups.values()) or None if groups else None
                for curve, group in groups.items():
                    found = scored.combine([(1.0, group)], repeats=repeats)
                    assert found is not None
                    rows.append([learner, curve, group.arm, at, found.effect, found.low, found.high, found.repeats])
        frame = pd.DataFrame(rows, columns=["learner", "curve", "arm", "size", "mean", "low", "high", "repeats"])
        learners = dict.fromkeys(frame["learner"])
        return chart.ordered(chart.in_points(frame, "mean", "low", "high"), ["learner", "curve", "size"], learner=learners, curve=curves)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        learners = list(dict.fromkeys(frame["learner"]))
        fig = new_figure(figures, 3.9)
        panels = fig.subplots(1, len(learners), squeeze=False, width_ratios=[1.9, 1][: len(learners)])[0]
        for place, (axes, learner) in enumerate(zip(panels, learners, strict=True)):
            self._panel(axes, frame[frame["learner"] == learner], tables, named=place == 0)
        panels[0].set_ylabel("macro-F1 on real test rows (points)")
        return fig

    def _panel(self, axes: Axes, frame: pd.DataFrame, tables: Tables, *, named: bool) -> None:
        looks, sizes = tables.looks, sorted(set(frame["size"]))
        ends = []
        for curve in dict.fromkeys(frame["curve"]):
            line = frame[frame["curve"] == curve].sort_values("size")
            look = looks.look(str(line["arm"].iloc[0]))
            axes.fill_between(line["size"], line["low"], line["high"], color=look["color"], alpha=0.13, linewidth=0)
            axes.plot(line["size"], line["mean"], **{**look, "markersize": 5.5})
            ends.append((float(line["mean"].iloc[-1]), LABELS[str(curve)], look["color"]))
        chart.size_axis(axes, sizes)
        ratio = sizes[-1] / sizes[0] if len(sizes) > 1 else 2.0
        axes.set_xlim(sizes[0] / ratio**0.12, sizes[-1] * ratio ** (1.1 if named else 0.15))
        axes.set_title(looks.learner(str(frame["learner"].iloc[0])), wrap=True)
        if named:
            low, high = axes.get_ylim()
            for at, (_, text, colour) in zip(_apart(ends, 0.075 * (high - low)), sorted(ends), strict=True):
                axes.annotate(
                    text, (sizes[-1], at), xytext=(9, 0), textcoords="offset points", va="center",
                    color=blend(colour, current_theme().ink, 0.3), fontweight="bold",
                )  # fmt: skip

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        head, looks = headline_of(tables), tables.looks
        own = headline_row(tables, head.learner, head.arm)
        real = None if head.real is None else headline_row(tables, head.learner, head.real)
        helps = [] if tables.told is None else [count(at) for at in tables.told.loc[tables.told["shown"], "size"]]
        told = f"helps at {listed(helps)} labels" if helps else f"is not shown to help at {count(own.size)} labels"
        title = f"Written and checked text {told}"
        title += f"; at {count(own.size)}, as many real rows add {gain(real.gain)}" if real is not None else ""
        reading = (
            f"{looks.title(head.arm)} rows on {head.corpus}, {looks.learner(head.learner)}: {gain_words(own, tables.params)} at {size(own.size)} over "
            f"{score(own.score - own.gain)} with the labels alone"
        )
        reading += f"; cross-fitted, {gain_words(head.row, tables.params)}." if known(head.row.gain) else "."
        other = None if head.other is None else headline_row(tables, head.other, head.arm)
        if other is not None and head.other is not None:
            reading += f" With {looks.learner(head.other)}: {gain_words(other, tables.params)} at {size(other.size)}."
        limits = (
            "The arm shown is the one that gains most with this learner at the largest seed, chosen on these test rows, "
            "which flatters it; the cross-fitted gain is not flattered. Curves of one panel are means over the same repeats. "
        )
        alt = "Line chart of macro-F1 against the number of labelled posts; three curves with ribbons, and a small second panel for another learner."
        return Words(title, reading, limits + INTERVALS, alt)


def _apart(ends: list[tuple[float, str, str]], gap: float) -> list[float]:
    """Return places of labels, in order of value, that do not cover each other."""
    places: list[float] = []
    for value, *_ in sorted(ends):
        places.append(value if not places else max(value, places[-1] + gap))
    return places


# --- the answer on every corpus: what the main arms gain over the labels alone, by seed size ---

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
        return chart.ordered(chart.in_points(frame), ["corpus", "arm", "size"], corpus=tables.params.corpora.names, arm=tables.looks.arms)

    def applies(self, params: Params) -> bool:
        return len(params.corpora.names) > 1

    def signal(self, frame: pd.DataFrame, tables: Tables) -> str:
        return "" if frame["corpus"].nunique() > 1 else "The run holds trials on one corpus."

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks, corpora = tables.looks, list(dict.fromkeys(frame["corpus"]))
        arms = looks.order(frame["arm"])
        fig = new_figure(figures, 0.9 + 2.3 * ((len(corpora) + 1) // 2))
        panels = chart.grid_of(fig, len(corpora), 2, sharey=True)
        limits = chart.limits_of(frame)
        for axes, corpus in zip(panels, corpora, strict=True):
            own = frame[frame["corpus"] == corpus]
            sizes = sorted(set(own["size"]))
            axes.set_ylim(limits)
            chart.zero_line(axes, horizontal=False)
            spread = (sizes[-1] / sizes[0]) ** (0.16 / len(sizes)) if len(sizes) > 1 else 1.15
            for place, arm in enumerate(arms):
                line, look = own[own["arm"] == arm], looks.look(arm)
                x = line["size"] * spread ** (2 * place / max(1, len(arms) - 1) - 1)
                chart.dotted(axes, x, line, "gain", look, alpha=0.6, linewidth=1.0)
            chart.size_axis(axes, sizes)
            axes.set_xlim(sizes[0] / spread**2, sizes[-1] * spread**2)
            axes.set_title(corpus)
        for axes in panels[::2]:
            axes.set_ylabel("gain (F1 points)")
        chart.legend_below(fig, [chart.handle(looks.title(arm), looks.look(arm)) for arm in arms], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        head, looks = headline_of(tables), tables.looks
        if tables.answers is None or tables.told is None:
            raise Missing("The run holds no answers.")
        rows = tables.answers[tables.answers["kind"] == tables.told["kind"].iloc[0]]
        helps = [str(corpus) for corpus, own in rows.groupby("corpus", sort=False) if own["shown"].any()]
        title = f"Written and checked text is shown to help on {count(len(helps))} of {some(rows['corpus'].nunique(), 'corpus', 'corpora')}"
        sizes = {str(corpus): sorted(set(own["size"])) for corpus, own in frame.groupby("corpus", sort=False)}
        at = [f"{corpus}, {listed([count(item) for item in own])} labels" for corpus, own in sizes.items()]
        reading = f"Gain over the labels alone with {looks.learner(head.learner)}: {'; '.join(at)}."
        if helps:
            reading += f" The best way is shown to help on {listed(helps)}, cross-fitted and corrected for all rows of the table below."
        limits = (
            f"Drawn are the first {MOST} written arms, in the order of the parameters, that were run in every cell: none was picked for its gain. "
            "These intervals are not corrected for the number of arms and cells. "
        )
        alt = "Dots with intervals of the gain in macro-F1 by seed size, one panel a corpus, one line an arm."
        return Words(title, reading, limits + INTERVALS, alt)
