"""Linguistic authenticity: how close generated text is to real text, measure by measure, beside a real-against-real control."""

from emosynth.authenticity.build import arm_texts, build_panel, real_halves
from emosynth.authenticity.panel import MEASURES, authenticity_panel
from emosynth.authenticity.tagger import load_tagger

__all__ = ["MEASURES", "arm_texts", "authenticity_panel", "build_panel", "load_tagger", "real_halves"]
