"""Seed rows that are rich in SHAP mass."""

from __future__ import annotations

from emosynth.guides.drawn import LUNDBERG, MARTINEZ, ExemplarGuide


class ShapExemplars(ExemplarGuide):
    """Rows of the class whose words add most to its margin and that are unlike each other (Martinez, Miñoza and Ibañez 2025)."""

    name = "shap-exemplars"
    label = "SHAP exemplars"
    citation = f"{MARTINEZ}\n\n{LUNDBERG}"
    by = "shap"
