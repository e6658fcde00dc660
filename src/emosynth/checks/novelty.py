"""Texts that say what was said before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from pydantic import Field

from emosynth.checks.base import BoolArray, Check, Judged
from emosynth.checks.wording import content_words
from emosynth.design.space import FloatArray
from emosynth.pieces import Settings


class NoveltySettings(Settings):
    """How much must be new."""

    share: float = Field(0.2, gt=0, le=1, description="share of a text's word 2-grams that texts accepted before it must not hold")


class NoveltyCheck(Check):
    """Enough of the text's word 2-grams are new to its cell.

    New is what no candidate of its kind *accepted before it*, in order of index, holds: passed by all checks made earlier and by this one.
    Texts that are thrown away take nothing from others, and later candidates change no earlier verdict. A text of fewer than two words
    is new. The score is the share that no earlier candidate holds, accepted or not: what is new at least.

    The more has been accepted, the fewer 2-grams are left to be new: the same bound is harder to pass in a larger cell. Compare
    acceptance at equal numbers of candidates only.
    """

    name = "novelty"
    label = "novelty"
    reason = "says what was said before"
    citation = (
        "@inproceedings{li2016diversity, author={Li, Jiwei and Galley, Michel and Brockett, Chris and Gao, Jianfeng and Dolan, Bill}, "
        "title={A Diversity-Promoting Objective Function for Neural Conversation Models}, booktitle={NAACL}, year={2016}}"
    )
    Settings = NoveltySettings
    main = "share"
    scope = "set"
    order = 95
    thresholds = frozenset({"share"})

    def score(self, rows: Judged) -> FloatArray:
        """Return shares of 2-grams that no earlier candidate holds."""
        scores = np.ones(len(rows.rows))
        kinds = rows.rows["kind"].to_numpy()
        for kind in dict.fromkeys(kinds):
            places = np.flatnonzero(kinds == kind)
            scores[places] = new_shares([rows.texts[place] for place in places], np.ones(len(places), dtype=bool), 0.0)
        return scores

    def accept(self, scores: FloatArray, texts: Sequence[str], passed: BoolArray) -> BoolArray:
        """Return which texts hold enough that accepted ones before them do not."""
        return np.asarray(new_shares(texts, passed, self.settings.share) >= self.settings.share, dtype=np.bool_)


def new_shares(texts: Sequence[str], passed: BoolArray, least: float) -> FloatArray:
    """Return the share of each text's word 2-grams that no earlier text holds which ``passed`` and had a share of ``least`` itself."""
    shares = np.ones(len(texts))
    number: dict[str, int] = {}  # a number a word, and of two words one: their tuples would be ten times as large
    known: set[int] = set()
    for place, text in enumerate(texts):
        words = [number.setdefault(word, len(number)) for word in content_words(text)]
        grams = [first << 32 | second for first, second in pairwise(words)]
        if grams:
            shares[place] = sum(gram not in known for gram in grams) / len(grams)
        if shares[place] >= least and passed[place]:
            known.update(grams)
    return shares
