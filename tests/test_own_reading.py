"""Own files that were misread, or refused with a remedy that misled; each with what is right. All text is invented (`own_cases`)."""

from __future__ import annotations

import argparse
import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emosynth.corpora.odd import of_names
from emosynth.corpora.own import Understanding, understand
from emosynth.errors import UserError
from emosynth.params import UserCorpus, load_params
from emosynth.trying.profile import fitting, refused
from emosynth.trying.told import add_flags, found_at, lines, spec_of
from own_cases import HEAD, LABELS, ROWS, TWO, jsonl, put, quoted, relabelled
from own_cases import lines as table


def read(path: Path, **spec: Any) -> Understanding:
    return understand(path, UserCorpus(path=str(path), **spec), guess=[name for name in ("text", "labels") if name not in spec])


def refusal(path: Path, **spec: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(path, **spec)
    return str(caught.value)


def warned(seen: Understanding) -> str:
    return "; ".join(seen.warnings)


# --- lines and bytes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sep", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_lines_quoted_as_a_whole_are_unwrapped_and_it_is_said(tmp_path: Path, sep: str, quoting: int) -> None:
    rows = [(f'{text}{sep} "so" it was\nfor me', label) for text, label in ROWS]
    inner = io.StringIO()
    csv.writer(inner, delimiter=sep, quoting=quoting, lineterminator="\0").writerows([HEAD, *rows])
    path = put(tmp_path, "a.csv", "".join('"' + row.replace('"', '""') + '"\n' for row in inner.getvalue().split("\0") if row))
    seen = read(path)
    assert seen.classes == TWO and "quoted as a whole" in warned(seen)
    assert {row.text for row in seen.rows} == {" ".join(text.split()) for text, _ in rows}
    assert [row.place for row in seen.rows if row.text.startswith(ROWS[1][0])] == ["line 4"]


def test_some_lines_quoted_as_a_whole_are_refused_by_line(tmp_path: Path) -> None:
    content = "text,label\n" + "".join(f'"""{t}"",{x}"\n' if n % 2 else f"{t},{x}\n" for n, (t, x) in enumerate(ROWS))
    assert "Line 3 is quoted as a whole" in refusal(put(tmp_path, "a.csv", content))


def test_cells_quoted_one_by_one_are_not_unwrapped(tmp_path: Path) -> None:
    seen = read(put(tmp_path, "a.csv", quoted([HEAD, *((f"{t}, so", x) for t, x in ROWS)], quoting=csv.QUOTE_ALL)))
    assert seen.classes == TWO and not seen.warnings


_SENTENCES = {
    "pl": "Zażółć gęślą jaźń, bo nie mogę {n},gniew\nŚwietnie się dziś bawiłam w domu {n},radość\n",
    "cs": "Příšerně žluťoučký kůň úpěl {n},vztek\nDnes je krásný den a mám radost {n},radost\n",
    "hu": "Nagyon dühös vagyok erre az őrült gyűlésre {n},düh\nÖrülök, hogy újra látlak {n},öröm\n",
    "tr": "Çok kızgınım bu işe şaşırdım {n},öfke\nBugün güzel bir gündü {n},mutluluk\n",
    "de": "Ich bin über die Größe wütend {n},Ärger\nSchöne Grüße aus München {n},Freude\n",
    "fr": "Je suis très fâché ce matin {n},colère\nQuel bonheur d'être là, où ça chante {n},joie\n",
    "ru": "Я очень злюсь на это {n},гнев\nКакой прекрасный день {n},радость\n",
    "el": "Είμαι πολύ θυμωμένος με αυτό {n},θυμός\nΤι υπέροχη μέρα {n},χαρά\n",
    "he": "אני מאוד כועס על זה {n},כעס\nאיזה יום נפלא {n},שמחה\n",
    "ja": "本当に腹が立つ、もう嫌だ {n},怒り\nとても嬉しい一日だった {n},喜び\n",
    "zh": "我非常生氣 {n},憤怒\n今天是美好的一天 {n},快樂\n",
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [("pl", "iso8859_2"), ("pl", "cp1250"), ("pl", "cp852"), ("cs", "iso8859_2"), ("hu", "cp1250"), ("tr", "cp1254"), ("de", "mac_roman"), ("de", "cp850"),
     ("fr", "mac_roman"), ("fr", "cp850"), ("ru", "cp1251"), ("ru", "koi8_r"), ("el", "cp1253"), ("he", "cp1255"), ("ja", "cp932"), ("ja", "euc_jp"),
     ("zh", "big5"), ("zh", "gb18030")],
)  # fmt: skip
def test_the_encoding_that_the_remedy_names_gives_the_text_back(tmp_path: Path, language: str, encoding: str) -> None:
    content = "text,label\n" + "".join(_SENTENCES[language].replace("{n}", str(n)) for n in range(40))
    path = put(tmp_path, "a.csv", content.encode(encoding))
    said = refusal(path)
    proposed = said.split("(encoding: ")[1].split(")")[0]
    assert content.encode(encoding).decode(proposed) == content
    name = said.split("iconv -f ")[1].split(" ")[0]
    assert name == "MACINTOSH" if proposed == "mac_roman" else content.encode(encoding).decode(name) == content
    assert "reads right" in said and "WINDOWS" not in said


def test_a_lone_carriage_return_among_line_feeds_ends_a_row_where_rows_need_it(tmp_path: Path) -> None:
    content = "text,label\n" + "".join(f"{t},{x}" + ("\r" if n % 3 == 0 else "\n") for n, (t, x) in enumerate(ROWS))
    seen = read(put(tmp_path, "a.csv", content))
    assert seen.classes == TWO and "lone carriage returns" in warned(seen) and not seen.left_out


def test_control_characters_are_told_with_their_place(tmp_path: Path) -> None:
    for odd, name in (("\x1b[2J", "U+001B"), ("\x9b", "U+009B"), ("\x07", "U+0007")):
        seen = read(put(tmp_path, "a.csv", table([(t + odd * (n == 4), x) for n, (t, x) in enumerate(ROWS)])))
        assert f"1 texts hold control characters ({name})" in warned(seen) and "the first is in line 6" in warned(seen)
    bells = refusal(put(tmp_path, "a.csv", table([(t + "\x07", x) for t, x in ROWS])))
    assert "120 control characters stand in it, the first (U+0007) in line 2" in bells
    seen = read(put(tmp_path, "a.csv", table(relabelled(lambda n, x: x + "\x1b[2J"))))
    assert "Control characters in labels are taken out" in warned(seen)


def test_titles_and_comments_are_not_blank(tmp_path: Path) -> None:
    seen = read(put(tmp_path, "a.csv", "# by the lab\n\n# in May\n" + table(ROWS)))
    assert seen.left_out == {"above the header": ["line 1", "line 3"], "blank": ["line 2"]}
    seen = read(put(tmp_path, "a.csv", "Survey of 2024,\n,\nsource: me,\n" + table(ROWS)))
    assert seen.left_out == {"above the header": ["line 1", "line 2", "line 3"]}


# --- columns -------------------------------------------------------------------------------------------------


GRID = ("strongly agree", "disagree", "agree", "neither")


@pytest.mark.parametrize(
    ("names", "make", "taken", "words"),
    [
        (("joy", "anger"), lambda n, x: (GRID[n % 4], GRID[(n + 1) % 4]), "joy", "answers on one scale"),
        (("joy", "anger"), lambda n, x: ("agree", "disagree") if x == "joy" else ("disagree", "agree"), "joy", "answers on one scale"),
        (("label_1", "label_2"), lambda n, x: (x, "calm" if x == "joy" else "joy"), "label_1", "join them in one column"),
        (("emotion1", "emotion2"), lambda n, x: (x, "calm" if n % 3 == 0 else ""), "emotion1", "join them in one column"),
        (("Label", "label"), lambda n, x: (x, "ab"[n % 2]), "Label", "'Label' (2 different), 'label' (2 different)"),
        (("pred_label", "gold_label"), lambda n, x: ("joy" if n % 7 == 0 else x, x), "gold_label", "'pred_label'"),
    ],
)
def test_label_columns_that_are_equally_good_are_warned_about(tmp_path: Path, names: Any, make: Any, taken: str, words: str) -> None:
    rows = [("text", *names), *((t, *make(n, x)) for n, (t, x) in enumerate(ROWS))]
    seen = read(put(tmp_path, "a.csv", quoted(rows)))
    assert seen.labels == taken and "Several columns may hold labels" in warned(seen) and words in warned(seen)


def test_numbers_and_names_of_the_same_classes_are_not(tmp_path: Path) -> None:
    rows = [("text", "label", "label_id"), *((t, x, str(int(x == "joy"))) for t, x in ROWS)]
    assert not read(put(tmp_path, "a.csv", quoted(rows))).warnings


@pytest.mark.parametrize(("mark", "flag"), [(", ", "','"), (" + ", "'+'"), (" and ", "' and '"), ("|", "'|'"), (" und ", "' und '")])
def test_joint_labels_are_noticed_where_none_stands_alone(tmp_path: Path, mark: str, flag: str) -> None:
    path = put(tmp_path, "a.csv", quoted([HEAD, *relabelled(lambda n, x: x + mark + ("calm", "tired")[n % 2])]))
    assert f"--label-separator {flag}" in warned(read(path))
    parted = read(path, label_separator=flag.strip("'"))
    assert parted.task == "multi" and set(parted.classes) == {"anger", "calm", "joy", "tired"}


def test_dotted_paths_are_named_as_the_file_has_them(tmp_path: Path) -> None:
    rows = [
        {"id": n, "mail": {"subject": "Re", "body": t}, "ann": {"by": ["a"], "label": {"conf": 0.5, "name": x}}}
        for n, (t, x) in enumerate(ROWS)
    ]
    path = put(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    said = refusal(path)
    assert "--text mail.body --labels ann.label.name" in said and "ann.label.conf" in said
    missing = refusal(path, labels="ann.label.name")
    assert "No column looks like texts" in missing and "like labels" not in missing and "--text mail.body" in missing
    assert read(path, labels="ann.label.name", text="mail.body").classes == TWO
    meta = put(tmp_path, "b.csv", quoted([("text", "meta"), *((t, json.dumps({"conf": 0.5, "emotion": x})) for t, x in ROWS)]))
    assert "labels: meta.conf" in refusal(meta) or "labels: meta.emotion" in refusal(meta)


def test_the_column_of_labels_is_no_second_column_of_texts(tmp_path: Path) -> None:
    shares = [{"a long name of joy": 0.7, "a long name of anger": 0.3} if x == "joy" else {"a long name of anger": 1.0} for x in LABELS]
    assert not read(put(tmp_path, "a.jsonl", jsonl(shares))).warnings
    seen = read(put(tmp_path, "a.csv", table(relabelled(lambda n, x: (x + " ") * 900))))
    assert "Several columns hold texts" not in warned(seen) and "more than 100 characters" in warned(seen)
    assert max(len(line) for line in lines(seen)) < 400


def test_votes_in_objects_are_shares(tmp_path: Path) -> None:
    seen = read(put(tmp_path, "a.jsonl", jsonl([{"joy": 3, "anger": 1} if x == "joy" else {"anger": 4} for x in LABELS])))
    assert seen.classes == TWO and dict(seen.rows[0].shares) in ({"joy": 0.75, "anger": 0.25}, {"anger": 1.0})
    uneven = refusal(put(tmp_path, "b.jsonl", jsonl([{"joy": 3 + n, "anger": n % 5} for n in range(120)])))
    assert "one number of votes" in uneven and "label.joy" not in uneven


# --- names of classes ----------------------------------------------------------------------------------------


def flags(*said: str) -> UserCorpus | None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return spec_of(parser.parse_args(["a.csv", *said]))


def test_class_names_are_checked_by_one_rule_from_flags_and_profiles(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", table(ROWS))
    root = Path(__file__).parents[1]
    base = f"corpora:\n  target: mine\n  custom:\n    path: {path}\n    class_names: "
    for said, words in (
        ('{"joy": ""}', "a class needs a name"),
        ('{"joy": "a", "joy": "b"}', "stands twice"),
        ('["", "x"]', "a class needs a name"),
    ):
        with pytest.raises(UserError, match=words):
            flags("--class-names", said)
        put(tmp_path, "profiles/mine.yaml", base + said)
        put(tmp_path, "params.yaml", (root / "params.yaml").read_text())
        with pytest.raises(UserError, match=words):
            load_params(tmp_path, "mine")
    unknown = refusal(path, class_names={"joyy": None})
    assert "class_names names 'joyy', and no row has it" in unknown and "Did you mean 'joy'?" in unknown
    assert "twice, and not alike" in refusal(path, class_names={"joy": "a", "Joy": "b"})
    assert read(path, class_names={"JOY": "delight"}).classes == {"anger": 60, "delight": 60}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("--class-names", "joy,anger"), '["joy", "anger"]'),
        (("--classes", "joy,anger"), '["joy", "anger"]'),
        (("--language", "klingon"), "its tag, e.g. de"),
    ],
)
def test_a_flag_that_is_not_valid_shows_how_to_write_it(said: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError) as caught:
        flags(*said)
    assert words in caught.value.remedy


def test_parameters_that_mean_nothing_for_a_format_are_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [HEAD, *ROWS]:
        book.active.append(row)
    for number in range(10, 40):
        book.active.row_dimensions[number].hidden = True
    book.save(tmp_path / "a.xlsx")
    for name, value in (("encoding", "cp1252"), ("separator", ";"), ("quoting", "none")):
        assert f"The parameter {name} means nothing here" in refusal(tmp_path / "a.xlsx", **{name: value})
    assert "sheet" in refusal(put(tmp_path, "a.csv", table(ROWS)), sheet="X")
    assert "separator" in refusal(put(tmp_path, "a.jsonl", jsonl(LABELS)), separator=";")
    seen = read(tmp_path / "a.xlsx")
    assert seen.classes == TWO and "30 rows are hidden in the sheet (filtered), and are read too: rows 10, 11" in warned(seen)


# --- counts, folders, exports, remedies -----------------------------------------------------------------------


def test_rows_of_a_label_that_never_is_the_rarest_are_counted(tmp_path: Path) -> None:
    rows = [HEAD, *((t, f"{x}|{'stress' if n % 3 else 'calm'}") for n, (t, x) in enumerate(ROWS))]
    path = put(tmp_path, "a.csv", quoted(rows))
    error, _ = refused(Path(__file__).parents[1], path, read(path, label_separator="|"), "mine")
    assert error is not None and "stress (0 of " in error.what and "counts for the rarest" in error.what and "alone" in error.remedy
    from emosynth.params import Cells

    with pytest.raises(UserError, match=r"rare \(1\)\.\n"):
        fitting({"a": 30, "rare": 1}, Cells(sizes=[8], repeats=1), "mine")


def test_an_empty_file_in_a_folder_of_texts_is_a_missing_text(tmp_path: Path) -> None:
    for n, (text, label) in enumerate(ROWS):
        put(tmp_path, f"a/{label}/{n}.txt", text)
    put(tmp_path, "a/joy/empty.txt", " \n")
    said = refusal(tmp_path / "a")
    assert "no text: files joy/empty.txt" in said and "--missing drop" in said
    seen = read(tmp_path / "a", missing="drop")
    assert seen.classes == TWO and seen.left_out == {"no text": ["file joy/empty.txt"]}
    put(tmp_path, "a/joy/more/1.txt", "a text")
    assert "joy/more" in refusal(tmp_path / "a")


def test_one_question_of_an_export_is_chosen_by_its_name(tmp_path: Path) -> None:
    def result(name: str, choice: str) -> dict[str, Any]:
        return {"from_name": name, "type": "choices", "value": {"choices": [choice]}}

    tasks = [
        {"data": {"text": t}, "annotations": [{"result": [result("emo", x), result("urgency", "low" if n % 2 else "high")]}]}
        for n, (t, x) in enumerate(ROWS)
    ]
    path = put(tmp_path, "a.json", json.dumps(tasks))
    assert "--labels emo" in refusal(path)
    assert read(path, labels="emo").classes == TWO and set(read(path, labels="urgency").classes) == {"high", "low"}
    assert "several questions" in refusal(path, labels="emos")


def test_remedies_name_what_is_wrong_alone(tmp_path: Path) -> None:
    only = refusal(put(tmp_path, "a.csv", table(relabelled(lambda n, x: x if n else ""))))
    assert "--missing drop" in only and "splits" not in only and "classes allows" not in only
    other = refusal(put(tmp_path, "a.csv", table(relabelled(lambda n, x: x if n else "odd"))), classes=["joy", "anger"])
    assert "classes allows joy, anger" in other and "missing" not in other
    put(tmp_path, "mails.csv", "x")
    for name in "abcdef":
        put(tmp_path, f"{name}.csv", "x")
    with pytest.raises(UserError) as caught:
        found_at(tmp_path, str(tmp_path / "mails.cvs"))
    assert "Did you mean mails.csv?" in caught.value.remedy


# --- ratings, links, marks nobody sees, Parquet -----------------------------------------------------------------


def test_columns_of_ratings_are_neither_votes_nor_proposed_as_labels(tmp_path: Path) -> None:
    def rated(*names: str) -> Path:
        return put(tmp_path, "a.csv", quoted([("text", *names), *((t, *((5, 3, 1) if x == "joy" else (2, 5, 3))) for t, x in ROWS)]))

    path = rated("joy", "anger", "fear")
    first = refusal(path)
    assert "write 0 and 1" in first and "labels lists them" not in first
    for labels in (["joy", "anger", "fear"], ["joy", "fear"]):
        said = refusal(path, labels=labels)
        assert "numbers of a scale" in said and "write 0 and 1" in said and "name the one column" in said
    for names in (("rater1", "rater2", "coder"), ("r1", "r2", "r3"), ("annotator_2", "annotator_3", "judge")):
        if names[0] == "r1":  # not known as raters by name, and not as columns of classes either
            assert "list them (labels)" in refusal(rated(*names))
        seen = understand(rated(*names), UserCorpus(path="a", text="text", labels=list(names)), "soft")
        assert "votes of 3 raters" in " ".join(map(str, seen.guesses))


def test_links_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    for name, to in (("gone.csv", "nowhere.csv"), ("loop.csv", "loop.csv"), ("one.csv", "two.csv"), ("two.csv", "one.csv")):
        (tmp_path / name).symlink_to(to)
    for name, words in (
        ("gone.csv", "a link to nowhere.csv, which is not there"),
        ("loop.csv", "a link to itself"),
        ("one.csv", "leads back to it"),
    ):
        with pytest.raises(UserError, match=words):
            found_at(tmp_path, str(tmp_path / name))
        assert words in refusal(tmp_path / name, text="text", labels="label")
    with pytest.raises(UserError) as caught:
        found_at(tmp_path, str(tmp_path / "lop.csv"))
    assert "loop.csv" not in caught.value.remedy
    put(tmp_path, "folder/train.csv", table(ROWS))
    (tmp_path / "folder" / "test.csv").symlink_to("nowhere.csv")
    assert "a link to nowhere.csv" in refusal(tmp_path / "folder")


@pytest.mark.parametrize(
    ("mark", "words"),
    [("\u202e", "RIGHT-TO-LEFT OVERRIDE"), ("\u202a", "LEFT-TO-RIGHT EMBEDDING"), ("\u2066", "LEFT-TO-RIGHT ISOLATE"), ("\u200f", "RIGHT-TO-LEFT MARK"),
     ("\u200b", "ZERO WIDTH SPACE"), ("\x9b", "U+009B")],
)  # fmt: skip
def test_marks_in_labels_that_nobody_sees_are_taken_out_and_named(tmp_path: Path, mark: str, words: str) -> None:
    seen = read(put(tmp_path, "a.csv", table(relabelled(lambda n, x: mark + x))))
    assert seen.classes == TWO and words in warned(seen) and "taken out" in warned(seen)


def test_bars_and_semicolons_in_labels_are_said_whatever_stands_around_them(tmp_path: Path) -> None:
    for mark in "|;":
        for make in (lambda n, x, m=mark: f"{x}{m}calm" if x == "joy" else x, lambda n, x, m=mark: f"{x}{m}{x}{m}{x.upper()}"):
            path = put(tmp_path, "a.csv", quoted([HEAD, *relabelled(make)]))
            assert f"--label-separator {mark!r}" in warned(read(path))
            assert "may be several" not in warned(read(path, label_separator=mark))
    seen = read(put(tmp_path, "a.csv", quoted([HEAD, *relabelled(lambda n, x: x + "||")])))
    assert seen.classes == TWO and "Separators at the end of labels are taken out" in warned(seen) and "'joy||'" in warned(seen)


def test_types_of_parquet_are_read_as_those_of_json(tmp_path: Path) -> None:
    def parquet(labels: pa.Array) -> Path:
        pq.write_table(pa.table({"text": [t for t, _ in ROWS], "label": labels}), tmp_path / "a.parquet")
        return tmp_path / "a.parquet"

    shares = [{"joy": 0.7, "anger": 0.3} if x == "joy" else {"anger": 1.0} for x in LABELS]
    plain = read(put(tmp_path, "a.jsonl", jsonl(shares)))
    for numbers in (pa.float64(), pa.decimal128(3, 1)):
        held = [[(name, Decimal(str(one)) if numbers != pa.float64() else one) for name, one in row.items()] for row in shares]
        seen = read(parquet(pa.array(held, pa.map_(pa.string(), numbers))))
        assert seen.classes == plain.classes == TWO and {row.shares for row in seen.rows} == {row.shares for row in plain.rows}
    wholes = [Decimal(int(x == "joy")) for x in LABELS]
    for scale in (0, 2):
        assert read(parquet(pa.array(wholes, pa.decimal128(5, scale))), class_names=["anger", "joy"]).classes == TWO
    assert "rating is no class" in refusal(parquet(pa.array([one + Decimal("0.5") for one in wholes], pa.decimal128(5, 1))))
    flags = parquet(pa.array([x == "joy" for x in LABELS]))
    said = refusal(flags)
    names = json.loads(said.split("--class-names '")[1].split("'")[0].replace("…", "joy", 1).replace("…", "anger"))
    assert read(flags, class_names=names).classes == TWO
    empty = refusal(parquet(pa.nulls(len(ROWS))))
    assert "null in every row" in empty and "formulas" not in empty


# --- what is wrong, and not what only looks so -------------------------------------------------------------------


def test_conflicts_that_leave_one_class_are_named(tmp_path: Path) -> None:
    joys = [(t, x) for t, x in ROWS if x == "joy"]
    path = put(tmp_path, "a.csv", quoted([HEAD, *ROWS, *((t, "anger") for t, _ in joys)]))
    error, _ = refused(Path(__file__).parents[1], path, read(path), "mine")
    assert (
        error is not None
        and "60 texts stand with several labels" in error.what
        and "corpora.conflicts" in error.remedy
        and "more votes" in error.remedy  # of even votes soft takes anger, the first by alphabet
    )
    path = put(tmp_path, "a.csv", quoted([HEAD, *((t, "joy") for t, _ in ROWS)]))
    error, _ = refused(Path(__file__).parents[1], path, read(path), "mine")
    assert error is not None and "one class only" in error.what


def test_texts_within_objects_do_not_make_the_labels_missing(tmp_path: Path) -> None:
    rows = [{"text": {"body": t, "lang": "en"}, "label": x} for t, x in ROWS]
    path = put(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    said = refusal(path)
    assert "No column looks like texts" in said and "like labels" not in said and "--text text.body" in said
    assert read(path, text="text.body").classes == TWO


@pytest.mark.parametrize("given", [{}, {"encoding": "utf-8-sig"}, {"encoding": "utf-8"}])
def test_a_broken_byte_behind_a_mark_is_told_where_it_is(tmp_path: Path, given: dict[str, str]) -> None:
    """Codecs that take the mark away count from behind it: told were another byte, and a place three bytes before."""
    raw = b"\xef\xbb\xbf" + table(ROWS).encode()
    place = raw.index(b"\n", len(raw) // 2) - 1
    file = tmp_path / "a.csv"
    file.write_bytes(raw[:place] + b"\xe9" + raw[place + 1 :])
    assert f"not UTF-8: byte 0xe9 at offset {place}." in refusal(file, **given)


def test_one_long_label_is_one() -> None:
    one, two = "x " * 70, "y " * 80
    assert next(of_names(["joy", one])) == "A label has more than 100 characters (140): is it the right column (labels)?"
    assert next(of_names([two, one])) == "2 labels have more than 100 characters (up to 160): is it the right column (labels)?"
