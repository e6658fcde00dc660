"""Step 06: the generator tuned on each seed, with a label prefix."""

from emosynth.tuning.build import build_tuning, tuned_generators
from emosynth.tuning.examples import examples_of, label_prefix

__all__ = ["build_tuning", "examples_of", "label_prefix", "tuned_generators"]
