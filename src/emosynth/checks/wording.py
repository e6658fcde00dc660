"""Words as checks count them, and texts found again in other texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from emosynth.languages import spaced
from emosynth.text import ngrams, words

GRAM = 4
"""Words in one gram of `overlap`."""

CONTEXTLESS = "contextless"


def content_words(text: str) -> list[str]:
    """Return the lower-case words of a text: tokens that hold a letter or a digit, hashtags without ``#``, a contraction as one word.

    Punctuation, emoji and emoticons are no words: "!!!" and three emoji are emphasis, not three words. Where a script puts no space between
    words, each character counts as one.
    """
    from nltk.tokenize.casual import EMOTICON_RE  # a second, for whoever only looks this check up

    found = (token.lstrip("#") for token in words(text) if EMOTICON_RE.fullmatch(token) is None)
    return [word for token in found for word in spaced(token).split() if any(c.isalnum() for c in word)]


def overlap(tokens: Sequence[str], *known: Collection[tuple[str, ...]]) -> float:
    """Return the share of word 4-grams (of a shorter text: the whole text) found in any of the collections; 0 without words."""
    grams = ngrams(tokens, min(GRAM, len(tokens))) if tokens else []
    return sum(any(gram in some for some in known) for gram in grams) / len(grams) if grams else 0.0


def utterances_of(rows: pd.DataFrame) -> list[str]:
    """Return for each context-less text the utterance that it rewrites, which is the other row of its example; else an empty text."""
    contextual = rows["kind"] == "contextual"
    said = {
        str(name).rpartition("/")[0]: str(text) for name, text in rows.loc[contextual, ["candidate_id", "text"]].itertuples(index=False)
    }
    return [
        said.get(str(name).rpartition("/")[0], "") if kind == CONTEXTLESS else ""
        for name, kind in zip(rows["candidate_id"], rows["kind"], strict=True)
    ]
