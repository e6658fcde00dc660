"""Tokens that set a class apart by TF-IDF alone: the control of SHAP tokens."""

from __future__ import annotations

from emosynth.guides.drawn import MARTINEZ, TokenGuide


class TfidfTokens(TokenGuide):
    """Words whose mean TF-IDF in the class most exceeds that in the rest (the differential score of Martinez, Miñoza and Ibañez 2025)."""

    name = "tfidf-tokens"
    label = "TF-IDF tokens"
    citation = MARTINEZ
    by = "tfidf"
