"""Tense and aspect from part-of-speech tags.

Each finite verb group gives one tense: past, present or future, each simple, perfect, progressive or both.
Right for corpora rather than for single texts, since the tagger errs on one token in five of a tweet but the errors
largely cancel in the mix. Untensed verbs (imperatives, infinitives) and modals other than *will* and *shall* are counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from emosynth.authenticity.tokens import word_set

_FUTURE = word_set("will 'll wo shall sha")
_BE = word_set("am is are was were be been 'm 're 's")
_HAVE = word_set("have has had 've 's 'd")
_SKIPPED = word_set("RB PRP UH")
_REACH = 3
"""Adverbs, negations and (in questions) pronouns that may stand between an auxiliary and its verb."""


@dataclass(frozen=True)
class TenseCounts:
    """Finite verb groups of one text.

    Attributes
    ----------
    past, present, future
        Verb groups by tense, any aspect.
    modal
        Groups with another modal, which has no tense of its own here.
    forms
        The different tense and aspect forms found, such as ``present perfect``, sorted.
    """

    past: int = 0
    present: int = 0
    future: int = 0
    modal: int = 0
    forms: tuple[str, ...] = ()

    @property
    def tensed(self) -> int:
        """Verb groups with a tense."""
        return self.past + self.present + self.future


def count_tenses(tagged: Sequence[tuple[str, str]]) -> TenseCounts:
    """Count tenses in one text.

    Parameters
    ----------
    tagged
        (token, Penn Treebank tag) of tokens cut for tagging (:func:`emosynth.authenticity.tokens.for_tagging`).
    """
    found: Counter[str] = Counter()
    forms: set[str] = set()
    modal = 0
    for position, (token, tag) in enumerate(tagged):
        word = token.lower()
        if tag == "MD":
            if word not in _FUTURE:
                modal += 1
                continue
            following = _next(tagged, position)
            tense, aspect = "future", "simple"
            if following is not None and tagged[following][0].lower() in ("have", "be"):
                aspect = _aspect(tagged, following, tagged[following][0].lower())
        elif tag == "VBD":
            tense, aspect = "past", _aspect(tagged, position, word)
        elif tag in ("VBZ", "VBP"):
            tense, aspect = "present", _aspect(tagged, position, word)
            if aspect == "progressive" and _going_to(tagged, position):
                tense, aspect = "future", "simple"
        else:
            continue
        found[tense] += 1
        forms.add(f"{tense} {aspect}")
    return TenseCounts(found["past"], found["present"], found["future"], modal, tuple(sorted(forms)))


def _next(tagged: Sequence[tuple[str, str]], position: int) -> int | None:
    """Return the position of the next token that is no adverb, negation or pronoun, if near."""
    for later in range(position + 1, min(position + 2 + _REACH, len(tagged))):
        if tagged[later][1] not in _SKIPPED:
            return later
    return None


def _aspect(tagged: Sequence[tuple[str, str]], position: int, word: str) -> str:
    following = _next(tagged, position)
    if following is None:
        return "simple"
    verb, tag = tagged[following]
    if word in _HAVE and tag in ("VBN", "VBD") and (word != "'s" or verb.lower() in ("been", "got", "had", "gone", "become")):
        later = _next(tagged, following)
        if verb.lower() == "been" and later is not None and tagged[later][1] == "VBG":
            return "perfect progressive"
        return "perfect"
    if word in _BE and tag == "VBG":
        return "progressive"
    return "simple"


def _going_to(tagged: Sequence[tuple[str, str]], position: int) -> bool:
    """Whether the auxiliary at ``position`` opens *be going to* with a verb after it."""
    going = _next(tagged, position)
    if going is None or tagged[going][0].lower() != "going" or going + 2 >= len(tagged):
        return False
    return tagged[going + 1][0].lower() == "to" and tagged[going + 2][1] == "VB"
