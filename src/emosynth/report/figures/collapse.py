"""Collapse: what becomes of a writer that learns from its own text, round after round."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from emosynth.evidence.numbers import count, known, number, per_cent, some, span
from emosynth.params import Figures, Params
from emosynth.report.figures import base as chart
from emosynth.report.figures.base import Figure, Missing, Words, rows_of
from emosynth.report.ranges import within_range
from emosynth.report.tables import Tables
from emosynth.responsible.collapse import KEPT, REPLACED
from emosynth.style import current_theme, new_figure, palette_colour

NAMES = {REPLACED: "its own text alone", KEPT: "the real seed kept"}
LEARNER = "embedding"
ONE = 1.02
"""Where the axis of a share, an F1 or an AUC ends at the latest, and as far below 0, so that marks at its ends are whole."""
PANELS = {
    ("rows", ""): "rows kept", ("distinct_2", ""): "distinct pairs", ("spread", ""): "embedding spread", ("coverage", ""): "real text reached",
    ("detectability", ""): "told from real", ("macro_f1", "tfidf"): "F1, TF-IDF", ("macro_f1", LEARNER): "F1, embeddings",
    ("macro_f1_with_seed", LEARNER): "F1, with the seed",
}  # fmt: skip
"""Measure and learner -> its name for readers."""


class Collapse(Figure):
    """A panel a measure, a line what a round learns from, rounds along."""

    name = "collapse"
    label = "Rounds on its own text"
    page = "responsible"
    order = 40
    reads = ("responsible/collapse",)

    def applies(self, params: Params) -> bool:
        return params.responsible.collapse.rounds > 0

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return by measure, learner, variant and round the mean over seeds with its interval, and the change since round 1."""
        rows = tables.need("responsible/collapse")
        shown = [pair in PANELS for pair in zip(rows["measure"], rows["learner"], strict=True)]
        rows = within_range(rows[shown].dropna(subset=["value"]))
        if set(rows["round"]) <= {0}:
            raise Missing("No round was measured.")
        measures, learners = (list(dict.fromkeys(names)) for names in zip(*PANELS, strict=True))
        return chart.ordered(rows, ["measure", "learner", "variant", "round"], measure=measures, learner=learners, variant=NAMES)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        fig = new_figure(figures, 4.4)
        for axes, ((measure, learner), title) in zip(chart.grid_of(fig, len(PANELS), 4), PANELS.items(), strict=True):
            here = frame[(frame["measure"] == measure) & (frame["learner"] == learner)]
            if len(here):
                ends = {name: here[name].fillna(here["value"]) for name in ("low", "high")}
                low, high = chart.limits_of(here.assign(**ends), "value", zero=False)
                axes.set_ylim(*((low, high) if measure == "rows" else (max(low, 1 - ONE), min(high, ONE))))
            for place, variant in enumerate(NAMES):
                line, look = here[here["variant"] == variant], _look(variant)
                chart.dotted(axes, line["round"] + 0.06 * (2 * place - 1), line, "value", look, linewidth=1.2, linestyle=look["linestyle"])
            axes.set_title(title, wrap=True)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("round")
        chart.legend_below(fig, [chart.handle(name, _look(variant)) for variant, name in NAMES.items()], 2)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        level = per_cent(tables.params.responsible.confidence)
        pairs, changes, learnt = [], [], []
        for variant, name in NAMES.items():
            row = _last(frame, variant, "distinct_2", "")
            if row is not None and row.round:
                of_change = f", {level} interval of the change {span(row.change_low, row.change_high, 3)}" if known(row.change_low) else ""
                pairs.append(f"with {name} {number(row.value, 3)} in round {count(row.round)}{of_change}")
                shown = row.round > 1 and known(row.change_low) and (row.change_low > 0 or row.change_high < 0)
                changes += [f"{number(row.change, 3, sign=True)} with {name}"] if shown else []
            first, row = (_last(frame[frame["round"] <= most], variant, "macro_f1", LEARNER) for most in (0, frame["round"].max()))
            if first is not None and row is not None and row.round:
                learnt.append(f"{number(100 * first.value)} → {number(100 * row.value)} with {name} (round {count(row.round)})")
        title = "What a writer's own text leaves of it"
        if changes:
            title = f"From the first round to the last, the share of distinct pairs of words changes by {' and '.join(changes)}"
        about = next(rows_of(frame))
        reading = (
            f"{tables.looks.title(about.arm)} on {about.corpus}, {some(int(frame['repeats'].max()), 'seed')} of {count(about.size)} rows. "
        )
        reading += f"Distinct pairs: {'; '.join(pairs)}. " if pairs else ""
        reading += (
            f"Macro-F1 of a classifier of embeddings, of the real seed and of the last round's text alone: {'; '.join(learnt)}. "
            if learnt
            else ""
        )
        for row in rows_of(frame[frame["starved"] > 0].sort_values("round", kind="stable").drop_duplicates("variant")):
            reading += f"With {NAMES[row.variant]}, round {count(row.round)} leaves too few rows of a class in {some(int(row.starved), 'seed')}: counted, not measured. "
        limits = (
            "The first round is the real seed; both lines share the one after it. All rounds are compared at the amount of text of the poorest, and a round has as many rows as its checks let through, "
            "the seed's number at most. F1 is macro-F1 on test rows; told from real is an AUC. What checks throw away is not learnt from: they are part of what is seen. One small model, few seeds: nothing is said of larger ones."
        )
        return Words(title, reading.strip(), limits, "Lines with intervals over rounds, one panel a measure, one line a way to go on.")


def _look(variant: str) -> dict[str, Any]:
    """Return colour, marker and line; what learns from itself alone is hollow and dashed."""
    alone, colour = variant == REPLACED, palette_colour(int(variant == KEPT))
    face = current_theme().background if alone else colour
    line: Any = (0, (3.5, 1.8)) if alone else "-"
    return {"color": colour, "marker": "o" if alone else "s", "linestyle": line, "markerfacecolor": face, "markeredgecolor": colour}


def _last(frame: pd.DataFrame, variant: str, measure: str, learner: str) -> Any:
    """Return the row of the last round that has a measure; None: there is none."""
    own = frame[(frame["variant"] == variant) & (frame["measure"] == measure) & (frame["learner"] == learner)]
    return next(rows_of(own.tail(1)), None)
