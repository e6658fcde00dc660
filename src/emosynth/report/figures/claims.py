"""The page on claims: a forest for each declared claim on scores, and a published gain taken apart."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence import VERDICTS
from emosynth.evidence.apart import taken_apart
from emosynth.evidence.numbers import INTERVALS, POINTS, gain, known, of_points, per_cent, some
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, rows_of
from emosynth.report.tables import Tables
from emosynth.style import current_theme, drawn_names, new_figure, palette_colour

VERDICT_MARKERS = {"supported": "o", "contradicted": "X", "undecided": "D", "not tested": "."}
_CELL = ["corpus", "learner", "size", "effect", "low", "high"]
_UNIT = "F1 points"


def look(verdict: str) -> dict[str, object]:
    """Return colour and marker of a verdict."""
    theme = current_theme()
    colours = {"supported": palette_colour(2), "contradicted": palette_colour(3), "undecided": theme.ink, "not tested": theme.muted}
    return {"color": colours[verdict], "marker": VERDICT_MARKERS[verdict], "linestyle": "none"}


class Claims(Figure):
    """A panel a claim on scores, each with its own scale; claims on text have other units and stand in the table."""

    name = "claims"
    label = "Declared claims, wherever they can be tested"
    page = "claims"
    order = 10
    reads = (*SCORES, "authenticity/panel", "authenticity/diversity", "context/context", "context/dialogues")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return effect and interval in points of F1 by claim and cell."""
        rows = []
        for claim in tables.claims:
            found, head = claim.finding, claim.declared.id
            if known(found.effect) and found.unit == _UNIT:
                cell = [claim.corpus, claim.learner, claim.size, found.effect, found.low, found.high, found.margin, claim.p_adjusted]
                rows.append([head, True, claim.verdict, claim.outcome, *cell])
            for row in claim.replications if claim.declared.kind == "scores" else ():
                if known(row["effect"]):
                    rows.append([head, False, claim.verdict, row["outcome"], *(row[key] for key in _CELL), math.nan, math.nan])
        if not rows:
            raise Missing("No claim on scores was tested in this profile.")
        return pd.DataFrame(rows, columns=["id", "judged", "verdict", "outcome", *_CELL, "margin", "p_adjusted"])

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        ids = list(dict.fromkeys(frame["id"]))
        counts = [int((frame["id"] == name).sum()) for name in ids]
        fig = new_figure(figures, 0.9 + 0.75 * len(ids) + 0.2 * sum(counts))
        panels = fig.subplots(len(ids), 1, squeeze=False, height_ratios=[count + 1.5 for count in counts])[:, 0]
        for axes, name in zip(panels, ids, strict=True):
            own = frame[frame["id"] == name]
            axes.set_xlim(chart.limits_of(own, "effect"))
            chart.zero_line(axes)
            for y, row in enumerate(rows_of(own)):
                if known(row.margin):
                    axes.fill_betweenx([y - 0.35, y + 0.35], -row.margin, row.margin, color=current_theme().grid, alpha=0.7, linewidth=0)
                style = look(row.verdict if row.judged else "not tested")
                chart.dot_interval(axes, row.effect, y, (row.low, row.high), style, size=7.0 if row.judged else 5.0)
            several = own["corpus"].nunique() > 1
            parts = [
                [row.corpus] * several + [tables.looks.learner(row.learner)] + [f"n = {row.size:.0f}"] * known(row.size)
                for row in rows_of(own)
            ]
            chart.bare(axes, [", ".join(cell) for cell in parts])
            axes.set_title(f"{name}: {own['verdict'].iloc[0]}")
            axes.tick_params(labelsize=0.8 * figures.font_size)
        panels[-1].set_xlabel(f"effect ({_UNIT})")
        shown = set(frame.loc[frame["judged"], "verdict"])
        marks: dict[str, str] = {**{name: name for name in VERDICTS if name in shown}, "replication": "not tested"}
        chart.legend_below(fig, [chart.handle(name, look(verdict), line=False) for name, verdict in marks.items()], 4)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        verdicts = [claim.verdict for claim in tables.claims]
        counts = {name: verdicts.count(name) for name in VERDICTS}
        title = f"Of {some(len(verdicts), 'declared claim')}, {', '.join(f'{number} {name}' for name, number in counts.items() if number)}"
        judged = frame[frame["judged"]].set_index("id")["effect"]
        others = frame[~frame["judged"] & frame["id"].isin(judged.index)]
        reading = "Large marker: where a claim is judged; grey band: the margin within which two arms count as equivalent."
        if len(others):
            same = int((others["effect"] * others["id"].map(judged) > 0).sum())
            reading += " Dots: the same comparison with other classifiers, corpora and seed sizes; "
            reading += f"{same} of {some(len(others), 'replication')} have the sign of the cell that decides."
        limits = (
            "Verdicts rest on p corrected for all claims together; the intervals drawn are not. Replications share seeds and test rows with each other: "
            "their agreement is not independent evidence. Claims on text stand in the table below."
        )
        alt = "Forests of effects with intervals, one panel a claim, the deciding cell first, marked by verdict."
        return Words(title, reading, limits, alt)


# --- waterfall: a published gain taken apart, from the labels alone to what the published code would have reported ---

HONEST, PUBLISHED = "as its report says", "as its code runs"
NOTE = (
    "Differences of macro-F1 in points, with intervals. Alone: made in the arm as its report says. On top of those above: as in the figure. Last: made in "
    "the code as it runs without it; what is then left of the gain over the labels alone stands beside it."
)
_TOTAL = ("total", "total_low", "total_high")


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
        return chart.in_points(found, "added", "low", "high", "total", "total_low", "total_high").reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        theme, looks = current_theme(), tables.looks
        drawn = frame[frame["part"].isin(["arm", "chain", "all"])]
        lines = list(dict.fromkeys(zip(drawn["arm"], drawn["corpus"], strict=True)))
        learners = chart.learners_in(tables, drawn)
        steps = {line: _steps(drawn[(drawn["arm"] == line[0]) & (drawn["corpus"] == line[1])]) for line in lines}
        fig = new_figure(figures, 0.9 + sum(0.5 + 0.34 * len(names) for names in steps.values()))
        grid = fig.subplots(len(lines), len(learners), squeeze=False, height_ratios=[len(steps[line]) + 1 for line in lines])
        start = drawn["total"] - drawn["added"]
        ends = drawn.assign(gain=drawn["total"], low=start + drawn["low"], high=start + drawn["high"])
        titles = drawn_names([looks.title(arm) for arm, _ in lines], 24)
        for line, title, row in zip(lines, titles, grid, strict=True):
            for axes, learner in zip(row, learners, strict=True):
                own = ends[(ends["arm"] == line[0]) & (ends["corpus"] == line[1]) & (ends["learner"] == learner)]
                axes.set_xlim(chart.limits_of(ends))
                chart.zero_line(axes)
                for item in rows_of(own):
                    y = steps[line].index(_name(item))
                    colour = looks.colour(line[0]) if item.part != "chain" else palette_colour(2 if item.added >= 0 else 3)
                    axes.barh(y, item.added, left=item.gain - item.added, height=0.55, color=colour, alpha=0.55)
                    chart.dot_interval(axes, item.gain, y, (item.low, item.high), {"color": theme.ink, "marker": "o"}, size=3.5)
                chart.bare(axes, drawn_names(steps[line], 34) if learner == learners[0] else [""] * len(steps[line]))
                name = f"{title}, {line[1]}\n{looks.learner(learner)}"
                axes.set_title(name, fontsize=0.95 * figures.font_size)
        for axes in grid[-1]:
            axes.set_xlabel("gain over the labels alone (F1 points)")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        looks, parts = tables.looks, []
        for (arm, corpus, learner), own in frame.groupby(["arm", "corpus", "learner"], sort=False):
            honest, whole = own[own["part"] == "arm"].iloc[0], own[own["part"] == "all"]
            said = f"{looks.learner(str(learner))}: {_told(own[own['part'] == 'arm'], *_TOTAL)}"
            if len(whole):
                said += f" {HONEST}, {_told(whole, *_TOTAL)} {PUBLISHED}"
            chain = own[own["part"] == "chain"]
            if len(chain):
                most = chart.top(chain, "added")
                said += f"; {most['step']} adds most, {of_points(most['added'], most['low'], most['high'])}"
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
        rows.append({**head, "difference": f"none: {HONEST}", "gain in all": _told(own[own["part"] == "arm"], *_TOTAL)})
        for step in dict.fromkeys(own.loc[own["step"] != "", "step"]):
            named = own[own["step"] == step]
            last = named[named["part"] == "last"]
            left = ""
            if len(last) and float(whole["total"].iloc[0]) > 0:
                left = f" ({per_cent(float(last['total'].iloc[0] / whole['total'].iloc[0]))})"
            alone, chain = (_told(named[named["part"] == part]) for part in ("alone", "chain"))
            rows.append({
                **head, "difference": str(step), "alone": alone, "on top of those above": chain, "last, on top of all others": _told(last),
                "left of the gain without it": _told(last, *_TOTAL) + left,
            })  # fmt: skip
        if len(whole):
            rows.append({**head, "difference": f"all: {PUBLISHED}", "gain in all": _told(whole, *_TOTAL)})
    return rows


def _told(rows: pd.DataFrame, value: str = "added", low: str = "low", high: str = "high") -> str:
    return "–" if rows.empty else of_points(*rows.iloc[0][[value, low, high]])
