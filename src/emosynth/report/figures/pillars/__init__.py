"""Figures of the third system: examples grounded in narratives, soft labels, two-stage training."""

from emosynth.report.figures.pillars.context import draw_context_effect
from emosynth.report.figures.pillars.diversity import draw_emotion_diversity
from emosynth.report.figures.pillars.labels import draw_explicit_share, draw_label_agreement, draw_label_confusion
from emosynth.report.figures.pillars.probe import draw_emotion_probe
from emosynth.report.figures.pillars.transfer import draw_leave_one_out, draw_transfer, draw_transfer_gain

__all__ = [
    "draw_context_effect",
    "draw_emotion_diversity",
    "draw_emotion_probe",
    "draw_explicit_share",
    "draw_label_agreement",
    "draw_label_confusion",
    "draw_leave_one_out",
    "draw_transfer",
    "draw_transfer_gain",
]
