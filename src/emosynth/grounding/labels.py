"""Soft labels over a taxonomy: what was asked for, mixed with what a language model reads in the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.errors import UserError
from emosynth.models.lm.labels import calibrated, row_prompt
from emosynth.params import Grounding
from emosynth.taxonomy import Taxonomy

FloatArray = npt.NDArray[np.float64]

BATCH = 512
"""Rows that the prior of calibration is the mean over, at most."""


class Scorer(Protocol):
    """Scores labels after prompts; `emosynth.models.lm.labels.LabelScorer` is one."""

    def score(self, prompts: Sequence[str], labels: Sequence[str], progress: Callable[[str], None] | None = None) -> FloatArray:
        """Return log-likelihoods, shape (prompts, labels)."""
        ...

    def prior(self, content_free: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Return the log of each label's mean likelihood over prompts, shape (labels,)."""
        ...


def evenly(count: int, limit: int = BATCH) -> npt.NDArray[np.int64]:
    """Return at most ``limit`` of the places 0 … count - 1, first and last among them, at equal distances."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, limit)).round().astype(np.int64))


def soft_labels(
    rows: pd.DataFrame, scorer: Scorer, taxonomy: Taxonomy, params: Grounding, progress: Callable[[str], None] | None = None
) -> pd.DataFrame:
    """Return the rows, accepted and rejected alike, with their soft labels.

    Parameters
    ----------
    rows
        From `emosynth.grounding.checks.rows`: arm, kind, text, context, character, emotions.
    params
        Its ``labels`` say how much of a soft label is what was asked for; its ``arms``, who is calibrated by whom.

    Returns
    -------
    pandas.DataFrame
        With further columns ``scored`` (calibrated probability of each label of the taxonomy, in its order), ``soft``
        (intended/|E| on each of the emotions asked for, E, plus (1 - intended) * scored), ``intended_rank`` (best rank of one of E
        by ``scored``, from 1) and ``agreement`` (whether the first by ``scored`` is one of E).

    Raises
    ------
    UserError
        If a row has no emotion, or one that the taxonomy lacks.

    Notes
    -----
    Calibrated by the batch itself: the prior of a label is its mean likelihood over up to `BATCH` rows of the same arm and kind
    (batch calibration, Zhou et al. 2024, arXiv:2309.17249). That takes for granted that a batch holds all labels alike, so rows of an
    arm that asks for some labels only are calibrated by those of arms that ask for all: else what they have in common would be
    taken off. If there are no such arms, by their own.
    """
    out = rows.reset_index(drop=True)
    labels = words_of(taxonomy)
    wanted = membership(out["emotions"].tolist(), taxonomy)
    # A context-less row is to be understood without its context, so the scorer is not shown it either.
    prompts = [
        row_prompt(text, context, character) if kind == "contextual" else row_prompt(text)
        for text, context, character, kind in zip(out["text"], out["context"], out["character"], out["kind"], strict=True)
    ]
    scores = scorer.score(prompts, labels, progress) if prompts else np.zeros((0, len(labels)))
    probabilities = np.zeros_like(scores)
    # An empty text (a failed generation) says nothing of how texts are read.
    worth = (out["text"] != "").to_numpy()
    whole = out["arm"].map(lambda arm: params.arms[arm].emotions is None).to_numpy(dtype=bool)
    arms, kinds = out["arm"].to_numpy(), out["kind"].to_numpy()
    for (arm, kind), part in out.groupby(["arm", "kind"], sort=False):
        own = (arms == arm) & (kinds == kind)
        lenders = (kinds == kind) & whole
        source = own if whole[own].all() or not lenders.any() else lenders
        places = np.flatnonzero(source & worth)
        places = places if places.size else np.flatnonzero(source)
        prior = scorer.prior([prompts[place] for place in places[evenly(places.size)]], labels)
        probabilities[part.index] = calibrated(scores[part.index], prior, params.labels.temperature)
    share = params.labels.intended
    soft = share * wanted / np.maximum(1, wanted.sum(axis=1, keepdims=True)) + (1 - share) * probabilities
    ranks = best_ranks(probabilities, wanted)
    return out.assign(scored=probabilities.tolist(), soft=soft.tolist(), intended_rank=ranks, agreement=ranks == 1)


def words_of(taxonomy: Taxonomy) -> list[str]:
    """Return what is scored for each label: a space and its adjective."""
    return [" " + taxonomy.adjectives[label] for label in taxonomy.labels]


def membership(label_sets: Sequence[Sequence[str]], taxonomy: Taxonomy) -> npt.NDArray[np.bool_]:
    """Return which labels each row has, shape (rows, labels).

    Raises
    ------
    UserError
        If a row has no label, or one that the taxonomy lacks.
    """
    out = np.zeros((len(label_sets), len(taxonomy.labels)), dtype=bool)
    for row, labels in enumerate(label_sets):
        strange = [label for label in labels if label not in taxonomy.labels]
        if strange or not len(labels):
            raise UserError(
                f"{strange[0]!r} is no label of the taxonomy {taxonomy.name}." if strange else "A row has no label.",
                where=f"row {row}",
                remedy=f"Use some of {', '.join(taxonomy.labels)}, or another taxonomy.",
            )
        out[row, [taxonomy.labels.index(label) for label in labels]] = True
    return out


def best_ranks(values: npt.ArrayLike, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return for each row the best rank, from 1, of a label wanted; of equal values the earlier label is first.

    Parameters
    ----------
    values
        Shape (rows, labels), or (labels,) for one ranking for all rows.
    wanted
        Shape (rows, labels); at least one of each row.
    """
    order = np.argsort(-np.broadcast_to(np.asarray(values, dtype=np.float64), wanted.shape), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(wanted, order, axis=1).argmax(axis=1) + 1, dtype=np.int64)


def scorer_quality(
    scorer: Scorer,
    texts: Sequence[str],
    label_sets: Sequence[Sequence[str]],
    taxonomy: Taxonomy,
    frequencies: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Measure the scorer on labelled real texts (validation rows, never test rows).

    Parameters
    ----------
    texts, label_sets
        Texts without context, and the labels of each.
    frequencies
        Of labels among training rows: what a ranking without any look at the text is worth. None: not measured.

    Returns
    -------
    dict
        ``n``; ``mrr``, mean of 1/rank of a text's best-placed label; ``top1``, ``top5``, share of texts with a label among the first
        one or five; the same with ``frequency_`` before it.

    Raises
    ------
    UserError
        If there are no texts, or a label is not one of the taxonomy's.
    """
    if not len(texts):
        raise UserError("There are no texts to measure the scorer on.", where="validation rows", remedy="Give some labelled texts.")
    wanted = membership(label_sets, taxonomy)
    labels, prompts = words_of(taxonomy), [row_prompt(text) for text in texts]
    prior = scorer.prior([prompts[place] for place in evenly(len(prompts))], labels)
    out: dict[str, float] = {"n": len(texts), **_quality(best_ranks(calibrated(scorer.score(prompts, labels), prior), wanted))}
    if frequencies is not None:
        ranking = np.array([frequencies.get(label, 0.0) for label in taxonomy.labels])
        out |= {f"frequency_{name}": value for name, value in _quality(best_ranks(ranking, wanted)).items()}
    return out


def _quality(ranks: npt.NDArray[np.int64]) -> dict[str, float]:
    return {"mrr": float((1 / ranks).mean()), "top1": float((ranks == 1).mean()), "top5": float((ranks <= 5).mean())}
