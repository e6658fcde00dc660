"""Classes: which of them an arm helps."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.design.arms import SEED
from emosynth.evidence import Group, rare_classes
from emosynth.evidence.numbers import POINTS, gain, gain_span, per_cent
from emosynth.params import Figures
from emosynth.report.figures.answer import headline_of
from emosynth.report.figures.base import SCORES, Figure, Words, bare, dot_interval, handle, legend_below, limits_of, rows_of, zero_line
from emosynth.report.tables import Tables
from emosynth.report.wording import INTERVALS, level, size
from emosynth.style import new_figure

_MOST = 30


class Classes(Figure):
    """A row a class, a marker an arm; the rarest class first."""

    name = "classes"
    label = "Gain by class"
    page = "training"
    order = 30
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return the gain in F1 of each class over the labels alone at the largest size: headline arm, real rows, balanced real rows."""
        head, scored, shares = headline_of(tables), tables.scored, tables.shares(tables.target)
        assert scored is not None
        balanced = [name for name, arm in tables.params.arms.items() if arm.add == "real-balanced"]
        arms = dict.fromkeys([head.arm, *([head.real] if head.real else []), *balanced[:1]])
        rare = rare_classes(shares, tables.params.evidence.minority_share)
        seed = Group(head.corpus, head.learner, head.size, SEED)
        rows = []
        for place, (label, share) in sorted(enumerate(shares.items()), key=lambda item: item[1][1])[:_MOST]:
            for arm in arms:
                found = scored.compare(seed.with_arm(arm), seed, [place])
                if found is not None:
                    rows.append(
                        [
                            label,
                            share,
                            place in rare,
                            arm,
                            *(POINTS * value for value in (found.effect, found.low, found.high)),
                            found.repeats,
                        ]
                    )
        return pd.DataFrame(rows, columns=["label", "share", "rare", "arm", "gain", "low", "high", "repeats"])

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw dots with intervals."""
        looks = tables.looks
        labels, arms = list(dict.fromkeys(frame["label"])), list(dict.fromkeys(frame["arm"]))
        fig = new_figure(figures, 1.5 + 0.42 * len(labels))
        axes = fig.subplots()
        axes.set_xlim(limits_of(frame))
        zero_line(axes)
        for row in rows_of(frame):
            y = labels.index(row.label) + (arms.index(row.arm) - (len(arms) - 1) / 2) * 0.22
            dot_interval(axes, row.gain, y, (row.low, row.high), looks.look(row.arm), size=5.5)
        shares = frame.drop_duplicates("label").set_index("label")["share"]
        bare(axes, [f"{label} ({per_cent(shares[label])})" for label in labels])
        axes.set_xlabel("gain in F1 of the class over the labels alone (points)")
        legend_below(fig, [handle(looks.title(arm), looks.look(arm), line=False) for arm in arms], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say what the rarest class gains."""
        head, params = headline_of(tables), tables.params
        row = next(rows_of(frame[frame["arm"] == head.arm]))
        title = f"The rarest class, {row.label}, changes by {gain(row.gain / POINTS)} points of F1 with {tables.looks.title(head.arm)} rows"
        rare = frame[frame["rare"]]["label"].nunique()
        reading = (
            f"{level(params)} {gain_span(row.low / POINTS, row.high / POINTS)}, at {size(head.size)} with {tables.looks.learner(head.learner)}. Beside each "
            f"class stands its share of the training rows; {rare} of them are below {per_cent(params.evidence.minority_share)} of an equal share."
        )
        limits = "Few test rows of a rare class make its interval wide; the intervals are not corrected for the number of classes. "
        return Words(title, reading, limits + INTERVALS, "Dots with intervals of the gain in F1 by class, rarest first, one marker an arm.")
