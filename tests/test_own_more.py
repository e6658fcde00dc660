"""Own files, more kinds: what surveys, R, spreadsheets and annotators leave in them. All text is invented (`own_cases`)."""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from emosynth.corpora.own import Understanding, loaded, understand
from emosynth.errors import UserError
from emosynth.params import UserCorpus
from emosynth.trying.told import add_flags, spec_of
from own_cases import HEAD, LABELS, ROWS, TWO, excel, jsonl, lines, put, quoted, relabelled


def said(seen: Understanding) -> str:
    return "; ".join([*map(str, seen.guesses), *seen.warnings])


def by_record(make: Callable[[int, str, str], str]) -> str:
    return "".join(make(n, text, label) for n, (text, label) in enumerate(ROWS))


def numbers(joy: tuple[str, ...], anger: tuple[str, ...], sep: str = ",", names: str = "joy,anger") -> str:
    return quoted([("text", *names.split(",")), *((text, *(joy if label == "joy" else anger)) for text, label in ROWS)], sep)


QUESTIONS = ("Timestamp", "Please describe what happened to you on that day", "How did it make you feel? (tick what applies)")

RIGHT: dict[str, tuple[str, str | bytes, str]] = {
    # name: file, content, what must be said; all are 120 rows of two classes
    "titles above the header": ("a.csv", "Study of moods, wave 2\n\n" + lines(ROWS), "1 lines above the header"),
    "comments above the header": ("a.csv", "# written in May\n# by the lab\n" + lines(ROWS), "2 lines above the header"),
    "comments above a header of other names": ("a.csv", "# written in May\n" + lines(ROWS, header="said,felt"), "1 lines above the header"),
    "Excel, a title in merged cells": ("a.xlsx", excel([("Survey 2025", None, None), ("id", *HEAD), *((n, *row) for n, row in enumerate(ROWS))]), "1 rows above the header"),
    "Excel, groups of columns in merged cells": ("a.xlsx", excel([("Answer", None, "Coding", None), ("id", *HEAD, "note"), *((n, *row, "") for n, row in enumerate(ROWS))]), "1 rows above the header"),
    "questions as header": ("a.csv", quoted([QUESTIONS, *(("2024/05/01 10:00", *row) for row in ROWS)]), "label column: How did it make"),
    "a table of Markdown": ("a.md", "| text | label |\n|---|:---|\n" + by_record(lambda n, t, x: f"| {t} | {x} |\n"), "below the header tell what columns hold"),
    "files with marks put one after another": ("a.csv", b"\xef\xbb\xbf" + lines(ROWS[:60]).encode() + b"\xef\xbb\xbf" + lines(ROWS[60:]).encode(), "repeat the header"),
    "R, names of rows without a name": ("a.csv", '"text","label"\n' + by_record(lambda n, t, x: f'"{n + 1}","{t}","{x}"\n'), "label column: label"),
    "R, the same by tabs": ("a.tsv", "text\tlabel\n" + by_record(lambda n, t, x: f"{n + 1}\t{t}\t{x}\n"), "label column: label"),
    "an end of file of DOS": ("a.csv", lines(ROWS) + "\x1a", ""),
    "a stop after every label": ("a.csv", lines(relabelled(lambda n, label: f"{label}.")), ""),
    "a separator after every label": ("a.csv", lines(relabelled(lambda n, label: f"{label};")), ""),
    "shares in per cent": ("a.csv", numbers(("80%", "20%"), ("30 %", "70 %")), "shares"),
    "shares of 100": ("a.csv", numbers(("80", "20"), ("30", "70")), "shares"),
    "shares with decimal commas": ("a.csv", numbers(("0,8", "0,2"), ("0,3", "0,7"), ";"), "shares"),
    "votes of five people": ("a.csv", numbers(("4", "1", "0"), ("0", "3", "2"), names="joy,anger,fear"), "shares"),
    "shares beside a number of rows": ("a.csv", quoted([("nr", "text", "joy", "anger"), *((str(n), t, *(("0.8", "0.2") if x == "joy" else ("0.3", "0.7"))) for n, (t, x) in enumerate(ROWS))]), "shares"),
    "fastText": ("a.txt", by_record(lambda n, t, x: f"__label__{x} {t}, so\n"), ""),
    "pandas JSON, split": ("a.json", pd.DataFrame(ROWS, columns=HEAD).to_json(orient="split"), ""),
    "pandas JSON, index": ("a.json", pd.DataFrame(ROWS, columns=HEAD).to_json(orient="index"), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_more_files_of_120_rows_and_two_classes(tmp_path: Path, name: str) -> None:
    file, content, words = RIGHT[name]
    path = put(tmp_path, file, content)
    seen = understand(path)
    assert (len(seen.rows), seen.classes, seen.task) == (120, TWO, "single") and words in said(seen)
    assert {row.text.removesuffix(", so") for row in seen.rows} == {text for text, _ in ROWS}
    if seen.columns == list(HEAD):  # as README has it, with columns named
        assert understand(path, UserCorpus(path=str(path), text="text", labels="label")).rows == seen.rows


def test_a_table_without_header_keeps_all_its_rows(tmp_path: Path) -> None:
    rows = [("text to you, and", "label"), *ROWS] * 2  # a row that could be a header, among others of its class
    assert understand(put(tmp_path, "a.csv", quoted([ROWS[0], *rows]))).rows_read == 243
    questions = [(f"{text}?", label) for text, label in ROWS]
    assert understand(put(tmp_path, "b.csv", quoted(questions))).rows_read == 120


def test_rows_of_one_cell_more_than_the_header_are_not_counted_off_unless_they_count(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The row has 3 cells, the header 2"):
        understand(put(tmp_path, "a.csv", "text,label\n" + by_record(lambda n, t, x: f"{t},so {n},{x}\n")))


NAMES: dict[str, tuple[Callable[[int, str], str], str]] = {
    "signs before some": (lambda n, x: "#" * (n % 2) + x, "differ in signs only are classes of their own: '#anger', 'anger'"),
    "exclamation marks after some": (lambda n, x: x + "!" * (n % 2), "differ in signs only are classes of their own: 'anger', 'anger!'"),
    "brackets around some": (lambda n, x: f"({x})" if n % 2 else x, "differ in signs only"),
    "emoji": (lambda n, x: {"joy": "😀", "anger": "😡"}[x], "say little in a prompt (signs"),
    "dates": (lambda n, x: {"joy": "2024-01-01", "anger": "02.01.2024"}[x], "say little in a prompt"),
    "times": (lambda n, x: {"joy": "10:30", "anger": "11:45"}[x], "say little in a prompt"),
    "links": (lambda n, x: f"https://example.org/{x}", "say little in a prompt"),
    "letters": (lambda n, x: x[0].upper(), "say little in a prompt"),
    "Roman numbers": (lambda n, x: {"joy": "I", "anger": "II"}[x], "say little in a prompt"),
    "two alphabets": (lambda n, x: {"joy": "радость", "anger": "anger"}[x], "written in several alphabets"),
    "words for none": (lambda n, x: x if n % 6 else "unlabelled", "may mean that there is none: unlabelled"),
    "joined by a word": (lambda n, x: x if n % 6 else "joy and anger", "made of other labels: 'joy and anger'"),
    "joined by a word of German": (lambda n, x: x if n % 6 else "anger und joy", "made of other labels: 'anger und joy'"),
    "joined by an end of line": (lambda n, x: x if n % 6 else "joy\nanger", "made of other labels: 'joy anger'"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_classes_that_are_odd_are_told(tmp_path: Path, name: str) -> None:
    make, words = NAMES[name]
    seen = understand(put(tmp_path, "a.jsonl", jsonl([label for _, label in relabelled(make)])))
    assert words in said(seen) and sum(seen.classes.values()) == 120


@pytest.mark.parametrize(
    "names", [("joy", "anger"), ("very happy", "not happy"), ("喜び", "怒り"), ("Freude", "Ärger"), ("neutral", "other"), ("C+", "B+")]
)
def test_names_of_classes_that_are_plain_are_not(tmp_path: Path, names: tuple[str, str]) -> None:
    seen = understand(put(tmp_path, "a.csv", quoted([HEAD, *relabelled(lambda n, label: names[label == "joy"])])))
    assert not [line for line in seen.warnings if line.startswith("Labels") and "say little" not in line]
    assert any("say little" in line for line in seen.warnings) == (names[0] == "C+")


def test_labels_joined_by_an_end_of_line_are_parted_from_the_command_line(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl", jsonl([x if n % 6 else "joy\nanger" for n, x in enumerate(LABELS)]))
    parser = argparse.ArgumentParser()
    add_flags(parser)
    spec = spec_of(parser.parse_args([str(path), "--label-separator", "\\n"]))
    assert understand(path, spec, guess=("text", "labels")).classes == {"anger": 70, "joy": 70}


TEXTS: dict[str, tuple[Callable[[int, str], str], str]] = {
    "HTML": (lambda n, t: f"<p>{t}<br/>so</p>", "120 of 120 texts hold tags of HTML"),
    "escapes": (lambda n, t: f"caf\\u00e9: {t}", "spelt as"),
    "some links": (lambda n, t: t if n % 4 else f"https://example.org/{n}", "30 of 120 texts are links"),
    "deleted": (lambda n, t: t if n % 4 else "[deleted]", "One text stands in 15 rows, the first in line 2"),
    "cut": (lambda n, t: t if n % 4 else f"{t} {n} ".ljust(140, "x"), "30 texts have exactly 140 characters"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_are_odd_are_told(tmp_path: Path, name: str) -> None:
    make, words = TEXTS[name]
    rows = [(make(n, text), label) for n, (text, label) in enumerate(ROWS) if name != "deleted" or label == "joy"]
    rows += [row for row in ROWS if name == "deleted" and row[1] == "anger"]
    seen = understand(put(tmp_path, "a.csv", quoted([HEAD, *rows])))
    assert words in said(seen)
    assert not any(text in said(seen) for text, _ in ROWS), "warnings are published: no text in them"


def test_texts_as_people_write_them_are_not(tmp_path: Path) -> None:
    rows = [(text if n % 9 else f"{text} <3 see https://example.org/{n} a < b", label) for n, (text, label) in enumerate(ROWS)]
    three = [(text, label, name) for text, label in rows for name in ("anna", "ben", "cara")]
    seen = understand(put(tmp_path, "a.csv", quoted([(*HEAD, "who"), *three])))
    assert not seen.warnings and len(seen.rows) == 360


REFUSED: dict[str, tuple[str, str | bytes, list[str]]] = {
    "bytes as Python prints them": ("a.csv", quoted([HEAD, *((repr(t.encode()), x) for t, x in ROWS)]), ["Most texts are bytes"]),
    "words as a program prints them": ("a.csv", quoted([HEAD, *((repr(t.split()), x) for t, x in ROWS)]), ["Most texts are lists of words"]),
    "links": ("a.csv", quoted([HEAD, *((f"https://example.org/{n}", x) for n, (_, x) in enumerate(ROWS))]), ["Most texts are links"]),
    "percentages as labels": ("a.csv", lines(relabelled(lambda n, x: f"{n % 9}0%")), ["a percentage", "class_names"]),
    "columns that are rated each": ("a.csv", numbers(("5", "1", "2"), ("1", "4", "3"), names="joy,anger,fear").replace(",2\n", ",1\n", 9), ["Columns of numbers that may be labels: joy, anger, fear", "write 0 and 1, or shares"]),
    "counts of votes of other numbers of people": ("a.csv", numbers(("3", "0"), ("0", "2")), ["Columns of numbers that may be labels: joy, anger"]),
    "gzip in gzip": ("a.csv.gz", gzip.compress(gzip.compress(lines(ROWS).encode())), ["holds another gzip file", "gunzip"]),
    "texts of a class a file": ("a/joy.csv", "text\n" + by_record(lambda n, t, x: t + "\n"), ["texts without labels", "a folder of its class"]),
    "every text with both labels": ("a.csv", quoted([HEAD, *((text, label) for text, _ in ROWS for label in ("joy", "anger"))]), ["none of them by most rows", "No value of corpora.conflicts", "labels: [COLUMN"]),
    "JSON of one long object": ("a.json", json.dumps({f"{n} {text * 9}": f"{label} {n}" for n, (text, label) in enumerate(ROWS)}), ["No column looks like labels"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    file, content, parts = REFUSED[name]
    path = put(tmp_path, file, content)
    if "/" in file:
        put(tmp_path, "a/anger.csv", content)
        path = path.parent
    with pytest.raises(UserError) as caught:
        understand(path)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert len(caught.value.what) < 2000


def test_formulas_that_were_never_computed_are_named(tmp_path: Path) -> None:
    rows = [(text, f'=IF(1=1,"{label}","")') for text, label in ROWS]
    with pytest.raises(UserError, match="Nothing stands in label: formulas hold no values"):
        understand(put(tmp_path, "a.xlsx", excel([HEAD, *rows])))


def test_an_old_file_of_stata_is_a_binary_file(tmp_path: Path) -> None:
    out = io.BytesIO()
    pd.DataFrame(ROWS, columns=HEAD).to_stata(out, write_index=False)
    with pytest.raises(UserError, match="a binary file of a program"):
        understand(put(tmp_path, "a.dta", out.getvalue()))


def test_objects_of_yes_and_no_are_several_labels(tmp_path: Path) -> None:
    marks = [{"joy": label == "joy", "anger": int(label != "joy"), "surprise": int(n % 3 == 0)} for n, label in enumerate(LABELS)]
    seen = understand(put(tmp_path, "a.jsonl", jsonl(marks)))
    assert (seen.task, seen.classes) == ("multi", {"anger": 60, "joy": 60, "surprise": 40})
    single = understand(put(tmp_path, "b.jsonl", jsonl([{"joy": int(x == "joy"), "anger": int(x != "joy")} for x in LABELS])))
    assert (single.task, single.classes) == ("single", TWO)


def test_marks_of_which_every_row_has_as_many_are_no_shares(tmp_path: Path) -> None:
    pairs = itertools.cycle([("1", "1", "0"), ("0", "1", "1"), ("1", "0", "1")])
    content = quoted([("text", "joy", "anger", "fear"), *((text, *next(pairs)) for text, _ in ROWS)])
    path = put(tmp_path, "a.csv", content)
    for seen in (understand(path), understand(path, UserCorpus(path=str(path), labels=["joy", "anger", "fear"]))):
        assert (seen.task, seen.classes) == ("multi", {"anger": 80, "fear": 80, "joy": 80})


def test_texts_and_labels_in_two_files_are_put_together(tmp_path: Path) -> None:
    for name, place in (("texts.txt", 0), ("labels.txt", 1)):
        put(tmp_path, f"a/{name}", "".join(f"{row[place]}, so\n" if place == 0 else f"{row[place]}\n" for row in ROWS))
    seen = understand(tmp_path / "a")
    assert seen.classes == TWO and "a text and a label a line" in said(seen)
    put(tmp_path, "b/texts.txt", lines(relabelled(lambda n, x: str(int(x == "joy")))))
    put(tmp_path, "b/labels.txt", "anger\njoy\n")
    assert understand(tmp_path / "b").classes == TWO, "a file that names classes, each once, is none of labels"


def test_validation_rows_are_taken_from_training_rows_where_a_file_has_none(tmp_path: Path) -> None:
    from emosynth.corpora.build import settled
    from emosynth.params import Corpora

    rows = [(*row, "test" if n % 3 == 0 else "train") for n, row in enumerate(ROWS)]
    path = put(tmp_path, "a.csv", quoted([(*HEAD, "split"), *rows]))
    seen = understand(path)
    made = settled("mine", loaded(seen, path), Corpora(target="mine"))
    by_split = made.frame["split"].value_counts()
    assert by_split["test"] == 40 and 5 < by_split["validation"] < 35 and by_split.sum() == 120
    assert f"{by_split['validation']} of its training rows are taken" in " ".join(made.unscored)
    test = set(made.frame.loc[made.frame["split"] == "test", "text"])
    assert test == {text for text, _, split in rows if split == "test"}
