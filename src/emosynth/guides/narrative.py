"""Narratives: texts are written from a passage of a story, by way of a character's situation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emosynth import pieces
from emosynth.guides.base import Draw, Guide, Shown

Kind = Literal["contextual", "contextless"]


class Narrative(Guide):
    """Passage and character give a situation, the situation an utterance, and that an utterance to be read alone (Shvets 2025).

    How the three texts are asked for is in `emosynth.generation.narrative_prompts`; beside it, other guides show what they show in the
    prompts of utterance and context-less text.
    """

    name = "narrative"
    label = "narratives"
    citation = """@article{shvets2025pillars,
  title = {{Emo Pillars}: Knowledge Distillation to Support Fine-Grained Context-Aware and Context-Less Emotion Classification},
  author = {Shvets, Alexander},
  journal = {arXiv preprint arXiv:2504.16856},
  year = {2025}
}"""
    needs_seed = False
    drawn = False
    narrative = True
    main = "grounded"

    class Settings(pieces.Settings):
        """Settings."""

        grounded: bool = Field(True, description="whether passage and character are given; if not, situations are of anybody")
        neutral: Literal["plain", "topical"] = Field("plain", description="topical: texts without emotion are about a thing of the passage")
        kinds: list[Kind] = Field(
            ["contextual", "contextless"], min_length=1, description="texts of an example: the utterance, one that needs no context"
        )
        labels: list[str] | None = Field(None, min_length=1, description="labels asked for; None: all of the space")
        two_labels: float | None = Field(None, ge=0, le=1, description="share with two labels; None: generation.two_labels")

    def show(self, draw: Draw) -> Shown:
        """Return nothing: passage, character and situation are no part of what is shown of a seed."""
        return Shown()
