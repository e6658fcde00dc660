"""Step 05: candidates, written from a class or from a narrative."""

from emosynth.generation.build import build_candidates
from emosynth.generation.read import COLUMNS, asked_space, candidates_of, load_candidates

__all__ = ["COLUMNS", "asked_space", "build_candidates", "candidates_of", "load_candidates"]
