"""Texts that name their emotion, and how to keep their share down: a classifier learns little from *I am so angry*."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from nltk.stem.snowball import SnowballStemmer

from emosynth.errors import UserError
from emosynth.generation.plan import stable_seed
from emosynth.text import ngrams, words

BoolArray = npt.NDArray[np.bool_]

_AROUND = "a an the of in on at to by with and or no full sense feeling emotion emotions particular"
_FILLERS = frozenset(_AROUND.split())


def lexicon(*verbalisations: Mapping[str, str | Iterable[str]]) -> dict[str, set[str]]:
    """Return for each label the words and expressions that name it: the label itself and all its verbalisations.

    Parameters
    ----------
    verbalisations
        By label, e.g. noun phrases, adjectives, synonyms. Of an expression such as *full of admiration*, articles, prepositions and
        words such as *full* are left out at its ends; of one that holds nothing else (*no particular emotion*), all.
    """
    out: dict[str, set[str]] = {}
    for mapping in verbalisations:
        for label, given in mapping.items():
            for expression in [label, *([given] if isinstance(given, str) else given)]:
                tokens = words(expression.replace("-", " ").replace("_", " "))
                while tokens and tokens[0] in _FILLERS:
                    tokens = tokens[1:]
                while tokens and tokens[-1] in _FILLERS:
                    tokens = tokens[:-1]
                out.setdefault(label, set()).update([" ".join(tokens)] if tokens else [])
    return out


def explicit_share(texts: Sequence[str], emotions: Sequence[Sequence[str]], lexicon: Mapping[str, Iterable[str]]) -> BoolArray:
    """Return for each text whether it names one of its emotions.

    Words are compared by their stem (Snowball; Porter 2001), so *loved* and *loving* name *love*. A label that the lexicon lacks is
    never named.

    Parameters
    ----------
    emotions
        Labels of each text.
    lexicon
        Words and expressions that name each label.
    """
    stemmer = SnowballStemmer("english")
    known = {label: {tuple(map(stemmer.stem, words(item))) for item in items} - {()} for label, items in lexicon.items()}
    out = np.zeros(len(texts), dtype=bool)
    for place, (text, labels) in enumerate(zip(texts, emotions, strict=True)):
        stems = [stemmer.stem(word) for word in words(text)]
        names = {name for label in labels for name in known.get(label, ())}
        out[place] = any(name in names for size in {len(name) for name in names} for name in ngrams(stems, size))
    return out


def balance(rows: pd.DataFrame, share: float | None, seed: int) -> BoolArray:
    """Return which rows stay when explicit ones are set aside until at most ``share`` of the accepted rows of any emotion are.

    Parameters
    ----------
    rows
        Columns accepted, explicit (both boolean), emotions (labels), row_id; emotions are looked at within arm and kind, if there
        are such columns.
    share
        None: all rows stay.
    seed
        Draws which rows are set aside.

    Returns
    -------
    array, shape (rows,)
        False for rows set aside; a rejected row is never set aside.

    Raises
    ------
    UserError
        If a column is missing.

    Notes
    -----
    Setting an explicit row aside raises no emotion's share, so one pass over the emotions suffices. Rows that were drawn depend on
    their row_id alone, not on what other rows there are.
    """
    lacking = [column for column in ("accepted", "explicit", "emotions", "row_id") if column not in rows.columns]
    if lacking:
        raise UserError(f"The rows have no column {lacking[0]}.", where="grounding rows", remedy="Verify the rows first.")
    keep = np.ones(len(rows), dtype=bool)
    if share is None:
        return keep
    accepted, explicit = rows["accepted"].to_numpy(dtype=bool), rows["explicit"].to_numpy(dtype=bool)
    turns = np.array([stable_seed("explicit", seed, row) for row in rows["row_id"]], dtype=np.int64)
    groups: dict[tuple[object, ...], list[int]] = {}
    own = [rows[column].tolist() for column in ("arm", "kind") if column in rows.columns]
    for place, labels in enumerate(rows["emotions"]):
        for label in labels:
            groups.setdefault((*(column[place] for column in own), label), []).append(place)
    for members in groups.values():
        kept = np.array([place for place in members if accepted[place] and keep[place]], dtype=np.int64)
        named = kept[explicit[kept]] if kept.size else kept
        implicit = kept.size - named.size
        allowed = named.size if share >= 1 else math.floor(share * implicit / (1 - share) + 1e-9)
        keep[named[np.argsort(turns[named], kind="stable")][allowed:]] = False
    return keep
