"""One look for every figure: themes, colours and markers of arms, and how figures are saved.

An arm has the colour and marker that its place in the parameters gives it: what adds real rows is grey, what is written takes the next
colour of the palette (``figures.palette``; the default is safe for the common kinds of colour blindness) and the next marker, so that no
reading depends on colour alone.

Files are byte-reproducible: equal numbers, parameters and library versions give equal bytes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from emosynth import pieces
from emosynth.design.arms import SEED, arm_title
from emosynth.errors import UserError
from emosynth.escape import csv_frame, printable
from emosynth.files import write_text
from emosynth.learners.base import Learner
from emosynth.params import Figures, Params


@dataclass(frozen=True)
class Theme:
    """Surface and ink of a figure; the page uses the same two sets as CSS variables."""

    name: str
    background: str
    ink: str
    muted: str
    grid: str


LIGHT = Theme("light", "#ffffff", "#1f2328", "#59626c", "#e3e5e8")
DARK = Theme("dark", "#1b1f23", "#e8e6e1", "#a7adb4", "#343a40")

_REAL_MARKERS = "osD^vP"
_MARKERS = "XvPo^Dsph*<>d"
_PALETTE_ORDER = (1, 0, 2, 3, 4, 9, 5)
"""Places of the palette in the order in which written arms take them: neighbours in a legend differ in hue. Grey, which is for real rows, and what is too pale for lines on white are left out."""

_theme: ContextVar[Theme] = ContextVar("emosynth_theme", default=LIGHT)
_palette: ContextVar[str] = ContextVar("emosynth_palette", default="colorblind")


def current_theme() -> Theme:
    """Return the theme of the innermost ``figure_style``."""
    return _theme.get()


def blend(first: str, second: str, share: float) -> str:
    """Return a colour between two, as hex."""
    (r, g, b), (x, y, z) = to_rgb(first), to_rgb(second)
    return to_hex((r + (x - r) * share, g + (y - g) * share, b + (z - b) * share))


def palette_colour(place: int) -> str:
    """Return a colour of the palette as hex, lifted a little on the dark theme; places beyond its end are blended with the ink."""
    colours = sns.color_palette(_palette.get())
    order = [position for position in _PALETTE_ORDER if position < len(colours)] or list(range(len(colours)))
    colour = to_hex(colours[order[place % len(order)]])
    colour = blend(colour, current_theme().ink, min(0.6, 0.35 * (place // len(order))))
    return blend(colour, "#ffffff", 0.22) if current_theme().name == "dark" else colour


def muted_colour(place: int) -> str:
    """Return a colour of the palette blended with the surface, for areas."""
    return blend(palette_colour(place), current_theme().background, 0.3)


@dataclass(frozen=True)
class Looks:
    """Names, order, colours and markers of a profile's arms and learners."""

    params: Params

    @cached_property
    def arms(self) -> list[str]:
        """All arms: the labels alone, those that add real rows, those that are written; each in order of the parameters."""
        return sorted([SEED, *self.params.arms], key=lambda arm: not self.real(arm))

    def real(self, arm: str) -> bool:
        """Whether an arm holds real text only. What is no arm of the parameters is real text that others are compared with."""
        return arm == SEED or arm not in self.params.arms or self.params.arms[arm].add != "written"

    def order(self, arms: Iterable[str]) -> list[str]:
        """Return the distinct arms in order of the parameters, unknown ones first."""
        known = {arm: place for place, arm in enumerate(self.arms)}
        return sorted(dict.fromkeys(arms), key=lambda arm: known.get(arm, -1))

    def title(self, arm: str, version: str = "") -> str:
        """Return an arm's name for readers."""
        name = arm_title(self.params, arm)
        return f"{name}, as written" if version else name

    def _place(self, arm: str) -> tuple[int, int]:
        """Return an arm's place among those of its kind, and how many there are."""
        kin = [name for name in self.arms if self.real(name) == self.real(arm)]
        return (kin.index(arm) if arm in kin else 0), len(kin)

    def colour(self, arm: str) -> str:
        """Return an arm's colour as hex, for the current theme and palette."""
        place, count = self._place(arm)
        if self.real(arm):
            return blend(current_theme().ink, current_theme().grid, 0.7 * place / max(1, count - 1))
        return palette_colour(place)

    def marker(self, arm: str) -> str:
        """Return an arm's marker."""
        markers = _REAL_MARKERS if self.real(arm) else _MARKERS
        return markers[self._place(arm)[0] % len(markers)]

    def look(self, arm: str, version: str = "") -> dict[str, Any]:
        """Return colour, marker and line: filled and solid; of rows as written hollow and dashed."""
        colour = self.colour(arm)
        return {
            "color": colour, "marker": self.marker(arm), "linestyle": (0, (3.5, 1.8)) if version else "-",
            "markerfacecolor": current_theme().background if version else colour, "markeredgecolor": colour, "markeredgewidth": 1.2,
        }  # fmt: skip

    def learner(self, name: str) -> str:
        """Return a learner's name for readers: what its piece says."""
        found = pieces.registered("learner").get(name)
        return name if found is None else found.shown_name()

    def learner_look(self, name: str) -> dict[str, Any]:
        """Return a learner's marker, in ink; every other one hollow."""
        theme, known = current_theme(), pieces.registered("learner")
        found, place = known.get(name), list(known).index(name) if name in known else 0
        ink = theme.ink if place < 2 else theme.muted
        return {
            "color": ink, "marker": "o" if found is None else cast(type[Learner], found).marker, "linestyle": "none",
            "markerfacecolor": theme.background if place % 2 else ink, "markeredgecolor": ink,
        }  # fmt: skip


@contextmanager
def figure_style(figures: Figures, dark: bool = False) -> Iterator[Theme]:
    """Set the house style for figures made inside; whatever style the user has set is left alone and restored.

    Parameters
    ----------
    figures
        The ``figures`` section of the parameters.
    dark
        Draw for a dark page.

    Yields
    ------
    Theme
        Surface and ink in use.
    """
    theme = DARK if dark else LIGHT
    if figures.palette not in sns.palettes.SEABORN_PALETTES:
        raise UserError(
            f"There is no seaborn palette called {figures.palette!r}.",
            where="figures.palette",
            remedy=f"Use one of {', '.join(sorted(sns.palettes.SEABORN_PALETTES))}.",
        )
    tokens = _theme.set(theme), _palette.set(figures.palette)
    try:
        with matplotlib.rc_context():
            # Start from matplotlib's own defaults: a matplotlibrc of the user must not change bytes.
            matplotlib.rcParams.update({key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")})
            matplotlib.rcParams.update(_rc(figures, theme))
            yield theme
    finally:
        _theme.reset(tokens[0])
        _palette.reset(tokens[1])


_FONT = "DejaVu Sans"


def _rc(figures: Figures, theme: Theme) -> Any:
    size = figures.font_size
    return {
        # DejaVu Sans is inside matplotlib, so that every machine draws with the same glyphs.
        "font.family": _FONT, "font.size": size, "axes.titlesize": size, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "axes.titlepad": 8.0, "axes.labelsize": 0.95 * size, "xtick.labelsize": 0.9 * size, "ytick.labelsize": 0.9 * size,
        "legend.fontsize": 0.9 * size, "legend.frameon": False,
        "figure.facecolor": theme.background, "axes.facecolor": theme.background, "savefig.facecolor": theme.background,
        "text.color": theme.ink, "axes.labelcolor": theme.ink, "axes.titlecolor": theme.ink, "axes.edgecolor": theme.muted,
        "xtick.color": theme.muted, "ytick.color": theme.muted, "xtick.labelcolor": theme.ink, "ytick.labelcolor": theme.ink,
        "axes.grid": True, "axes.grid.axis": "y", "axes.axisbelow": True, "grid.color": theme.grid, "grid.linewidth": 0.7,
        "axes.linewidth": 0.7, "axes.spines.top": False, "axes.spines.right": False, "xtick.major.size": 3.0, "ytick.major.size": 0.0,
        "text.parse_math": False,  # a $ in a label is a $
        "xtick.minor.visible": False, "lines.linewidth": 1.6, "lines.markersize": 5.0, "axes.unicode_minus": True, "figure.dpi": figures.dpi,
        **_REPRODUCIBLE,
    }  # fmt: skip


# Text becomes outlines in SVG: a page that is read offline and on phones must not depend on which fonts are there, and
# text set in another font would overlap axes that were laid out for this one. What the text says is in the alt text and CSV.
_REPRODUCIBLE: Any = {"svg.fonttype": "path", "svg.hashsalt": "emosynth", "pdf.fonttype": 42}
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def new_figure(figures: Figures, height: float) -> Figure:
    """Return an empty figure of the parameters' width and a height in inches; no pyplot state is touched."""
    return Figure(figsize=(figures.width, height), dpi=figures.dpi, layout="constrained")


LONGEST_NAME = 44
"""Characters of a name at an axis."""
LONGEST_ENTRY = 48
"""Characters of an entry of a legend."""
_LONGEST, _LONGEST_NOTE, _MOST_LINES, _SHORTEST_PART = 60, 280, 3, 5
_SHARES = (0.5, 0.75, 0.25, 0.9, 0.1)
"""Where names that would be alike are cut instead."""


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(_FONT)).get_charmap())


def drawn(text: str, longest: int = _LONGEST, share: float = 0.5) -> str:
    """Return a text as a figure can draw it: few lines of bounded length, no control characters, and what the font lacks as its code points.

    The font is one, so that every machine draws the same; ``‹559C 60A6›`` keeps apart what boxes would make alike. Marks that only join or
    vary characters are left out. Of a line that is too long the longest part between commas loses its middle; ``share`` of what is left of it
    stands before the cut. The text itself is in the CSV file and on the page.
    """
    lines = []
    for line in printable(text).replace("\r", " ").expandtabs(1).split("\n")[:_MOST_LINES]:
        line = line if len(line) <= 4 * longest else line[: 2 * longest] + line[-2 * longest :]
        shown = [char for char in line if ord(char) in _glyphs() or unicodedata.category(char) not in ("Cf", "Mn", "Me")]
        runs = groupby(shown, lambda char: ord(char) in _glyphs())
        line = "".join("".join(run) if known else f"‹{' '.join(f'{ord(char):X}' for char in run)}›" for known, run in runs)
        lines.append(line if len(line) <= longest else _cut(line, longest, share))
    return "\n".join(lines)


def _cut(line: str, longest: int, share: float) -> str:
    parts = line.split(", ")
    at = max(range(len(parts)), key=lambda place: len(parts[place]))
    room = len(parts[at]) - (len(line) - longest) - 1
    if room < _SHORTEST_PART:
        parts, at, room = [line], 0, longest - 1
    head = round(share * room)
    parts[at] = f"{parts[at][:head].rstrip()}…{parts[at][len(parts[at]) - room + head :].lstrip()}"
    return ", ".join(parts)


def drawn_name(text: str, longest: int = LONGEST_NAME, share: float = 0.5) -> str:
    """Return a text as a figure can draw it on one line."""
    return drawn(" ".join(text.split()), longest, share)


def drawn_names(texts: Sequence[str], longest: int = LONGEST_NAME, draw: Callable[[str, int, float], str] = drawn_name) -> list[str]:
    """Return texts that stand side by side as a figure can draw them: those that differ still do, cut elsewhere or else numbered."""
    distinct = list(dict.fromkeys(texts))
    for share in _SHARES:
        shown = {text: draw(text, longest, share) for text in distinct}
        if len(set(shown.values())) == len(distinct):
            return [shown[text] for text in texts]
    taken: set[str] = set()
    for text in distinct:
        before, line, last = draw(text, longest, _SHARES[0]).rpartition("\n")
        name, number = f"{before}{line}{last}", 1
        while name in taken:
            number += 1
            mark = f" ({number})"
            name = f"{before}{line}{last[: longest - len(mark)]}{mark}"
        taken.add(name)
        shown[text] = name
    return [shown[text] for text in texts]


def tidy(fig: Figure) -> Figure:
    """Make every text of a figure one that it can draw, see `drawn_names`; labels of ticks too, which are made when it is drawn."""
    for axes in fig.axes:
        for axis in (axes.xaxis, axes.yaxis):
            made, places = axis.get_major_formatter(), axis.get_major_locator()
            if isinstance(made, FuncFormatter):
                said = [made(at, place) for place, at in enumerate(getattr(places, "locs", []))]  # of fixed places, as those of names are
                known = dict(zip(said, drawn_names(said), strict=True))
                axis.set_major_formatter(
                    FuncFormatter(lambda at, place, made=made, known=known: known.get(made(at, place)) or drawn_name(made(at, place)))
                )
    legends = [legend.get_texts() for legend in fig.findobj(Legend)]
    entries = {text for texts in legends for text in texts}
    others = [text for text in fig.findobj(Text) if text not in entries]
    groups: list[tuple[list[Text], int, Any]] = [(texts, LONGEST_ENTRY, drawn_name) for texts in legends]
    groups += [
        ([text for text in others if not text.get_wrap()], _LONGEST, drawn),
        ([text for text in others if text.get_wrap()], _LONGEST_NOTE, drawn),
    ]
    for texts, longest, draw in groups:
        for text, name in zip(texts, drawn_names([text.get_text() for text in texts], longest, draw), strict=True):
            text.set_text(name)
    return fig


_CLIP = re.compile(r'<clipPath id="(p[0-9a-f]{10})">\s*(.*?)\s*</clipPath>\s*', re.DOTALL)


def settled(svg: str) -> str:
    """Return an SVG whose clip paths are named by what they print, each once.

    matplotlib names them by numbers whose last bits depend on where arrays lie in memory, so that two drawings of one figure could differ.
    """
    names = {found[1]: f"p{hashlib.sha256(found[2].encode()).hexdigest()[:10]}" for found in _CLIP.finditer(svg)}
    renamed = re.sub(r'(?<=["#])p[0-9a-f]{10}(?=[")])', lambda found: names.get(found[0], found[0]), svg)
    there = set[str]()

    def once(found: re.Match[str]) -> str:
        first = found[1] not in there
        there.add(found[1])
        return found[0] if first else ""

    return _CLIP.sub(once, renamed)


def save_figure(fig: Figure, folder: Path, name: str, data: pd.DataFrame | None, formats: Sequence[str], dpi: int) -> list[Path]:
    """Save a figure in each format, with the numbers behind it as CSV.

    Parameters
    ----------
    fig
        Figure drawn inside ``figure_style``; its layout is made once and stays as it is.
    data
        What was drawn, one row a mark, written as ``name.csv`` (see `emosynth.escape.csv_cell`); None: no CSV (second theme of the same figure).
    formats
        Among png, svg and pdf.

    Returns
    -------
    list of Path
        Files written, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context(_REPRODUCIBLE):
        for ending in formats:
            path = folder / f"{name}.{ending}"
            fig.savefig(path, format=ending, dpi=dpi, metadata=_METADATA[ending])
            if ending == "svg":
                write_text(path, settled(path.read_text(encoding="utf-8")))
            fig.set_layout_engine("none")  # laid out once: the formats show one picture, and the others are saved in half the time
            written.append(path)
    if data is not None:
        path = folder / f"{name}.csv"
        csv_frame(data).to_csv(path, index=False, lineterminator="\n", encoding="utf-8", errors="replace")
        written.append(path)
    return written
