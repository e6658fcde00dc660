"""Whether context changes the label: models that read context and utterance against models that read less."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import FigureSpec, Missing, Words, dot_interval, register, rows_of, zero_line
from emosynth.report.figures.pillars.common import LEARNERS, PART, learner_name, named_rows, plain_look
from emosynth.report.figures.sentisynth.common import reference_line
from emosynth.report.numbers import POINTS, count, per_cent, points, span
from emosynth.report.tables import Tables
from emosynth.style import new_figure

INPUTS = {
    "context": "context and utterance",
    "utterance": "utterance alone",
    "context only": "context alone",
    "shuffled context": "another row's context",
}
DIFFERENCES = {
    "context − utterance": "both − utterance",
    "context − shuffled context": "both − another's context",
    "context − context only": "both − context alone",
}
MEASURES = {
    ("rows", "top_1"): "first label was asked for",
    ("rows", "lrap"): "label-ranking precision",
    ("pairs", "flips"): "label moves with context",
}
_TESTS = {"rows": "held-out stories", "pairs": "pairs"}
_MEAN = -1
"""Stands for the mean over repeats."""


def context_numbers(tables: Tables) -> pd.DataFrame:
    """Return the mean over repeats (times 100) by learner, test, measure and input, and differences of inputs, with bootstrap intervals."""
    found = tables.pillars.context
    if found is None or found.empty:
        raise Missing("No model was trained with and without context (transfer/context.parquet).")
    rows = found[found["repeat"] == _MEAN]
    names = list(dict.fromkeys([*LEARNERS, *sorted(set(rows["learner"]))]))
    parts = []
    for learner in names:
        for test, measure in MEASURES:
            cell = rows[(rows["learner"] == learner) & (rows["test"] == test) & (rows["measure"] == measure)]
            for panel, inputs in (("level", INPUTS), ("difference", DIFFERENCES)):
                parts += [cell[cell["input"] == name].assign(panel=panel) for name in inputs]
    frame = pd.concat(parts, ignore_index=True)
    if frame.empty:
        raise Missing("The comparison of inputs has no mean over repeats.")
    scaled = frame.assign(**{name: POINTS * frame[name] for name in ("value", "low", "high")})
    return scaled[["learner", "test", "measure", "panel", "input", "n", "value", "low", "high"]]


def paint_context(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one column per measure and, for each learner, a panel of levels over a panel of differences."""
    learners = list(dict.fromkeys(frame["learner"]))
    found = set(zip(frame["test"], frame["measure"], strict=True))
    measures = [key for key in MEASURES if key in found]
    blocks = [(learner, panel, names) for learner in learners for panel, names in (("level", INPUTS), ("difference", DIFFERENCES))]
    fig = new_figure(figures, 0.9 + sum(0.55 + 0.27 * len(names) for _, _, names in blocks))
    grid = fig.subplots(len(blocks), len(measures), squeeze=False, height_ratios=[len(names) + 0.6 for _, _, names in blocks])
    for panels, (learner, panel, names) in zip(grid, blocks, strict=True):
        for axes, (test, measure) in zip(panels, measures, strict=True):
            cell = frame[
                (frame["learner"] == learner) & (frame["panel"] == panel) & (frame["test"] == test) & (frame["measure"] == measure)
            ]
            _panel(axes, cell, panel, list(names), measure)
            named_rows(axes, list(names.values()), (test, measure) == measures[0])
            if panel == "level":
                axes.set_title(f"{learner_name(learner)}\n{MEASURES[test, measure]}\n({_TESTS[test]})", fontsize=0.85 * figures.font_size)
            axes.set_xlabel("× 100" if panel == "level" else "difference, × 100", fontsize=0.85 * figures.font_size)
    return fig


def _panel(axes: Axes, cell: pd.DataFrame, panel: str, inputs: list[str], measure: str) -> None:
    if panel == "difference":
        zero_line(axes)
    elif measure == "flips":
        reference_line(axes, 50.0, horizontal=False)
    for row in rows_of(cell):
        full = panel == "difference" or row.input == "context"
        dot_interval(axes, row.value, inputs.index(row.input), row.low, row.high, plain_look(0, "o" if panel == "level" else "D", full))


def context_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say what the context adds to the utterance on rows of held-out stories, and how often labels of pairs move the right way."""
    level = tables.evidence.confidence
    learner = str(frame["learner"].iloc[0])

    def said(test: str, measure: str, name: str, of: str = learner, sign: bool = True) -> str:
        cell = frame[(frame["learner"] == of) & (frame["test"] == test) & (frame["measure"] == measure) & (frame["input"] == name)]
        if cell.empty:
            return ""
        row = cell.iloc[0]
        return f"{points(float(row['value']), sign=sign)} ({span(float(row['low']), float(row['high']), sign=sign)})"

    first, moved = said("rows", "top_1", "context − utterance"), said("pairs", "flips", "context", sign=False)
    parts = [
        *([f"reading the context as well changes the share of right first labels by {first} points"] if first else []),
        *([f"it moves the label the right way in {moved} of 100 pairs"] if moved else []),
    ]
    title = f"Models with and without context, {len(frame)} comparisons"
    if parts:
        title = f"{', and '.join(parts)}; {per_cent(level)} intervals, {learner_name(learner)}"
        title = title[:1].upper() + title[1:]
    reading = []
    for of in dict.fromkeys(frame["learner"]):
        for test, measure in MEASURES:
            values = [f"{DIFFERENCES[name]} {text}" for name in DIFFERENCES if (text := said(test, measure, name, of))]
            if values:
                reading.append(f"{learner_name(of)}, {MEASURES[test, measure]} ({_TESTS[test]}), in points: {'; '.join(values)}.")
    sizes = frame.drop_duplicates("test").set_index("test")["n"]
    reading.append(
        "Tested on "
        + " and ".join(f"{count(float(number))} {'rows' if test == 'rows' else 'pairs'}" for test, number in sizes.items())
        + "."
    )
    reading.append("A model that does not read the context moves no label: 50 of 100 (dotted).")
    limits = (
        "what context does in real conversation: contexts were generated for the emotion that was asked for, so that they may give it away without the "
        "utterance (see “context alone”), and labels are those asked for, not human ones."
    )
    return Words(
        title, reading, limits, "Measures with intervals by what the model reads, and their differences, for held-out rows and for pairs."
    )


draw_context_effect = register(FigureSpec("context_effect", "Effect of context", context_numbers, paint_context, context_words, 370, PART))
