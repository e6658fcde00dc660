"""Checks, each against texts made to pass or to fail it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emosynth.params import Verification
from emosynth.verification import CHECKS, Cell, acceptance, rejection_reasons, verify, verify_cell

SEED = ["the train was late again and nobody told us why", "what a lovely morning by the quiet lake"]


class Keyword:
    """Says glad if the text holds 'lovely'."""

    classes = ("sad", "glad")

    def predict_proba(self, texts):
        glad = np.array([0.9 if "lovely" in t else 0.2 for t in texts])
        return np.column_stack([1 - glad, glad])


def cell(texts, labels=None, complete=True, params=None, prompt='Real notes:\n- "'):
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
    return Cell(frame, SEED, "note", Keyword(), params or Verification())


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


def test_confidence_bound():
    assert not verdict("agreement", "nothing works today at all", params=Verification(min_confidence=0.95))


def test_nothing_is_dropped_and_reason_is_the_first_failure():
    texts = ["", "two words", "nothing works today at all", "a lovely thing happened"]
    frame = verify_cell(cell(texts))
    assert len(frame) == len(texts)
    assert frame["reason"].tolist() == ["nonempty", "length", "", "agreement"]
    assert (frame["accepted"] == frame[[f"ok_{n}" for n in CHECKS]].all(axis=1)).all()


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
