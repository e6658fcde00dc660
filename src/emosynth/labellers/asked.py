"""The label that was asked for."""

from __future__ import annotations

import numpy as np

from emosynth.design.space import FloatArray
from emosynth.labellers.base import Labelled, Labeller


class AskedLabels(Labeller):
    """What the prompt asked for: one label, or two in equal shares."""

    name = "asked"
    label = "as asked"
    reads = False

    def log_p(self, rows: Labelled) -> FloatArray:
        """Return logarithms of the labels asked for, scaled to sum to 1; −inf for all others."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(rows.targets / np.maximum(1.0, rows.targets.sum(axis=1, keepdims=True))), dtype=np.float64)
