"""Text as every step sees it: normalised, cut into words, compared.

All steps go through these functions, so that "the same word" and "the same text" mean one thing
from the corpora to the report.
"""

from __future__ import annotations

import functools
import hashlib
import html
import re
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emosynth.errors import UserError

if TYPE_CHECKING:  # both bring scikit-learn and SciPy along, and a command may never call them
    from datasketch import MinHash
    from nltk.tokenize import TweetTokenizer

GRAM = 3
"""Words in one gram of :func:`near_duplicates`."""

_PERMUTATIONS = 64
_MISS = 1e-3
"""Probability, at most, that a pair just at the threshold shares no band of the index."""

_RUN = 200
_PIECE = 2000

_DROPPED = re.compile("[\ufe0f\ud800-\udfff]")
_NESTED = re.compile(r"&(?:(?:amp|AMP);?|#0*38;|#[xX]0*26;)+")
_APOSTROPHES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\uff07": "'"})


@dataclass(frozen=True, order=True)
class Match:
    """Two texts that share word 3-grams.

    Attributes
    ----------
    index
        Position in the texts asked about.
    other
        Position of the earlier text in the same list, or of the text in ``against``.
    similarity
        Jaccard similarity of their sets of word 3-grams, in (0, 1].
    """

    index: int
    other: int
    similarity: float


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UserError(
            f"A text must be a string, not {type(value).__name__}.",
            where=repr(value)[:80],
            remedy="Drop or fill the rows without text before this step.",
        )
    return value


def normalise(text: str) -> str:
    """Return ``text`` with differences of encoding removed, differences of wording kept.

    HTML entities are unescaped (twice or deeper, since collected tweets are often escaped twice),
    typographic apostrophes become straight, a literal backslash-n becomes a space, U+FE0F (the
    emoji variation selector) and lone surrogates are dropped, white space is collapsed and stripped.
    Case, @mentions and addresses stay. Idempotent.

    Raises
    ------
    UserError
        If ``text`` is not a string.
    """
    text = _text(text)
    while True:
        # One pass can uncover work for another (an entity for a backslash, say). No step lengthens the text, so this ends.
        # Nested ampersands are unescaped at once: level by level, a hostile text would take quadratic time.
        once = html.unescape(_NESTED.sub("&", text)) if "&" in text else text
        once = _DROPPED.sub("", once).translate(_APOSTROPHES).replace("\\n", " ")
        once = " ".join(once.split())
        if once == text:
            return once
        text = once


@functools.cache
def _tokenizer() -> TweetTokenizer:
    from nltk.tokenize import TweetTokenizer

    # With phone numbers the pattern takes quadratic time on long runs of digits.
    return TweetTokenizer(match_phone_numbers=False)


def words(text: str) -> list[str]:
    """Return the lower-case tokens of the normalised text: words, numbers, punctuation, emoji, #tags, @names, addresses.

    Raises
    ------
    UserError
        If ``text`` is not a string.
    """
    return [token.lower() for token in tokenise(normalise(text))]


def tokenise(text: str) -> list[str]:
    """Return the tokens of an already normalised text with their case kept; :func:`words` without the rest.

    Takes time proportional to the length of the text: long texts are cut at white space and runs of more than
    200 characters without any are cut too, since the tokeniser's patterns take quadratic time on them.
    """
    if len(text) <= _RUN:
        return _tokenizer().tokenize(text)
    tokens: list[str] = []
    for piece in _pieces(text):
        tokens += _tokenizer().tokenize(piece)
    return tokens


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    pending: list[str] = []
    length = 0
    for run in text.split(" "):
        for start in range(0, len(run), _RUN):
            part = run[start : start + _RUN]
            if length + len(part) > _PIECE or start:
                pieces.append(" ".join(pending))
                pending, length = [], 0
            pending.append(part)
            length += len(part) + 1
    pieces.append(" ".join(pending))
    return pieces


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Return all runs of ``n`` successive tokens, in order; none if there are fewer than ``n``.

    Raises
    ------
    ValueError
        If ``n`` is less than 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]


def fingerprint(text: str) -> str:
    """Return the SHA-256 (hexadecimal) of the normalised, lower-cased text.

    Equal for texts that differ in case, spacing or escaping only: finds exact duplicates, and gives hash splits
    that do not depend on the order of rows.
    """
    return hashlib.sha256(normalise(normalise(text).lower()).encode("utf-8")).hexdigest()


def jaccard(first: Collection[Any], second: Collection[Any]) -> float:
    """Return the Jaccard similarity of two collections taken as sets; 1 if both are empty."""
    first, second = frozenset(first), frozenset(second)
    shared = len(first & second)
    union = len(first) + len(second) - shared
    return shared / union if union else 1.0


def grams(text: str) -> frozenset[tuple[str, ...]]:
    """Return the set of word 3-grams that :func:`near_duplicates` compares.

    A text of fewer than three words is its own only gram.
    """
    tokens = words(text)
    return frozenset(ngrams(tokens, GRAM)) or frozenset([tuple(tokens)])


def near_duplicates(texts: Sequence[str], threshold: float, against: Sequence[str] | None = None) -> list[Match]:
    """Find pairs of texts whose word 3-grams overlap by at least ``threshold``.

    Candidates come from a MinHash LSH index (Broder 1997; Leskovec, Rajaraman and Ullman, *Mining of Massive
    Datasets*, chapter 3) and are verified by exact Jaccard similarity, so every match is true; a pair just at the
    threshold is missed with a probability of at most 0.001, a more similar pair with less. Deterministic.

    Parameters
    ----------
    texts
        The texts asked about.
    threshold
        Least Jaccard similarity of a match, in (0, 1].
    against
        Texts to compare with. None: ``texts`` among themselves, each with earlier ones.

    Returns
    -------
    list of Match
        Sorted by index, then other. Where several texts of the compared list have the very same grams, only the
        first of them is named as ``other``, so that a text occurring k times gives k-1 matches, not k²/2. Hence:
        every text with an earlier near-duplicate (with a near-duplicate in ``against``) occurs as ``index``, and
        the matches connect all near-duplicates of one group.

    Raises
    ------
    UserError
        If a text is not a string.
    ValueError
        If the threshold is outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be in (0, 1], not {threshold}")
    asked = [grams(text) for text in texts]
    compared = asked if against is None else [grams(text) for text in against]

    first: dict[frozenset[tuple[str, ...]], int] = {}
    for position, gram_set in enumerate(compared):
        first.setdefault(gram_set, position)
    distinct = list(first)
    queries = distinct if against is None else list(dict.fromkeys(asked))
    similar = _similar_sets(distinct, queries, threshold)

    matches = []
    for index, gram_set in enumerate(asked):
        for other, similarity in similar[gram_set]:
            if against is not None or first[other] < index:
                matches.append(Match(index, first[other], similarity))
    return sorted(matches)


def _similar_sets(
    indexed: Sequence[frozenset[tuple[str, ...]]], queries: Sequence[frozenset[tuple[str, ...]]], threshold: float
) -> dict[frozenset[tuple[str, ...]], list[tuple[frozenset[tuple[str, ...]], float]]]:
    """Return for each query the indexed sets at least ``threshold`` similar to it (itself included, if indexed)."""
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS, params=_bands(threshold))
    signatures = _signatures(indexed)
    for key, signature in enumerate(signatures):
        index.insert(key, signature, check_duplication=False)
    query_signatures = signatures if queries is indexed else _signatures(queries)
    found = {}
    for query, signature in zip(queries, query_signatures, strict=True):
        close = []
        for key in sorted(index.query(signature)):
            similarity = jaccard(query, indexed[key])
            if similarity >= threshold:
                close.append((indexed[key], similarity))
        found[query] = close
    return found


def _signatures(sets: Sequence[frozenset[tuple[str, ...]]]) -> list[MinHash]:
    from datasketch import MinHash

    # CRC-32 is fast and the same on every platform; its collisions cost nothing, since matches are verified.
    rows = ([" ".join(gram).encode("utf-8", "replace") for gram in gram_set] for gram_set in sets)
    return list(MinHash.bulk(rows, num_perm=_PERMUTATIONS, seed=1, hashfunc=zlib.crc32))


def _bands(threshold: float) -> tuple[int, int]:
    """Return (bands, rows) with as many rows a band as :data:`_MISS` allows: fewest false candidates, few misses."""
    rows = 1
    for more in range(2, _PERMUTATIONS // 2 + 1):  # datasketch wants two bands at least
        if (1 - threshold**more) ** (_PERMUTATIONS // more) <= _MISS:
            rows = more
    return _PERMUTATIONS // rows, rows
