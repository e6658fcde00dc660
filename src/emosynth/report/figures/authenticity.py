"""The page on authenticity: distance from real text by measure, diversity, and utility beside both."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure as Canvas

from emosynth.authenticity import OTHER, REAL
from emosynth.authenticity.reach import SENTENCES, WORDS
from emosynth.authenticity.sample import ALL
from emosynth.design.cells import panel_size
from emosynth.evidence.numbers import POINTS, count, gain, listed, number, size, sized, some, span
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures import choice
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, rows_of
from emosynth.report.ranges import within_range
from emosynth.report.tables import Tables, main_rows
from emosynth.style import current_theme, drawn_names, new_figure

_SHOWN = ["family", "measure", "arm", "value", "low", "high", "reference", "effect", "effect_kind", "p", "p_holm", "n_texts", "n_tokens"]
_SHORT = {"ttr": "type-token ratio", "hdd": "HD-D", "mtld": "MTLD", "mattr": "MATTR"}


def measure_name(measure: str) -> str:
    """Return the name of a measure for readers."""
    return _SHORT.get(measure, measure.replace("_", " "))


def effect_text(effect: float, kind: str) -> str:
    """Write an effect: ratios as a factor, all else with its sign."""
    return f"×{number(effect, 2)}" if kind == "ratio" and not math.isnan(effect) else number(effect, 2, sign=True)


def _distances(rows: pd.DataFrame) -> pd.Series:
    """Return effects on a scale where 0 means alike: ratios by their logarithm, cut at a factor of 20."""
    ratios = np.log(rows["effect"].clip(lower=1e-9)).clip(-3.0, 3.0)
    return rows["effect"].where(rows["effect_kind"] != "ratio", ratios)


def title_of(tables: Tables, arm: str) -> str:
    """Return the name of a panel's column."""
    return "real against real" if arm == OTHER else "real text" if arm == REAL else tables.looks.title(arm)


SAME_TEXTS = " Arms whose texts are those of an arm shown (under other labels or weights, or more of them) are left out."


def distinct(rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Return a table's rows without arms whose texts are another's on the same corpus, see `emosynth.report.figures.choice.own_texts`."""
    kept = [set(choice.own_texts(tables.params, own["arm"])) for _, own in rows.groupby("corpus", sort=False)]
    places = {corpus: place for place, corpus in enumerate(rows["corpus"].drop_duplicates())}
    return rows[[arm in kept[places[corpus]] for corpus, arm in zip(rows["corpus"], rows["arm"], strict=True)]]


def most_reached(rows: pd.DataFrame, tables: Tables) -> str:
    """Say which arm reaches most of real text in either space, of a corpus' rows of coverage; empty where one space is there."""
    own = rows[(rows["measure"] == "coverage") & (rows["arm"] != OTHER)]
    best = own.loc[own.groupby("space")["value"].idxmax()].set_index("space")["arm"].map(tables.looks.title)
    if not {SENTENCES, WORDS} <= set(best.index):
        return ""
    if best[SENTENCES] == best[WORDS]:
        return f" In both {best[WORDS]} reaches most of real text."
    return f" Most of real text is reached by {best[SENTENCES]} in {SENTENCES}, by {best[WORDS]} in {WORDS}."


class Authenticity(Figure):
    """A heat map: measures by arms."""

    name = "authenticity"
    label = "Distance from real text"
    page = "authenticity"
    order = 10
    reads = ("authenticity/panel",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return the panel of accepted text on the target, measures that were tested only, the control first; texts of one kind once."""
        panel = distinct(tables.need("authenticity/panel"), tables)
        panel = panel[(panel["corpus"] == tables.target) & (panel["arm"] != REAL)]
        panel = panel[panel["verified"].astype(bool) | (panel["arm"] == OTHER)]
        tested = panel.groupby("measure")["p"].transform(lambda values: values.notna().any()).astype(bool)
        panel = panel[tested]
        if panel.empty:
            raise Missing(f"The panel holds no accepted text on {tables.target}.")
        arms = [OTHER, *tables.looks.order(set(panel["arm"]) - {OTHER})]
        panel = chart.ordered(panel, ["measure", "arm"], measure=dict.fromkeys(panel["measure"]), arm=arms)[_SHOWN]
        nearest = _nearest(panel, tables.params.evidence.alpha)[0]
        chosen = choice.leading(tables, arms[1:] if arms[0] in set(panel["arm"]) else arms, [nearest] if nearest else [])
        return choice.marked(within_range(panel), [OTHER, *chosen])

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        theme, distances = current_theme(), _distances(frame)
        frame = frame[frame["drawn"]]
        arms, measures = list(dict.fromkeys(frame["arm"])), list(dict.fromkeys(zip(frame["family"], frame["measure"], strict=True)))
        shades = np.full((len(measures), len(arms)), np.nan)
        # Effects of different kinds have different scales: each kind is shaded against its own largest distance, or 1.
        largest = {kind: max(1.0, float(found.abs().max())) for kind, found in distances[frame.index].groupby(frame["effect_kind"])}
        fig = new_figure(figures, 1.9 + 0.3 * len(measures))
        axes = fig.subplots()
        for row in rows_of(frame):
            shades[measures.index((row.family, row.measure)), arms.index(row.arm)] = distances[row.Index] / largest[row.effect_kind]
        light = theme.name == "light"
        colours = sns.diverging_palette(250, 25, s=85, l=62 if light else 48, center="light" if light else "dark", as_cmap=True)
        sns.heatmap(shades, ax=axes, cmap=colours, vmin=-1, vmax=1, cbar=False, linewidths=1.5, linecolor=theme.background)
        size = 0.85 * figures.font_size
        for row in rows_of(frame):
            spot = arms.index(row.arm) + 0.5, measures.index((row.family, row.measure)) + 0.5
            weight = "bold" if row.p_holm < tables.params.evidence.alpha else "normal"
            text = effect_text(row.effect, row.effect_kind).removeprefix("×")
            axes.text(*spot, text, ha="center", va="center", fontsize=size, fontweight=weight, color=theme.ink)
        axes.set_xticks(
            np.arange(len(arms)) + 0.5,
            drawn_names([title_of(tables, arm) for arm in arms], 26),
            rotation=40,
            ha="left",
            rotation_mode="anchor",
        )
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_yticks(np.arange(len(measures)) + 0.5, [measure_name(str(measure)) for _, measure in measures], rotation=0)
        axes.axvline(1, color=theme.background, linewidth=8)
        axes.set(xlabel="", ylabel="")
        axes.grid(visible=False)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        alpha = tables.params.evidence.alpha
        nearest, differing = _nearest(frame, alpha)
        title = "How far generated text is from real text"
        if nearest is not None:
            own, who = differing.loc[nearest].to_dict(), tables.looks.title(str(nearest))
            much = f"differs from real text on {own['sum'] or 'none'} of {some(int(own['size']), 'measure')}"
            title = f"Even the nearest arm, {who}, {much}" if own["sum"] else f"{who} text {much}"
            if OTHER in differing.index:
                title += f"; real text from itself on {differing['sum'].to_dict()[OTHER]}"
        reading = (
            "Blue: less than in real text; orange: more. Effects without a sign are ratios, 1 being alike; the others are 0 when alike. "
        )
        reading += f"Bold: p below {alpha:g} after Holm's correction. Accepted text of {tables.target}."
        far = frame[frame["arm"] == nearest].dropna(subset=["effect"]) if nearest is not None else frame.head(0)
        if len(far):
            row = chart.top(far.assign(away=_distances(far).abs()), "away")
            values = f"{sized(float(row['value']))} against {sized(float(row['reference']))}"
            reading += f" Its largest distance is in {measure_name(str(row['measure']))}: {values}."
        limits = "Each number compares one surface property, not whether a reader would notice. Compare along rows: effects down a column have different scales."
        limits += SAME_TEXTS + choice.left_out(frame[frame["arm"] != OTHER])
        alt = "Table of effects shaded by sign and size: measures by arms, real against real in the first column."
        return Words(title, reading, limits, alt)


def _nearest(frame: pd.DataFrame, alpha: float) -> tuple[str | None, pd.DataFrame]:
    """Return the arm that differs from real text on the smallest share of its measures, and on how many of how many each differs."""
    tested = frame[frame["p_holm"].notna()]
    differing = (tested["p_holm"] < alpha).groupby(tested["arm"]).agg(["sum", "size"])
    arms = [arm for arm in dict.fromkeys(frame["arm"]) if arm != OTHER and arm in differing.index]
    return min(arms, key=lambda arm: differing.loc[arm, "sum"] / differing.loc[arm, "size"], default=None), differing


# --- diversity: whether grounding in narratives makes texts more varied, at equal amounts of text ---

DIVERSITY = {
    "distinct_1": "distinct words", "distinct_2": "distinct word pairs", "self_repetition": "repeated 4-grams",
    "spread": "spread of embeddings",
}  # fmt: skip
TEXTS = {"utterance": "utterances", "context": "contexts", "contextless": "texts told anew", "text": "texts"}


class Diversity(Figure):
    """A panel a measure: grounded minus ungrounded."""

    name = "diversity"
    label = "Diversity"
    page = "authenticity"
    order = 20
    reads = ("authenticity/diversity",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return differences of accepted texts by measure, kind and label; labels with too few texts are left out."""
        rows = distinct(tables.need("authenticity/diversity"), tables)
        rows = rows[(rows["corpus"] == tables.target) & (rows["against"].fillna("") != "")]
        rows = rows[rows["verified"].astype(bool) & rows["value"].notna()]
        if rows.empty:
            raise Missing("No grounded arm stands beside an ungrounded one.")
        rows = within_range(chart.ordered(rows, ["measure", "kind", "label"], measure=DIVERSITY), differences=True)
        return rows[["measure", "kind", "label", "arm", "against", "value", "low", "high", "n_texts"]]

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        theme, measures = current_theme(), [name for name in DIVERSITY if name in set(frame["measure"])]
        kinds = list(dict.fromkeys(frame["kind"]))
        look = {"color": theme.ink, "marker": "o", "linestyle": "none"}
        fig = new_figure(figures, 1.5 + 0.55 * len(kinds))
        for axes, measure in zip(fig.subplots(1, len(measures), squeeze=False, sharey=True)[0], measures, strict=True):
            rows = frame[frame["measure"] == measure]
            axes.set_xlim(chart.limits_of(rows, "value"))
            chart.zero_line(axes)
            for row in rows_of(rows):
                if row.label == ALL:
                    chart.dot_interval(axes, row.value, kinds.index(row.kind), (row.low, row.high), look)
                else:
                    axes.plot([row.value], [kinds.index(row.kind) + 0.22], marker="|", color=theme.muted, alpha=0.7)
            chart.bare(axes, [TEXTS.get(kind, kind) for kind in kinds])
            axes.set_title(textwrap.fill(DIVERSITY[measure], 14), fontsize=0.95 * figures.font_size)
            axes.locator_params(axis="x", nbins=3)
        faint = {"color": theme.muted, "marker": "|", "linestyle": "none"}
        chart.legend_below(fig, [chart.handle("all labels", look, line=False), chart.handle("one label", faint, line=False)], 2)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        rows = frame[(frame["label"] == ALL) & (frame["measure"] != "self_repetition")]
        more, less = int((rows["low"] > 0).sum()), int((rows["high"] < 0).sum())
        arm, against = (tables.looks.title(str(frame[name].iloc[0])) for name in ("arm", "against"))
        title = f"{arm} text is more diverse than {against} in {more} of {len(rows)} comparisons, less in {less}"
        parts = [
            f"{DIVERSITY[row.measure]} of {TEXTS.get(row.kind, row.kind)} {number(row.value, 3, sign=True)} ({span(row.low, row.high, 3)})"
            for row in rows_of(rows)
        ]
        reading = f"Differences at equal numbers of tokens, shares between 0 and 1: {'; '.join(parts)}."
        limits = f"Diverse texts need not be good ones: noise is diverse, too.{SAME_TEXTS}"
        return Words(title, reading, limits, "Dots with intervals of differences in diversity, one panel a measure.")


# --- utility against authenticity: what each arm gains, beside how well its text can be told from real text, and how rich it is ---

PANELS = {
    ("authenticity/panel", "detectability"): ("detectability (AUC)", -1),
    ("authenticity/panel", "hdd"): ("vocabulary (HD-D)", 1),
    ("authenticity/coverage", "coverage"): ("coverage of real text, by words", 1),  # the teacher filters by sentences
}
"""Table and measure -> its name for readers, and whether more of it is better."""


class Frontier(Figure):
    """A row a corpus, a panel a measure, a marker an arm; the frontier joins arms that none beats on both."""

    name = "frontier"
    label = "Utility against authenticity"
    page = "authenticity"
    order = 5
    reads = (*SCORES, "authenticity/panel", "authenticity/coverage")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return the gain in points at the seed size whose texts were measured, their measure, and whether none beats the arm."""
        if tables.headline is None or tables.contrasts is None:
            raise Missing("The run holds no trials that it could be about.")
        tables.need("authenticity/panel")
        learner, rows = tables.headline.learner, main_rows(tables.contrasts)
        rows = rows[(rows["learner"] == learner) & (rows["version"] == "")]
        out: list[list[object]] = []
        for corpus in tables.params.corpora.names:
            at = panel_size(tables.params, corpus)
            own = rows[(rows["corpus"] == corpus) & (rows["size"] == at)]
            gains = {row.arm: row for row in rows_of(own) if not tables.looks.real(row.arm)}
            for (table, measure), (_, better) in PANELS.items():
                held = tables.get(table)
                if held is not None:
                    held = distinct(held[held["space"] == WORDS] if "space" in held else held, tables)
                    found = _points(held[(held["corpus"] == corpus) & (held["measure"] == measure) & held["value"].notna()], gains, better)
                    out += [[corpus, at, measure, learner, *point] for point in found]
        if not out:
            raise Missing("No arm was both trained on and measured beside real text.")
        names = ["corpus", "size", "measure", "learner", "arm", "gain", "low", "high", "value", "real", "frontier"]
        frame = pd.DataFrame(out, columns=names)
        edge = frame[frame["frontier"]]["arm"].value_counts()
        return choice.marked(frame, choice.leading(tables, frame["arm"], [*edge.index]))

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks, theme = tables.looks, current_theme()
        shown = {measure: words for (_, measure), words in PANELS.items() if measure in set(frame["measure"])}
        corpora = list(dict.fromkeys(frame["corpus"]))
        other = {"color": theme.muted, "marker": ".", "linestyle": "none"}
        fig = new_figure(figures, 2.0 + 2.6 * len(corpora))
        panels = fig.subplots(len(corpora), len(shown), squeeze=False, sharex="col", sharey="row")
        for place, (measure, (label, better)) in enumerate(shown.items()):
            for axes, corpus in zip(panels[:, place], corpora, strict=True):
                own = frame[(frame["measure"] == measure) & (frame["corpus"] == corpus)]
                chart.zero_line(axes, horizontal=False)
                edge = own[own["frontier"]].sort_values("value")
                axes.plot(edge["value"], edge["gain"], color=theme.muted, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
                for row in rows_of(own):
                    mark = {**(looks.look(row.arm) if row.drawn else other), "linestyle": "none"}
                    axes.plot([row.value], [row.gain], **mark, markersize=8.0 if row.frontier else 5.0, zorder=3 if row.drawn else 2)
                axes.margins(0.09)
                if own["real"].notna().any():
                    axes.axvline(own["real"].iloc[0], color=theme.muted, linewidth=1.0)
            panels[-1, place].set_xlabel(label)
            if better < 0:
                panels[0, place].invert_xaxis()  # the column shares it
        for axes, corpus in zip(panels[:, 0], corpora, strict=True):
            axes.set_ylabel(f"{f'{corpus}: ' if len(corpora) > 1 else ''}gain (F1 points)")
        handles = [chart.handle(looks.title(arm), looks.look(arm), line=False) for arm in looks.order(frame.loc[frame["drawn"], "arm"])]
        rest = frame.loc[~frame["drawn"], "arm"].nunique()
        chart.legend_below(fig, [*handles, *([chart.handle(some(rest, "other arm"), other, line=False)] if rest else [])], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        looks, first = tables.looks, frame[frame["measure"] == frame["measure"].iloc[0]]
        said, names = [], {measure: label for (_, measure), (label, _) in PANELS.items()}
        for corpus, own in first.groupby("corpus", sort=False):
            edge = own[own["frontier"]].sort_values("gain", ascending=False, kind="stable")
            told = listed([f"{looks.title(row.arm)} ({gain(row.gain / POINTS)})" for row in rows_of(edge)])
            said.append(f"{corpus}, {size(int(own['size'].iloc[0]))}: {told}")
        counts = [int(own["frontier"].sum()) for _, own in first.groupby("corpus", sort=False)]
        most = listed([count(item) for item in counts])
        title = f"Of {some(first['arm'].nunique(), 'arm')}, {most} {'is' if counts == [1] else 'are'} beaten by none on both gain and {names[str(first['measure'].iloc[0])]}"
        if len(counts) > 1:
            title += f", on {listed(list(dict.fromkeys(first['corpus'])))}"
        reading = (
            f"{'. '.join(said)}. Gain over the labels alone with {looks.learner(str(frame['learner'].iloc[0]))}; further right is nearer to real text or richer. "
            "Large markers, joined: arms that no other beats on both; line: real text beside real text."
        )
        limits = "Estimates without intervals, at accepted rows of the seed size whose texts were measured: the frontier is where to look, not a finding."
        limits += SAME_TEXTS + choice.left_out(frame)
        alt = "Scatters of gain in macro-F1 against measures of authenticity, one marker an arm, the frontier joined."
        return Words(title, reading, limits, alt)


def _points(held: pd.DataFrame, gains: Mapping[str, Any], better: int) -> list[tuple[str, float, float, float, float, float, bool]]:
    """Return arm, gain with interval, measure, real text's own, and whether no other arm is as good on both and better on one."""
    control = held.loc[held["arm"] == OTHER, "value"]
    real = float(control.iloc[0]) if len(control) else math.nan
    points = [(str(row.arm), POINTS * float(gains[row.arm].gain), better * float(row.value))
              for row in rows_of(held[held["verified"].astype(bool) & held["arm"].isin(list(gains))])]  # fmt: skip
    return [
        (arm, up, POINTS * float(gains[arm].low), POINTS * float(gains[arm].high), better * value, real,
         not any(g >= up and v >= value and (g, v) != (up, value) for _, g, v in points))
        for arm, up, value in points
    ]  # fmt: skip
