"""Learning curves: macro-F1 of every arm that was run on several seed sizes."""

from __future__ import annotations

import math
from itertools import pairwise

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.design.arms import SEED
from emosynth.evidence.numbers import POINTS, gain
from emosynth.params import Figures
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, dot_interval, handle, legend_below, limits_of, rows_of, size_axis
from emosynth.report.tables import Tables
from emosynth.report.wording import INTERVALS, size
from emosynth.style import new_figure


class LearningCurves(Figure):
    """One panel a learner, one line an arm."""

    name = "learning_curves"
    label = "Learning curves"
    page = "training"
    order = 20
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return mean macro-F1 in points by learner, arm and seed size, of arms with more than one size."""
        scored = tables.scored
        if scored is None:
            raise Missing("The run holds no trials.")
        rows = []
        for group in scored.groups:
            if (group.corpus, group.version, group.budget, group.sweep) == (tables.target, "", "accepted", ""):
                found = scored.combine([(1.0, group)])
                assert found is not None
                rows.append(
                    [group.size, POINTS * found.effect, POINTS * found.low, POINTS * found.high, found.repeats, group.learner, group.arm]
                )
        frame = pd.DataFrame(rows, columns=["size", "mean", "low", "high", "repeats", "learner", "arm"])
        several = frame.groupby(["learner", "arm"])["size"].transform("nunique") > 1 if len(frame) else pd.Series(dtype=bool)
        if not several.any():
            raise Missing("No arm was run on more than one seed size.")
        place = {arm: number for number, arm in enumerate(tables.looks.arms)}
        frame = frame[several].assign(place=lambda rows: rows["arm"].map(place))
        return frame.sort_values(["learner", "place", "size"], kind="stable").drop(columns="place").reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw dots with intervals, a little apart so that intervals do not cover each other."""
        looks = tables.looks
        learners = [name for name in tables.params.learners if name in set(frame["learner"])]
        arms, sizes = looks.order(frame["arm"]), sorted(int(item) for item in set(frame["size"]))
        fig = new_figure(figures, 4.2)
        panels = fig.subplots(1, len(learners), squeeze=False)[0]
        step = min(math.log10(b / a) for a, b in pairwise(sizes)) / (len(arms) + 1) / 1.5
        for axes, learner in zip(panels, learners, strict=True):
            rows = frame[frame["learner"] == learner]
            axes.set_ylim(limits_of(rows, "mean", zero=False))
            for place, arm in enumerate(arms):
                line, look = rows[rows["arm"] == arm], looks.look(arm)
                x = line["size"] * 10 ** (step * (place - (len(arms) - 1) / 2))
                axes.plot(x, line["mean"], color=look["color"], alpha=0.9)
                for at, row in zip(x, rows_of(line), strict=True):
                    dot_interval(axes, row.mean, at, (row.low, row.high), look, size=5.0, horizontal=False)
            size_axis(axes, sizes)
            axes.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
            axes.set_title(looks.learner(learner), wrap=True)
        panels[0].set_ylabel("macro-F1 (points)")
        legend_below(fig, [handle(looks.title(arm), looks.look(arm)) for arm in arms], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say what more labels alone are worth, and which written arm leads at each end."""
        looks = tables.looks
        learner = (
            tables.headline.learner
            if tables.headline and tables.headline.learner in set(frame["learner"])
            else str(frame["learner"].iloc[0])
        )
        rows = frame[frame["learner"] == learner]
        own = rows[rows["arm"] == SEED].set_index("size")["mean"]
        small, large = int(rows["size"].min()), int(rows["size"].max())
        written = rows[[not looks.real(arm) for arm in rows["arm"]]]
        reading, parts = "", []
        for at in (small, large):
            here = written[written["size"] == at]
            if len(here) and at in own:
                best = here.iloc[int(here["mean"].to_numpy().argmax())]
                parts.append(
                    f"{looks.title(str(best['arm']))} leads the written arms at {size(at)} ({gain((best['mean'] - own[at]) / POINTS)} over the labels alone)"
                )
        title = "Macro-F1 by number of labels"
        if small in own and large in own:
            title = f"From {small} to {large} labels alone, macro-F1 changes by {gain((own[large] - own[small]) / POINTS)} points"
            reading = f"With {looks.learner(learner)} on {tables.target}. "
        reading += "; ".join(parts) + "." if parts else ""
        return Words(
            title, reading, INTERVALS, "Line charts of macro-F1 against the number of labels, one panel a learner, one line an arm."
        )
