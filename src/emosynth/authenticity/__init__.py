"""Step 08: how close written text is to real text, measure by measure, beside a real-against-real control; and how diverse it is."""

from emosynth.authenticity.build import build_panel
from emosynth.authenticity.panel import MEASURES, OTHER, REAL
from emosynth.authenticity.sample import arm_rows

__all__ = ["MEASURES", "OTHER", "REAL", "arm_rows", "build_panel"]
