"""The gate after generation: what cannot be used is told from what is merely bad, and a run that writes nothing else stops."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from emosynth.errors import UserError

Kind = Literal["", "empty", "cut", "refused"]
"""Why a text cannot be used; empty: it can."""

FINAL, EARLY = 1.96, 4.0
"""Standard errors by which a share must be beyond its bound: when all texts are there, and while they arrive and are looked at often."""

_REMEDIES: Mapping[str, str] = {
    "empty": "If the model thinks before it answers, raise generation.decoding.max_new_tokens or switch its thoughts off "
    "(models.writer.extra); if it is an instruction model, set generation.style: chat.",
    "cut": "Raise generation.decoding.max_new_tokens; for an instruction model set generation.style: chat.",
    "refused": "Mend what the answer says; for prompts that are not accepted, change the guides or the model.",
}


def kind_of(text: str, finish: str, whole: bool) -> Kind:
    """Return why a text cannot be used.

    Parameters
    ----------
    text
        The text proper; one without a letter, digit or symbol is empty.
    whole
        Whether its end was reached before the limit of tokens, by its own mark.
    """
    if finish in ("refused", "failed"):
        return "refused"
    if not any(not sign.isspace() and (sign.isalnum() or ord(sign) > 0x2190) for sign in text):
        return "empty"
    return "cut" if finish == "length" and not whole else ""


@dataclass
class Gate:
    """Counts the texts of one origin and writer that cannot be used.

    Parameters
    ----------
    what
        What is written, for messages.
    bounds
        Share that may be empty or refused, and share that may be cut. One is exceeded when the lower Wilson limit of the share is above it
        (Wilson 1927): three texts are no evidence, and a share near the bound is none.
    """

    what: str
    bounds: tuple[float, float]
    total: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    samples: dict[str, str] = field(default_factory=dict)

    def add(self, kind: Kind, value: Mapping[str, Any]) -> None:
        """Count one answer: ``text`` as the model gave it, and ``error``."""
        self.total += 1
        if kind:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            text = str(value["text"])
            self.samples.setdefault(kind, str(value.get("error") or repr(text if len(text) <= 80 else text[:79] + "…")))

    def _shares(self) -> list[tuple[int, float]]:
        cut = self.counts.get("cut", 0)
        return [(sum(self.counts.values()) - cut, self.bounds[0]), (cut, self.bounds[1])]

    @property
    def sound(self) -> bool:
        """Whether what is there is within the bounds, and some of it can be used."""
        return sum(self.counts.values()) < self.total and all(count <= bound * self.total for count, bound in self._shares())

    def check(self, sure: float = FINAL) -> None:
        """Stop the run if a share is beyond its bound.

        Raises
        ------
        UserError
            Saying what the model answered, why that is of no use, and what to set.
        """
        if not any(count and _lower(count, self.total, sure) > bound for count, bound in self._shares()):
            return
        most = max(self.counts, key=lambda kind: self.counts[kind])
        said = "; ".join(f"{count} {kind} (the first: {self.samples[kind]})" for kind, count in self.counts.items())
        raise UserError(
            f"{sum(self.counts.values())} of {self.total} texts cannot be used: {said}.",
            where=self.what,
            remedy=f"{_REMEDIES[most]} The bounds are generation.unusable ({self.bounds[0]:g}) and generation.cut ({self.bounds[1]:g}).",
        )


def _lower(count: int, total: int, z: float) -> float:
    share, own = count / total, z * z / total
    return (share + own / 2 - z * math.sqrt(share * (1 - share) / total + own / (4 * total))) / (1 + own)
