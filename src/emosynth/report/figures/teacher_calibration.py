"""The teacher's calibration: whether its confidence can be believed, before and after its temperature is fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.numbers import number, some
from emosynth.params import Figures
from emosynth.report.figures.base import Figure, Words
from emosynth.report.tables import Tables
from emosynth.report.wording import size
from emosynth.style import current_theme, new_figure, palette_colour

_ROWS = {"out-of-fold": "seed rows that it was not fitted on", "test": "test rows"}
_FEW = 5


class TeacherCalibration(Figure):
    """Accuracy by confidence: seed rows out of fold, test rows."""

    name = "teacher_calibration"
    label = "The teacher's confidence"
    page = "writing"
    order = 20
    reads = ("verdicts/reliability", "verdicts/teachers")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return confidence, accuracy and count by bin, repeats taken together, at the target's largest seed size."""
        rows = tables.need("verdicts/reliability", "verdicts/teachers")
        rows = rows[rows["corpus"] == tables.target]
        rows = rows[(rows["size"] == rows["size"].max()) & (rows["count"] > 0)]
        held = rows.assign(confidence=rows["confidence"] * rows["count"], accuracy=rows["accuracy"] * rows["count"])
        sums = held.groupby(["rows", "scaled", "size", "bin"], sort=True)[["confidence", "accuracy", "count"]].sum().reset_index()
        return sums.assign(confidence=sums["confidence"] / sums["count"], accuracy=sums["accuracy"] / sums["count"])

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw one panel for each kind of rows; dots grow with the number of rows."""
        theme = current_theme()
        kinds = [kind for kind in _ROWS if kind in set(frame["rows"])]
        fig = new_figure(figures, 3.6)
        for axes, kind in zip(fig.subplots(1, len(kinds), squeeze=False, sharey=True)[0], kinds, strict=True):
            axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1.0, linestyle=(0, (4, 2)))
            for scaled in (False, True):
                rows = frame[(frame["rows"] == kind) & (frame["scaled"].astype(bool) == scaled)]
                colour = palette_colour(1) if scaled else theme.muted
                axes.plot(rows["confidence"], rows["accuracy"], color=colour, label="temperature fitted" if scaled else "as fitted")
                axes.scatter(
                    rows["confidence"], rows["accuracy"], s=8 + 60 * np.sqrt(rows["count"] / frame["count"].max()), color=colour, zorder=3
                )
            axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence")
            axes.set_title(_ROWS[kind])
        fig.axes[0].set_ylabel("accuracy")
        fig.axes[0].legend(loc="upper left")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say by how much the teacher is too sure on test rows."""

        def error(kind: str, scaled: bool) -> float:
            rows = frame[(frame["rows"] == kind) & (frame["scaled"].astype(bool) == scaled)]
            return float((rows["confidence"] - rows["accuracy"]).abs().mul(rows["count"]).sum() / max(1, rows["count"].sum()))

        kind = "test" if "test" in set(frame["rows"]) else str(frame["rows"].iloc[0])
        before, after = 100 * error(kind, False), 100 * error(kind, True)
        title = f"The teacher's confidence is off by {number(after)} points on {_ROWS.get(kind, kind)}, {number(before)} before its temperature is fitted"
        teachers = tables.get("verdicts/teachers")
        reading = f"Trained on {size(int(frame['size'].max()))} labels of {tables.target}. "
        if teachers is not None:
            own = teachers[(teachers["corpus"] == tables.target) & (teachers["size"] == frame["size"].max())]
            reading += f"Macro-F1 out of fold: {number(100 * float(own['macro_f1'].mean()))} points ({some(len(own), 'repeat')})."
        limits = f"Bins of fewer than {_FEW} rows are drawn small and say little. Generated rows have no true label to compare with."
        return Words(title, reading, limits, "Line charts of accuracy against confidence, with the diagonal of perfect calibration.")
