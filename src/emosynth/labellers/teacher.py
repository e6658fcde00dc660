"""What a classifier of the seed reads, softly."""

from __future__ import annotations

import numpy as np

from emosynth.design.space import FloatArray
from emosynth.labellers.base import FLOOR, Labelled, Labeller


class TaughtLabels(Labeller):
    """Soft labels of the teacher, a classifier fitted on the seed alone, at its own temperature."""

    name = "teacher"
    label = "the teacher's soft labels"
    citation = (
        "@article{hinton2015, author={Hinton, Geoffrey and Vinyals, Oriol and Dean, Jeff}, "
        "title={Distilling the Knowledge in a Neural Network}, journal={arXiv:1503.02531}, year={2015}}"
    )
    in_space = "corpus"
    needs_seed = True
    distils = True

    def log_p(self, rows: Labelled) -> FloatArray:
        """Return the teacher's log-probabilities, none below that of 1e-12."""
        p = rows.judge.teacher(rows.cell).predict_proba([str(text) for text in rows.rows["text"]])
        return np.asarray(np.log(np.maximum(p, FLOOR)), dtype=np.float64)
