"""What a figure of the report is, and the ordered registry of them.

A figure is three functions of the result tables: ``numbers`` computes the frame that is drawn (and
saved as CSV), ``draw`` draws exactly that frame, ``words`` writes title and reading from it. Numbers
in titles and sentences therefore cannot differ from those drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from emosynth.errors import UserError
from emosynth.params import Figures
from emosynth.report.tables import Tables
from emosynth.style import arm_colour, arm_marker, current_theme, figure_style, new_figure, save_figure

__all__ = ["REGISTRY", "FigureSpec", "Missing", "Words", "figure_names", "get_figure", "register", "write_figure"]


class Missing(Exception):
    """The results do not hold what a figure needs; the message says what, for readers."""


@dataclass(frozen=True)
class Words:
    """What is said of a figure.

    Parameters
    ----------
    title
        The finding, with its number.
    reading
        Sentences that say what is seen, with numbers and intervals.
    limits
        What the figure does not show.
    alt
        Description for those who cannot see it; the title is put before it.
    """

    title: str
    reading: list[str]
    limits: str
    alt: str = ""


@dataclass(frozen=True)
class FigureSpec:
    """One figure of the report; ``order`` is its place on the page, lower first."""

    name: str
    topic: str
    numbers: Callable[[Tables], pd.DataFrame]
    paint: Callable[[pd.DataFrame, Tables, Figures], Figure]
    words: Callable[[pd.DataFrame, Tables], Words]
    order: int
    part: str = "shap-guided"

    def draw(self, tables: Tables, figures: Figures) -> tuple[Figure, pd.DataFrame]:
        """Draw the figure inside ``figure_style``; a figure that lacks its results says so instead of failing."""
        try:
            frame = self.numbers(tables)
        except Missing as reason:
            return _note(str(reason), figures), pd.DataFrame({"note": [str(reason)]})
        return self.paint(frame, tables, figures), frame

    def describe(self, tables: Tables) -> Words:
        """Return title and reading."""
        try:
            return self.words(self.numbers(tables), tables)
        except Missing as reason:
            return Words(f"{self.topic}: not available", [str(reason)], "anything yet: the results it needs are not there.")


REGISTRY: dict[str, FigureSpec] = {}


def register(spec: FigureSpec) -> Callable[[Tables, Figures], tuple[Figure, pd.DataFrame]]:
    """Add a figure to the registry and return its draw function."""
    if spec.name in REGISTRY:
        raise ValueError(f"figure {spec.name} is registered twice")
    REGISTRY[spec.name] = spec
    return spec.draw


def figure_names() -> list[str]:
    """Return the names of all figures in reading order."""
    return [spec.name for spec in sorted(REGISTRY.values(), key=lambda spec: (spec.order, spec.name))]


def get_figure(name: str) -> FigureSpec:
    """Return a figure by name."""
    if name not in REGISTRY:
        raise UserError(f"There is no figure called {name!r}.", where="emosynth figure", remedy=f"Use one of: {', '.join(figure_names())}.")
    return REGISTRY[name]


def write_figure(name: str, tables: Tables, figures: Figures, folder: Path) -> list[Path]:
    """Draw one figure and write all its files.

    SVG is always written, in a light and a dark version (``name.svg``, ``name-dark.svg``), since the page shows it;
    the other formats of ``figures.formats`` in the light version.

    Returns
    -------
    list of Path
        Files written.
    """
    spec = get_figure(name)
    formats = [*figures.formats, *([] if "svg" in figures.formats else ["svg"])]
    with figure_style(figures):
        fig, frame = spec.draw(tables, figures)
        written = save_figure(fig, folder, name, frame, formats, figures.dpi)
    with figure_style(figures, dark=True):
        fig, _ = spec.draw(tables, figures)
        written += save_figure(fig, folder, f"{name}-dark", None, ["svg"], figures.dpi)
    return written


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """Iterate over rows as named tuples (pandas-stubs type their fields too broadly for use)."""
    yield from frame.itertuples()


# --- drawing helpers ------------------------------------------------------------------------------


def _note(text: str, figures: Figures) -> Figure:
    fig = new_figure(figures, 1.4)
    fig.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=current_theme().muted)
    return fig


def arm_look(arm: str, verified: bool = True) -> dict[str, Any]:
    """Return colour, marker and fill of an arm: filled and solid when verified or real, hollow and dashed otherwise."""
    colour = arm_colour(arm)
    return {
        "color": colour,
        "marker": arm_marker(arm),
        "linestyle": "-" if verified else (0, (3.5, 1.8)),
        "markerfacecolor": colour if verified else current_theme().background,
        "markeredgecolor": colour,
        "markeredgewidth": 1.2,
    }


CLIPPED = "Arrowheads: an interval goes on beyond the axis (few repeats)."


_ROOM = 8.0
"""Points left on either side of the means where no interval can be trusted."""


def bounds(frame: pd.DataFrame) -> tuple[float, float]:
    """Return axis limits that hold every mean, zero where it is a difference, and every interval of three or more repeats.

    Student's interval of two repeats is wider than its neighbours by an order of magnitude and would flatten all else;
    :func:`dot_interval` marks what goes beyond the limits.
    """
    trusted = frame[frame["repeats"] >= 3]
    edges = [trusted["low"], trusted["high"]] if len(trusted) else [frame["mean"] - _ROOM, frame["mean"] + _ROOM]
    shown = pd.concat([frame["mean"], *edges]).dropna()
    low, high = float(shown.min()), float(shown.max())
    room = 0.06 * max(high - low, 1.0)
    return low - room, high + room


def dot_interval(
    axes: Axes,
    x: float,
    y: float,
    low: float,
    high: float,
    look: dict[str, Any],
    size: float = 6.0,
    horizontal: bool = True,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a dot, with its interval where there is one; beyond ``limits`` an arrowhead says that the interval goes on."""
    if limits is not None and low == low and high == high:
        for outside, edge, marker in ((low < limits[0], limits[0], "<v"), (high > limits[1], limits[1], ">^")):
            if outside:
                spot = (edge, y) if horizontal else (x, edge)
                axes.plot(
                    *[[at] for at in spot],
                    marker=marker[0 if horizontal else 1],
                    color=look["color"],
                    markersize=4.0,
                    clip_on=False,
                    zorder=3,
                )
        low, high = max(low, limits[0]), min(high, limits[1])
    bar = {"color": look["color"], "linewidth": 1.5, "alpha": 0.85, "solid_capstyle": "butt", "zorder": 2}
    if low == low and high == high:
        if horizontal:
            axes.plot([low, high], [y, y], **bar)
        else:
            axes.plot([x, x], [low, high], **bar)
    axes.plot([x], [y], **{**look, "linestyle": "none"}, markersize=size, zorder=3)


def zero_line(axes: Axes, margin: float | None = None, horizontal: bool = True) -> None:
    """Mark no difference, and the band within which two arms count as equally good."""
    theme = current_theme()
    line, span = (axes.axvline, axes.axvspan) if horizontal else (axes.axhline, axes.axhspan)
    if margin:
        span(-margin, margin, color=theme.grid, alpha=0.55, linewidth=0, zorder=0)
    line(0, color=theme.muted, linewidth=1.0, zorder=1)


def handle(label: str, look: dict[str, Any], line: bool = True) -> Line2D:
    """Return a legend entry."""
    return Line2D([], [], **{**look, "linestyle": look["linestyle"] if line else "none"}, label=label, markersize=5.5)


def legend_below(fig: Figure, handles: list[Any], columns: int) -> None:
    """Put one legend below all panels."""
    fig.legend(handles=handles, loc="outside lower center", ncols=min(columns, max(len(handles), 1)), handlelength=2.2, columnspacing=1.6)
