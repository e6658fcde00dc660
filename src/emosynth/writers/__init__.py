"""Step 04: who writes. Language models, plain or tuned on each seed behind a label prefix."""

from emosynth.writers.build import build_tuned, summary
from emosynth.writers.examples import label_prefix
from emosynth.writers.opening import decoding_of, generator_of, is_tuned, open_writer
from emosynth.writers.seeds import Seeds
from emosynth.writers.uses import Use, list_tuned, list_uses

__all__ = [
    "Seeds", "Use", "build_tuned", "decoding_of", "generator_of", "is_tuned", "label_prefix", "list_tuned", "list_uses", "open_writer", "summary",
]  # fmt: skip
