"""Claims: a forest for each published claim on scores, the cell that decides first, then every other that holds the same comparison."""

from __future__ import annotations

import math

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
_COLUMNS = ["id", "judged", "verdict", "outcome", "corpus", "learner", "size", "effect", "low", "high", "margin", "p_adjusted"]
_UNIT = "F1 points"


def look(verdict: str) -> dict[str, object]:
    """Return colour and marker of a verdict."""
    theme = current_theme()
    colour = {"supported": palette_colour(2), "contradicted": palette_colour(3)}.get(
        verdict, theme.ink if verdict == "undecided" else theme.muted
    )
    return {"color": colour, "marker": _MARKERS[verdict], "linestyle": "none"}


class Claims(Figure):
    """A panel a claim on scores, each with its own scale; claims on text have other units and stand in the table."""

    name = "claims"
    label = "Published claims, wherever they can be tested"
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
                    cell = [*(row[key] for key in ("corpus", "learner", "size", "effect", "low", "high")), math.nan, math.nan]
                    rows.append([head, False, claim.verdict, row["outcome"], *cell])
        if not rows:
            raise Missing("No claim on scores was tested in this profile.")
        return pd.DataFrame(rows, columns=_COLUMNS)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw panels below each other; the margin of equivalence is a band about zero."""
        ids = list(dict.fromkeys(frame["id"]))
        counts = [int((frame["id"] == name).sum()) for name in ids]
        fig = new_figure(figures, 0.9 + 0.75 * len(ids) + 0.2 * sum(counts))
        panels = fig.subplots(len(ids), 1, squeeze=False, height_ratios=[count + 1.5 for count in counts])[:, 0]
        for axes, name in zip(panels, ids, strict=True):
            own = frame[frame["id"] == name]
            axes.set_xlim(limits_of(own, "effect"))
            zero_line(axes)
            for y, row in enumerate(rows_of(own)):
                if known(row.margin):
                    axes.fill_betweenx([y - 0.35, y + 0.35], -row.margin, row.margin, color=current_theme().grid, alpha=0.7, linewidth=0)
                style = look(row.verdict if row.judged else "not tested")
                dot_interval(axes, row.effect, y, (row.low, row.high), style, size=7.0 if row.judged else 5.0)
            several = own["corpus"].nunique() > 1
            sizes = [f", n = {int(row.size)}" if known(row.size) else "" for row in rows_of(own)]
            bare(
                axes,
                [
                    f"{f'{row.corpus}, ' if several else ''}{tables.looks.learner(row.learner)}{at}"
                    for row, at in zip(rows_of(own), sizes, strict=True)
                ],
            )
            axes.set_title(f"{name}: {own['verdict'].iloc[0]}")
            axes.tick_params(labelsize=0.8 * figures.font_size)
        panels[-1].set_xlabel(f"effect ({_UNIT})")
        shown = set(frame.loc[frame["judged"], "verdict"])
        legend_below(
            fig,
            [
                *(handle(name, look(name), line=False) for name in VERDICTS if name in shown),
                handle("replication", look("not tested"), line=False),
            ],
            4,
        )
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Count verdicts, and the replications that agree with the cell that decides."""
        verdicts = [claim.verdict for claim in tables.claims]
        counts = {name: verdicts.count(name) for name in VERDICTS}
        title = f"Of {some(len(verdicts), 'published claim')}, {', '.join(f'{number} {name}' for name, number in counts.items() if number)}"
        judged = frame[frame["judged"]].set_index("id")["effect"]
        others = frame[~frame["judged"] & frame["id"].isin(judged.index)]
        same = int((others["effect"] * others["id"].map(judged) > 0).sum())
        reading = "Large marker: where a claim is judged; grey band: the margin within which two arms count as equivalent."
        if len(others):
            reading += (
                " Dots: the same comparison with other classifiers, corpora and seed sizes; "
                f"{same} of {some(len(others), 'replication')} have the sign of the cell that decides."
            )
        limits = (
            "Verdicts rest on p corrected for all claims together; the intervals drawn are not. Replications share seeds and test rows with each other: "
            "their agreement is not independent evidence. Claims on text stand in the table below."
        )
        return Words(
            title, reading, limits, "Forests of effects with intervals, one panel a claim, the deciding cell first, marked by verdict."
        )
