"""Evidence: what the scores and the authenticity panel say of the papers' claims."""

from emosynth.evidence.authenticity_claims import judge_authenticity
from emosynth.evidence.claims import Claim, as_json, finish
from emosynth.evidence.distillation_claims import judge_distillation
from emosynth.evidence.grounding_claims import judge_grounding
from emosynth.evidence.training_claims import judge_training

__all__ = ["Claim", "as_json", "finish", "judge_authenticity", "judge_distillation", "judge_grounding", "judge_training"]
