"""Step 03: stories, the passages cut from them, and the characters of each passage."""

from emosynth.narratives.build import build_narratives, describe, held_out_stories, load_passages

__all__ = ["build_narratives", "describe", "held_out_stories", "load_passages"]
