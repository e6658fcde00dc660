"""What a figure of the report is, and what figures share.

A figure is one piece of kind ``figure``: ``frame`` computes the numbers that are drawn (and saved as CSV), ``paint`` draws exactly that
frame (of one with a column ``drawn``, these rows by name), ``words`` writes title and reading from it. Numbers in titles and sentences therefore cannot differ from those drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from emosynth import pieces
from emosynth.errors import UserError
from emosynth.evidence.numbers import POINTS
from emosynth.params import Figures, Params
from emosynth.paths import Paths, repro
from emosynth.pieces import Piece
from emosynth.report.aside import aside
from emosynth.report.tables import Missing, Tables
from emosynth.style import LONGEST_ENTRY, Looks, current_theme, drawn_names, figure_style, new_figure, save_figure, tidy

SCORES = ("trials/trials", "trials/predictions", "trials/test_rows")
"""What every score and contrast is computed from."""
_LEGEND_SHARE = 0.98
"""Of the width of a figure, what a legend may take."""
FIGURES = "figures"
"""Folder of the report that holds them."""
BEYOND = 1.4
"""Factor by which an axis of seed sizes goes on beyond the first and the last."""


@dataclass(frozen=True)
class Words:
    """What is said of a figure: the finding with its number, what is seen, what it does not show, and what stands in for it."""

    title: str
    reading: str
    limits: str
    alt: str

    def __post_init__(self) -> None:
        """Make a heading of the title: it begins with the name of an arm as a rule, and one that is called "edited rows" has its rows already."""
        title = self.title.replace(" rows rows", " rows")
        object.__setattr__(self, "title", f"{title[:1].upper()}{title[1:]}")


class Figure(Piece):
    """One figure.

    ``page``: page that it stands on; empty: on none, drawn when asked for. ``order``: its place there. ``reads``: tables that ``frame`` and
    ``words`` read, by step and name; the page says so under the figure.
    """

    kind: ClassVar[str] = "figure"
    page: ClassVar[str] = ""
    order: ClassVar[int] = 50
    reads: ClassVar[tuple[str, ...]] = ()

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return what is drawn, one row a mark. Raises Missing if the results do not hold it."""
        raise NotImplementedError

    def applies(self, params: Params) -> bool:
        """Whether a profile can have what the figure is about; if not, its page says nothing of it."""
        return True

    def signal(self, frame: pd.DataFrame, tables: Tables) -> str:
        """Return why the figure says nothing (it is then left out of the page), or nothing."""
        return ""

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw the frame, inside ``figure_style``."""
        raise NotImplementedError

    def parts(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Iterator[tuple[str, Canvas]]:
        """Draw smaller figures of the same frame, by file name, for the page to fold away; SVG alone. Most figures have none."""
        yield from ()

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say what is seen."""
        raise NotImplementedError

    def draw(self, tables: Tables, figures: Figures) -> tuple[Canvas, pd.DataFrame]:
        """Return the figure with its numbers; one that lacks its results is a note that says so."""
        try:
            frame = self.frame(tables)
        except Missing as reason:
            why = lacking(self, tables) or str(reason)
            return tidy(_note(why, figures)), pd.DataFrame({"note": [why]})
        return tidy(self.paint(frame, tables, figures)), frame


def _note(text: str, figures: Figures) -> Canvas:
    fig = new_figure(figures, 1.4)
    fig.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color=current_theme().muted)
    return fig


# --- drawing ------------------------------------------------------------------------------------------------


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """Iterate over rows as named tuples (pandas-stubs type their fields too broadly for use)."""
    yield from frame.itertuples()


def in_points(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Return a frame with gains and intervals (or the columns named) in points."""
    return frame.assign(**{name: POINTS * frame[name] for name in names or ("gain", "low", "high")})


def ordered(frame: pd.DataFrame, by: list[str], **known: Iterable[Any]) -> pd.DataFrame:
    """Return rows sorted by columns, of which ``known`` gives the order of values."""
    places = {name: frame[name].map({value: place for place, value in enumerate(values)}) for name, values in known.items()}
    return frame.loc[frame.assign(**places).sort_values(by, kind="stable").index].reset_index(drop=True)


def top(rows: pd.DataFrame, by: str = "gain") -> pd.Series:
    """Return the row of the largest value."""
    return rows.iloc[int(rows[by].to_numpy().argmax())]


def learners_in(tables: Tables, frame: pd.DataFrame) -> list[str]:
    """Return the learners of a frame in the order of the parameters."""
    return [name for name in tables.params.learners if name in set(frame["learner"])]


def grid_of(fig: Canvas, count: int, columns: int, **shared: Any) -> list[Axes]:
    """Return panels row by row, ``columns`` in a row at most; those left over are hidden."""
    grid = fig.subplots(-(-count // columns), min(columns, count), squeeze=False, **shared)
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    return list(grid.flat)[:count]


def dotted(axes: Axes, x: Iterable[float], line: pd.DataFrame, value: str, look: dict[str, Any], **style: Any) -> None:
    """Draw a line through values at x, each a dot with its interval."""
    axes.plot(list(x), line[value], color=look["color"], **style)
    for at, row in zip(x, line.to_dict("records"), strict=True):
        dot_interval(axes, row[value], at, (row["low"], row["high"]), look, size=5.0, horizontal=False)


def limits_of(frame: pd.DataFrame, value: str = "gain", zero: bool = True) -> tuple[float, float]:
    """Return axis limits that hold all values and nearly all of their intervals: a few wide ones do not flatten the rest."""
    shown = [frame[value].min(), frame[value].max(), frame["low"].quantile(0.1), frame["high"].quantile(0.9), *([0.0] if zero else [])]
    known = [float(item) for item in shown if item == item]
    low, high = min(known), max(known)
    room = 0.08 * max(high - low, 1e-6)
    return low - room, high + room


def dot_interval(
    axes: Axes, at: float, place: float, ends: tuple[float, float], look: dict[str, Any], *, horizontal: bool = True, size: float = 6.0
) -> None:
    """Draw a dot at a value with its interval (NaN: none); an arrowhead where it goes on beyond the axis."""
    edges = axes.get_xlim() if horizontal else axes.get_ylim()
    low, high = ends
    if low == low and high == high:
        for outside, edge, marker in ((low < edges[0], edges[0], "<v"), (high > edges[1], edges[1], ">^")):
            if outside:
                x, y, mark = (edge, place, marker[0]) if horizontal else (place, edge, marker[1])
                axes.plot([x], [y], marker=mark, color=look["color"], markersize=4.0, clip_on=False, zorder=3)
        inside = [max(low, edges[0]), min(high, edges[1])]
        line = (inside, [place, place]) if horizontal else ([place, place], inside)
        axes.plot(*line, color=look["color"], linewidth=1.5, alpha=0.85, solid_capstyle="butt", zorder=2)
    x, y = (at, place) if horizontal else (place, at)
    axes.plot([x], [y], **{**look, "linestyle": "none"}, markersize=size, zorder=3)


def zero_line(axes: Axes, horizontal: bool = True) -> None:
    """Mark no difference."""
    (axes.axvline if horizontal else axes.axhline)(0, color=current_theme().muted, linewidth=1.0, zorder=1)


def not_told(low: float, high: float) -> str:
    """Say behind a difference that its interval holds zero; empty: it does not."""
    return ", not told from zero" if low <= 0 <= high else ""


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
    legend_below(fig, [handle(looks.learner(name), looks.learner_look(name), line=False) for name in learners], 4)


def legend_below(fig: Canvas, handles: list[Any], columns: int) -> None:
    """Put one legend below all panels, in as many columns as the figure is wide enough for, measured as it is drawn."""
    names = drawn_names([str(item.get_label()) for item in handles], LONGEST_ENTRY)
    for item, name in zip(handles, names, strict=True):
        item.set_label(name)
    renderer = FigureCanvasAgg(fig).get_renderer()
    for count in range(min(columns, max(1, len(handles))), 0, -1):
        legend = fig.legend(handles=handles, loc="outside lower center", ncols=count, handlelength=2.2, columnspacing=1.6)
        if count == 1 or legend.get_window_extent(renderer).width <= _LEGEND_SHARE * fig.bbox.width:
            return
        legend.remove()


def dodged(place: int, count: int, sizes: Sequence[int], share: float = 0.03) -> float:
    """Return the factor by which marks of one of ``count`` lines stand beside their seed size.

    All lie within ``share`` of the axis to either side, however many lines there are; the axis is logarithmic and goes on a little beyond the sizes.
    """
    return float(10 ** (share * math.log10(BEYOND**2 * sizes[-1] / sizes[0]) * (2 * place / max(1, count - 1) - 1)))


# --- figures drawn, shown and written again ---


def figures() -> list[Figure]:
    """Return all figures, those of a user's own pieces included, in reading order."""
    found = [cast(Figure, cls()) for cls in pieces.registered("figure").values()]
    return sorted(found, key=lambda figure: (figure.page, figure.order, figure.name))


def figure_names() -> list[str]:
    """Return the names of all figures in reading order."""
    return [figure.name for figure in figures()]


def find_figure(name: str) -> Figure:
    """Return a figure by name; an unknown name is answered with the nearest known one."""
    return cast(Figure, pieces.build("figure", name, where="emosynth figure"))


def show(name: str, paths: Paths, params: Params) -> Canvas:
    """Return a figure, for a notebook; one whose tables are not there is a note that says so."""
    with figure_style(params.figures):
        return find_figure(name).draw(Tables(paths, params), params.figures)[0]


def regenerate(name: str, paths: Paths, params: Params) -> list[Path]:
    """Draw one figure alone, whether or not it has a signal; return the files written.

    Raises UserError if there is no such figure, or its tables are not there: what is published is then left as it is.
    """
    figure, tables = find_figure(name), Tables(paths, params)
    try:
        figure.frame(tables)
    except Missing as reason:
        raise UserError(
            f"The figure {name} cannot be drawn. {lacking(figure, tables) or reason}", where=str(paths.data),
            remedy=f"Run: {repro(profile=paths.profile)}, or, where results are published: python -m emosynth restore --profile {paths.profile}",
        ) from None  # fmt: skip
    with aside(paths.report, f"figure-{name}") as made:
        drawn = write_figure(figure, tables, params.figures, made / FIGURES)
    return [paths.report / FIGURES / path.name for path in drawn]


def why_left_out(figure: Figure, tables: Tables) -> str:
    """Return why a figure does not stand on its page; empty: it does."""
    try:
        return figure.signal(figure.frame(tables), tables)
    except Missing as reason:
        return lacking(figure, tables) or str(reason)


def lacking(figure: Figure, tables: Tables) -> str:
    """Return that nothing was trained yet, of a figure of scores alone: which of them it misses is then not the matter; else nothing."""
    return "Nothing was trained yet." if set(figure.reads) == set(SCORES) and tables.get(SCORES[0]) is None else ""


def write_figure(figure: Figure, tables: Tables, style: Figures, folder: Path) -> list[Path]:
    """Draw one figure and write all its files: SVG, which the page shows, light and dark, and the other ``figures.formats`` light."""
    formats = [*style.formats, *([] if "svg" in style.formats else ["svg"])]
    written: list[Path] = []
    for dark, end in ((False, ""), (True, "-dark")):
        with figure_style(style, dark=dark):
            canvas, frame = figure.draw(tables, style)
            written += save_figure(canvas, folder, f"{figure.name}{end}", None if dark else frame, ["svg"] if dark else formats, style.dpi)
            if "note" not in frame:
                for name, part in figure.parts(frame, tables, style):
                    written += save_figure(tidy(part), folder, f"{name}{end}", None, ["svg"], style.dpi)
    return written
