"""The teacher: a classifier that verifies candidates and gives them soft labels, calibrated without further labels.

The teacher of a seed sees that seed and nothing else. The *oracle* is trained on the whole training split, as in the
published recipe: it knows labels that a poor seed does not have, and is there only to show what that is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from emosynth import params
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.learning.scores import reliability, score
from emosynth.models.calibration import fit_temperature, scaled_softmax
from emosynth.models.classifiers import EmbeddingClassifier, TextClassifier, label_indices
from emosynth.models.embeddings import embedding_cache
from emosynth.models.encoders import FineTunedEncoder
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.seeding import primary_labels, seed_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
TeacherName = Literal["seed", "oracle"]
TeacherKey = tuple[TeacherName, int, int]
"""Name, seed size, repeat."""

FLOOR = 1e-12
"""Least probability whose logarithm is taken."""


class _Model(Protocol):
    def predict_proba(self, texts: Sequence[str]) -> FloatArray: ...


@dataclass(frozen=True)
class Teacher:
    """A fitted classifier with its temperature; serves as a `emosynth.verification.checks.Classifier`.

    Attributes
    ----------
    name
        ``seed``, or ``oracle`` if it was trained on the whole training split.
    kind
        ``tfidf``, ``embedding`` or ``finetuned``.
    temperature
        What logits are divided by; see `emosynth.models.calibration`.
    n_train
        Rows that it was trained on.
    """

    name: TeacherName
    kind: str
    classes: list[str]
    temperature: float
    n_train: int
    model: _Model

    def logits(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) unscaled logits: the logarithms of the model's probabilities.

        They differ from a model's own logits by one constant a row, which softmax takes away again at every
        temperature. Probabilities below `FLOOR` count as `FLOOR`, so that all logits are finite.
        """
        return _logits(self.model, texts, len(self.classes))

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) calibrated probabilities, softmax(logits / temperature)."""
        return scaled_softmax(self.logits(texts), self.temperature)


@dataclass(frozen=True)
class OutOfFold:
    """Unscaled logits of training rows, each from a model that was fitted without that row's fold.

    Attributes
    ----------
    logits
        (n, k).
    targets
        (n,) class positions.
    fold
        (n,) fold of each row.
    """

    logits: FloatArray
    targets: IntArray
    fold: IntArray

    def take(self, rows: Sequence[int]) -> OutOfFold:
        """Return the rows at some positions, in that order."""
        positions = np.asarray(rows, dtype=np.int64)
        return OutOfFold(self.logits[positions], self.targets[positions], self.fold[positions])


def _logits(model: _Model, texts: Sequence[str], k: int) -> FloatArray:
    if not len(texts):
        return np.zeros((0, k))
    return np.log(np.maximum(model.predict_proba(texts), FLOOR))


def _fit(
    texts: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    kind: str,
    embed: Embed | None,
    encoder_folder: Path | None,
    finetuning: params.FineTuning | None,
    seed: int,
) -> _Model:
    if kind == "tfidf":
        return TextClassifier().fit(texts, labels, classes)
    if kind == "embedding":
        if embed is None:
            raise ValueError("an embedding teacher needs embed")
        return EmbeddingClassifier(embed).fit(texts, labels, classes)
    if kind == "finetuned":
        if encoder_folder is None:
            raise ValueError("a fine-tuned teacher needs encoder_folder")
        return FineTunedEncoder(encoder_folder, finetuning or params.FineTuning(), seed=seed).fit(texts, labels, classes)
    raise ValueError(f"there is no kind of teacher {kind!r}")


def fold_of_rows(targets: IntArray, classes: Sequence[str], folds: int, seed: int = 0) -> IntArray:
    """Return the stratified fold of each row; fewer folds than asked for if a class has fewer rows.

    ``targets`` (n,) class positions; equal arguments give equal folds.

    Raises
    ------
    UserError
        If a class has fewer than two rows: one in the fold and one to learn it from are the least there can be.
    """
    counts = np.bincount(targets, minlength=len(classes))
    if counts.min() < 2:
        short = int(counts.argmin())
        raise UserError(
            f"The teacher has {counts[short]} training rows of {classes[short]}; its calibration needs at least 2 of every class.",
            where="tuning.seeding.min_per_class",
            remedy="Raise it to 2 or more, or use larger seeds.",
        )
    out = np.zeros(len(targets), dtype=np.int64)
    splitter = StratifiedKFold(min(folds, int(counts.min())), shuffle=True, random_state=seed)
    for fold, (_, held) in enumerate(splitter.split(np.zeros(len(targets)), targets)):
        out[held] = fold
    return out


def fit_teacher(
    texts: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    settings: params.Teacher,
    *,
    embed: Embed | None = None,
    encoder_folder: Path | None = None,
    finetuning: params.FineTuning | None = None,
    seed: int = 0,
    name: TeacherName = "seed",
) -> tuple[Teacher, OutOfFold]:
    """Fit a teacher on n labelled texts, and its temperature on out-of-fold logits of the very same rows.

    No row beyond those given is used. The temperature is fitted on models that saw a fold less than the final one, which
    errs, if at all, towards too little confidence.

    Parameters
    ----------
    texts, labels, classes
        Training rows, each class with at least two.
    settings
        Kind, and number of folds.
    embed
        Texts to (n, d) embeddings, e.g. ``EmbeddingCache.embed``; kind ``embedding`` only.
    encoder_folder, finetuning
        Model folder and settings (None: the defaults); kind ``finetuned`` only.
    seed
        Of the folds and of fine-tuning.
    name
        ``oracle`` marks a teacher that is given more rows than its seed.

    Raises
    ------
    UserError
        If a class has fewer than two rows, or a label is not a class.
    """
    texts, labels = list(texts), list(labels)
    targets = label_indices(labels, classes)
    fold = fold_of_rows(targets, classes, settings.folds, seed)

    def fit(rows: IntArray) -> _Model:
        chosen = [int(row) for row in rows]
        return _fit([texts[row] for row in chosen], [labels[row] for row in chosen], classes, settings.kind, embed, encoder_folder, finetuning, seed)  # fmt: skip

    logits = np.zeros((len(texts), len(classes)))
    for held in range(int(fold.max()) + 1):
        inside = np.flatnonzero(fold == held)
        logits[inside] = _logits(fit(np.flatnonzero(fold != held)), [texts[int(row)] for row in inside], len(classes))
    temperature = fit_temperature(logits, targets)
    teacher = Teacher(name, settings.kind, list(classes), temperature, len(texts), fit(np.arange(len(texts))))
    return teacher, OutOfFold(logits, targets, fold)


class Teachers(Mapping[TeacherKey, Teacher]):
    """The teachers of all seeds, by (name, size, repeat); each is fitted when it is first asked for, and once.

    The oracle does not depend on the seed: one model stands under every size and repeat.

    Parameters
    ----------
    train
        Training rows: columns id, text, label. Validation and test rows are not to be handed in.
    order
        Seeds: columns repeat, rank, id, label.
    fit
        Called with texts, labels, repeat and name.
    """

    def __init__(
        self,
        train: pd.DataFrame,
        order: pd.DataFrame,
        seeding: params.Seeding,
        oracle: bool,
        fit: Callable[[list[str], list[str], int, TeacherName], tuple[Teacher, OutOfFold]],
    ) -> None:
        self._train, self._order, self._fit = train, order, fit
        self._position = {row: position for position, row in enumerate(train["id"])}
        strange = sorted(set(order["id"]) - set(self._position))
        if strange:
            raise UserError(
                f"{len(strange)} rows of the seeds are not training rows of the corpus; the first is {strange[0]}.",
                where="the order of seeds",
                remedy="Make corpora and seeds again; nothing may be trained on this.",
            )
        self.names: tuple[TeacherName, ...] = ("seed", "oracle") if oracle else ("seed",)
        self._keys: list[TeacherKey] = [
            (name, size, repeat) for name in self.names for size in seeding.sizes for repeat in range(seeding.repeats)
        ]
        self._fitted: dict[TeacherKey, tuple[Teacher, OutOfFold]] = {}

    def __iter__(self) -> Iterator[TeacherKey]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys  # the default would fit a teacher to find out

    def __getitem__(self, key: TeacherKey) -> Teacher:
        return self._get(key)[0]

    def _get(self, key: TeacherKey) -> tuple[Teacher, OutOfFold]:
        if key not in self._keys:
            raise KeyError(key)
        name, size, repeat = key
        kept: TeacherKey = key if name == "seed" else ("oracle", 0, 0)
        if kept not in self._fitted:
            if name == "seed":
                rows = self._train.iloc[self._seed_positions(size, repeat)]
                labels = seed_rows(self._order, repeat, size)["label"].tolist()
            else:
                rows, labels, repeat = self._train, self._train["label"].tolist(), 0
            self._fitted[kept] = self._fit(rows["text"].tolist(), labels, repeat, name)
        return self._fitted[kept]

    def _seed_positions(self, size: int, repeat: int) -> list[int]:
        return [self._position[row] for row in seed_rows(self._order, repeat, size)["id"]]

    def seed(self, size: int, repeat: int) -> Teacher:
        """Return the teacher of a seed, in the form that `emosynth.verification.verify` calls."""
        return self["seed", size, repeat]

    def out_of_fold(self, key: TeacherKey) -> OutOfFold:
        """Return the out-of-fold logits of a seed's rows in rank order.

        Those of the oracle are the same rows, each scored by a model fitted on the other folds of the training split.
        """
        name, size, repeat = key
        found = self._get(key)[1]
        return found if name == "seed" else found.take(self._seed_positions(size, repeat))

    def out_of_folds(self) -> dict[TeacherKey, OutOfFold]:
        """Return `out_of_fold` of every teacher; fits those that are not fitted yet."""
        return {key: self.out_of_fold(key) for key in self}


def build_teachers(
    corpus: Corpus,
    order: pd.DataFrame,
    seeding: params.Seeding,
    settings: params.Teacher,
    encoder: str,
    catalog: Catalog,
    paths: Paths,
    finetuning: params.FineTuning,
    asked: Sequence[str] = (),
) -> Teachers:
    """Return the teachers of every seed, and the oracle if it is wanted; only training rows are taken from the corpus.

    Parameters
    ----------
    order
        Seeds of the corpus.
    encoder
        Catalogue entry; fetched unless the teacher is of kind ``tfidf``.
    asked
        Texts that the teachers will be asked about; if they read embeddings, those are made at once, in full batches.

    Raises
    ------
    UserError
        If the corpus has several labels a row, or a seed row is not a training row.
    """
    if corpus.task != "single":
        raise UserError(
            f"A teacher needs one label a row; {corpus.name} has several.", where="tuning.corpus", remedy="Name a single-label corpus."
        )
    rows = corpus.split("train")
    train = pd.DataFrame({"id": rows["id"], "text": rows["text"], "label": primary_labels(rows, corpus.classes)})
    folder = catalog.fetch(encoder) if settings.kind != "tfidf" else None
    embed = embedding_cache(folder, paths.cache).embed if folder is not None and settings.kind == "embedding" else None
    if embed is not None and asked:
        embed(asked, say)

    def fit(texts: list[str], labels: list[str], repeat: int, name: TeacherName) -> tuple[Teacher, OutOfFold]:
        return fit_teacher(
            texts, labels, corpus.classes, settings, embed=embed, encoder_folder=folder, finetuning=finetuning, seed=repeat, name=name
        )

    return Teachers(train, order, seeding, settings.oracle, fit)


# --- tables ---------------------------------------------------------------------------------------------


def calibration_tables(
    teachers: Mapping[TeacherKey, Teacher], out_of_folds: Mapping[TeacherKey, OutOfFold], corpus: Corpus
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the temperatures are worth, on out-of-fold seed rows and on the test split.

    The test split is read for this report only, after all teachers were fitted; nothing is chosen by it. Out-of-fold rows
    are what a seed's temperature was fitted on, so only the test rows are an independent check of it.

    Returns
    -------
    calibration
        teacher, size, repeat, rows ('out-of-fold seed' or 'test'), n, temperature, macro_f1, accuracy, ece_before,
        ece_after, nll_before, nll_after (nats). Macro-F1 and accuracy are the same before and after.
    reliability
        teacher, size, repeat, rows, scaled, bin, confidence, accuracy, n: bins of equal mass.

    Notes
    -----
    The oracle is one model: its test rows are the same under every size and repeat.
    """
    fitted = {key: (teacher, out_of_folds[key]) for key, teacher in teachers.items()}
    test = corpus.split("test")
    test_texts = test["text"].tolist()
    test_targets = label_indices(primary_labels(test, corpus.classes), corpus.classes)
    of_test: dict[int, FloatArray] = {}
    calibration, bins = [], []
    for (name, size, repeat), (teacher, out_of_fold) in fitted.items():
        if id(teacher) not in of_test:
            of_test[id(teacher)] = teacher.logits(test_texts)
        for rows, logits, targets in (
            ("out-of-fold seed", out_of_fold.logits, out_of_fold.targets),
            ("test", of_test[id(teacher)], test_targets),
        ):
            key = {"teacher": name, "size": size, "repeat": repeat, "rows": rows}
            probabilities = {False: scaled_softmax(logits, 1.0), True: scaled_softmax(logits, teacher.temperature)}
            before, after = (score(probabilities[scaled], targets) for scaled in (False, True))
            calibration.append(
                {
                    **key,
                    "n": len(targets),
                    "temperature": teacher.temperature,
                    "macro_f1": after.macro_f1,
                    "accuracy": after.accuracy,
                    "ece_before": before.ece,
                    "ece_after": after.ece,
                    "nll_before": before.nll,
                    "nll_after": after.nll,
                }
            )
            for scaled, values in probabilities.items():
                bins += [
                    {**key, "scaled": scaled, "bin": position, "confidence": confidence, "accuracy": accuracy, "n": int(n)}
                    for position, (confidence, accuracy, n) in enumerate(reliability(values, targets))
                ]
    return pd.DataFrame(calibration), pd.DataFrame(bins)


def soft_labels(candidates: pd.DataFrame, teachers: Teachers) -> pd.DataFrame:
    """Return the logits that every teacher gives to every candidate of its seed.

    A teacher scores each distinct text once.

    Parameters
    ----------
    candidates
        Columns candidate_id, size, repeat, text.

    Returns
    -------
    pandas.DataFrame
        candidate_id, teacher, logits (list of k floats in the order of the classes, unscaled), temperature (of the
        teacher); one row a candidate and teacher, in the order of the candidates, teacher by teacher.

    Raises
    ------
    UserError
        If a candidate belongs to a seed that no teacher was fitted on.
    """
    texts = candidates["text"].tolist()
    cells = list(zip(candidates["size"].astype(int), candidates["repeat"].astype(int), strict=True))
    strange = sorted(set(cells) - {(size, repeat) for _, size, repeat in teachers})
    if strange:
        raise UserError(
            f"There are candidates of a seed of {strange[0][0]} rows, repeat {strange[0][1]}, which has no teacher.",
            where="candidates",
            remedy="Make the candidates again with the seeds of tuning.seeding.",
        )
    frames = []
    for name in teachers.names:
        of_teacher: dict[int, list[int]] = {}
        known: dict[int, Teacher] = {}
        for position, (size, repeat) in enumerate(cells):
            teacher = teachers[name, size, repeat]
            known[id(teacher)] = teacher
            of_teacher.setdefault(id(teacher), []).append(position)
        logits: list[list[float]] = [[] for _ in texts]
        temperature = np.full(len(texts), np.nan)
        for mark, positions in of_teacher.items():
            distinct = list(dict.fromkeys(texts[position] for position in positions))
            found = dict(zip(distinct, known[mark].logits(distinct).tolist(), strict=True))
            for position in positions:
                logits[position] = found[texts[position]]
            temperature[positions] = known[mark].temperature
        frames.append(
            pd.DataFrame(
                {"candidate_id": candidates["candidate_id"].to_numpy(), "teacher": name, "logits": logits, "temperature": temperature}
            )
        )
    return pd.concat(frames, ignore_index=True)
