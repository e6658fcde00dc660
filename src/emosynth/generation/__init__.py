"""Step 05: candidates, written from a class or from a narrative."""

from emosynth.generation.build import build_candidates
from emosynth.generation.read import COLUMNS, candidates_of, costs, load_candidates

__all__ = ["COLUMNS", "build_candidates", "candidates_of", "costs", "load_candidates"]
