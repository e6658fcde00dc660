"""Step 06: checks score candidates and labellers label them, once; what an arm accepts is derived."""

from emosynth.verification.accept import ScoreTable, SoftLabels, accepted, load_scores, load_soft, unverified
from emosynth.verification.build import build_verdicts
from emosynth.verification.summary import acceptance, rejection_reasons

__all__ = [
    "ScoreTable",
    "SoftLabels",
    "acceptance",
    "accepted",
    "build_verdicts",
    "load_scores",
    "load_soft",
    "rejection_reasons",
    "unverified",
]
