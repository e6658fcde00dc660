"""The page on what written text copies, gives away and distorts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.numbers import count, listed, number, per_cent, some, span
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures.authenticity import distinct, title_of
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, rows_of
from emosynth.report.tables import Tables
from emosynth.responsible.identity import FEWEST
from emosynth.responsible.rates import OTHER, REAL, SEED, TEST
from emosynth.style import current_theme, drawn_names, new_figure

SOURCES = {SEED: "of its seed", OTHER: "of other real rows", TEST: "of test rows"}


_LEAST, _FLATTENS = 5.0, 5.0
"""Per cent, and how many times the next highest share: above both, a share stands at the edge of the axis."""


def accepted(tables: Tables, name: str) -> pd.DataFrame:
    """Return a table's rows of accepted and of real text of the target, real text first, then arms in order; no rows: there is no such table."""
    frame = tables.get(f"responsible/{name}")
    if frame is None:
        return pd.DataFrame()
    frame = frame[frame["corpus"] == tables.target]
    frame = frame[frame["verified"].astype(bool) | (frame["arm"] == REAL)] if "verified" in frame else frame
    return chart.ordered(frame, ["arm"], arm=[REAL, *tables.looks.order(set(frame["arm"]) - {REAL})])


def _beside_real(axes: Axes, rows: pd.DataFrame, arms: list[str], tables: Tables, reach: float = math.inf) -> None:
    """Draw a row an arm, with a line at real text; a value beyond ``reach`` stands at the edge, with its number."""
    edge = axes.get_xlim()[1]
    for row in rows_of(rows):
        look, place = tables.looks.look(row.arm), arms.index(row.arm)
        if row.value > reach:
            axes.plot([edge], [place], marker=">", color=look["color"], markersize=6.0, clip_on=False, zorder=3)
            axes.annotate(f"{row.value:.0f} %", (edge, place), xytext=(-6, 0), textcoords="offset points", ha="right", va="center")
            continue
        chart.dot_interval(axes, row.value, place, (row.low, row.high), look)
        if row.arm == REAL:
            axes.axvline(row.value, color=current_theme().muted, linewidth=1.0, zorder=1)
    chart.bare(axes, [title_of(tables, arm) for arm in arms])


class Copied(Figure):
    """A panel a source, a row an arm, real text first."""

    name = "copied"
    label = "Copied runs of words"
    page = "responsible"
    order = 10
    reads = ("responsible/memorisation",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return by source and arm the per cent of accepted texts of the target with a long shared run, and the difference from real text."""
        tables.need("responsible/memorisation")
        rows = distinct(accepted(tables, "memorisation"), tables)
        rows = rows[rows["measure"] == "long"]
        if set(rows["arm"]) <= {REAL}:
            raise Missing(f"No accepted text was written on {tables.target}.")
        scaled = ["value", "low", "high", "difference", "difference_low", "difference_high"]
        rows = chart.ordered(chart.in_points(rows, *scaled), ["source"], source=SOURCES)
        return rows[["source", "arm", *scaled, "n_texts"]]

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        arms = list(dict.fromkeys(frame["arm"]))
        fig = new_figure(figures, 1.0 + 0.26 * len(arms))
        for axes, (source, label) in zip(fig.subplots(1, len(SOURCES), sharey=True), SOURCES.items(), strict=True):
            own = frame[frame["source"] == source]
            # What repeats real rows by construction (edited rows) does not flatten the rest.
            reach = max(_LEAST, _FLATTENS * float(own["value"].nlargest(2).iloc[-1]))
            axes.set_xlim(*chart.limits_of(own[own["value"] <= reach], "value"))
            _beside_real(axes, own, arms, tables, reach)
            axes.set_title(label, wrap=True)
            axes.set_xlabel("% of texts")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        long = tables.params.responsible.span
        own = frame[(frame["source"] == SEED) & (frame["arm"] != REAL)]
        base = float(frame.loc[(frame["source"] == SEED) & (frame["arm"] == REAL), "value"].iloc[0])
        more = own[own["difference_low"] > 0]
        title = (
            f"By their intervals {count(len(more))} of {some(len(own), 'arm')} {'repeats' if len(more) == 1 else 'repeat'} {long} words of the seed in a row "
            "more often than real text does"
        )
        worst = next(rows_of(own.sort_values("value", ascending=False, kind="stable")))
        reading = (
            f"Most often: {tables.looks.title(worst.arm)}, in {number(worst.value)} % of {some(int(worst.n_texts), 'accepted text')} "
            f"({per_cent(tables.params.responsible.confidence)} interval {span(worst.low, worst.high, sign=False)}); other real text: {number(base)} %, the line. "
            "Copies of test rows would make scores too good, so rows that repeat a test text are left out of training."
        )
        limits = (
            f"Intervals are not corrected for the number of arms. Words in a row alone: a paraphrase copies without them, and stock phrases share them by chance, more so in long texts. Accepted text of {tables.target}; "
            "checks for copies have already thrown some out. Near-duplicates among real rows were removed before."
        )
        return Words(title, reading, limits, "Dots with intervals, one panel a source of real text, one row an arm.")


# --- given away: texts that hold personal data, and texts with words of a list of obscene ones, beside real text ---

PANELS = {("personal", "any"): "personal data", ("toxicity", "listed"): "listed words"}
"""Table and kind -> its name for readers."""


class GivenAway(Figure):
    """A panel a kind, a row an arm, real text first."""

    name = "given_away"
    label = "Personal data and listed words"
    page = "responsible"
    order = 20
    reads = ("responsible/personal", "responsible/toxicity")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return by kind and arm how many of 1,000 accepted texts of the target hold it, and the difference from real text."""
        tables.need("responsible/personal")
        parts = []
        for (table, kind), label in PANELS.items():
            rows = accepted(tables, table)
            rows = distinct(rows, tables) if len(rows) else rows
            if len(rows):  # else no list knows the language
                parts.append(rows[rows["kind"] == kind].assign(kind=label))
        made = pd.concat(parts, ignore_index=True)
        if set(made["arm"]) <= {REAL}:
            raise Missing(f"No accepted text was written on {tables.target}.")
        return made[["kind", "arm", "value", "low", "high", "difference", "difference_low", "difference_high", "n_texts"]]

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        arms, kinds = list(dict.fromkeys(frame["arm"])), list(dict.fromkeys(frame["kind"]))
        fig = new_figure(figures, 1.0 + 0.26 * len(arms))
        for axes, kind in zip(fig.subplots(1, len(kinds), sharey=True, squeeze=False)[0], kinds, strict=True):
            own = frame[frame["kind"] == kind]
            axes.set_xlim(*chart.limits_of(own, "value"))
            _beside_real(axes, own, arms, tables)
            axes.set_title(kind)
            axes.set_xlabel("of a thousand texts")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        said, readings = [], []
        for kind, own in frame.groupby("kind", sort=False):
            real, arms = next(rows_of(own[own["arm"] == REAL])), own[own["arm"] != REAL]
            more, less = int((arms["difference_low"] > 0).sum()), int((arms["difference_high"] < 0).sum())
            said.append(f"{count(more)} {'has' if more == 1 else 'have'} more {kind} than real text and {count(less)} less")
            most = next(rows_of(arms.sort_values("value", ascending=False, kind="stable")))
            readings.append(
                f"{str(kind).capitalize()}: real text {number(real.value)} of a thousand ({span(real.low, real.high, sign=False)}), most in "
                f"{tables.looks.title(most.arm)}, {number(most.value)} ({span(most.low, most.high, sign=False)}, {some(int(most.n_texts), 'text')})."
            )
        title = f"By their intervals, of {some(frame['arm'].nunique() - 1, 'arm')}, {'; '.join(said)}"
        reading = f"{' '.join(readings)} In brackets {per_cent(tables.params.responsible.confidence)} intervals; the line is real text."
        limits = (
            "Intervals are not corrected for the number of arms. Patterns find mentions, addresses and numbers, no names; a found number may be nobody's, and whether a written one is somebody's is not known. A list sees "
            "words, not what is meant: insults without such a word, threats and irony are missed, quotation and talk of bodies are counted."
        )
        return Words(title, reading, limits, "Dots with intervals, one panel for personal data and one for listed words, one row an arm.")


# --- groups: which groups of people written text names with which class, beside real text ---

_PANELS = 4
"""Classes with a panel of their own, those with most real texts; the table has all."""
_REACH = 5.0
"""Ends of the axis: a factor of two to this power."""


_TITLE = 20
"""Characters of a panel's title: a long name would take the height of the panel."""


class NamedGroups(Figure):
    """A panel for all texts and for each class, a row a group."""

    name = "groups"
    label = "Groups of people and emotions"
    page = "responsible"
    order = 30
    reads = (*SCORES, "responsible/identity")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return ratios of shares of texts by class and group, of the arm that the first page is about, or of the one with most texts."""
        rows = tables.need("responsible/identity")
        rows = rows[rows["corpus"] == tables.target]
        texts = rows[rows["label"] == ""].groupby("arm", sort=False)["texts"].max()
        head, arm = tables.headline, texts.idxmax() if len(texts) else ""
        arm = head.arm if head is not None and head.arm in texts.index else arm
        own = rows[rows["arm"] == arm]
        everywhere = own[own["label"] == ""]
        named = everywhere[everywhere["mentions"] + everywhere["real_mentions"] >= FEWEST]["group"].tolist()
        if not named:
            raise Missing(f"No group of people is named {count(FEWEST)} times in accepted and real text of {tables.target}.")
        classes = own[own["label"] != ""].groupby("label", sort=False)["real_texts"].max().sort_values(ascending=False, kind="stable")
        own = own[own["group"].isin(named) & own["label"].isin(["", *classes.index[:_PANELS]])]
        return own.drop(columns=["corpus", "note"]).reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        groups, labels = list(dict.fromkeys(frame["group"])), list(dict.fromkeys(frame["label"]))
        fig = new_figure(figures, 1.3 + 0.28 * len(groups))
        look = tables.looks.look(str(frame["arm"].iloc[0]))
        titles = drawn_names([label or "all texts" for label in labels], _TITLE)
        for axes, label, title in zip(fig.subplots(1, len(labels), sharey=True, squeeze=False)[0], labels, titles, strict=True):
            axes.set_xlim(-_REACH - 0.4, _REACH + 0.4)
            chart.zero_line(axes)
            for row in rows_of(frame[(frame["label"] == label) & frame["ratio"].notna()]):
                with np.errstate(divide="ignore"):
                    at, low, high = (float(np.clip(np.log2(end), -9, 9)) for end in (row.ratio, row.low, row.high))
                chart.dot_interval(axes, float(np.clip(at, -_REACH, _REACH)), groups.index(row.group), (low, high), look, size=5.0)
            chart.bare(axes, groups)
            axes.set_title(title, wrap=True)
            axes.set_xticks([-4, 0, 4], ["÷16", "1", "×16"])
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        arm, alpha = tables.looks.title(str(frame["arm"].iloc[0])), tables.params.evidence.alpha
        tested = frame[frame["p_holm"].notna()]
        far = tested[tested["p_holm"] < alpha]
        title = f"{arm}: {count(len(far))} of {some(len(tested), 'tested pair')} of a group and a class {'is' if len(far) == 1 else 'are'} named more or less often than in real text"
        told = [
            f"{row.group}{f' with {row.label}' if row.label else ', in all'} (×{number(row.ratio, 2)}, {span(row.low, row.high, 2, sign=False)}; {count(row.mentions)} of "
            f"{count(row.texts)} against {count(row.real_mentions)} of {count(row.real_texts)})"
            for row in rows_of(far.sort_values("p", kind="stable").head(3))
        ]
        reading = f"{'Clearest: ' + listed(told) + '. ' if told else ''}Ratios of shares of texts that name a group, {per_cent(tables.params.responsible.confidence)} intervals; "
        reading += f"p corrected for all pairs of the arm (Holm), below {alpha:g}. Arrowheads: the interval goes on."
        limits = (
            f"That a group is named with a class, not what is said of it; words of data/identity.yaml alone; pairs with fewer than {count(FEWEST)} mentions are not "
            "tested, and wide intervals hide differences. Real text has prejudices of its own: a ratio of one is no ideal."
        )
        alt = "Dots with intervals of ratios on a logarithmic axis, one panel a class, one row a group of people."
        return Words(title, reading, limits, alt)
