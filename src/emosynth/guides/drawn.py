"""What guides that show tokens or exemplars of the seed have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from pydantic import Field

from emosynth.design.cells import quotas
from emosynth.guides.base import By, Draw, Guide, Materials, Shown, pick
from emosynth.pieces import Settings
from emosynth.text import words

MARTINEZ = """@misc{martinez2025shap,
  title = {arXiv:2511.16132 ({SHAP}-guided generation)},
  author = {Martinez and Mi{\\~n}oza and Iba{\\~n}ez},
  year = {2025},
  eprint = {2511.16132},
  archivePrefix = {arXiv}
}"""
LUNDBERG = """@inproceedings{lundberg2017unified,
  title = {A Unified Approach to Interpreting Model Predictions},
  author = {Lundberg, Scott M. and Lee, Su-In},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {30},
  year = {2017}
}"""


class TokenCount(Settings):
    """Settings of a guide that shows tokens."""

    count: int = Field(4, ge=1, description="tokens a prompt, drawn from the best of its class (shap.tokens); two labels share them")


class ExemplarCount(Settings):
    """Settings of a guide that shows exemplars."""

    count: int = Field(3, ge=1, description="seed rows a prompt, drawn from the best of its class (shap.exemplars); two labels share them")


def found_in(draw: Draw, guide: Guide) -> Materials:
    """Return the materials of a draw; a draw without is a fault of the caller, since the guide says that it needs the seed."""
    if draw.materials is None:
        raise ValueError(f"the guide {guide.name} needs the materials of a seed")
    return draw.materials


def positive_tokens(materials: Materials, label: str, by: By) -> list[tuple[str, float]]:
    """Return the tokens that speak *for* a label, with their scores, best first."""
    return [(token, score) for token, score in materials.tokens(label, by) if score > 0]


def shared_out(labels: tuple[str, ...], count: int, draw_one: Callable[[str, int], Sequence[str]]) -> tuple[str, ...]:
    """Return what is drawn label by label; the first labels get what does not divide evenly, and nothing is shown twice."""
    return tuple(dict.fromkeys(item for label, share in quotas(count, labels).items() if share for item in draw_one(label, share)))


class TokenGuide(Guide):
    """Shows tokens of the class.

    Attributes
    ----------
    by
        Score that ranks the tokens.
    """

    by: ClassVar[By]
    tunable = True
    Settings = TokenCount
    main = "count"

    def show(self, draw: Draw) -> Shown:
        """Return tokens drawn from the best of each label, in their rank order."""
        materials = found_in(draw, self)
        return Shown(
            tokens=shared_out(
                draw.labels,
                self.settings.count,
                lambda label, share: pick([token for token, _ in positive_tokens(materials, label, self.by)], share, draw.rng),
            )
        )

    def hint(self, text: str, draw: Draw) -> Shown:
        """Return the label's best tokens that occur in the text, topped up by drawn ones to the number that a prompt shows."""
        materials, own = found_in(draw, self), set(words(text))

        def choose(label: str, share: int) -> list[str]:
            ranked = [token for token, _ in positive_tokens(materials, label, self.by)]
            inside = [token for token in ranked if token in own][:share]
            more = pick([token for token in ranked if token not in own], share - len(inside), draw.rng)
            return [token for token in ranked if token in inside or token in more]

        return Shown(tokens=shared_out(draw.labels, self.settings.count, choose))


class ExemplarGuide(Guide):
    """Shows seed rows of the class.

    Attributes
    ----------
    by
        What they were chosen by.
    """

    by: ClassVar[By]
    Settings = ExemplarCount
    main = "count"

    def show(self, draw: Draw) -> Shown:
        """Return seed rows drawn from the best of each label, in their rank order."""
        materials = found_in(draw, self)
        return Shown(
            exemplars=shared_out(
                draw.labels,
                self.settings.count,
                lambda label, share: pick(list(materials.exemplars(label, self.by)), share, draw.rng),
            )
        )
