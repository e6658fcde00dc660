"""Step 02: what a classifier fitted on each seed alone says about its words, and what guides may show of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from emosynth.cards import Card, Source, read_table, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus, load_corpus
from emosynth.corpora.schema import some
from emosynth.design.cells import Cell, in_sizes, list_cells
from emosynth.errors import UserError
from emosynth.explain.explained import BoolArray, C, Explained, Kind, against_encoder, compare_learners, explain_encoder, explain_seed
from emosynth.explain.ranking import (
    KINDS,
    agreement,
    choose_exemplars,
    compare,
    differential_scores,
    presentable,
    rank_tokens,
    shuffled,
    stability,
    top_tokens,
)
from emosynth.guides.base import Materials, Tables
from emosynth.languages import is_english
from emosynth.params import Params
from emosynth.paths import Paths, repro
from emosynth.progress import say
from emosynth.seeding import Seed, load_order, load_seed, seed_rows

_CELL = ["corpus", "size", "repeat"]
MATERIALS = [*_CELL, "label", "kind", "by", "rank", "value", "score"]
_COMPARED = ["n_tokens", "spearman", "overlap", "rbo"]
TABLES: dict[str, list[str]] = {
    "materials": MATERIALS, "tokens": [*_CELL, "label", "token", "shap", "tfidf", "both", "rank_shap", "rank_tfidf", "rank_both"],
    "agreement": [*_CELL, "label", "first", "second", *_COMPARED],
    "stability": ["corpus", "size", "label", "ranking", "repeat_a", "repeat_b", *_COMPARED],
    "explainers": [*_CELL, "label", "first", "second", *_COMPARED], "learners": [*_CELL, "learner", "folds", "macro_f1", "sd"],
    "shap_rows": [*_CELL, "id", "row_label", "token", "tfidf", "label", "shap"],
    "encoder_rows": [*_CELL, "id", "row_label", "position", "token", "label", "shap", "base", "margin"],
}  # fmt: skip
"""Tables of the step and their columns."""


def build_materials(params: Params, catalog: Catalog, paths: Paths) -> dict[str, pd.DataFrame]:
    """Explain a classifier of every seed, from seed rows alone, and write what guides may show.

    Returns
    -------
    dict of DataFrame
        The tables of `TABLES`. ``shap_rows`` and ``encoder_rows`` are about the first repeat of the target corpus; ``learners`` is about
        the largest seed of the first repeat of each.

    Raises
    ------
    UserError
        If steps 00 and 01 have not run or do not fit each other, or a seed holds no word.
    """
    order = load_order(paths)
    made: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    corpora = [load_corpus(paths, name, ["train"]) for name in params.corpora.names]
    for corpus in corpora:
        tokens = []
        for cell in list_cells(params, corpus.name):
            for name, frame in _explain_cell(corpus, order, cell, params, catalog).items():
                made[name].append(frame.assign(corpus=cell.corpus, size=cell.size, repeat=cell.repeat))
            tokens.append(made["tokens"][-1])
            say(f"shap: seed {cell} explained")
        agreed = stability(pd.concat(tokens, ignore_index=True), corpus.classes, params.shap.tokens)
        made["stability"].append(agreed.assign(corpus=corpus.name))
    tables = {}
    for name, columns in TABLES.items():
        frames = [frame[columns] for frame in made[name] if len(frame)]
        tables[name] = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
        write_table(tables[name], paths.materials / f"{name}.parquet", _card(name, corpora, params, tables[name]))
    return tables


def _explain_cell(corpus: Corpus, order: pd.DataFrame, cell: Cell, params: Params, catalog: Catalog) -> dict[str, pd.DataFrame]:
    """Return the tables of one seed, without the columns that name it."""
    if not is_english(corpus.languages):  # function words of other languages are not known
        params = params.model_copy(update={"shap": params.shap.model_copy(update={"function_words": True})})
    shap, classes, single = params.shap, corpus.classes, corpus.task == "single"
    seed = load_seed(corpus, order, cell)
    has = np.array([[label in labels for label in classes] for labels in seed.labels])
    explained = explain_seed(shap.explain, seed.texts, has, single)
    ranking = rank_tokens(explained.attributions, explained.features, has, classes, shap.min_document_frequency)
    silent = [label for label in classes if not top_tokens(ranking, label, "shap", 1, function_words=shap.function_words)]
    if silent:
        say(f"shap: seed {cell}: no token speaks for {some(silent)}; guides have none to show")
    tables = {
        "materials": _materials(seed, has, explained, ranking, classes, params),
        "tokens": ranking,
        "agreement": agreement(ranking, classes, shap.tokens),
    }
    compared: list[dict[str, Any]] = []
    first_of_target = corpus.name == params.corpora.target and cell.repeat == 0
    largest = cell.size == params.cells.sizes_of(corpus.name)[-1]
    if shap.compare:
        second: Kind = "trees" if shap.explain == "tfidf" else "tfidf"
        compared += _against(second, seed, has, ranking, classes, params, single)
        if cell.repeat == 0 and largest:
            tables["learners"] = compare_learners(seed, has, [str(label) for label in seed_rows(order, cell)["label"]], single)
    if first_of_target and largest:
        tables["shap_rows"] = _occurrences(seed, explained, classes)
    if first_of_target and shap.encoder_rows and in_sizes(params, shap.encoder_sizes, cell):
        found = explain_encoder(seed, has, single, classes, params, catalog.model(params.models.encoder))
        tables["encoder_rows"] = found
        rows = against_encoder(found, seed, has, explained.attributions, classes, shap.tokens)
        compared += [{"first": shap.explain, "second": "encoder", **row} for row in rows]
    tables["explainers"] = pd.DataFrame(compared)
    return tables


def _against(
    second: Kind, seed: Seed, has: BoolArray, ranking: pd.DataFrame, classes: Sequence[str], params: Params, single: bool
) -> list[dict[str, Any]]:
    """Compare SHAP token scores of the model explained with those of another."""
    shap = params.shap
    explained = explain_seed(second, seed.texts, has, single)
    other = rank_tokens(explained.attributions, explained.features, has, classes, shap.min_document_frequency)
    out = []
    for label in classes:
        a, b = (frame[frame["label"] == label].set_index("token")["shap"] for frame in (ranking, other))
        out.append({"label": label, "first": shap.explain, "second": second, **compare(a, b, shap.tokens)})
    return out


def _materials(
    seed: Seed, has: BoolArray, explained: Explained, ranking: pd.DataFrame, classes: Sequence[str], params: Params
) -> pd.DataFrame:
    """Return for each label tokens and exemplars by SHAP and by TF-IDF, and random exemplars."""
    shap, features, mass = params.shap, explained.features, explained.attributions.mass()
    out: list[tuple[str, str, str, int, str, float]] = []
    for index, label in enumerate(classes):
        rows = np.flatnonzero(has[:, index])
        ids = [seed.ids[row] for row in rows]
        for by in ("shap", "tfidf"):
            tokens = top_tokens(ranking, label, by, shap.tokens, function_words=shap.function_words)
            out += [(label, "token", by, rank, token, round(score, 8)) for rank, (token, score) in enumerate(tokens)]
        by_tfidf = np.asarray(features[rows] @ differential_scores(features, has[:, index]), dtype=np.float64)
        for by, strength in (("shap", mass[rows, index]), ("tfidf", by_tfidf)):
            chosen = choose_exemplars(ids, strength, features[rows], shap.exemplars, shap.diversity)
            out += [(label, "exemplar", by, rank, item, round(score, 8)) for rank, (item, score) in enumerate(chosen)]
        drawn = shuffled(ids, shap.exemplars, params.cells.random_seed, seed.cell.size, seed.cell.repeat, index)
        out += [(label, "exemplar", "random", rank, item, float("nan")) for rank, item in enumerate(drawn)]
    return pd.DataFrame(out, columns=["label", "kind", "by", "rank", "value", "score"])


def _occurrences(seed: Seed, explained: Explained, classes: Sequence[str]) -> pd.DataFrame:
    """Return every occurrence of a presentable token with its SHAP value for each label."""
    found = explained.attributions
    shown = np.asarray([presentable(term) for term in found.terms], dtype=bool)[found.columns]
    rows, columns, values, phi = found.rows[shown], found.columns[shown], found.values[shown], found.phi[shown]
    frame = pd.DataFrame({
        "id": [seed.ids[row] for row in rows], "row_label": [", ".join(seed.labels[row]) for row in rows],
        "token": [found.terms[column] for column in columns], "tfidf": values,
    })  # fmt: skip
    return pd.concat([frame.assign(label=label, shap=phi[:, index]) for index, label in enumerate(classes)], ignore_index=True)


# --- cards --------------------------------------------------------------------------------------------

_WHAT = {
    "materials": "What guides may show of each seed: tokens and seed rows of each class, best first.",
    "tokens": "Scores and ranks of the seed's tokens for each class.",
    "agreement": "How far the SHAP ranking and the TF-IDF differential ranking of one seed agree.",
    "stability": "How far token rankings of equally large, independently drawn seeds agree.",
    "explainers": "How far SHAP token scores of different models of one seed agree.",
    "learners": "Six classical learners on TF-IDF, cross-validated within the largest seed of the first repeat.",
    "shap_rows": "SHAP values of every occurrence of a token in the largest seed of the first repeat of the target.",
    "encoder_rows": "Word-level SHAP values of the fine-tuned encoder on a few rows of the target, every word in order.",
}
_MEANINGS = {
    "corpus": "name of the corpus", "size": "rows of the seed", "repeat": "number of the seed series",
    "label": "class that the value speaks for", "kind": "token or exemplar", "by": "what it was chosen by: shap, tfidf, random",
    "rank": "place, from 0", "value": "the token, or the id of the seed row",
    "score": "of the token, or the mass of the row's tokens; random: none", "token": "lower-case token",
    "shap": "tokens: SHAP values summed over the class's rows with the token, per row of the class; else SHAP value of this occurrence",
    "tfidf": "tokens: mean TF-IDF in the class minus mean in the rest; shap_rows: TF-IDF in this row",
    "both": "reciprocal-rank fusion of both scores", "rank_shap": "rank by shap, from 1", "rank_tfidf": "rank by tfidf, from 1",
    "rank_both": "rank by both, from 1", "ranking": f"which of {', '.join(KINDS)}",
    "first": "one of the two compared: shap or tfidf (rankings); tfidf, trees or encoder (models)", "second": "the other",
    "repeat_a": "one seed", "repeat_b": "the other seed", "n_tokens": "tokens scored by both",
    "spearman": "rank correlation over those tokens", "overlap": "share of the best shap.tokens tokens in common",
    "rbo": "rank-biased overlap, p = 0.9", "learner": "name of the learner", "folds": "folds of the seed, stratified",
    "macro_f1": "macro-F1, mean over the folds", "sd": "its standard deviation over the folds", "id": "row of the corpus",
    "row_label": "the row's own class (several: separated by commas)", "position": "place of the word in the text, from 0",
    "base": "log-probability of the class with every word masked", "margin": "log-probability of the class",
}  # fmt: skip
_MODELS = {"tfidf": f"logistic regression (C = {C:g})", "trees": "XGBoost"}


def _card(name: str, corpora: Sequence[Corpus], params: Params, frame: pd.DataFrame) -> Card:
    return Card(
        title=f"SHAP analysis: {name.replace('_', ' ')}",
        what=_WHAT[name],
        made=(
            f"Step 02 (shap). Unigram TF-IDF and {_MODELS[params.shap.explain]} fitted on each seed alone, classes balanced (corpora with several "
            "labels a row: each label on its own, as it comes); exact SHAP values of its margins. Ranked are words, #tags and emoji in at least "
            f"{params.shap.min_document_frequency} rows of the seed."
        ),
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in corpora],
        columns={column: _MEANINGS[column] for column in frame.columns},
        counts={"rows": len(frame)},
        limits=["Values describe a model of a few rows, not the language: with small seeds the ranking differs a lot from seed to seed."],
        licence="; ".join(dict.fromkeys(corpus.licence or "unknown" for corpus in corpora)),
        languages=list(dict.fromkeys(language for corpus in corpora for language in corpus.languages)),
        citation="\n\n".join(dict.fromkeys(corpus.citation for corpus in corpora if corpus.citation)),
    )


# --- what guides read of one seed ---


def load_materials(paths: Paths) -> Callable[[Cell], Materials]:
    """Return a function from cells to what step 02 found in their seeds; both raise UserError for what step 02 has not made."""
    path = paths.materials / "materials.parquet"
    table = read_table(path, MATERIALS, stage="shap").sort_values("rank", kind="stable")
    found: dict[tuple[Any, ...], pd.DataFrame] = dict(iter(table.groupby(["corpus", "repeat", "size"], sort=False)))  # type: ignore[arg-type]

    def of(cell: Cell) -> Materials:
        key = (cell.corpus, cell.repeat, cell.size)
        if key not in found:
            raise UserError(f"There are no materials of the seed {cell}.", where=str(path), remedy=f"Run: {repro('02_shap', again=True)}")
        rows = found[key]
        tokens: dict[tuple[str, str], list[tuple[str, float]]] = {}
        exemplars: dict[tuple[str, str], list[str]] = {}
        for label, by, kind, value, score in zip(rows["label"], rows["by"], rows["kind"], rows["value"], rows["score"], strict=True):
            if kind == "token":
                tokens.setdefault((label, by), []).append((value, float(score)))
            else:
                exemplars.setdefault((label, by), []).append(value)
        return Tables(tokens, exemplars)

    return of
