"""Step 09: what the context of grounded texts is worth, and how well labels are read."""

from emosynth.context.build import build_context

__all__ = ["build_context"]
