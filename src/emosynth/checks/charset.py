"""Characters of other scripts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import numpy as np
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.design.space import FloatArray
from emosynth.pieces import Settings

# Typographic quotes, dashes and dots are punctuation of English, not a foreign script.
_PLAIN = re.compile(r"[\x00-\x7f‘’“”‐‑‒–—…]")
_OWN = 0.05
"""Share of the seed's letters from which a script is the corpus's own; accents of Western European languages stay below."""


class CharsetSettings(Settings):
    """How much must be plain."""

    share: float = Field(
        0.9,
        gt=0,
        le=1,
        description="share of characters that must be ASCII or of the seed's own script, at least; a low one lets emoji through",
    )


class CharsetCheck(Check):
    """Enough characters are ASCII (or typographic quotes, dashes, dots): keeps out other scripts and mojibake. The score is their share.

    Where the seed is written in another script, letters of that script and punctuation are plain too.
    """

    name = "charset"
    label = "characters"
    reason = "has foreign or broken characters"
    Settings = CharsetSettings
    main = "share"
    order = 30
    thresholds = frozenset({"share"})

    def score(self, rows: Judged) -> FloatArray:
        """Return shares of plain characters; 1 for an empty text."""
        own = own_scripts(rows.seed_texts)
        return np.array([_plain(text, own) / len(text) if text else 1.0 for text in rows.texts], dtype=float)

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which shares are large enough."""
        return np.isnan(scores) | (scores >= self.settings.share)


def own_scripts(texts: Iterable[str]) -> frozenset[str]:
    """Return the scripts beyond ASCII, by the first word of their characters' names, that hold a share of the texts' letters (`_OWN`)."""
    letters = [character for text in texts for character in text if character.isalpha()]
    found = Counter(map(_script, (character for character in letters if not character.isascii())))
    return frozenset(script for script, count in found.items() if script and count >= _OWN * len(letters))


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def _plain(text: str, own: frozenset[str]) -> int:
    count = len(_PLAIN.findall(text))
    if not own or count == len(text):
        return count
    rest = _PLAIN.sub("", text)
    return count + sum(
        _script(character) in own if character.isalpha() else unicodedata.category(character)[0] in "PM" for character in rest
    )
