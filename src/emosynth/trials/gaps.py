"""Where a model falls short: scores by class, by how much of a row's vocabulary the seed holds, and by phenomenon."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.catalog import Catalog
from emosynth.design.cells import Cell
from emosynth.explain.ranking import function_word, presentable
from emosynth.languages import is_english
from emosynth.text import words
from emosynth.trials.phenomena import phenomena, read_lexicon
from emosynth.trials.sources import Sources

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

COVERAGE = (
    (1.0, "all words in the seed"),
    (0.75, "three quarters or more"),
    (0.5, "half to three quarters"),
    (0.0, "less than half"),
)
"""Groups by lexical coverage: least coverage, and name; a row belongs to the first group whose bound it reaches."""

LEXICON = "vader-lexicon"
"""Entry of the catalogue: a valence lexicon, for the phenomena that need one."""

NONE = "none of these"
COLUMNS = ["grouping", "group", "n", "accuracy", "f1", "share"]


def content_words(text: str) -> frozenset[str]:
    """Return the distinct content words of a text: no function words, mentions, addresses, numbers, punctuation, single letters."""
    return frozenset(word for word in words(text) if len(word) > 1 and presentable(word) and not function_word(word))


def lexical_coverage(rows: Sequence[Collection[str]], seed: Collection[str]) -> FloatArray:
    """Return the share of each row's distinct words that occur in the seed, (n,); 1 for a row without words: nothing is unknown."""
    known = frozenset(seed)
    return np.array([len(known.intersection(row)) / len(set(row)) if len(row) else 1.0 for row in rows], dtype=float)


def coverage_group(coverage: FloatArray) -> IntArray:
    """Return the position in `COVERAGE` of each (n,) coverage."""
    bounds = np.array([bound for bound, _ in COVERAGE])
    return np.argmax(coverage[:, None] >= bounds, axis=1).astype(np.int64)


class Gaps:
    """The groups of a test set as seen from one seed; made once, then asked about many models.

    Parameters
    ----------
    texts
        n test texts.
    targets
        (n,) class positions.
    classes
        The k classes.
    seed_texts
        Real texts of the seed; what a row's words are looked up in.
    lexicon
        Valence lexicon, for the phenomena that need one (see `emosynth.trials.phenomena`).
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: npt.ArrayLike,
        classes: Sequence[str],
        seed_texts: Sequence[str],
        lexicon: Mapping[str, float] | None = None,
        *,
        english: bool = True,
    ) -> None:
        self.classes = list(classes)
        self.targets = _positions(targets, len(texts), len(self.classes), "targets")
        self._phenomena = phenomena(texts, lexicon, english=english)
        self._content = [content_words(text) for text in texts]
        self._group(seed_texts)

    def for_seed(self, seed_texts: Sequence[str]) -> Gaps:
        """Return the groups of the same test set as seen from another seed, without looking at the test texts again."""
        other = object.__new__(Gaps)
        other.classes, other.targets = self.classes, self.targets
        other._phenomena, other._content = self._phenomena, self._content
        other._group(seed_texts)
        return other

    def _group(self, seed_texts: Sequence[str]) -> None:
        self.coverage = lexical_coverage(self._content, frozenset().union(*map(content_words, seed_texts)))
        of_coverage = coverage_group(self.coverage)
        groups = [("coverage", name, of_coverage == place) for place, (_, name) in enumerate(COVERAGE)]
        groups += [("phenomenon", name, self._phenomena[name].to_numpy(dtype=bool)) for name in self._phenomena.columns]
        groups.append(("phenomenon", NONE, ~self._phenomena.to_numpy(dtype=bool).any(axis=1)))
        kept = [(grouping, group, members) for grouping, group, members in groups if members.any()]
        self._names = [(grouping, group) for grouping, group, _ in kept]
        n = len(self.targets)
        self._members = np.array([members for _, _, members in kept], dtype=np.float64).reshape(len(kept), n)
        self._true = np.eye(len(self.classes))[self.targets].reshape(n, len(self.classes))

    def table(self, predictions: npt.ArrayLike) -> pd.DataFrame:
        """Return a model's scores in every group that has rows.

        Parameters
        ----------
        predictions
            (n,) predicted class positions.

        Returns
        -------
        pandas.DataFrame
            grouping, group, n (test rows), accuracy, f1, share (of test rows).
            *class*: the rows of each class; accuracy is its recall, f1 its own over all test rows.
            *coverage*: by the share of the row's distinct content words that the seed holds, see `COVERAGE`.
            *phenomenon*: rows that show it; a row may show several, or none, which is the last group.
            In the latter two f1 is macro-F1 over all classes within the group, NaN if a class has no row there.

        Raises
        ------
        ValueError
            If predictions are not n class positions.
        """
        k, total = len(self.classes), len(self.targets)
        predicted = np.eye(k)[_positions(predictions, total, k, "predictions")].reshape(total, k)
        # one row for all test rows, which the classes are told from, then the groups
        members = np.vstack([np.ones((1, total)), self._members])
        support, calls, hits = members @ self._true, members @ predicted, members @ (self._true * predicted)
        with np.errstate(invalid="ignore", divide="ignore"):
            f1 = 2 * hits / (support + calls)
        rows = []
        for place, name in enumerate(self.classes):
            n = int(support[0, place])
            if n:
                rows.append(("class", name, n, hits[0, place] / n, f1[0, place], n / total))
        for place, (grouping, group) in enumerate(self._names, 1):
            n = int(support[place].sum())
            macro = f1[place].mean() if (support[place] > 0).all() else float("nan")
            rows.append((grouping, group, n, hits[place].sum() / n, macro, n / total))
        return pd.DataFrame(rows, columns=COLUMNS)


def _positions(values: npt.ArrayLike, n: int, k: int, what: str) -> IntArray:
    out = np.asarray(values)
    if out.shape != (n,) or (n and (not np.issubdtype(out.dtype, np.integer) or out.min() < 0 or out.max() >= k)):
        raise ValueError(f"{what} must be {n} class positions from 0 to {k - 1}")
    return out.astype(np.int64)


def gaps_of_trials(sources: Sources, trials: pd.DataFrame, predictions: pd.DataFrame, catalog: Catalog) -> pd.DataFrame:
    """Return the groups' scores of all arms as they stand on the largest seeds of the target; none if rows have several labels.

    Returns
    -------
    pandas.DataFrame
        trial_id and the columns of `Gaps.table`.
    """
    target = sources.params.corpora.target
    space = sources.spaces[target]
    chosen = trials[(trials["corpus"] == target) & (trials["version"] == "") & (trials["sweep"] == "") & (trials["budget"] == "accepted")]
    chosen = chosen[chosen["size"] == sources.params.cells.sizes_of(target)[-1]]
    if not space.single or chosen.empty:
        return pd.DataFrame(columns=["trial_id", *COLUMNS])
    test = sources.scored[target]
    truth = space.multi_hot(test["labels"].tolist()).argmax(axis=1)
    english = is_english(sources.corpora[target].languages)
    lexicon = read_lexicon(catalog.fetch(LEXICON)) if english and LEXICON in catalog else None
    p = predictions.set_index("trial_id")["p"]
    first: Gaps | None = None
    parts = []
    for (size, repeat), part in chosen.groupby(["size", "repeat"], sort=True):
        seed = sources.seed(Cell(target, int(str(repeat)), int(str(size)))).texts
        first = Gaps(test["text"].tolist(), truth, space.labels, seed, lexicon, english=english) if first is None else first.for_seed(seed)
        for trial in part["trial_id"]:
            predicted = np.asarray(p[trial], dtype=np.float64).reshape(len(truth), -1).argmax(axis=1)
            parts.append(first.table(predicted).assign(trial_id=trial)[["trial_id", *COLUMNS]])
    return pd.concat(parts, ignore_index=True)
