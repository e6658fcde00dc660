"""One look for every figure: arm order, arm names, arm colours, and how figures are saved.

Colours carry meaning and keep it in all figures: real data is neutral (dark to light grey), naïve
generation is warm, random exemplars are pink, the SHAP family shares blue and green hues, and tuned
generators are red to brown. Every
arm also has its own marker, so that no reading depends on colour alone. All hues come from one
seaborn palette (``figures.palette``; the default is safe for the common kinds of colour blindness).

Files are byte-reproducible: equal numbers, parameters and library versions give equal bytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from emosynth.errors import UserError
from emosynth.params import Figures

__all__ = [
    "ARMS",
    "REAL_ARMS",
    "Theme",
    "arm_colour",
    "arm_label",
    "arm_marker",
    "current_theme",
    "figure_style",
    "is_real",
    "is_shap",
    "learner_label",
    "muted_colour",
    "new_figure",
    "order_arms",
    "palette_colour",
    "save_figure",
]


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


@dataclass(frozen=True)
class ArmStyle:
    """How one arm is shown.

    Parameters
    ----------
    label
        Name for readers.
    colour
        Palette position, a mix of two positions, or a grey: ``"grey:0.0"`` is the ink of the theme, ``"grey:1.0"`` its grid.
    marker
        Matplotlib marker.
    """

    label: str
    colour: int | tuple[int, int] | str
    marker: str


# The order here is the order of arms in every figure and table. A further part adds its arms here.
ARMS: dict[str, ArmStyle] = {
    "seed": ArmStyle("Seed only", "grey:0.0", "o"),
    "real": ArmStyle("Real", "grey:0.0", "o"),
    "real-other": ArmStyle("Real, other half", "grey:0.30", "o"),
    "real+1x": ArmStyle("Real +1×", "grey:0.30", "s"),
    "real+2x": ArmStyle("Real +2×", "grey:0.45", "D"),
    "real-balanced+1x": ArmStyle("Real, balanced +1×", "grey:0.58", "^"),
    "naive": ArmStyle("Naïve", 1, "X"),
    "random-exemplars": ArmStyle("Random exemplars", 4, "P"),
    "shap-tokens": ArmStyle("SHAP tokens", 9, "v"),
    "shap-exemplars": ArmStyle("SHAP exemplars", 2, "^"),
    "shap": ArmStyle("SHAP-guided", 0, "o"),
    "shap-bias": ArmStyle("SHAP logit bias", (0, 4), "D"),
    "tuned": ArmStyle("Tuned generator", 3, "p"),
    "tuned-20x": ArmStyle("Tuned generator, 20×", (3, 5), "P"),
    "tuned-top2": ArmStyle("Tuned, top 2 blocks", 8, "v"),
    "tuned-top8": ArmStyle("Tuned, top 8 blocks", (3, 8), "^"),
    "tuned-lora": ArmStyle("Tuned, LoRA", 5, "s"),
    "tuned-all": ArmStyle("Tuned, all weights", (3, 4), "D"),
}
REAL_ARMS = ("seed", "real", "real-other")
_REAL_EXPANSION = re.compile(r"real(-balanced)?\+(\d+(?:\.\d+)?)x")
_SPARE = (6, 8, 5)  # palette positions of no arm of the headline figures, for arms that a user adds

_LEARNERS = {
    "tfidf": "TF-IDF + logistic regression",
    "embedding": "MiniLM embeddings + logistic regression",
    "finetuned": "Fine-tuned MiniLM",
    "tiny": "2-layer MiniLM",
    "encoder": "Fine-tuned MiniLM layers",
}
_SHORT_LEARNERS = {"tfidf": "TF-IDF", "embedding": "MiniLM embeddings", "finetuned": "Fine-tuned MiniLM", "tiny": "2-layer MiniLM"}

_theme: ContextVar[Theme] = ContextVar("emosynth_theme", default=LIGHT)
_palette: ContextVar[str] = ContextVar("emosynth_palette", default="colorblind")


def current_theme() -> Theme:
    """Return the theme of the innermost ``figure_style``."""
    return _theme.get()


def _mix(first: str, second: str, share: float) -> str:
    (r, g, b), (x, y, z) = to_rgb(first), to_rgb(second)
    return to_hex((r + (x - r) * share, g + (y - g) * share, b + (z - b) * share))


def palette_colour(position: int) -> str:
    """Return a colour of the palette as hex, lifted a little on the dark theme to keep contrast."""
    colours = sns.color_palette(_palette.get())
    colour = to_hex(colours[position % len(colours)])
    return _mix(colour, "#ffffff", 0.22) if current_theme().name == "dark" else colour


def muted_colour(position: int) -> str:
    """Return a colour of the palette blended with the surface, for areas."""
    return _mix(palette_colour(position), current_theme().background, 0.3)


def is_real(arm: str) -> bool:
    """Whether an arm holds real text only (seed, real expansions, halves of the corpus)."""
    return arm in REAL_ARMS or _REAL_EXPANSION.fullmatch(arm) is not None


def is_shap(arm: str) -> bool:
    """Whether an arm belongs to the SHAP family."""
    return arm == "shap" or arm.startswith("shap-")


def order_arms(arms: Iterable[str]) -> list[str]:
    """Return the distinct arms in display order: real, naïve, random exemplars, SHAP family, tuned generators, then others by name."""
    known = {name: position for position, name in enumerate(ARMS)}

    def key(arm: str) -> tuple[int, float, str]:
        match = _REAL_EXPANSION.fullmatch(arm)
        if match:  # any factor sorts among the real arms, plain before balanced
            return known["real-balanced+1x"] if match[1] else known["real+1x"], float(match[2]), arm
        return known.get(arm, len(known)), 0.0, arm

    return sorted(set(arms), key=key)


def arm_label(arm: str, verified: bool | None = None) -> str:
    """Return the display name of an arm; with ``verified`` given, of that version of a generating arm."""
    if arm in ARMS:
        label = ARMS[arm].label
    elif match := _REAL_EXPANSION.fullmatch(arm):
        label = f"Real, balanced +{match[2]}×" if match[1] else f"Real +{match[2]}×"
    else:
        label = arm.replace("-", " ").replace("_", " ")
        label = label[:1].upper() + label[1:]
    if verified is None or is_real(arm):
        return label
    return label if verified else f"{label}, unverified"


def arm_colour(arm: str) -> str:
    """Return the colour of an arm as hex, for the current theme and palette."""
    style = ARMS.get(arm)
    if style is None:
        if match := _REAL_EXPANSION.fullmatch(arm):
            return arm_colour("real-balanced+1x" if match[1] else "real+2x")
        return palette_colour(_SPARE[zlib.crc32(arm.encode()) % len(_SPARE)])
    if isinstance(style.colour, int):
        return palette_colour(style.colour)
    if isinstance(style.colour, tuple):
        return _mix(palette_colour(style.colour[0]), palette_colour(style.colour[1]), 0.5)
    theme = current_theme()
    return _mix(theme.ink, theme.grid, float(style.colour.removeprefix("grey:")))


def arm_marker(arm: str) -> str:
    """Return the marker of an arm."""
    if arm in ARMS:
        return ARMS[arm].marker
    return "^" if arm.startswith("real-balanced") else "D" if is_real(arm) else "h"


def learner_label(learner: str, short: bool = False) -> str:
    """Return the display name of a learner."""
    return (_SHORT_LEARNERS if short else _LEARNERS).get(learner, learner)


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
    size = figures.font_size
    tokens = _theme.set(theme), _palette.set(figures.palette)
    try:
        with matplotlib.rc_context():
            # Start from matplotlib's own defaults: a matplotlibrc of the user must not change bytes.
            matplotlib.rcParams.update({key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")})
            matplotlib.rcParams.update(
                {
                    # DejaVu Sans is inside matplotlib, so that every machine draws with the same glyphs.
                    "font.family": "DejaVu Sans",
                    "font.size": size,
                    "axes.titlesize": size,
                    "axes.titleweight": "bold",
                    "axes.titlelocation": "left",
                    "axes.titlepad": 8.0,
                    "axes.labelsize": 0.95 * size,
                    "xtick.labelsize": 0.9 * size,
                    "ytick.labelsize": 0.9 * size,
                    "legend.fontsize": 0.9 * size,
                    "legend.frameon": False,
                    "figure.facecolor": theme.background,
                    "axes.facecolor": theme.background,
                    "savefig.facecolor": theme.background,
                    "text.color": theme.ink,
                    "axes.labelcolor": theme.ink,
                    "axes.titlecolor": theme.ink,
                    "axes.edgecolor": theme.muted,
                    "xtick.color": theme.muted,
                    "ytick.color": theme.muted,
                    "xtick.labelcolor": theme.ink,
                    "ytick.labelcolor": theme.ink,
                    "axes.grid": True,
                    "axes.grid.axis": "y",
                    "axes.axisbelow": True,
                    "grid.color": theme.grid,
                    "grid.linewidth": 0.7,
                    "axes.linewidth": 0.7,
                    "axes.spines.top": False,
                    "axes.spines.right": False,
                    "xtick.major.size": 3.0,
                    "ytick.major.size": 0.0,
                    "xtick.minor.visible": False,
                    "lines.linewidth": 1.6,
                    "lines.markersize": 5.0,
                    "axes.unicode_minus": True,
                    "figure.dpi": figures.dpi,
                    **_REPRODUCIBLE,
                }
            )
            yield theme
    finally:
        _theme.reset(tokens[0])
        _palette.reset(tokens[1])


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


def save_figure(
    fig: Figure,
    folder: Path,
    name: str,
    data: pd.DataFrame | None,
    formats: Sequence[str],
    dpi: int,
) -> list[Path]:
    """Save a figure in each format, with the numbers behind it as CSV.

    Parameters
    ----------
    fig
        Figure drawn inside ``figure_style``; its layout is made once and stays as it is.
    folder
        Made if missing.
    name
        File name without ending.
    data
        What was drawn, one row per mark, written as ``name.csv`` at full precision; None: no CSV (second theme of the same figure).
    formats
        Among png, svg and pdf.
    dpi
        Dots per inch of the PNG.

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
            fig.set_layout_engine("none")  # laid out once: the formats show one picture, and the others are saved in half the time
            written.append(path)
    if data is not None:
        path = folder / f"{name}.csv"
        data.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
        written.append(path)
    return written
