"""Whether context is worth reading: models that read context and utterance against models that read less.

Truth is the label that the context was *written for*, and half of the training label may be a language model's reading of that very
context. So a gain over the utterance alone says little by itself: the context alone, and the context of another row, stand beside it in
the same table. Rows come from a few stories: whole stories are held out, and intervals draw stories first and rows within them.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.cells import stable_seed
from emosynth.design.space import FloatArray, Space
from emosynth.params import Context
from emosynth.progress import Progress
from emosynth.stats import Nest, halves_interval, nested_halves
from emosynth.store import RowStore
from emosynth.text import near_duplicates

BOTH, UTTERANCE, CONTEXT_ONLY, SHUFFLED = "context+utterance", "utterance", "context only", "shuffled"
INPUTS = (BOTH, UTTERANCE, CONTEXT_ONLY, SHUFFLED)
"""Context and utterance; utterance alone; context alone; utterance with the context of another row."""
DIFFERENCES = tuple(f"{BOTH} − {other}" for other in INPUTS[1:])

COLUMNS = ["learner", "input", "test", "repeat", "n", "stories", "measure", "value", "low", "high"]
ALL_REPEATS = -1
"""Stands in column repeat for the mean over repeats."""

STORIES = 4
"""Stories, at least: some to test on, some to choose on, some to learn from."""
C_GRID = (0.3, 3.0, 30.0)
RESAMPLES = 2000

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Texts:
    """Contexts with their character, and utterances, row by row."""

    contexts: list[str]
    utterances: list[str]

    @classmethod
    def of(cls, rows: pd.DataFrame, context: str = "context", utterance: str = "text") -> Texts:
        """Return the texts of rows that have the columns named, and ``character``."""
        parts = zip(rows[context].fillna(""), rows["character"].fillna(""), strict=True)
        # A context that is too long loses its beginning, so the character stands at its end.
        contexts = [" ".join(part for part in (text, f"{who}:" if who else "") if part) for text, who in parts]
        return cls(contexts, [str(text) for text in rows[utterance]])

    def take(self, rows: npt.NDArray[np.intp]) -> Texts:
        """Return some rows."""
        return Texts([self.contexts[int(row)] for row in rows], [self.utterances[int(row)] for row in rows])

    def shuffled(self, seed: int) -> Texts:
        """Give every row the context of another: each row of a random order has that of the one before."""
        order = np.random.default_rng(seed).permutation(len(self.contexts))
        contexts = list(self.contexts)
        for row, other in zip(order, np.roll(order, 1), strict=True):
            contexts[int(row)] = self.contexts[int(other)]
        return Texts(contexts, self.utterances)

    def inputs(self, kind: str) -> list[Any]:
        """Return what an encoder reads."""
        if kind == UTTERANCE:
            return list(self.utterances)
        return list(self.contexts) if kind == CONTEXT_ONLY else list(zip(self.contexts, self.utterances, strict=True))


@dataclass(frozen=True)
class Data:
    """What models learn from and are tested on.

    Attributes
    ----------
    train, soft, fold
        Training rows, their (n, k) labels, and which of them strengths are chosen on.
    test, truth, stories
        Rows of held-out stories, their (n, k) labels asked for, and story of each.
    sides, wanted, pair_stories
        Both contexts of the pairs, (n, 2) places of their labels, and story of each.
    """

    train: Texts
    soft: FloatArray
    fold: npt.NDArray[np.bool_]
    test: Texts
    truth: FloatArray
    stories: list[str]
    sides: tuple[Texts, Texts]
    wanted: npt.NDArray[np.int64]
    pair_stories: list[str]


def held_out(stories: Sequence[str], share: float = 0.2) -> set[str]:
    """Return the stories that are held out: ``share`` of them, drawn by name, at least one."""
    names = sorted(set(stories), key=lambda name: (stable_seed("held-out story", name), name))
    return set(names[: max(1, round(share * len(names)))])


def split(rows: pd.DataFrame, targets: FloatArray, pairs: pd.DataFrame, space: Space, near_duplicate: float) -> Data | str:
    """Part rows by story into training and test, or say why that cannot be.

    Parameters
    ----------
    rows
        Contextual rows: text, context, character, labels, story_id.
    targets
        (n, k) labels as the arm mixes them.
    pairs
        Of `emosynth.context.pairs`; those in order are tested on.
    near_duplicate
        Jaccard similarity from which a training context that repeats one of a pair is left out.
    """
    stories = rows["story_id"].fillna("").astype(str).tolist()
    if len(set(stories)) < STORIES or "" in stories:
        return f"The contextual rows come from {len(set(stories) - {''})} stories, or some from none; {STORIES} are needed."
    good = pairs[pairs["ok"].astype(bool)] if len(pairs) else pairs
    sides = (
        (Texts.of(good, "context_a", "utterance"), Texts.of(good, "context_b", "utterance"))
        if len(good)
        else (Texts([], []), Texts([], []))
    )
    place = {label: column for column, label in enumerate(space.labels)}
    wanted = np.array([[place[a], place[b]] for a, b in zip(good["label_a"], good["label_b"], strict=True)], dtype=np.int64).reshape(-1, 2)
    texts = Texts.of(rows)
    near = np.zeros(len(rows), dtype=bool)
    unseen = [context for side in sides for context in side.contexts]
    near[[match.index for match in near_duplicates(texts.contexts, near_duplicate, against=unseen)]] = True
    tested = held_out(stories)
    is_test = np.array([story in tested for story in stories])
    train, test = np.flatnonzero(~is_test & ~near), np.flatnonzero(is_test)
    chosen_on = held_out([stories[row] for row in train]) if len(train) else set()
    fold = np.array([stories[row] in chosen_on for row in train], dtype=bool)
    if not fold.any() or fold.all():
        return "Nearly all contextual rows repeat the context of a pair; too few are left to train on."
    truth = space.multi_hot(rows["labels"].iloc[test].tolist())
    return Data(
        texts.take(train), targets[train], fold, texts.take(test), truth, [stories[row] for row in test], sides, wanted,
        good["story_id"].astype(str).tolist(),
    )  # fmt: skip


# --- measures -------------------------------------------------------------------------------------------


def flips(first: FloatArray, second: FloatArray, wanted: npt.NDArray[np.int64]) -> FloatArray:
    """Return for each pair whether the context moves the label the right way: 1, 0, or 0.5 for a tie.

    The utterance is the same on both sides. Right: p(a) − p(b) is higher in the context written for a than in that written for b. A
    model that does not read the context always ties, and so has exactly 0.5.

    Parameters
    ----------
    first, second
        (n, k) probabilities in the contexts for a and for b.
    wanted
        (n, 2) places of a and b.
    """
    row = np.arange(len(wanted))
    margins = [p[row, wanted[:, 0]] - p[row, wanted[:, 1]] for p in (first, second)]
    return np.asarray(0.5 + 0.5 * np.sign(margins[0] - margins[1]), dtype=np.float64)


def top_one(probabilities: FloatArray, truth: FloatArray) -> FloatArray:
    """Return row by row whether the most probable label is one of those asked for."""
    return np.asarray(truth[np.arange(len(truth)), probabilities.argmax(axis=1)], dtype=np.float64)


# --- models ---------------------------------------------------------------------------------------------

Predictions = dict[str, FloatArray]
Predict = Callable[[Data, str, int], Predictions]


def _shown(data: Data, kind: str, repeat: int) -> tuple[Texts, dict[str, Texts]]:
    """Return training and test texts; of pairs the contexts are never shuffled, since they are what is asked about."""
    train, test = data.train, data.test
    if kind == SHUFFLED:
        train, test = (texts.shuffled(stable_seed("shuffle", part, repeat)) for part, texts in (("train", train), ("test", test)))
    return train, {"rows": test, "a": data.sides[0], "b": data.sides[1]}


def encoder_model(params: Context, folder: Path, labels: Sequence[str]) -> Predict:
    """Return how the fine-tuned encoder predicts."""

    def predict(data: Data, kind: str, repeat: int) -> Predictions:
        from emosynth.models.encoder import EncoderSettings, FineTunedEncoder

        given = ("layers", "steps", "batch", "learning_rate", "max_tokens")
        settings = EncoderSettings(**{name: getattr(params, name) for name in given})
        train, tests = _shown(data, kind, repeat)
        model = FineTunedEncoder(folder, settings, labels, single=False, seed=repeat).fit(train.inputs(kind), data.soft)
        return {name: model.predict_proba(texts.inputs(kind)) if texts.utterances else data.soft[:0] for name, texts in tests.items()}

    return predict


def linear_model(embed: Embed) -> Predict:
    """Return how logistic regression on the embeddings of utterance and context, side by side, predicts."""

    def features(texts: Texts, kind: str) -> FloatArray:
        from emosynth.models.linear import embedding_features

        parts = [texts.utterances] if kind != CONTEXT_ONLY else []
        parts += [texts.contexts] if kind != UTTERANCE else []
        return np.hstack([embedding_features(embed(part)) for part in parts])

    def predict(data: Data, kind: str, repeat: int) -> Predictions:
        from emosynth.models.linear import OneVsRest

        train, tests = _shown(data, kind, repeat)
        x, inner = features(train, kind), data.fold
        # Strength chosen on stories of the training rows, by their soft labels: the tested stories have no say.
        losses = []
        for c in C_GRID:
            p = np.clip(OneVsRest(c).fit(x[~inner], data.soft[~inner]).predict_proba(x[inner]), 1e-6, 1 - 1e-6)
            losses.append(-float((data.soft[inner] * np.log(p) + (1 - data.soft[inner]) * np.log(1 - p)).mean()))
        model = OneVsRest(C_GRID[int(np.argmin(losses))]).fit(x, data.soft)
        return {name: model.predict_proba(features(texts, kind)) if texts.utterances else data.soft[:0] for name, texts in tests.items()}

    return predict


def run_context(
    data: Data, space: Space, learners: Sequence[tuple[str, Predict, int, Any]], cache: Path, confidence: float
) -> pd.DataFrame:
    """Train a model for each input and learner, and test it on held-out stories and on pairs.

    Parameters
    ----------
    learners
        Of each: name, how it predicts, repeats, and what identifies it (JSON).
    cache
        Cache folder.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: learner, input (`INPUTS`, and `DIFFERENCES`), test (``rows`` or ``pairs``), repeat (`ALL_REPEATS`: mean), n, stories,
        measure (``lrap``, ``top_1``; ``flips``), value, low, high. Intervals draw stories, then rows (or pairs) within them
        (`emosynth.stats.halves_interval`); those of means draw repeats too. Differences are taken row by row.
    """
    parts = [vars(data.train), vars(data.test), vars(data.sides[0]), vars(data.sides[1]), data.fold.tolist()]
    base = _digest(list(space.labels), np.round(data.soft, 10).tolist(), *parts, _code())
    progress = Progress(sum(item[2] for item in learners) * len(INPUTS), "context", "models")
    found: list[list[Any]] = []
    with RowStore(cache / "rows" / "context.sqlite") as store:
        for learner, predict, repeats, identity in learners:
            made: dict[tuple[str, int], Predictions] = {}
            for repeat in range(repeats):
                for kind in INPUTS:
                    key = _digest(base, learner, identity, kind, repeat)
                    if key in store:
                        progress.skip(1)
                    else:
                        store.commit({key: {name: p.tolist() for name, p in predict(data, kind, repeat).items()}})
                        progress.advance()
                    made[kind, repeat] = {name: np.array(p).reshape(-1, len(space.labels)) for name, p in store.get(key).items()}
            found += _measured(learner, made, repeats, data, confidence)
    return pd.DataFrame(found, columns=COLUMNS)


def _measured(learner: str, made: dict[tuple[str, int], Predictions], repeats: int, data: Data, confidence: float) -> list[list[Any]]:
    from emosynth.models.metrics import row_lrap

    found: list[list[Any]] = []
    measures: list[tuple[str, str, list[str], Callable[[Predictions], FloatArray]]] = [
        ("rows", "lrap", data.stories, lambda p: row_lrap(p["rows"], data.truth)),
        ("rows", "top_1", data.stories, lambda p: top_one(p["rows"], data.truth)),
    ]
    if len(data.wanted):
        measures.append(("pairs", "flips", data.pair_stories, lambda p: flips(p["a"], p["b"], data.wanted)))
    for test, measure, stories, function in measures:
        values = {kind: np.array([function(made[kind, repeat]) for repeat in range(repeats)]) for kind in INPUTS}
        shown = [(kind, repeat, values[kind][[repeat]]) for kind in INPUTS for repeat in range(repeats)]
        shown += [(kind, ALL_REPEATS, values[kind]) for kind in INPUTS]
        shown += [(name, ALL_REPEATS, values[BOTH] - values[other]) for name, other in zip(DIFFERENCES, INPUTS[1:], strict=True)]
        seed = stable_seed("context", learner, test, measure)
        halves = nested_halves(Nest.of([0] * len(stories), stories, [0] * len(stories)), RESAMPLES, seed)  # the same for all inputs
        for kind, repeat, table in shown:
            mean, interval = halves_interval(table, halves, confidence, seed)
            found.append([learner, kind, test, repeat, len(stories), len(set(stories)), measure, mean, interval.low, interval.high])
    return found


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode("ascii")).hexdigest()


def _code() -> list[str]:
    """Return what else can change a prediction: the sources of the models and of this module, and versions of libraries."""
    from emosynth.models import encoder, encoder_state, features, linear, loss, transformer

    files = [Path(__file__), *(Path(inspect.getfile(module)) for module in (encoder, encoder_state, features, linear, loss, transformer))]
    code = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    return [code, *(f"{name} {version(name).split('+')[0]}" for name in ("torch", "transformers", "numpy", "scipy"))]
