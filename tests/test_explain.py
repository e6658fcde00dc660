"""SHAP values, rankings, exemplars, learners compared, and the materials of step 02; invented texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from emosynth.cards import read_table
from emosynth.corpora import Corpus
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.explain import TABLES, build_materials, load_materials
from emosynth.explain.explained import _estimators, against_encoder, compare_learners, explain_seed
from emosynth.explain.ranking import (
    agreement,
    choose_exemplars,
    compare,
    differential_scores,
    function_word,
    overlap,
    presentable,
    rank_biased_overlap,
    rank_tokens,
    shuffled,
    stability,
    top_tokens,
)
from emosynth.explain.shap_values import Attributions, encoder_attributions, linear_attributions
from emosynth.models.features import TfidfFeatures
from emosynth.models.trees import BoostedTrees
from emosynth.params import Cells, CellsOf, Corpora, Models, Shap
from emosynth.paths import Paths
from emosynth.seeding import Seed, load_seed, stratified_order

CLASSES = ["calm", "cross", "merry"]
STEMS = {
    "calm": ["quiet lake", "slow breath", "soft rain"],
    "cross": ["broken kettle", "rude clerk", "late bus"],
    "merry": ["warm cake", "silly dance", "bright song"],
}
TAILS = ["by the river", "in my kitchen", "with old friends", "after the market", "near a window", "on the hill", "before supper"]


def invented(count: int) -> tuple[list[str], list[str]]:
    """Return ``count`` different texts of each class, with their labels."""
    texts = [f"{STEMS[c][i % 3]} {TAILS[i % 7]} {i}" for c in CLASSES for i in range(count)]
    return texts, [c for c in CLASSES for _ in range(count)]


def corpus_of(count: int = 20, task: str = "single") -> Corpus:
    texts, labels = invented(count)
    rows = [(f"t{i:03d}", text, [label], "train", "toy") for i, (text, label) in enumerate(zip(texts, labels, strict=True))]
    rows += [(f"x{i}", "leaked leaked zebra", [label], split, "toy") for i, label in enumerate(CLASSES) for split in ("test",)]
    frame = pd.DataFrame(rows, columns=["id", "text", "labels", "split", "corpus"])
    return Corpus("toy", frame, CLASSES, task, "note", {c: c for c in CLASSES}, licence="mit")


# --- SHAP values ----------------------------------------------------------------------------------


def has_of(labels: list[Any]) -> np.ndarray:
    return np.array([[c in ([label] if isinstance(label, str) else label) for c in CLASSES] for label in labels])


def totals(found: Attributions) -> np.ndarray:
    """Return (n, k) sums of expected margin and all contributions; additivity: these are the margins."""
    return found.base + found.absent + found.mass()


def test_linear_shap_is_coef_times_difference_from_the_mean():
    rng = np.random.default_rng(3)
    x = rng.random((7, 4)) * (rng.random((7, 4)) > 0.4)
    coef, intercept = rng.normal(size=(3, 4)), rng.normal(size=3)
    phi = coef[None] * (x - x.mean(axis=0))[:, None]  # row, class, token
    found = linear_attributions(list("abcd"), sp.csr_matrix(x), coef, intercept)
    np.testing.assert_allclose(found.values, x[found.rows, found.columns])
    np.testing.assert_allclose(found.phi, phi[found.rows, :, found.columns], atol=1e-9)
    np.testing.assert_allclose(found.absent, np.where(x[:, None] == 0, phi, 0).sum(axis=2), atol=1e-9)
    np.testing.assert_allclose(found.base, intercept + coef @ x.mean(axis=0), atol=1e-9)
    assert len(found.rows) == np.count_nonzero(x)
    np.testing.assert_allclose(totals(found), x @ coef.T + intercept, atol=1e-9)


@pytest.mark.parametrize("kept", [CLASSES, ["calm", "merry"]])
def test_explained_linear_model_is_balanced_logistic_regression(kept):
    from sklearn.linear_model import LogisticRegression

    texts, labels = invented(9)
    texts, labels = zip(*[(t, c) for t, c in zip(texts, labels, strict=True) if c in kept][4:], strict=True)
    found = explain_seed("tfidf", texts, has_of(list(labels)), True)
    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000).fit(found.features, labels)
    present = [CLASSES.index(c) for c in kept]
    margins = log_softmax(totals(found.attributions)[:, present], axis=1)
    np.testing.assert_allclose(margins, model.predict_log_proba(found.features), atol=1e-6)
    absent = [index for index in range(3) if index not in present]
    assert not found.attributions.phi[:, absent].any(), "nothing speaks for a class the model never saw"


@pytest.mark.parametrize("single", [True, False])
def test_tree_values_add_up_to_margins(single):
    texts, labels = invented(12)
    rows = labels if single else [[c, "merry"] if i % 3 else [c] for i, c in enumerate(labels)]
    has = has_of(rows)
    found = explain_seed("trees", texts, has, single)
    weights = np.ones(len(texts))  # classes are as many
    model = BoostedTrees(single=single).fit(TfidfFeatures((1, 1)).fit_transform(texts), has.astype(float), weights)
    np.testing.assert_allclose(totals(found.attributions), model.margins(found.features), atol=1e-4)
    assert found.attributions.phi.any()


def test_labels_of_a_multi_label_corpus_are_explained_each_on_its_own():
    texts, labels = invented(9)
    rows = [[c, "merry"] if i % 4 == 0 and c == "calm" else [c] for i, c in enumerate(labels)]
    has = has_of(rows)
    found = explain_seed("tfidf", texts, has, False).attributions
    assert not np.allclose(found.phi.sum(axis=1), 0), "margins of independent labels do not cancel"
    alone = has.copy()
    alone[:, 1] = False  # a label without rows is nothing to explain, and leaves the others as they are
    other = explain_seed("tfidf", texts, alone, False).attributions
    assert not other.phi[:, 1].any() and np.isfinite(other.base).all()
    np.testing.assert_allclose(other.phi[:, [0, 2]], found.phi[:, [0, 2]], atol=1e-4)


def test_encoder_values_add_up_and_find_the_word():
    def proba(texts):
        p = np.array([0.9 if "cake" in text else 0.2 for text in texts])
        return np.column_stack([p, 1 - p])

    frame = encoder_attributions(proba, ["a warm cake today", ""], ["merry", "other"])
    assert set(frame["row"]) == {0}, "a text without words has no values"
    merry = frame[frame["label"] == "merry"]
    assert merry["token"].tolist() == ["a", "warm", "cake", "today"] and merry["position"].tolist() == [0, 1, 2, 3]
    for _, rows in frame.groupby("label"):
        assert rows["shap"].sum() == pytest.approx(rows["margin"].iloc[0] - rows["base"].iloc[0], abs=1e-6)
    assert merry.set_index("token")["shap"]["cake"] == pytest.approx(math.log(0.9 / 0.2), abs=1e-6)


def test_nothing_is_compiled_for_a_few_words():
    encoder_attributions(lambda texts: np.full((len(texts), 2), 0.5), ["a warm cake"], ["merry", "other"])
    from shap.utils import _masked_model

    assert not any(hasattr(value, "py_func") for value in vars(_masked_model).values()), "compiling takes seconds of every process"


# --- ranking ----------------------------------------------------------------------------------------


def hand_made() -> tuple[Attributions, sp.csr_matrix, np.ndarray]:
    """Three rows of two classes (0, 0, 1), four tokens; one token is no word."""
    features = sp.csr_matrix(np.array([[0.6, 0.4, 0.0, 0.1], [0.0, 0.8, 0.0, 0.1], [0.0, 0.2, 0.9, 0.1]]))
    at = features.tocoo()
    phi = {(0, 0): 0.5, (0, 1): 0.1, (1, 1): 0.3, (2, 1): -0.2, (2, 2): 0.9}
    first = np.array([phi.get((r, c), 9.0) for r, c in zip(at.row, at.col, strict=True)])
    made = Attributions(
        ["alpha", "beta", "gamma", "@someone"],
        at.row.astype(np.int64),
        at.col.astype(np.int64),
        at.data,
        np.column_stack([first, -first]),
        np.zeros((3, 2)),
        np.zeros(2),
    )
    return made, features, np.array([[True, False], [True, False], [False, True]])


def test_ranking_by_hand():
    ranking = rank_tokens(*hand_made(), ["one", "two"], 1)
    assert "@someone" not in set(ranking["token"])
    one = ranking[ranking["label"] == "one"].set_index("token")
    # sums over the class's two rows, over two
    assert one["shap"].to_dict() == pytest.approx({"alpha": 0.25, "beta": 0.2, "gamma": 0.0})
    # mean in the class less mean in the rest
    assert one["tfidf"].to_dict() == pytest.approx({"alpha": 0.3, "beta": 0.6 - 0.2, "gamma": -0.9})
    assert one["rank_shap"].to_dict() == {"alpha": 1, "beta": 2, "gamma": 3}
    assert one["rank_tfidf"].to_dict() == {"alpha": 2, "beta": 1, "gamma": 3}
    assert one["both"].to_dict() == pytest.approx({"alpha": 1 / 61 + 1 / 62, "beta": 1 / 61 + 1 / 62, "gamma": 2 / 63})
    assert one["rank_both"].to_dict() == {"alpha": 1, "beta": 2, "gamma": 3}, "ties go by the token"
    two = ranking[ranking["label"] == "two"].set_index("token")
    assert two["shap"].to_dict() == pytest.approx({"alpha": 0.0, "beta": 0.2, "gamma": -0.9})


def test_rare_tokens_are_not_ranked():
    assert set(rank_tokens(*hand_made(), ["one", "two"], 2)["token"]) == {"beta"}


def test_class_without_rows_has_no_shap():
    made, features, has = hand_made()
    ranking = rank_tokens(made, features, np.column_stack([has, [False] * 3]), ["one", "two", "three"], 1)
    assert not ranking.loc[ranking["label"] == "three", "shap"].any()
    assert top_tokens(ranking, "three", "shap", 5) == []


def test_top_tokens_speak_for_the_class():
    ranking = rank_tokens(*hand_made(), ["one", "two"], 1)
    assert top_tokens(ranking, "one", "shap", 9) == [("alpha", pytest.approx(0.25)), ("beta", pytest.approx(0.2))]
    assert [token for token, _ in top_tokens(ranking, "one", "tfidf", 1)] == ["beta"]
    # two: beta by SHAP only, gamma by TF-IDF only
    assert [token for token, _ in top_tokens(ranking, "two", "tfidf", 9)] == ["gamma"]
    assert top_tokens(ranking, "two", "both", 9) == []
    swapped = ranking.replace({"token": {"alpha": "the"}})
    assert [token for token, _ in top_tokens(swapped, "one", "shap", 9, function_words=False)] == ["beta"]


@pytest.mark.parametrize("token", ["rain", "#rain", "i", "don't", "😀", "café", "l8r"])
def test_presentable(token):
    assert presentable(token)


@pytest.mark.parametrize("token", ["@someone", "http://a.example/b", "www.a.example", "a@b.example", "42", "!!", "…", ":d", ""])
def test_not_presentable(token):
    assert not presentable(token)


def test_function_words():
    assert all(map(function_word, ["the", "it", "you", "you're", "don't"]))
    assert not any(map(function_word, ["rain", "not", "never", "i", "me", "cake's"]))


# --- agreement --------------------------------------------------------------------------------------


def test_known_overlaps():
    assert overlap("abcd", "badc", 2) == 1.0
    assert overlap("abcd", "xbyz", 3) == pytest.approx(1 / 3)
    assert overlap("abcd", "a", 3) == 1.0, "the shorter list bounds the depth"
    assert math.isnan(overlap("abc", "", 3))


def test_known_rank_biased_overlaps():
    assert rank_biased_overlap("abc", "abc") == pytest.approx(1)
    assert rank_biased_overlap("abc", "xyz") == 0
    # depth 1: nothing shared; depth 2: both. 0.81 extrapolated + 0.1/0.9 * 0.81
    assert rank_biased_overlap("ab", "ba", p=0.9) == pytest.approx(0.9)
    assert math.isnan(rank_biased_overlap("", "a"))


RANKINGS = st.lists(st.sampled_from("abcdefghij"), unique=True, min_size=1)


@given(RANKINGS, RANKINGS, st.integers(1, 12))
def test_agreement_is_bounded_and_symmetric(first, second, k):
    for value, other in (
        (overlap(first, second, k), overlap(second, first, k)),
        (rank_biased_overlap(first, second), rank_biased_overlap(second, first)),
    ):
        assert -1e-12 <= value <= 1 + 1e-12 and value == pytest.approx(other)
    assert rank_biased_overlap(first, first) == pytest.approx(1)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-5, 5), min_size=1))
def test_compare_with_itself_and_its_opposite(scores):
    series = pd.Series(scores)
    same = compare(series, series, 3)
    assert same["n_tokens"] == len(scores) and same["overlap"] == 1.0 and same["rbo"] == pytest.approx(1)
    if math.isnan(same["spearman"]):
        assert len(scores) < 3 or np.ptp(series) <= 1e-12
    else:
        assert same["spearman"] == pytest.approx(1)
        assert compare(series, -series, 3)["spearman"] == pytest.approx(-1)


def test_agreement_table():
    table = agreement(rank_tokens(*hand_made(), ["one", "two"], 1), ["one", "two"], 1)
    assert table["label"].tolist() == ["one", "two"]
    assert table["overlap"].tolist() == [0.0, 0.0]  # alpha against beta, beta against gamma
    assert table["spearman"].tolist() == pytest.approx([0.5, -1.0])


def test_stability_compares_each_pair_of_repeats_of_a_size():
    scores = {0: [3, 2, 1, 0], 1: [3, 2, 1, 0], 2: [0, 1, 2, 3]}
    tokens = pd.concat(
        [
            pd.DataFrame({"size": 10, "repeat": repeat, "label": "one", "token": list("abcd"), "shap": s, "tfidf": s, "both": s})
            for repeat, s in scores.items()
        ]
    )
    table = stability(tokens, ["one"], 2)
    shap = table[table["ranking"] == "shap"].set_index(["repeat_a", "repeat_b"])
    assert shap["spearman"].to_dict() == pytest.approx({(0, 1): 1.0, (0, 2): -1.0, (1, 2): -1.0})
    assert shap["overlap"].to_dict() == {(0, 1): 1.0, (0, 2): 0.0, (1, 2): 0.0}
    assert stability(tokens[tokens["repeat"] == 0], ["one"], 2).empty


# --- exemplars --------------------------------------------------------------------------------------


def test_exemplars_trade_mass_for_difference():
    ids, mass = ["a", "b", "c"], np.array([1.0, 0.9, 0.1])
    features = sp.csr_matrix([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # b is a copy of a
    assert [i for i, _ in choose_exemplars(ids, mass, features, 2, 0.0)] == ["a", "b"]
    assert choose_exemplars(ids, mass, features, 2, 1.0) == [("a", 1.0), ("c", 0.1)]
    assert [i for i, _ in choose_exemplars(ids, mass, features, 9, 1.0)] == ["a", "c", "b"]
    assert choose_exemplars([], np.zeros(0), sp.csr_matrix((0, 2)), 3, 0.5) == []


@given(st.permutations(range(6)), st.floats(0, 1))
def test_exemplars_do_not_depend_on_the_order_of_rows(order, diversity):
    ids, mass = [f"r{i}" for i in range(6)], np.array([0.3, 0.3, 0.1, 0.9, 0.9, 0.5])
    x = np.eye(4)[[0, 0, 1, 2, 2, 3]]
    expected = choose_exemplars(ids, mass, sp.csr_matrix(x), 4, diversity)
    assert choose_exemplars([ids[i] for i in order], mass[order], sp.csr_matrix(x[order]), 4, diversity) == expected


def test_shuffled_ignores_the_order_given():
    assert shuffled(["b", "a", "c"], 2, 5) == shuffled(["c", "b", "a"], 2, 5)
    assert sorted(shuffled(["b", "a", "c"], 9, 5)) == ["a", "b", "c"]


def test_differential_score_of_a_row_is_its_likeness_to_the_class():
    _, features, has = hand_made()
    np.testing.assert_allclose(features[:1] @ differential_scores(features, has[:, 0]), [0.6 * 0.3 + 0.4 * 0.4 + 0.0])


# --- learners compared ------------------------------------------------------------------------------


@pytest.mark.parametrize("single", [True, False])
def test_six_learners_are_compared_within_the_seed(single):
    texts, labels = invented(10)
    rows = [[c] if single or i % 3 else sorted({c, "merry"}) for i, c in enumerate(labels)]
    seed = Seed(Cell("toy", 0, 30), [f"t{i}" for i in range(30)], texts, rows)
    table = compare_learners(seed, has_of(rows), labels, single)
    assert table["learner"].tolist() == [
        "k nearest neighbours", "linear SVM", "logistic regression", "multinomial naive Bayes", "random forest", "XGBoost",
    ]  # fmt: skip
    assert (table["folds"] == 5).all() and table["macro_f1"].between(0, 1).all() and (table["sd"] >= 0).all()
    best = table.set_index("learner")["macro_f1"]
    assert best["logistic regression"] > 0.8, "a class has three stems, each seen in training"
    if single:
        pd.testing.assert_frame_equal(table, compare_learners(seed, has_of(rows), labels, single))


def test_learners_are_compared_where_a_fold_lacks_a_class():
    texts, labels = invented(4)
    texts, labels = [*texts[:7], texts[8]], [*labels[:7], labels[8]]
    seed = Seed(Cell("toy", 0, 8), [f"t{i}" for i in range(8)], texts, [[c] for c in labels])
    assert compare_learners(seed, has_of(labels), labels, True)["macro_f1"].notna().all()


# --- whole step -------------------------------------------------------------------------------------

CELLS = Cells(sizes=[12, 30], repeats=2, min_per_class=2, random_seed=5, per={"many": CellsOf(sizes=[20], repeats=1)})
SHAP = Shap(tokens=4, exemplars=3)
Build = Callable[..., dict[str, pd.DataFrame]]


def many_labels() -> Corpus:
    corpus = replace(corpus_of(task="multi"), name="many")
    frame = corpus.frame.assign(corpus="many")
    frame["labels"] = [
        sorted({*labels, "merry"}) if i % 4 == 0 and split == "train" else labels
        for i, (labels, split) in enumerate(zip(frame["labels"], frame["split"], strict=True))
    ]
    return replace(corpus, frame=frame)


@pytest.fixture(scope="module")
def build() -> Build:
    quick = {name: make for name, make in _estimators().items() if name != "random forest"}

    def run(
        out: Path, corpora: tuple[Corpus, ...] = (corpus_of(), many_labels()), shap: Shap = SHAP, order: pd.DataFrame | None = None
    ) -> dict[str, pd.DataFrame]:
        by_name = {corpus.name: corpus for corpus in corpora}
        first, *others = by_name
        params = SimpleNamespace(corpora=Corpora(target=first, also=others), cells=CELLS, shap=shap, models=Models())
        orders = pd.concat([stratified_order(corpus, CELLS) for corpus in corpora], ignore_index=True) if order is None else order
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("emosynth.explain.build.load_order", lambda paths: orders)
            patch.setattr("emosynth.explain.build.load_corpus", lambda paths, name, splits: by_name[name])
            patch.setattr("emosynth.explain.build.say", lambda line: None)
            patch.setattr("emosynth.explain.explained._estimators", lambda: quick)
            return build_materials(params, None, Paths(out, "demo"))  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, build: Build) -> tuple[dict[str, pd.DataFrame], Paths]:
    out = tmp_path_factory.mktemp("step")
    return build(out), Paths(out, "demo")


def test_tables_have_their_columns_and_cells(built):
    tables, paths = built
    assert set(tables) == set(TABLES)
    cells = {("toy", size, repeat) for size in (12, 30) for repeat in (0, 1)} | {("many", 20, 0)}
    for name, columns in TABLES.items():
        assert tables[name].columns.tolist() == columns
        assert read_table(paths.materials / f"{name}.parquet").columns.tolist() == columns
    for name in ("materials", "tokens", "agreement", "explainers"):
        assert set(zip(*(tables[name][column] for column in ("corpus", "size", "repeat")), strict=True)) == cells, name
    assert set(tables["learners"]["corpus"] + "/" + tables["learners"]["size"].astype(str)) == {"toy/30", "many/20"}
    assert (tables["explainers"]["first"] == "tfidf").all() and (tables["explainers"]["second"] == "trees").all()
    assert set(tables["stability"]["corpus"]) == {"toy"}, "one repeat has none to compare with"
    assert set(tables["shap_rows"]["corpus"]) == {"toy"} and tables["encoder_rows"].empty


def test_materials_name_seed_rows_of_the_label_only(built):
    tables, _ = built
    for corpus in (corpus_of(), many_labels()):
        labels_of = dict(zip(corpus.frame["id"], corpus.frame["labels"], strict=True))
        order = stratified_order(corpus, CELLS)
        rows = tables["materials"][tables["materials"]["corpus"] == corpus.name]
        for (size, repeat, label), part in rows.groupby(["size", "repeat", "label"]):
            seed = set(order[(order["repeat"] == repeat) & (order["rank"] < size)]["id"])
            for by in ("shap", "tfidf", "random"):
                ids = part[(part["kind"] == "exemplar") & (part["by"] == by)]["value"].tolist()
                assert len(ids) == len(set(ids)) == min(SHAP.exemplars, sum(label in labels_of[item] for item in seed))
                assert set(ids) <= seed and all(label in labels_of[item] for item in ids)
            tokens = part[part["kind"] == "token"]
            assert len(tokens) and (tokens["score"] > 0).all() and tokens.groupby("by").size().max() <= SHAP.tokens
            assert set(tokens["by"]) == {"shap", "tfidf"}
    assert "zebra" not in set(tables["tokens"]["token"]) | set(tables["shap_rows"]["token"])


def test_choices_of_the_first_edition_are_kept(built):
    """Computed by the code of the first edition: tokens in rank order with scores, exemplars, and the shuffle."""
    found = load_materials(built[1])(Cell("toy", 1, 12))
    assert list(found.tokens("cross", "shap")) == [
        ("broken", 0.10008876), ("kettle", 0.10008876), ("market", 0.06022892), ("near", 0.00711992),
    ]  # fmt: skip
    assert list(found.tokens("calm", "tfidf")) == [("lake", 0.21462477), ("quiet", 0.21462477), ("rain", 0.21047779), ("soft", 0.21047779)]
    assert {label: list(found.exemplars(label, "shap")) for label in CLASSES} == {
        "calm": ["t005", "t015", "t011"],
        "cross": ["t023", "t026", "t037"],
        "merry": ["t042", "t059", "t048"],
    }
    assert {label: list(found.exemplars(label, "random")) for label in CLASSES} == {
        "calm": ["t012", "t015", "t011"],
        "cross": ["t026", "t023", "t038"],
        "merry": ["t048", "t052", "t042"],
    }


def test_materials_of_a_seed_never_explained(built, tmp_path):
    with pytest.raises(UserError, match="no materials of the seed toy/13/0"):
        load_materials(built[1])(Cell("toy", 0, 13))
    with pytest.raises(UserError, match="Run the shap stage"):
        load_materials(Paths(tmp_path, "demo"))


def test_two_runs_give_equal_bytes(built, build, tmp_path):
    build(tmp_path)
    files = sorted(built[1].materials.iterdir())
    assert len(files) == 2 * len(TABLES)
    for path in files:
        assert (Paths(tmp_path, "demo").materials / path.name).read_bytes() == path.read_bytes(), path.name


def test_rows_outside_the_seeds_change_nothing(built, build, tmp_path):
    corpus = corpus_of()
    order = stratified_order(corpus, CELLS)
    seeds = set(order[order["rank"] < 30]["id"])
    frame = corpus.frame.copy()
    frame.loc[~frame["id"].isin(seeds), "text"] = "zebra crossing"
    tables = build(tmp_path, (replace(corpus, frame=frame),))
    before = built[0]["materials"]
    pd.testing.assert_frame_equal(tables["materials"], before[before["corpus"] == "toy"].reset_index(drop=True))


def test_trees_can_guide(built, build, tmp_path):
    tables = build(tmp_path, (corpus_of(),), Shap(tokens=4, exemplars=3, explain="trees", compare=False))
    assert tables["explainers"].empty and tables["learners"].empty
    tokens = tables["materials"].query("size == 30 and kind == 'token'")
    for label, part in tokens[tokens["by"] == "shap"].groupby("label"):
        assert set(part["value"]) & set(" ".join(STEMS[label]).split())
    keys = ["size", "repeat", "label", "rank"]
    tfidf = built[0]["materials"].query("corpus == 'toy' and kind == 'token' and by == 'tfidf'").sort_values(keys)
    mine = tables["materials"].query("kind == 'token' and by == 'tfidf'").sort_values(keys)
    assert mine["value"].tolist() == tfidf["value"].tolist(), "TF-IDF guidance does not depend on the classifier"


def test_seed_rows_must_be_training_rows(build, tmp_path):
    corpus = corpus_of()
    order = stratified_order(corpus, CELLS)
    corpus.frame.loc[corpus.frame["id"] == order["id"][0], "split"] = "test"
    with pytest.raises(UserError, match="not training rows"):
        build(tmp_path, (corpus,), order=order)


# --- the encoder ------------------------------------------------------------------------------------


def test_encoder_is_compared_on_the_rows_it_was_explained_on():
    corpus = corpus_of()
    seed = load_seed(corpus, stratified_order(corpus, CELLS), Cell("toy", 0, 12))
    has = has_of(seed.labels)
    explained = explain_seed("tfidf", seed.texts, has, True).attributions
    shown = [next(row for row, labels in enumerate(seed.labels) if labels == [label]) for label in ("calm", "cross")]
    at = [place for place, row in enumerate(explained.rows) if row in shown]
    found = pd.DataFrame(
        {
            "id": [seed.ids[explained.rows[place]] for place in at for _ in CLASSES],
            "token": [explained.terms[explained.columns[place]] for place in at for _ in CLASSES],
            "label": CLASSES * len(at),
            "shap": explained.phi[at].ravel(),
        }
    )
    rows = against_encoder(found, seed, has, explained, CLASSES, 4)
    assert [row["label"] for row in rows] == ["calm", "cross"], "no row of merry was explained"
    assert all(row["overlap"] == 1 and row["spearman"] == pytest.approx(1) for row in rows), "the same values agree"


@pytest.mark.model
def test_encoder_is_explained_on_rows_of_every_class_in_turn(monkeypatch):
    from emosynth.catalog import Catalog
    from emosynth.explain.explained import explain_encoder

    monkeypatch.setenv("EMOSYNTH_THREADS", "1")  # on a busy machine, threads that wait for each other cost a minute
    paths = Paths(Path(__file__).resolve().parents[1], "demo")
    corpus = corpus_of()
    seed = load_seed(corpus, stratified_order(corpus, CELLS), Cell("toy", 0, 12))
    params = SimpleNamespace(cells=CELLS, shap=Shap(encoder_rows=2), models=Models())
    monkeypatch.setattr("emosynth.explain.explained.say", lambda line: None)
    found = explain_encoder(seed, has_of(seed.labels), True, CLASSES, params, Catalog.load(paths).fetch(params.models.encoder))  # type: ignore[arg-type]
    assert found.groupby("id", sort=False)["row_label"].first().tolist() == ["calm", "cross"]
    sums = found.groupby(["id", "label"])[["shap", "margin", "base"]].agg({"shap": "sum", "margin": "first", "base": "first"})
    np.testing.assert_allclose(sums["shap"], sums["margin"] - sums["base"], atol=1e-4)
