"""Figures of the report.

A further part adds a module here and a :class:`~emosynth.report.page.Part` in ``page.py``.
"""

from emosynth.report.figures.authenticity import draw_authenticity
from emosynth.report.figures.base import REGISTRY, FigureSpec, Words, figure_names, get_figure, register, write_figure
from emosynth.report.figures.calibration import draw_calibration
from emosynth.report.figures.classes import draw_class_gains
from emosynth.report.figures.curves import draw_learning_curves
from emosynth.report.figures.differences import draw_paired_differences
from emosynth.report.figures.pillars import (
    draw_context_effect,
    draw_emotion_diversity,
    draw_emotion_probe,
    draw_explicit_share,
    draw_label_agreement,
    draw_label_confusion,
    draw_leave_one_out,
    draw_transfer,
    draw_transfer_gain,
)
from emosynth.report.figures.sentisynth import (
    draw_defects,
    draw_distillation_gain,
    draw_gaps,
    draw_matched_budget,
    draw_seed_size,
    draw_sweep_alpha_temperature,
    draw_sweep_beta,
    draw_sweep_growth,
    draw_sweep_tau,
    draw_teacher_calibration,
    draw_tuning_kinds,
    draw_verification_reasons,
)
from emosynth.report.figures.tokens import draw_token_stability
from emosynth.report.figures.verification import draw_verification

__all__ = [
    "REGISTRY",
    "FigureSpec",
    "Words",
    "draw_authenticity",
    "draw_calibration",
    "draw_class_gains",
    "draw_context_effect",
    "draw_defects",
    "draw_distillation_gain",
    "draw_emotion_diversity",
    "draw_emotion_probe",
    "draw_explicit_share",
    "draw_gaps",
    "draw_label_agreement",
    "draw_label_confusion",
    "draw_learning_curves",
    "draw_leave_one_out",
    "draw_matched_budget",
    "draw_paired_differences",
    "draw_seed_size",
    "draw_sweep_alpha_temperature",
    "draw_sweep_beta",
    "draw_sweep_growth",
    "draw_sweep_tau",
    "draw_teacher_calibration",
    "draw_token_stability",
    "draw_transfer",
    "draw_transfer_gain",
    "draw_tuning_kinds",
    "draw_verification",
    "draw_verification_reasons",
    "figure_names",
    "get_figure",
    "register",
    "write_figure",
]
