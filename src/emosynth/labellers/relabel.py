"""What a classifier of the seed reads, as a hard label."""

from __future__ import annotations

import numpy as np

from emosynth.design.space import FloatArray
from emosynth.labellers.base import Labelled, Labeller


class RelabelledRows(Labeller):
    """The teacher's own class in place of the one asked for: a text that misses its class is not lost."""

    name = "relabel"
    label = "the teacher's class"
    citation = (
        "@inproceedings{chung2023, author={Chung, John Joon Young and Kamar, Ece and Amershi, Saleema}, "
        "title={Increasing Diversity While Maintaining Accuracy: Text Data Generation with Large Language Models and Human Interventions}, "
        "booktitle={ACL}, year={2023}}"
    )
    in_space = "corpus"
    needs_seed = True

    def log_p(self, rows: Labelled) -> FloatArray:
        """Return 0 for the most probable label and, where a text may have several, all of at least one half; −inf for the others."""
        p = rows.judge.teacher(rows.cell).predict_proba([str(text) for text in rows.rows["text"]])
        chosen = np.zeros(p.shape, dtype=bool) if rows.space.single else p >= 0.5
        chosen[np.arange(len(p)), p.argmax(axis=1)] = True
        return np.where(chosen, 0.0, -np.inf)
