"""Evidence: what trials and tables say of the published claims, which were declared before."""

from emosynth.evidence.claims import Found, as_json, judge, metrics, rare_classes, reading
from emosynth.evidence.contrasts import RealCurve, contrasts, real_curve
from emosynth.evidence.declared import Declared, check_names, load_claims, profile_names
from emosynth.evidence.judging import VERDICTS, Claim
from emosynth.evidence.scored import UNVERIFIED, Group, Labels, Scored, naive_arm

__all__ = [
    "UNVERIFIED", "VERDICTS", "Claim", "Declared", "Found", "Group", "Labels", "RealCurve", "Scored", "as_json", "check_names", "contrasts", "judge",
    "load_claims", "metrics", "naive_arm", "profile_names", "rare_classes", "reading", "real_curve",
]  # fmt: skip
