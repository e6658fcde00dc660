"""Checks, each against texts made to pass or to fail it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosynth.errors import UserError
from emosynth.params import Perplexity, Verification
from emosynth.verification import (
    CHECKS,
    Cell,
    acceptance,
    acceptance_curve,
    enabled,
    rejection_reasons,
    require_accepted,
    verify,
    verify_cell,
)
from emosynth.verification.checks import KEYS, perplexity_bounds

SEED = ["the train was late again and nobody told us why", "what a lovely morning by the quiet lake"]


class Keyword:
    """Says glad if the text holds 'lovely'."""

    classes = ("sad", "glad")

    def predict_proba(self, texts):
        glad = np.array([0.9 if "lovely" in t else 0.2 for t in texts])
        return np.column_stack([1 - glad, glad])


class Lengthy:
    """A reference model that finds a text as unlikely as its words are long."""

    def __init__(self):
        self.calls = []

    def score(self, texts, progress=None):
        self.calls.append(len(texts))
        pairs = [(np.mean([len(word) for word in text.split()] or [0]), len(text.split()) + 1) for text in texts]
        return np.array([nll for nll, _ in pairs], dtype=float), np.array([n for _, n in pairs], dtype=int)


def cell(texts, labels=None, complete=True, params=None, prompt='Real notes:\n- "', reference=None):
    frame = pd.DataFrame(
        {
            "arm": "a",
            "size": 2,
            "repeat": 0,
            "index": range(len(texts)),
            "label": labels or ["sad"] * len(texts),
            "text": texts,
            "complete": complete,
            "prompt": prompt,
        }
    )
    return Cell(frame, SEED, "note", Keyword(), params or Verification(), reference)


def verdict(name, text, **more):
    return bool(verify_cell(cell([text], **more))[f"ok_{name}"].iloc[0])


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("nonempty", "hi there you", " . - "),
        ("length", "three plain words", "two words"),
        ("meta", "I missed the bus again", "Sure, here is a tweet that expresses anger"),
        ("meta", "the example she set for us all", "As an AI language model I cannot feel"),
        ("meta", "my company is great", "Thanks to [Company Name] for this"),
        ("original", "the train was on time for once in my life", "the train was late again and nobody told us why"),
        ("agreement", "nothing works today at all", "a lovely thing happened today"),
    ],
)
def test_check_accepts_and_rejects(name, good, bad):
    assert verdict(name, good)
    assert not verdict(name, bad)


def test_copy_from_the_prompt_is_found():
    prompt = 'Real notes:\n- "we walked along the river until it was dark"\n- "'
    assert not verdict("original", "we walked along the river until it was dark", prompt=prompt)
    assert verdict("original", "we walked along the river until it was dark")


def test_short_copy_of_a_short_seed_row_is_found():
    frame = cell(["so so tired"]).candidates
    short = Cell(frame, ["so so tired"], "note", Keyword(), Verification())
    assert not verify_cell(short)["ok_original"].iloc[0]


def test_cut_off_text_fails_only_if_asked():
    assert not verdict("complete", "this text has no", complete=False)
    assert verdict("complete", "this text has no", complete=False, params=Verification(complete=False))


def test_later_duplicate_fails_the_first_stays():
    frame = verify_cell(cell(["nothing works today at all", "it is cold and wet", "Nothing works today at all"]))
    assert frame["ok_distinct"].tolist() == [True, True, False]


def test_confidence_is_a_check_of_its_own():
    text = "nothing works today at all"  # sad with 0.8
    frame = verify_cell(cell([text, "a lovely thing happened"], params=Verification(min_confidence=0.85)))
    assert frame["ok_agreement"].tolist() == [True, False] and frame["ok_confidence"].tolist() == [False, False]
    assert frame["reason"].tolist() == ["confidence", "agreement"]
    assert (frame["score_confidence"] == frame["score_agreement"]).all() and frame["score_confidence"].iloc[0] == pytest.approx(0.8)
    assert verdict("confidence", text, params=Verification(min_confidence=0.75))


def test_disabled_checks_add_no_columns():
    columns = ["nonempty", "length", "complete", "meta", "original", "distinct", "agreement"]
    frame = verify_cell(cell(["nothing works today at all"]))
    assert [name for name in frame.columns if name.startswith("ok_")] == [f"ok_{name}" for name in columns]
    everything = Verification(min_confidence=0.1, min_ascii=0.5, max_repetition=0.9, min_novelty=0.1, perplexity=Perplexity())
    assert enabled(Verification()) == columns and enabled(everything) == list(CHECKS) and set(KEYS) <= set(CHECKS)
    assert set(KEYS.values()) - {"min_words and max_words"} <= set(Verification.model_fields)
    with pytest.raises(ValueError, match="no reference model"):
        verify_cell(cell(["nothing works today at all"], params=everything))


@pytest.mark.parametrize(
    ("name", "params", "good", "bad", "score"),
    [
        ("charset", {"min_ascii": 0.9}, "“quite” so – he’s late…", "это не то", 2 / 9),
        ("charset", {"min_ascii": 0.5}, "so happy today 😂😂", "😂😂😂a", 1 / 4),
        ("repetition", {"max_repetition": 0.3}, "so happy!!!!!! 😂😂😂😂😂", "I am so I am so I am so", 5 / 8),
        ("repetition", {"max_repetition": 0.9}, "no no no and so on", "well no no, no, no", 2 / 4),
        ("repetition", {"max_repetition": 0.9}, "nooooooo way man", "noooooooo way man", 0),
    ],
)
def test_optional_check_accepts_and_rejects(name, params, good, bad, score):
    frame = verify_cell(cell([good, bad], params=Verification(**params)))
    assert frame[f"ok_{name}"].tolist() == [True, False]
    assert frame[f"score_{name}"].iloc[1] == pytest.approx(score)


def test_novelty_counts_what_was_accepted_before():
    texts = [
        "we lost the last game",
        "we lost the last bet",  # three of four 2-grams are known
        "a lovely old red hat",  # thrown away (agreement), so it takes nothing from the next
        "my gran had a lovely old red hat",
        "no",
        "we lost the last bet again and went home crying",  # the rejected second text gives nothing to "last bet"
    ]
    params = Verification(min_novelty=0.6, min_words=1, near_duplicate=1.0)
    labels = ["sad", "sad", "sad", "glad", "sad", "sad"]
    frame = verify_cell(cell(texts, labels=labels, params=params))
    assert frame["score_novelty"].tolist() == pytest.approx([1, 1 / 4, 1, 1, 1, 6 / 9])
    assert frame["reason"].tolist() == ["", "novelty", "agreement", "", "", ""]
    # The order is that of the index, whatever the order of the rows.
    back = cell(texts, labels=labels, params=params).candidates.iloc[::-1]
    turned = verify_cell(Cell(back, SEED, "note", Keyword(), params))
    assert turned["score_novelty"].tolist()[::-1] == frame["score_novelty"].tolist()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["we", "you", "lost", "won", "the", "game"]), max_size=6).map(" ".join), min_size=2, max_size=12),
    st.data(),
)
def test_later_candidates_change_no_earlier_verdict(texts, data):
    params = Verification(min_novelty=0.5, min_words=1, max_repetition=0.5, min_confidence=0.5)
    some = data.draw(st.integers(1, len(texts) - 1))
    whole, part = verify_cell(cell(texts, params=params)), verify_cell(cell(texts[:some], params=params))
    assert part["accepted"].tolist() == whole["accepted"].tolist()[:some]
    assert part["reason"].tolist() == whole["reason"].tolist()[:some]


def test_perplexity_bounds_are_absolute_or_those_of_the_seed():
    low, high = float(np.exp(3)), float(np.exp(5))
    texts = ["four more sums", "oh no it is", "unbelievably excruciating circumstances"]
    absolute = Perplexity(bound="absolute", low=low, high=high)
    reference = Lengthy()
    frame = verify_cell(cell(texts, params=Verification(perplexity=absolute), reference=reference))
    assert frame["ok_perplexity"].tolist() == [True, False, False]
    assert frame["score_perplexity"].tolist() == pytest.approx(np.exp(reference.score(texts)[0]).tolist())
    quantile = Perplexity(low=0.0, high=1.0)  # all seed texts, whose means are 3.8 and 4 letters, are in
    seed_like = "what a lovely morning by the quiet lake"
    frame = verify_cell(cell([seed_like, *texts], params=Verification(perplexity=quantile), reference=reference))
    assert frame["ok_perplexity"].tolist() == [True, True, False, False]
    empty = Cell(cell(texts).candidates, [], "note", Keyword(), Verification(perplexity=quantile), reference)
    with pytest.raises(UserError, match="none"):
        verify_cell(empty)


def test_perplexity_bounds_follow_length():
    rng = np.random.default_rng(0)
    tokens = np.repeat([3, 4, 9, 10, 30], [40, 10, 25, 40, 5])
    nll = 8 / tokens + rng.uniform(0, 0.1, len(tokens))  # short texts are less predictable
    edges, low, high = perplexity_bounds(nll, tokens, 0.0, 1.0)
    assert edges.tolist() == [3, 9, np.inf], "4 alone is too few; what is left joins the last bin"
    assert (low <= high).all() and low[0] > high[2]
    assert high[0] == np.exp(nll[tokens == 3]).max() and low[2] == np.exp(nll[tokens >= 10]).min()
    edges, *_ = perplexity_bounds(nll[:20], tokens[:20], 0.1, 0.9)
    assert edges.tolist() == [np.inf]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=300), st.integers(0, 9))
def test_bins_are_large_enough_and_cover_every_length(tokens, seed):
    tokens = np.array(tokens)
    nll = np.random.default_rng(seed).uniform(1, 5, len(tokens))
    edges, low, high = perplexity_bounds(nll, tokens, 0.0, 1.0)
    sizes = np.bincount(np.searchsorted(edges, tokens), minlength=len(edges))
    assert sizes.sum() == len(tokens) and (len(edges) == 1 or sizes.min() >= 30)
    places = np.searchsorted(edges, tokens)
    assert ((np.exp(nll) >= low[places]) & (np.exp(nll) <= high[places])).all()


def test_nothing_is_dropped_and_reason_is_the_first_failure():
    texts = ["", "two words", "nothing works today at all", "a lovely thing happened"]
    frame = verify_cell(cell(texts))
    assert len(frame) == len(texts)
    assert frame["reason"].tolist() == ["nonempty", "length", "", "agreement"]
    assert (frame["accepted"] == frame[[f"ok_{n}" for n in enabled(Verification())]].all(axis=1)).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60).map(lambda t: t.encode("utf-8", "ignore").decode()), min_size=1, max_size=6))
def test_any_text_gets_a_verdict(texts):
    frame = verify_cell(cell(texts))
    assert frame["accepted"].dtype == bool and len(frame) == len(texts)


def test_tables_over_cells():
    frame = pd.concat([cell(["nothing works today at all", ""]).candidates.assign(arm=a) for a in ("x", "y")], ignore_index=True)
    seen = []
    result = verify(frame, {(2, 0): SEED}, lambda size, repeat: seen.append((size, repeat)) or Keyword(), "note", Verification())
    assert seen == [(2, 0)], "one classifier a seed"
    assert acceptance(result)["acceptance"].tolist() == [0.5, 0.5]
    assert rejection_reasons(result).loc["x"].to_dict() == {"accepted": 0.5, "nonempty": 0.5}


@pytest.mark.parametrize("bound", [Perplexity(low=0.0, high=1.0), Perplexity(bound="absolute", low=1.0, high=float(np.exp(5)))])
def test_all_cells_are_scored_at_once_and_get_the_verdicts_of_each_alone(bound):
    params = Verification(perplexity=bound, min_novelty=0.2)
    texts = ["nothing works today at all", "unbelievably excruciating circumstances", "oh", "nothing works today at all again"]
    frames = [cell(texts).candidates, cell(["it is cold and wet", *texts]).candidates.assign(arm="b", size=3)]
    seeds = {(2, 0): SEED, (3, 0): [*SEED, "oh well"]}
    reference = Lengthy()
    result = verify(pd.concat(frames, ignore_index=True), seeds, lambda size, repeat: Keyword(), "note", params, reference)
    alone = [verify_cell(Cell(frame, seeds[int(frame["size"].iloc[0]), 0], "note", Keyword(), params, Lengthy())) for frame in frames]
    pd.testing.assert_frame_equal(result, pd.concat(alone, ignore_index=True))
    sound = int(result["score_perplexity"].notna().sum())
    assert 0 < sound < len(result)
    assert reference.calls[0] == sound + (5 if bound.bound == "quantile" else 0)
    assert max(reference.calls[1:]) < reference.calls[0]


def test_rejected_texts_are_not_scored():
    texts = ["nothing works today at all", "it rains", "nothing was left of it", "it rains and rains on"]
    reference = Lengthy()
    checked = verify_cell(
        replace(cell(texts), params=Verification(min_words=3, min_confidence=0.99, perplexity=Perplexity()), reference=reference)
    )
    kept = checked["ok_length"] & checked["ok_agreement"] & checked["ok_distinct"]
    assert 0 < kept.sum() < len(texts)
    assert checked["score_perplexity"].notna().tolist() == kept.tolist(), "those that lack confidence alone are scored too"
    assert checked.loc[~kept, "ok_perplexity"].all(), "their reason is another"
    assert reference.calls[0] == kept.sum()


def scored(rows, tau=0.0, **more):
    """A verified table of (label, agreement, probability, distinct)."""
    frame = pd.DataFrame(rows, columns=["label", "ok_agreement", "score_agreement", "ok_distinct"])
    frame = frame.assign(arm="a", size=2, repeat=0, **more)
    if tau:
        frame["ok_confidence"], frame["score_confidence"] = frame["score_agreement"] >= tau, frame["score_agreement"]
    frame["accepted"] = frame[[name for name in frame if name.startswith("ok_")]].all(axis=1)
    return frame


ROWS = [
    ("sad", True, 0.95, True),
    ("sad", True, 0.65, True),
    ("glad", True, 0.85, False),
    ("glad", True, 0.62, True),
    ("glad", False, 0.3, True),
]


def test_acceptance_curve():
    other = scored(ROWS[:1], 0.7).assign(arm="b")
    curve = acceptance_curve(pd.concat([scored(ROWS, 0.7), other]), [-1.0, 0.0, 0.6, 0.65, 0.9, 0.99])
    assert list(curve.columns) == ["arm", "size", "repeat", "tau", "candidates", "accepted", "acceptance"]
    assert curve[curve["arm"] == "a"]["accepted"].tolist() == [3, 3, 3, 2, 1, 0]
    assert curve[curve["arm"] == "b"]["acceptance"].tolist() == [1, 1, 1, 1, 1, 0]
    without = acceptance_curve(scored(ROWS), [0.0, 0.65])
    assert without["accepted"].tolist() == [3, 2], "the check need not have been on"


def test_curve_at_the_tau_of_the_run_is_what_was_accepted():
    texts = ["nothing works today at all", "it is cold and wet", "a lovely thing happened", ""]
    frame = verify_cell(cell(texts, labels=["sad", "sad", "glad", "glad"], params=Verification(min_confidence=0.85)))
    assert acceptance_curve(frame, [0.85])["accepted"].iloc[0] == frame["accepted"].sum() == 1


def test_nothing_accepted_names_the_tau_that_leaves_enough():
    params = Verification(min_confidence=0.99)
    with pytest.raises(UserError, match="No candidate was accepted\\.") as caught:
        require_accepted(scored(ROWS, 0.99), params)
    assert "60.0% at tau = 0.6" in str(caught.value) and "min_confidence to 0.6" in caught.value.remedy
    assert caught.value.where == "arm a, size 2, repeat 0"
    require_accepted(scored(ROWS, 0.6), Verification(min_confidence=0.6))


def test_class_without_accepted_rows_is_named():
    with pytest.raises(UserError, match="of class glad") as caught:
        require_accepted(scored(ROWS, 0.9), Verification(min_confidence=0.9), section="verification")
    assert "verification.min_confidence to 0.6" in caught.value.remedy
    assert "33.3% at tau = 0.6" in str(caught.value), "its own curve is shown"


def test_other_checks_are_blamed_when_tau_is_not():
    copies = [(label, ok, p, False) for label, ok, p, _ in ROWS]
    with pytest.raises(UserError) as caught:
        require_accepted(scored(copies, 0.5), Verification(min_confidence=0.5))
    assert "distinct rejects most (100.0%)" in caught.value.remedy and "near_duplicate" in caught.value.remedy
    with pytest.raises(UserError) as caught:  # a lower tau would leave three, and ten are needed
        require_accepted(scored(ROWS, 0.99), Verification(min_confidence=0.99), needed=10)
    assert "relax" in caught.value.remedy
    with pytest.raises(UserError, match="no candidates"):
        require_accepted(scored([]), Verification())
    with pytest.raises(UserError) as caught:
        require_accepted(scored(ROWS, ok_meta=False), Verification())
    assert "meta rejects most" in caught.value.remedy and "prompt" in caught.value.remedy
