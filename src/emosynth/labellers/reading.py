"""A language model that reads labels off texts, and how well it does so on real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.space import FloatArray, Space
from emosynth.errors import UserError
from emosynth.progress import say

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


def words_of(space: Space) -> list[str]:
    """Return what is scored for each label: a space and its adjective."""
    return [" " + space.adjectives[label] for label in space.labels]


class LanguageReader:
    """Reads labels by the log-likelihoods of their adjectives.

    Calibrated by the rows themselves: the prior of a label is its mean likelihood over up to `BATCH` rows of the same kind (batch
    calibration, Zhou et al. 2024, arXiv:2309.17249). That takes for granted that the rows hold all labels alike, as asked-for labels do.

    Parameters
    ----------
    scorer
        Asked for log-likelihoods.
    progress
        Called with lines.
    """

    def __init__(self, scorer: Scorer, progress: Callable[[str], None] | None = None) -> None:
        self.scorer, self.progress = scorer, progress

    @classmethod
    def open(cls, model: str, catalog: Any) -> LanguageReader:
        """Open the reader of a model; see `emosynth.models.lm.labels.LabelScorer.open`."""
        from emosynth.models.lm.labels import LabelScorer

        return cls(LabelScorer.open(model, catalog), say)

    def read(self, rows: pd.DataFrame, space: Space) -> FloatArray:
        """Return (n, k) log-probabilities over a space's labels, summing to 1 in each row.

        Parameters
        ----------
        rows
            Column text; optional kind, context, character. Contextual rows are read with context and character; a context-less row is to
            be understood without, so the model is not shown any either.
        """
        from scipy.special import log_softmax

        from emosynth.models.lm.labels import row_prompt

        labels = words_of(space)
        texts = [str(text) for text in rows["text"]]
        kinds, contexts, characters = (
            rows[name].astype(str).to_numpy() if name in rows.columns else np.full(len(rows), "")
            for name in ("kind", "context", "character")
        )
        prompts = [
            row_prompt(text, context, character) if kind == "contextual" else row_prompt(text)
            for text, kind, context, character in zip(texts, kinds, contexts, characters, strict=True)
        ]
        scores = self.scorer.score(prompts, labels, self.progress) if prompts else np.zeros((0, len(labels)))
        out = np.zeros_like(scores)
        for kind in dict.fromkeys(kinds):
            own = np.flatnonzero(kinds == kind)
            worth = np.array([place for place in own if texts[place]], dtype=np.int64)  # an empty text says nothing of how texts are read
            lenders = worth if worth.size else own
            prior = self.scorer.prior([prompts[place] for place in lenders[evenly(lenders.size)]], labels)
            out[own] = log_softmax(scores[own] - prior, axis=1)
        return out


# --- how well it reads real texts -----------------------------------------------------------------------


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


def reading_quality(
    reader: LanguageReader,
    texts: Sequence[str],
    label_sets: Sequence[Sequence[str]],
    space: Space,
    frequencies: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Measure a reader on labelled real texts (validation rows, never test rows).

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
        If there are no texts.
    """
    if not len(texts):
        raise UserError("There are no texts to measure the reader on.", where="validation rows", remedy="Give some labelled texts.")
    wanted = space.multi_hot(label_sets) > 0
    out: dict[str, float] = {"n": len(texts), **_quality(best_ranks(reader.read(pd.DataFrame({"text": list(texts)}), space), wanted))}
    if frequencies is not None:
        ranking = np.array([frequencies.get(label, 0.0) for label in space.labels])
        out |= {f"frequency_{name}": value for name, value in _quality(best_ranks(ranking, wanted)).items()}
    return out


def _quality(ranks: npt.NDArray[np.int64]) -> dict[str, float]:
    return {"mrr": float((1 / ranks).mean()), "top1": float((ranks == 1).mean()), "top5": float((ranks <= 5).mean())}
