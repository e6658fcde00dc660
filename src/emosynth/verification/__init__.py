"""Checks on candidates: each adds columns, none drops a row; ``accepted`` is derived."""

from emosynth.verification.build import build_verdicts
from emosynth.verification.checks import CHECKS, Cell, enabled, verify_cell
from emosynth.verification.classifier import seed_classifier
from emosynth.verification.run import acceptance, acceptance_curve, rejection_reasons, require_accepted, starved_cells, verify

__all__ = [
    "CHECKS",
    "Cell",
    "acceptance",
    "acceptance_curve",
    "build_verdicts",
    "enabled",
    "rejection_reasons",
    "require_accepted",
    "seed_classifier",
    "starved_cells",
    "verify",
    "verify_cell",
]
