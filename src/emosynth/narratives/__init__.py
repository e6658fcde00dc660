"""Step narratives: stories, the passages cut from them, and the characters of each passage."""

from emosynth.narratives.build import Built, build_narratives, describe, load_passages

__all__ = ["Built", "build_narratives", "describe", "load_passages"]
