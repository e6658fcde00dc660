"""Steps 07 and 08: candidates verified and softly labelled by a teacher, and students distilled from them."""

from emosynth.distillation.candidates import build_synthesis
from emosynth.distillation.run import headline, run_distillation
from emosynth.distillation.teacher import build_teachers

__all__ = ["build_synthesis", "build_teachers", "headline", "run_distillation"]
