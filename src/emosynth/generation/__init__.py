"""Step 03: growing seeds with a language model."""

from emosynth.generation.build import build_candidates, load_guidance, seed_texts
from emosynth.generation.plan import quotas, wanted_rows

__all__ = ["build_candidates", "load_guidance", "quotas", "seed_texts", "wanted_rows"]
