"""The checks themselves. Each sees one cell (arm, seed) and returns, per candidate, a verdict and a score."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd

from emosynth.errors import UserError
from emosynth.params import Verification
from emosynth.progress import say
from emosynth.text import near_duplicates, ngrams, words

Verdict = tuple[np.ndarray, np.ndarray]
"""Boolean verdicts and float scores (NaN: no score), one each per candidate."""


class Classifier(Protocol):
    """A classifier fitted on the seed alone."""

    @property
    def classes(self) -> list[str]:
        """The k classes."""
        ...

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return probabilities, shape (texts, classes)."""
        ...


class Reference(Protocol):
    """A reference language model (`emosynth.models.lm.perplexity.ReferenceModel`)."""

    def score(self, texts: Sequence[str], progress: Callable[[str], None] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean negative log-likelihoods in nats per token and numbers of tokens, shape (texts,) both."""
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
        Fitted on this seed; for `check_confidence` its probabilities should be calibrated.
    params
        Thresholds; optional checks are on where they have one, see `enabled`.
    reference
        Language model that `check_perplexity` asks.
    passed
        Boolean, per candidate: whether it passed the checks made so far. None: all did.
    """

    candidates: pd.DataFrame
    seed_texts: Sequence[str]
    noun: str
    classifier: Classifier
    params: Verification
    reference: Reference | None = None
    passed: np.ndarray | None = None

    @cached_property
    def texts(self) -> list[str]:
        """Candidate texts."""
        return self.candidates["text"].tolist()

    @cached_property
    def order(self) -> np.ndarray:
        """Positions in order of index, not of class: otherwise the class that comes first would win every tie."""
        return np.argsort(self.candidates["index"].to_numpy(), kind="stable")

    @cached_property
    def intended(self) -> tuple[np.ndarray, np.ndarray]:
        """Per candidate, whether the classifier predicts the intended label, and that label's probability."""
        if not len(self.candidates):
            return np.ones(0, dtype=bool), np.zeros(0)
        classes = list(self.classifier.classes)
        probabilities = self.classifier.predict_proba(self.texts)
        labels = np.array([classes.index(label) for label in self.candidates["label"]])
        return probabilities.argmax(axis=1) == labels, probabilities[np.arange(len(labels)), labels]


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


# Typographic quotes, dashes and dots are punctuation of English, not a foreign script.
_PLAIN = re.compile(r"[\x00-\x7f‘’“”‐‑‒–—…]")


def check_charset(cell: Cell) -> Verdict:
    """Enough of the characters are ASCII (or typographic quotes, dashes, dots): ``min_ascii``; the score is their share.

    Keeps out other scripts and mojibake; with a low bound it lets emoji through. An empty text scores 1.
    """
    assert cell.params.min_ascii is not None
    scores = np.array([len(_PLAIN.findall(text)) / len(text) if text else 1.0 for text in cell.texts])
    return scores >= cell.params.min_ascii, scores


def _content_words(text: str) -> list[str]:
    """Return the words that hold a letter or a digit: "!!!" and a row of equal emoji are emphasis, not repetition."""
    return [word for word in words(text) if any(c.isalnum() for c in word)]


_SAME_WORDS = 4
_SAME_CHARACTERS = re.compile(r"(\S)\1{7}")


def check_repetition(cell: Cell) -> Verdict:
    """The text does not go round in circles: at most ``max_repetition`` of its word 2-grams repeat earlier ones in it.

    The score is that share; punctuation and emoji are no words here. A word 4 or more times in a row and a character 8 or more times
    in a row fail too, whatever the share.
    """
    assert cell.params.max_repetition is not None
    scores, ok = np.zeros(len(cell.texts)), np.ones(len(cell.texts), dtype=bool)
    for row, text in enumerate(cell.texts):
        found = _content_words(text)
        grams = ngrams(found, 2)
        scores[row] = 1 - len(set(grams)) / len(grams) if grams else 0.0
        same = any(len(set(run)) == 1 for run in ngrams(found, _SAME_WORDS)) or _SAME_CHARACTERS.search(text) is not None
        ok[row] = scores[row] <= cell.params.max_repetition and not same
    return ok, scores


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


def _overlap(tokens: list[str], *known: set[tuple[str, ...]]) -> float:
    """Return the share of word 4-grams (of shorter texts: the whole text) found in any of ``known``."""
    grams = ngrams(tokens, min(4, len(tokens))) if tokens else []
    return sum(any(gram in some for some in known) for gram in grams) / len(grams) if grams else 0.0


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
        [_overlap(words(text), known, prompt_grams[prompt]) for text, prompt in zip(cell.texts, cell.candidates["prompt"], strict=True)]
    )
    return scores < cell.params.copy_overlap, scores


def check_distinct(cell: Cell) -> Verdict:
    """The text is not a (near-)duplicate of an earlier candidate of the cell; the score is the similarity."""
    order = cell.order
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
    return cell.intended


def check_confidence(cell: Cell) -> Verdict:
    """The agreement classifier gives the intended label enough probability: τ, ``min_confidence``; the score is that probability."""
    _, scores = cell.intended
    return scores >= cell.params.min_confidence, scores


_PER_BIN = 30
"""Seed texts from which quantiles of perplexity are taken, at least (if the seed has as many)."""


def perplexity_bounds(nll: np.ndarray, tokens: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return bounds on perplexity by number of tokens, from real texts; short texts are less predictable per token.

    Parameters
    ----------
    nll, tokens
        Mean negative log-likelihood (nats per token) and number of tokens of each real text, shape (n,).
    low, high
        Quantiles.

    Returns
    -------
    edges
        Largest number of tokens of each bin, ascending; the last is infinite. A bin holds 30 texts or more, unless all do not.
    lowest, highest
        Quantiles of perplexity in each bin.

    Notes
    -----
    Quantiles so far out are close to the least and the largest of a bin, so in a small bin more than 1 - (high - low) of real texts
    would fail: of 30, about 5 %.
    """
    edges: list[float] = []
    members: list[np.ndarray] = []
    pending: list[np.ndarray] = []
    for count in np.unique(tokens):
        pending.append(np.flatnonzero(tokens == count))
        if sum(map(len, pending)) >= _PER_BIN:
            edges.append(float(count))
            members.append(np.concatenate(pending))
            pending = []
    if pending and members:
        members[-1] = np.concatenate([members[-1], *pending])
    elif pending:
        edges, members = [np.inf], [np.concatenate(pending)]
    edges[-1] = np.inf
    quantiles = np.array([np.quantile(np.exp(nll[rows]), [low, high]) for rows in members])
    return np.array(edges), quantiles[:, 0], quantiles[:, 1]


def check_perplexity(cell: Cell) -> Verdict:
    """A reference language model finds the text neither too predictable nor too unlikely; the score is its perplexity per token.

    Bounds are fixed (``bound: absolute``) or quantiles of the seed texts of like length (``bound: quantile``, `perplexity_bounds`).

    This is the one dear check: texts that an earlier check has rejected are not scored (score NaN, verdict passed), those that
    failed ``confidence`` alone are, so that acceptance is known at every τ.
    """
    bounds = cell.params.perplexity
    assert bounds is not None
    if cell.reference is None:
        raise ValueError("verification.perplexity is set, but no reference model was handed in")
    asked = np.arange(len(cell.candidates)) if cell.passed is None else np.flatnonzero(cell.passed)
    nll, tokens = cell.reference.score([cell.texts[position] for position in asked], say)
    ok, scores = np.ones(len(cell.candidates), dtype=bool), np.full(len(cell.candidates), np.nan)
    found = scores[asked] = np.exp(nll)
    if bounds.bound == "absolute":
        ok[asked] = (found >= bounds.low) & (found <= bounds.high)
        return ok, scores
    if not len(cell.seed_texts):
        raise UserError(
            "Quantiles of perplexity need seed texts, and this seed has none.",
            where="verification.perplexity.bound",
            remedy="Set bound: absolute with perplexities as low and high.",
        )
    edges, lowest, highest = perplexity_bounds(*cell.reference.score(cell.seed_texts), bounds.low, bounds.high)
    bins = np.searchsorted(edges, tokens)
    ok[asked] = (found >= lowest[bins]) & (found <= highest[bins])
    return ok, scores


def check_novelty(cell: Cell) -> Verdict:
    """Enough of the text's word 2-grams are new to its cell: ``min_novelty``; the score is the share.

    New is what no candidate *accepted before it*, in order of index, holds: passed by all checks made earlier and by this one. Texts
    that are thrown away take nothing from others, and later candidates change no earlier verdict. A text of fewer than two words
    scores 1 (punctuation and emoji are no words here).

    The more has been accepted, the fewer 2-grams are left to be new: the same bound is harder to pass in a larger cell, and
    acceptance falls along a cell. Compare acceptance at equal numbers of candidates only.
    """
    assert cell.params.min_novelty is not None
    texts, scores = cell.texts, np.ones(len(cell.texts))
    known: set[tuple[str, ...]] = set()
    for position in cell.order:
        grams = ngrams(_content_words(texts[position]), 2)
        if grams:
            scores[position] = sum(gram not in known for gram in grams) / len(grams)
        if scores[position] >= cell.params.min_novelty and (cell.passed is None or cell.passed[position]):
            known.update(grams)
    return scores >= cell.params.min_novelty, scores


CHECKS: dict[str, Callable[[Cell], Verdict]] = {
    "nonempty": check_nonempty,
    "length": check_length,
    "complete": check_complete,
    "charset": check_charset,
    "repetition": check_repetition,
    "meta": check_meta,
    "original": check_original,
    "distinct": check_distinct,
    "agreement": check_agreement,
    "confidence": check_confidence,
    "perplexity": check_perplexity,
    "novelty": check_novelty,
}
"""All checks by name, in the order in which the first failure becomes the reason; those made are `enabled`.

``novelty`` stays last, since it looks at what the others have passed.
"""

KEYS = {
    "length": "min_words and max_words",
    "complete": "complete",
    "charset": "min_ascii",
    "repetition": "max_repetition",
    "original": "copy_overlap",
    "distinct": "near_duplicate",
    "agreement": "agreement",
    "confidence": "min_confidence",
    "perplexity": "perplexity",
    "novelty": "min_novelty",
}
"""The parameter that governs a check, for checks that have one."""


def enabled(params: Verification) -> list[str]:
    """Return the names of the checks that are made with these parameters, in the order of `CHECKS`."""
    optional = {
        "charset": params.min_ascii is not None,
        "repetition": params.max_repetition is not None,
        "confidence": params.min_confidence > 0,
        "perplexity": params.perplexity is not None,
        "novelty": params.min_novelty is not None,
    }
    return [name for name in CHECKS if optional.get(name, True)]


class Verdicts:
    """The verdicts on one cell, check by check: cells can be taken together before a check that is cheaper for all of them at once."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self._frame = cell.candidates.copy()
        self._reason = np.full(len(self._frame), "", dtype=object)
        self._sound = np.ones(len(self._frame), dtype=bool)  # whatever τ is

    @property
    def sound(self) -> list[str]:
        """Texts that have passed all checks made so far, `check_confidence` aside."""
        return self._frame.loc[self._sound, "text"].tolist()

    def make(self, names: Sequence[str]) -> Verdicts:
        """Make the named checks, in this order."""
        for name in names:
            passed = {"novelty": self._reason == "", "perplexity": self._sound}.get(name)
            ok, score = CHECKS[name](self.cell if passed is None else replace(self.cell, passed=passed))
            if name != "confidence":
                self._sound = self._sound & ok
            self._frame[f"ok_{name}"], self._frame[f"score_{name}"] = ok, score
            self._reason[(self._reason == "") & ~ok] = name
        return self

    def table(self) -> pd.DataFrame:
        """Return the candidates with ``ok_*`` and ``score_*`` columns of the checks made, ``accepted`` and ``reason``."""
        return self._frame.assign(accepted=self._reason == "", reason=self._reason.astype(str))


def verify_cell(cell: Cell) -> pd.DataFrame:
    """Return the cell's candidates with ``ok_*`` and ``score_*`` columns of enabled checks, ``accepted`` and ``reason``."""
    return Verdicts(cell).make(enabled(cell.params)).table()
