"""What a figure of the report is, and what figures share.

A figure is one piece of kind ``figure``: ``frame`` computes the numbers that are drawn (and saved as CSV), ``paint`` draws exactly that
frame, ``words`` writes title and reading from it. Numbers in titles and sentences therefore cannot differ from those drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from emosynth.params import Figures
from emosynth.pieces import Piece
from emosynth.report.tables import Missing, Tables
from emosynth.style import LONGEST_ENTRY, Looks, current_theme, new_figure, tidy

__all__ = [
    "SCORES",
    "Figure",
    "Missing",
    "Words",
    "bare",
    "dot_interval",
    "handle",
    "learner_legend",
    "legend_below",
    "limits_of",
    "rows_of",
    "size_axis",
    "zero_line",
]


SCORES = ("trials/trials", "trials/predictions", "trials/test_rows")
"""What every score and contrast is computed from."""


_LEGEND_WIDTH = 112
"""Characters that the width of a figure bears, a marker counting as six."""


@dataclass(frozen=True)
class Words:
    """What is said of a figure.

    Attributes
    ----------
    title
        The finding, with its number.
    reading
        Sentences that say what is seen.
    limits
        What the figure does not show.
    alt
        Description for those who cannot see it; the title is put before it.
    """

    title: str
    reading: str
    limits: str
    alt: str


class Figure(Piece):
    """One figure.

    Attributes
    ----------
    page
        Page of the report that it stands on, without ending; empty: on none, drawn when asked for.
    order
        Its place there, lower first.
    reads
        Tables that ``frame`` and ``words`` read, by step and name; the page says so under the figure.
    """

    kind: ClassVar[str] = "figure"
    page: ClassVar[str] = ""
    order: ClassVar[int] = 50
    reads: ClassVar[tuple[str, ...]] = ()

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return what is drawn, one row a mark.

        Raises
        ------
        Missing
            If the results do not hold it.
        """
        raise NotImplementedError

    def signal(self, frame: pd.DataFrame, tables: Tables) -> str:
        """Return why the figure says nothing (it is then left out of the page), or nothing."""
        return ""

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw the frame, inside ``figure_style``."""
        raise NotImplementedError

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say what is seen."""
        raise NotImplementedError

    def draw(self, tables: Tables, figures: Figures) -> tuple[Canvas, pd.DataFrame]:
        """Return the figure with its numbers; one that lacks its results is a note that says so."""
        try:
            frame = self.frame(tables)
        except Missing as reason:
            return tidy(_note(str(reason), figures)), pd.DataFrame({"note": [str(reason)]})
        return tidy(self.paint(frame, tables, figures)), frame


def _note(text: str, figures: Figures) -> Canvas:
    fig = new_figure(figures, 1.4)
    fig.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=current_theme().muted)
    return fig


# --- drawing ------------------------------------------------------------------------------------------------


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """Iterate over rows as named tuples (pandas-stubs type their fields too broadly for use)."""
    yield from frame.itertuples()


def limits_of(frame: pd.DataFrame, value: str = "gain", zero: bool = True) -> tuple[float, float]:
    """Return axis limits that hold all values and nearly all of their intervals: a few wide ones do not flatten the rest."""
    shown = [frame[value].min(), frame[value].max(), frame["low"].quantile(0.1), frame["high"].quantile(0.9), *([0.0] if zero else [])]
    known = [float(item) for item in shown if item == item]
    low, high = min(known), max(known)
    room = 0.08 * max(high - low, 1e-6)
    return low - room, high + room


def dot_interval(
    axes: Axes, at: float, place: float, ends: tuple[float, float], look: dict[str, Any], *, horizontal: bool = True, size: float = 6.0
) -> bool:
    """Draw a dot with its interval; an arrowhead where the interval goes on beyond the axis. Returns whether there is one.

    Parameters
    ----------
    at
        The value.
    place
        Its place on the other axis.
    ends
        The interval; NaN: none.
    """
    edges = axes.get_xlim() if horizontal else axes.get_ylim()
    low, high = ends
    clipped = False
    if low == low and high == high:
        for outside, edge, marker in ((low < edges[0], edges[0], "<v"), (high > edges[1], edges[1], ">^")):
            if outside:
                spot = (edge, place) if horizontal else (place, edge)
                mark = marker[0 if horizontal else 1]
                axes.plot([spot[0]], [spot[1]], marker=mark, color=look["color"], markersize=4.0, clip_on=False, zorder=3)
                clipped = True
        inside = [max(low, edges[0]), min(high, edges[1])]
        line = (inside, [place, place]) if horizontal else ([place, place], inside)
        axes.plot(*line, color=look["color"], linewidth=1.5, alpha=0.85, solid_capstyle="butt", zorder=2)
    x, y = (at, place) if horizontal else (place, at)
    axes.plot([x], [y], **{**look, "linestyle": "none"}, markersize=size, zorder=3)
    return clipped


def zero_line(axes: Axes, horizontal: bool = True) -> None:
    """Mark no difference."""
    (axes.axvline if horizontal else axes.axhline)(0, color=current_theme().muted, linewidth=1.0, zorder=1)


def bare(axes: Axes, names: list[str]) -> None:
    """Label the rows of a chart of horizontal marks, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def handle(label: str, look: dict[str, Any], line: bool = True) -> Line2D:
    """Return a legend entry."""
    label = f"\u200a{label}" if label.startswith("_") else label  # matplotlib would leave it out
    return Line2D([], [], **{**look, "linestyle": look["linestyle"] if line else "none"}, label=label, markersize=5.5)


def size_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """Make the horizontal axis one of seed sizes."""
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(at) for at in sizes])
    axes.minorticks_off()
    axes.set_xlabel("labelled posts")


def learner_legend(fig: Canvas, looks: Looks, learners: Iterable[str]) -> None:
    """Put one legend of learners below all panels."""
    legend_below(fig, [handle(looks.learner(name), looks.learner_look(name), line=False) for name in learners], 3)


def legend_below(fig: Canvas, handles: list[Any], columns: int) -> None:
    """Put one legend below all panels."""
    lengths = [min(len(str(item.get_label())), LONGEST_ENTRY) + 6 for item in handles] or [0]
    widths = {count: sum(max(part) for part in np.array_split(lengths, count)) for count in range(1, min(columns, len(lengths)) + 1)}
    columns = max((count for count, width in widths.items() if width <= _LEGEND_WIDTH), default=1)
    fig.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=2.2, columnspacing=1.6)
