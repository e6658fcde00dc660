"""Normalisation, tokens, near-duplicates; invented texts only."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosynth.errors import UserError
from emosynth.text import Match, fingerprint, grams, jaccard, near_duplicates, ngrams, normalise, tokenise, words

HOSTILE = st.text(alphabet=st.one_of(st.sampled_from("&amp;lt#38\\n'’\ufe0f @:)("), st.characters()), max_size=60)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("fish &amp;amp; chips", "fish & chips"),
        ("I &amp;lt;3 tea", "I <3 tea"),
        ("it’s ‘fine’", "it's 'fine'"),
        ("one\\ntwo\\n", "one two"),
        ("so ❤\ufe0f much", "so ❤ much"),
        ("bro\ud83dken", "broken"),
        ("  a \t b\n\nc ", "a b c"),
        ("", ""),
        ("HELLO @You", "HELLO @You"),
    ],
)
def test_normalise(raw: str, expected: str) -> None:
    assert normalise(raw) == expected


@settings(deadline=None, derandomize=True, max_examples=60)
@given(HOSTILE)
def test_normalise_is_idempotent_and_encodable(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    once.encode("utf-8")


@pytest.mark.parametrize("bad", [None, 3, b"bytes", float("nan")])
def test_not_a_string(bad: object) -> None:
    for function in (normalise, words, fingerprint):
        with pytest.raises(UserError, match="must be a string"):
            function(bad)  # type: ignore[arg-type]
    with pytest.raises(UserError):
        near_duplicates([bad], 0.8)  # type: ignore[list-item]


def test_words() -> None:
    assert words("I’m SO happy :) #joy @you 😂") == ["i'm", "so", "happy", ":)", "#joy", "@you", "😂"]
    assert words("") == []


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, "1" * 100_000, "a." * 50_000, "<a" * 50_000, "-" * 100_000, "&" + "amp;" * 25_000, "😂" * 100_000, "word " * 20_000],
)
def test_long_hostile_texts_take_linear_time(text: str) -> None:
    start = time.perf_counter()
    assert words(text)
    assert time.perf_counter() - start < 15  # seconds; the point is that it is not minutes and does not fail


def test_long_text_is_cut_between_words() -> None:
    text = "the cat's hat isn't red, " * 200
    assert tokenise(normalise(text)) == tokenise("the cat's hat isn't red,") * 200


def test_ngrams() -> None:
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]
    assert ngrams(["a"], 2) == []
    with pytest.raises(ValueError, match="at least 1"):
        ngrams(["a"], 0)


def test_fingerprint() -> None:
    assert fingerprint("Fish &amp; CHIPS ") == fingerprint("fish  & chips")
    assert fingerprint("fish") != fingerprint("chips")
    assert len(fingerprint("")) == 64


def test_jaccard() -> None:
    assert jaccard([1, 2], [2, 3]) == pytest.approx(1 / 3)
    assert jaccard([], []) == 1
    assert jaccard([], [1]) == 0


PLANTED = "my grey cat sleeps on the warm roof of the old red house every single afternoon"
OTHERS = ["nothing alike at all in here", "a second quite different sentence about trains", "ok", "", "😂😂"]


def test_near_duplicates_finds_planted() -> None:
    texts = [*OTHERS, PLANTED, PLANTED + " again"]
    found = near_duplicates(texts, 0.8)
    assert [(match.index, match.other) for match in found] == [(6, 5)]
    assert found[0].similarity == pytest.approx(jaccard(grams(texts[6]), grams(texts[5])))
    assert near_duplicates(texts, 1.0) == []


def test_repeats_name_their_first_occurrence() -> None:
    assert near_duplicates(["ok", "OK", "ok ", "no"], 0.8) == [Match(1, 0, 1.0), Match(2, 0, 1.0)]
    assert near_duplicates(["ok", "no"], 0.8, ["no", "ok", "ok"]) == [Match(0, 1, 1.0), Match(1, 0, 1.0)]
    assert len(near_duplicates(["same words in here"] * 2_000, 0.8)) == 1_999


def test_no_texts() -> None:
    assert near_duplicates([], 0.8) == []
    assert near_duplicates(["a"], 0.8, []) == []
    with pytest.raises(ValueError, match="threshold"):
        near_duplicates(["a"], 0.0)


SMALL = st.lists(st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join), max_size=8)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(SMALL, SMALL)
def test_near_duplicates_is_symmetric(first: list[str], second: list[str]) -> None:
    one = {(grams(first[m.index]), grams(second[m.other]), m.similarity) for m in near_duplicates(first, 0.5, second)}
    two = {(grams(first[m.other]), grams(second[m.index]), m.similarity) for m in near_duplicates(second, 0.5, first)}
    assert one == two


@settings(deadline=None, derandomize=True, max_examples=60)
@given(SMALL)
def test_near_duplicates_agrees_with_all_pairs(texts: list[str]) -> None:
    sets = [grams(text) for text in texts]
    expected = {
        (later, earlier)
        for later in range(len(texts))
        for earlier in range(later)
        if jaccard(sets[later], sets[earlier]) >= 0.6 and sets[earlier] not in sets[:earlier]
    }
    assert {(match.index, match.other) for match in near_duplicates(texts, 0.6)} == expected
