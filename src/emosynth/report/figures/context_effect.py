"""Context: whether a model that reads it labels better than one that does not."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.context.inputs import BOTH, CONTEXT_ONLY, INPUTS, SHUFFLED, UTTERANCE
from emosynth.evidence.numbers import level, number, of_points, some, span
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures.base import Figure, Missing, Words, not_told, rows_of
from emosynth.report.tables import Tables
from emosynth.style import new_figure

_MEAN = -1
MEASURES = {"lrap": "ranking of labels (LRAP)", "top_1": "first label right", "flips": "pairs moved the right way"}
NAMES = {BOTH: "context and utterance", UTTERANCE: "utterance alone", CONTEXT_ONLY: "context alone", SHUFFLED: "another row's context"}


class ContextEffect(Figure):
    """A panel a measure, a row an input, a marker a learner."""

    name = "context_effect"
    label = "What context is worth"
    page = "context"
    order = 10
    reads = ("context/context",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return means over repeats by learner, input, test and measure, inputs and differences between them, in per cent."""
        rows = tables.need("context/context")
        rows = rows[(rows["repeat"] == _MEAN) & rows["measure"].isin(MEASURES)]
        if rows.empty:
            raise Missing("No model with context was compared with one without.")
        rows = rows[["learner", "input", "test", "measure", "n", "value", "low", "high"]]
        return chart.in_points(rows, "value", "low", "high").reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks, rows = tables.looks, frame[frame["input"].isin(INPUTS)]
        measures = [name for name in MEASURES if name in set(rows["measure"])]
        learners = list(dict.fromkeys(rows["learner"]))
        fig = new_figure(figures, 3.0)
        for axes, measure in zip(fig.subplots(1, len(measures), squeeze=False, sharey=True)[0], measures, strict=True):
            here = rows[rows["measure"] == measure]
            low, high = float(here[["low", "value"]].min().min()), float(here[["high", "value"]].max().max())
            axes.set_xlim(low - 3, high + 3)
            for row in rows_of(here):
                y = INPUTS.index(row.input) + 0.2 * (learners.index(row.learner) - (len(learners) - 1) / 2)
                chart.dot_interval(axes, row.value, y, (row.low, row.high), looks.learner_look(row.learner))
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
            title = f"With {tables.looks.learner(learner)}, reading context and utterance changes the ranking of labels by {' and by '.join(told)}"
        reading = f"{tables.looks.learner(learner)}, rows of held-out stories, points of LRAP with {level(tables.params)}s."
        pairs = frame[(frame["measure"] == "flips") & (frame["input"] == BOTH) & (frame["learner"] == learner)]
        if len(pairs):
            row = pairs.iloc[0]
            reading += f" Of {some(int(row['n']), 'pair')} of contexts for one utterance, {number(float(row['value']), 0)} % ({span(float(row['low']), float(row['high']), 0, sign=False)}) move the label the right way; by chance, 50 %."
        limits = (
            "A context was written for the label that is then asked for, and half of the training label is the same language model's reading: context "
            "alone can give the label away. It is no evidence about people's contexts."
        )
        return Words(title, reading, limits, "Dots with intervals by what the model reads, one panel a measure.")
