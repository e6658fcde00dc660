"""Tokens that SHAP values of a classifier of the seed rank highest."""

from __future__ import annotations

from emosynth.guides.drawn import LUNDBERG, MARTINEZ, TokenGuide


class ShapTokens(TokenGuide):
    """Words that add most to the class's margin, offered in the prompt (Martinez, Miñoza and Ibañez 2025)."""

    name = "shap-tokens"
    label = "SHAP tokens"
    citation = f"{MARTINEZ}\n\n{LUNDBERG}"
    by = "shap"
