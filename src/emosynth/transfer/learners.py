"""Learners of one or two stages: fit on the rows of a run, choose on validation, predict the test split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from emosynth.errors import UserError
from emosynth.models.classifiers import FloatArray, TfidfFeatures, embedding_features
from emosynth.models.multilabel import EncoderSettings, EncoderState, MultiLabelEncoder, OneVsRest, scores
from emosynth.params import Transfer, TransferEncoder
from emosynth.progress import say
from emosynth.taxonomy import LabelMap
from emosynth.transfer.design import Regime
from emosynth.transfer.rows import Rows, Synthetic, Target, head_map

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Job:
    """What one model is trained on.

    Attributes
    ----------
    first
        Synthetic rows of the first stage, in the labels of their own taxonomy; None: there is one stage.
    label_map
        From that taxonomy to the target's.
    second
        Rows of the second (or only) stage; None: the first stage is all there is (zero-shot).
    seed
        Of the encoder's training.
    """

    regime: Regime
    first: Synthetic | None
    label_map: LabelMap
    second: Rows | None
    seed: int


@dataclass(frozen=True)
class Fitted:
    """(n, k) probabilities of the validation and test rows, and the strength chosen (NaN for the encoder)."""

    c: float
    validation: FloatArray
    test: FloatArray


class Learner(Protocol):
    """Fits and predicts; ``identity`` holds what can change the result besides job and target."""

    name: str
    identity: dict[str, Any]

    def run(self, job: Job, target: Target) -> Fitted:
        """Return predictions for the held-out rows."""
        ...


def digest(*parts: Any) -> str:
    """Return a SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode("ascii")).hexdigest()


def numbers(array: npt.ArrayLike) -> str:
    """Return a SHA-256 of numbers; ten digits count, so that it does not change with the last bit of a product."""
    values = np.asarray(array, dtype=float)
    return digest(list(values.shape), hashlib.sha256((np.round(values, 10) + 0.0).tobytes()).hexdigest())


def value_on_validation(probabilities: FloatArray, target: Target) -> float:
    """Return what settings are chosen by: macro-F1 of the most probable label, or macro average precision of several labels.

    The latter, since it needs no thresholds: macro-F1 at thresholds chosen on the very same rows favours models that overfit them.
    """
    found = scores(probabilities, target.validation)
    return found["argmax_macro_f1" if target.single else "macro_average_precision"]


class Linear:
    """One logistic regression a label, on TF-IDF or on embeddings; the first stage is the prior of the second.

    TF-IDF terms are those of the rows of both stages. Inverse strengths are chosen on validation, ties going to the
    stronger penalty: that of the first stage by the first stage's own predictions, before any seed is looked at, then
    that of the second.

    Parameters
    ----------
    embed
        Function from texts to (n, d) embeddings of length 1; None: TF-IDF of word 1- and 2-grams.
    """

    def __init__(self, c_grid: Sequence[float], embed: Embed | None = None, encoder_hash: str = "") -> None:
        self.c_grid, self.embed = sorted(c_grid), embed
        self.name = "tfidf" if embed is None else "embedding"
        self.identity = {"learner": self.name, "c_grid": self.c_grid, "encoder": encoder_hash}
        self._first: dict[str, tuple[float, OneVsRest]] = {}

    def _features(self, parts: Sequence[list[str]], fit: Sequence[str]) -> list[Any]:
        if self.embed is None:
            tfidf = TfidfFeatures((1, 2)).fit(fit)
            return [tfidf.transform(texts) for texts in parts]
        return [embedding_features(self.embed(texts)) for texts in parts]

    def _best(self, train: Any, rows: Rows, validation: Any, target: Target, start: OneVsRest | None = None) -> tuple[float, OneVsRest]:
        best: tuple[float, float, OneVsRest] | None = None
        for c in self.c_grid:
            model = OneVsRest(c).fit(train, rows.targets, rows.weights, start)
            found = value_on_validation(model.predict_proba(validation), target)
            if best is None or found > best[0]:
                best = (found, c, model)
        assert best is not None  # the grid is not empty
        return best[1:]

    def _prior(self, rows: Rows, target: Target) -> tuple[float, OneVsRest]:
        """Return strength and model of the first stage on its own; made once, since no seed has a part in it."""
        key = digest(target.name, rows.texts, numbers(rows.targets))
        if key not in self._first:
            train, validation = self._features((rows.texts, target.validation_texts), rows.texts)
            self._first[key] = self._best(train, rows, validation, target)
        return self._first[key]

    def run(self, job: Job, target: Target) -> Fitted:
        """Fit both stages, and predict."""
        first = None if job.first is None else target.moved(job.first.texts, job.first.soft, job.label_map)
        if job.second is None:
            assert first is not None  # a run has rows
            c, model = self._prior(first, target)
            validation, test = self._features((target.validation_texts, target.test_texts), first.texts)
            return Fitted(c, model.predict_proba(validation), model.predict_proba(test))
        texts = [*(first.texts if first else []), *job.second.texts]
        train, validation, test = self._features((job.second.texts, target.validation_texts, target.test_texts), texts)
        start: OneVsRest | None = None
        if first is not None:
            c, start = self._prior(first, target)
            if self.embed is None:  # the terms are others than the prior's own
                start = OneVsRest(c).fit(self._features((first.texts,), texts)[0], first.targets, first.weights)
        c, model = self._best(train, job.second, validation, target, start)
        return Fitted(c, model.predict_proba(validation), model.predict_proba(test))


def encoder_settings(settings: TransferEncoder, steps: int) -> EncoderSettings:
    """Return the settings of one stage."""
    return EncoderSettings(settings.layers, steps, settings.batch, settings.learning_rate, settings.max_tokens)


class Encoder:
    """The fine-tuned encoder: pre-trained in the taxonomy of the synthetic rows, tuned in the target's through the mapped head.

    One pre-training serves all seeds and targets of an arm: it has random seed 0, and its state is kept in the cache by
    content, so that a killed run resumes after it. Repeats therefore differ by seed rows and tuning, not by
    pre-training. ``joint`` and ``target-long`` have the steps of both stages together, ``leave-one-out`` those of the first. Nothing is
    chosen on validation but thresholds.

    Parameters
    ----------
    labels
        Of the synthetic rows' taxonomy.
    cache
        Folder of the states.
    """

    name = "encoder"

    def __init__(self, settings: TransferEncoder, folder: Path, encoder_hash: str, labels: Sequence[str], cache: Path) -> None:
        self.settings, self.folder, self.labels, self.cache = settings, folder, tuple(labels), cache
        self.identity = {"learner": self.name, "settings": settings.model_dump(), "encoder": encoder_hash}
        self._states: dict[str, EncoderState] = {}

    def pretrained(self, rows: Synthetic) -> EncoderState:
        """Return the state after the first stage; trained if the cache lacks it."""
        settings = encoder_settings(self.settings, self.settings.pretrain_steps)
        key = digest(vars(settings), self.identity["encoder"], self.labels, rows.texts, numbers(rows.soft))
        if key not in self._states:
            file = self.cache / key / "state.safetensors"
            try:
                self._states[key] = EncoderState.read(file)
            except UserError:  # not there yet, or damaged: as this is a cache, it is made again
                say(f"transfer: pre-training on {len(rows.texts)} synthetic rows")
                model = MultiLabelEncoder(self.folder, settings, self.labels).fit(rows.texts, rows.soft, progress=say)
                self._states[key] = model.state()
                self._states[key].save(file)
        return self._states[key]

    def _steps(self, regime: Regime) -> int:
        first, second = self.settings.pretrain_steps, self.settings.tune_steps
        return {"joint": first + second, "target-long": first + second, "leave-one-out": first}.get(regime, second)

    def run(self, job: Job, target: Target) -> Fitted:
        """Train, or take the pre-trained state as it is, and predict."""
        state = None if job.first is None else self.pretrained(job.first)
        parts = (target.validation_texts, target.test_texts)
        if job.second is None:
            assert state is not None  # a run has rows
            model = MultiLabelEncoder(self.folder, state.settings, state.labels).load_state(state)
            moved = [job.label_map.project(model.predict_proba(texts), renormalise=target.single) for texts in parts]
            return Fitted(float("nan"), *(np.clip(values, 0.0, 1.0) for values in moved))
        settings = encoder_settings(self.settings, self._steps(job.regime))
        model = MultiLabelEncoder(self.folder, settings, target.labels, seed=job.seed)
        mapped = None if state is None else head_map(job.label_map)
        model.fit(job.second.texts, job.second.targets, job.second.weights, start=state, head_map=mapped)
        return Fitted(float("nan"), *(model.predict_proba(texts) for texts in parts))


def make_learners(
    params: Transfer, labels: Sequence[str], embed: Embed | None, folder: Path | None, encoder_hash: str, cache: Path
) -> dict[str, Learner]:
    """Return the learners of a profile by name.

    Raises
    ------
    UserError
        If a learner needs an encoder and there is none.
    """
    made: dict[str, Learner] = {}
    for name in params.learners:
        if name == "tfidf":
            made[name] = Linear(params.c_grid)
        elif name == "embedding" and embed is not None:
            made[name] = Linear(params.c_grid, embed, encoder_hash)
        elif name == "encoder" and folder is not None:
            made[name] = Encoder(params.encoder, folder, encoder_hash, labels, cache / "transfer")
        else:
            raise UserError(
                f"The learner {name} needs an encoder.", where="transfer.base_encoder", remedy="Name one, or leave the learner out."
            )
    return made
