"""The teacher: a classifier that verifies candidates and gives them soft labels, calibrated without further labels.

The teacher of a seed sees that seed and nothing else. The *oracle* is trained on the whole training split: it knows labels that a poor
seed does not have, and is there only to show what that is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.corpora import Corpus
from emosynth.design.cells import NO_SEED, Cell
from emosynth.design.space import FloatArray, Space
from emosynth.errors import UserError
from emosynth.labellers.base import FLOOR
from emosynth.models.calibration import fit_temperature, scaled_softmax
from emosynth.params import Teacher as TeacherParams
from emosynth.seeding import Seed, primary_labels, seed_rows

IntArray = npt.NDArray[np.int64]


class Model(Protocol):
    """A fitted classifier."""

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities."""
        ...


Fit = Callable[[list[str], FloatArray, Space, int], Model]
"""Fits a classifier: texts, (n, k) targets, their space, random seed."""


@dataclass(frozen=True)
class FittedTeacher:
    """A fitted classifier with its temperature; a text is read once.

    Attributes
    ----------
    kind
        As the parameters name it.
    temperature
        What logits are divided by; see `emosynth.models.calibration`. 1 where a text may have several labels.
    n_train
        Rows that it was trained on.
    """

    space: Space
    kind: str
    temperature: float
    n_train: int
    model: Model
    _read: dict[str, FloatArray] = field(default_factory=dict, repr=False, compare=False)

    def uncalibrated(self, texts: Sequence[str]) -> FloatArray:
        """Return the model's own (n, k) probabilities."""
        new = list(dict.fromkeys(text for text in texts if text not in self._read))
        if new:
            self._read.update(zip(new, np.asarray(self.model.predict_proba(new), dtype=np.float64), strict=True))
        return np.array([self._read[text] for text in texts]).reshape(len(texts), len(self.space.labels))

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) calibrated probabilities."""
        return calibrated(self.uncalibrated(texts), self.space, self.temperature)


@dataclass(frozen=True)
class OutOfFold:
    """Training rows, each read by a model that was fitted without that row's fold.

    Attributes
    ----------
    probabilities, targets
        (n, k), uncalibrated.
    fold
        (n,) fold of each row.
    """

    probabilities: FloatArray
    targets: FloatArray
    fold: IntArray


def calibrated(probabilities: FloatArray, space: Space, temperature: float) -> FloatArray:
    """Return softmax(log p / temperature) in a single-label space, and p as it is in another.

    Logarithms of probabilities differ from a model's own logits by one constant a row, which softmax takes away again at every
    temperature. Probabilities below `FLOOR` count as `FLOOR`, so that all logits are finite.
    """
    return scaled_softmax(np.log(np.maximum(probabilities, FLOOR)), temperature) if space.single else probabilities


def fold_of_rows(strata: Sequence[str], labels: Sequence[str], folds: int, seed: int = 0, *, strict: bool = True) -> IntArray:
    """Return the stratified fold of each row; fewer folds than asked for if a label has fewer rows.

    Parameters
    ----------
    strata
        The label that each row is stratified by, one of ``labels``.
    strict
        Whether every label needs two rows; else rare labels are spread as far as they go.

    Raises
    ------
    UserError
        If a label has fewer than two rows: one in the fold and one to learn it from are the least there can be.
    """
    import warnings

    from sklearn.model_selection import StratifiedKFold

    place = {label: number for number, label in enumerate(labels)}
    targets = np.array([place[label] for label in strata], dtype=np.int64)
    counts = np.bincount(targets, minlength=len(labels))
    if strict and counts.min() < 2:
        short = int(counts.argmin())
        raise UserError(
            f"The teacher has {counts[short]} training rows of {labels[short]}; its calibration needs at least 2 of every class.",
            where="cells.min_per_class",
            remedy="Raise it to 2 or more, use larger seeds, or leave out what asks the teacher.",
        )
    out = np.zeros(len(targets), dtype=np.int64)
    splitter = StratifiedKFold(min(folds, max(2, int(counts.min()))), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a label has fewer rows than there are folds
        for fold, (_, held) in enumerate(splitter.split(np.zeros(len(targets)), targets)):
            out[held] = fold
    return out


def fit_teacher(
    texts: list[str], targets: FloatArray, strata: Sequence[str], space: Space, settings: TeacherParams, fit: Fit, seed: int = 0
) -> tuple[FittedTeacher, OutOfFold]:
    """Fit a teacher on n labelled texts, and its temperature on out-of-fold probabilities of the very same rows.

    No row beyond those given is used. The temperature is fitted on models that saw a fold less than the final one, which errs, if at all,
    towards too little confidence. Labels of a space where a text may have several are read one by one and left as they are: a
    temperature of softmax means nothing there.

    Parameters
    ----------
    targets
        (n, k) ones and zeros.
    strata
        The label that each row is stratified by.
    seed
        Of the folds and of the fit.

    Raises
    ------
    UserError
        If a class of a single-label space has fewer than two rows.
    """
    fold = fold_of_rows(strata, space.labels, settings.folds, seed, strict=space.single)

    def fit_on(rows: npt.NDArray[np.intp]) -> Model:
        return fit([texts[int(row)] for row in rows], targets[rows], space, seed)

    p = np.zeros(targets.shape)
    for held in range(int(fold.max()) + 1):
        inside = np.flatnonzero(fold == held)
        p[inside] = fit_on(np.flatnonzero(fold != held)).predict_proba([texts[int(row)] for row in inside])
    temperature = fit_temperature(np.log(np.maximum(p, FLOOR)), targets.argmax(axis=1)) if space.single else 1.0
    teacher = FittedTeacher(space, settings.kind, temperature, len(texts), fit_on(np.arange(len(texts))))
    return teacher, OutOfFold(p, targets, fold)


def oracle_of(corpus: str) -> Cell:
    """Return what the oracle of a corpus goes by: no seed."""
    return Cell(corpus, NO_SEED, NO_SEED)


class Teachers:
    """The teachers of all seeds, and the oracles; each is fitted when it is first asked for, and once.

    Parameters
    ----------
    corpora
        Training rows alone are taken from these.
    seed
        Returns a seed with its texts and labels.
    """

    def __init__(
        self,
        settings: TeacherParams,
        corpora: Mapping[str, Corpus],
        spaces: Mapping[str, Space],
        order: pd.DataFrame,
        seed: Callable[[Cell], Seed],
        fit: Fit,
    ) -> None:
        self.settings, self.corpora, self.spaces, self.order, self.seed, self._fit = settings, corpora, spaces, order, seed, fit
        self.fitted: dict[Cell, tuple[FittedTeacher, OutOfFold]] = {}

    def of(self, cell: Cell) -> FittedTeacher:
        """Return the teacher of a seed, or an oracle (`oracle_of`)."""
        if cell not in self.fitted:
            space = self.spaces[cell.corpus]
            if cell.size == NO_SEED:
                rows = self.corpora[cell.corpus].split("train")
                texts, labels = rows["text"].tolist(), rows["labels"].tolist()
                strata, random_seed = primary_labels(rows, space.labels), 0
            else:
                own = self.seed(cell)
                texts, labels = own.texts, own.labels
                strata, random_seed = seed_rows(self.order, cell)["label"].tolist(), cell.repeat
            self.fitted[cell] = fit_teacher(texts, space.multi_hot(labels), strata, space, self.settings, self._fit, random_seed)
        return self.fitted[cell][0]

    def tables(self, test: Callable[[str], pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what the temperatures are worth.

        Parameters
        ----------
        test
            Returns the test rows of a corpus. They are read for the record, after all teachers were fitted; nothing is chosen by them.
            Out-of-fold rows are what a temperature was fitted on, so only test rows are an independent check of it.

        Returns
        -------
        teachers
            corpus, size, repeat, kind, temperature, n_train, nll_before, nll_after (nats), macro_f1: out of fold. The oracle has size
            and repeat −1.
        reliability
            corpus, size, repeat, rows (out-of-fold, test), scaled, bin, confidence, accuracy, count.
        """
        from emosynth.models.metrics import log_loss, macro_f1, reliability

        held: dict[str, tuple[list[str], FloatArray]] = {}
        rows, bins = [], []
        for cell, (teacher, own) in self.fitted.items():
            space, corpus, size, repeat = teacher.space, cell.corpus, cell.size, cell.repeat
            if cell.corpus not in held:
                frame = test(cell.corpus)
                held[cell.corpus] = frame["text"].tolist(), space.multi_hot(frame["labels"].tolist())
            texts, truth = held[cell.corpus]
            after = calibrated(own.probabilities, space, teacher.temperature)
            rows.append(
                {
                    "corpus": corpus, "size": size, "repeat": repeat, "kind": teacher.kind, "temperature": teacher.temperature, "n_train": teacher.n_train,
                    "nll_before": log_loss(own.probabilities, own.targets, single=space.single),
                    "nll_after": log_loss(after, own.targets, single=space.single),
                    "macro_f1": macro_f1(after, own.targets, None if space.single else 0.5),
                }
            )  # fmt: skip
            for name, p, y in (("out-of-fold", own.probabilities, own.targets), ("test", teacher.uncalibrated(texts), truth)):
                for scaled in (False, True):
                    table = reliability(calibrated(p, space, teacher.temperature if scaled else 1.0), y, single=space.single)
                    bins.append(table.assign(corpus=corpus, size=size, repeat=repeat, rows=name, scaled=scaled))
        columns = ["corpus", "size", "repeat", "rows", "scaled", "bin", "confidence", "accuracy", "count"]
        teachers = ["corpus", "size", "repeat", "kind", "temperature", "n_train", "nll_before", "nll_after", "macro_f1"]
        return pd.DataFrame(rows, columns=teachers), pd.concat(bins, ignore_index=True)[columns] if bins else pd.DataFrame(columns=columns)
