"""Checks, each against texts made to pass or to fail it."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosynth import pieces
from emosynth.checks.base import Check, Judged
from emosynth.checks.distinct import largest_similarities
from emosynth.checks.novelty import new_shares
from emosynth.checks.perplexity import by_length, place_among
from emosynth.checks.wording import content_words, overlap, utterances_of
from emosynth.design.cells import Cell
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.text import grams, jaccard, near_duplicates

SEED = ["the train was late again and nobody told us why", "what a lovely morning by the quiet lake"]
SPACE = Space("toy", ("sad", "glad"), True, {}, {})
SEVERAL = Space("toy", ("sad", "glad", "calm"), False, {}, {})
CELL = Cell("toy", 0, 2)
PASSAGES = {"p": "The clerk came home. I SHALL dance in the rain tonight, he said."}


class Keyword:
    """Says glad if the text holds 'lovely'."""

    def __init__(self, space=SPACE):
        self.space = space

    def predict_proba(self, texts):
        glad = np.array([0.9 if "lovely" in t else 0.2 for t in texts])
        return np.column_stack([1 - glad, glad, *([np.full(len(texts), 0.1)] if len(self.space.labels) == 3 else [])])


class Lengthy:
    """A reference model that finds a text as unlikely as its words are long."""

    def __init__(self):
        self.calls = []

    def score(self, texts, progress=None):
        self.calls.append(list(texts))
        pairs = [(np.mean([len(word) for word in text.split()] or [0]), len(text.split()) + 1) for text in texts]
        return np.array([nll for nll, _ in pairs], dtype=float), np.array([n for _, n in pairs], dtype=int)


class Judge:
    def __init__(self, space=SPACE):
        self.asked, self.model, self._space = [], Lengthy(), space

    def teacher(self, cell):
        self.asked.append(cell)
        return Keyword(self._space)

    def reference(self):
        return self.model

    def passages(self):
        return PASSAGES


def judged(texts, labels=None, *, prompt='Real notes:\n- "', kinds=None, passage="", complete=True, seed=SEED, space=SPACE, targets=None):
    labels = labels or ["sad"] * len(texts)
    kinds = kinds or [""] * len(texts)
    counts: dict[str, int] = {}
    ids = []
    for kind in kinds:
        counts[kind] = counts.get(kind, -1) + 1
        ids.append(f"o/{counts[kind]}" + (f"/{kind}" if kind else ""))
    rows = pd.DataFrame(
        {
            "candidate_id": ids, "index": range(len(texts)), "label": labels, "text": texts, "complete": complete, "kind": kinds,
            "prompt": prompt if isinstance(prompt, list) else [prompt] * len(texts), "passage_id": passage,
        }
    )  # fmt: skip
    targets = space.multi_hot([[label] for label in labels]) if targets is None else np.asarray(targets, dtype=float)
    return Judged(rows, CELL, seed, space, "note", Judge(space), targets)


def verdicts(name, texts, value=None, **more):
    """Return verdicts and scores of one check."""
    check = pieces.build("check", name, value)
    rows = judged(texts, **more)
    scores = check.score(rows)
    return check.accept(scores, rows.texts, np.ones(len(texts), dtype=bool)).tolist(), scores.tolist()


def ok(name, text, value=None, **more):
    return verdicts(name, [text], value, **more)[0][0]


# --- words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Someone says,", ["someone", "says"]),
        ("😂 😂 😂", []),
        ("I can’t, I won't!!!", ["i", "can't", "i", "won't"]),
        ("#blessed :) <3 :D", ["blessed"]),
        ("well-known: 3 of 4", ["well-known", "3", "of", "4"]),
        ("… — ?!", []),
        ("今天，我很高兴!", ["今", "天", "我", "很", "高", "兴"]),
        ("Übermäßig schön", ["übermäßig", "schön"]),
        ("", []),
    ],
)
def test_words_hold_a_letter_or_a_digit(text, found):
    assert content_words(text) == found


@given(st.text(max_size=80).map(lambda text: text.encode("utf-8", "ignore").decode()))
def test_no_word_is_without_a_letter_or_digit(text):
    assert all(any(c.isalnum() for c in word) and not word.startswith("#") for word in content_words(text))


def test_overlap():
    assert overlap(list("abcde"), {tuple("abcd")}) == 0.5
    assert overlap(["a", "b"], {("a", "b")}) == 1.0 and overlap([], {("a",)}) == 0.0


# --- each check -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("nonempty", "hi there you", " . - "),
        ("nonempty", "😂", "  "),
        ("length", "three plain words", "two words"),
        ("length", "don't you dare", "Someone says,"),
        ("length", "#so #very #tired", "😂 😂 😂"),
        ("length", "we won 3", "we won :) !!!"),
        ("meta", "I missed the bus again", "Sure, here is a tweet that expresses anger"),
        ("meta", "the example she set for us all", "As an AI language model I cannot feel"),
        ("meta", "my company is great", "Thanks to [Company Name] for this"),
        ("original", "the train was on time for once in my life", "the train was late again and nobody told us why"),
        ("original", "so what", "The train was late again – and nobody told us, why?!"),
        ("agreement", "nothing works today at all", "a lovely thing happened today"),
    ],
)
def test_check_accepts_and_rejects(name, good, bad):
    assert ok(name, good)
    assert not ok(name, bad)


@pytest.mark.parametrize(
    ("name", "share", "good", "bad", "score"),
    [
        ("charset", 0.9, "“quite” so – he’s late…", "это не то", 2 / 9),
        ("charset", 0.5, "so happy today 😂😂", "😂😂😂a", 1 / 4),
        ("repetition", 0.3, "so happy!!!!!! 😂😂😂😂😂", "I am so I am so I am so", 5 / 8),
        ("repetition", 0.9, "no no no and so on", "well no no, no, no", 1),
        ("repetition", 0.9, "nooooooo way man", "noooooooo way man", 1),
        ("repetition", 0.3, "#so it goes, so it went", "#so it goes so it goes", 2 / 5),
    ],
)
def test_share_accepts_and_rejects(name, share, good, bad, score):
    passed, scores = verdicts(name, [good, bad], share)
    assert passed == [True, False] and scores[1] == pytest.approx(score)


def test_length_has_two_bounds():
    assert verdicts("length", ["one two", "one two three", "one two three four"], {"min": 2, "max": 3}) == ([True, True, False], [2, 3, 4])
    with pytest.raises(UserError, match="above max"):
        pieces.build("check", "length", {"min": 4, "max": 3})


def test_cut_off_text_is_not_complete():
    assert ok("complete", "this text has an end") and not ok("complete", "this text has no", complete=False)


def test_copies_of_the_prompt_and_of_short_seed_rows_are_found():
    text = "we walked along the river until it was dark"
    prompt = f'Real notes:\n- "{text}"\n- "'
    assert not ok("original", text, prompt=prompt) and ok("original", text)
    assert not ok("original", "So, so tired!", seed=["so so tired"])
    assert ok("original", "so so tired", seed=["i am so so tired today"]), "shorter n-grams count only as whole texts"
    assert verdicts("original", [text], 0.5, prompt=["we walked along the river"])[1] == [2 / 6], "the share of its 4-grams"


def test_copies_of_a_passage_are_found_whatever_their_length():
    kinds = ["contextual", "contextual", "contextual", "contextless"]
    texts = ["I shall dance in the rain tonight!", "he said", "No.", "I shall dance in the sun today"]
    passed, scores = verdicts("original", texts, kinds=kinds, passage="p", prompt="He says:")
    assert passed == [False, False, True, True] and scores[:3] == [1.0, 1.0, 0.0]
    assert ok("original", "he said", prompt="He says:"), "without a narrative, nobody's words"
    assert not ok("original", SEED[0], kinds=["contextual"], passage="p"), "a narrative may copy the seed too"


def test_a_rewriting_may_keep_its_utterance():
    said, told = "I shall dance in the rain tonight.", "Now I shall dance in the rain tonight."
    prompt = ["He says:", f"He said: {said} He explains:"]
    rows = judged([said, told], kinds=["contextual", "contextless"], prompt=prompt)
    assert utterances_of(rows.rows) == ["", said]
    assert pieces.build("check", "original").score(rows).tolist() == [0.0, 0.0]
    other = judged(["Never again.", told], kinds=["contextual", "contextless"], prompt=prompt)
    assert pieces.build("check", "original").score(other).tolist() == [0.0, 4 / 5], "what is not its utterance is not spared"
    own = judged([said], kinds=["contextual"], prompt=f"He: {said} He said again:")
    assert pieces.build("check", "original").score(own).tolist() == [1.0], "nor is an utterance in its own prompt"


def test_a_rewriting_must_not_be_its_utterance():
    texts = ["I shall dance in the rain tonight.", "The pump was frozen.", "I SHALL dance in the rain tonight.", "It was so cold outside."]
    passed, scores = verdicts("rewritten", texts, kinds=["contextual", "contextual", "contextless", "contextless"])
    assert passed == [True, True, False, True] and scores[2] == 1.0 and np.isnan(scores[:2]).all()


def test_later_duplicate_fails_the_first_stays():
    texts = ["nothing works today at all", "it is cold and wet", "Nothing works today at all"]
    assert verdicts("distinct", texts) == ([True, True, False], [0.0, 0.0, 1.0])
    assert verdicts("distinct", [texts[0]] * 2, kinds=["contextual", "contextless"])[0] == [True, True], "kinds are apart"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["we", "you", "lost", "won", "!"]), max_size=6).map(" ".join), max_size=12))
def test_similarities_are_those_of_all_pairs(texts):
    expected = [max((jaccard(grams(text), grams(other)) for other in texts[:place]), default=0.0) for place, text in enumerate(texts)]
    assert largest_similarities(texts).tolist() == pytest.approx(expected)
    later = {max(match.index, match.other) for match in near_duplicates(texts, 0.8)}
    assert later <= set(np.flatnonzero(largest_similarities(texts) >= 0.8)), "no pair of the index is missed"


def test_similarities_over_several_blocks():
    texts = [f"text number {number} of many of them" for number in range(600)]
    texts[599] = texts[3]
    found = largest_similarities(texts)
    assert found[599] == 1.0 and (found[1:599] < 1).all() and (found[1:599] > 0.2).all()


def test_confidence_is_a_check_of_its_own():
    texts = ["nothing works today at all", "a lovely thing happened"]  # sad with 0.8 and 0.1
    passed, scores = verdicts("confidence", texts, 0.75)
    assert passed == [True, False] and scores == pytest.approx([0.8, 0.1])
    assert verdicts("confidence", texts, 0.85)[0] == [False, False]
    assert verdicts("agreement", texts) == ([True, False], [1.0, 0.0])


def test_certainty_is_of_what_the_teacher_reads():
    """In two classes confidence in the label asked for implies agreement: rows to be relabelled were none."""
    texts = ["nothing works today at all", "a lovely thing happened"]  # sad with 0.8 and 0.1
    passed, scores = verdicts("certainty", texts, 0.75)
    assert passed == [True, True] and scores == pytest.approx([0.8, 0.9])
    assert verdicts("certainty", texts, 0.85)[0] == [False, True]
    assert verdicts("certainty", []) == ([], [])


def test_the_teacher_reads_one_of_several_labels():
    more = {"space": SEVERAL, "targets": [[1, 0, 1], [0, 1, 1], [0, 0, 0]]}
    texts = ["nothing works today", "nothing works today", "nothing works today"]
    assert verdicts("agreement", texts, **more)[0] == [True, False, True], "no counterpart is no disagreement"
    passed, scores = verdicts("confidence", texts, 0.4, **more)
    assert scores[:2] == pytest.approx([0.45, 0.15]) and np.isnan(scores[2]) and passed == [True, False, True]


# --- novelty --------------------------------------------------------------------------------------------


def test_novelty_counts_what_was_accepted_before():
    texts = [
        "we lost the last game",
        "we lost the last bet",  # three of four 2-grams are known
        "a lovely old red hat",  # thrown away by another check, so it takes nothing from the next
        "my gran had a lovely old red hat",
        "no",
        "we lost the last bet again and went home crying",  # the rejected second text gives nothing to "last bet"
    ]
    passed = np.array([True, True, False, True, True, True])
    assert new_shares(texts, passed, 0.6).tolist() == pytest.approx([1, 1 / 4, 1, 1, 1, 6 / 9])
    check = pieces.build("check", "novelty", 0.6)
    scores = check.score(judged(texts))
    assert scores.tolist() == pytest.approx([1, 1 / 4, 1, 3 / 7, 1, 5 / 9]), "new to all candidates, accepted or not"
    assert check.accept(scores, texts, passed).tolist() == [True, False, True, True, True, True]
    assert (scores <= new_shares(texts, passed, 0.6) + 1e-12).all()
    assert new_shares(["so it is", "#so!!! it 😂 is"], np.ones(2, dtype=bool), 0.0).tolist() == [1.0, 0.0], "words alone count"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["we", "you", "lost", "won", "the", "game"]), max_size=6).map(" ".join), min_size=2, max_size=12),
    st.data(),
)
def test_later_candidates_change_no_earlier_verdict(texts, data):
    some = data.draw(st.integers(1, len(texts) - 1))
    passed = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))))
    for name, value in (("novelty", 0.5), ("distinct", 0.5)):
        check = pieces.build("check", name, value)
        whole, part = (check.accept(check.score(judged(t)), t, passed[: len(t)]) for t in (texts, texts[:some]))
        assert part.tolist() == whole.tolist()[:some]


# --- perplexity -----------------------------------------------------------------------------------------


def test_perplexity_bounds_are_absolute_or_those_of_the_seed():
    texts = ["four more sums", "oh no it is", "unbelievably excruciating circumstances"]
    absolute = {"bound": "absolute", "low": float(np.exp(3)), "high": float(np.exp(5))}
    passed, scores = verdicts("perplexity", texts, absolute)
    assert passed == [True, False, False] and scores == pytest.approx(np.exp(Lengthy().score(texts)[0]).tolist())
    every = {"low": 0.0, "high": 1.0}  # all seed texts, whose means are 3.8 and 4 letters, are in
    passed, scores = verdicts("perplexity", ["what a lovely morning by the quiet lake", *texts], every)
    assert passed == [True, True, False, False] and scores[:2] == [1.0, 1.0] and scores[2:] == [-1.0, 2.0]
    with pytest.raises(UserError, match="none"):
        verdicts("perplexity", texts, every, seed=[])


def test_the_model_is_asked_about_all_cells_at_once():
    check = pieces.build("check", "perplexity")
    first, second = judged(["one two"]), judged(["three"])
    check.prepare([first, second])
    assert first.judge.model.calls == [["one two", "three", *SEED, *SEED]]
    pieces.build("check", "perplexity", {"bound": "absolute", "high": 9.0}).prepare([second])
    assert second.judge.model.calls == [["three"]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1, 9), min_size=2, max_size=40, unique=True), st.floats(0, 1), st.floats(0, 1), st.floats(0.5, 10))
def test_a_place_lies_within_quantiles_as_the_value_does(known, one, other, value):
    known, (low, high) = np.sort(np.array(known)), sorted([one, other])
    bounds = np.quantile(known, [low, high])
    if np.abs(bounds - value).min() > 1e-6:  # else rounding decides
        assert (bounds[0] <= value <= bounds[1]) == (low <= place_among(known, value) <= high)
    inside = float(np.quantile(known, one))
    assert float(np.quantile(known, place_among(known, inside))) == pytest.approx(inside)


def test_place_among_few_and_equal_values():
    assert (
        place_among(np.array([4.0]), 4.0) == 0.5 and place_among(np.array([4.0]), 3.9) == -1.0 and place_among(np.array([4.0]), 4.1) == 2.0
    )
    assert place_among(np.array([1.0, 2.0, 2.0, 2.0, 5.0]), 2.0) == 0.5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=300), st.integers(0, 9))
def test_bins_are_large_enough_and_hold_every_text(tokens, seed):
    tokens = np.array(tokens)
    nll = np.random.default_rng(seed).uniform(1, 5, len(tokens))
    edges, known = by_length(nll, tokens)
    places = np.searchsorted(edges, tokens)
    sizes = np.bincount(places, minlength=len(edges))
    assert sizes.tolist() == [len(part) for part in known] and (len(edges) == 1 or sizes.min() >= 30)
    assert all(np.exp(value) in known[place] for value, place in zip(nll, places, strict=True))


def test_perplexity_bins_follow_length():
    tokens = np.repeat([3, 4, 9, 10, 30], [40, 10, 25, 40, 5])
    edges, known = by_length(8 / tokens, tokens)
    assert edges.tolist() == [3, 9, np.inf], "4 alone is too few; what is left joins the last bin"
    assert known[0].min() > known[2].max(), "short texts are less predictable"


# --- all of them ----------------------------------------------------------------------------------------

CHECKS = {name: cls for name, cls in pieces.registered("check").items() if cls.__module__.startswith("emosynth.")}


def test_every_check_is_there_in_its_order():
    order = sorted(CHECKS, key=lambda name: (CHECKS[name].order, name))
    assert order == [
        "nonempty", "length", "complete", "charset", "repetition", "meta", "original", "rewritten", "distinct", "agreement", "confidence", "certainty",
        "perplexity", "novelty",
    ]  # fmt: skip
    assert CHECKS["nonempty"].order == 0 and len({cls.order for cls in CHECKS.values()}) == len(CHECKS)


@pytest.mark.parametrize("name", list(CHECKS))
def test_pieces_are_whole(name):
    cls = CHECKS[name]
    assert cls.reason and cls.label and inspect.getdoc(cls)
    assert cls.thresholds <= set(cls.Settings.model_fields)
    assert cls.main is None or cls.main in cls.thresholds
    assert cls().judge() == {"check": name, **({"bound": "quantile"} if name == "perplexity" else {})}, "a threshold makes no score"
    assert cls.asks_teacher == (name in ("agreement", "confidence", "certainty"))


@pytest.mark.parametrize("name", list(CHECKS))
@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=60).map(lambda t: t.encode("utf-8", "ignore").decode()), max_size=6))
def test_any_text_gets_a_verdict(name, texts):
    check: Check = CHECKS[name]()
    rows = judged(texts)
    scores = check.score(rows)
    assert scores.shape == (len(texts),) and scores.dtype == np.float64
    passed = check.accept(scores, rows.texts, np.ones(len(texts), dtype=bool))
    assert passed.shape == (len(texts),) and passed.dtype == bool
    assert check.passes(np.array([np.nan])).all(), "what was not scored passes"
