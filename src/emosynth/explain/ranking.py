"""From SHAP values to ranked tokens per class, and how far rankings agree."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from emosynth.explain.shap_values import Attributions

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

KINDS = ("shap", "tfidf", "both")
_ADDRESS = re.compile(
    r"^(?:[a-z][a-z0-9+.-]*://|www\.)|^[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|co|ly|me|uk|de|edu|gov|io|tv|info)(?:/|$)|^[^@\s]+@[^@\s]+\.[a-z]+$"
)
_FUSION = 60.0


def presentable(token: str) -> bool:
    """Whether a token may be handed to a generator: a word, #tag or emoji; not a @mention, address, number or punctuation."""
    if token.startswith("@") or _ADDRESS.search(token):
        return False
    body = token.lstrip("#")
    if any(ord(char) >= 0x2190 and not char.isalnum() for char in body):  # arrows, symbols, emoji
        return not all(0x3000 <= ord(char) <= 0x303F or 0xFF00 <= ord(char) <= 0xFFEF for char in body)
    letters = sum(char.isalpha() for char in body)
    # emoticons such as ":d" have a letter too; a single letter stands for a word only by itself ("i")
    return letters >= 2 or (letters == 1 and len(body) == 1)


_TELLING = frozenset(
    {"no", "not", "never", "nothing", "nobody", "none", "cannot", "cant", "i", "me", "alone", "cry", "together", "serious"}
)
"""Words of scikit-learn's list that can carry an emotion by themselves."""


def function_word(token: str) -> bool:
    """Whether a token is an English function word or a contraction of such, by scikit-learn's list less words that can carry an emotion.

    In a seed of some dozen rows every class has a few among its strongest tokens by chance; told to a generator they guide nothing.
    """
    head = token.partition("'")[0]
    return token not in _TELLING and (
        token in ENGLISH_STOP_WORDS or (head != token and head in ENGLISH_STOP_WORDS | {"don", "doesn", "isn", "wasn"})
    )


def differential_scores(features: sp.csr_matrix, inside: npt.NDArray[np.bool_]) -> FloatArray:
    """Return (terms,) mean TF-IDF in a class minus mean TF-IDF in the rest; a side without rows counts as 0."""

    def mean(rows: npt.NDArray[np.bool_]) -> FloatArray:
        if not rows.any():
            return np.zeros(features.shape[1])
        return np.asarray(features[np.flatnonzero(rows)].mean(axis=0), dtype=np.float64).ravel()

    return mean(inside) - mean(~inside)


def rank_tokens(
    attributions: Attributions,
    features: sp.csr_matrix,
    has: npt.NDArray[np.bool_],
    classes: Sequence[str],
    min_document_frequency: int,
) -> pd.DataFrame:
    """Score and rank the presentable tokens of a seed for each class; sorted by class, then rank_both. Ties are broken by the token.

    ``features``: (n, terms) TF-IDF. ``has``: (n, k) whether a row has a label. *shap*: the sum of the token's SHAP values over the rows *of
    the class*, per row of the class: a strong but rare token and a weak but frequent one can score alike. *tfidf*: mean TF-IDF in the class
    minus mean in the rest. *both*: reciprocal-rank fusion, 1/(60 + rank_shap) + 1/(60 + rank_tfidf) (Cormack, Clarke and Büttcher 2009).
    """
    features = sp.csr_matrix(features)
    documents = np.asarray((features > 0).sum(axis=0)).ravel()
    keep = np.asarray([documents[j] >= min_document_frequency and presentable(t) for j, t in enumerate(attributions.terms)], dtype=bool)
    tokens = [term for term, kept in zip(attributions.terms, keep, strict=True) if kept]
    frames = []
    for index, label in enumerate(classes):
        inside = has[:, index]
        size = int(inside.sum())
        score = np.zeros(len(attributions.terms))
        if size:
            of_class = inside[attributions.rows]
            np.add.at(score, attributions.columns[of_class], attributions.phi[of_class, index] / size)
        differential = differential_scores(features, inside)
        frame = pd.DataFrame({"label": label, "token": tokens, "shap": score[keep], "tfidf": differential[keep]})
        frame["rank_shap"] = _ranks(frame["shap"], frame["token"])
        frame["rank_tfidf"] = _ranks(frame["tfidf"], frame["token"])
        frame["both"] = 1 / (_FUSION + frame["rank_shap"]) + 1 / (_FUSION + frame["rank_tfidf"])
        frame["rank_both"] = _ranks(frame["both"], frame["token"])
        frames.append(frame.sort_values("rank_both", kind="stable"))
    out = pd.concat(frames, ignore_index=True)
    return out[["label", "token", "shap", "tfidf", "both", "rank_shap", "rank_tfidf", "rank_both"]]


def _ranks(score: pd.Series, token: pd.Series) -> IntArray:
    # Sums of the same numbers in another order differ in the last bits; such scores count as ties.
    order = np.lexsort((token.to_numpy(dtype=str), -np.round(score.to_numpy(dtype=float), 12)))
    out = np.empty(len(order), dtype=np.int64)
    out[order] = np.arange(1, len(order) + 1)
    return out


def top_tokens(ranking: pd.DataFrame, label: str, kind: str, count: int, *, function_words: bool = True) -> list[tuple[str, float]]:
    """Return the best tokens of a class that speak *for* it (score above 0; "both": both scores), with scores."""
    frame = ranking[ranking["label"] == label]
    if not function_words:
        frame = frame[~frame["token"].map(function_word).astype(bool)]
    positive = (frame["shap"] > 1e-12) & (frame["tfidf"] > 1e-12) if kind == "both" else frame[kind] > 1e-12
    frame = frame[positive].sort_values(f"rank_{kind}", kind="stable").head(count)
    return [(str(token), float(score)) for token, score in zip(frame["token"], frame[kind], strict=True)]


# --- agreement ----------------------------------------------------------------------------------


def overlap(first: Sequence[str], second: Sequence[str], k: int) -> float:
    """Return the share of the first ``k`` items (or of the shorter list's) that two rankings have in common; NaN if either is empty."""
    depth = min(k, len(first), len(second))
    return len(set(first[:depth]) & set(second[:depth])) / depth if depth else float("nan")


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], p: float = 0.9) -> float:
    """Return the extrapolated rank-biased overlap of two rankings cut at the shorter's depth (Webber, Moffat and Zobel 2010, eq. 23).

    1: equal; 0: disjoint. ``p`` says how deep one reads; with 0.9 the first ten ranks carry most of the weight. NaN if either is empty.
    """
    depth = min(len(first), len(second))
    if not depth:
        return float("nan")
    seen_first: set[str] = set()
    seen_second: set[str] = set()
    shared, total = 0, 0.0
    for d in range(1, depth + 1):
        a, b = first[d - 1], second[d - 1]
        seen_first.add(a)
        seen_second.add(b)
        shared += (a in seen_second) + (b in seen_first) - (a == b)
        total += shared / d * p**d
    return shared / depth * p**depth + (1 - p) / p * total


def compare(first: pd.Series, second: pd.Series, k: int) -> dict[str, float | int]:
    """Compare two scorings (token → score, higher is better): tokens scored by both, Spearman over them, overlap of the best ``k``, RBO."""
    common = sorted(set(first.index) & set(second.index))
    a, b = first.loc[common].to_numpy(dtype=float), second.loc[common].to_numpy(dtype=float)
    enough = len(common) >= 3 and np.ptp(a) > 1e-12 and np.ptp(b) > 1e-12
    order_a, order_b = _order(first), _order(second)
    return {
        "n_tokens": len(common), "spearman": float(spearmanr(a, b).statistic) if enough else float("nan"),
        "overlap": overlap(order_a, order_b, k), "rbo": rank_biased_overlap(order_a, order_b),
    }  # fmt: skip


def _order(scores: pd.Series) -> list[str]:
    tokens = scores.index.to_numpy(dtype=str)
    return [str(token) for token in tokens[np.lexsort((tokens, -np.round(scores.to_numpy(dtype=float), 12)))]]


def agreement(ranking: pd.DataFrame, classes: Sequence[str], k: int) -> pd.DataFrame:
    """Compare the SHAP and the TF-IDF ranking of each class: label, first, second, n_tokens, spearman, overlap, rbo."""
    rows = []
    for label in classes:
        frame = ranking[ranking["label"] == label].set_index("token")
        rows.append({"label": label, "first": "shap", "second": "tfidf", **compare(frame["shap"], frame["tfidf"], k)})
    return pd.DataFrame(rows)


def stability(tokens: pd.DataFrame, classes: Sequence[str], k: int) -> pd.DataFrame:
    """Compare rankings (`KINDS`) of different seeds of one size, from the token table of all seeds; empty with a single repeat."""
    rows = []
    for size in sorted(tokens["size"].unique()):
        for label in classes:
            part = tokens[(tokens["size"] == size) & (tokens["label"] == label)]
            by_repeat = {int(repeat): frame.set_index("token") for repeat, frame in part.groupby("repeat", sort=True)}
            repeats = sorted(by_repeat)
            for kind in KINDS:
                for i, a in enumerate(repeats):
                    for b in repeats[i + 1 :]:
                        found = compare(by_repeat[a][kind], by_repeat[b][kind], k)
                        rows.append({"size": int(size), "label": label, "ranking": kind, "repeat_a": a, "repeat_b": b, **found})
    return pd.DataFrame(rows, columns=["size", "label", "ranking", "repeat_a", "repeat_b", "n_tokens", "spearman", "overlap", "rbo"])


# --- which seed rows are shown to the generator ---


def choose_exemplars(
    ids: Sequence[str], mass: FloatArray, features: sp.csr_matrix, count: int, diversity: float
) -> list[tuple[str, float]]:
    """Choose rows rich in mass and unlike each other, by maximal marginal relevance (Carbonell and Goldstein 1998), each with its mass.

    ``mass``: (n,) how much a row's tokens speak for the class. ``features``: (n, terms) TF-IDF rows of length 1. The next row maximises
    ``(1 - diversity) * m - diversity * s``: m is its mass scaled to 0…1, s its largest cosine to a row already chosen. Ties go to the
    smaller id.
    """
    n = len(ids)
    if not n:
        return []
    mass = np.asarray(mass, dtype=np.float64)
    spread = float(np.ptp(mass))
    scaled = (mass - mass.min()) / spread if spread > 1e-12 else np.ones(n)
    by_id = sorted(range(n), key=lambda row: ids[row])
    features = sp.csr_matrix(features)
    nearest = np.zeros(n)
    chosen: list[int] = []
    while len(chosen) < min(count, n):
        gain = (1 - diversity) * scaled - diversity * nearest if chosen else scaled
        left = [row for row in by_id if row not in chosen]
        best = max(left, key=lambda row: round(float(gain[row]), 12))  # the first of equals: the smallest id
        chosen.append(best)
        nearest = np.maximum(nearest, np.asarray((features @ features[best].T).todense()).ravel())
    return [(ids[row], float(mass[row])) for row in chosen]


def shuffled(ids: Sequence[str], count: int, *seed: int) -> list[str]:
    """Return the first ``count`` ids of a seeded shuffle; the order given does not matter."""
    ordered = sorted(ids)
    return [ordered[i] for i in np.random.default_rng(list(seed)).permutation(len(ordered))[:count]]
