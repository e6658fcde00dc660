"""Texts that name their emotion: there is little to be learnt from *I am so angry*."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from nltk.stem.snowball import SnowballStemmer

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
