"""A guard: no corpus text on the pages."""

from __future__ import annotations

import re
from collections.abc import Iterable

from emosynth.languages import spaced
from emosynth.text import normalise

SHORTEST = 6
"""Texts of fewer words are not looked for: "i am so happy" is nobody's."""

_WORD = re.compile(r"[^\W_]+")


def bare_words(text: str) -> tuple[str, ...]:
    """Return letters and digits only: quoting, escaping and punctuation of a file's format must not hide a text.

    Of scripts without spaces each character counts as a word.
    """
    return tuple(_WORD.findall(spaced(normalise(text).lower())))


class Texts:
    """Corpus texts, ready to be looked for; those of fewer than ``SHORTEST`` words are left out."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._runs = {run for text in texts for run in _runs(text)}

    def shares_run(self, content: str) -> bool:
        """Whether ``content`` shares any run of ``SHORTEST`` words with a corpus text."""
        return not self._runs.isdisjoint(_runs(content))


def _runs(text: str) -> list[tuple[str, ...]]:
    found = bare_words(text)
    return [found[at : at + SHORTEST] for at in range(len(found) - SHORTEST + 1)]
