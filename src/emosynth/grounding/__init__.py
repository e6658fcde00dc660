"""Grounded generation: passage, character, situation, utterance, and the utterance that needs no context."""

from emosynth.grounding.build import build_grounding, load_rows
from emosynth.grounding.checks import CHECKS, rows, verify
from emosynth.grounding.dataset import export_dataset
from emosynth.grounding.diversity import diversity
from emosynth.grounding.explicit import balance, explicit_share, lexicon
from emosynth.grounding.labels import scorer_quality, soft_labels
from emosynth.grounding.naming import name_labels
from emosynth.grounding.pairs import held_out_stories, plan_pairs, write_pairs
from emosynth.grounding.plan import SENTIMENT, STEPS, Example, plan_examples
from emosynth.grounding.prompts import Prompt, Wording, build_prompt, clean
from emosynth.grounding.run import COLUMNS, generate_examples
from emosynth.grounding.scale import ASSUMED, Throughput, scale_estimate

__all__ = [
    "ASSUMED",
    "CHECKS",
    "COLUMNS",
    "SENTIMENT",
    "STEPS",
    "Example",
    "Prompt",
    "Throughput",
    "Wording",
    "balance",
    "build_grounding",
    "build_prompt",
    "clean",
    "diversity",
    "explicit_share",
    "export_dataset",
    "generate_examples",
    "held_out_stories",
    "lexicon",
    "load_rows",
    "name_labels",
    "plan_examples",
    "plan_pairs",
    "rows",
    "scale_estimate",
    "scorer_quality",
    "soft_labels",
    "verify",
    "write_pairs",
]
