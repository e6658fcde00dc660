"""Multi-label learning from soft labels: heads, encoder, thresholds and scores.

Targets are (n, k) numbers from 0 to 1, one column per label, each judged on its own: rows need not sum to 1. Rows with
exactly one label are a special case that needs no other model; their class is the label of the highest probability.
"""

from emosynth.models.multilabel.encoder import EncoderSettings, EncoderState, MultiLabelEncoder, Text
from emosynth.models.multilabel.linear import OneVsRest
from emosynth.models.multilabel.metrics import binarise, per_class, row_lrap, scores
from emosynth.models.multilabel.thresholds import best_threshold, choose_thresholds

__all__ = [
    "EncoderSettings",
    "EncoderState",
    "MultiLabelEncoder",
    "OneVsRest",
    "Text",
    "best_threshold",
    "binarise",
    "choose_thresholds",
    "per_class",
    "row_lrap",
    "scores",
]
