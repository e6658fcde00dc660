"""The page on claims: each declared claim where it is judged, a forest of its replications, and a published gain taken apart."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from emosynth.evidence import VERDICTS
from emosynth.evidence.apart import taken_apart
from emosynth.evidence.numbers import INTERVALS, POINTS, gain, known, level, listed, number, of_points, per_cent, some, span
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures.authenticity import measure_name
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, rows_of
from emosynth.report.tables import Tables
from emosynth.style import current_theme, drawn_name, drawn_names, new_figure, palette_colour

VERDICT_MARKERS = {"supported": "o", "contradicted": "X", "undecided": "D", "not tested": "."}
_CELL = ["outcome", "corpus", "learner", "size", "effect", "low", "high", "unit", "p", "comparison"]
_COLUMNS = [
    "id", "ours", "judged", "verdict", "outcome", "corpus", "learner", "size", "effect", "low", "high", "unit", "margin", "p", "p_adjusted", "comparison", "statement",
]  # fmt: skip
_UNIT = "F1 points"
_ROW = 0.4
"""Height of a claim in inches."""
_STATEMENT = 46
"""Characters of a line of a claim's statement."""


def look(verdict: str) -> dict[str, object]:
    """Return colour and marker of a verdict."""
    theme = current_theme()
    colours = {"supported": palette_colour(2), "contradicted": palette_colour(3), "undecided": theme.ink, "not tested": theme.muted}
    return {"color": colours[verdict], "marker": VERDICT_MARKERS[verdict], "linestyle": "none"}


class Claims(Figure):
    """A row a claim, where it is judged; published claims, our own and those on text in panels of their own. A forest a claim besides."""

    name = "claims"
    label = "Declared claims, each where it is judged"
    page = "claims"
    order = 10
    reads = (*SCORES, "authenticity/panel", "authenticity/diversity", "context/context", "context/dialogues")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return effect and interval by claim and cell: where it is judged, then the same comparison in every other cell that holds it."""
        rows = []
        for claim in tables.claims:
            found, declared = claim.finding, claim.declared
            head = {"id": declared.id, "ours": declared.ours, "verdict": claim.verdict}
            if known(found.effect):
                rows.append({
                    **head, "judged": True, "outcome": claim.outcome, "corpus": claim.corpus, "learner": claim.learner, "size": claim.size, "effect": found.effect,
                    "low": found.low, "high": found.high, "unit": found.unit, "margin": found.margin, "p": found.p, "p_adjusted": claim.p_adjusted,
                    "comparison": claim.comparison, "statement": declared.statement,
                })  # fmt: skip
            for row in claim.replications if declared.kind == "scores" else ():
                if known(row["effect"]):
                    rows.append({**head, "judged": False, "statement": "", **{key: row[key] for key in _CELL}})
        if not any(row["judged"] for row in rows):
            raise Missing("No declared claim was tested in this profile.")
        return pd.DataFrame(rows, columns=_COLUMNS)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        judged = frame[frame["judged"]]
        panels = {title: own for title, own in _panels(judged).items() if len(own)}
        fig = new_figure(figures, 0.8 + sum(0.75 + _ROW * len(own) for own in panels.values()))
        grid = fig.subplots(len(panels), 1, squeeze=False, height_ratios=[len(own) + 0.8 for own in panels.values()])[:, 0]
        for axes, (title, own) in zip(grid, panels.items(), strict=True):
            text = bool((own["unit"] != _UNIT).all())
            # Claims on text have units of their own: each is drawn by half the width of its interval, and its number stands beside it.
            scale = (own["high"] - own["low"]) / 2 if text else pd.Series(1.0, index=own.index)
            drawn = own.assign(**{name: own[name] / scale for name in ("effect", "low", "high")})
            axes.set_xlim(chart.limits_of(drawn, "effect"))
            chart.zero_line(axes)
            for place, row in enumerate(rows_of(drawn)):
                _band(axes, place, row.margin)
                chart.dot_interval(axes, row.effect, place, (row.low, row.high), look(row.verdict), size=7.0)
            chart.bare(axes, [""] * len(own))
            for place, row in enumerate(rows_of(own)):
                _beside(axes, place, _claimed(row), 0.0, figures)
                _beside(axes, place, _found(row, tables), 1.0, figures)
            axes.set_title(title)
            axes.set_xlabel(
                "effect, in half-widths of its interval" if text else f"effect: left side minus right side of the claim ({_UNIT})"
            )
        shown = [name for name in VERDICTS if name in set(judged["verdict"])]
        chart.legend_below(fig, [chart.handle(name, look(name), line=False) for name in shown], 4)
        return fig

    def parts(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Iterator[tuple[str, Canvas]]:
        """Draw a forest for each claim on scores that other cells hold too, the cell that decides first."""
        for name, own in frame.groupby("id", sort=False):
            if own["judged"].any() and len(own) > 1:
                yield f"{self.name}-{name}", self._forest(own, tables, figures)

    def _forest(self, own: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        fig = new_figure(figures, 0.95 + 0.23 * len(own))
        axes = fig.subplots()
        axes.set_xlim(chart.limits_of(own, "effect"))
        chart.zero_line(axes)
        for place, row in enumerate(rows_of(own)):
            _band(axes, place, row.margin)
            chart.dot_interval(
                axes,
                row.effect,
                place,
                (row.low, row.high),
                look(row.verdict if row.judged else "not tested"),
                size=7.0 if row.judged else 5.0,
            )
        chart.bare(axes, [_cell(row, tables) for row in rows_of(own)])
        axes.tick_params(labelsize=0.8 * figures.font_size)
        first = next(rows_of(own))
        axes.set_title(f"{first.id}: {first.verdict} in the first row")
        axes.set_xlabel(f"{drawn_name(first.comparison, 44)} ({_UNIT})")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        said = []
        for ours, name in ((False, "published claim"), (True, "claim")):
            own = [claim.verdict for claim in tables.claims if claim.declared.ours == ours]
            counts = [f"{own.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in own]
            said += [f"{some(len(own), name)}{' of our own' if ours else ''}: {', '.join(counts)}"] if own else []
        title = f"Of {'; of '.join(said)}"
        judged = frame[frame["judged"]].set_index("id")
        reading = (
            f"A row a claim, where it is judged, with its number and {level(tables.params)}; colour and marker are the verdict, the grey band is the margin within which two "
            f"arms count as equivalent. Claims that are not tested are not drawn ({len(tables.claims) - len(judged)})."
        )
        others = frame[~frame["judged"] & frame["id"].isin(judged.index)]
        if len(others):
            same = int((others["effect"] * others["id"].map(judged["effect"]) > 0).sum())
            reading += (
                f" Under the table a forest for each claim, folded: the same comparison with other classifiers, corpora and seed sizes; "
                f"{same} of {some(len(others), 'replication')} have the sign of the cell that decides."
            )
        limits = (
            "Verdicts rest on p corrected for all claims together; the intervals drawn are not, so that one that leaves zero out may be undecided. Replications share seeds "
            "and test rows with each other: their agreement is not independent evidence. Claims on text have units of their own: there the axis counts half-widths of the interval."
        )
        alt = "Dots with intervals, one row a claim with its statement and its number, marked by verdict; published claims, our own and those on text apart."
        return Words(title, reading, limits, alt)


def _panels(judged: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the claims of each panel by its title."""
    scores = judged["unit"] == _UNIT
    return {
        "Published claims": judged[scores & ~judged["ours"]], "Claims of our own": judged[scores & judged["ours"]],
        "Claims on text, each in its own unit": judged[~scores],
    }  # fmt: skip


def _band(axes: Axes, place: int, margin: float) -> None:
    if known(margin):
        axes.fill_betweenx([place - 0.35, place + 0.35], -margin, margin, color=current_theme().grid, alpha=0.7, linewidth=0)


def _beside(axes: Axes, place: int, lines: str, edge: float, figures: Figures) -> None:
    """Write lines beside a row: left of the axis at edge 0, right of it at 1."""
    axes.annotate(
        lines, (edge, place), xycoords=("axes fraction", "data"), xytext=(16 * edge - 8, 0), textcoords="offset points", va="center",
        ha="left" if edge else "right", fontsize=0.72 * figures.font_size, linespacing=1.15,
    )  # fmt: skip


def _claimed(row: Any) -> str:
    """Return id and statement of a claim on three lines at most."""
    lines = textwrap.wrap(f"{row.id}  {' '.join(row.statement.split())}", _STATEMENT, break_on_hyphens=False)
    return "\n".join(lines if len(lines) <= 3 else [*lines[:2], f"{lines[2][: _STATEMENT - 2]} …"])


def _found(row: Any, tables: Tables) -> str:
    """Return what was found, and where, on two lines."""
    value = of_points(row.effect, row.low, row.high) if row.unit == _UNIT else (
        f"{number(row.effect, 3, sign=True)} ({span(row.low, row.high, 3)})"
    )  # fmt: skip
    where = _cell(row, tables) if row.unit == _UNIT else f"{measure_name(row.unit.replace(' ', '_'))}, {row.corpus}"
    return f"{value}\n{drawn_name(where, 40)}"


def _cell(row: Any, tables: Tables) -> str:
    return ", ".join(
        [row.corpus, *([tables.looks.learner(row.learner)] if row.learner else []), *([f"n = {row.size:.0f}"] if known(row.size) else [])]
    )


# --- waterfall: a published gain taken apart, from the labels alone to what the published code would have reported ---

HONEST, SWITCHED = "as its report says", "all that were switched on"
NOTE = (
    "Differences of macro-F1 in points, with intervals. Alone: made in the arm as its report says. On top of those above: as in the figure. Last: made on "
    "top of all others that were switched on; what is left without it of the gain over the labels alone stands beside it."
)
ABREAST = 2
"""Panels side by side: more leave no room for their names."""
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
        looks = tables.looks
        drawn = frame[frame["part"].isin(["arm", "chain", "all"])]
        lines = list(dict.fromkeys(zip(drawn["arm"], drawn["corpus"], strict=True)))
        names = dict(zip(lines, drawn_names([looks.title(arm) for arm, _ in lines], 24), strict=True))
        start = drawn["total"] - drawn["added"]
        ends = drawn.assign(gain=drawn["total"], low=start + drawn["low"], high=start + drawn["high"])
        rows: list[tuple[str, list[pd.DataFrame], list[str]]] = []  # a row of panels: its name, its panels, and their steps
        for arm, corpus in lines:
            own = ends[(ends["arm"] == arm) & (ends["corpus"] == corpus)]
            panels = [own[own["learner"] == learner] for learner in _learners(tables, own, arm)]
            for place in range(0, len(panels), ABREAST):
                rows.append((f"{names[arm, corpus]}, {corpus}", panels[place : place + ABREAST], _steps(own)))
        wide = max(len(panels) for _, panels, _ in rows)
        fig = new_figure(figures, 0.9 + sum(0.5 + 0.34 * len(steps) for *_, steps in rows))
        grid = fig.subplots(len(rows), wide, squeeze=False, height_ratios=[len(steps) + 1 for *_, steps in rows])
        for place, (name, panels, steps) in enumerate(rows):
            for column, axes in enumerate(grid[place]):
                if column >= len(panels):
                    axes.set_visible(False)
                    continue
                axes.set_xlim(chart.limits_of(ends))
                _bars(axes, panels[column], steps, tables)
                chart.bare(axes, drawn_names(steps, 34) if column == 0 else [""] * len(steps))
                title = f"{name}\n{looks.learner(panels[column]['learner'].iloc[0])}"
                axes.set_title(title, fontsize=0.95 * figures.font_size)
                if place == len(rows) - 1 or column >= len(rows[place + 1][1]):
                    axes.set_xlabel("gain over the labels alone (F1 points)")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        looks, parts = tables.looks, []
        for (arm, corpus, learner), own in frame.groupby(["arm", "corpus", "learner"], sort=False):
            honest, whole = own[own["part"] == "arm"], own[own["part"] == "all"]
            said = f"{looks.learner(str(learner))}: {_told(honest, *_TOTAL)} {HONEST}"
            title = f"{looks.title(str(arm))} on {corpus} gains {gain(honest['total'].iloc[0] / POINTS)} points {HONEST}"
            if len(whole):
                on = f"with the {some(len(_made(whole)), 'difference')} that were switched on{_idle(own)}"
                said += f", {_told(whole, *_TOTAL)} {on}"
                title += f", and would have reported {gain(whole['total'].iloc[0] / POINTS)} {on} ({looks.learner(str(learner))})"
            chain = own[own["part"] == "chain"]
            if len(chain):
                most = chart.top(chain.assign(size=chain["added"].abs()), "size")
                change = f"{of_points(most['added'], most['low'], most['high'])}{_whether_told(most['low'], most['high'])}"
                said += f"; {most['step']} changes most, {change}"
                title += f"; the largest change, {most['step']}: {change}"
            parts.append((str(arm), str(learner), len(whole), title, said))
        # What the published claim is about comes first.
        *_, title, _ = min(parts, key=lambda part: (not part[2], _learners(tables, frame[frame["arm"] == part[0]], part[0]).index(part[1])))
        reading = ". ".join(part[-1] for part in parts) + "." + "".join(_left(own, tables) for _, own in frame.groupby("arm", sort=False))
        limits = (
            "What a code does otherwise and no change of the arm names is not in it. "
            + (
                ""
                if any(tables.kinds.get(str(name)) == "steps" for name in frame["learner"])
                else "No fine-tuned classifier was run through these steps. "
            )
            + "Each step is priced on top of those above it, so that their order matters; the table has each one alone, and taken away from all. A score "
            "that counts written rows among the test rows is the published kind of score; how these rows would vary is not in its interval. "
            "Intervals are not corrected for the number of steps. "
        )
        alt = "Waterfall of floating bars: what each departure of a published code adds to the gain in macro-F1, one panel a classifier."
        return Words(title, reading, limits + INTERVALS, alt)


def _learners(tables: Tables, frame: pd.DataFrame, arm: str) -> list[str]:
    """Return the learners of a frame, first those that a published claim about the arm is declared for, in its order."""
    claims = [claim.declared for claim in tables.claims if claim.declared.left.arm == arm and not claim.declared.ours]
    order = claims[0].learners if claims else []
    found = chart.learners_in(tables, frame)
    return [*(name for name in order if name in found), *(name for name in found if name not in order)]


def _bars(axes: Axes, own: pd.DataFrame, steps: list[str], tables: Tables) -> None:
    """Draw the floating bars of a panel, each with the interval of its end."""
    chart.zero_line(axes)
    for item in rows_of(own):
        y = steps.index(_name(item))
        colour = tables.looks.colour(item.arm) if item.part != "chain" else palette_colour(2 if item.added >= 0 else 3)
        axes.barh(y, item.added, left=item.gain - item.added, height=0.55, color=colour, alpha=0.55)
        chart.dot_interval(axes, item.gain, y, (item.low, item.high), {"color": current_theme().ink, "marker": "o"}, size=3.5)


def _made(rows: pd.DataFrame) -> list[str]:
    """Return the changes that any of some rows arrives at, in the arm's order."""
    return list(dict.fromkeys(name for made in rows["made"] for name in json.loads(made)))


def _idle(own: pd.DataFrame) -> str:
    """Say which changes leave every prediction as it is, such as more steps for a classifier that is trained to its optimum; empty: none."""
    chain = own[(own["part"] == "chain") & (own[["added", "low", "high"]] == 0).all(axis=1)]
    return f" (of which {listed(list(dict.fromkeys(chain['step'])))} can change nothing here)" if len(chain) else ""


def _whether_told(low: float, high: float) -> str:
    """Say behind a difference whether it is told from zero; nothing where it has no interval."""
    return chart.not_told(low, high) or (", told from zero" if known(float(low)) and known(float(high)) else "")


def _left(own: pd.DataFrame, tables: Tables) -> str:
    """Say which declared changes of an arm were in no run; empty: none."""
    arm = str(own["arm"].iloc[0])
    left = [name for name in tables.params.arms[arm].changes if name not in _made(own)]
    return f" Declared and in no run: {listed(left)}." if left else ""


def _name(item: Any) -> str:
    return {"arm": HONEST, "all": SWITCHED}.get(item.part, item.step)


def _steps(own: pd.DataFrame) -> list[str]:
    """Return the rows of a panel from top to bottom, by how many changes are made; learners may have been run on different steps."""
    chain = own[own["part"] == "chain"]
    order = chain.assign(many=[len(json.loads(made)) for made in chain["made"]]).sort_values("many", kind="stable")
    return [HONEST, *dict.fromkeys(order["step"]), *([SWITCHED] if (own["part"] == "all").any() else [])]


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
            rows.append({**head, "difference": f"{SWITCHED} ({number(len(_made(whole)), 0)})", "gain in all": _told(whole, *_TOTAL)})
    return rows


def _told(rows: pd.DataFrame, value: str = "added", low: str = "low", high: str = "high") -> str:
    return "–" if rows.empty else of_points(*rows.iloc[0][[value, low, high]])
