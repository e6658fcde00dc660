"""Seeds: nested, nearly stratified, settled by seed and repeat alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosynth.corpora import Corpus
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.params import Cells, CellsOf, Corpora, Params
from emosynth.paths import Paths
from emosynth.seeding import (
    balanced_pool_rows,
    build_orders,
    describe_seeds,
    load_order,
    load_seed,
    pool_rows,
    primary_labels,
    seed_rows,
    stratified_order,
)
from emosynth.seeding.seeds import interleave


def corpus(counts: dict[str, int], labels: list[list[str]] | None = None) -> Corpus:
    given = labels if labels is not None else [[label] for label, count in counts.items() for _ in range(count)]
    frame = pd.DataFrame(
        {"id": [f"r{number:04d}" for number in range(len(given))], "text": "invented", "labels": given, "split": "train", "corpus": "own"}
    )
    held = pd.DataFrame(
        {"id": ["t1", "t2"], "text": "invented", "labels": [["a"], ["a"]], "split": ["validation", "test"], "corpus": "own"}
    )
    task = "multi" if labels is not None else "single"
    return Corpus("own", pd.concat([frame, held], ignore_index=True), list(counts), task, "note", {})


def seeding(**values: object) -> Cells:
    return Cells(**{"sizes": [8, 20], "repeats": 3, "min_per_class": 2, "random_seed": 1, **values})  # type: ignore[arg-type]


COUNTS = {"a": 60, "b": 30, "c": 7}


def test_an_order_holds_every_training_row_once_in_each_repeat() -> None:
    own = corpus(COUNTS)
    order = stratified_order(own, seeding())
    assert list(order.columns) == ["corpus", "repeat", "rank", "id", "label"]
    for repeat, rows in order.groupby("repeat"):
        assert list(rows["rank"]) == list(range(97))
        assert sorted(rows["id"]) == sorted(own.split("train")["id"]), repeat
    assert not set(order["id"]) & {"t1", "t2"}


def test_equal_seeds_give_equal_orders_and_others_differ() -> None:
    own = corpus(COUNTS)
    first = stratified_order(own, seeding())
    pd.testing.assert_frame_equal(first, stratified_order(own, seeding()))
    # more repeats or other sizes leave the repeats that were there as they were
    more = stratified_order(own, seeding(repeats=5))
    pd.testing.assert_frame_equal(first, more[more["repeat"] < 3].reset_index(drop=True))
    other = stratified_order(own, seeding(random_seed=2))
    assert list(first["id"]) != list(other["id"])
    assert list(seed_rows(first, Cell("own", 0, 20))["id"]) != list(seed_rows(first, Cell("own", 1, 20))["id"])


@settings(max_examples=25, deadline=None)
@given(st.randoms())
def test_the_order_of_rows_in_the_corpus_does_not_matter(random: object) -> None:
    own = corpus(COUNTS)
    places = list(range(len(own.frame)))
    random.shuffle(places)  # type: ignore[attr-defined]
    shuffled = Corpus("own", own.frame.iloc[places].reset_index(drop=True), own.classes, "single", "note", {})
    pd.testing.assert_frame_equal(stratified_order(own, seeding()), stratified_order(shuffled, seeding()))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 60), min_size=2, max_size=6), st.integers(0, 1000), st.data())
def test_seeds_are_nested_stratified_and_hold_each_class(sizes: list[int], random_seed: int, data: st.DataObject) -> None:
    counts = {f"c{number}": size for number, size in enumerate(sizes)}
    total = sum(sizes)
    smallest = data.draw(st.integers(2 * len(sizes), total))
    larger = data.draw(st.integers(smallest, total))
    order = stratified_order(corpus(counts), seeding(sizes=sorted({smallest, larger}), repeats=1, random_seed=random_seed))
    small, large = seed_rows(order, Cell("own", 0, smallest)), seed_rows(order, Cell("own", 0, larger))
    assert list(small["id"]) == list(large["id"])[:smallest]
    got = small["label"].value_counts()
    assert all(got.get(label, 0) >= 2 for label in counts)
    assert set(large["id"]).isdisjoint(pool_rows(order, Cell("own", 0, larger))["id"])
    assert len(pool_rows(order, Cell("own", 0, larger))) == total - larger


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 80), min_size=2, max_size=8))
def test_every_prefix_is_nearly_stratified(sizes: list[int]) -> None:
    counts = {f"c{number}": size for number, size in enumerate(sizes)}
    total = sum(sizes)
    got = dict.fromkeys(counts, 0)
    for rank, label in enumerate(interleave(counts, 0, 0), start=1):
        got[label] += 1
        for name, count in counts.items():
            assert abs(got[name] - rank * count / total) < 2
    assert got == counts


def test_the_pool() -> None:
    order = stratified_order(corpus(COUNTS), seeding())
    assert list(pool_rows(order, Cell("own", 1, 8), 12)["id"]) == list(seed_rows(order, Cell("own", 1, 20))["id"])[8:]
    assert len(pool_rows(order, Cell("own", 1, 90), 50)) == 7
    drawn = balanced_pool_rows(order, Cell("own", 0, 20), 12, ["a", "b", "c"])
    assert drawn["label"].value_counts().to_dict() == {"a": 4, "b": 4, "c": 4}
    assert set(drawn["id"]).isdisjoint(seed_rows(order, Cell("own", 0, 20))["id"])
    # the rare class runs out, the others take its places
    more = balanced_pool_rows(order, Cell("own", 0, 20), 40)
    left = (pool_rows(order, Cell("own", 0, 20))["label"] == "c").sum()
    assert (more["label"] == "c").sum() == left and len(more) == 40
    assert abs((more["label"] == "a").sum() - (more["label"] == "b").sum()) <= 1
    assert list(balanced_pool_rows(order, Cell("own", 0, 20), 12, ["a", "b", "c"])["id"]) == list(drawn["id"])


def test_rarest_label_of_several() -> None:
    own = corpus({"a": 0, "b": 0}, [["a"], ["a", "b"], ["a", "b"], ["a"], ["b"], ["a"]])
    assert primary_labels(own.split("train"), own.classes) == ["a", "b", "b", "a", "b", "a"]
    order = stratified_order(own, seeding(sizes=[4], repeats=1))
    assert seed_rows(order, Cell("own", 0, 4))["label"].value_counts().to_dict() == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("counts", "values", "says"),
    [
        ({"a": 9, "b": 9}, {"sizes": [4, 40, 50]}, "40, 50 rows were asked for; own has 18 training rows"),
        ({"a": 9, "b": 1}, {"sizes": [4]}, "only 1 of b"),
        ({"a": 9, "b": 9, "c": 9}, {"sizes": [5]}, "cannot hold 2 rows of each of the 3 classes of own"),
    ],
)
def test_seeds_that_cannot_be(counts: dict[str, int], values: dict, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        stratified_order(corpus(counts), seeding(**values))
    assert "cells.per.own." in caught.value.where and "cells.per.own." in caught.value.remedy


def test_a_multi_label_corpus_with_many_classes_says_what_to_set() -> None:
    labels = [[f"e{number}"] for number in range(28) for _ in range(9)]
    many = corpus(dict.fromkeys((f"e{number}" for number in range(28)), 0), labels)
    with pytest.raises(UserError, match="30 rows cannot hold 2 rows of each of the 28 classes of own") as caught:
        stratified_order(many, seeding(sizes=[30]))
    assert "cells.per.own.min_per_class: 1" in caught.value.remedy
    stratified_order(many, seeding(sizes=[30], per={"own": CellsOf(min_per_class=1)}))


def test_asking_beyond_the_order() -> None:
    order = stratified_order(corpus(COUNTS), seeding())
    with pytest.raises(UserError, match="no repeat 7 of own"):
        seed_rows(order, Cell("own", 7, 8))
    with pytest.raises(UserError, match="98 rows of own was asked for; there are 97"):
        pool_rows(order, Cell("own", 0, 98), 1)


def test_what_differs_for_one_corpus() -> None:
    own = corpus(COUNTS)
    order = stratified_order(own, seeding(per={"own": CellsOf(sizes=[30], repeats=1, min_per_class=4)}))
    assert set(order["repeat"]) == {0}
    assert (seed_rows(order, Cell("own", 0, 30))["label"] == "c").sum() == 4


def test_a_seed_has_all_labels_of_its_rows() -> None:
    own = corpus({"a": 0, "b": 0}, [["a"], ["a", "b"], ["a", "b"], ["a"], ["b"], ["a"]])
    order = stratified_order(own, seeding(sizes=[4], repeats=1))
    seed = load_seed(own, order, Cell("own", 0, 4))
    assert seed.ids == list(order["id"][:4]) and seed.texts == ["invented"] * 4
    by_id = own.frame.set_index("id")["labels"]
    assert seed.labels == [by_id[item] for item in seed.ids] and ["a", "b"] in seed.labels
    own.frame.loc[own.frame["id"] == seed.ids[0], "split"] = "test"
    with pytest.raises(UserError, match="not training rows"):
        load_seed(own, order, Cell("own", 0, 4))


def test_files_and_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path, "demo")
    with pytest.raises(UserError, match="Run the seeding stage"):
        load_order(paths)
    own = corpus(COUNTS)
    other = replace(corpus({"x": 0, "y": 0}, [["x"], ["x", "y"]] * 10), name="other")
    monkeypatch.setattr("emosynth.seeding.seeds.load_corpus", lambda paths, name, splits: {"own": own, "other": other}[name])
    cells = seeding(per={"other": CellsOf(sizes=[6], repeats=2)})
    params = Params(corpora=Corpora(target="own", also=["other"]), cells=cells, checks={}, arms={"naive": {}}, learners={"tfidf": {}})  # type: ignore[arg-type, dict-item]
    order = build_orders(params, paths)
    path = paths.seeds / "order.parquet"
    before = path.read_bytes()
    pd.testing.assert_frame_equal(load_order(paths), order)
    pd.testing.assert_frame_equal(order[order["corpus"] == "own"].reset_index(drop=True), stratified_order(own, cells))
    assert set(order.loc[order["corpus"] == "other", "repeat"]) == {0, 1}
    build_orders(params, paths)
    assert path.read_bytes() == before
    card = path.with_suffix(".md").read_text()
    assert "own, seed of 8" in card and "other, seed of 6" in card and "invented" not in card.split("## Made from")[1]
    with pytest.raises(UserError, match="no repeat 2 of other; there are 0, 1"):
        seed_rows(order, Cell("other", 2, 6))
    tables = describe_seeds(order, own, cells)
    assert tables["counts"]["n = 20"].sum() == 20
    assert tables["counts"]["pool of the largest"].sum() == 77
    assert list(tables["overlap"]["n"]) == [8, 20]
    assert list(tables["examples"]["label"]) == ["a", "b", "c"]
    assert tables["labels"].loc["c", "n = 8"] >= 2
