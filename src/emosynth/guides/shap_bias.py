"""SHAP tokens as a bonus on their logits: the prompt stays that of the unguided arm."""

from __future__ import annotations

from pydantic import Field

from emosynth import pieces
from emosynth.guides.base import Draw, Guide, Shown
from emosynth.guides.drawn import LUNDBERG, MARTINEZ, found_in, positive_tokens


class ShapBias(Guide):
    """Raises the probability of the class's best SHAP tokens while a text is written.

    The best token gets ``strength``, others their share of it by score; of two labels' bonuses for one word the larger counts.
    """

    name = "shap-bias"
    label = "SHAP logit bias"
    citation = f"{MARTINEZ}\n\n{LUNDBERG}"
    drawn = False
    needs_bias = True
    main = "strength"

    class Settings(pieces.Settings):
        """Settings."""

        strength: float = Field(2.0, gt=0, description="bonus in nats on the logit of the class's best token")

    def show(self, draw: Draw) -> Shown:
        """Return every positive token of each label with its bonus."""
        materials = found_in(draw, self)
        bonus: dict[str, float] = {}
        for label in draw.labels:
            ranked = positive_tokens(materials, label, "shap")
            for token, score in ranked:
                bonus[token] = max(bonus.get(token, 0.0), round(self.settings.strength * score / ranked[0][1], 4))
        return Shown(bias=tuple(bonus.items()))
