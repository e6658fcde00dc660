"""Labels as words: simplified spelling and inflections."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emosynth import text

_NOT_WORD = re.compile(r"[^\w']|_|(?<!\w)'|'(?!\w)")
_ARTICLES = frozenset({"a", "an", "the"})


def simplify(raw: str) -> str:
    """Return a label in lower case, without punctuation and articles, words parted by one space.

    Raises
    ------
    UserError
        If it is not a string.
    """
    bare = _NOT_WORD.sub(" ", text.normalise(raw).lower())
    return " ".join(word for word in bare.split() if word not in _ARTICLES)


def bases(word: str) -> Iterator[str]:
    """Yield a word (or words) and what it may be an inflection of; made-up forms among them do no harm, since they match nothing."""
    yield word
    for suffix, shortest in (("ness", 3), ("ly", 3), ("s", 3), ("es", 4), ("ed", 4), ("ing", 4)):
        if not word.endswith(suffix) or (suffix == "s" and word.endswith(("ss", "us"))):
            continue
        stem = word.removesuffix(suffix)
        forms = [stem]
        if stem.endswith("i"):
            forms.append(stem[:-1] + "y")
        if suffix in ("ed", "ing"):
            forms.append(stem + "e")
            if len(stem) > 2 and stem[-1] == stem[-2]:
                forms.append(stem[:-1])
        yield from (form for form in forms if len(form) >= shortest)
