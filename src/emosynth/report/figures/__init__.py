"""Figures of the report.

A further part adds a module here and a :class:`~emosynth.report.page.Part` in ``page.py``.
"""

from emosynth.report.figures.authenticity import draw_authenticity
from emosynth.report.figures.base import REGISTRY, FigureSpec, Words, figure_names, get_figure, register, write_figure
from emosynth.report.figures.calibration import draw_calibration
from emosynth.report.figures.classes import draw_class_gains
from emosynth.report.figures.curves import draw_learning_curves
from emosynth.report.figures.differences import draw_paired_differences
from emosynth.report.figures.tokens import draw_token_stability
from emosynth.report.figures.verification import draw_verification

__all__ = [
    "REGISTRY",
    "FigureSpec",
    "Words",
    "draw_authenticity",
    "draw_calibration",
    "draw_class_gains",
    "draw_learning_curves",
    "draw_paired_differences",
    "draw_token_stability",
    "draw_verification",
    "figure_names",
    "get_figure",
    "register",
    "write_figure",
]
