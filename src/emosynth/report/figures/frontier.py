"""Utility against authenticity: what each arm gains, beside how well its text can be told from real text, and how rich it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.authenticity import OTHER
from emosynth.design.cells import panel_size
from emosynth.evidence.numbers import POINTS, count, gain, listed, some
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
    """A row a corpus, a panel a measure, a marker an arm; the frontier joins arms that none beats on both."""

    name = "frontier"
    label = "Utility against authenticity"
    page = "authenticity"
    order = 5
    reads = (*SCORES, "authenticity/panel", "authenticity/coverage")

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return by corpus the gain in points at the seed size whose texts were measured, the measure of these texts, and whether none beats the arm."""
        if tables.headline is None or tables.contrasts is None:
            raise Missing("The run holds no trials that it could be about.")
        tables.need("authenticity/panel")
        learner, rows = tables.headline.learner, main_rows(tables.contrasts)
        rows = rows[(rows["learner"] == learner) & (rows["version"] == "")]
        out: list[list[object]] = []
        for corpus in tables.params.corpora.names:
            at = panel_size(tables.params, corpus)
            own = rows[(rows["corpus"] == corpus) & (rows["size"] == at)]
            gains = {row.arm: row for row in rows_of(own) if not tables.looks.real(row.arm)}
            for (table, measure), (_, better) in PANELS.items():
                held = tables.get(table)
                if held is not None:
                    found = _points(held[(held["corpus"] == corpus) & (held["measure"] == measure) & held["value"].notna()], gains, better)
                    out += [[corpus, at, measure, learner, *point] for point in found]
        if not out:
            raise Missing("No arm was both trained on and measured beside real text.")
        return pd.DataFrame(
            out, columns=["corpus", "size", "measure", "learner", "arm", "gain", "low", "high", "value", "real", "frontier"]
        )

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw arms, a row of panels a corpus; real text of the control as a line."""
        looks, theme = tables.looks, current_theme()
        shown = {measure: words for (_, measure), words in PANELS.items() if measure in set(frame["measure"])}
        corpora = list(dict.fromkeys(frame["corpus"]))
        fig = new_figure(figures, 2.0 + 2.6 * len(corpora))
        panels = fig.subplots(len(corpora), len(shown), squeeze=False, sharex="col", sharey="row")
        for place, (measure, (label, better)) in enumerate(shown.items()):
            for axes, corpus in zip(panels[:, place], corpora, strict=True):
                own = frame[(frame["measure"] == measure) & (frame["corpus"] == corpus)]
                zero_line(axes, horizontal=False)
                edge = own[own["frontier"]].sort_values("value")
                axes.plot(edge["value"], edge["gain"], color=theme.muted, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
                for row in rows_of(own):
                    axes.plot(
                        [row.value], [row.gain], **{**looks.look(row.arm), "linestyle": "none"}, markersize=8.0 if row.frontier else 5.0
                    )
                if own["real"].notna().any():
                    axes.axvline(own["real"].iloc[0], color=theme.muted, linewidth=1.0)
            panels[-1, place].set_xlabel(label)
            if better < 0:
                panels[0, place].invert_xaxis()  # the column shares it
        for axes, corpus in zip(panels[:, 0], corpora, strict=True):
            axes.set_ylabel(f"{f'{corpus}: ' if len(corpora) > 1 else ''}gain (F1 points)")
        legend_below(fig, [handle(looks.title(arm), looks.look(arm), line=False) for arm in looks.order(frame["arm"])], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Name by corpus the arms that none beats on both."""
        looks, first = tables.looks, frame[frame["measure"] == frame["measure"].iloc[0]]
        said, names = [], {measure: label for (_, measure), (label, _) in PANELS.items()}
        for corpus, own in first.groupby("corpus", sort=False):
            edge = own[own["frontier"]].sort_values("gain", ascending=False, kind="stable")
            told = listed([f"{looks.title(row.arm)} ({gain(row.gain / POINTS)})" for row in rows_of(edge)])
            said.append(f"{corpus}, {size(int(own['size'].iloc[0]))}: {told}")
        counts = [int(own["frontier"].sum()) for _, own in first.groupby("corpus", sort=False)]
        most = listed([count(item) for item in counts])
        title = f"Of {some(first['arm'].nunique(), 'arm')}, {most} {'is' if counts == [1] else 'are'} beaten by none on both gain and {names[str(first['measure'].iloc[0])]}"
        if len(counts) > 1:
            title += f", on {listed(list(dict.fromkeys(first['corpus'])))}"
        reading = (
            f"{'. '.join(said)}. Gain over the labels alone with {looks.learner(str(frame['learner'].iloc[0]))}; further right is nearer to real text or richer. "
            "Large markers, joined: arms that no other beats on both; line: real text beside real text."
        )
        limits = "Estimates without intervals, at accepted rows of the seed size whose texts were measured: the frontier is where to look, not a finding."
        return Words(
            title, reading, limits, "Scatters of gain in macro-F1 against measures of authenticity, one marker an arm, the frontier joined."
        )


def _points(held: pd.DataFrame, gains: Mapping[str, Any], better: int) -> list[tuple[str, float, float, float, float, float, bool]]:
    """Return arm, gain with interval, measure, real text's own, and whether no other arm is as good on both and better on one."""
    control = held.loc[held["arm"] == OTHER, "value"]
    real = float(control.iloc[0]) if len(control) else math.nan
    points = [(str(row.arm), POINTS * float(gains[row.arm].gain), better * float(row.value))
              for row in rows_of(held[held["verified"].astype(bool) & held["arm"].isin(list(gains))])]  # fmt: skip
    return [
        (arm, up, POINTS * float(gains[arm].low), POINTS * float(gains[arm].high), better * value, real,
         not any(g >= up and v >= value and (g, v) != (up, value) for _, g, v in points))
        for arm, up, value in points
    ]  # fmt: skip
