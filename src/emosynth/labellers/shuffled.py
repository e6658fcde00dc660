"""Labels that belong to other rows: the control that shows what labels are worth beside the texts."""

from __future__ import annotations

import numpy as np

from emosynth.design.cells import stable_seed
from emosynth.design.space import FloatArray
from emosynth.labellers.base import Labelled, Labeller


class ShuffledLabels(Labeller):
    """What was asked for in other rows of the same origin and cell, in random order: each kind of rows keeps its counts of labels.

    Of rows of the seed: the annotation of other rows. What an arm still gains then is not in its labels (a permutation test's null;
    Zhang et al. 2017). Checks have seen what was asked for.
    """

    name = "shuffled"
    label = "shuffled"
    citation = (
        "@inproceedings{zhang2017, author={Zhang, Chiyuan and Bengio, Samy and Hardt, Moritz and Recht, Benjamin and Vinyals, Oriol}, "
        "title={Understanding Deep Learning Requires Rethinking Generalization}, booktitle={ICLR}, year={2017}}"
    )
    needs_seed = True  # not the labels, but the order: each seed shuffles its own rows
    reads = False

    def log_p(self, rows: Labelled) -> FloatArray:
        """Return 0 where another row has a label, −inf elsewhere."""
        kinds = rows.rows["kind"].fillna("").to_numpy()
        taken = np.arange(len(rows.rows))
        for kind in dict.fromkeys(kinds):
            own = np.flatnonzero(kinds == kind)
            rng = np.random.default_rng(stable_seed("shuffled", rows.cell, kind))
            taken[own] = own[rng.permutation(len(own))]
        return np.where(rows.targets[taken] > 0, 0.0, -np.inf)
