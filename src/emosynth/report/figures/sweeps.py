"""Sweeps: one setting of an arm changed at a time."""

from __future__ import annotations

import json

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.apart import CHANGES
from emosynth.evidence.numbers import POINTS, gain
from emosynth.params import Figures
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, dot_interval, learner_legend, limits_of, rows_of, zero_line
from emosynth.report.tables import Tables
from emosynth.report.wording import INTERVALS
from emosynth.style import drawn_name, new_figure

FEWEST = 3
"""Values from which a sweep is drawn."""
_COLUMNS = 3


class Sweeps(Figure):
    """Small multiples, a panel a sweep; only sweeps in which something happens."""

    name = "sweeps"
    label = "Settings, one at a time"
    page = "training"
    order = 40
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return gains over the labels alone in points, by sweep, value and learner, of sweeps with three values or more."""
        rows = tables.need_contrasts(sweep=True)
        rows = rows[(rows["against"] == "seed") & (rows["budget"] == "accepted") & (rows["version"] == "") & (rows["sweep"] != CHANGES)]
        frame = rows[["arm", "sweep", "value", "learner", "size", "gain", "low", "high", "repeats"]]
        frame = frame.assign(
            value=[_shown(value) for value in frame["value"]], **{name: POINTS * frame[name] for name in ("gain", "low", "high")}
        )
        values = frame.groupby(["arm", "sweep"])["value"].transform("nunique")
        frame = frame[(values >= FEWEST) & (frame["size"] == frame.groupby("learner")["size"].transform("max"))]
        if frame.empty:
            raise Missing(f"No sweep has {FEWEST} values.")
        return frame.reset_index(drop=True)

    def signal(self, frame: pd.DataFrame, tables: Tables) -> str:
        """Say so if no sweep moves the score by more than its uncertainty."""
        if any(_moves(part) for _, part in frame.groupby(["arm", "sweep"], sort=False)):
            return ""
        return "No setting that was swept over moves the score by more than the half-width of its intervals."

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw the sweeps with a signal; all if none has one."""
        looks = tables.looks
        groups = list(frame.groupby(["arm", "sweep"], sort=False))
        groups = [item for item in groups if _moves(item[1])] or groups
        lines = -(-len(groups) // _COLUMNS)
        fig = new_figure(figures, 0.9 + 2.4 * lines)
        grid = fig.subplots(lines, min(_COLUMNS, len(groups)), squeeze=False, sharey=True)
        learners = [name for name in tables.params.learners if name in set(frame["learner"])]
        for axes in grid.flat[len(groups) :]:
            axes.set_visible(False)
        for axes, ((arm, sweep), part) in zip(grid.flat, groups, strict=False):
            values = list(dict.fromkeys(part["value"]))
            axes.set_ylim(limits_of(frame))
            zero_line(axes, horizontal=False)
            for place, learner in enumerate(learners):
                line, look = part[part["learner"] == learner], looks.learner_look(learner)
                x = [values.index(value) + 0.1 * (place - (len(learners) - 1) / 2) for value in line["value"]]
                axes.plot(x, line["gain"], color=look["color"], alpha=0.6, linewidth=1.0)
                for at, row in zip(x, rows_of(line), strict=True):
                    dot_interval(axes, row.gain, at, (row.low, row.high), look, size=5.0, horizontal=False)
            axes.set_xticks(range(len(values)), values)
            axes.set_xlim(-0.5, len(values) - 0.5)
            axes.set_title(f"{drawn_name(looks.title(str(arm)), 32)}\n{sweep}", fontsize=0.95 * figures.font_size)
        for axes in grid[:, 0]:
            axes.set_ylabel("gain (F1 points)")
        learner_legend(fig, looks, learners)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Name the setting that matters most, and those that do not matter."""
        spans = {key: _range(part) for key, part in frame.groupby(["arm", "sweep"], sort=False)}
        (arm, sweep), (width, learner, best) = max(spans.items(), key=lambda item: item[1][0])
        flat = [str(key[1]) for key, part in frame.groupby(["arm", "sweep"], sort=False) if not _moves(part)]
        title = f"{sweep} moves {tables.looks.title(str(arm))} most: {gain(width / POINTS).removeprefix('+')} points between its best and worst value"
        reading = f"Best is {best}, with {tables.looks.learner(learner)}. "
        reading += f"Not drawn, because nothing happens: {', '.join(flat)}." if flat and len(flat) < len(spans) else ""
        limits = "Values are compared on the test rows: the best one is flattered by having been picked. One setting is changed at a time. "
        return Words(
            title,
            reading.strip(),
            limits + INTERVALS,
            "Small line charts of the gain in macro-F1 by value of a setting, one panel a setting.",
        )


def _shown(value: str) -> str:
    loaded = json.loads(value)
    return f"{loaded:g}" if isinstance(loaded, int | float) and not isinstance(loaded, bool) else str(loaded)


def _range(part: pd.DataFrame) -> tuple[float, str, str]:
    """Return the widest range over learners, with its learner and best value."""
    found = []
    for learner, rows in part.groupby("learner", sort=False):
        best = rows.iloc[int(rows["gain"].to_numpy().argmax())]
        found.append((float(rows["gain"].max() - rows["gain"].min()), str(learner), str(best["value"])))
    return max(found)


def _moves(part: pd.DataFrame) -> bool:
    """Whether some learner's scores range over more than the mean half-width of their intervals."""
    return any(
        float(rows["gain"].max() - rows["gain"].min()) > float((rows["high"] - rows["low"]).mean()) / 2
        for _, rows in part.groupby("learner", sort=False)
    )
