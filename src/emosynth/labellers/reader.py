"""What a language model reads."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from emosynth.design.space import FloatArray
from emosynth.labellers.base import Labelled, Labeller, LabellerSettings


class ReadLabelsSettings(LabellerSettings):
    """How sharp the reading is."""

    temperature: float = Field(1.0, gt=0, description="above 1 flattens what the language model reads, below 1 sharpens it")


class ReadLabels(Labeller):
    """What a language model reads in the text, over the labels that were asked for; contextual rows are read with their context."""

    name = "reader"
    label = "the language model's reading"
    citation = (
        "@inproceedings{holtzman2021, author={Holtzman, Ari and West, Peter and Shwartz, Vered and Choi, Yejin and Zettlemoyer, Luke}, "
        "title={Surface Form Competition: Why the Highest Probability Answer Isn't Always Right}, booktitle={EMNLP}, year={2021}}"
    )
    Settings = ReadLabelsSettings

    def log_p(self, rows: Labelled) -> FloatArray:
        """Return log-probabilities that sum to 1."""
        from scipy.special import log_softmax

        read = rows.judge.reader().read(rows.rows, rows.asked)
        return np.asarray(log_softmax(read / self.settings.temperature, axis=1), dtype=np.float64)
