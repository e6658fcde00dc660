"""The first page: macro-F1 by number of labels on the target, and the judged gain on every corpus."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from emosynth.design.arms import SEED
from emosynth.evidence import Group
from emosynth.evidence.contrasts import LEAST
from emosynth.evidence.numbers import INTERVALS, count, gain_words, known, level, listed, number, of_points, score, size, some
from emosynth.evidence.numbers import told as gain_told
from emosynth.params import Figures, Params
from emosynth.report.figures import base as chart
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, rows_of
from emosynth.report.ranges import possible
from emosynth.report.tables import Headline, Tables, main_rows
from emosynth.style import blend, current_theme, drawn_names, new_figure, palette_colour

_LINES = {"real": (0, (4, 1.5)), "other": (0, (1, 1.5))}
LABELS = {"own": "your labels only", "written": "+ generated and checked", "real": "+ as many real"}


def headline_of(tables: Tables) -> Headline:
    """Return what the first page is about. Raises Missing if the run has no trials that it could be about."""
    if tables.headline is None:
        raise Missing("No written arm was trained beside the labels alone on the target.")
    return tables.headline


def headline_rows(tables: Tables, learner: str, arm: str) -> list[Any]:
    """Return the contrasts of a headline arm with the labels alone, by seed size."""
    head = headline_of(tables)
    assert tables.contrasts is not None
    rows = main_rows(tables.contrasts)
    rows = rows[(rows["corpus"] == head.corpus) & (rows["learner"] == learner) & (rows["arm"] == arm) & (rows["version"] == "")]
    return list(rows_of(rows[rows["size"].isin(head.sizes)].sort_values("size", kind="stable")))


def gains_told(rows: list[Any]) -> str:
    """Write gains by number of labels: those above zero by their own intervals first, then those that are not told from zero, then losses."""
    kinds = {"": [row for row in rows if row.low > 0], "not told from zero: ": [row for row in rows if not row.low > 0 and not row.high < 0],
             "a loss: ": [row for row in rows if row.high < 0]}  # fmt: skip
    parts = []
    for words, own in kinds.items():
        said = [f"{gain_told(row.gain, row.low, row.high)} at {count(row.size)}{' labels' if row is rows[0] else ''}" for row in own]
        parts += [f"{words}{listed(said)}"] if said else []
    return "; ".join(parts)


class Answer(Figure):
    """Directly labelled curves with ribbons, the best other classifier with the labels alone among them; beside them the learner with which the arm falls short most."""

    name = "answer"
    label = "The answer"
    page = "index"
    order = 0
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return mean macro-F1 in points with its interval, by panel (``learner``), curve and seed size; ``by``: the learner that the curve is of.

        Intervals are cut to what a score can be; ``results/alone.csv`` holds them as they were made.
        """
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
                    rows.append([learner, curve, learner, group.arm, at, found.effect, found.low, found.high, found.repeats])
        by = _other(tables, head)
        for at in head.sizes if by else ():
            found = scored.combine([(1.0, Group(head.corpus, by, at, SEED))])
            rows += [] if found is None else [[head.learner, "other", by, SEED, at, found.effect, found.low, found.high, found.repeats]]
        frame = pd.DataFrame(rows, columns=["learner", "curve", "by", "arm", "size", "mean", "low", "high", "repeats"])
        learners, places = dict.fromkeys(frame["learner"]), [*curves, "other"]
        frame = possible(chart.in_points(frame, "mean", "low", "high"))
        return chart.ordered(frame, ["learner", "curve", "size"], learner=learners, curve=places)

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
            look = self._look(str(curve), frame, tables)
            axes.fill_between(line["size"], line["low"], line["high"], color=look["color"], alpha=0.13, linewidth=0)
            axes.plot(line["size"], line["mean"], **{**look, "markersize": 5.5})
            name = LABELS.get(str(curve)) or looks.learner(str(line["by"].iloc[0]))
            ends.append((float(line["mean"].iloc[-1]), name, look["color"]))
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

    def _look(self, curve: str, frame: pd.DataFrame, tables: Tables) -> dict[str, Any]:
        """Return the look of a curve: an arm's own, but real rows and the other classifier in colours that no other has, dashed and dotted."""
        curves = frame.drop_duplicates("curve").set_index("curve")
        look = tables.looks.look(str(curves.loc[curve, "arm"]))
        if curve not in _LINES:
            return look
        taken = tables.looks.colour(str(curves.loc["written", "arm"])) if "written" in curves.index else ""
        colour = [colour for colour in map(palette_colour, (1, 2, 3)) if colour != taken][list(_LINES).index(curve)]
        marker = {} if curve == "real" else {"marker": tables.looks.learner_look(str(curves.loc[curve, "by"]))["marker"]}
        return {**look, **marker, "color": colour, "markerfacecolor": colour, "markeredgecolor": colour, "linestyle": _LINES[curve]}

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        head, looks = headline_of(tables), tables.looks
        rows = headline_rows(tables, head.learner, head.arm)
        own, helps = rows[-1], [] if tables.told is None else [count(at) for at in tables.told.loc[tables.told["shown"], "size"]]
        shown = f"is shown to help at {listed(helps)} labels" if helps else "is shown to help at none of these sizes"
        title = f"{looks.title(head.arm)} rows on {head.corpus}, checked, with {looks.learner(head.learner)}: {gains_told(rows)}"
        title = f"{title[:1].upper()}{title[1:]}. After correction the best way {shown}"
        real = [] if head.real is None else headline_rows(tables, head.learner, head.real)
        reading = (
            f"Points of macro-F1 over the labels alone, {level(tables.params)}s. At {size(own.size)}: {gain_words(own, tables.params)} over "
            f"{score(own.score - own.gain)} with the labels alone"
        )
        reading += f"; the best way there, cross-fitted: {gain_words(head.row, tables.params)}." if known(head.row.gain) else "."
        reading += f" As many real rows: {gains_told(real)}." if real else ""
        others = [] if head.other is None else headline_rows(tables, head.other, head.arm)
        if others and head.other is not None:
            reading += f" With {looks.learner(head.other)}: {gains_told(others)}."
        other = frame[frame["curve"] == "other"]
        if len(other):
            levels = [f"{number(row.mean)} at {count(row.size)}" for row in rows_of(other)]
            reading += f" With the labels alone and {looks.learner(str(other['by'].iloc[0]))}: {listed(levels)}."
        limits = (
            "The arm shown is the one that gains most with this learner at the largest seed, chosen on these test rows, "
            "which flatters it, and its intervals are not corrected; the cross-fitted gain is not flattered. "
        )
        alt = "Line chart of macro-F1 against the number of labelled posts; curves with ribbons, and a small second panel for another learner."
        return Words(title, reading, limits + INTERVALS, alt)


def _other(tables: Tables, head: Headline) -> str:
    """Return the learner, other than the headline's, that scores best with the labels alone at the smallest size; empty: none was run there."""
    assert tables.alone is not None
    found = tables.alone
    found = found[
        (found["corpus"] == head.corpus)
        & (found["size"] == head.sizes[0])
        & (found["learner"] != head.learner)
        & (found["repeats"] >= LEAST)
    ]
    return str(chart.top(found, "score")["learner"]) if len(found) else ""


def _apart(ends: list[tuple[float, str, str]], gap: float) -> list[float]:
    """Return places of labels, in order of value, that do not cover each other."""
    places: list[float] = []
    for value, *_ in sorted(ends):
        places.append(value if not places else max(value, places[-1] + gap))
    return places


# --- the answer on every corpus: what is judged, the cross-fitted gain of the best way over the labels alone ---


class Corpora(Figure):
    """A row a corpus, seed size and kind of learner: the answer as the table of the first page has it."""

    name = "corpora"
    label = "Every corpus"
    page = "index"
    order = 1
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return the answers: cross-fitted gains in points with intervals, by corpus, size and kind of learner, and whether each is shown."""
        headline_of(tables)
        assert tables.answers is not None
        names = ["corpus", "size", "learner", "kind", "arm", "gain", "low", "high", "picked", "p_adjusted", "shown", "repeats"]
        rows = tables.answers[names].sort_values("size", kind="stable")
        return chart.ordered(chart.in_points(rows, "gain", "low", "high", "picked"), ["corpus"], corpus=tables.params.corpora.names)

    def applies(self, params: Params) -> bool:
        return len(params.corpora.names) > 1

    def signal(self, frame: pd.DataFrame, tables: Tables) -> str:
        return "" if frame["corpus"].nunique() > 1 else "The run holds trials on one corpus."

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks, theme = tables.looks, current_theme()
        fig = new_figure(figures, 1.3 + 0.36 * len(frame))
        axes = fig.subplots()
        axes.set_xlim(chart.limits_of(frame))
        chart.zero_line(axes)
        for place, row in enumerate(rows_of(frame)):
            colour = palette_colour(2) if row.shown else theme.muted
            face = colour if row.shown else theme.background
            look = {**looks.learner_look(row.learner), "color": colour, "markeredgecolor": colour, "markerfacecolor": face}
            chart.dot_interval(axes, row.gain, place, (row.low, row.high), look, size=7.0)
            if place and frame["corpus"].iloc[place - 1] != row.corpus:
                axes.axhline(place - 0.5, color=theme.grid, linewidth=1.0, zorder=0)
        chart.bare(axes, [f"{row.corpus}, n = {row.size}" for row in rows_of(frame)])
        ways = drawn_names([f"{looks.title(row.arm)}, {looks.learner(row.learner)}" for row in rows_of(frame)], 46)
        for place, way in enumerate(ways):
            axes.annotate(
                way, (1.0, place), xycoords=("axes fraction", "data"), xytext=(8, 0), textcoords="offset points", va="center",
                fontsize=0.8 * figures.font_size,
            )  # fmt: skip
        axes.set_xlabel("cross-fitted gain over the labels alone (F1 points)")
        known_looks = {name: {**looks.learner_look(name), "markerfacecolor": theme.background} for name in chart.learners_in(tables, frame)}
        handles = [chart.handle(looks.learner(name), look, line=False) for name, look in known_looks.items()]
        filled = {"color": palette_colour(2), "marker": "s", "linestyle": "none"}
        chart.legend_below(fig, [*handles, chart.handle("filled: shown after correction", filled, line=False)], 4)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        looks, many = tables.looks, frame["corpus"].nunique()
        shown = frame[frame["shown"].astype(bool)]
        ways = [f"{row.corpus} with {count(row.size)} labels ({looks.title(row.arm)}, {looks.learner(row.learner)}, {of_points(row.gain, row.low, row.high)})"
                for row in rows_of(shown)]  # fmt: skip
        title = f"The best written rows are shown to help on {count(shown['corpus'].nunique())} of {some(many, 'corpus', 'corpora')}"
        title += f": {listed(ways)}" if ways else ""
        rest = len(frame) - len(shown)
        reading = (
            f"{listed(list(dict.fromkeys(frame['corpus'])))}; beside each row stands the way and classifier that is judged there. {level(tables.params)}s. "
            f"Of {len(frame)} rows {count(rest)} {'is' if rest == 1 else 'are'} not told from zero after correction."
        )
        limits = (
            f"Every row is one of the table of answers: of all ways that were run there, the one that other repeats pick, judged on the repeats that did not pick it; "
            f"p corrected for all {len(frame)} rows (Holm), intervals are corrected for the picking alone. Rows of two repeats have wide intervals. "
        )
        alt = "Dots with intervals of the cross-fitted gain in macro-F1, one row a corpus and seed size, filled where it is shown after correction."
        return Words(title, reading, limits + INTERVALS, alt)
