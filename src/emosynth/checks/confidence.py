"""How sure the teacher is of what was asked for."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.design.space import FloatArray
from emosynth.pieces import Settings


class ConfidenceSettings(Settings):
    """How sure is sure enough."""

    at_least: float = Field(0.7, ge=0, le=1, description="τ: calibrated probability that the label asked for needs")


class ConfidenceCheck(Check):
    """The teacher gives the label asked for enough probability; the score is that probability, NaN for a label without a counterpart."""

    name = "confidence"
    label = "confidence"
    reason = "not surely of its class"
    citation = (
        "@inproceedings{anabytavor2020, author={Anaby-Tavor, Ateret and others}, "
        "title={Do Not Have Enough Data? Deep Learning to the Rescue!}, booktitle={AAAI}, year={2020}}"
    )
    Settings = ConfidenceSettings
    main = "at_least"
    scope = "seed"
    asks_teacher = True
    order = 85
    thresholds = frozenset({"at_least"})

    def score(self, rows: Judged) -> FloatArray:
        """Return probabilities of what was asked for."""
        return rows.intended[1]

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which probabilities are large enough."""
        return np.isnan(scores) | (scores >= self.settings.at_least)
