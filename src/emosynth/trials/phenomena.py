"""Linguistic phenomena of a text, found by rule: negation, contrast, comparison and others that sentiment models trip over.

Found by word lists and punctuation, the same for every model and corpus; nobody looked at errors to choose them. Lists
know no senses ("yet" in "not yet" counts as contrast), so a group is a rough one, but equally rough for all models.
Both tokenised text ("does n't", "`` so-so ''") and plain text ("doesn't") are understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from emosynth.errors import UserError
from emosynth.languages import spaced
from emosynth.text import normalise, tokenise


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATION = _words(
    "no not never n't nothing nobody none nowhere neither nor without cannot cant dont doesnt didnt isnt wasnt arent werent wont wouldnt "
    "couldnt shouldnt hasnt havent hadnt aint"
)
"""Negating words; every word ending in n't counts too."""

CONTRAST = _words("but although though however yet whereas despite nevertheless nonetheless notwithstanding albeit instead")
CONTRAST_PHRASES = (("in", "spite", "of"), ("on", "the", "other", "hand"), ("even", "so"), ("rather", "than"))

COMPARATIVES = _words(
    "better worse bigger larger smaller greater lesser higher lower older younger newer longer shorter faster slower stronger weaker "
    "harder easier deeper richer poorer darker lighter smarter brighter sharper tighter nicer cooler warmer colder louder quieter "
    "simpler subtler finer tougher rougher smoother stranger wiser thinner thicker hotter sadder duller funnier scarier uglier prettier "
    "happier sillier livelier crazier angrier heavier edgier juicier messier lazier busier"
)
"""Comparatives in -er that stand without "than"; a suffix alone would take in "character" and "over"."""
NOT_COMPARING = _words("rather other")
"""Words before "than" that make it something else than a comparison."""
NOT_EQUATING = _words("well long soon far")
"""Words between "as" and "as" that make it a conjunction."""
_AS_AS = 4

INTENSIFIERS = _words(
    "very so too such really truly extremely absolutely utterly totally completely entirely thoroughly incredibly unbelievably amazingly "
    "remarkably exceptionally exceedingly enormously hugely immensely intensely deeply highly terribly awfully insanely perfectly "
    "wonderfully especially particularly decidedly downright"
)
DIMINISHERS = _words(
    "somewhat slightly rather fairly quite pretty almost nearly partly partially mildly moderately relatively reasonably vaguely hardly "
    "barely scarcely merely perhaps maybe possibly probably presumably apparently arguably seemingly seem seems seemed sometimes "
    "occasionally kinda sorta"
)
DIMINISHING_PHRASES = (("kind", "of"), ("sort", "of"), ("a", "bit"), ("a", "little"), ("a", "touch"), ("more", "or", "less"))

IRREALIS = _words("if unless would could should might may wish wishes wished supposed otherwise whether hopefully")
"""What is not, or not surely, the case: conditions, wishes, modals; with n't as well."""

FIRST_PERSON = _words("i me my mine myself we us our ours ourselves im ive")
"""First-person pronouns; contractions such as i'm and we've count too."""

CLEAR_POLARITY = 1.0
"""Absolute valence (of 4) from which a word of the lexicon is clearly positive or negative."""

SHORT, LONG = 25.0, 75.0
"""Percentiles of length, in words, at or below which a text is short, at or above which it is long."""

_ENDS = frozenset(".!?:;…")
_WIDE = str.maketrans("？！", "?!")


def _holds(tokens: Sequence[str], phrases: Sequence[tuple[str, ...]]) -> bool:
    return any(tuple(tokens[start : start + len(phrase)]) == phrase for phrase in phrases for start in range(len(tokens)))


def negated(tokens: Sequence[str]) -> bool:
    """Whether lower-case tokens hold a negating word."""
    return any(token in NEGATION or token.endswith("n't") for token in tokens)


def contrasted(tokens: Sequence[str]) -> bool:
    """Whether lower-case tokens hold a contrastive conjunction or adverb."""
    return not CONTRAST.isdisjoint(tokens) or _holds(tokens, CONTRAST_PHRASES)


def diminished(tokens: Sequence[str]) -> bool:
    """Whether lower-case tokens hold a diminisher or hedge; "rather" in "rather than" is none."""
    found = [token for place, token in enumerate(tokens) if token in DIMINISHERS and tuple(tokens[place : place + 2]) != ("rather", "than")]
    return bool(found) or _holds(tokens, DIMINISHING_PHRASES)


def compared(tokens: Sequence[str]) -> bool:
    """Whether lower-case tokens compare: "than" (not "rather than", "other than"), "as … as", or a comparative."""
    if not COMPARATIVES.isdisjoint(tokens):
        return True
    for place, token in enumerate(tokens):
        if token == "than" and place and tokens[place - 1] not in NOT_COMPARING:
            return True
        if token == "as":
            for later in range(place + 2, min(place + 2 + _AS_AS, len(tokens))):
                if tokens[later] == "as" and not (later == place + 2 and tokens[place + 1] in NOT_EQUATING):
                    return True
    return False


def irreal(tokens: Sequence[str]) -> bool:
    """Whether lower-case tokens hold a condition, a wish or a modal."""
    return any(token in IRREALIS or token.removesuffix("n't") in IRREALIS for token in tokens)


def first_person(tokens: Sequence[str]) -> bool:
    """Whether lower-case tokens hold a first-person pronoun."""
    return any(token.partition("'")[0] in FIRST_PERSON for token in tokens)


def named(tokens: Sequence[str]) -> bool:
    """Whether tokens with their case kept hold a digit, or a capitalised word where no sentence begins.

    In lower-cased text only digits are left to tell. Words in capitals throughout are taken for emphasis, not names.
    """
    begins = True
    for token in tokens:
        if any(char.isdigit() for char in token) and any(char.isalnum() for char in token):
            return True
        if token[:1].isupper() and any(char.islower() for char in token) and not begins and token.partition("'")[0] != "I":
            return True
        if any(char.isalnum() for char in token):
            begins = False
        elif not _ENDS.isdisjoint(token):
            begins = True
    return False


def _marked(tokens: Sequence[str], mark: str) -> bool:
    # Not in every token: addresses hold question marks.
    return any(mark in token.translate(_WIDE) and not any(char.isalnum() for char in token) for token in tokens)


def polar(tokens: Sequence[str], lexicon: Mapping[str, float]) -> tuple[bool, bool]:
    """Return whether lower-case tokens hold a clearly positive and a clearly negative word of a valence lexicon."""
    valences = [lexicon[token] for token in tokens if token in lexicon]
    return any(v >= CLEAR_POLARITY for v in valences), any(v <= -CLEAR_POLARITY for v in valences)


def phenomena(texts: Sequence[str], lexicon: Mapping[str, float] | None = None, *, english: bool = True) -> pd.DataFrame:
    """Return which phenomena each of n texts shows.

    Parameters
    ----------
    texts
        Short and long are told by the percentiles of these texts.
    lexicon
        Lower-case word -> valence, negative to positive, with `CLEAR_POLARITY` on its scale (see `read_lexicon`).
        None: the two columns on polarity words are left out.
    english
        Whether the texts are; else only what punctuation and length tell is there.

    Returns
    -------
    pandas.DataFrame
        (n, phenomena) booleans; the last two only with a lexicon.
    """
    cased = [tokenise(spaced(normalise(text))) for text in texts]
    lower = [[token.lower() for token in tokens] for tokens in cased]
    lengths = np.array([sum(any(char.isalnum() for char in token) for token in tokens) for tokens in lower], dtype=float)
    low, high = np.percentile(lengths, [SHORT, LONG]) if len(lengths) else (0.0, 0.0)
    found = {
        "negation": [negated(tokens) for tokens in lower],
        "contrast": [contrasted(tokens) for tokens in lower],
        "comparison": [compared(tokens) for tokens in lower],
        "intensifier": [not INTENSIFIERS.isdisjoint(tokens) for tokens in lower],
        "diminisher or hedge": [diminished(tokens) for tokens in lower],
        "conditional or irrealis": [irreal(tokens) for tokens in lower],
        "question": [_marked(tokens, "?") for tokens in lower],
        "exclamation": [_marked(tokens, "!") for tokens in lower],
        "first person": [first_person(tokens) for tokens in lower],
        "name or number": [named(tokens) for tokens in cased],
        "short": list(lengths <= low),
        "long": list(lengths >= high),
    }
    if not english:
        found = {name: found[name] for name in ("question", "exclamation", "short", "long")}
    elif lexicon is not None:
        both = [polar(tokens, lexicon) for tokens in lower]
        found["mixed polarity words"] = [positive and negative for positive, negative in both]
        found["no polarity word"] = [not positive and not negative for positive, negative in both]
    return pd.DataFrame({name: np.asarray(values, dtype=bool) for name, values in found.items()}, index=range(len(cased)))


def read_lexicon(path: Path) -> dict[str, float]:
    """Read a valence lexicon in the layout of VADER's (Hutto and Gilbert 2014): word, tab, mean valence, and more columns.

    UTF-8 or Latin-1. Words are lower-cased.

    Raises
    ------
    UserError
        If a line has no number after its first tab, or the file holds no word.
    """
    raw = path.read_bytes()
    try:
        content = raw.decode("utf-8")
    except UnicodeDecodeError:  # older releases of VADER hold two emoticons in Latin-1
        content = raw.decode("latin-1")
    lexicon: dict[str, float] = {}
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        word, _, rest = line.partition("\t")
        try:
            lexicon[word.lower()] = float(rest.split("\t")[0])
        except ValueError:
            raise UserError(
                "A line of the lexicon has no valence after its word.",
                where=f"{path}: line {number}",
                remedy="Give word, tab and valence in every line.",
            ) from None
    if not lexicon:
        raise UserError("The lexicon holds no word.", where=str(path), remedy="Fetch it again.")
    return lexicon
