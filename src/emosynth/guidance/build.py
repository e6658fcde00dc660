"""Builds the guidance files of a profile from its seeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.cards import Card, Source, write_table, write_text
from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.guidance.exemplars import choose_exemplars, shuffled
from emosynth.guidance.ranking import KINDS, agreement, compare, presentable, rank_tokens, stability, top_tokens
from emosynth.guidance.shap_values import Attributions, encoder_attributions, linear_attributions, tree_attributions
from emosynth.models.classifiers import TextClassifier, TreeClassifier, label_indices
from emosynth.models.encoders import FineTunedEncoder
from emosynth.params import FineTuning, Seeding, Shap
from emosynth.progress import say
from emosynth.seeding import seed_rows

C = 1.0
"""Inverse regularisation strength of the model explained. Fixed: choosing it would need labelled rows beyond the seed."""

_COMPARED = ["size", "repeat", "label", "first", "second", "n_tokens", "spearman", "overlap", "rbo"]


@dataclass(frozen=True)
class Seed:
    """The rows of one seed."""

    size: int
    repeat: int
    ids: list[str]
    texts: list[str]
    targets: npt.NDArray[np.int64]


def load_seed(corpus: Corpus, order: pd.DataFrame, repeat: int, size: int) -> Seed:
    """Return the rows of a seed.

    Raises
    ------
    UserError
        If the order names a row that is not a training row of the corpus, or the corpus is multi-label.
    """
    if corpus.task != "single":
        raise UserError(
            "SHAP guidance explains single-label classifiers.", where=corpus.name, remedy="Choose a single-label corpus as corpora.target."
        )
    rows = seed_rows(order, repeat, size)
    train = corpus.frame[corpus.frame["split"] == "train"].set_index("id")["text"]
    ids = [str(item) for item in rows["id"]]
    strange = [item for item in ids if item not in train.index]
    if strange:
        raise UserError(
            f"{len(strange)} seed rows are not training rows of {corpus.name}.",
            where=f"repeat {repeat}, size {size}: {strange[0]}",
            remedy="Make the seeds again: dvc repro.",
        )
    return Seed(size, repeat, ids, [str(text) for text in train.loc[ids]], label_indices(rows["label"], corpus.classes))


def build_guidance(
    corpus: Corpus,
    order: pd.DataFrame,
    shap: Shap,
    seeding: Seeding,
    out: Path,
    *,
    encoder: Path | None = None,
    finetuning: FineTuning | None = None,
    progress: Callable[[str], None] = say,
) -> dict[str, pd.DataFrame]:
    """Explain a classifier of each seed and write what the generator may be told.

    Only seed rows are used: neither the pool nor validation nor test rows reach a file of this step.

    Parameters
    ----------
    corpus, order
        The target corpus (training rows suffice) and the order of its training rows.
    shap, seeding
        Parameters.
    out
        Folder written to, ``paths.guidance``.
    encoder
        Encoder folder; needed if ``shap.encoder_rows`` and ``shap.encoder_sizes`` ask for it.
    finetuning
        How the encoder is tuned on the seed before it is explained; None: the defaults.

    Returns
    -------
    dict of pandas.DataFrame
        The tables written: tokens, agreement, stability, explainers, shap_rows, encoder_rows.
    """
    classes = corpus.classes
    token_frames, agreement_frames, explainer_rows, lines = [], [], [], []
    shap_rows = pd.DataFrame(columns=["size", "repeat", "id", "row_label", "token", "tfidf", "label", "shap"])
    encoder_frames = []
    for size in seeding.sizes:
        for repeat in range(seeding.repeats):
            seed = load_seed(corpus, order, repeat, size)
            labels = [classes[target] for target in seed.targets]
            model = TextClassifier(ngrams=(1, 1)).fit(seed.texts, labels, classes, c=C)
            features = model.features.transform(seed.texts)
            linear = linear_attributions(model, seed.texts)
            key = {"size": size, "repeat": repeat}
            ranking = rank_tokens(linear, features, seed.targets, classes, shap.min_document_frequency)
            token_frames.append(ranking.assign(**key))
            agreement_frames.append(agreement(ranking, classes, shap.tokens).assign(**key))
            lines.append({**key, "classes": _guided(seed, linear, features, ranking, classes, shap, seeding)})
            if shap.tree:
                tree = TreeClassifier().fit(seed.texts, labels, classes)
                other = rank_tokens(
                    tree_attributions(tree, seed.texts),
                    tree.features.transform(seed.texts),
                    seed.targets,
                    classes,
                    shap.min_document_frequency,
                )
                for label in classes:
                    a, b = (frame[frame["label"] == label].set_index("token")["shap"] for frame in (ranking, other))
                    explainer_rows.append({**key, "label": label, "first": "linear", "second": "tree", **compare(a, b, shap.tokens)})
            if repeat == 0 and size == seeding.sizes[-1]:
                shap_rows = _occurrences(seed, linear, classes)
            if repeat == 0 and size in shap.encoder_sizes and shap.encoder_rows:
                if encoder is None:
                    raise UserError(
                        "The encoder to explain is missing.",
                        where="shap.encoder_rows",
                        remedy="Pass an encoder, or set shap.encoder_rows: 0.",
                    )
                found = _explain_encoder(seed, labels, classes, shap, seeding, encoder, finetuning or FineTuning(), progress)
                encoder_frames.append(found.assign(**key))
                explainer_rows += _against_encoder(found, seed, linear, classes, shap.tokens)
            progress(f"guidance: seed of {size}, repeat {repeat + 1} of {seeding.repeats} explained")
    tokens = _lead(pd.concat(token_frames, ignore_index=True), ["size", "repeat"])
    agreed = _lead(pd.concat(agreement_frames, ignore_index=True), ["size", "repeat"])
    tables = {
        "tokens": tokens,
        "agreement": agreed,
        "stability": stability(tokens, classes, shap.tokens),
        "explainers": pd.DataFrame(explainer_rows, columns=_COMPARED),
        "shap_rows": shap_rows,
    }
    if encoder_frames:
        tables["encoder_rows"] = _lead(pd.concat(encoder_frames, ignore_index=True), ["size", "repeat"])
    for name, frame in tables.items():
        write_table(frame, out / f"{name}.parquet", _card(name, corpus, shap, frame))
    write_text(out / "guidance.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return tables


def _lead(frame: pd.DataFrame, first: list[str]) -> pd.DataFrame:
    return frame[[*first, *[column for column in frame.columns if column not in first]]]


def _guided(
    seed: Seed, linear: Attributions, features: Any, ranking: pd.DataFrame, classes: list[str], shap: Shap, seeding: Seeding
) -> dict[str, Any]:
    """Return the entry of one seed: for each class tokens, exemplars, random exemplars."""
    mass = linear.mass()
    out: dict[str, Any] = {}
    for index, label in enumerate(classes):
        rows = np.flatnonzero(seed.targets == index)
        ids = [seed.ids[row] for row in rows]
        chosen = choose_exemplars(ids, mass[rows, index], features[rows], shap.exemplars, shap.diversity)
        out[label] = {
            "tokens": {
                kind: [[t, round(s, 8)] for t, s in top_tokens(ranking, label, kind, shap.tokens, function_words=shap.function_words)]
                for kind in ("shap", "tfidf", "both")
            },
            "exemplars": [{"id": item, "score": round(score, 8)} for item, score in chosen],
            "random": shuffled(ids, shap.exemplars, seeding.random_seed, seed.size, seed.repeat, index),
        }
    return out


def _occurrences(seed: Seed, linear: Attributions, classes: list[str]) -> pd.DataFrame:
    """Return every occurrence of a presentable token with its SHAP value for each class."""
    shown = np.asarray([presentable(term) for term in linear.terms], dtype=bool)[linear.columns]
    rows, columns, values, phi = linear.rows[shown], linear.columns[shown], linear.values[shown], linear.phi[shown]
    frames = [
        pd.DataFrame(
            {
                "size": seed.size,
                "repeat": seed.repeat,
                "id": [seed.ids[row] for row in rows],
                "row_label": [classes[seed.targets[row]] for row in rows],
                "token": [linear.terms[column] for column in columns],
                "tfidf": values,
                "label": label,
                "shap": phi[:, index],
            }
        )
        for index, label in enumerate(classes)
    ]
    return pd.concat(frames, ignore_index=True)


def _explain_encoder(
    seed: Seed,
    labels: list[str],
    classes: list[str],
    shap: Shap,
    seeding: Seeding,
    folder: Path,
    settings: FineTuning,
    progress: Callable[[str], None],
) -> pd.DataFrame:
    """Tune the encoder on the seed, and explain some of its rows: as many of each class as there are, in turn."""
    model = FineTunedEncoder(folder, settings, seed=seeding.random_seed).fit(seed.texts, labels, classes)
    by_class = [
        shuffled(
            [seed.ids[row] for row in np.flatnonzero(seed.targets == index)], seed.size, seeding.random_seed, seed.size, seed.repeat, index
        )
        for index in range(len(classes))
    ]
    turns = [ids[turn] for turn in range(seed.size) for ids in by_class if turn < len(ids)][: shap.encoder_rows]
    chosen = [seed.ids.index(item) for item in turns]

    def show(done: int) -> None:
        if done % 5 == 0 or done == len(chosen):
            progress(f"guidance: encoder explained on {done} of {len(chosen)} rows")

    frame = encoder_attributions(model.predict_proba, [seed.texts[row] for row in chosen], classes, progress=show)
    frame.insert(0, "id", [seed.ids[chosen[row]] for row in frame["row"]])
    frame.insert(1, "row_label", [labels[chosen[row]] for row in frame["row"]])
    return frame.drop(columns="row")


def _against_encoder(found: pd.DataFrame, seed: Seed, linear: Attributions, classes: list[str], k: int) -> list[dict[str, Any]]:
    """Compare the encoder's token scores with the linear model's, both over the rows that the encoder was explained on."""
    explained = np.isin(np.asarray(seed.ids), found["id"].unique())
    out = []
    for index, label in enumerate(classes):
        inside = explained & (seed.targets == index)
        if not inside.any():
            continue
        mine = found[(found["label"] == label) & (found["row_label"] == label)]
        other = mine[mine["token"].map(presentable)].groupby("token", sort=True)["shap"].sum() / inside.sum()
        at = inside[linear.rows]
        sums = (
            pd.Series(linear.phi[at, index], index=[linear.terms[column] for column in linear.columns[at]])
            .groupby(level=0, sort=True)
            .sum()
        )
        mine_linear = sums[[presentable(str(token)) for token in sums.index]] / inside.sum()
        row = {"size": seed.size, "repeat": seed.repeat, "label": label, "first": "linear", "second": "encoder"}
        out.append({**row, **compare(mine_linear, other, k)})
    return out


_WHAT = {
    "tokens": "Scores and ranks of the seed's tokens for each class.",
    "agreement": "How far the SHAP ranking and the TF-IDF differential ranking of one seed agree.",
    "stability": "How far token rankings of equally large, independently drawn seeds agree.",
    "explainers": "How far SHAP token scores of different models of one seed agree.",
    "shap_rows": "SHAP values of every occurrence of a token in the largest seed of the first repeat.",
    "encoder_rows": "Word-level SHAP values of the fine-tuned encoder on a few rows, every word in order.",
}
_COLUMNS = {
    "size": "rows of the seed",
    "repeat": "number of the seed series",
    "label": "class that the value speaks for",
    "token": "lower-case token",
    "shap": "tokens: SHAP values summed over the class's rows with the token, per row of the class; else SHAP value of this occurrence",
    "tfidf": "tokens: mean TF-IDF in the class minus mean in the rest; shap_rows: TF-IDF in this row",
    "both": "reciprocal-rank fusion of both scores",
    "rank_shap": "rank by shap, from 1",
    "rank_tfidf": "rank by tfidf, from 1",
    "rank_both": "rank by both, from 1",
    "ranking": f"which of {', '.join(KINDS)}",
    "first": "one of the two compared",
    "second": "the other",
    "repeat_a": "one seed",
    "repeat_b": "the other seed",
    "n_tokens": "tokens scored by both",
    "spearman": "rank correlation over those tokens",
    "overlap": "share of the best shap.tokens tokens in common",
    "rbo": "rank-biased overlap, p = 0.9",
    "id": "row of the corpus",
    "row_label": "the row's own class",
    "position": "place of the word in the text, from 0",
    "base": "log-probability of the class with every word masked",
    "margin": "log-probability of the class",
}


def _card(name: str, corpus: Corpus, shap: Shap, frame: pd.DataFrame) -> Card:
    return Card(
        title=f"Guidance: {name.replace('_', ' ')}",
        what=_WHAT[name],
        made=(
            f"Step 02 (guidance). Unigram TF-IDF and class-balanced logistic regression (C = {C}) fitted on each seed alone; exact SHAP values of its "
            f"softmax margins, features taken as independent. Ranked are words, #tags and emoji in at least {shap.min_document_frequency} rows of the seed."
        ),
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash)],
        columns={column: meaning for column, meaning in _COLUMNS.items() if column in frame.columns},
        counts={"rows": len(frame)},
        limits=["Values describe a model of a few rows, not the language: with small seeds the ranking differs a lot from seed to seed."],
        licence=corpus.licence or "unknown",
        languages=corpus.languages,
        citation=corpus.citation,
    )
