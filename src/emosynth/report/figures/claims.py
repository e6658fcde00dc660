"""Claims: effect, interval and verdict of each published claim."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence import VERDICTS
from emosynth.evidence.numbers import known, some
from emosynth.params import Figures
from emosynth.report.figures.base import (
    SCORES,
    Figure,
    Missing,
    Words,
    bare,
    dot_interval,
    handle,
    legend_below,
    limits_of,
    rows_of,
    zero_line,
)
from emosynth.report.tables import Tables
from emosynth.style import current_theme, new_figure, palette_colour

_MARKERS = {"supported": "o", "contradicted": "X", "undecided": "D", "not tested": "."}


def look(verdict: str) -> dict[str, object]:
    """Return colour and marker of a verdict."""
    theme = current_theme()
    colour = {"supported": palette_colour(2), "contradicted": palette_colour(3)}.get(
        verdict, theme.ink if verdict == "undecided" else theme.muted
    )
    return {"color": colour, "marker": _MARKERS[verdict], "linestyle": "none"}


class Claims(Figure):
    """A forest of the claims on scores; those on text have other units and stand in the table."""

    name = "claims"
    label = "Published claims"
    page = "claims"
    order = 10
    reads = (*SCORES, "authenticity/panel", "authenticity/diversity", "context/context")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return effect, interval, verdict and outcome of every claim."""
        if not tables.claims:
            raise Missing("No claim is declared.")
        rows = [
            [claim.declared.id, claim.declared.statement, claim.verdict, claim.outcome, claim.finding.unit if known(claim.finding.effect) else "",
             claim.finding.effect, claim.finding.low, claim.finding.high, claim.finding.margin, claim.p_adjusted, claim.corpus, claim.learner]
            for claim in tables.claims
        ]  # fmt: skip
        columns = ["id", "statement", "verdict", "outcome", "unit", "effect", "low", "high", "margin", "p_adjusted", "corpus", "learner"]
        return pd.DataFrame(rows, columns=columns)

    def signal(self, frame: pd.DataFrame, tables: Tables) -> str:
        """Say so if no claim on scores was tested."""
        return "" if (frame["unit"] == "F1 points").any() else "No claim on scores was tested in this profile."

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw effects in points of F1, with the margin of equivalence as a band."""
        theme = current_theme()
        rows = frame[frame["unit"] == "F1 points"]
        rows = rows if len(rows) else frame.assign(effect=0.0, low=0.0, high=0.0)
        fig = new_figure(figures, 1.2 + 0.5 * len(rows))
        axes = fig.subplots()
        axes.set_xlim(limits_of(rows, "effect"))
        zero_line(axes)
        for y, row in enumerate(rows_of(rows)):
            if known(row.margin):
                axes.fill_betweenx([y - 0.35, y + 0.35], -row.margin, row.margin, color=theme.grid, alpha=0.7, linewidth=0)
            dot_interval(axes, row.effect, y, (row.low, row.high), look(row.verdict), size=7.0)
        bare(axes, [f"{row.id}: {row.outcome}" for row in rows_of(rows)])
        axes.set_xlabel("effect (F1 points)")
        legend_below(fig, [handle(name, look(name), line=False) for name in VERDICTS if name in set(rows["verdict"])], 4)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Count verdicts."""
        counts = {name: int((frame["verdict"] == name).sum()) for name in VERDICTS}
        title = f"Of {some(len(frame), 'published claim')}, {', '.join(f'{number} {name}' for name, number in counts.items() if number)}"
        reading = "Effect with interval of the claims on scores; grey: the margin within which two arms count as equivalent."
        limits = "Verdicts rest on p corrected for all claims together; the intervals drawn are not. Claims on text and context stand in the table below."
        return Words(title, reading, limits, "Forest of effects with intervals, one row a claim, marked by verdict.")
