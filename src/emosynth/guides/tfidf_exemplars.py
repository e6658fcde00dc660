"""Seed rows that are rich in what sets a class apart by TF-IDF: the control of SHAP exemplars."""

from __future__ import annotations

from emosynth.guides.drawn import MARTINEZ, ExemplarGuide


class TfidfExemplars(ExemplarGuide):
    """Rows of the class whose words have the largest TF-IDF differential mass and that are unlike each other."""

    name = "tfidf-exemplars"
    label = "TF-IDF exemplars"
    citation = MARTINEZ
    by = "tfidf"
