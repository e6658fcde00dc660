"""SHAP values, rankings, exemplars and the guidance files of step 02; invented texts."""

from __future__ import annotations

import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.guidance import (
    Attributions,
    agreement,
    build_guidance,
    choose_exemplars,
    compare,
    encoder_attributions,
    linear_attributions,
    presentable,
    rank_tokens,
    shuffled,
    stability,
    top_tokens,
    tree_attributions,
)
from emosynth.guidance.plots import (
    agreement_heatmap,
    beeswarm,
    exemplar_texts,
    explainer_heatmap,
    stability_lines,
    text_plot,
    token_bars,
)
from emosynth.guidance.ranking import function_word, overlap, rank_biased_overlap
from emosynth.models.classifiers import TextClassifier, TreeClassifier
from emosynth.params import Seeding, Shap
from emosynth.seeding import stratified_order

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


@pytest.mark.parametrize("kept", [CLASSES, ["calm", "merry"]])
def test_linear_shap_is_coef_times_difference_from_the_mean(kept):
    texts, labels = invented(9)
    texts, labels = zip(*[(t, c) for t, c in zip(texts, labels, strict=True) if c in kept], strict=True)
    model = TextClassifier(ngrams=(1, 1)).fit(texts, labels, CLASSES)
    x = model.features.transform(texts).toarray()
    phi = model.head.coef[None] * (x - x.mean(axis=0))[:, None]  # row, class, token
    found = linear_attributions(model, texts)
    assert found.terms == model.features.terms()
    np.testing.assert_allclose(found.values, x[found.rows, found.columns])
    np.testing.assert_allclose(found.phi, phi[found.rows, :, found.columns], atol=1e-9)
    np.testing.assert_allclose(found.absent, np.where(x[:, None] == 0, phi, 0).sum(axis=2), atol=1e-9)
    np.testing.assert_allclose(found.base, model.head.intercept + model.head.coef @ x.mean(axis=0), atol=1e-9)
    assert len(found.rows) == np.count_nonzero(x)


def test_linear_values_add_up_to_margins_of_texts_never_seen():
    texts, labels = invented(9)
    model = TextClassifier(ngrams=(1, 1)).fit(texts, labels, CLASSES)
    new = ["quiet cake near a window", "nothing known", ""]
    found = linear_attributions(model, new, background=texts)
    np.testing.assert_allclose(found.totals(), model.margins(new), atol=1e-9)


@pytest.mark.parametrize("kept", [CLASSES, ["cross", "merry"]])
def test_tree_values_add_up_to_margins(kept):
    texts, labels = invented(12)
    texts, labels = zip(*[(t, c) for t, c in zip(texts, labels, strict=True) if c in kept], strict=True)
    model = TreeClassifier(rounds=15).fit(texts, labels, CLASSES)
    found = tree_attributions(model, texts)
    present = [CLASSES.index(c) for c in kept]
    np.testing.assert_allclose(found.totals()[:, present], model.margins(texts)[:, present], atol=1e-6)
    absent = [i for i in range(3) if i not in present]
    assert not found.phi[:, absent].any(), "nothing speaks for a class the model never saw"


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
    return made, features, np.array([0, 0, 1])


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
    ranking = rank_tokens(*hand_made(), ["one", "two", "three"], 1)
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


# --- whole step -------------------------------------------------------------------------------------

SEEDING = Seeding(sizes=[12, 30], repeats=2, min_per_class=2, random_seed=5)
SHAP = Shap(tokens=4, exemplars=3, tree=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, pd.DataFrame, dict[str, pd.DataFrame], Path]:
    out = tmp_path_factory.mktemp("guidance")
    corpus = corpus_of()
    order = stratified_order(corpus, SEEDING)
    return corpus, order, build_guidance(corpus, order, SHAP, SEEDING, out, progress=lambda line: None), out


def entries(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "guidance.jsonl").read_text(encoding="utf-8").splitlines()]


def test_there_is_guidance_for_each_seed(built):
    _, _, tables, out = built
    cells = [(size, repeat) for size in SEEDING.sizes for repeat in range(SEEDING.repeats)]
    assert [(entry["size"], entry["repeat"]) for entry in entries(out)] == cells
    assert sorted(set(zip(tables["tokens"]["size"], tables["tokens"]["repeat"], strict=True))) == cells
    assert set(tables) == {"tokens", "agreement", "stability", "explainers", "shap_rows"}
    assert {path.name for path in out.iterdir()} == {f"{name}.{end}" for name in tables for end in ("parquet", "md")} | {"guidance.jsonl"}
    assert (tables["explainers"]["second"] == "tree").all()


def test_guidance_names_seed_rows_of_the_class_only(built):
    corpus, order, tables, out = built
    label_of = {row.id: row.labels[0] for row in corpus.frame.itertuples()}
    for entry in entries(out):
        own = order[(order["repeat"] == entry["repeat"]) & (order["rank"] < entry["size"])]
        assert list(entry["classes"]) == CLASSES
        for label, guided in entry["classes"].items():
            named = [exemplar["id"] for exemplar in guided["exemplars"]]
            assert len(named) == len(set(named)) == min(SHAP.exemplars, int((own["label"] == label).sum()))
            assert set(named) | set(guided["random"]) <= set(own["id"])
            assert {label_of[item] for item in [*named, *guided["random"]]} == {label}
            for kind, pairs in guided["tokens"].items():
                assert len(pairs) <= SHAP.tokens and all(score > 0 for _, score in pairs), kind
    assert "zebra" not in set(tables["tokens"]["token"]) | set(tables["shap_rows"]["token"])
    assert set(tables["shap_rows"]["id"]) <= set(order[(order["repeat"] == 0) & (order["rank"] < 30)]["id"])


def test_tokens_are_those_of_the_class(built):
    *_, out = built
    for label, guided in entries(out)[-1]["classes"].items():
        own = set(" ".join(STEMS[label]).split())
        assert guided["tokens"]["shap"] and {token for token, _ in guided["tokens"]["shap"]} <= own


def test_two_runs_give_equal_bytes(built, tmp_path):
    corpus, order, _, out = built
    build_guidance(corpus, order, SHAP, SEEDING, tmp_path, progress=lambda line: None)
    for path in sorted(out.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_rows_outside_the_seed_change_nothing(built, tmp_path):
    corpus, order, _, out = built
    seeds = set(order[order["rank"] < SEEDING.sizes[-1]]["id"])
    frame = corpus.frame.copy()
    frame.loc[~frame["id"].isin(seeds), "text"] = "zebra crossing"
    other = Corpus("toy", frame, CLASSES, "single", "note", corpus.class_phrases, licence="mit")
    build_guidance(other, order, SHAP, SEEDING, tmp_path, progress=lambda line: None)
    assert (tmp_path / "guidance.jsonl").read_bytes() == (out / "guidance.jsonl").read_bytes()


def test_multi_label_corpora_are_refused(tmp_path):
    corpus = corpus_of()
    order = stratified_order(corpus, SEEDING)
    with pytest.raises(UserError, match="single-label"):
        build_guidance(corpus_of(task="multi"), order, SHAP, SEEDING, tmp_path, progress=lambda line: None)


def test_seed_rows_must_be_training_rows(tmp_path):
    corpus = corpus_of()
    order = stratified_order(corpus, SEEDING)
    corpus.frame.loc[corpus.frame["id"] == order["id"][0], "split"] = "test"
    with pytest.raises(UserError, match="not training rows"):
        build_guidance(corpus, order, SHAP, SEEDING, tmp_path, progress=lambda line: None)


def test_encoder_must_be_passed_where_it_is_asked_for(tmp_path):
    corpus = corpus_of()
    asked = Shap(encoder_rows=2, encoder_sizes=[12])
    with pytest.raises(UserError, match="encoder"):
        build_guidance(corpus, stratified_order(corpus, SEEDING), asked, SEEDING, tmp_path, progress=lambda line: None)


# --- figures ----------------------------------------------------------------------------------------


def drawn(figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="raw", dpi=50)
    return stream.getvalue()


def test_figures_are_drawn_the_same_twice(built):
    tables = built[2]
    odd = tables["tokens"].replace({"token": {"lake": "$lake$", "cake": "😂"}})
    for make in (
        lambda: token_bars(odd),
        lambda: beeswarm(tables["shap_rows"], count=4),
        lambda: beeswarm(tables["shap_rows"], "merry"),
        lambda: agreement_heatmap(tables["agreement"]),
        lambda: explainer_heatmap(tables["explainers"]),
        lambda: stability_lines(tables["stability"]),
    ):
        assert drawn(make()) == drawn(make())


def test_figures_of_empty_tables_say_so(built):
    tables = {name: frame.iloc[:0] for name, frame in built[2].items()}
    for figure in (
        token_bars(tables["tokens"]),
        beeswarm(tables["shap_rows"]),
        beeswarm(built[2]["shap_rows"], "no such class"),
        agreement_heatmap(tables["agreement"]),
        explainer_heatmap(tables["explainers"]),
        stability_lines(tables["stability"]),
    ):
        drawn(figure)
        assert figure.axes[0].texts[0].get_text().endswith(".")


def test_exemplar_texts_are_of_their_class(built):
    corpus, _, _, out = built
    table = exemplar_texts(out / "guidance.jsonl", corpus, 30, 0, 2)
    assert table["label"].tolist() == [c for c in CLASSES for _ in range(2)]
    for row in table.itertuples():
        assert any(row.text.startswith(stem) for stem in STEMS[row.label])


def test_text_plot_is_escaped_and_legible():
    rows = pd.DataFrame(
        [
            ("r1", "a<b", position, token, label, value, -2.0, -0.5)
            for position, token in enumerate(["<script>", "calm&quiet", '"'])
            for label, value in (("a<b", 0.4 - 0.3 * position), ("other", 9.0))
        ],
        columns=["id", "row_label", "position", "token", "label", "shap", "base", "margin"],
    )
    page = text_plot(rows)
    assert "<script" not in page and "&lt;script&gt;" in page and "a&lt;b" in page and "+9" not in page
    assert page.index("&lt;script&gt;") < page.index("calm&amp;quiet"), "words come in their order"
    for red, green, blue in re.findall(r"rgb\((\d+),(\d+),(\d+)\)", page):
        assert 0.2126 * int(red) + 0.7152 * int(green) + 0.0722 * int(blue) > 150, "light behind dark words"
    assert page.count("color:#1f2328") > 3
    assert "None of these" in text_plot(rows, ids=["r9"])
    assert text_plot(None) == text_plot(rows.iloc[:0]) != page
