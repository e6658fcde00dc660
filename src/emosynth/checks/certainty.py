"""How sure the teacher is of what it reads, whatever was asked for."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.design.space import FloatArray
from emosynth.pieces import Settings


class CertaintySettings(Settings):
    """How sure is sure enough."""

    at_least: float = Field(
        0.7, ge=0, le=1, description="calibrated probability that the label the teacher reads needs, be it the one asked for or not"
    )


class CertaintyCheck(Check):
    """The teacher is sure of some label; the score is the largest probability it gives. For rows that are relabelled (`emosynth.labellers.relabel`)."""

    name = "certainty"
    label = "certainty"
    reason = "not surely of any class"
    citation = (
        "@inproceedings{lee2013pseudo, author={Lee, Dong-Hyun}, title={Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method "
        "for Deep Neural Networks}, booktitle={ICML Workshop on Challenges in Representation Learning}, year={2013}}"
    )
    Settings = CertaintySettings
    main = "at_least"
    scope = "seed"
    asks_teacher = True
    order = 86
    thresholds = frozenset({"at_least"})

    def score(self, rows: Judged) -> FloatArray:
        """Return the largest probabilities."""
        return np.asarray(rows.judge.teacher(rows.cell).predict_proba(rows.texts).max(axis=1), dtype=np.float64)

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which probabilities are large enough."""
        return np.isnan(scores) | (scores >= self.settings.at_least)
