"""Obscene and slurring words of a published list: what a list can see of toxicity. Counted; no word leaves this module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from emosynth.languages import spaced
from emosynth.responsible.identity import Groups, words_pattern

ENTRY = "ldnoobw"
"""The lists in the catalogue, a file a language."""
KINDS = ("listed", "listed beside an identity term")


def listed_words(folder: Path, languages: Iterable[str], but: Iterable[str] = ()) -> re.Pattern[str] | None:
    """Return what finds the listed words of some languages; None: there is no list of any.

    Parameters
    ----------
    folder
        ``ldnoobw-<language>.txt``: a word or phrase a line; lines that start with # are comments.
    but
        Words that are left out, as those that only name a group of people.
    """
    codes = dict.fromkeys(re.split("[-_]", language)[0].lower() for language in languages)
    files = [file for code in codes if (file := folder / f"ldnoobw-{code}.txt").is_file()]
    lines = [line.strip().lower() for file in files for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    words = sorted({_plain(line) for line in lines if line} - {word.lower() for word in but})
    return words_pattern(words) if words else None


def _plain(text: str) -> str:
    """Return a text in lower case, its words apart by one space each; of scripts without spaces, its characters."""
    return " ".join(spaced(text.lower()).split())


def toxic_kinds(texts: Sequence[str], listed: re.Pattern[str], groups: Groups | None) -> dict[str, list[bool]]:
    """Return for each of `KINDS` which texts are of it; the second is missing where no groups can be named."""
    found = [listed.search(_plain(text)) is not None for text in texts]
    if groups is None:
        return {KINDS[0]: found}
    named = groups.in_texts(texts)
    return {KINDS[0]: found, KINDS[1]: [hit and any(flags) for hit, flags in zip(found, zip(*named.values(), strict=True), strict=True)]}
