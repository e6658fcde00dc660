"""The transfer runs: every learner, target and regime, cached by content so that a killed run resumes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import f1_score

from emosynth import text
from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.models import classifiers, encoders, multilabel
from emosynth.models.classifiers import FloatArray
from emosynth.models.multilabel import binarise, choose_thresholds, linear, metrics, per_class, scores, thresholds
from emosynth.models.multilabel import encoder as encoder_code
from emosynth.params import Transfer
from emosynth.progress import Progress, say
from emosynth.store import RowStore
from emosynth.taxonomy import LabelMap, Taxonomies
from emosynth.transfer import learners, rows
from emosynth.transfer.design import Run, list_runs
from emosynth.transfer.learners import Embed, Fitted, Job, Learner, digest, make_learners, numbers
from emosynth.transfer.rows import Rows, Synthetic, Target, as_synthetic, build_target, joint, other_rows, synthetic_rows

NEAR_DUPLICATE = 0.8

_VERSIONS = ("numpy", "scikit-learn", "scipy", "nltk", "torch", "transformers")
_CODE = (text, classifiers, encoders, multilabel, encoder_code, linear, metrics, thresholds, learners, rows)
"""Modules whose code makes a score: when one changes, kept scores are not its scores any more."""

_KEPT = ("macro_f1", "micro_f1", "lrap", "macro_average_precision", "accuracy", "ece", "brier", "validation_macro_f1")
SCORES = [
    "target", "task", "learner", "regime", "arm", "kind", "size", "repeat", "n_real", "n_synthetic", "c", "thresholds", *_KEPT,
]  # fmt: skip
PER_CLASS = [
    "target", "learner", "regime", "arm", "size", "repeat", "label", "precision", "recall", "f1", "support", "threshold",
]  # fmt: skip
HEADLINE = {"single": "argmax", "multi": "validation"}
"""Thresholds of the headline macro-F1 by task."""


def code_identity() -> dict[str, str]:
    """Return versions of the libraries and a hash of the code that kept results depend on."""
    found = {name: version(name) for name in _VERSIONS}
    files = [*(str(module.__file__) for module in _CODE), __file__]
    return {**found, "code": digest([Path(file).read_text(encoding="utf-8") for file in files])}


def target_digest(target: Target) -> str:
    """Return a hash of the rows that a target is chosen and scored on."""
    return digest(target.task, target.labels, target.validation_texts, numbers(target.validation), target.test_texts, numbers(target.test))


def job_key(learner: Learner, job: Job, target: str, code: Mapping[str, str]) -> str:
    """Return the key of a run's scores: what it is trained with and on, and what it is scored on."""
    first = None if job.first is None else [job.first.texts, numbers(job.first.soft), numbers(job.label_map.matrix)]
    second = None if job.second is None else [job.second.texts, numbers(job.second.targets), numbers(job.second.weights)]
    seeded = [job.regime, job.seed] if learner.name == "encoder" else []
    return digest(learner.identity, seeded, first, second, target, dict(code))


def evaluate(fitted: Fitted, target: Target) -> dict[str, Any]:
    """Return the scores of one model on the test rows, by thresholds, as the cache keeps them.

    Single-label: ``argmax``, the most probable label. Multi-label: ``validation``, thresholds chosen on the validation rows, and
    ``none``, 0.5 for all labels. Every row of a corpus has a label, so a row without any gets its most probable one.
    ``accuracy`` is the share of rows whose set of labels is exactly right.
    """
    found: dict[str, Any] = {"c": None if math.isnan(fitted.c) else fitted.c, "scores": {}}
    sure: dict[str, tuple[FloatArray, FloatArray, npt.ArrayLike]]
    if target.single:
        sure = {"argmax": (_one_hot(fitted.validation), _one_hot(fitted.test), 0.5)}
    else:
        chosen = choose_thresholds(fitted.validation, target.validation)
        sure = {"validation": (fitted.validation, fitted.test, chosen), "none": (fitted.validation, fitted.test, 0.5)}
    ranked = scores(fitted.test, target.test)
    for name, (validation, test, limits) in sure.items():
        decided = {split: binarise(p, limits, at_least_one=True) for split, p in (("validation", validation), ("test", test))}
        truth = {"validation": target.validation.astype(bool), "test": target.test.astype(bool)}
        values = {
            "macro_f1": _f1(truth["test"], decided["test"], "macro"),
            "micro_f1": _f1(truth["test"], decided["test"], "micro"),
            **{measure: ranked[measure] for measure in ("lrap", "macro_average_precision", "ece", "brier")},
            "accuracy": float((decided["test"] == truth["test"]).all(axis=1).mean()),
            "validation_macro_f1": _f1(truth["validation"], decided["validation"], "macro"),
        }
        found["scores"][name] = {measure: None if math.isnan(value) else value for measure, value in values.items()}
    _, test, limits = sure[HEADLINE[target.task]]
    table = per_class(test, target.test, limits, target.labels, at_least_one=True)
    found["per_class"] = {str(name): column.tolist() for name, column in table.items()}
    return found


def _f1(truth: npt.NDArray[np.bool_], decided: npt.NDArray[np.bool_], average: Literal["macro", "micro"]) -> float:
    return float(f1_score(truth, decided, average=average, zero_division=0.0))


def _one_hot(probabilities: FloatArray) -> FloatArray:
    return np.asarray(np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)], dtype=np.float64)


class _Builder:
    """Builds the job of each run."""

    def __init__(
        self, targets: Mapping[str, Target], corpora: Mapping[str, Corpus], taxonomies: Taxonomies, maps: Mapping[str, LabelMap],
        synthetic: Mapping[str, Synthetic], near_duplicate: float,
    ) -> None:  # fmt: skip
        self.targets, self.corpora, self.taxonomies, self.maps = targets, corpora, taxonomies, maps
        self.synthetic, self.near_duplicate = synthetic, near_duplicate
        self._others: dict[str, Rows | None] = {}

    def _other(self, target: Target) -> Rows | None:
        if target.name not in self._others:
            found, left = other_rows(target, self.corpora, self.taxonomies, self.near_duplicate)
            for name, why in left.items():
                say(f"transfer: {name} is left out for {target.name}: {why} to {target.taxonomy}")
            if found is None:
                say(f"transfer: no other corpus can train for {target.name}; leave-one-out is left out")
            self._others[target.name] = found
        return self._others[target.name]

    def build(self, run: Run) -> Job | None:
        """Return what a run is trained on; None if there is nothing."""
        target, label_map = self.targets[run.target], self.maps[run.target]
        synthetic = self.synthetic.get(run.arm)
        if run.regime == "zero-shot":
            return Job(run.regime, synthetic, label_map, None, run.repeat)
        if run.regime == "leave-one-out":
            others = self._other(target)
            return None if others is None else Job(run.regime, None, label_map, others, run.repeat)
        seed = target.seed(run.size, run.repeat)
        if run.regime == "joint":
            assert synthetic is not None  # list_runs names arms that were drawn
            seed = joint(seed, target.moved(synthetic.texts, synthetic.soft, label_map))
        return Job(run.regime, synthetic if run.regime == "two-stage" else None, label_map, seed, run.repeat)


def run_transfer(
    params: Transfer,
    corpora: Mapping[str, Corpus],
    taxonomies: Taxonomies,
    rows: pd.DataFrame,
    *,
    cache: Path,
    source: str = "goemotions",
    embed: Embed | None = None,
    encoder_folder: Path | None = None,
    encoder_hash: str = "",
    near_duplicate: float = NEAR_DUPLICATE,
) -> dict[str, pd.DataFrame]:
    """Train and score every run of the design.

    Settings and thresholds are chosen on the *whole* validation split of a target, as in the training step: labels that a
    poor seed could not afford, for every regime alike. A fifth of a seed of a hundred rows would hold no row at all of most
    of 28 classes. The test split is scored once a model.

    Parameters
    ----------
    corpora
        The targets, and what else leave-one-out may train on.
    rows
        Synthetic rows, see `emosynth.transfer.rows.COLUMNS`.
    cache
        Folder of the score cache and of the pre-trained states.
    source
        Taxonomy of the synthetic rows.
    embed, encoder_folder, encoder_hash
        Of the base encoder; None if no learner needs it.

    Returns
    -------
    dict
        ``scores``, one row a model and choice of thresholds (see `evaluate`), and ``per_class`` for target-only and two-stage models at
        the headline thresholds.

    Raises
    ------
    UserError
        If a target is not among the corpora, has no taxonomy or no map, or the synthetic rows do not fit.
    """
    targets = targets_of(params, corpora, taxonomies)
    taxonomy = taxonomies.get(source)
    maps = {name: taxonomies.map(source, target.taxonomy) for name, target in targets.items()}
    drawn = synthetic_rows(rows, taxonomy, list(targets.values()), params, near_duplicate)
    synthetic = {arm: as_synthetic(part) for arm, part in drawn.items()}
    made = make_learners(params, taxonomy.labels, embed, encoder_folder, encoder_hash, cache)
    builder = _Builder(targets, corpora, taxonomies, maps, synthetic, near_duplicate)
    score_rows: list[dict[str, Any]] = []
    class_rows: list[dict[str, Any]] = []
    runs = list_runs(params)
    progress = Progress(len(runs), "transfer", "models")
    held = {name: target_digest(target) for name, target in targets.items()}
    code = code_identity()
    with RowStore(cache / "rows" / "transfer.jsonl") as store:
        for run in runs:
            target, learner = targets[run.target], made[run.learner]
            job = builder.build(run)
            if job is None:
                progress.skip(1)
                continue
            value = scored(learner, job, target, job_key(learner, job, held[run.target], code), store, progress)
            head = {name: getattr(run, name) for name in ("target", "learner", "regime", "arm", "kind", "size", "repeat")}
            n_synthetic = (job.second.n_synthetic if job.second else 0) + (len(job.first.texts) if job.first else 0)
            counts = {"n_real": job.second.n_real if job.second else 0, "n_synthetic": n_synthetic}
            for name, found in value["scores"].items():
                score_rows.append({**head, "task": target.task, **counts, "c": _nan(value["c"]), "thresholds": name,
                                   **{measure: _nan(found[measure]) for measure in _KEPT}})  # fmt: skip
            if run.regime in ("target", "two-stage"):
                columns = value["per_class"]
                class_rows += [{**head, **{name: columns[name][place] for name in columns}} for place in range(len(target.labels))]
    return {"scores": pd.DataFrame(score_rows, columns=SCORES), "per_class": pd.DataFrame(class_rows, columns=PER_CLASS)}


def targets_of(params: Transfer, corpora: Mapping[str, Corpus], taxonomies: Taxonomies) -> dict[str, Target]:
    """Return the targets by name.

    Raises
    ------
    UserError
        If a target is not among the corpora.
    """
    for name in params.targets:
        if name not in corpora:
            raise UserError(f"The target {name} is not built.", where="transfer.targets", remedy="Add it to corpora.also.")
    return {name: build_target(corpora[name], taxonomies, params.seeding) for name in params.targets}


def scored(learner: Learner, job: Job, target: Target, key: str, store: RowStore, progress: Progress) -> dict[str, Any]:
    """Return the kept scores of a run; it is trained if the store lacks them."""
    if key in store:
        progress.skip(1)
    else:
        store.commit({key: evaluate(learner.run(job, target), target)})
        progress.advance()
    found: dict[str, Any] = store.get(key)
    return found


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value
