"""Whether context changes the label (claim B3): models that read context and utterance against models that read either alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import average_precision_score

from emosynth.errors import UserError
from emosynth.generation.plan import stable_seed
from emosynth.models.classifiers import FloatArray, embedding_features
from emosynth.models.multilabel import MultiLabelEncoder, OneVsRest, Text, row_lrap
from emosynth.params import Transfer
from emosynth.progress import Progress
from emosynth.stats import percentile_interval
from emosynth.store import RowStore
from emosynth.taxonomy import Taxonomy
from emosynth.text import near_duplicates
from emosynth.transfer.learners import Embed, digest, encoder_settings, numbers
from emosynth.transfer.rows import kept_rows, multi_hot
from emosynth.transfer.run import NEAR_DUPLICATE, code_identity

CONTEXT, UTTERANCE, CONTEXT_ONLY, SHUFFLED = "context", "utterance", "context only", "shuffled context"
INPUTS = (CONTEXT, UTTERANCE, CONTEXT_ONLY, SHUFFLED)
"""Context and utterance; utterance alone; context alone; utterance with the context of another row."""

COLUMNS = ["learner", "input", "test", "repeat", "n", "measure", "value", "low", "high"]
ALL_REPEATS = -1
"""Stands in column repeat for the mean over repeats."""

_PAIRS = ("pair_id", "emotion_a", "emotion_b", "context_a", "context_b", "utterance", "character", "ok")
_STORIES = 4
"""Stories, at least: some to test on, some to choose on, some to learn from."""
_RANKED = 200
"""Resamples, at most, of the average precision, which is no mean over rows and has to be computed anew for each."""


@dataclass(frozen=True)
class _Texts:
    """Contexts with their character, and utterances, row by row."""

    contexts: list[str]
    utterances: list[str]

    def shuffled(self, seed: int) -> _Texts:
        """Give every row the context of another: each row of a random order has that of the one before."""
        order = np.random.default_rng(seed).permutation(len(self.contexts))
        contexts = list(self.contexts)
        for row, other in zip(order, np.roll(order, 1), strict=True):
            contexts[int(row)] = self.contexts[int(other)]
        return _Texts(contexts, self.utterances)

    def inputs(self, kind: str) -> list[Text]:
        """Return what an encoder reads."""
        if kind == UTTERANCE:
            return list(self.utterances)
        if kind == CONTEXT_ONLY:
            return list(self.contexts)
        return list(zip(self.contexts, self.utterances, strict=True))


@dataclass(frozen=True)
class _Data:
    """Training rows with soft labels and the ``fold`` that strengths are chosen on; test rows with truth; both sides of the pairs."""

    train: _Texts
    soft: FloatArray
    fold: npt.NDArray[np.bool_]
    test: _Texts
    truth: FloatArray
    sides: tuple[_Texts, _Texts]
    wanted: npt.NDArray[np.int64]


def with_character(context: str, character: str) -> str:
    """Return a context followed by its character: a context that is too long loses its beginning."""
    return " ".join(part for part in (context, f"{character}:" if character else "") if part)


def held_out_stories(stories: Sequence[str], share: float = 0.2) -> set[str]:
    """Return the stories that are held out: ``share`` of them, drawn by name, at least one."""
    names = sorted(set(stories), key=lambda name: (stable_seed("held-out story", name), name))
    return set(names[: max(1, round(share * len(names)))])


def _data(params: Transfer, rows: pd.DataFrame, pairs: pd.DataFrame | None, taxonomy: Taxonomy) -> _Data:
    kept = kept_rows(rows, taxonomy)
    kept = kept[(kept["arm"] == params.arm) & (kept["kind"] == "contextual")].reset_index(drop=True)
    sides, wanted = _sides(pairs, taxonomy)
    if kept["story_id"].isna().any() or kept["story_id"].nunique() < _STORIES:
        raise UserError(
            f"The contextual rows of {params.arm} come from {kept['story_id'].nunique()} stories, or some from none; {_STORIES} are needed.",
            where="transfer.arm",
            remedy="Name an arm that is grounded, and give more stories.",
        )
    stories = kept["story_id"].tolist()
    held = held_out_stories(stories)
    texts = _texts(kept)
    near = np.zeros(len(kept), dtype=bool)
    unseen = [context for side in sides for context in side.contexts]
    near[[match.index for match in near_duplicates(texts.contexts, NEAR_DUPLICATE, against=unseen)]] = True
    is_test = np.array([story in held for story in stories])
    train, test = np.flatnonzero(~is_test & ~near), np.flatnonzero(is_test)
    chosen_on = held_out_stories([stories[row] for row in train])
    fold = np.array([stories[row] in chosen_on for row in train], dtype=bool)
    if not fold.any() or fold.all():
        raise UserError(
            "Nearly all contextual rows repeat the context of a pair; too few are left to train on.",
            where="grounding pairs",
            remedy="Write pairs from passages of their own.",
        )
    return _Data(
        _pick(texts, train),
        np.array(kept["soft"].tolist(), dtype=np.float64)[train],
        fold,
        _pick(texts, test),
        multi_hot(kept["emotions"].iloc[test].tolist(), taxonomy.labels),
        sides,
        wanted,
    )


def _texts(rows: pd.DataFrame) -> _Texts:
    contexts = [with_character(*both) for both in zip(rows["context"].fillna(""), rows["character"].fillna(""), strict=True)]
    return _Texts(contexts, rows["text"].tolist())


def _pick(texts: _Texts, rows: npt.NDArray[np.int64]) -> _Texts:
    return _Texts([texts.contexts[int(row)] for row in rows], [texts.utterances[int(row)] for row in rows])


def _sides(pairs: pd.DataFrame | None, taxonomy: Taxonomy) -> tuple[tuple[_Texts, _Texts], npt.NDArray[np.int64]]:
    """Return both sides of the pairs that are in order, and (n, 2) places of their emotions."""
    empty = (_Texts([], []), _Texts([], [])), np.zeros((0, 2), dtype=np.int64)
    if pairs is None:
        return empty
    lacking = [column for column in _PAIRS if column not in pairs.columns]
    if lacking:
        raise UserError(f"The pairs lack the column {lacking[0]}.", where="grounding pairs", remedy="Make them again.")
    good = pairs[pairs["ok"].astype(bool)]
    if good.empty:
        return empty
    place = {label: column for column, label in enumerate(taxonomy.labels)}
    strange = sorted({*good["emotion_a"], *good["emotion_b"]} - set(place))
    if strange:
        raise UserError(f"A pair has the emotion {strange[0]!r}.", where="grounding pairs", remedy=f"Use the labels of {taxonomy.name}.")
    character = good["character"].fillna("")
    made = tuple(
        _Texts([with_character(*both) for both in zip(good[side], character, strict=True)], good["utterance"].tolist())
        for side in ("context_a", "context_b")
    )
    wanted = np.array([[place[a], place[b]] for a, b in zip(good["emotion_a"], good["emotion_b"], strict=True)], dtype=np.int64)
    return (made[0], made[1]), wanted


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


def macro_average_precision(probabilities: FloatArray, truth: FloatArray) -> float:
    """Return the mean average precision over labels that have a true row."""
    seen = np.flatnonzero(truth.any(axis=0))
    return float(np.mean([average_precision_score(truth[:, label], probabilities[:, label]) for label in seen]))


def resampled(values: FloatArray, resamples: int, confidence: float, seed: int) -> tuple[float, float, float]:
    """Return the mean of (repeats, items) values and its bootstrap interval: repeats and items are both drawn anew."""
    rng = np.random.default_rng(seed)
    repeats, items = values.shape
    means = [values[rng.integers(0, repeats, repeats)].mean(axis=0)[rng.integers(0, items, items)].mean() for _ in range(resamples)]
    interval = percentile_interval(means, confidence)
    return float(values.mean()), interval.low, interval.high


# --- models ---------------------------------------------------------------------------------------------

Predictions = dict[str, FloatArray]
Predict = Callable[[_Data, str, int], Predictions]


def _shown(data: _Data, kind: str, repeat: int) -> tuple[_Texts, dict[str, _Texts]]:
    """Return training and test texts; of pairs the contexts are never shuffled, since they are what is asked about."""
    train, test = data.train, data.test
    if kind == SHUFFLED:
        train, test = (texts.shuffled(stable_seed("shuffle", part, repeat)) for part, texts in (("train", train), ("test", test)))
    return train, {"rows": test, "a": data.sides[0], "b": data.sides[1]}


def _encoder(params: Transfer, folder: Path, labels: Sequence[str]) -> Predict:
    settings = encoder_settings(params.encoder, params.context.steps or params.encoder.pretrain_steps)

    def predict(data: _Data, kind: str, repeat: int) -> Predictions:
        train, tests = _shown(data, kind, repeat)
        model = MultiLabelEncoder(folder, settings, labels, seed=repeat).fit(train.inputs(kind), data.soft)
        return {name: model.predict_proba(texts.inputs(kind)) for name, texts in tests.items()}

    return predict


def _linear(params: Transfer, embed: Embed) -> Predict:
    def features(texts: _Texts, kind: str) -> FloatArray:
        parts = []
        if kind != CONTEXT_ONLY:
            parts.append(embedding_features(embed(texts.utterances)))
        if kind != UTTERANCE:
            parts.append(embedding_features(embed(texts.contexts)))
        return np.hstack(parts)

    def predict(data: _Data, kind: str, repeat: int) -> Predictions:
        train, tests = _shown(data, kind, repeat)
        x, inner = features(train, kind), data.fold
        # Strength chosen on stories of the training rows, by their soft labels: the tested stories have no say.
        losses = []
        for c in sorted(params.c_grid):
            p = np.clip(OneVsRest(c).fit(x[~inner], data.soft[~inner]).predict_proba(x[inner]), 1e-6, 1 - 1e-6)
            losses.append(-float((data.soft[inner] * np.log(p) + (1 - data.soft[inner]) * np.log(1 - p)).mean()))
        model = OneVsRest(sorted(params.c_grid)[int(np.argmin(losses))]).fit(x, data.soft)
        return {name: model.predict_proba(features(texts, kind)) if texts.utterances else data.soft[:0] for name, texts in tests.items()}

    return predict


def run_context(
    params: Transfer,
    rows: pd.DataFrame,
    pairs: pd.DataFrame | None,
    taxonomy: Taxonomy,
    *,
    cache: Path,
    embed: Embed | None = None,
    encoder_folder: Path | None = None,
    encoder_hash: str = "",
    resamples: int = 2000,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Train each input's model on contextual rows of the headline arm and test it on held-out stories and on pairs.

    All are trained on the same rows and soft labels with the same steps (``transfer.context``). Training rows whose context repeats one of a
    pair are left out. ``embedding`` concatenates the embeddings of utterance and context; it is deterministic, and run once.

    Parameters
    ----------
    rows, pairs
        Of the grounding step; pairs None: only rows are tested on.
    embed
        Of the base encoder; None: without the learner ``embedding``.
    encoder_folder
        None: without the learner ``encoder``.

    Returns
    -------
    pandas.DataFrame
        learner, input (`INPUTS`, and differences such as ``context − utterance``), test (``rows`` or ``pairs``), repeat (`ALL_REPEATS`:
        mean), n, measure (``lrap``, ``top_1``, ``macro_average_precision``; ``flips``), value, low, high.
        Intervals of one repeat are of rows or pairs, drawn anew; those of means and differences of repeats as well. Differences are
        taken row by row.

    Raises
    ------
    UserError
        If the rows come from fewer than four stories, or tables do not fit.

    Notes
    -----
    The contexts of held-out rows were written for the emotion asked for, so a context may give it away without the
    utterance: what the input ``context only`` says. Pairs hold the utterance fixed and ask about the change alone.
    """
    data = _data(params, rows, pairs, taxonomy)
    plan: list[tuple[str, Predict, int, Any]] = []
    if encoder_folder is not None and "encoder" in params.learners:
        repeats = params.context.repeats or params.learners["encoder"].repeats or params.seeding.repeats
        identity = {**params.encoder.model_dump(), "context": params.context.steps}
        plan.append(("encoder", _encoder(params, encoder_folder, taxonomy.labels), repeats, identity))
    if embed is not None:
        plan.append(("embedding", _linear(params, embed), 1, params.c_grid))
    base = digest(
        encoder_hash, taxonomy.labels, vars(data.train), numbers(data.soft), data.fold.tolist(), vars(data.test), vars(data.sides[0]),
        vars(data.sides[1]), code_identity(), Path(__file__).read_text(encoding="utf-8"),
    )  # fmt: skip
    progress = Progress(sum(item[2] for item in plan) * len(INPUTS), "context", "models")
    found: list[list[Any]] = []
    with RowStore(cache / "rows" / "context.jsonl") as store:
        for learner, predict, repeats, identity in plan:
            made: dict[tuple[str, int], Predictions] = {}
            for repeat in range(repeats):
                for kind in INPUTS:
                    key = digest(base, learner, identity, kind, repeat)
                    if key in store:
                        progress.skip(1)
                    else:
                        store.commit({key: {name: p.tolist() for name, p in predict(data, kind, repeat).items()}})
                        progress.advance()
                    kept = {name: np.array(p, dtype=np.float64).reshape(-1, len(taxonomy.labels)) for name, p in store.get(key).items()}
                    made[kind, repeat] = kept
            found += _measure(learner, made, repeats, data, resamples, confidence)
    return pd.DataFrame(found, columns=COLUMNS)


def _measure(
    learner: str, made: Mapping[tuple[str, int], Predictions], repeats: int, data: _Data, resamples: int, confidence: float
) -> list[list[Any]]:
    found: list[list[Any]] = []

    def add(kind: str, test: str, repeat: int, measure: str, values: FloatArray) -> None:
        seed = stable_seed("context", learner, test, measure)  # one draw for all inputs
        found.append([learner, kind, test, repeat, values.shape[1], measure, *resampled(values, resamples, confidence, seed)])

    measures: dict[tuple[str, str], Callable[[Predictions], FloatArray]] = {
        ("rows", "lrap"): lambda p: row_lrap(p["rows"], data.truth),
        ("rows", "top_1"): lambda p: top_one(p["rows"], data.truth),
    }
    if len(data.wanted):
        measures["pairs", "flips"] = lambda p: flips(p["a"], p["b"], data.wanted)
    for (test, measure), function in measures.items():
        values = {kind: np.array([function(made[kind, repeat]) for repeat in range(repeats)]) for kind in INPUTS}
        for kind in INPUTS:
            for repeat in range(repeats):
                add(kind, test, repeat, measure, values[kind][[repeat]])
            add(kind, test, ALL_REPEATS, measure, values[kind])
        for other in (UTTERANCE, SHUFFLED, CONTEXT_ONLY):
            add(f"{CONTEXT} − {other}", test, ALL_REPEATS, measure, values[CONTEXT] - values[other])
    for kind in INPUTS:
        for repeat in range(repeats):
            p = made[kind, repeat]["rows"]
            rng = np.random.default_rng(stable_seed("context", learner, "average precision"))
            draws = (rng.integers(0, len(p), len(p)) for _ in range(min(resamples, _RANKED)))
            interval = percentile_interval([macro_average_precision(p[drawn], data.truth[drawn]) for drawn in draws], confidence)
            value = macro_average_precision(p, data.truth)
            found.append([learner, kind, "rows", repeat, len(p), "macro_average_precision", value, interval.low, interval.high])
    return found
