"""Agreement between what was asked for and what the teacher reads."""

from __future__ import annotations

from emosynth.checks.base import Check, Judged
from emosynth.design.space import FloatArray


class AgreementCheck(Check):
    """The teacher, a classifier fitted on the seed alone, reads the label asked for.

    A label without a counterpart in the corpus is no disagreement.
    """

    name = "agreement"
    label = "agreement"
    reason = "reads as another class"
    citation = (
        "@inproceedings{anabytavor2020, author={Anaby-Tavor, Ateret and others}, "
        "title={Do Not Have Enough Data? Deep Learning to the Rescue!}, booktitle={AAAI}, year={2020}}"
    )
    scope = "seed"
    asks_teacher = True
    order = 80

    def score(self, rows: Judged) -> FloatArray:
        """Return 1 where the teacher agrees."""
        return rows.intended[0].astype(float)
