"""Own files: JSON whose rows are lists or stand one after another, cells that are half numbers, and classes that are called as columns are."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from emosynth.corpora.odd import of_columns
from emosynth.corpora.own import understand
from emosynth.errors import UserError
from emosynth.params import UserCorpus
from own_cases import HEAD, ROWS, TWO, put, quoted

CATS = [{"cats": {"joy": float(label == "joy"), "anger": float(label != "joy")}} for _, label in ROWS]
TEXTS = [text for text, _ in ROWS]
OBJECTS = [{"text": text, "label": label} for text, label in ROWS]

READ: dict[str, tuple[Any, str]] = {
    # name: content (what is no string is written as JSON), what must be said; all are 120 rows of two classes
    "pairs": ([list(row) for row in ROWS], "pairs of a text and its label"),
    "pairs, the label first": ([[label, text] for text, label in ROWS], "pairs of a text and its label"),
    "a pair a line": ("".join(f"{json.dumps(row)}\n" for row in ROWS), "120 lists of JSON one after another"),
    "lists below names": ([HEAD, *ROWS], "lists, of which the first names the columns"),
    "longer lists below names": ([["id", "label", "text"], *([n, label, text] for n, (text, label) in enumerate(ROWS))], "the first names the columns"),
    "spaCy": ([[text, cats] for text, cats in zip(TEXTS, CATS, strict=True)], "its classes (cats), as spaCy writes"),
    "spaCy, with entities": ([[text, {"entities": [], **cats}] for text, cats in zip(TEXTS, CATS, strict=True)], "as spaCy writes"),
    "objects on one line": ("".join(map(json.dumps, OBJECTS)), "120 objects of JSON one after another"),
    "objects with blanks between": ("   ".join(map(json.dumps, OBJECTS)), "120 objects"),
    "two objects a line": ("".join(f"{json.dumps(one)}{chr(10) * (n % 2)}" for n, one in enumerate(OBJECTS)), "120 objects"),
    "objects over several lines": ("".join(json.dumps(one, indent=2) for one in OBJECTS), "120 objects of JSON one after another"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("file", ["a.json", "a.jsonl"])
def test_json_of_lists_and_of_objects_one_after_another_is_read_and_said(tmp_path: Path, name: str, file: str) -> None:
    content, words = READ[name]
    seen = understand(put(tmp_path, file, content if isinstance(content, str) else json.dumps(content)))
    assert (seen.classes, seen.task, len(seen.rows)) == (TWO, "single", 120)
    assert sorted((row.text, row.labels[0]) for row in seen.rows) == sorted(ROWS)
    assert words in "; ".join(map(str, seen.guesses))


def test_pairs_with_lists_of_labels_are_several_labels(tmp_path: Path) -> None:
    rows = [[text, [label, "loud"] if n % 2 else [label]] for n, (text, label) in enumerate(ROWS)]
    seen = understand(put(tmp_path, "a.json", json.dumps(rows)))
    assert (seen.task, seen.classes) == ("multi", {"anger": 60, "joy": 60, "loud": 60})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps([[text, label, n] for n, (text, label) in enumerate(ROWS)]), "pairs of text and label, or the first names the columns"),
        (json.dumps([[text, {"entities": [[0, 3, "joy"]]}] for text, _ in ROWS]), "pairs of text and label"),
        ("".join(map(json.dumps, OBJECTS)) + '{"text": "the', "({…}{…}) are read if each is whole"),
        (json.dumps(OBJECTS[0]) + json.dumps([1]), "are read if each is whole"),
        (json.dumps(OBJECTS[0]) + '{"text": "a", "text": "b"}', "are read if each is whole"),
    ],
)
def test_lists_that_leave_it_open_and_objects_that_are_cut_are_refused(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        understand(put(tmp_path, "a.json", content))
    assert words in caught.value.remedy


def test_a_pair_whose_words_are_names_of_columns_is_no_header(tmp_path: Path) -> None:
    rows = [["what a mood this is", "emotion"], *([text, "emotion" if label == "joy" else label] for text, label in ROWS)]
    assert understand(put(tmp_path, "a.json", json.dumps(rows))).classes == {"anger": 60, "emotion": 61}


# --- numbers among words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("every", "told"), [(2, True), (4, True), (30, False)])
def test_texts_that_are_bare_numbers_are_warned_of(tmp_path: Path, every: int, told: bool) -> None:
    rows = [(str(37 * n) if n % every == 0 else text, label) for n, (text, label) in enumerate(ROWS)]
    warnings = " ".join(understand(put(tmp_path, "a.csv", quoted([HEAD, *rows]))).warnings)
    assert (f"{120 // every} of 120 texts are bare numbers: is it the right column (text)" in warnings) is told


@pytest.mark.parametrize(("every", "told"), [(2, True), (4, True), (30, False)])
def test_labels_of_which_a_part_are_numbers_are_warned_of(tmp_path: Path, every: int, told: bool) -> None:
    numbers = {"joy": "1", "anger": "0"}
    rows = [(text, numbers[label] if n % every == 0 else label) for n, (text, label) in enumerate(ROWS)]
    path = put(tmp_path, "a.csv", quoted([HEAD, *rows]))
    warnings = " ".join(understand(path).warnings)
    assert (f"{120 // every} of 120 labels are numbers (0, 1), the others words" in warnings) is told
    joined = UserCorpus(path=str(path), text="text", labels="label", class_names={"0": "anger", "1": "joy"})
    seen = understand(path, joined)
    assert seen.classes == TWO and "the others words" not in " ".join(seen.warnings), "what the remedy says joins them"


def test_labels_that_are_all_numbers_are_told_once(tmp_path: Path) -> None:
    rows = [(text, "1" if label == "joy" else "0") for text, label in ROWS]
    assert "the others words" not in " ".join(understand(put(tmp_path, "a.csv", quoted([HEAD, *rows]))).warnings)


# --- classes that are called as columns are ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("joy", "anger"),
    [
        ("p_joy", "p_anger"),
        ("emotion_joy", "emotion_anger"),
        ("Q2[joy]", "Q2[anger]"),
        ("joy_score", "anger_score"),
        ("joy (0/1)", "anger (0/1)"),
    ],
)
@pytest.mark.parametrize("marks", [("1", "0"), ("0.8", "0.2")])
def test_cleaned_names_are_proposed_and_are_taken(tmp_path: Path, joy: str, anger: str, marks: tuple[str, str]) -> None:
    rows = [(text, *(marks if label == "joy" else marks[::-1])) for text, label in ROWS]
    path = put(tmp_path, "a.csv", quoted([("text", joy, anger), *rows]))
    (told,) = [line for line in understand(path).warnings if "called as columns are" in line]
    flag, value = shlex.split(re.findall(r"--class-names '.*'", told)[0])
    assert (flag, json.loads(value)) == ("--class-names", {anger: "anger", joy: "joy"})
    seen = understand(path, UserCorpus(path=str(path), text="text", labels=[joy, anger], class_names=json.loads(value)))
    assert seen.classes == TWO and not [line for line in seen.warnings if "called as columns are" in line]


def test_codes_of_a_survey_are_left_for_a_person_to_name(tmp_path: Path) -> None:
    rows = [(text, int(label == "joy"), int(label != "joy")) for text, label in ROWS]
    (told,) = [
        line for line in understand(put(tmp_path, "a.csv", quoted([("text", "Q2[SQ001]", "Q2[SQ002]"), *rows]))).warnings if "called as" in line
    ]  # fmt: skip
    assert """--class-names '{"Q2[SQ001]": "…", "Q2[SQ002]": "…"}'""" in told and "what the code of its question stands for" in told


@pytest.mark.parametrize(
    "names", [["joy", "anger"], ["joy", "joyful"], ["very happy", "very sad"], ["glad", "sad"], ["anger"], ["p_", "p_joy"]]
)
def test_names_that_share_no_mark_stay(names: list[str]) -> None:
    assert not list(of_columns(names))
