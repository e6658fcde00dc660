"""Step 02: what a classifier fitted on the seed alone says about its words; the generator is guided by it."""

from emosynth.guidance.build import build_guidance
from emosynth.guidance.exemplars import choose_exemplars, shuffled
from emosynth.guidance.ranking import agreement, compare, presentable, rank_tokens, stability, top_tokens
from emosynth.guidance.shap_values import Attributions, encoder_attributions, linear_attributions, tree_attributions

__all__ = [
    "Attributions",
    "agreement",
    "build_guidance",
    "choose_exemplars",
    "compare",
    "encoder_attributions",
    "linear_attributions",
    "presentable",
    "rank_tokens",
    "shuffled",
    "stability",
    "top_tokens",
    "tree_attributions",
]
