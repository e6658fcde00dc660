"""What context is worth on labels that people gave: utterances of dialogues, with and without what was said before.

The other test of this step is circular: truth is the emotion that a context was written for. Here people labelled each utterance within
its dialogue. A model that reads context and utterance must beat one that reads the utterance alone *and* one that reads the context
alone. Models learn from a seed of real utterances, with and without written contextual rows before it (first these, then the seed, as
Emo Pillars has it). Utterances of a dialogue are not independent: intervals draw dialogues and repeats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth import pieces
from emosynth.catalog import Catalog
from emosynth.context.inputs import ALL_REPEATS, BOTH, CONTEXT_ONLY, UTTERANCE, Embed, Texts, _code
from emosynth.corpora import Corpus
from emosynth.corpora.files import Loaded
from emosynth.corpora.loaders import DIALOGUES
from emosynth.design.cells import stable_seed
from emosynth.design.rows import Rows, Stage
from emosynth.design.space import FloatArray, Space, SpaceMap, space_map, space_of_corpus
from emosynth.errors import UserError
from emosynth.learners.base import Learner, Resources, Task
from emosynth.learners.choosing import digest
from emosynth.params import Cells, Context, Evidence
from emosynth.progress import Progress
from emosynth.resampling import of_draws
from emosynth.seeding import stratified_order
from emosynth.stats import percentile_interval
from emosynth.store import RowStore
from emosynth.taxonomy import Taxonomies

INPUTS = (BOTH, UTTERANCE, CONTEXT_ONLY)
NOTHING = ""
"""First stage of a model that learns from the seed alone."""
FOLDS = 3

COLUMNS = ["learner", "first", "input", "repeat", "n", "dialogues", "measure", "value", "low", "high", "p"]
PREDICTIONS = ["learner", "first", "input", "repeat", "size", "n_first", "macro_f1", "predicted"]
ROWS = ["place", "row_id", "dialogue", "label", "turns"]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Written:
    """Written contextual rows of one arm, to be learnt before a seed: n texts, (n, k) labels, the repeat that each was written for."""

    arm: str
    texts: Texts
    soft: FloatArray
    repeats: list[int]
    space: Space


def read_dialogues(name: str, catalog: Catalog) -> Loaded | str:
    """Return a corpus of dialogues, or say that it is not here. Raises UserError if the catalogue's entry is none of dialogues."""
    spec = catalog.entry(name).corpus
    if spec is None or spec.layout not in DIALOGUES:
        raise UserError(f"{name} is no corpus of dialogues.", where="context.dialogues", remedy=f"Use one of {', '.join(DIALOGUES)}.")
    try:
        place = catalog.fetch(name)
    except UserError as error:
        return f"Not tested: {name} is not here. {error.what} {error.remedy}"
    return DIALOGUES[spec.layout](place, spec)


def _texts(rows: pd.DataFrame, turns: int) -> Texts:
    return Texts([" ".join(context[-turns:]) for context in rows["context"]], rows["text"].tolist())


@dataclass(frozen=True)
class Material:
    """A corpus of dialogues as models see it: k labels, one for each utterance, rows with context and dialogue, order of seeds."""

    space: Space
    train: pd.DataFrame
    test: pd.DataFrame
    order: pd.DataFrame

    @classmethod
    def of(cls, name: str, loaded: Loaded, own: Context, random_seed: int, taxonomies: Taxonomies) -> Material:
        """Return the material of a corpus with splits of its own; the test split stays as it is."""
        frame = pd.DataFrame([asdict(row) for row in loaded.rows])
        corpus = Corpus(name, frame, loaded.classes, "single", "utterance", {label: label for label in loaded.classes})
        design = Cells(sizes=[own.dialogue_size], repeats=own.dialogue_repeats, random_seed=random_seed)
        order = stratified_order(corpus, design)
        return cls(space_of_corpus(corpus, taxonomies), corpus.split("train"), corpus.split("test"), order)

    def seed(self, repeat: int, size: int) -> pd.DataFrame:
        """Return the rows of a seed, in order."""
        ids = self.order.loc[(self.order["repeat"] == repeat) & (self.order["rank"] < size), "id"]
        return self.train.set_index("id").loc[list(ids)].reset_index()


def _rows(texts: Texts, kind: str, targets: FloatArray, *, synthetic: bool) -> Rows:
    # A learner hands texts on to its features, which here take pairs of context and utterance too.
    n = len(targets)
    return Rows(cast("list[str]", texts.inputs(kind)), targets, np.ones(n), np.full(n, synthetic))


def paired(embed: Embed) -> Embed:
    """Return a function that embeds context and utterance side by side; what is empty is a vector of zeros."""

    def of(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.array(embed([text or "." for text in texts]), dtype=np.float32)
        vectors[[not text for text in texts]] = 0.0
        return vectors

    def features(texts: Sequence[Any]) -> npt.NDArray[np.float32]:
        if not texts or isinstance(texts[0], str):
            return of(texts)
        return np.hstack([of([pair[side] for pair in texts]) for side in (0, 1)])

    return features


def learners_of(own: Context) -> dict[str, Learner]:
    """Return the learners: embeddings with logistic regression, and the fine-tuned encoder if ``encoder_repeats`` is not 0."""
    wanted: dict[str, dict[str, Any]] = {"embedding": {}}
    if own.encoder_repeats:
        shared = own.model_dump(include={"layers", "steps", "batch", "learning_rate", "max_tokens"})
        wanted["encoder"] = {"first_steps": own.steps, **shared}
    return {name: cast(Learner, pieces.build("learner", name, settings)) for name, settings in wanted.items()}


@dataclass(frozen=True)
class _Plan:
    """One model to be trained."""

    learner: str
    first: str
    input: str
    repeat: int


def run_dialogues(
    material: Material, written: Written | None, own: Context, taxonomies: Taxonomies, resources: Resources, evidence: Evidence
) -> dict[str, pd.DataFrame]:
    """Train and score a model for each learner, input and repeat, with and without written rows first.

    Returns ``dialogues`` (`COLUMNS`): macro-F1 on the test split; ``repeat`` is `ALL_REPEATS` for means; differences of inputs as
    ``context+utterance − utterance``, of first stages as ``arm − nothing``, with a two-sided p (`emosynth.resampling.of_draws`); ``dialogue_predictions``
    (`PREDICTIONS`): places of labels, row by row as in ``dialogue_rows`` (`ROWS`).
    """
    to_own = None if written is None else space_map(written.space, material.space, taxonomies)
    if to_own is not None and not to_own.matrix.any():
        written = to_own = None
    firsts = [NOTHING, *([written.arm] if written is not None else [])]
    learners = learners_of(own)
    plans = [_Plan(*parts) for parts in product(learners, firsts, INPUTS, range(own.dialogue_repeats))]
    progress = Progress(len(plans), "context", "models of dialogues")
    code, shown = [_code(), _own_code()], _texts(material.test, own.turns)
    made: list[dict[str, Any]] = []
    with RowStore(resources.cache.parent / "rows" / "dialogues.sqlite") as store:
        for plan in plans:
            stages = _stages(plan, material, written, to_own, own)
            tests = shown.inputs(plan.input)
            learner = learners[plan.learner]
            identity: list[Any] = [code, learner.training_identity(), resources.encoder_hash, plan.repeat, tests, FOLDS]
            for stage in stages:
                mapped = None if stage.to_next is None else stage.to_next.matrix
                identity += [stage.rows.texts, stage.rows.targets, stage.space.labels, mapped]
            key = digest(*identity)
            if key in store:
                progress.skip(1)
            else:
                task = Task(material.space, own.dialogue_size, None, FOLDS, plan.repeat)
                p = learner.fit(stages, task, resources).predict_proba(cast("list[str]", tests))
                store.commit({key: {"predicted": [int(place) for place in p.argmax(axis=1)]}})
                progress.advance()
            n_first = len(stages[0].rows) if plan.first else 0
            made.append({**vars(plan), "size": own.dialogue_size, "n_first": n_first, "predicted": store.get(key)["predicted"]})
    place = {label: column for column, label in enumerate(material.space.labels)}
    truth = np.array([place[labels[0]] for labels in material.test["labels"]], dtype=np.int64)
    return _tables(made, truth, material, evidence)


def _stages(plan: _Plan, material: Material, written: Written | None, to_own: SpaceMap | None, own: Context) -> list[Stage]:
    seed = material.seed(plan.repeat, own.dialogue_size)
    targets = material.space.multi_hot(seed["labels"].tolist())
    last = Stage(_rows(_texts(seed, own.turns), plan.input, targets, synthetic=False), material.space)
    if not plan.first or written is None:
        return [last]
    # Each repeat has written rows of its own, as far as they were written for repeats of their own.
    mine = np.flatnonzero(np.array(written.repeats) == sorted(set(written.repeats))[plan.repeat % len(set(written.repeats))])
    first = _rows(written.texts.take(mine), plan.input, written.soft[mine], synthetic=True)
    return [Stage(first, written.space, to_own), last]


def _own_code() -> str:
    """Return what else can change a prediction: the learners' modules and this one."""
    from emosynth.learners import base, choosing, embedding, encoder, linear

    files = [Path(__file__), *(Path(str(module.__file__)) for module in (base, choosing, embedding, encoder, linear))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


# --- scores ---------------------------------------------------------------------------------------------


def macro_f1_draws(
    truth: Integers, predicted: Integers, clusters: Integers, k: int, count: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return macro-F1 of (R, n) predictions on n rows, (R,), and on resamples of their clusters, (count, R).

    Clusters are drawn with replacement, whole (Davison and Hinkley 1997, section 3.8); equal seeds pair models. A class that a resample
    lacks, and that nobody predicts there, counts as 0, as in scikit-learn.
    """
    size, repeats = int(clusters.max()) + 1, len(predicted)
    one = np.eye(k)
    guessed, actual = one[predicted].transpose(1, 0, 2), np.repeat(one[truth][:, None], repeats, axis=1)  # (n, R, k)
    parts = []
    for rows in (guessed * actual, guessed, actual):
        summed = np.zeros((size, repeats, k))
        np.add.at(summed, clusters, rows)
        parts.append(summed)

    def score(weights: FloatArray) -> FloatArray:
        tp, guesses, true = (np.tensordot(weights, part, axes=1) for part in parts)
        total = guesses + true
        return np.asarray(np.divide(2 * tp, total, out=np.zeros_like(total), where=total > 0).mean(axis=2))

    weights = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), count).astype(np.float64)
    return score(np.ones((1, size)))[0], score(weights)


def _tables(made: Sequence[Mapping[str, Any]], truth: Integers, material: Material, evidence: Evidence) -> dict[str, pd.DataFrame]:
    names = list(dict.fromkeys(material.test["dialogue"]))
    clusters = np.array([names.index(name) for name in material.test["dialogue"]], dtype=np.int64)
    seed = stable_seed("dialogues", evidence.random_seed)
    models: dict[tuple[str, str, str], list[list[int]]] = {}
    for one in made:
        models.setdefault((one["learner"], one["first"], one["input"]), []).append(one["predicted"])
    k = len(material.space.labels)
    drawn = {name: macro_f1_draws(truth, np.array(guess), clusters, k, evidence.resamples, seed) for name, guess in models.items()}
    found: list[list[Any]] = []

    def add(learner: str, first: str, kind: str, points: FloatArray, draws: FloatArray, *, contrast: bool) -> None:
        head, size = [learner, first, kind], [len(truth), len(names), "macro_f1"]
        for repeat in range(0 if contrast else len(points)):
            interval = percentile_interval(draws[:, repeat], evidence.confidence)
            found.append([*head, repeat, *size, float(points[repeat]), interval.low, interval.high, np.nan])
        mean = of_draws(points, draws, evidence.confidence, seed, len(truth))
        found.append([*head, ALL_REPEATS, *size, mean.effect, mean.low, mean.high, mean.p if contrast else np.nan])

    for (learner, first, kind), (points, draws) in drawn.items():
        add(learner, first, kind, points, draws, contrast=False)
    for (learner, first, kind), (points, draws) in drawn.items():
        if kind == BOTH:
            for other in INPUTS[1:]:
                right = drawn[learner, first, other]
                add(learner, first, f"{BOTH} − {other}", points - right[0], draws - right[1], contrast=True)
        if first:
            right = drawn[learner, NOTHING, kind]
            add(learner, f"{first} − nothing", kind, points - right[0], draws - right[1], contrast=True)
    scored = [{**one, "macro_f1": float(drawn[one["learner"], one["first"], one["input"]][0][one["repeat"]])} for one in made]
    rows = {
        "place": np.arange(len(truth)), "row_id": material.test["id"].tolist(), "dialogue": material.test["dialogue"].tolist(),
        "label": [labels[0] for labels in material.test["labels"]], "turns": [len(context) for context in material.test["context"]],
    }  # fmt: skip
    return {
        "dialogues": pd.DataFrame(found, columns=COLUMNS),
        "dialogue_predictions": pd.DataFrame(scored)[PREDICTIONS],
        "dialogue_rows": pd.DataFrame(rows)[ROWS],
    }
