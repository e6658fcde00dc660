"""Stories cut into passages of a few sentences."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from emosynth.narratives.read import Story
from emosynth.text import near_duplicates

_ABBREVIATIONS = r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bProf\.)(?<!\bCapt\.)(?<!\bCol\.)(?<!\b[A-Z]\.)"
_CLOSING = "['\"\u201d)\\]_]"
_OPENING = "['\"\u201c(\\[_]"
_AFTER = "|".join(
    [rf"(?<=[.!?…]){_ABBREVIATIONS}", rf"(?<=[.!?…]{_CLOSING})", rf"(?<=[.!?…]{_CLOSING}{_CLOSING})"],
)
_BORDER = re.compile(rf"(?:{_AFTER})\s+(?={_OPENING}*[A-Z0-9])")
_CLAUSE = re.compile(r"(?<=[;:])\s+")
# words that seldom stand inside a sentence with a capital; "I" does
_OPENERS = (
    "A After Again All Although An And Another Any As At Because Before Both But By Can Could Did Do Does During Each Even Every For From Had "
    "Has Have He Her Here His How However If In Indeed Is It Its Just Many Meanwhile Most My Near Never Next No Nobody Nor Not Nothing Now Of Oh "
    "On Once One Only Or Our Out Over Perhaps Presently Several She Should Since So Some Somebody Someone Something Soon Still Such Suddenly "
    "That The Their Then There These They This Those Though Through Thus To Two Under Until Up Upon Was We Well Were What Whatever When Where "
    "Whether Which While Who Why Will With Without Would Yes Yet You Your"
)
_UNPUNCTUATED = re.compile(rf"(?<=[!?])\s+(?={_OPENING}*[A-Z])|(?<=[\w;:,'\")])\s+(?=(?:{'|'.join(_OPENERS.split())})\b)")
_FEW_STOPS = 1 / 100


@dataclass(frozen=True)
class Passage:
    """Some successive sentences of one story; ``index`` is its place among the passages cut from the story."""

    story_id: str
    index: int
    sentences: tuple[str, ...]

    @property
    def passage_id(self) -> str:
        """Story and index; stays the same whatever other passages or stories are dropped."""
        return f"{self.story_id}/{self.index:04d}"

    @property
    def text(self) -> str:
        """The passage on one line."""
        return " ".join(self.sentences)

    @property
    def words(self) -> int:
        """Words, as white space separates them."""
        return sum(_length(sentence) for sentence in self.sentences)


def _length(text: str) -> int:
    return len(text.split())


def is_punctuated(text: str) -> bool:
    """Whether a text has full stops at all: one in a hundred words at least. Some collections were published without."""
    return text.count(".") + text.count("\u2026") >= _FEW_STOPS * _length(text)


def split_sentences(paragraph: str, punctuated: bool = True) -> list[str]:
    """Return the sentences of a normalised paragraph.

    A sentence ends after a full stop, exclamation or question mark (and closing quotes) that white space and a capital
    letter or a digit follow; not after the usual titles and single initials. A question inside a sentence (*'Who is there?' cried
    he*) thus does not end it. Without full stops (``punctuated`` false) it also ends before a capitalised function word,
    which can hardly be a name; other borders are not seen.
    """
    return [part for part in (_BORDER if punctuated else _UNPUNCTUATED).split(paragraph) if part]


def split_story(story: Story, min_words: int, max_words: int) -> list[Passage]:
    """Return the passages of a story: successive sentences without overlap, ``min_words`` to ``max_words`` words each.

    A passage ends at the first end of a paragraph where it is long enough, or before the sentence that would make it too
    long. Sentences longer than ``max_words`` are cut at semicolons and colons. What is too long even so, and what is too
    short to stand alone and cannot be joined to its neighbours, is left out.
    """
    punctuated = is_punctuated(story.text)
    passages: list[Passage] = []
    pending: list[str] = []

    def close() -> None:
        if sum(map(_length, pending)) >= min_words:
            passages.append(Passage(story.story_id, len(passages), tuple(pending)))
            pending.clear()

    for paragraph in story.text.split("\n"):
        for sentence in _pieces(split_sentences(paragraph, punctuated), max_words):
            if sum(map(_length, pending)) + _length(sentence) > max_words:
                close()
            if _length(sentence) > max_words:  # a gap: what follows does not go on from what came before
                pending.clear()
                continue
            # still too long: what came before is too short to be a passage, and is given up from its start
            while pending and sum(map(_length, pending)) + _length(sentence) > max_words:
                pending.pop(0)
            pending.append(sentence)
        close()
    return passages


def _pieces(sentences: Sequence[str], max_words: int) -> Iterator[str]:
    for sentence in sentences:
        yield from [sentence] if _length(sentence) <= max_words else _CLAUSE.split(sentence)


def distinct(passages: Sequence[Passage], threshold: float) -> list[Passage]:
    """Return the passages without those that are near-duplicates (:func:`emosynth.text.near_duplicates`) of an earlier one."""
    repeated = {match.index for match in near_duplicates([passage.text for passage in passages], threshold)}
    return [passage for place, passage in enumerate(passages) if place not in repeated]


def choose(passages: Sequence[Passage], count: int | None, seed: int) -> list[Passage]:
    """Return ``count`` passages spread evenly over the stories, in their given order; None: all.

    Stories give one passage each in turn until there are enough. The order of stories and of the passages within a story is
    random, by ``seed`` and story id alone, so that one story's length does not change another's order.
    """
    if count is None or count >= len(passages):
        return list(passages)
    by_story: dict[str, list[int]] = {}
    for place, passage in enumerate(passages):
        by_story.setdefault(passage.story_id, []).append(place)
    turns = []
    for story_id, places in by_story.items():
        rng = np.random.default_rng([seed, zlib.crc32(story_id.encode())])
        rank = float(rng.random())
        turns += [(turn, rank, places[int(which)]) for turn, which in enumerate(rng.permutation(len(places)))]
    return [passages[place] for place in sorted(place for _, _, place in sorted(turns)[:count])]
