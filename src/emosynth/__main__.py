"""``python -m emosynth``."""

from emosynth.entry import run

run()
