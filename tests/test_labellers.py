"""Labellers, and the language model that reads labels."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosynth import pieces
from emosynth.design.cells import Cell
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.labellers.base import FLOOR, Labelled
from emosynth.labellers.reading import BATCH, LanguageReader, best_ranks, evenly, reading_quality, words_of
from emosynth.models.lm.labels import row_prompt

ONE = Space("toy", ("sad", "glad"), True, {}, {"sad": "sad", "glad": "happy"})
MANY = Space("many", ("sad", "glad", "calm"), False, {}, {"sad": "sad", "glad": "happy", "calm": "calm"})


class Fixed:
    """A teacher that gives each text the probabilities it is told."""

    def __init__(self, space, p):
        self.space, self.p = space, p

    def predict_proba(self, texts):
        return np.array([self.p[text] for text in texts])


class Counting:
    """Scores a label by how often its first letter stands in the prompt; keeps what it was asked."""

    def __init__(self):
        self.prompts: list[str] = []
        self.priors: list[list[str]] = []

    def score(self, prompts, labels, progress=None):
        self.prompts += prompts
        return np.array([[float(prompt.count(label[1])) for label in labels] for prompt in prompts]).reshape(len(prompts), len(labels))

    def prior(self, content_free, labels):
        self.priors.append(list(content_free))
        return np.log(np.exp(np.array([[float(prompt.count(label[1])) for label in labels] for prompt in content_free])).mean(axis=0))


class Judge:
    def __init__(self, teacher=None, reader=None):
        self._teacher, self._reader = teacher, reader

    def teacher(self, cell):
        return self._teacher

    def reader(self):
        return self._reader


def labelled(texts, targets, space=ONE, judge=None, **columns):
    rows = pd.DataFrame({"text": texts, **columns})
    targets = np.asarray(targets, dtype=float)
    return Labelled(rows, Cell("toy", 0, 2), space, space, targets, targets, judge or Judge())


def log_p(name, rows, value=None):
    return pieces.build("labeller", name, value).log_p(rows)


def test_asked_labels_share_the_row():
    made = np.exp(log_p("asked", labelled(["a", "b"], [[1, 0, 0], [1, 0, 1]], MANY)))
    assert made.tolist() == [[1, 0, 0], [0.5, 0, 0.5]]
    assert np.exp(log_p("asked", labelled(["a"], [[0, 1]]))).tolist() == [[0, 1]]


def test_the_teacher_is_read_as_it_is_and_floored():
    judge = Judge(Fixed(ONE, {"a": [0.25, 0.75], "b": [0.0, 1.0]}))
    rows = labelled(["a", "b"], [[1, 0], [0, 1]], judge=judge)
    assert log_p("teacher", rows) == pytest.approx(np.log([[0.25, 0.75], [FLOOR, 1.0]]))
    assert np.exp(log_p("relabel", rows)).tolist() == [[0, 1], [0, 1]]


def test_relabelling_takes_all_that_are_likely_where_there_may_be_several():
    judge = Judge(Fixed(MANY, {"a": [0.5, 0.9, 0.1], "b": [0.1, 0.2, 0.3]}))
    rows = labelled(["a", "b"], np.ones((2, 3)), MANY, judge)
    assert np.exp(log_p("relabel", rows)).tolist() == [[1, 1, 0], [0, 0, 1]]
    assert np.exp(log_p("teacher", rows)) == pytest.approx(np.array([[0.5, 0.9, 0.1], [0.1, 0.2, 0.3]]))


def test_the_reading_may_be_sharpened():
    judge = Judge(reader=LanguageReader(Counting()))
    rows = labelled(["sss", "h", "hh", "s"], np.zeros((4, 2)), judge=judge)
    plain, sharp = np.exp(log_p("reader", rows)), np.exp(log_p("reader", rows, {"temperature": 0.5}))
    assert plain.sum(axis=1) == pytest.approx(np.ones(4)) and sharp.sum(axis=1) == pytest.approx(np.ones(4))
    assert sharp == pytest.approx(plain**2 / (plain**2).sum(axis=1, keepdims=True))
    with pytest.raises(UserError, match="temperature"):
        pieces.build("labeller", "reader", {"temperature": 0.0})


def test_reading_by_hand():
    scorer = Counting()
    found = np.exp(LanguageReader(scorer).read(pd.DataFrame({"text": ["sh", "ss"]}), ONE))
    prompts = [row_prompt("sh"), row_prompt("ss")]
    assert scorer.prompts == prompts and scorer.priors == [prompts]
    # Against "sh" the text "ss" has one s more and one h less; what both have in common is calibrated away.
    e = np.e
    first, second = np.array([1, 1 * e]) / np.array([(1 + e) / 2, (1 + e) / 2]), np.array([e, 1]) / np.array([(1 + e) / 2, (1 + e) / 2])
    assert found[0] == pytest.approx(first / first.sum()) and found[1] == pytest.approx(second / second.sum())


def test_context_is_shown_with_contextual_rows_only_and_kinds_have_their_own_prior():
    rows = pd.DataFrame(
        {"text": ["so be it", "", "so be it"], "context": ["It rains."] * 3, "character": ["Ann"] * 3,
         "kind": ["contextual", "contextual", "contextless"]}
    )  # fmt: skip
    scorer = Counting()
    LanguageReader(scorer).read(rows, MANY)
    shown = row_prompt("so be it", "It rains.", "Ann")
    assert scorer.prompts == [shown, row_prompt("", "It rains.", "Ann"), row_prompt("so be it")]
    assert scorer.priors == [[shown], [row_prompt("so be it")]], "an empty text says nothing of how texts are read"
    assert LanguageReader(Counting()).read(rows.iloc[:0], MANY).shape == (0, 3)


def test_words_are_adjectives():
    assert words_of(ONE) == [" sad", " happy"]


@given(st.integers(0, 5000), st.integers(1, 600))
def test_batch_is_spread_evenly(count, limit):
    places = evenly(count, limit)
    assert len(places) == min(count, limit) and (np.diff(places) > 0).all()
    assert not count or (places[0] == 0 and (places[-1] == count - 1 or limit == 1))
    assert BATCH >= 1


def test_ranks_take_ties_in_order():
    wanted = np.array([[False, True, False], [True, False, True]])
    assert best_ranks([0.2, 0.2, 0.6], wanted).tolist() == [3, 1]
    assert best_ranks([[0.1, 0.8, 0.1], [0.3, 0.4, 0.3]], wanted).tolist() == [1, 2]


def test_quality_of_the_reader_beside_that_of_frequencies():
    reader = LanguageReader(Counting())
    found = reading_quality(reader, ["sss", "hhh", "ccc"], [["sad"], ["glad"], ["calm"]], MANY, {"sad": 5.0, "glad": 1.0})
    assert found["n"] == 3 and found["top1"] == found["mrr"] == 1.0
    assert found["frequency_top1"] == pytest.approx(1 / 3) and found["frequency_mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert "frequency_mrr" not in reading_quality(reader, ["s"], [["sad"]], MANY)
    with pytest.raises(UserError, match="no texts"):
        reading_quality(reader, [], [], MANY)


@pytest.mark.parametrize(
    ("name", "space", "seed", "distils"),
    [
        ("asked", "asked", False, False),
        ("reader", "asked", False, False),
        ("relabel", "corpus", True, False),
        ("teacher", "corpus", True, True),
    ],
)
def test_pieces_are_whole(name, space, seed, distils):
    cls = pieces.find("labeller", name)
    assert (cls.in_space, cls.needs_seed, cls.distils) == (space, seed, distils)
    assert cls.main == "share" and cls.label and inspect.getdoc(cls)
