"""The checks themselves. Each sees one cell (arm, seed) and returns, per candidate, a verdict and a score."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from emosynth.params import Verification
from emosynth.text import near_duplicates, ngrams, words

Verdict = tuple[np.ndarray, np.ndarray]
"""Boolean verdicts and float scores (NaN: no score), one each per candidate."""


class Classifier(Protocol):
    """A classifier fitted on the seed alone."""

    classes: list[str]

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return probabilities, shape (texts, classes)."""
        ...


@dataclass(frozen=True)
class Cell:
    """What the checks of one cell may look at.

    Attributes
    ----------
    candidates
        Rows of the candidates table, in order of label and index.
    seed_texts
        Texts of the seed.
    noun
        What one text is called.
    classifier
        Fitted on this seed.
    params
        Thresholds.
    """

    candidates: pd.DataFrame
    seed_texts: Sequence[str]
    noun: str
    classifier: Classifier
    params: Verification

    @property
    def texts(self) -> list[str]:
        """Candidate texts."""
        return self.candidates["text"].tolist()


def _unscored(ok: Sequence[bool]) -> Verdict:
    return np.asarray(ok, dtype=bool), np.full(len(ok), np.nan)


def check_nonempty(cell: Cell) -> Verdict:
    """The text holds at least one letter or emoji-like symbol."""
    return _unscored([any(not c.isspace() and (c.isalpha() or ord(c) > 0x2190) for c in text) for text in cell.texts])


def check_length(cell: Cell) -> Verdict:
    """The number of words lies within ``min_words`` and ``max_words``; the score is that number."""
    counts = np.array([len(words(text)) for text in cell.texts], dtype=float)
    return (counts >= cell.params.min_words) & (counts <= cell.params.max_words), counts


def check_complete(cell: Cell) -> Verdict:
    """The model ended the text itself; texts cut off at the token limit fail (if ``complete`` is set)."""
    complete = cell.candidates["complete"].to_numpy(dtype=bool)
    return _unscored(list(complete | (not cell.params.complete)))


_META = [
    r"\bas an? (?:ai|artificial|language model)\b",
    r"\bi(?:'m| am) (?:an? )?(?:ai|language model|chatbot|assistant)\b",
    r"^(?:sure|certainly|of course|okay|here(?:'s| is| are))\b.{0,60}\b(?:tweet|post|review|message|comment|example|sentence|version)s?\b",
    r"\b(?:this|the) (?:tweet|post|review|message|comment|sentence|text|phrase)s? (?:is|are|has|have|uses?|expresse?s?|conveys?|shows?|captures?)\b",
    r"\b(?:tweet|post|review|message|comment|sentence)s? (?:that|which) (?:expresse?s?|conveys?|shows?)\b",
    r"\b(?:use|using|add|adding) (?:phrases|words|hashtags|emojis)\b",
    r"\[(?:your|name|company|insert|app|user|link|event|product|city|team)\b[^\]]*\]",
    r"\b(?:nova haven|xyz corp\w*|company name|app_name)\b",
    r"\b(?:user|assistant|system|prompt|response|instruction)s?\s*:",
    r"<\|.*?\|>",
    r"\*\*[^*]+\*\*",
    r"^\s*(?:example|tweet|review|note|answer|option)\s*\d*\s*[:.]",
]
_META_PATTERN = re.compile("|".join(f"(?:{pattern})" for pattern in _META), re.IGNORECASE)


def check_meta(cell: Cell) -> Verdict:
    """The text is an utterance, not talk about the task: no assistant phrases, placeholders or markup."""
    return _unscored([_META_PATTERN.search(text.replace("’", "'")) is None for text in cell.texts])


def _overlap(tokens: list[str], known: set[tuple[str, ...]]) -> float:
    """Return the share of word 4-grams (of shorter texts: the whole text) found among ``known``."""
    grams = ngrams(tokens, min(4, len(tokens))) if tokens else []
    return sum(gram in known for gram in grams) / len(grams) if grams else 0.0


def check_original(cell: Cell) -> Verdict:
    """The text is not copied from its prompt or from the seed.

    The score is the share of word 4-grams that occur in the seed or in the prompt's own words.
    """
    seed_tokens = [words(text) for text in cell.seed_texts]
    known: set[tuple[str, ...]] = set()
    for tokens in seed_tokens:
        for n in range(1, 5):
            # Shorter n-grams count only as whole texts: "so happy" is nobody's.
            known.update(ngrams(tokens, n) if n == 4 else ([tuple(tokens)] if len(tokens) == n else []))
    prompt_grams = {prompt: set(ngrams(words(prompt), 4)) for prompt in cell.candidates["prompt"].unique()}
    scores = np.array(
        [
            _overlap(words(text), known | prompt_grams[prompt] if prompt_grams[prompt] else known)
            for text, prompt in zip(cell.texts, cell.candidates["prompt"], strict=True)
        ]
    )
    return scores < cell.params.copy_overlap, scores


def check_distinct(cell: Cell) -> Verdict:
    """The text is not a (near-)duplicate of an earlier candidate of the cell; the score is the similarity."""
    # In order of index, not of class: otherwise the class that comes first would win every tie.
    order = np.argsort(cell.candidates["index"].to_numpy(), kind="stable")
    texts = [cell.texts[position] for position in order]
    ok = np.ones(len(texts), dtype=bool)
    scores = np.zeros(len(texts))
    for match in near_duplicates(texts, cell.params.near_duplicate):
        _first, later = sorted((match.index, match.other))
        ok[later] = False
        scores[later] = max(scores[later], match.similarity)
    back = np.argsort(order)
    return ok[back], scores[back]


def check_agreement(cell: Cell) -> Verdict:
    """A classifier fitted on the seed alone predicts the intended label; the score is its probability."""
    if not len(cell.candidates):
        return np.ones(0, dtype=bool), np.zeros(0)
    classes = list(cell.classifier.classes)
    probabilities = cell.classifier.predict_proba(cell.texts)
    intended = np.array([classes.index(label) for label in cell.candidates["label"]])
    scores = probabilities[np.arange(len(intended)), intended]
    return (probabilities.argmax(axis=1) == intended) & (scores >= cell.params.min_confidence), scores


CHECKS: dict[str, Callable[[Cell], Verdict]] = {
    "nonempty": check_nonempty,
    "length": check_length,
    "complete": check_complete,
    "meta": check_meta,
    "original": check_original,
    "distinct": check_distinct,
    "agreement": check_agreement,
}
"""Checks by name, in the order in which the first failure becomes the reason."""


def verify_cell(cell: Cell) -> pd.DataFrame:
    """Return the cell's candidates with ``ok_*`` and ``score_*`` columns, ``accepted`` and ``reason``."""
    frame = cell.candidates.copy()
    reason = np.full(len(frame), "", dtype=object)
    for name, check in CHECKS.items():
        ok, score = check(cell)
        frame[f"ok_{name}"], frame[f"score_{name}"] = ok, score
        reason[(reason == "") & ~ok] = name
    frame["accepted"] = reason == ""
    frame["reason"] = reason.astype(str)
    return frame
