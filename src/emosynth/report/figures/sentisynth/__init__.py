"""Figures of the second system: a generator tuned on the seed, verified text, distilled students."""

from emosynth.report.figures.sentisynth.contrast import draw_distillation_gain, draw_matched_budget
from emosynth.report.figures.sentisynth.defects import draw_defects
from emosynth.report.figures.sentisynth.gaps import draw_gaps
from emosynth.report.figures.sentisynth.rejections import draw_verification_reasons
from emosynth.report.figures.sentisynth.sweeps import (
    draw_seed_size,
    draw_sweep_alpha_temperature,
    draw_sweep_beta,
    draw_sweep_growth,
    draw_sweep_tau,
)
from emosynth.report.figures.sentisynth.teacher import draw_teacher_calibration
from emosynth.report.figures.sentisynth.tuning import draw_tuning_kinds

__all__ = [
    "draw_defects",
    "draw_distillation_gain",
    "draw_gaps",
    "draw_matched_budget",
    "draw_seed_size",
    "draw_sweep_alpha_temperature",
    "draw_sweep_beta",
    "draw_sweep_growth",
    "draw_sweep_tau",
    "draw_teacher_calibration",
    "draw_tuning_kinds",
    "draw_verification_reasons",
]
