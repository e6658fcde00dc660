"""Utility against authenticity: what each arm gains, beside how well its text can be told from real text, and how rich it is."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.authenticity import OTHER
from emosynth.evidence.numbers import POINTS, gain, listed, some
from emosynth.params import Figures
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, handle, legend_below, rows_of, zero_line
from emosynth.report.tables import Tables, main_rows
from emosynth.report.wording import size
from emosynth.style import current_theme, new_figure

PANELS = {
    ("authenticity/panel", "detectability"): ("detectability (AUC)", -1),
    ("authenticity/panel", "hdd"): ("vocabulary (HD-D)", 1),
    ("authenticity/coverage", "coverage"): ("coverage of real text", 1),
}
"""Table and measure -> its name for readers, and whether more of it is better."""


class Frontier(Figure):
    """A panel a measure, a marker an arm; the frontier joins arms that none beats on both."""

    name = "frontier"
    label = "Utility against authenticity"
    page = "authenticity"
    order = 5
    reads = (*SCORES, "authenticity/panel", "authenticity/coverage")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return gain in points at the largest size, the measure of the same accepted texts, and whether the arm is on the frontier."""
        if tables.headline is None:
            raise Missing("The run holds no trials that it could be about.")
        tables.need("authenticity/panel")
        learner, rows = tables.headline.learner, main_rows(tables.need_contrasts())
        rows = rows[(rows["learner"] == learner) & (rows["version"] == "") & (rows["size"] == tables.headline.size)]
        gains = {row.arm: row for row in rows_of(rows) if not tables.looks.real(row.arm)}
        out = []
        for (table, measure), (_, better) in PANELS.items():
            held = tables.get(table)
            if held is None:
                continue
            held = held[(held["corpus"] == tables.target) & (held["measure"] == measure) & held["value"].notna()]
            control = held.loc[held["arm"] == OTHER, "value"]
            own = held[held["verified"].astype(bool) & held["arm"].isin(list(gains))]
            points = [(row.arm, POINTS * gains[row.arm].gain, POINTS * gains[row.arm].low, POINTS * gains[row.arm].high, float(row.value))
                      for row in rows_of(own)]  # fmt: skip
            for arm, up, low, high, value in points:
                beaten = any(g >= up and better * (v - value) >= 0 and (g, v) != (up, value) for _, g, _, _, v in points)
                out.append([measure, arm, learner, up, low, high, value, float(control.iloc[0]) if len(control) else math.nan, not beaten])
        if not out:
            raise Missing("No arm was both trained on and measured beside real text.")
        return pd.DataFrame(out, columns=["measure", "arm", "learner", "gain", "low", "high", "value", "real", "frontier"])

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw arms; real text of the control as a line."""
        looks, theme = tables.looks, current_theme()
        names = {measure: words for (_, measure), words in PANELS.items()}
        shown = list(dict.fromkeys(frame["measure"]))
        fig = new_figure(figures, 4.6)
        panels = fig.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for axes, measure in zip(panels, shown, strict=True):
            own = frame[frame["measure"] == measure]
            label, better = names[measure]
            zero_line(axes, horizontal=False)
            edge = own[own["frontier"]].sort_values("value")
            axes.plot(edge["value"], edge["gain"], color=theme.muted, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
            for row in rows_of(own):
                axes.plot([row.value], [row.gain], **{**looks.look(row.arm), "linestyle": "none"}, markersize=8.0 if row.frontier else 5.0)
            if (own["real"].notna()).any():
                axes.axvline(own["real"].iloc[0], color=theme.muted, linewidth=1.0)
            axes.set_xlabel(label)
            if better < 0:
                axes.invert_xaxis()
        panels[0].set_ylabel("gain (F1 points)")
        legend_below(fig, [handle(looks.title(arm), looks.look(arm), line=False) for arm in looks.order(frame["arm"])], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Name the arms that none beats on both."""
        looks, first = tables.looks, str(frame["measure"].iloc[0])
        own = frame[frame["measure"] == first]
        edge = own[own["frontier"]].sort_values("gain", ascending=False, kind="stable")
        names = listed([f"{looks.title(row.arm)} ({gain(row.gain / POINTS)})" for row in rows_of(edge)])
        title = f"Of {some(len(own), 'arm')}, {len(edge)} {'is' if len(edge) == 1 else 'are'} beaten by none on both gain and {first}"
        at = "" if tables.headline is None else f" at {size(tables.headline.size)}"
        reading = (
            f"{names}. Gain over the labels alone with {looks.learner(str(frame['learner'].iloc[0]))}{at}; further right is nearer to real text or richer. "
            "Large markers, joined: arms that no other beats on both; line: real text beside real text."
        )
        limits = "Estimates without intervals, at accepted rows of the largest seed: the frontier is where to look, not a finding."
        return Words(
            title, reading, limits, "Scatter of gain in macro-F1 against measures of authenticity, one marker an arm, the frontier joined."
        )
