"""Evidence: what trials and tables say of claims, published and our own, which were declared before."""

from emosynth.evidence.claims import Found, as_json, judge, metrics, outcome_words, rare_classes, reading
from emosynth.evidence.contrasts import RealCurve, answers, contrasts, pick, real_curve, usable, written_arms
from emosynth.evidence.declared import VERDICTS, Claim, Declared, against, check_declared, check_names, load_claims, profile_names
from emosynth.evidence.scored import UNVERIFIED, Group, Labels, Scored, naive_arm
from emosynth.resampling import Contrast

__all__ = [
    "UNVERIFIED", "VERDICTS", "Claim", "Contrast", "Declared", "Found", "Group", "Labels", "RealCurve", "Scored", "against", "answers", "as_json", "check_declared",
    "check_names", "contrasts", "judge", "load_claims", "metrics", "naive_arm", "outcome_words", "pick", "profile_names", "rare_classes", "reading", "real_curve", "usable",
    "written_arms",
]  # fmt: skip
