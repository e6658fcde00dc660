"""Step 04 from files: every arm, size, repeat and learner, with a cache by content so that a killed run resumes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosynth import text
from emosynth.cards import Card, Source, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.learning import fit, scores
from emosynth.learning.arms import Grower, TrainingSet, arm_variants, wanted_by
from emosynth.learning.fit import FineTunedLearner, HeldOut, Learner, LinearLearner
from emosynth.learning.scores import as_dict
from emosynth.models import classifiers, encoders
from emosynth.models.classifiers import label_indices
from emosynth.models.embeddings import embedding_cache
from emosynth.params import Corpora, Generation, Seeding, Training
from emosynth.paths import Paths
from emosynth.progress import Progress
from emosynth.seeding import primary_labels
from emosynth.store import RowStore

_KEYS = ["corpus", "learner", "arm", "verified", "size", "repeat"]
_VERSIONS = ("numpy", "scikit-learn", "scipy", "nltk", "torch", "transformers")
_CODE = (text, classifiers, encoders, fit, scores)
"""Modules whose code makes a score: when one changes, kept scores are not its scores any more."""


@dataclass(frozen=True)
class Task:
    """One training set for one learner."""

    learner: Learner
    rows: TrainingSet


def held_out_of(corpus: Corpus) -> HeldOut:
    """Return the validation and test rows of a single-label corpus."""
    validation, test = corpus.split("validation"), corpus.split("test")
    return HeldOut(
        corpus.classes,
        validation["text"].tolist(),
        label_indices(primary_labels(validation, corpus.classes), corpus.classes),
        test["text"].tolist(),
        label_indices(primary_labels(test, corpus.classes), corpus.classes),
    )


def plan_tasks(grower: Grower, learners: list[Learner], seeding: Seeding, generation: Generation, training: Training) -> list[Task]:
    """Return all tasks, learner by learner; arms that do not run on a size are left out."""
    tasks = []
    for learner in learners:
        part = training.learners[learner.name]  # type: ignore[index]
        for size in part.sizes if part.sizes is not None else seeding.sizes:
            for repeat in range(min(part.repeats or seeding.repeats, seeding.repeats)):
                for arm, verified in arm_variants(generation, training):
                    if wanted_by(part.arms, arm, verified, arm in generation.arms):
                        rows = grower.build(arm, verified, size, repeat)
                        if rows is not None:
                            tasks.append(Task(learner, rows))
    return tasks


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode("ascii")).hexdigest()


def _key(task: Task, held_out: str, versions: dict[str, str]) -> str:
    rows = task.rows
    return _digest(task.learner.identity, held_out, versions, rows.texts, rows.labels, [bool(flag) for flag in rows.synthetic], rows.repeat)


def run_tasks(tasks: list[Task], held_out: HeldOut, store: RowStore) -> list[dict[str, Any]]:
    """Run every task that the store lacks; return one result a task, in order."""
    progress = Progress(len(tasks), "training", "models")
    fingerprint = _digest(
        held_out.classes,
        held_out.validation_texts,
        held_out.validation_targets.tolist(),
        held_out.test_texts,
        held_out.test_targets.tolist(),
    )
    versions = {name: version(name) for name in _VERSIONS}
    versions["code"] = _digest([Path(str(module.__file__)).read_text(encoding="utf-8") for module in _CODE])
    results = []
    for task in tasks:
        key = _key(task, fingerprint, versions)
        if key in store:
            progress.skip(1)
        else:
            fitted = task.learner.run(task.rows, held_out)
            c = None if np.isnan(fitted.c) else fitted.c
            store.commit(
                {
                    key: {
                        "weight": fitted.weight,
                        "c": c,
                        "validation_macro_f1": fitted.validation_macro_f1,
                        "scores": as_dict(fitted.scores),
                    }
                }
            )
            progress.advance()
        results.append(store.get(key))
    return results


def tables_of(tasks: list[Task], results: list[dict[str, Any]], corpus: Corpus) -> dict[str, pd.DataFrame]:
    """Return the tables of the step: scores, per_class, reliability."""
    rows_scored, per_class, reliability = [], [], []
    for task, result in zip(tasks, results, strict=True):
        rows, found = task.rows, result["scores"]
        key = dict(zip(_KEYS, (corpus.name, task.learner.name, rows.arm, rows.verified, rows.size, rows.repeat), strict=True))
        rows_scored.append(
            {
                **key,
                "n_real": rows.n_real,
                "n_synthetic": rows.n_synthetic,
                "n_wanted": rows.n_wanted,
                "n_dropped": rows.n_dropped,
                "weight": result["weight"],
                "c": float("nan") if result["c"] is None else result["c"],
                **{name: found[name] for name in ("macro_f1", "accuracy", "ece", "brier", "nll")},
                "validation_macro_f1": result["validation_macro_f1"],
            }
        )
        for position, label in enumerate(corpus.classes):
            values = {name: found["per_class"][name][position] for name in ("precision", "recall", "f1", "support")}
            per_class.append({**key, "label": label, **values, "n_train": rows.labels.count(label)})
        for position, (confidence, accuracy, count) in enumerate(found["reliability"]):
            reliability.append({**key, "bin": position, "confidence": confidence, "accuracy": accuracy, "count": int(count)})
    bins = pd.DataFrame(reliability)
    if len(bins):
        # Repeats are pooled bin by bin: bins are quantiles of confidence, so the i-th means the same in each.
        bins = bins.groupby(["learner", "arm", "verified", "size", "bin"], sort=False).agg(
            confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), count=("count", "sum")
        )
        bins = bins.reset_index()
    return {"scores": pd.DataFrame(rows_scored), "per_class": pd.DataFrame(per_class), "reliability": bins}


_WHAT = {
    "scores": "Scores on the untouched test split of every arm, seed size, repeat and learner.",
    "per_class": "The same by class.",
    "reliability": "Confidence and accuracy of the predicted class in bins of equal mass, pooled over repeats.",
}


def run_training(
    corpus: Corpus,
    order: pd.DataFrame,
    candidates: pd.DataFrame,
    *,
    corpora: Corpora,
    seeding: Seeding,
    generation: Generation,
    training: Training,
    catalog: Catalog,
    paths: Paths,
) -> dict[str, pd.DataFrame]:
    """Train and score everything, write the tables with their cards, and return them.

    Raises
    ------
    UserError
        If a real training row repeats a test row.
    """
    grower = Grower(
        corpus, order, candidates, seeding=seeding, generation=generation, training=training, near_duplicate=corpora.near_duplicate
    )
    folder = catalog.fetch(training.encoder)
    cache = embedding_cache(folder, paths.cache)
    learners: list[Learner] = []
    for chosen in training.learners:
        if chosen == "finetuned":
            learners.append(FineTunedLearner(training, folder, cache.encoder.hash))
        else:
            learners.append(
                LinearLearner(training, cache.embed if chosen == "embedding" else None, cache.encoder.hash if chosen == "embedding" else "")
            )
    tasks = plan_tasks(grower, learners, seeding, generation, training)
    with RowStore(paths.cache / "rows" / "scores.jsonl") as store:
        results = run_tasks(tasks, held_out_of(corpus), store)
    tables = tables_of(tasks, results, corpus)
    for name, frame in tables.items():
        card = Card(
            title=f"{name} of {corpus.name}",
            what=_WHAT[name],
            made=f"Step 04 (training). Learners {', '.join(training.learners)}; settings chosen on the validation split; test scored once per model.",
            sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash)],
            columns={
                "verified": "whether only accepted candidates were used; false for arms without generated text",
                "n_wanted": "rows the arm was to add",
                "n_dropped": "generated rows left out because they repeat a test or validation text",
                "weight": "weight of generated rows chosen on validation",
                "c": "inverse regularisation strength chosen on validation",
            },
            counts={"models": len(tasks)},
            limits=[
                "The validation split is labelled real text beyond the seed: choosing settings on it is more than a poor seed could afford."
            ],
            licence=corpus.licence,
            languages=corpus.languages,
            tags=["evaluation"],
        )
        write_table(frame, paths.training / f"{name}.parquet", card)
    return tables
