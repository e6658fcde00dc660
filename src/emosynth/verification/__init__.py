"""Checks on candidates: each adds columns, none drops a row; ``accepted`` is derived."""

from emosynth.verification.build import build_verdicts
from emosynth.verification.checks import CHECKS, Cell, verify_cell
from emosynth.verification.classifier import seed_classifier
from emosynth.verification.run import acceptance, rejection_reasons, verify

__all__ = ["CHECKS", "Cell", "acceptance", "build_verdicts", "rejection_reasons", "seed_classifier", "verify", "verify_cell"]
