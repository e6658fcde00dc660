"""Step 07 from files: every trial trained and scored, with a cache by content so that a killed run resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import emosynth
from emosynth import pieces
from emosynth.cards import Card, Source, write_table
from emosynth.catalog import Catalog
from emosynth.dependencies import module_files
from emosynth.design.arms import learners_of
from emosynth.design.rows import Rows
from emosynth.design.space import FloatArray
from emosynth.learners.base import Learner, Resources, Task
from emosynth.models.ahead import embed_ahead
from emosynth.models.embeddings import embedding_cache
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import Progress, say
from emosynth.store import RowStore
from emosynth.trials.gaps import gaps_of_trials
from emosynth.trials.plan import Trial, plan_trials
from emosynth.trials.rows import Builder, Built
from emosynth.trials.score import classes_of, score_outcome, test_rows_of
from emosynth.trials.sources import Sources
from emosynth.trials.train import ALONE, Job, Outcome, per_worker, train_all

_VERSIONS = ("numpy", "scikit-learn", "scipy", "nltk", "torch", "transformers", "xgboost")
_CODE = ("emosynth/learners/", "emosynth/models/", "emosynth/design/rows.py", "emosynth/design/space.py", "emosynth/text.py")
"""What a model's code is looked for in: when it changes, kept predictions are not its predictions any more."""


# --- keys -----------------------------------------------------------------------------------------------


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode("ascii")).hexdigest()


def _numbers(array: npt.NDArray[Any] | None) -> str:
    # Ten digits: what the cache is keyed by must not change with the last bit of a product.
    if array is None:
        return ""
    values = np.round(np.asarray(array, dtype=np.float64), 10) + 0.0
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()


@cache
def code_of(learner: str) -> str:
    """Return a hash of library versions and of the modules that a learner's file reaches by imports."""
    file = pieces.file_of("learner", learner)
    root = Path(emosynth.__file__).parents[2]
    source = file.read_text(encoding="utf-8")
    reached = [name for name in module_files(root, [source]) if any(part in name for part in _CODE) and "/lm/" not in name]
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return _digest(found, source, [(root / name).read_text(encoding="utf-8") for name in reached])


def _rows_digest(rows: Rows) -> list[Any]:
    loss = [rows.alpha, rows.temperature] if rows.teacher is not None else []
    return [
        rows.texts, _numbers(rows.targets), _numbers(rows.weights), rows.synthetic.astype(int).tolist(), _numbers(rows.teacher), loss,
        rows.batch_weights, *([] if rows.balance else ["unbalanced"]),
    ]  # fmt: skip


def trial_key(learner: Learner, built: Built, task: Task, test: str, encoder: str) -> str:
    """Return the key of a trial's predictions: what it is trained with and on, and what it predicts.

    Parameters
    ----------
    test
        Digest of the test texts.
    encoder
        Identity of the encoder, and of what else the learner asks.
    """
    stages = [
        [
            _rows_digest(stage.rows),
            stage.space.labels,
            stage.space.single,
            None if stage.to_next is None else _numbers(stage.to_next.matrix),
        ]
        for stage in built.stages
    ]
    validation = None if task.validation is None else [_digest(task.validation[0]), _numbers(task.validation[1])]
    return _digest(
        learner.training_identity(), code_of(learner.name), encoder, stages, built.mixed[0] if built.mixed else None, test,
        [task.space.labels, task.space.single, task.seed_rows, validation, task.folds, task.random_seed, task.steps],
    )  # fmt: skip


def with_epochs(learner: Learner, built: Built) -> Learner:
    """Return a learner that passes over the rows of the last stage as often as it passes over the seed alone; one without steps as it is."""
    if not learner.stepped or not built.seed_rows:
        return learner
    steps = round(learner.settings.steps * len(built.stages[-1].rows) / built.seed_rows)
    return type(learner)(learner.settings.model_copy(update={"steps": max(1, steps)}))


# --- the step -------------------------------------------------------------------------------------------


class _Step:
    """Trials of a profile with what they have in common."""

    def __init__(self, params: Params, catalog: Catalog, paths: Paths) -> None:
        self.params, self.paths, self.catalog = params, paths, catalog
        self.sources = Sources.load(params, paths)
        self.sources.check_real()
        self.learners, self.builder = learners_of(params), Builder(self.sources)
        self.trials, self.not_offered = plan_trials(params, self.learners, self.builder.obstacle)
        self.embeddings = embedding_cache(catalog.model(params.models.encoder), paths.cache)
        asking = any(learner.seed_only for learner in self.learners.values())
        self.resources = Resources(
            self.embeddings.embed, self.embeddings.encoder.folder, self.embeddings.encoder.hash, paths.cache / "learners",
            params.models.local if asking else "", catalog,
        )  # fmt: skip
        self._models = {name: self.embeddings.encoder.hash + learner.asks(self.resources) for name, learner in self.learners.items()}
        corpora, scored = self.sources.corpora, self.sources.scored
        self.test = {name: [str(text) for text in rows["text"]] for name, rows in scored.items()}
        self.truth: dict[str, FloatArray] = {
            name: self.sources.spaces[name].multi_hot(rows["labels"].tolist()) for name, rows in scored.items()
        }
        self._test_digest = {name: _digest(texts) for name, texts in self.test.items()}
        self._validation = {name: self._validation_of(name) for name in corpora} if params.training.choose_on == "validation" else {}

    def _validation_of(self, name: str) -> tuple[list[str], FloatArray]:
        rows = self.sources.corpora[name].split("validation")
        return [str(text) for text in rows["text"]], self.sources.spaces[name].multi_hot(rows["labels"].tolist())

    def job(self, trial: Trial) -> Job:
        """Return what a trial trains, with its key."""
        corpus = trial.cell.corpus
        built = self.builder.build(trial, self.learners[trial.learner])
        learner = with_epochs(self.learners[trial.learner], built) if trial.arm.spec.mix.steps == "epochs" else self.learners[trial.learner]
        task = Task(
            self.sources.spaces[corpus], built.seed_rows, self._validation.get(corpus), self.params.training.folds, trial.cell.repeat,
            "both" if trial.arm.spec.mix.steps == "both" else "one",
        )  # fmt: skip
        key = trial_key(learner, built, task, self._test_digest[corpus], self._models[trial.learner])
        return Job(key, learner, built, task, self.test[corpus])

    def train(self, store: RowStore) -> list[tuple[str, Built]]:
        """Train what the store lacks; return key and counts of every trial."""
        progress = Progress(len(self.trials), "training", "models")
        known: list[tuple[str, Built]] = []
        pending: dict[str, Trial] = {}
        texts: dict[str, None] = {}
        for trial in self.trials:
            job = self.job(trial)
            known.append((job.key, replace(job.built, stages=[])))
            if job.key in store or job.key in pending:
                progress.skip(1)
                continue
            pending[job.key] = trial
            if job.learner.embeds:
                validation = job.task.validation[0] if job.task.validation else []
                texts.update(dict.fromkeys([*job.built.texts, *job.test, *validation]))
        if texts:
            embed_ahead(self.embeddings, list(texts), say)
        files = [self.paths.own(file) for file in self.params.pieces]
        for per in sorted({per_worker(learner) for learner in self.learners.values()}, reverse=True):
            part = [trial for trial in pending.values() if per_worker(self.learners[trial.learner]) == per]
            enough = 0 if per == ALONE else len(part) // per
            for key, value in train_all(self._jobs(part), enough, self.resources, self.embeddings, files):
                store.commit({key: value})
                progress.advance()
        return known

    def _jobs(self, trials: list[Trial]) -> Iterator[Job]:
        return (self.job(trial) for trial in trials)


def run_trials(params: Params, catalog: Catalog, paths: Paths) -> dict[str, pd.DataFrame]:
    """Train and score every trial of a profile, write the tables with their cards, and return them.

    Returns
    -------
    dict
        ``trials``, ``predictions``, ``test_rows``, ``per_class``, ``gaps``: see docs/architecture.md; ``not_offered``: arms left out, with
        the reason.

    Raises
    ------
    UserError
        If a table has not been made, or a real training row repeats a test row.
    """
    step = _Step(params, catalog, paths)
    trials, predictions, classes = [], [], []
    with RowStore(paths.cache / "rows" / "trials.sqlite") as store:
        for trial, (key, built) in zip(step.trials, step.train(store), strict=True):
            outcome, corpus = Outcome.unpack(store.get(key)), trial.cell.corpus
            space, truth = step.sources.spaces[corpus], step.truth[corpus]
            found = score_outcome(outcome, truth, space, built.mixed[1] if built.mixed else None)
            counts = _counts(built)
            counts["tokens"] += int(outcome.chosen.pop("tokens", 0))  # of a learner that is a language model
            trials.append(
                {
                    **_head(trial),
                    "scored_on": params.training.scored_on,
                    **counts,
                    "chosen": json.dumps(outcome.chosen, sort_keys=True),
                    **found,
                }
            )
            predictions.append({"trial_id": trial.trial_id, "corpus": corpus, "p": outcome.p.ravel()})
            classes.append(classes_of(outcome, truth, space).assign(trial_id=trial.trial_id))
    per_class = pd.concat(classes, ignore_index=True)[["trial_id", "label", "precision", "recall", "f1", "support"]]
    tables = {
        "trials": pd.DataFrame(trials),
        "predictions": pd.DataFrame(predictions),
        "test_rows": test_rows_of(step.sources.scored, params.training.scored_on),
        "per_class": per_class,
    }
    tables["gaps"] = gaps_of_trials(step.sources, tables["trials"], tables["predictions"], catalog)
    tables["not_offered"] = step.not_offered
    for name, frame in tables.items():
        write_table(frame, paths.trials / f"{name}.parquet", _card(name, step, len(trials)))
    return tables


def _head(trial: Trial) -> dict[str, Any]:
    return {
        "trial_id": trial.trial_id, "corpus": trial.cell.corpus, "size": trial.cell.size, "repeat": trial.cell.repeat, "arm": trial.arm.name,
        "version": trial.version, "sweep": trial.sweep, "value": trial.shown_value, "budget": trial.budget, "learner": trial.learner,
    }  # fmt: skip


def _counts(built: Built) -> dict[str, int]:
    return {name: getattr(built, name) for name in ("n_real", "n_synthetic", "n_wanted", "n_generated", "tokens", "n_dropped")}


def headline(trials: pd.DataFrame, corpus: str) -> pd.DataFrame:
    """Return mean macro-F1 at the largest seed of a corpus, arms as they stand: a row an arm, a column a learner."""
    main = plain(trials)
    main = main[main["corpus"] == corpus]
    main = main[main["size"] == main["size"].max()]
    return main.pivot_table(index="arm", columns="learner", values="macro_f1", aggfunc="mean", sort=False)


def plain(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of arms as they stand: no unverified version, no sweep, equal accepted rows."""
    return trials[(trials["version"] == "") & (trials["sweep"] == "") & (trials["budget"] == "accepted")]


_WHAT = {
    "trials": "One trained model a row: what it was trained on, what that cost, and its scores on rows that nothing was trained on (scored_on).",
    "predictions": "Probabilities of the scored rows of every trained model, row by row as in test_rows; all scores are derived from them.",
    "test_rows": "The rows that are scored, in the order of the predictions: ids and labels, no text.",
    "per_class": "Precision, recall and F1 of each label, for every trained model.",
    "gaps": "Scores of models on the largest seeds of the target by groups of test rows: class, lexical coverage of the seed, phenomenon.",
    "not_offered": "Arms that were not trained on a corpus with a learner, and why.",
}
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "trials": {
        "version": "empty, or unverified: rows as they were written, without checks",
        "sweep": "choice of the arm that is varied, by dotted name; empty: the arm as it stands",
        "value": "its value, as JSON",
        "budget": "what arms have in equal measure: accepted rows, rows generated, or tokens",
        "scored_on": "split of the rows that are scored: test, or validation (for choosing, see training.scored_on)",
        "n_wanted": "rows the arm was to add; a starved class has fewer",
        "n_generated": "candidates that had to be written up to the last row used",
        "tokens": "their tokens, of prompts and answers; of a language model that classifies, those read",
        "n_dropped": "written rows left out because they repeat a test or validation text",
        "chosen": "settings that the learner chose, as JSON",
        "threshold": "probability from which a text has a label; missing where it has exactly one",
        "lrap": "label-ranking average precision",
        "reported_macro_f1": "what the published protocol would report, with written rows among the test rows",
    },
    "gaps": {"f1": "macro-F1 of the group; missing if a class does not occur in it", "share": "of test rows"},
}


def _card(name: str, step: _Step, models: int) -> Card:
    corpora, training = list(step.sources.corpora.values()), step.params.training
    chosen = "cross-validation within the seed" if training.choose_on == "seed" else "the validation split"
    limits = (
        []
        if training.choose_on == "seed"
        else ["Settings are chosen on labelled rows beyond the seed, more than a poor seed could afford."]
    )
    return Card(
        title=f"Trials: {name}",
        what=_WHAT[name],
        made=f"Step 07 (training). Learners {', '.join(step.learners)}; settings chosen by {chosen}; the {training.scored_on} split is scored once a model.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in corpora],
        columns=dict(_COLUMNS.get(name, {})),
        counts={"models": models},
        limits=limits,
        licence=corpora[0].licence,
        languages=corpora[0].languages,
        tags=["evaluation"],
    )
