"""The answer: macro-F1 by number of labels, for the labels alone, with checked generated text, and with as many real rows."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from emosynth.design.arms import SEED
from emosynth.evidence import Group
from emosynth.evidence.numbers import POINTS, count, gain, listed, score
from emosynth.params import Figures
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, rows_of, size_axis
from emosynth.report.tables import Headline, Tables, main_rows
from emosynth.report.wording import INTERVALS, gain_words, size
from emosynth.style import blend, current_theme, new_figure

LABELS = {"own": "your labels only", "written": "+ generated and checked", "real": "+ as many real"}


def headline_of(tables: Tables) -> Headline:
    """Return what the first page is about.

    Raises
    ------
    Missing
        If the run has no trials that it could be about.
    """
    if tables.headline is None:
        raise Missing("No written arm was trained on every seed size of the target.")
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
            for curve, arm in curves.items():
                for at in head.sizes:
                    found = scored.combine([(1.0, Group(head.corpus, learner, at, arm))])
                    if found is not None:
                        rows.append(
                            [learner, curve, arm, at, *(POINTS * value for value in (found.effect, found.low, found.high)), found.repeats]
                        )
        return pd.DataFrame(rows, columns=["learner", "curve", "arm", "size", "mean", "low", "high", "repeats"])

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw one large and one small panel."""
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
        size_axis(axes, sizes)
        ratio = sizes[-1] / sizes[0] if len(sizes) > 1 else 2.0
        axes.set_xlim(sizes[0] / ratio**0.12, sizes[-1] * ratio ** (1.1 if named else 0.15))
        axes.set_title(looks.learner(str(frame["learner"].iloc[0])), wrap=True)
        if named:
            low, high = axes.get_ylim()
            for at, (_, text, colour) in zip(_apart(ends, 0.075 * (high - low)), sorted(ends), strict=True):
                axes.annotate(
                    text,
                    (sizes[-1], at),
                    xytext=(9, 0),
                    textcoords="offset points",
                    va="center",
                    color=blend(colour, current_theme().ink, 0.3),
                    fontweight="bold",
                )

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say what checked generated text adds at the largest seed, what that is worth, and where it falls short."""
        head, looks = headline_of(tables), tables.looks
        own = headline_row(tables, head.learner, head.arm)
        real = None if head.real is None else headline_row(tables, head.learner, head.real)
        helps = [] if tables.told is None else [count(at) for at in tables.told.loc[tables.told["shown"], "size"]]
        told = f"helps at {listed(helps)} labels" if helps else f"is not shown to help at {own.size} labels"
        title = f"Written and checked text {told}" + (
            f"; at {own.size}, as many real rows add {gain(real.gain)}" if real is not None else ""
        )
        reading = (
            f"{looks.title(head.arm)} rows on {head.corpus}, {looks.learner(head.learner)}: {gain_words(own, tables.params)} at {size(own.size)} over "
            f"{score(own.score - own.gain)} with the labels alone"
        )
        reading += "." if head.honest is None else f"; cross-fitted, {gain_words(head.honest, tables.params)}."
        other = None if head.other is None else headline_row(tables, head.other, head.arm)
        if other is not None and head.other is not None:
            reading += f" With {looks.learner(head.other)}: {gain_words(other, tables.params)} at {size(other.size)}."
        limits = (
            "The arm shown is the one whose checked rows gain most with this learner over all seed sizes, chosen on these test rows, "
            "which flatters it; the cross-fitted gain is not flattered. "
        )
        alt = "Line chart of macro-F1 against the number of labelled posts; three curves with ribbons, and a small second panel for another learner."
        return Words(title, reading, limits + INTERVALS, alt)


def _apart(ends: list[tuple[float, str, str]], gap: float) -> list[float]:
    """Return places of labels, in order of value, that do not cover each other."""
    places: list[float] = []
    for value, *_ in sorted(ends):
        places.append(value if not places else max(value, places[-1] + gap))
    return places
