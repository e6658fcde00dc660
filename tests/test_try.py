"""check and try: a file of one's own told, given a profile, previewed. All text is invented."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emosynth.catalog import Catalog
from emosynth.cli import main
from emosynth.corpora import Corpus
from emosynth.corpora.odd import of_words
from emosynth.corpora.own import understand
from emosynth.errors import UserError
from emosynth.locks import take
from emosynth.models.lm import Completion
from emosynth.params import Cells, UserCorpus, load_params, validate
from emosynth.params.base import deep_merge, load_yaml
from emosynth.params.corpora import NAME
from emosynth.paths import SHIPPED, Paths
from emosynth.pipeline import write_pipelines
from emosynth.trying import commands, page
from emosynth.trying.amounts import sizes_for, told
from emosynth.trying.forecast import Call, Stopwatch, busy, clock, planned
from emosynth.trying.places import check_free
from emosynth.trying.preview import look_at_corpus, paths_of, preview, shrunk
from emosynth.trying.profile import fitting, free_name, path_in, spelled_out, text_of, write_profile
from emosynth.trying.told import FLAGS
from own_cases import LABELS, ROWS, excel, jsonl, lines, lone_quotes, quoted

ROOT = Path(__file__).resolve().parents[1]
HOSTILE = "<script>alert(1)</script> \x1b[31m the harbour made me laugh"
SHORT = """
corpora: {target: vader-tweets}
cells: {sizes: [50, 100], repeats: 2}
shap: {encoder_rows: 0}
teacher: {kind: tfidf}
generation: {growth: 1.0, oversample: 2.0}
checks: {agreed: {length: {}, agreement: {}}, dear: {extends: agreed, perplexity: {}}}
arms:
  real+1x: {add: real}
  naive: {title: naïve, checks: agreed}
  twin: {checks: agreed}
  shap: {guide: [shap-exemplars], checks: dear, sizes: largest}
  tuned: {writer: tuned, checks: none}
writers: {tuned: {tune: top_blocks}}
learners: {tfidf: {}}
"""


def many(times: int = 4) -> list[tuple[str, str]]:
    """Return the invented rows, and again with other ends."""
    return [
        (text + ("" if turn == 0 else f", {['aunt', 'uncle', 'nurse', 'clerk'][turn]} said so"), label)
        for turn in range(times)
        for text, label in ROWS
    ]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    for folder in ("data", "profiles", "reports"):
        (tmp_path / folder).mkdir()
    for name in ("catalog.yaml", "taxonomies.yaml", "claims.yaml"):
        shutil.copyfile(ROOT / "data" / name, tmp_path / "data" / name)
    (tmp_path / "params.yaml").write_text(SHORT)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "mine.csv").write_text(quoted([("tweet", "emotion"), *many()], ";"))
    return tmp_path


def run(root: Path, *words: str) -> int:
    return main(["--root", str(root), *words])


FOREIGN = {"joy": "Freude", "anger": "complaint"}
ELSEWHERE = "  emo: {title: Emo, space: goemotions, rows: 28, checks: agreed, labels: {reader: 0.5}, mix: {order: first}}\nwriters:"


def in_other_classes(root: Path, **called: str) -> None:
    """Call classes otherwise, and have an arm write in GoEmotions."""
    (root / "params.yaml").write_text(SHORT.replace("writers:", ELSEWHERE, 1))
    (root / "mine.csv").write_text(quoted([("tweet", "emotion"), *((text, called.get(label, label)) for text, label in many())], ";"))


# --- check ----------------------------------------------------------------------------------------------

CASES: dict[str, tuple[str, str | bytes, list[str]]] = {
    "semicolons": ("a.csv", quoted([("text", "label"), *ROWS], ";"), ["separator ';'", "--separator", "text: text; labels: label"]),
    "utf-16": ("a.csv", quoted([("tweet", "emotion"), *ROWS]).encode("utf-16"), ["encoding utf-16", "--encoding", "text: tweet"]),
    "lone quotes": ("a.tsv", lone_quotes(50), ["quoting none", "corpora.custom.quoting"]),
    "no header": ("a.csv", quoted(ROWS), ["text: 1; labels: 2", "--header"]),
    "json lines": (
        "a.jsonl",
        jsonl([[label] for label in LABELS]),
        ["a.jsonl: jsonl", "one or more labels a row", "warning: Every list holds one"],
    ),
    "excel": ("a.xlsx", excel([("text", "label"), *ROWS]), ["a.xlsx: excel"]),
}


@pytest.mark.parametrize("name", CASES)
def test_check_says_what_is_understood(root: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    file, content, said = CASES[name]
    path = root / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = sorted(root.rglob("*"))
    assert run(root, "check", str(path)) == 0
    out = capsys.readouterr().out
    for words in [*said, "rows: 120 read, 0 left out", "     60  anger", "     60  joy"]:
        assert words in out
    assert run(root, "check", str(path), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["guesses"].pop()["parameter"] == "register_noun", "it is of prompts, and no matter of reading"
    assert told == json.loads(understand(path).to_json())
    assert sorted(root.rglob("*")) == before, "nothing is written"


@pytest.mark.parametrize(
    ("words", "where"),
    [(("mine.csv", "--bogus"), "--bogus"), (("mine.csv", "--conflicts", "bogus"), "--conflicts"), ((), ""), (("mine.csv", "--missing", "x"), "--missing"),
     (("mine.csv", "--labels", "[]"), "--labels"), (("mine.csv", "--format", "word"), "--format")],
)  # fmt: skip
def test_with_json_every_error_is_json(root: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], where: str) -> None:
    try:
        status = run(root, "check", *words, "--json")
    except SystemExit as end:
        status = int(end.code or 0)
    out = capsys.readouterr()
    told = json.loads(out.out)
    assert status and not out.err and told["where"] == where and told["error"] and told["remedy"]


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_path_is_refused(root: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(root, "check", name) == 1 and "The path is empty." in capsys.readouterr().err


def test_check_warns_of_classes_without_a_counterpart(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_other_classes(root, **FOREIGN)
    assert run(root, "check", str(root / "mine.csv"), "--json") == 0
    (line,) = (line for line in json.loads(capsys.readouterr().out)["warnings"] if "another list" in line)
    assert "emo" in line and "No class has a counterpart there (Freude, complaint)" in line and "{emo: {space: target}}" in line
    (root / "profiles" / "mine.yaml").write_text(
        "corpora: {target: mine, custom: {mine: {path: mine.csv}}}\narms: {emo: {space: target}}\n"
    )
    assert run(root, "check", str(root / "mine.csv")) == 0
    assert "another list" not in capsys.readouterr().out, "the file's own profile has heeded it"


def test_check_warns_of_classes_with_letters_that_english_lacks_and_of_no_others(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_other_classes(root, joy="Freude", anger="Ärger")
    assert run(root, "check", str(root / "mine.csv")) == 0
    out = capsys.readouterr().out
    assert "Classes have letters that English words lack: Ärger." in out and """--class-names '{"Ärger": "…"}'""" in out
    assert "what prompts call the classes, to an English model: Freude, Ärger  (--class-names" in out
    in_other_classes(root, joy="let_down", anger="neg")
    assert run(root, "check", str(root / "mine.csv")) == 0
    out = capsys.readouterr().out
    assert "letters that English" not in out and "to an English model: let down, neg  (" in out
    assert not [*of_words(["joy", "let_down", "neg", "1", "don't care", "+", "🙂"])]


def test_shares_of_splits_may_be_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from emosynth.trying.profile import refused

    rare = [*ROWS, *((f"the old {thing} hides in a dark hall", "fear") for thing in ("lamp", "stove", "cellar"))]
    (root / "a.csv").write_text(lines(rare))
    for shares in ("1,0,0", "0.5,0.5", "a,b,c", "0.5,0.1,0.1", "nan,0.5,0.5"):
        assert run(root, "check", str(root / "a.csv"), "--fractions", shares) == 1
        assert "three positive numbers that sum to 1" in capsys.readouterr().err
    (root / "a.csv").write_text(quoted([("text", "label"), *many()]))
    error, _ = refused(root, root / "a.csv", understand(root / "a.csv"), "a", [0.998, 0.001, 0.001])
    assert error is not None and "--fractions 0.5,0.1,0.4" in error.remedy and "corpora: {fractions: [" in error.remedy
    custom = {"path": "a.csv", "text": "text", "labels": "label"}
    text = text_of("a", custom, {}, "majority", [0.5, 0.1, 0.4])
    write_profile(root, "a", text, (), force=False)
    assert load_params(root, "a").corpora.fractions == [0.5, 0.1, 0.4]
    assert write_profile(root, "a", text_of("a", custom, {}, "majority"), (), force=False)[1] is False, "nothing was said of shares"
    with pytest.raises(UserError, match=r"something else \(fractions\)"):
        write_profile(root, "a", text_of("a", custom, {}, "majority", [0.6, 0.1, 0.3]), (), force=False)


def test_check_counts_what_is_left_out_and_torn(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("text", "label"), *ROWS, ("the kiln was cold", ""), (ROWS[0][0], "anger"), (ROWS[1][0], ROWS[1][1])]
    (root / "a.csv").write_text(quoted(rows))
    assert run(root, "check", str(root / "a.csv"), "--missing", "drop", "--conflicts", "drop") == 0
    out = capsys.readouterr().out
    assert "rows: 123 read, 1 left out" in out and "no label: line 122" in out
    assert "texts with several labels: 1, in 2 rows (drop: 0 kept, 1 left out): line 2 and line 123" in out
    assert "rows that repeat a text word for word: 1" in out


def test_check_names_near_duplicates_and_the_noun_of_prompts(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        (f"number {place} of {place * 7} broken kettles came with the {place * 3}rd train", "joy" if place % 2 else "anger")
        for place in range(200)
    ]
    near = [
        (f"this very long text about the old kettle in the attic of my aunt, which nobody has seen for {word} years", "joy")
        for word in ("ten", "two")
    ]
    (root / "near.csv").write_text(quoted([("text", "label"), *rows, *near]))
    assert run(root, "check", str(root / "near.csv")) == 0
    said = capsys.readouterr().out
    assert "word for word: 0" in said and "1 row is nearly the same" in said
    assert "what a text is called in prompts: message  (--register-noun" in said
    assert run(root, "check", str(root / "near.csv"), "--register-noun", "mail") == 0 and "in prompts" not in capsys.readouterr().out


def test_flags_override_guesses_and_the_rest_is_still_guessed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "a.csv").write_text(
        quoted([("note", "tweet", "mood", "emotion"), *((f"n{i} of many", *row, "x" if i % 2 else "y") for i, row in enumerate(ROWS))])
    )
    assert run(root, "check", str(root / "a.csv"), "--labels", "mood") == 0
    assert "text: tweet; labels: mood" in capsys.readouterr().out
    assert run(root, "check", str(root / "a.csv"), "--labels", "mood", "--class-names", '{"joy": "glad"}') == 0
    assert "     60  glad" in capsys.readouterr().out
    assert run(root, "check", str(root / "a.csv"), "--labels", "mood", "--text", "mood") == 1
    assert run(root, "check", str(root / "a.csv"), "--task", "treble") == 1
    assert "--task" in capsys.readouterr().err
    assert run(root, "check", str(root / "a.csv"), "--labels", "[mood") == 1
    assert "no JSON" in capsys.readouterr().err


def test_errors_of_check_are_json_too(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "check", str(root / "mien.csv"), "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == "There is no such file." and "mine.csv" in told["remedy"] and told["where"].endswith("mien.csv")
    (root / "a.csv").write_text(lines([("some text", "1.5"), *ROWS]))
    assert run(root, "check", str(root / "a.csv"), "--json") == 1
    assert "decimal" in json.loads(capsys.readouterr().out)["error"]
    assert run(root, "check", str(root / "a.csv")) == 1
    assert "remedy:" in capsys.readouterr().err


REFUSED: dict[str, tuple[list[tuple[str, ...]], str]] = {
    "one class": ([("text", "label"), *((text, "joy") for text, _ in ROWS)], "one class only: joy"),
    "a class of two rows": (
        [("text", "label"), *ROWS, ("we cried by the door", "grief"), ("we cried at the old gate", "grief")], "test split has no row of grief",
    ),
    "no test row of a class": (
        [("text", "label", "split"), *((*row, ("train", "test", "dev")[n % 3]) for n, row in enumerate(ROWS)),
         *((f"we all cried at the {thing}", "grief", "train") for thing in ("stone", "grave", "door"))], "test split has no row of grief",
    ),
    "no test rows": (
        [("text", "label", "split"), *((*row, ("train", "dev")[n % 2]) for n, row in enumerate(ROWS))], "test split has no rows",
    ),
    "training rows that repeat test rows": (
        [("text", "label", "split"), *((*row, ("train", "test", "dev")[n % 3]) for n, row in enumerate(ROWS)),
         *((f"we all cried for so very long at the {thing} of the old town by the river and nobody could say to us why it had to be so", "grief", split)
           for thing, split in (("grave", "test"), ("stone", "train"), ("wall", "train")))], "training split has no row of grief",
    ),
    "fewer rows of a class than a seed holds": (
        [("text", "label", "split"), *((*row, ("train", "test", "dev")[n % 3]) for n, row in enumerate(ROWS)),
         ("we cried at the grave", "grief", "train"), ("they wept at a stone", "grief", "test")], "fewer training rows of: grief (1)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_check_refuses_what_try_refuses(root: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    rows, said = REFUSED[name]
    (root / "a.csv").write_text(quoted(rows))
    assert run(root, "check", str(root / "a.csv")) == 1
    held = capsys.readouterr()
    assert said in held.err and f"rows: {len(rows) - 1} read" in held.out
    assert run(root, "try", str(root / "a.csv")) == 1
    tried = capsys.readouterr().err
    assert tried.splitlines()[-3].removeprefix("error: ") == held.err.splitlines()[-3].removeprefix("error: "), "one rule, one sentence"
    assert run(root, "check", str(root / "a.csv"), "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert said in told["error"] and told["remedy"] and told["rows_read"] == len(rows) - 1 and told["classes"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "mine.csv", "--lables", "emotion"], "Did you mean --labels?"),
        (["check", "mine.csv", "--label_separator=|"], "Did you mean --label-separator?"),
        (["try", "mine.csv", "--forse"], "Did you mean --force?"),
        (["browse", "--prot", "1"], "Did you mean --port?"),
        (["check", "mine.csv", "--conflicts", "majorty"], "Did you mean majority?"),
        (["check", "mine.csv", "--lab", "emotion"], "no --lab."),
        (["chek", "mine.csv"], "Did you mean check?"),
        ([str(ROOT / "params.yaml")], "is a file, and no command"),
    ],
)
def test_mistyped_words_are_errors_with_a_proposal(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    err = capsys.readouterr().err
    assert caught.value.code == 2 and said in err and "remedy:" in err


def test_what_steers_a_terminal_is_spelled_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "a.csv").write_text(quoted([("text", "label"), *((text, label.replace("joy", "j\x1b[31moy")) for text, label in ROWS)]))
    run(root, "check", str(root / "a.csv"))
    held = capsys.readouterr()
    assert "\x1b" not in held.out + held.err


def test_flags_are_the_parameters_of_a_corpus() -> None:
    assert set(FLAGS) == set(UserCorpus.model_fields) - {"path", "name"}


def test_large_file_is_checked_in_five_seconds(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f'{place} times {ROWS[place % 120][0]}, it "was", said {place % 977}', ROWS[place % 120][1]) for place in range(100_000)]
    (root / "large.csv").write_text(quoted([("text", "label"), *rows]))
    since = time.process_time()
    assert run(root, "check", str(root / "large.csv")) == 0
    assert time.process_time() - since < 5
    assert "rows: 100,000 read" in capsys.readouterr().out


# --- profile --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_profile_reads_the_rows_that_were_understood(root: Path, name: str) -> None:
    file, content, _ = CASES[name]
    path = root / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    seen = understand(path)
    custom = {"path": path_in(root, path)} | spelled_out(path, seen, {}, "majority")
    write_profile(root, "mine", text_of("mine", custom, {"sizes": [10, 20]}, "majority"), (), force=False)
    params = load_params(root, "mine")
    own = params.corpora.custom["mine"]
    assert params.corpora.target == "mine" and params.cells.sizes == [10, 20] and own.path == file
    assert understand(path, own).rows == seen.rows
    told = [
        guess.parameter for guess in seen.guesses if guess.parameter in ("separator", "header", "encoding", "quoting", "text", "labels")
    ]
    assert set(told) <= own.model_fields_set, "guesses are spelled out"


def test_words_that_yaml_would_take_for_something_else_stay_words(root: Path) -> None:
    custom = {"path": "a: b #c.csv", "text": "no", "labels": ["1e5", "null"], "class_names": {"0": "~", "1": None}}
    write_profile(root, "mine", text_of("mine", custom, {}, "drop"), (), force=False)
    corpora = load_params(root, "mine").corpora
    assert corpora.custom["mine"].model_dump(exclude_unset=True) == custom and corpora.conflicts == "drop"


@pytest.mark.parametrize("char", [*"\x7f\x80\x85\x9f\u2028\u2029\ufeff\ufffe\uffff\udc80", "\x07", "é", "\U0001f642", "\u202e"])
def test_a_profile_is_read_as_it_was_written_whatever_names_hold(root: Path, char: str) -> None:
    custom = {"path": f"x{char}y.csv", "text": f"te{char}xt", "labels": [f"a{char}", char], "class_names": {f"a {char} b": f"{char}c"}}
    path, _ = write_profile(root, "mine", text_of("mine", custom, {"sizes": [10]}, "majority"), (), force=False)
    assert load_yaml(path.read_text(encoding="utf-8"))["corpora"]["custom"] == custom
    assert free_name(root, root / f"x{char}y.csv", Catalog.load(Paths(root, "demo"))) != "mine", "the file is named otherwise"
    assert write_profile(root, "mine", text_of("mine", custom, {"sizes": [10]}, "majority"), (), force=False)[1] is False


def said_of(root: Path, capsys: pytest.CaptureFixture[str], *given: str) -> str:
    """Return the error's remedy, or nothing."""
    status = run(root, "check", str(root / "a.csv"), *given)
    told = capsys.readouterr().err
    assert status == ("remedy:" in told)
    return told.partition("remedy:")[2]


def test_what_is_proposed_for_a_class_without_test_rows_works(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rare = [*many(), *((f"the old {thing} hides in a dark hall", "fear") for thing in ("lamp", "stove", "cellar"))]
    for held, given in (
        (rare[:-2], ()),
        (rare[:-2], ("--fractions", "0.5,0.1,0.4")),
        (rare, ()),
        (rare, ("--fractions", "0.96,0.02,0.02")),
    ):
        (root / "a.csv").write_text(quoted([("text", "label"), *held]))
        remedy = said_of(root, capsys, *given)
        if not remedy:
            continue
        ways = [(flag, one or other) for flag, one, other in re.findall(r"(--fractions|--class-names) (?:'(.*?)'|([\d.,]+\d))", remedy)]
        assert ("--class-names", '{"fear": null}') in ways, remedy
        assert len(held) == len(rare) or len(ways) == 1, "one row cannot stand in two splits"
        for flag, value in ways:
            assert (flag, value) != given and not said_of(root, capsys, flag, value)


def test_splits_of_a_file_that_overlap_are_told(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    held = [(*row, ("train", "train", "test", "validation")[n % 4]) for n, row in enumerate(many())]
    tests = [(text, label) for text, label, split in held if split == "test"]
    again = [(text.upper(), label, "train") for text, label in tests[:5]] + [(*tests[7], "validation")]
    (root / "a.csv").write_text(quoted([("text", "label", "split"), *held, *again]))
    told = [
        "5 rows of train stand in test word for word; they leave train.",
        "1 row of validation stands in test word for word; it leaves validation.",
    ]
    assert run(root, "check", str(root / "a.csv")) == 0
    out = capsys.readouterr().out
    assert all(f"warning: {line}" in out for line in told)
    monkeypatch.setattr("emosynth.trying.preview.open_writer", lambda *given: Writer())
    assert run(root, "try", str(root / "a.csv"), "--texts", "1") == 0
    err = capsys.readouterr().err
    assert all(f"warning: a: {line}" in err for line in told)
    (root / "a.csv").write_text(quoted([("text", "label", "split"), *held]))
    assert run(root, "check", str(root / "a.csv")) == 0 and "word for word;" not in capsys.readouterr().out


def test_ways_of_settling_labels_are_proposed_only_where_they_leave_two_classes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joys, angers = ([(text, name) for text, name in many() if name == label] for label in ("joy", "anger"))
    both = [(text, label) for text, _ in joys for label in ("joy", "anger")]
    (root / "a.csv").write_text(quoted([("text", "label"), *angers, *both]))
    for way in ("majority", "soft", "drop"):
        remedy = said_of(root, capsys, "--conflicts", way)
        assert "No value of corpora.conflicts" in remedy and "labels: [COLUMN" in remedy, "of an even vote anger is the first by alphabet"
    (root / "a.csv").write_text(quoted([("text", "label"), *angers, *both, *joys]))
    remedy = said_of(root, capsys, "--conflicts", "drop")
    assert "--conflicts: majority or soft)" in remedy
    assert not said_of(root, capsys, "--conflicts", "majority") and not said_of(root, capsys, "--conflicts", "soft")


def test_a_profile_that_would_not_be_read_is_not_written() -> None:
    for names in ({"x" * 2000: None}, {"a": float("nan")}):
        with pytest.raises(UserError, match="cannot be written"):
            text_of("mine", {"path": "a.csv", "class_names": names}, {}, "majority")


def test_try_keeps_the_profile_of_a_file_with_odd_names(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emosynth.trying.preview.open_writer", lambda *given: Writer())
    file = root / "x\x85y.csv"
    file.write_text(quoted([("text", "la\x7fbel"), *many()]))
    for _ in range(2):
        assert run(root, "try", str(file), "--texts", "1", "--fractions", "0.5,0.1,0.4") == 0
    assert [path.name for path in (root / "profiles").glob("*.yaml")] == ["xy.yaml"]
    assert load_params(root, "xy").corpora.fractions == [0.5, 0.1, 0.4]


def test_a_profile_for_something_else_stays(root: Path) -> None:
    custom = {"path": "mine.csv", "text": "tweet", "labels": "emotion", "separator": ";"}
    text = text_of("mine", custom, {}, "majority")
    path, written = write_profile(root, "mine", text, (), force=False)
    assert written
    mine = path.read_text() + "generation: {style: chat}\n"
    path.write_text(mine.replace('    separator: ";"\n', ""))
    assert write_profile(root, "mine", text, (), force=False)[1] is False
    for change, said in (({"labels": "tweet"}, ()), ({"path": "b.csv"}, ()), ({"task": "multi"}, ("task",))):
        with pytest.raises(UserError, match="already") as caught:
            write_profile(root, "mine", text_of("mine", custom | change, {}, "majority"), said, force=False)
        assert "--force" in caught.value.remedy and next(iter(change)) in caught.value.what
    assert "style: chat" in path.read_text()
    assert write_profile(root, "mine", text, (), force=True)[1] and path.read_text() == text


def test_seeds_fit_the_corpus() -> None:
    demo = Cells(sizes=[50, 100], repeats=3)
    assert fitting({"a": 150, "b": 50}, demo, "mine") == {}
    assert fitting({"a": 100, "b": 50}, demo, "mine") == {"sizes": [50, 75]}
    assert fitting({str(place): 40 for place in range(28)}, demo, "mine") == {"sizes": [56, 150, 400]}
    assert fitting({"a": 3, "b": 2}, demo, "mine") == {"sizes": [4]}
    with pytest.raises(UserError, match="rare \\(1\\)") as caught:
        fitting({"a": 30, "rare": 1}, demo, "mine")
    assert '"rare": null' in caught.value.remedy


@pytest.mark.parametrize(
    ("rows", "needed", "sizes"),
    [
        (5, 4, [4]), (12, 6, [6]), (50, 6, [12, 25]), (100, 6, [25, 50]), (120, 6, [40, 60]), (160, 6, [40, 80]), (180, 6, [40, 90]), (187, 6, [40, 90]),
        (300, 6, [40, 150]), (400, 6, [40, 90, 200]), (1000, 6, [40, 130, 400]), (10**6, 6, [40, 130, 400]), (10**6, 56, [56, 150, 400]), (70, 56, [56]),
    ],
)  # fmt: skip
def test_the_largest_seed_is_near_what_a_file_can_bear(rows: int, needed: int, sizes: list[int]) -> None:
    assert sizes_for(rows, needed, [40, 80]) == sizes
    assert sizes == sorted(set(sizes)) and min(sizes) >= needed and (2 * sizes[-1] <= rows or sizes == [needed])


def a_corpus(train: int, *, task: str = "single", repeated: int = 0) -> Corpus:
    """Return a corpus of which 30 rows validate and 90 test."""
    splits = ["train"] * train + ["validation"] * 30 + ["test"] * 90
    frame = pd.DataFrame({"id": [str(n) for n in range(len(splits))], "split": splits})
    return Corpus(
        "mine", frame, ["joy", "anger"], task, "message", {}, duplicates={"removed": {"train": {"near": repeated}}} if repeated else {}
    )


def with_sizes(sizes: list[int], repeats: int = 5) -> Any:
    values = load_yaml(SHORT) | {"corpora": {"target": "mine", "custom": {"path": "mine.csv", "text": "tweet", "labels": "emotion"}}}
    return validate(values | {"cells": {"sizes": sizes, "repeats": repeats}}, "a test")


@pytest.mark.parametrize(
    ("train", "sizes", "said"),
    [
        (180, [40, 90], ["of your 300 texts 180 train, 30 validate and 90 test; the report answers at 40 and 90 labels; as many real rows again are kept to compare with",
                         "5 draws of 90 of the 180 training rows; to grow all of them: cells: {sizes: [40, 90, 180]} and authenticity: {size: 90} in profiles/mine.yaml"]),
        (5, [4], ["at 4 labels; 1 more real row is left to compare the largest with, fewer than it has"]),
        (80, [25, 50], ["at 25 and 50 labels; 30 more real rows are left to compare the largest with, fewer than it has"]),
        (180, [40, 90, 180], ["at 40, 90 and 180 labels; no more real row is left to compare the largest with"]),
        (10000, [40, 130, 400], ["so the largest has 400 labels: cells.sizes in profiles/mine.yaml may name up to 5,000"]),
    ],
)  # fmt: skip
def test_what_rows_are_for_is_said(train: int, sizes: list[int], said: list[str]) -> None:
    lines = told(with_sizes(sizes), a_corpus(train), "mine")
    assert all(any(words in line for line in lines) for words in said), lines
    for more in [line for line in lines if "grow all" in line]:  # what is printed is YAML of a profile that is valid
        overlay = [load_yaml(part) for part in more.partition("grow all of them: ")[2].partition(" in profiles/")[0].split(" and ")]
        whole = load_yaml(SHORT) | {"corpora": {"target": "mine", "custom": {"path": "a.csv", "text": "t", "labels": "l"}}}
        made = validate(deep_merge(deep_merge(whole, overlay[0]), overlay[1]), "a test")
        assert made.cells.sizes == [*sizes, train] and made.authenticity.size == sizes[-1]
    assert ("grow all" in "".join(lines)) is (sizes[-1] < train) and ("may name up to" in "".join(lines)) is (train > 1000)


def test_what_rows_of_several_labels_are_for_is_said_and_repeats_are_counted() -> None:
    first = told(with_sizes([40, 90], 1), a_corpus(180, task="multi", repeated=4), "mine")
    assert "of your 304 texts 180 train, 30 validate and 90 test; 4 that repeat others are left out" in first[0]
    assert "at 40 and 90 labels (labelled texts, each with all its labels); as many" in first[0] and "grows from 90 of the 180" in first[1]


# --- try ------------------------------------------------------------------------------------------------


class Writer:
    """Writes a text that names the prompt's class; one of them is hostile."""

    deterministic = True

    def __init__(self) -> None:
        self.identity = {"model": "fake"}
        self.asked = 0

    def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
        time.sleep(0.01)
        out = []
        for _ in requests:
            self.asked += 1
            text = HOSTILE if self.asked == 1 else f'the {self.asked}th stove is a small delight again today"'
            out.append(Completion(text, "stop", 30, 10 + self.asked % 3))
        return out

    def close(self) -> None:
        pass


def previewed(root: Path) -> tuple[Any, Any]:
    params = load_params(root, "mine")
    paths = Paths(root, "mine")
    catalog = Catalog.load(paths)
    corpus = look_at_corpus(params, catalog, paths)
    writer = Writer()
    return params, preview(params, catalog, paths, corpus, 2, lambda name, cell, salt: writer)


def profile(root: Path) -> None:
    custom = {"path": "mine.csv", "text": "tweet", "labels": "emotion"}
    write_profile(root, "mine", text_of("mine", custom, {}, "majority"), (), force=False)


def test_preview_shows_each_arm_and_class_and_forecasts_the_whole_plan(root: Path) -> None:
    profile(root)
    params, made = previewed(root)
    assert set(made.rows["arm"]) == {"naive", "twin", "shap"}, "no rows that nobody writes, and no tuned writer"
    assert made.rows.groupby(["arm", "label"]).size().eq(2).all() and set(made.rows["label"]) == {"joy", "anger"}
    assert any("tuned" in line for line in made.left_out) and any("perplexity" in line for line in made.left_out)
    # By hand: wanted rows times oversampling. naïve: the larger seed in each of two repeats; SHAP: the largest; the tuned: both sizes.
    assert {name: count for name, (_, count) in planned(params).items()} == {
        "none@plain": 400,
        "shap-exemplars@plain": 400,
        "none@tuned": 600,
    }
    parts = {part.origin: part for part in made.forecast.parts}
    assert parts["none@plain"].tokens_in == 400 * 30 and not parts["none@tuned"].measured
    mean = made.rows.loc[made.rows["arm"] == "naive", "text"].size
    assert mean == 4 and 400 * 10 <= parts["none@plain"].tokens_out <= 400 * 12
    assert made.forecast.seconds is not None and made.forecast.seconds[0] <= made.forecast.seconds[1] <= made.forecast.seconds[2]
    assert made.forecast.cost is None
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and "cache" not in path.parts)
    assert all(name.startswith(("data/", "profiles/", "params.yaml", "mine.csv")) for name in files), "nothing in reports"


@pytest.mark.parametrize(
    ("called", "said"),
    [(FOREIGN, "none of your classes has a counterpart there, and their rows teach no model which class a text has: Freude, complaint (arms: {emo: {space: target}}"),
     ({"anger": "complaint"}, "are taught nothing by them: complaint"), ({}, "they are mapped to yours")],
)  # fmt: skip
def test_a_preview_says_which_classes_another_list_lacks(
    root: Path, capsys: pytest.CaptureFixture[str], called: dict[str, str], said: str
) -> None:
    in_other_classes(root, **called)
    profile(root)
    _, made = previewed(root)
    assert said in made.spaces["Emo"]
    assert ("warning: generation: mine: The rows of emo are labelled" in capsys.readouterr().err) is bool(called)


def test_texts_of_a_preview_are_those_of_the_run(root: Path) -> None:
    from emosynth.corpora import build_corpora
    from emosynth.explain import build_materials
    from emosynth.generation.build import plan_all
    from emosynth.narratives import build_narratives
    from emosynth.seeding import build_orders
    from emosynth.writers import Seeds

    profile(root)
    params, _ = previewed(root)
    paths, catalog = Paths(root, "mine"), Catalog.load(Paths(root, "mine"))
    build_corpora(params, catalog, paths)
    build_orders(params, paths)
    build_materials(params, catalog, paths)
    build_narratives(params, catalog, paths)
    small, _ = shrunk(params, 2, 2)
    whole = {item.request for item in plan_all(params, Seeds(params, paths), paths)}  # type: ignore[attr-defined]
    few = [item.request for item in plan_all(small, Seeds(small, paths_of(paths)), paths_of(paths))]  # type: ignore[attr-defined]
    assert len(few) == 8 and set(few) <= whole


def test_page_is_escaped_and_says_that_it_is_never_published(root: Path) -> None:
    profile(root)
    _, made = previewed(root)
    shown = page.page(made, "mine", ["mine.csv: <b>delimited</b>"])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown and "<script" not in shown and "\x1b" not in shown and "<b>" not in shown
    told = page.reasons(made)
    assert told and all(len(line.split(": ")[1]) > 5 and f"rejected: {line}" in shown for line in told) and "An arm is one way" in shown
    assert shown.count("make reproduce PROFILE=mine") == 2 and "none@plain" not in shown
    places = re.findall("<a href=#(arm-[0-9]+)>", shown)
    assert len(places) == 2 and all(f"<h2 id={place}>" in shown for place in places) and shown.index("<a href") < shown.index("<h2")
    told_of = page.page(replace(made, spaces={"naïve": "writes the 28 classes", "other": "-"}), "mine", [])
    assert told_of.count("writes the 28 classes") == 2, "above and beside its texts"
    assert "never published" in shown and "Content-Security-Policy" in shown and "naïve; twin" in shown
    said = "\n".join([*page.lines(made), *page.summary(made, "mine")])
    assert "load 9.0 on 2 cores" in "\n".join(page.summary(replace(made, busy="load 9.0 on 2 cores"), "mine"))
    foreign = "\n".join(page.summary(replace(made, languages=["de"]), "mine"))
    assert "texts in de: prompts and stories are English" in foreign and "prompts and stories" not in said
    assert "\x1b" not in said and "time of writing: about" in said and "1,400 candidates" in said and "mean of the others" in said


@pytest.mark.parametrize(("load", "said"), [(1.0, ""), (9.0, "load 9.0 on 2 cores")])
def test_a_forecast_says_that_the_machine_was_busy(monkeypatch: pytest.MonkeyPatch, load: float, said: str) -> None:
    monkeypatch.setattr("emosynth.trying.forecast.cores", lambda: 2)
    monkeypatch.setattr("emosynth.trying.forecast.os.getloadavg", lambda: (load, 0.0, 0.0))
    assert said in busy() and bool(busy()) is bool(said)


def test_money_and_time_follow_from_prices_and_speed(root: Path) -> None:
    (root / "profiles" / "mine.yaml").write_text(
        text_of("mine", {"path": "mine.csv", "text": "tweet", "labels": "emotion"}, {}, "majority")
        + "models: {writer: {backend: server, model: m, url: 'http://127.0.0.1:9/v1', price_in: 2.0, price_out: 5.0}, reader: smollm2-135m-instruct,"
        " others: {small: {}}}\nwriters: {tuned: {model: small}}\n"
    )
    _, made = previewed(root)
    plain = [part for part in made.forecast.parts if part.generator == "server:m"]
    assert len(plain) == 2 and made.forecast.cost == pytest.approx(sum(2 * part.tokens_in + 5 * part.tokens_out for part in plain) / 1e6)
    assert any("cost of writing" in line for line in page.summary(made, "mine"))


def test_speed_is_kept_and_larger_batches_count(tmp_path: Path) -> None:
    watch = Stopwatch(tmp_path / "speed.json").load()
    assert watch.rates("m") is None
    watch.calls["m"] = [Call(20, 200, 4.0), Call(40, 400, 6.0), Call(3, 10, 3.0)]
    watch.save()
    slow, mean, most = Stopwatch(tmp_path / "speed.json").load().rates("m") or (0, 0, 0)
    slope = np.polyfit([200, 400, 10], [4.0, 6.0, 3.0], 1)[0]
    assert (slow, mean) == (50.0, 60.0) and most == pytest.approx(1 / slope)
    (tmp_path / "speed.json").write_text("[1")
    assert Stopwatch(tmp_path / "speed.json").load().calls == {}
    assert (clock(30), clock(600), clock(9000)) == ("30 s", "10 min", "2.5 h")


def test_try_writes_profile_and_page_and_goes_on(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    writer, started = Writer(), []
    monkeypatch.setattr("emosynth.trying.preview.open_writer", lambda *given: writer)
    monkeypatch.setattr("emosynth.pipeline.write_pipelines", lambda root, name, alone: [root / "profiles" / name / "dvc.yaml"] * alone)
    monkeypatch.setattr(
        commands.subprocess, "run", lambda command, **more: started.append((command, more["cwd"])) or type("Done", (), {"returncode": 7})
    )
    assert run(root, "try", str(root / "mine.csv"), "--texts", "1", "--register-noun", "forum post") == 0
    out = capsys.readouterr().out
    assert "separator ';'" in out and "written: profiles/mine.yaml" in out and "full run of the profile mine" in out and not started
    small, large = load_params(root, "mine").cells.sizes
    assert (small, f"the report answers at 50 and {large} labels; as many real rows again are kept" in out) == (50, True)
    assert f"the report answers at 50 and {large} labels" in (root / "data" / "mine" / "preview.html").read_text()
    corpus = pd.read_parquet(paths_of(Paths(root, "mine")).corpora / "mine.parquet")
    assert 0 <= (corpus["split"] == "train").sum() // 2 - large < 5, "near half of the training rows"
    assert 'register_noun: "forum post"' in (root / "profiles" / "mine.yaml").read_text()
    assert "never published" in (root / "data" / "mine" / "preview.html").read_text() and not any((root / "reports").iterdir())
    asked = writer.asked
    assert run(root, "try", str(root / "mine.csv"), "--texts", "1", "--register-noun", "forum post", "--go") == 7
    assert "kept as it is" in capsys.readouterr().out and writer.asked == asked, "texts come from the row cache"
    assert started[0][0][1:] == ["-m", "dvc", "repro", "profiles/mine/dvc.yaml"] and started[0][1] == root
    assert run(root, "try", str(root / "mine.csv"), "--labels", "tweet", "--text", "emotion") == 1
    for name in ("Mine", "vader-tweets"):
        assert run(root, "try", str(root / "mine.csv"), "--name", name) == 1
        assert "--name mine" in capsys.readouterr().err


def test_try_writes_nothing_while_a_run_holds_the_row_cache(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = root / "cache" / "rows"
    rows.mkdir(parents=True)
    held = take(rows / "generation.sqlite.lock", "a run")
    other = take(rows / "trials.sqlite.lock", "a run")
    try:
        assert run(root, "try", str(root / "mine.csv"), "--texts", "1") == 1
    finally:
        os.close(held)
    said = capsys.readouterr()
    assert f"process {os.getpid()}" in said.err and "Wait until that run has ended" in said.err
    assert not list((root / "profiles").iterdir()) and not list((root / "data").glob("mine*")), "no profile is left behind"
    check_free(root / "cache")  # what a preview does not write into may be held
    os.close(other)


@pytest.mark.parametrize(
    ("languages", "said"),
    [(["zh"], "2 of 3 accepted, 1 of these look English, and no check asks for zh"), (["und"], "no check asks for the language of your texts"), (["en"], "2 of 3 accepted")],
)  # fmt: skip
def test_accepted_texts_in_english_are_counted_beside_those_of_another_language(root: Path, languages: list[str], said: str) -> None:
    profile(root)
    _, made = previewed(root)
    texts = ["I am so happy that this is the best day of my week.", "今天天气很好，我很高兴。", "What a day for the old dog and my cat"]
    rows = made.rows.head(3).assign(arm="naive", title="naïve", text=texts, accepted=[True, True, False], reason=["", "", "length"])
    shown = replace(made, rows=rows, languages=languages, spaces={})
    line = list(page.lines(shown))[1]
    assert said in line and (("look English" in line) is (languages != ["en"]))
    assert said in page.page(shown, "mine", [])


def test_going_on_writes_the_pipeline_of_this_profile_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(root)
    monkeypatch.setattr("emosynth.pipeline.pipeline_text", lambda root, name: name)
    (root / "profiles" / "other.yaml").write_text("cells: {repeats: 1}\n")
    assert write_pipelines(root, "mine", alone=True) == [root / "profiles" / "mine" / "dvc.yaml"]
    assert not (root / "dvc.yaml").exists() and not (root / "profiles" / "other").exists()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_profile_that_comes_with_the_project_is_never_replaced(root: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    there = root / "profiles" / f"{name}.yaml"
    there.write_text("cells: {repeats: 1}\n")
    for force in ((), ("--force",)):
        assert run(root, "try", str(root / "mine.csv"), "--name", name, *force) == 1
        said = capsys.readouterr().err
        assert "--name mine" in said and "--force" not in said and there.read_text() == "cells: {repeats: 1}\n"
        with pytest.raises(UserError, match="comes with the project"):
            write_profile(root, name, "x", (), force=bool(force))
    (root / f"{name}.csv").write_text((root / "mine.csv").read_text())
    assert free_name(root, root / f"{name}.csv", Catalog.load(Paths(root, "demo"))) == f"{name}-2"


def test_profiles_that_come_with_the_project_are_those_that_git_keeps_or_publishes() -> None:
    there = {path.stem for path in (ROOT / "profiles").glob("*.yaml")}
    published = set(re.findall("^!/reports/([^/]+)/$", (ROOT / ".gitignore").read_text(), re.M))
    assert published <= set(SHIPPED)
    tracked = subprocess.run(["git", "ls-files", "profiles/*.yaml"], cwd=ROOT, capture_output=True, text=True, check=False)
    kept = {Path(line).stem for line in tracked.stdout.splitlines() if line.count("/") == 1} or there
    assert kept | {"demo"} == set(SHIPPED)


def test_a_profile_is_named_like_its_file(root: Path) -> None:
    catalog = Catalog.load(Paths(root, "demo"))
    for file, name in {
        "Mails 2024.csv.gz": "mails-2024", "Gefühle.tsv": "gefuhle", "_.csv": "mine", "mine.csv": "mine", "vader-tweets.csv": "vader-tweets-2"
    }.items():  # fmt: skip
        assert free_name(root, root / file, catalog) == name and re.fullmatch(NAME, name)
    profile(root)  # of mine.csv
    assert free_name(root, root / "mine.csv", catalog) == "mine" and free_name(root, root / "old" / "mine.csv", catalog) == "mine-2"
    (root / "profiles" / "mine-2.yaml").write_text("no: [profile")
    assert free_name(root, root / "old" / "mine.csv", catalog) == "mine-3"


@pytest.mark.model
def test_try_with_the_real_writer(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if (ROOT / ".cache" / "assets").is_dir():
        shutil.copytree(ROOT / ".cache" / "assets", root / "cache" / "assets")
    values = SHORT.replace("generation: {", "generation: {decoding: {max_new_tokens: 12}, ")
    (root / "params.yaml").write_text(values + "models: {writer: {batch: 16}}\n")
    assert run(root, "try", str(root / "mine.csv"), "--texts", "1") == 0
    frame = pd.read_parquet(root / "data" / "mine" / "preview" / "candidates" / "candidates.parquet")
    assert len(frame) == 4 and frame["new_tokens"].gt(0).all()
    assert "openvino:smollm2-135m-instruct" in json.loads((root / "data" / "mine" / "preview" / "speed.json").read_text())
    assert "time of writing: about" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_terminal_that_is_not_of_utf_8_ends_no_command(tmp_path: Path, more: list[str]) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("文本,情感\n" + "".join(f"今天第{n}次很开心的一天,{('喜😀', '怒')[n % 2]}\n" for n in range(120)), encoding="utf-8")
    told = subprocess.run(
        [sys.executable, "-m", "emosynth", "check", str(path), *more], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert (json.loads(told.stdout)["classes"].keys() == {"喜😀", "怒"}) if more else ("\\u559c" in told.stdout)
