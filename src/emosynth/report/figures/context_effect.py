"""Context: whether a model that reads it labels better than one that does not."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Canvas
from statsmodels.stats.proportion import proportion_confint

from emosynth.context.inputs import BOTH, CONTEXT_ONLY, INPUTS, SHUFFLED, UTTERANCE
from emosynth.evidence.numbers import count, level, listed, number, of_points, some, span
from emosynth.evidence.text_claims import FEWEST
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures.base import Figure, Missing, Words, not_told, rows_of
from emosynth.report.ranges import RATE, possible
from emosynth.report.tables import Tables
from emosynth.style import new_figure

_MEAN = -1
MEASURES = {"lrap": "ranking of labels (LRAP)", "top_1": "first label right", "flips": "pairs moved the right way"}
SHARES = ("top_1", "flips")
"""Measures that are a share of rows, or of pairs."""
TESTS = {"rows": ("row of held-out stories", "rows of held-out stories"), "pairs": ("pair of contexts", "pairs of contexts")}
"""What is tested on: one of them, several."""
NAMES = {BOTH: "context and utterance", UTTERANCE: "utterance alone", CONTEXT_ONLY: "context alone", SHUFFLED: "another row's context"}


class ContextEffect(Figure):
    """A panel a measure, a row an input, a marker a learner."""

    name = "context_effect"
    label = "What context is worth"
    page = "context"
    order = 10
    reads = ("context/context",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return means over repeats by learner, input, test and measure, inputs and differences between them, in per cent.

        What is tested on fewer than `FEWEST` rows, or pairs, is left out. Where resampling shows no spread, because all or none are right, the
        interval of a share is Wilson's (1927).
        """
        rows = tables.need("context/context")
        rows = rows[(rows["repeat"] == _MEAN) & rows["measure"].isin(MEASURES)]
        if rows.empty:
            raise Missing("No model with context was compared with one without.")
        few = _few(rows)
        rows = rows.loc[rows["n"] >= FEWEST, ["learner", "input", "test", "measure", "n", "value", "low", "high"]]
        if rows.empty:
            raise Missing(f"Models with context and without were compared on {few}: fewer than {count(FEWEST)} say nothing.")
        flat = rows["measure"].isin(SHARES) & rows["input"].isin(INPUTS) & rows["value"].isin([0, 1]) & (rows["low"] == rows["high"])
        own, alpha = rows[flat], 1 - tables.params.evidence.confidence
        rows.loc[flat, "low"], rows.loc[flat, "high"] = proportion_confint(own["value"] * own["n"], own["n"], alpha, method="wilson")
        return chart.in_points(rows, "value", "low", "high").reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks, rows = tables.looks, frame[frame["input"].isin(INPUTS)]
        measures = [name for name in MEASURES if name in set(rows["measure"])]
        learners = list(dict.fromkeys(rows["learner"]))
        fig = new_figure(figures, 3.0)
        for axes, measure in zip(fig.subplots(1, len(measures), squeeze=False, sharey=True)[0], measures, strict=True):
            here = rows[rows["measure"] == measure]
            low, high = float(here[["low", "value"]].min().min()), float(here[["high", "value"]].max().max())
            axes.set_xlim(max(low - 3, RATE[0]), min(high + 3, RATE[1]))  # no share lies beyond
            for row in rows_of(here):
                y = INPUTS.index(row.input) + 0.2 * (learners.index(row.learner) - (len(learners) - 1) / 2)
                chart.dot_interval(axes, row.value, y, (row.low, row.high), {**looks.learner_look(row.learner), "clip_on": False})
            chart.bare(axes, [NAMES[name] for name in INPUTS])
            axes.set_title(textwrap.fill(MEASURES[measure], 18), fontsize=0.95 * figures.font_size)
            axes.set_xlabel("per cent")
        chart.learner_legend(fig, looks, learners)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        learner = str(frame["learner"].iloc[0])
        rows = frame[(frame["learner"] == learner) & (frame["measure"] == "lrap") & (frame["test"] == "rows")].set_index("input")
        parts = []
        for other in (UTTERANCE, CONTEXT_ONLY):
            name = f"{BOTH} − {other}"
            if name in rows.index:
                row = next(rows_of(rows.loc[[name]]))
                parts.append((other, row))
        title = "What context is worth"
        if parts:
            told = [
                f"{of_points(row.value, row.low, row.high)} points over the {NAMES[other]}{not_told(row.low, row.high)}"
                for other, row in parts
            ]
            tested = some(int(parts[0][1].n), *TESTS["rows"])
            title = f"With {tables.looks.learner(learner)}, on {tested}, reading context and utterance changes the ranking of labels by {' and by '.join(told)}"
        reading = f"{tables.looks.learner(learner)}, points of LRAP with {level(tables.params)}s." if parts else ""
        pairs = frame[(frame["measure"] == "flips") & (frame["input"] == BOTH) & (frame["learner"] == learner)]
        if len(pairs):
            row = pairs.iloc[0]
            reading += f" Of {some(int(row['n']), 'pair')} of contexts for one utterance, {number(float(row['value']), 0)} % ({span(float(row['low']), float(row['high']), 0, sign=False)}) move the label the right way; by chance, 50 %."
        left = _few(tables.need("context/context"))
        reading += f" Left out: {left}, as fewer than {count(FEWEST)} say nothing." if left else ""
        limits = (
            "A context was written for the label that is then asked for, and half of the training label is the same language model's reading: context "
            "alone can give the label away. It is no evidence about people's contexts."
        )
        return Words(title, reading.strip(), limits, "Dots with intervals by what the model reads, one panel a measure.")


def _few(rows: pd.DataFrame) -> str:
    """Name what is tested on fewer than `FEWEST` of; empty: nothing is."""
    most = rows.groupby("test", sort=False)["n"].max()
    return listed([some(int(n), *TESTS[str(test)]) for test, n in most.items() if n < FEWEST]) if (most < FEWEST).any() else ""


# --- labels that people gave: dialogues, with and without written rows first ---

NOTHING = ""
"""The first stage of models that learn from human rows alone."""


def dialogue_rows(tables: Tables) -> tuple[str, list[dict[str, str]], str]:
    """Return title, rows and note of the table of dialogues: a row a learner and what it learns from, macro-F1 in points by what it reads; none if none were run."""
    means = _means(tables)
    if means is None:
        return "", [], ""
    rows = []
    for learner in dict.fromkeys(means["learner"]):
        firsts = list(dict.fromkeys(means.loc[(means["learner"] == learner) & means["input"].isin(INPUTS), "first"]))
        for first in sorted(firsts, key=lambda name: (_added(name), name != NOTHING)):
            cells = {NAMES[kind]: _cell(means, learner, first, kind, sign=_added(first)) for kind in (UTTERANCE, CONTEXT_ONLY, BOTH)}
            over = _cell(means, learner, first, f"{BOTH} − {UTTERANCE}", sign=True)
            rows.append({"classifier": tables.looks.learner(learner), "learns from": _learnt(first, tables), **cells, OVER: over})
    about, corpus = next(rows_of(means)), tables.params.context.dialogues or "dialogues that people labelled"
    told = [line for learner in dict.fromkeys(means["learner"]) if (line := _said(means, learner, tables))]
    note = (
        f"Macro-F1 in points with {level(tables.params)}s, not corrected for their number: {some(int(about.n), 'utterance')} of {some(int(about.dialogues), 'dialogue')}, labels that people gave. "
        f"{' '.join(told)}"
    )
    return f"Context on labels that people gave: {corpus}", rows, note.strip()


OVER = "both over the utterance alone"


def _means(tables: Tables) -> pd.DataFrame | None:
    rows = tables.get("context/dialogues")
    if rows is None:
        return None
    rows = rows[(rows["repeat"] == _MEAN) & (rows["measure"] == "macro_f1")]
    rows = chart.in_points(rows.assign(first=rows["first"].fillna(NOTHING)), "value", "low", "high")
    levels = rows["input"].isin(INPUTS) & ~rows["first"].map(_added).astype(bool)  # the others are differences
    return None if rows.empty else pd.concat([possible(rows[levels]), rows[~levels]]).sort_index()


def _added(first: str) -> bool:
    """Whether rows are what a first stage adds, see `emosynth.context.dialogues`."""
    return first.endswith(_GAIN)


_GAIN = " − nothing"


def _learnt(first: str, tables: Tables) -> str:
    human = some(tables.params.context.dialogue_size, "human row")
    if first == NOTHING:
        return f"{human} alone"
    return (
        f"what rows of {_arm(first, tables)} change"
        if _added(first)
        else f"synthetic rows with contexts ({_arm(first, tables)}), then {human}"
    )


def _arm(first: str, tables: Tables) -> str:
    return tables.looks.title(first.removesuffix(_GAIN))


def _one(means: pd.DataFrame, learner: str, first: str, kind: str) -> Any:
    return next(rows_of(means[(means["learner"] == learner) & (means["first"] == first) & (means["input"] == kind)]), None)


def _cell(means: pd.DataFrame, learner: str, first: str, kind: str, *, sign: bool) -> str:
    row = _one(means, learner, first, kind)
    return "–" if row is None else f"{number(row.value, sign=sign)} ({span(row.low, row.high, sign=sign)})"


def _said(means: pd.DataFrame, learner: str, tables: Tables) -> str:
    """Say what both inputs add over the utterance alone, and what synthetic rows change, with one learner."""

    def told(row: Any, where: str) -> str:
        return f"{of_points(row.value, row.low, row.high)} points {where}{not_told(row.low, row.high)}"

    said = []
    over = _one(means, learner, NOTHING, f"{BOTH} − {UTTERANCE}")
    if over is not None:
        said.append(f"reading {NAMES[BOTH]} changes macro-F1 by {told(over, f'over the {NAMES[UTTERANCE]}')}")
    for first in filter(_added, dict.fromkeys(means["first"])):
        read = {UTTERANCE: f"where the {NAMES[UTTERANCE]} is read", BOTH: f"where {NAMES[BOTH]} are read"}
        changed = [told(row, where) for kind, where in read.items() if (row := _one(means, learner, first, kind)) is not None]
        said += (
            [f"learning from synthetic rows of {_arm(first, tables)} first changes it by {', and by '.join(changed)}"] if changed else []
        )
    return f"With {tables.looks.learner(learner)}, {'; '.join(said)}." if said else ""
