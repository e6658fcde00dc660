"""Figures drawn, shown and written again."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from matplotlib.figure import Figure as Canvas

from emosynth import pieces
from emosynth.errors import UserError
from emosynth.params import Figures, Params
from emosynth.paths import Paths, repro
from emosynth.report.figures.base import Figure, Missing
from emosynth.report.tables import Tables
from emosynth.style import figure_style, save_figure


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

    Raises
    ------
    UserError
        If there is no figure of that name, or the tables that it needs are not there: what is published is then left as it is.
    """
    figure, tables = find_figure(name), Tables(paths, params)
    try:
        figure.frame(tables)
    except Missing as reason:
        raise UserError(
            f"The figure {name} cannot be drawn. {reason}", where=str(paths.data),
            remedy=f"Run: {repro(profile=paths.profile)}, or, where results are published: python -m emosynth restore --profile {paths.profile}",
        ) from None  # fmt: skip
    return write_figure(figure, tables, params.figures, paths.report / "figures")


def why_left_out(figure: Figure, tables: Tables) -> str:
    """Return why a figure does not stand on its page; empty: it does."""
    try:
        return figure.signal(figure.frame(tables), tables)
    except Missing as reason:
        return str(reason)


def write_figure(figure: Figure, tables: Tables, style: Figures, folder: Path) -> list[Path]:
    """Draw one figure and write all its files.

    SVG is always written, in a light and a dark version (``name.svg``, ``name-dark.svg``), since the page shows it; the other formats of
    ``figures.formats`` in the light version.
    """
    formats = [*style.formats, *([] if "svg" in style.formats else ["svg"])]
    with figure_style(style):
        canvas, frame = figure.draw(tables, style)
        written = save_figure(canvas, folder, figure.name, frame, formats, style.dpi)
    with figure_style(style, dark=True):
        canvas, _ = figure.draw(tables, style)
        written += save_figure(canvas, folder, f"{figure.name}-dark", None, ["svg"], style.dpi)
    return written
