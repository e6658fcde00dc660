"""Step 08 from files: every student on every run, with a cache by content so that a killed run resumes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
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
from emosynth.distillation import gaps as gap_code
from emosynth.distillation import phenomena, rows, students
from emosynth.distillation.design import VARIANTS, Design, Run
from emosynth.distillation.gaps import Gaps
from emosynth.distillation.rows import RowBuilder, Rows
from emosynth.distillation.students import LinearDistilled, Student, TinyDistilled
from emosynth.distillation.teacher import Teachers
from emosynth.learning import scores
from emosynth.learning.arms import Grower
from emosynth.learning.fit import HeldOut
from emosynth.learning.run import held_out_of
from emosynth.learning.scores import macro_f1, score
from emosynth.models import classifiers, encoders
from emosynth.models.classifiers import label_indices
from emosynth.models.distil import encoder, linear, loss
from emosynth.models.distil import rows as distil_rows
from emosynth.models.embeddings import embedding_cache
from emosynth.params import Corpora, Distillation, Synthesis, Training, Tuning
from emosynth.paths import Paths
from emosynth.progress import Progress
from emosynth.seeding import seed_rows
from emosynth.store import RowStore

_VERSIONS = ("numpy", "scikit-learn", "scipy", "nltk", "torch", "transformers")
_CODE = (text, classifiers, encoders, scores, linear, loss, encoder, distil_rows, students, gap_code, phenomena, rows)
"""Modules whose code makes a score: when one changes, kept scores are not its scores any more."""

SCORES = [
    "corpus", "student", "sweep", "value", "arm", "verified", "labels", "variant", "size", "repeat", "n_real", "n_synthetic", "n_wanted",
    "n_generated", "tau", "beta", "alpha", "temperature", "growth", "c", "validation_macro_f1", "macro_f1", "accuracy", "ece", "nll",
    "reported_macro_f1",
]  # fmt: skip
_PER_CLASS = ["student", "sweep", "arm", "verified", "labels", "size", "repeat", "label", "precision", "recall", "f1", "support"]
_GAPS = ["student", "arm", "verified", "labels", "size", "repeat", "grouping", "group", "n", "accuracy", "f1", "share"]


@dataclass(frozen=True)
class Result:
    """What is kept of one run."""

    value: Mapping[str, Any]
    rows: Rows


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode("ascii")).hexdigest()


def _numbers(array: np.ndarray | None) -> str:
    # Ten digits: what the cache is keyed by must not change with the last bit of a product.
    return "" if array is None else hashlib.sha256(np.round(np.asarray(array, dtype=float), 10).tobytes()).hexdigest()


def _key(student: Student, run: Run, made: Rows, held_out: str, seed: str) -> str:
    setting = [run.alpha, run.temperature] if made.teacher is not None else []
    return _digest(
        student.identity, held_out, seed, setting, made.texts, made.labels, _numbers(made.weights), _numbers(made.teacher), made.validation,
        made.test, made.batch_weights, run.repeat,
    )  # fmt: skip


def _evaluate(student: Student, run: Run, made: Rows, held_out: HeldOut, gaps: Gaps) -> dict[str, Any]:
    fitted = student.run(run, made, held_out)
    found = score(fitted.test, held_out.test_targets)
    reported = found.macro_f1
    if len(made.test[0]):
        mixed = np.concatenate([held_out.test_targets, label_indices(list(made.test[1]), held_out.classes)]).astype(np.int64)
        reported = macro_f1(np.vstack([fitted.test, fitted.mixed]), mixed)
    table = gaps.table(fitted.test.argmax(axis=1))
    return {
        "c": None if math.isnan(fitted.c) else fitted.c,
        "validation_macro_f1": fitted.validation_macro_f1,
        "macro_f1": found.macro_f1,
        "accuracy": found.accuracy,
        "ece": found.ece,
        "nll": found.nll,
        "reported_macro_f1": reported,
        "per_class": found.per_class,
        "gaps": [
            {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
            for row in table.to_dict(orient="records")
        ],
    }


def _student(name: str, settings: Distillation, training: Training, catalog: Catalog, paths: Paths) -> Student:
    if name == "tfidf":
        return LinearDistilled(settings)
    folder = catalog.fetch(training.encoder)
    cache = embedding_cache(folder, paths.cache)
    if name == "embedding":
        return LinearDistilled(settings, cache.embed, cache.encoder.hash)
    return TinyDistilled(settings, folder, cache.encoder.hash)


def run_distillation(
    corpus: Corpus,
    order: pd.DataFrame,
    candidates: pd.DataFrame,
    logits: pd.DataFrame,
    teachers: Teachers,
    *,
    corpora: Corpora,
    tuning: Tuning,
    synthesis: Synthesis,
    distillation: Distillation,
    training: Training,
    catalog: Catalog,
    paths: Paths,
    lexicon: Mapping[str, float] | None = None,
) -> dict[str, pd.DataFrame]:
    """Train every student of the design and write ``scores``, ``per_class`` and ``gaps``.

    Parameters
    ----------
    corpus
        All splits: test rows are scored here, and kept out of training rows.
    candidates, logits
        Of step 07.
    teachers
        Give real rows their soft labels.
    lexicon
        Valence lexicon for the phenomena that need one.

    Raises
    ------
    UserError
        If a real training row repeats a test row, or nothing was accepted.
    """
    design = Design(tuning, synthesis, distillation)
    real = training.model_copy(update={"real_expansions": distillation.real_expansions, "balanced_real": []})
    grower = Grower(
        corpus,
        order,
        candidates,
        seeding=tuning.seeding,
        generation=synthesis.generation,
        training=real,
        near_duplicate=corpora.near_duplicate,
    )
    builder = RowBuilder(corpus, grower, logits, teachers)
    held_out = held_out_of(corpus)
    texts = dict(zip(corpus.frame["id"], corpus.frame["text"], strict=True))
    first_gaps: Gaps | None = None
    by_seed: dict[tuple[int, int], Gaps] = {}
    runs = design.runs()
    progress = Progress(len(runs), "distillation", "students")
    held = _digest(held_out.classes, held_out.validation_texts, held_out.validation_targets.tolist(), held_out.test_texts,
                   held_out.test_targets.tolist(), {name: version(name) for name in _VERSIONS},
                   [Path(str(module.__file__)).read_text(encoding="utf-8") for module in _CODE], dict(lexicon or {}))  # fmt: skip
    made_students: dict[str, Student] = {name: _student(name, distillation, training, catalog, paths) for name in distillation.students}
    score_rows: list[dict[str, Any]] = []
    class_rows: list[dict[str, Any]] = []
    gap_rows: list[dict[str, Any]] = []
    with RowStore(paths.cache / "rows" / "students.jsonl") as store:
        for run in runs:
            made = builder.build(run, distillation.sweeps.tau)
            if made is None:
                progress.skip(1)
                continue
            seed = [texts[row] for row in seed_rows(order, run.repeat, run.size)["id"]]
            key = _key(made_students[run.student], run, made, held, _digest(seed))
            if key in store:
                progress.skip(1)
            else:
                cell = (run.size, run.repeat)
                if first_gaps is None:
                    first_gaps = Gaps(held_out.test_texts, held_out.test_targets, corpus.classes, seed, lexicon)
                if cell not in by_seed:
                    by_seed[cell] = first_gaps.for_seed(seed)
                store.commit({key: _evaluate(made_students[run.student], run, made, held_out, by_seed[cell])})
                progress.advance()
            value = store.get(key)
            score_rows.append(_score_row(corpus.name, run, made, value))
            if run.sweep == "main":
                head = {name: getattr(run, name) for name in ("student", "arm", "verified", "size", "repeat")}
                head["labels"] = "soft" if made.teacher is not None else "hard"
                class_rows += [
                    {**head, "sweep": run.sweep, "label": label, **{name: values[place] for name, values in value["per_class"].items()}}
                    for place, label in enumerate(corpus.classes)
                ]
                gap_rows += [{**head, **row} for row in value["gaps"]]
    tables = {
        "scores": pd.DataFrame(score_rows, columns=SCORES),
        "per_class": pd.DataFrame(class_rows, columns=_PER_CLASS),
        "gaps": pd.DataFrame(gap_rows, columns=_GAPS).astype({"f1": float}),
    }
    for name, frame in tables.items():
        write_table(frame, paths.distillation / f"{name}.parquet", _card(name, corpus, distillation, len(runs)))
    return tables


def _score_row(corpus: str, run: Run, made: Rows, value: Mapping[str, Any]) -> dict[str, Any]:
    plain = ("student", "sweep", "value", "arm", "verified", "variant", "size", "repeat", "tau", "beta", "alpha", "temperature")
    return {
        "corpus": corpus,
        **{name: getattr(run, name) for name in plain},
        "labels": "soft" if made.teacher is not None else "hard",
        "n_real": made.n_real,
        "n_synthetic": made.n_synthetic,
        "n_wanted": made.n_wanted,
        "n_generated": made.n_generated,
        "growth": made.n_synthetic / run.size,
        "c": float("nan") if value["c"] is None else value["c"],
        **{name: value[name] for name in ("validation_macro_f1", "macro_f1", "accuracy", "ece", "nll", "reported_macro_f1")},
    }


_WHAT = {
    "scores": "One trained student a row: what it was trained on, with what settings, and its scores on the untouched test split.",
    "per_class": "Precision, recall and F1 of each class, for the models of the main contrast.",
    "gaps": "Scores of the models of the main contrast on groups of test rows: by class, lexical coverage of the seed, and phenomenon.",
}


def _card(name: str, corpus: Corpus, settings: Distillation, runs: int) -> Card:
    columns: dict[str, str] = {}
    if name == "scores":
        columns = {
            "sweep": "what the run belongs to; sweeps vary one setting around the headline",
            "value": "the value that a sweep varies",
            "labels": "hard: the intended labels; soft: the teacher's as well, weighted by alpha",
            "variant": f"of the ablation: {', '.join(VARIANTS)}",
            "n_generated": "candidates that had to be generated to get the synthetic rows",
            "growth": "synthetic rows per seed row",
            "reported_macro_f1": "what the protocol of the run would report; differs from macro_f1 if synthetic rows are among the test rows",
        }
    if name == "gaps":
        columns = {"f1": "macro-F1 of the group; missing if a class does not occur in it", "share": "of test rows"}
    return Card(
        title=f"Distilled students on {corpus.name}: {name}",
        what=_WHAT[name],
        made=f"Step 08 (distillation). Headline: arm {settings.arm}, α {settings.alpha}, T {settings.temperature}, β {settings.beta}.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash)],
        columns=columns,
        counts={"runs": runs},
        limits=[
            "The regularisation strength is chosen on the validation split: labels that a poor seed could not afford, for every arm alike."
        ],
        licence=corpus.licence,
        languages=corpus.languages,
        tags=["evaluation", "distillation"],
    )


def headline(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return mean macro-F1 of the main contrast at the largest seed: a row an arm, a column a student."""
    frame = tables["scores"]
    main = frame[(frame["sweep"] == "main") & (frame["size"] == frame["size"].max())]
    names: Sequence[str] = ["arm", "verified", "labels"]
    return main.pivot_table(index=list(names), columns="student", values="macro_f1", aggfunc="mean", sort=False)
