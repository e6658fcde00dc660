"""Phenomena found by rule, and scores by class, lexical coverage and phenomenon."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from emosynth.errors import UserError
from emosynth.trials.gaps import COVERAGE, NONE, Gaps, content_words, coverage_group, lexical_coverage
from emosynth.trials.phenomena import phenomena, read_lexicon


def gap_table(texts, targets, predictions, classes, seed, lexicon=None):
    return Gaps(texts, targets, classes, seed, lexicon).table(predictions)


LEXICON = {"superb": 3.1, "dreadful": -2.8, "fine": 0.8}


def shows(name: str, text: str) -> bool:
    return bool(phenomena([text], LEXICON)[name].iloc[0])


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("negation", "it does n't move", "it moves"),
        ("negation", "It doesn’t move", "it moves"),
        ("negation", "never a dull scene", "a notable knot"),
        ("negation", "a plot that ca n't hold", "a plot that can hold"),
        ("contrast", "slow , but kind", "a butler , a boat"),
        ("contrast", "calm in spite of it all", "a spite of its own"),
        ("contrast", "moving rather than loud", "rather loud"),
        ("comparison", "more patient than proud", "more patience"),
        ("comparison", "as thin as paper", "as thin paper"),
        ("comparison", "a better ending", "a character over there"),
        ("comparison", "less sharp than its trailer", "as well as the rest , rather than less"),
        ("intensifier", "so very dull", "dull"),
        ("diminisher or hedge", "it seems kind of slow", "a kind woman of note"),
        ("diminisher or hedge", "rather slow", "slow rather than long"),
        ("conditional or irrealis", "would n't help if it were free", "help is free"),
        ("conditional or irrealis", "I couldn't say", "I said"),
        ("question", "who asked ?", "nobody asked"),
        ("question", "who asked?!", "see http://a.org/?q=1"),
        ("exclamation", "stop !", "stop"),
        ("first person", "I'm lost", "him , it , in"),
        ("first person", "it moved us", "it moved use"),
        ("name or number", "the best of 2001", "The best of them . Truly"),
        ("name or number", "the tale of Ossian", "I say I'm WRONG"),
        ("mixed polarity words", "superb and dreadful", "superb and superb"),
        ("no polarity word", "a fine table", "a dreadful table"),
    ],
)
def test_phenomenon(name, yes, no):
    assert shows(name, yes)
    assert not shows(name, no)


def test_case_and_tokenisation_make_no_difference_but_for_names():
    pairs = [("It DOESN'T matter, does it?", "it does n't matter , does it ?"), ("Better than THAT!", "better than that !")]
    for plain, tokenised in pairs:
        both = phenomena([plain, tokenised], LEXICON).drop(columns=["short", "long", "name or number"])
        assert both.iloc[0].equals(both.iloc[1])


def test_length_is_told_by_percentiles():
    found = phenomena(["one", "one two", "one two three", "one two three four !", "a b c d e"])
    assert found["short"].tolist() == [True, True, False, False, False]
    assert found["long"].tolist() == [False, False, False, True, True]


def test_columns_with_and_without_a_lexicon():
    names = [
        "negation",
        "contrast",
        "comparison",
        "intensifier",
        "diminisher or hedge",
        "conditional or irrealis",
        "question",
        "exclamation",
    ]
    names += ["first person", "name or number", "short", "long"]
    assert list(phenomena(["x"], LEXICON).columns) == [*names, "mixed polarity words", "no polarity word"]
    assert list(phenomena(["x"]).columns) == names and phenomena([], LEXICON).shape == (0, 14)
    assert {str(kind) for kind in phenomena(["x", "y"], LEXICON).dtypes} == {"bool"}


def test_lexicon_file(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("Superb\t3.1\t0.7\t[3, 3]\ndreadful\t-2.8\t0.1\t[-3]\n\n", encoding="utf-8")
    assert read_lexicon(path) == {"superb": 3.1, "dreadful": -2.8}
    path.write_bytes("Superb\t3.1\t0.7\r\n:Þ\t1.1\t0.5\r\n".encode("latin-1"))
    assert read_lexicon(path) == {"superb": 3.1, ":þ": 1.1}
    path.write_text("superb 3.1\n", encoding="utf-8")
    with pytest.raises(UserError, match="no valence"):
        read_lexicon(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match="no word"):
        read_lexicon(path)


def test_content_words_and_coverage_by_hand():
    assert content_words("The boats , and 2 of the Boats sank : it 's a @shame") == {"boats", "sank"}
    found = lexical_coverage([{"a", "b", "c", "d"}, {"a", "b"}, {"a", "x"}, {"x", "y", "a"}, set()], {"a", "b", "c"})
    np.testing.assert_allclose(found, [0.75, 1, 0.5, 1 / 3, 1])
    assert coverage_group(found).tolist() == [1, 0, 2, 3, 0]


# --- groups ---------------------------------------------------------------------------------------------

TEXTS = ["boat sank", "boat never sank", "castle burned", "boat burned"]
CLASSES = ["sad", "glad"]
SEED = ["the boat sank quickly"]


def test_gaps_by_hand():
    table = gap_table(TEXTS, [0, 1, 0, 1], [0, 0, 0, 1], CLASSES, SEED).set_index(["grouping", "group"])
    sad, glad = table.loc[("class", "sad")], table.loc[("class", "glad")]
    assert (sad["n"], sad["accuracy"], sad["share"]) == (2, 1.0, 0.5)
    assert sad["f1"] == pytest.approx(2 * 2 / (2 + 3))
    assert glad["accuracy"] == 0.5 and glad["f1"] == pytest.approx(2 * 1 / (2 + 1))
    coverage = table.loc["coverage"]
    # "never" is a content word: it can carry an emotion, and the seed lacks it
    assert coverage["n"].to_dict() == {COVERAGE[0][1]: 1, COVERAGE[2][1]: 2, COVERAGE[3][1]: 1}
    assert coverage.loc[COVERAGE[2][1], "accuracy"] == 0.5
    assert math.isnan(coverage.loc[COVERAGE[0][1], "f1"])  # no glad row there
    phenomenon = table.loc["phenomenon"]
    assert phenomenon.loc["negation", "n"] == 1 and phenomenon.loc["negation", "accuracy"] == 0
    assert "question" not in phenomenon.index


def test_rows_without_any_phenomenon_are_a_group():
    texts = ["one two", "one two three four", "is it so very very long ?"]
    table = gap_table(texts, [0, 1, 1], [0, 1, 0], CLASSES, SEED)
    none = table[table["group"] == NONE]
    assert none["n"].tolist() == [1] and none["accuracy"].tolist() == [1.0]


vocabulary = ["boat", "castle", "never", "sank", "but", "we", "?", "!", "the", "superb", "dreadful", "if", "Ossian", "than", "as", "7"]


@settings(max_examples=60)
@given(st.data())
def test_groups_add_up_and_agree_with_a_plain_computation(data):
    n, k = data.draw(st.integers(1, 25)), data.draw(st.integers(2, 4))
    text = st.lists(st.sampled_from(vocabulary), min_size=0, max_size=8).map(" ".join)
    texts = data.draw(st.lists(text, min_size=n, max_size=n))
    seed = data.draw(st.lists(text, max_size=4))
    targets = np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    predictions = np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    classes = [f"c{place}" for place in range(k)]
    table = gap_table(texts, targets, predictions, classes, seed, LEXICON)
    assert (table["n"] > 0).all()
    for grouping in ("class", "coverage"):
        part = table[table["grouping"] == grouping]
        assert part["n"].sum() == n
        assert part["share"].sum() == pytest.approx(1)
        assert (part["n"] * part["accuracy"]).sum() == pytest.approx((targets == predictions).sum())
    of_class = f1_score(targets, predictions, labels=list(range(k)), average=None, zero_division=0)
    for _, row in table[table["grouping"] == "class"].iterrows():
        assert row["f1"] == pytest.approx(of_class[classes.index(row["group"])])
    marks = phenomena(texts, LEXICON)
    for _, row in table[table["grouping"] == "phenomenon"].iterrows():
        inside = (marks[row["group"]] if row["group"] != NONE else ~marks.any(axis=1)).to_numpy()
        assert row["n"] == inside.sum()
        assert row["accuracy"] == pytest.approx((targets == predictions)[inside].mean())
        if set(targets[inside]) == set(range(k)):
            assert row["f1"] == pytest.approx(f1_score(targets[inside], predictions[inside], average="macro", labels=list(range(k))))
        else:
            assert math.isnan(row["f1"])


def test_another_seed_without_looking_at_the_test_texts_again(monkeypatch):
    gaps = Gaps(TEXTS, [0, 1, 0, 1], CLASSES, SEED)
    before = gaps.table([0, 0, 0, 1])
    monkeypatch.setattr("emosynth.trials.gaps.phenomena", None)
    other = gaps.for_seed(["castle burned"]).table([0, 0, 0, 1])
    monkeypatch.undo()
    assert other.equals(gap_table(TEXTS, [0, 1, 0, 1], [0, 0, 0, 1], CLASSES, ["castle burned"]))
    assert not other.equals(before) and before.equals(gaps.table([0, 0, 0, 1]))


def test_a_seed_without_words():
    assert gap_table(TEXTS, [0, 1, 0, 1], [0, 0, 0, 1], CLASSES, []).query("grouping == 'coverage'")["group"].tolist() == [COVERAGE[3][1]]


@pytest.mark.parametrize("predictions", [[0, 1], [0, 1, 2, 0], [0.5, 0, 0, 1], [-1, 0, 0, 0]])
def test_predictions_must_be_class_positions(predictions):
    with pytest.raises(ValueError, match="4 class positions"):
        Gaps(TEXTS, [0, 1, 0, 1], CLASSES, SEED).table(predictions)
