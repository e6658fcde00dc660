"""Waterfall: a published gain taken apart, from the labels alone to what the published code would have reported."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.apart import taken_apart
from emosynth.evidence.numbers import POINTS, gain, gain_span, per_cent
from emosynth.params import Figures
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, bare, dot_interval, limits_of, rows_of, zero_line
from emosynth.report.tables import Tables
from emosynth.report.wording import INTERVALS
from emosynth.style import current_theme, drawn_name, new_figure, palette_colour

HONEST, PUBLISHED = "as its report says", "as its code runs"
NOTE = (
    "Differences of macro-F1 in points, with intervals. Alone: made in the arm as its report says. On top of those above: as in the figure. Last: made in "
    "the code as it runs without it; what is then left of the gain over the labels alone stands beside it."
)
_NUMBERS = ("added", "low", "high", "total", "total_low", "total_high")


class Waterfall(Figure):
    """A row of panels an arm, a panel a learner: each departure of a published code on top of those before it."""

    name = "waterfall"
    label = "A published gain, taken apart"
    page = "claims"
    order = 30
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return what `emosynth.evidence.apart` finds, in points, at the largest size of each learner."""
        found = None if tables.scored is None else taken_apart(tables.scored, tables.params)
        if found is None or found.empty:
            raise Missing("No published gain was taken apart in this profile (arms.<name>.changes and a sweep over them).")
        found = found[found["size"] == found.groupby(["arm", "corpus", "learner"])["size"].transform("max")]
        return found.assign(**{name: POINTS * found[name] for name in _NUMBERS}).reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw floating bars: what each step adds, with its interval at the end."""
        theme, looks = current_theme(), tables.looks
        drawn = frame[frame["part"].isin(["arm", "chain", "all"])]
        lines = list(dict.fromkeys(zip(drawn["arm"], drawn["corpus"], strict=True)))
        learners = [name for name in tables.params.learners if name in set(drawn["learner"])]
        steps = {line: _steps(drawn[(drawn["arm"] == line[0]) & (drawn["corpus"] == line[1])]) for line in lines}
        fig = new_figure(figures, 0.9 + sum(0.5 + 0.34 * len(names) for names in steps.values()))
        grid = fig.subplots(len(lines), len(learners), squeeze=False, height_ratios=[len(steps[line]) + 1 for line in lines])
        ends = drawn.assign(
            gain=drawn["total"], low=drawn["total"] - drawn["added"] + drawn["low"], high=drawn["total"] - drawn["added"] + drawn["high"]
        )
        for line, row in zip(lines, grid, strict=True):
            for axes, learner in zip(row, learners, strict=True):
                own = ends[(ends["arm"] == line[0]) & (ends["corpus"] == line[1]) & (ends["learner"] == learner)]
                axes.set_xlim(limits_of(ends))
                zero_line(axes)
                for item in rows_of(own):
                    y = steps[line].index(_name(item))
                    colour = looks.colour(line[0]) if item.part != "chain" else palette_colour(2 if item.added >= 0 else 3)
                    axes.barh(y, item.added, left=item.gain - item.added, height=0.55, color=colour, alpha=0.55)
                    dot_interval(axes, item.gain, y, (item.low, item.high), {"color": theme.ink, "marker": "o"}, size=3.5)
                bare(axes, [drawn_name(name, 34) for name in steps[line]] if learner == learners[0] else [""] * len(steps[line]))
                axes.set_title(
                    f"{drawn_name(looks.title(line[0]), 24)}, {line[1]}\n{looks.learner(learner)}", fontsize=0.95 * figures.font_size
                )
        for axes in grid[-1]:
            axes.set_xlabel("gain over the labels alone (F1 points)")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say what is left of the published gain, and which step adds most."""
        looks, parts = tables.looks, []
        for (arm, corpus, learner), own in frame.groupby(["arm", "corpus", "learner"], sort=False):
            honest, whole = own[own["part"] == "arm"].iloc[0], own[own["part"] == "all"]
            said = f"{looks.learner(str(learner))}: {gain(honest['total'] / POINTS)} ({gain_span(honest['total_low'] / POINTS, honest['total_high'] / POINTS)})"
            if len(whole):
                end = whole.iloc[0]
                said += f" {HONEST}, {gain(end['total'] / POINTS)} ({gain_span(end['total_low'] / POINTS, end['total_high'] / POINTS)}) {PUBLISHED}"
            chain = own[own["part"] == "chain"]
            if len(chain):
                most = chain.iloc[int(chain["added"].to_numpy().argmax())]
                said += (
                    f"; {most['step']} adds most, {gain(most['added'] / POINTS)} ({gain_span(most['low'] / POINTS, most['high'] / POINTS)})"
                )
            parts.append((str(arm), str(corpus), str(learner), honest, whole, said))
        # The published learner is fine-tuned: where one was, the title is about it.
        arm, corpus, learner, honest, whole, _ = min(parts, key=lambda part: (not len(part[4]), tables.kinds[part[2]] != "steps"))
        title = f"{looks.title(arm)} on {corpus} gains {gain(honest['total'] / POINTS)} points {HONEST}"
        if len(whole):
            title += f", and would have reported {gain(whole.iloc[0]['total'] / POINTS)} {PUBLISHED} ({looks.learner(learner)})"
        limits = (
            "Each step is priced on top of those above it, so that their order matters; the table has each one alone, and taken away from all. A score "
            "that counts written rows among the test rows is the published kind of score; how these rows would vary is not in its interval. "
            "Intervals are not corrected for the number of steps. "
        )
        alt = "Waterfall of floating bars: what each departure of a published code adds to the gain in macro-F1, one panel a classifier."
        return Words(title, ". ".join(part[-1] for part in parts) + ".", limits + INTERVALS, alt)


def _name(item: Any) -> str:
    return {"arm": HONEST, "all": PUBLISHED}.get(item.part, item.step)


def _steps(own: pd.DataFrame) -> list[str]:
    """Return the rows of a panel from top to bottom; learners may have been run on different steps."""
    chain = list(dict.fromkeys(own.loc[own["part"] == "chain", "step"]))
    return [HONEST, *chain, *([PUBLISHED] if (own["part"] == "all").any() else [])]


def apart_rows(tables: Tables) -> list[dict[str, str]]:
    """Return the table beside the figure: a row an arm, corpus, learner and change; none if no gain was taken apart."""
    try:
        frame = Waterfall().frame(tables)
    except Missing:
        return []
    rows = []
    for (arm, corpus, learner), own in frame.groupby(["arm", "corpus", "learner"], sort=False):
        whole = own[own["part"] == "all"]
        head = {"arm": f"{tables.looks.title(str(arm))}, {corpus}", "classifier": tables.looks.learner(str(learner))}
        rows.append(
            {**head, "difference": f"none: {HONEST}", "gain in all": _told(own[own["part"] == "arm"], "total", "total_low", "total_high")}
        )
        for step in dict.fromkeys(own.loc[own["step"] != "", "step"]):
            named = own[own["step"] == step]
            last = named[named["part"] == "last"]
            left = (
                f" ({per_cent(float(last['total'].iloc[0] / whole['total'].iloc[0]))})"
                if len(last) and float(whole["total"].iloc[0]) > 0
                else ""
            )
            rows.append({
                **head, "difference": str(step), "alone": _told(named[named["part"] == "alone"]), "on top of those above": _told(named[named["part"] == "chain"]),
                "last, on top of all others": _told(last), "left of the gain without it": _told(last, "total", "total_low", "total_high") + left,
            })  # fmt: skip
        if len(whole):
            rows.append({**head, "difference": f"all: {PUBLISHED}", "gain in all": _told(whole, "total", "total_low", "total_high")})
    return rows


def _told(rows: pd.DataFrame, value: str = "added", low: str = "low", high: str = "high") -> str:
    if rows.empty:
        return "–"
    row = rows.iloc[0]
    return f"{gain(row[value] / POINTS)} ({gain_span(row[low] / POINTS, row[high] / POINTS)})"
