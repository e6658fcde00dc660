"""Corpora: readers, labels, splits, duplicates, checks. All texts are invented."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from emosynth import text as texts_
from emosynth.catalog import Catalog, CorpusSpec
from emosynth.corpora import build_corpora, describe, load_corpus
from emosynth.corpora.build import phrases
from emosynth.corpora.clean import clean
from emosynth.corpora.loaders import read_goemotions, read_sst2, read_tweeteval, read_vader, valence_class
from emosynth.corpora.own import read_user
from emosynth.corpora.schema import fingerprint, position, split_of, total_of, validate
from emosynth.errors import UserError
from emosynth.params import Cells, Corpora, Params, UserCorpus
from emosynth.paths import Paths
from emosynth.report.tables import Tables

ROOT = Path(__file__).resolve().parents[1]
FRACTIONS = [0.6, 0.1, 0.3]


def spec(layout: str, scheme: str = "given") -> CorpusSpec:
    return CorpusSpec(layout=layout, scheme=scheme, register_noun="note")  # type: ignore[arg-type]


def invented(rows: int, classes: tuple[str, ...] = ("glad", "cross")) -> list[tuple[str, str]]:
    """Return texts that share no word 3-gram."""
    return [(f"word{i} thing{i} place{i} day{i}", classes[i % len(classes)]) for i in range(rows)]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("EMOSYNTH_CACHE", raising=False)
    monkeypatch.delenv("EMOSYNTH_MIRROR", raising=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalog.yaml").write_text("{}")
    return Paths(tmp_path, "demo")


# --- labels and splits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("valence", "three", "two"),
    [
        (-4.0, "negative", "negative"),
        (-0.6, "negative", "negative"),
        (-0.5, "neutral", None),
        (0.0, "neutral", None),
        (0.5, "neutral", None),
        (0.6, "positive", "positive"),
        (4.0, "positive", "positive"),
    ],
)
def test_valence_classes(valence: float, three: str, two: str | None) -> None:
    assert valence_class(valence, "valence-three") == three
    assert valence_class(valence, "valence-two") == two


def test_phrases() -> None:
    assert phrases(["very-glad", "cross"], {"cross": "anger"}) == {"very-glad": "very glad", "cross": "anger"}


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20), st.randoms())
def test_splits_do_not_depend_on_the_order_of_rows(texts: list[str], random: object) -> None:
    before = {text: split_of(text, FRACTIONS) for text in texts}
    random.shuffle(texts)  # type: ignore[attr-defined]
    assert {text: split_of(text, FRACTIONS) for text in texts} == before
    assert all(0 <= position(text) < 1 for text in texts)


def test_shares_of_splits_and_copies() -> None:
    splits = [split_of(f"text number {number}", FRACTIONS) for number in range(4000)]
    for split, share in zip(("train", "validation", "test"), FRACTIONS, strict=True):
        assert abs(splits.count(split) / 4000 - share) < 0.03
    assert fingerprint("Don&#39;t  GO") == fingerprint("don’t go")


@given(st.text() | st.lists(st.sampled_from(["A", "b", "\\", "n", "&amp;", "&", " ", "\t", "\x1c", "\n", "é", "’", "İ"])).map("".join))
def test_a_short_way_to_a_fingerprint_leads_to_the_same(text: str) -> None:
    assert fingerprint(text) == texts_.fingerprint(text)


# --- upstream layouts -------------------------------------------------------------------------------


def test_vader(tmp_path: Path) -> None:
    path = tmp_path / "rated.txt"
    path.write_bytes(b"1\t2.5\tSo glad &amp; well\r\n2\t-0.1\tA\ttab inside\r\n10\t-3\tawful\r\n")
    loaded = read_vader(path, spec("vader", "valence-three"))
    assert [(row.id, row.text, row.labels) for row in loaded.rows] == [
        ("00001", "So glad & well", ("positive",)),
        ("00002", "A tab inside", ("neutral",)),
        ("00010", "awful", ("negative",)),
    ]
    two = read_vader(path, spec("vader", "valence-two"))
    assert [row.id for row in two.rows] == ["00001", "00010"] and sum(two.dropped.values()) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"1\t2.5\n", "line 1"),
        (b"1\t2.5\tx\n2\tsad\tx\n", "line 2"),
        (b"1\t9\tx\n", "Not a valence"),
        (b"", "empty"),
        (b"1\t1\tcaf\xe9\n", r"byte 0xe9 at offset 7"),
        ("1\t1\tx\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_broken_vader_files(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "rated.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        read_vader(path, spec("vader", "valence-three"))


def tweeteval(folder: Path, test_labels: str = "1\n0\n") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "mapping.txt").write_text("0\tanger\n1\tjoy\n")
    for part, labels in (("train", "0\n1\n"), ("val", "1\n0\n"), ("test", test_labels)):
        # a line separator of Unicode inside a text must not cut it in two
        (folder / f"{part}_text.txt").write_text(f"first {part}\u2028text \nsecond {part} text\n", encoding="utf-8")
        (folder / f"{part}_labels.txt").write_text(labels)
    return folder


def test_tweeteval(tmp_path: Path) -> None:
    loaded = read_tweeteval(tweeteval(tmp_path / "t"), spec("tweeteval"))
    assert loaded.classes == ["anger", "joy"]
    assert [(row.id, row.labels[0], row.split) for row in loaded.rows][:3] == [
        ("train-00001", "anger", "train"),
        ("train-00002", "joy", "train"),
        ("validation-00001", "joy", "validation"),
    ]
    assert loaded.rows[0].text == "first train text"


@pytest.mark.parametrize(
    ("labels", "says"),
    [("1\n", "2 texts, 1 labels"), ("1\n7\n", "Unknown label '7'"), ("1\n-1\n", "Unknown label '-1'"), ("1\nx\n", "line 2")],
)
def test_broken_tweeteval(tmp_path: Path, labels: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_tweeteval(tweeteval(tmp_path / "t", labels), spec("tweeteval"))


def test_goemotions(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("joy\nlove\nneutral")
    for part in ("train", "dev", "test"):
        (tmp_path / f"{part}.tsv").write_text(f'"Quote is left open {part}\t0,1\te{part}1\nplain\t2\te{part}1\n')
    loaded = read_goemotions(tmp_path, spec("goemotions"))
    assert loaded.task == "multi"
    assert [(row.id, row.labels) for row in loaded.rows[:2]] == [("etrain1", ("joy", "love")), ("etrain1-2", ("neutral",))]
    assert loaded.rows[0].text.startswith('"Quote')
    (tmp_path / "dev.tsv").write_text("text only\n")
    with pytest.raises(UserError, match=r"dev\.tsv: line 1"):
        read_goemotions(tmp_path, spec("goemotions"))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"He said ""no"" twice"', 'He said "no" twice'),
        ('"""All of it"" and more"', '"All of it" and more'),
        ('"One" or "two"', '"One" or "two"'),  # only looks quoted
        ('"left open', '"left open'),
        ('"', '"'),
    ],
)
def test_goemotions_texts_quoted_as_in_csv_are_unquoted(tmp_path: Path, cell: str, text: str) -> None:
    (tmp_path / "labels.txt").write_text("joy\nlove\n")
    for part in ("train", "dev", "test"):
        (tmp_path / f"{part}.tsv").write_text(f"{cell}\t0\te{part}\n")
    assert {row.text for row in read_goemotions(tmp_path, spec("goemotions")).rows} == {text}


def test_sst2(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        (tmp_path / f"{part}.jsonl").write_text('{"text": "fine", "label": 1, "label_text": "positive"}\n{"text": "poor", "label": 0}\n')
    assert [row.labels[0] for row in read_sst2(tmp_path, spec("sst2")).rows[:2]] == ["positive", "negative"]
    (tmp_path / "test.jsonl").write_text('{"text": "fine"}\n')
    with pytest.raises(UserError, match="lacks label"):
        read_sst2(tmp_path, spec("sst2"))
    (tmp_path / "test.jsonl").write_text("[1]\n")
    with pytest.raises(UserError, match=r"Not a JSON object but list"):
        read_sst2(tmp_path, spec("sst2"))


def test_what_the_hub_serves_reads_like_the_mirror(tmp_path: Path) -> None:
    for part in ("train", "validation", "test"):
        pq.write_table(pa.table({"text": [f"first {part} text", f"second {part} text"], "label": [0, 1]}), tmp_path / f"{part}.parquet")
    (tmp_path / "features.json").write_text(json.dumps({"revision": "x", "names": {"label": ["anger", "joy"]}}))
    hub = read_tweeteval(tmp_path, spec("tweeteval"))
    mirror = read_tweeteval(tweeteval(tmp_path / "t"), spec("tweeteval"))
    assert [(row.id, row.split) for row in hub.rows] == [(row.id, row.split) for row in mirror.rows]
    assert hub.classes == mirror.classes and hub.rows[1].labels == ("joy",)
    (tmp_path / "features.json").write_text(json.dumps({"revision": "x", "names": {}}))
    assert read_sst2(tmp_path, spec("sst2")).classes == ["negative", "positive"]


# --- a file of one's own ----------------------------------------------------------------------------


def own(folder: Path, kind: str) -> UserCorpus:
    frame = pd.DataFrame(invented(6), columns=["message", "mood"])
    path = folder / f"own.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "tsv":
        frame.to_csv(path, sep="\t", index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    return UserCorpus(path=path.name, text="message", labels="mood")


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    loaded = read_user(own(tmp_path, kind), Paths(tmp_path, "demo"))
    assert loaded.classes == ["cross", "glad"] and loaded.task == "single"
    assert sorted(row.text for row in loaded.rows) == sorted(text for text, _ in invented(6))
    assert len({row.id for row in loaded.rows}) == 6


def test_ids_do_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    user = own(tmp_path, "csv")
    lines = (tmp_path / "own.csv").read_text().splitlines()
    lines += [lines[1]]
    before = None
    for body in (lines[1:], lines[:0:-1]):
        (tmp_path / "own.csv").write_text("\n".join([lines[0], *body]))
        rows = [(row.id, row.text, row.labels) for row in read_user(user, Paths(tmp_path, "demo")).rows]
        assert before is None or rows == before
        before = rows


def test_several_labels_in_a_cell_and_lists(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label,part\n"one, two",glad; proud,train\nthree,cross,dev\n')
    loaded = read_user(UserCorpus(path="a.csv", label_separator=";", split="part"), Paths(tmp_path, "demo"))
    assert loaded.task == "multi"
    assert {row.text: (row.labels, row.split) for row in loaded.rows} == {
        "one, two": (("glad", "proud"), "train"),
        "three": (("cross",), "validation"),
    }
    (tmp_path / "a.jsonl").write_text('{"text": "one \\ud800 two", "label": ["glad"]}\n\n{"text": "three", "label": "cross"}\n')
    assert {row.text for row in read_user(UserCorpus(path="a.jsonl"), Paths(tmp_path, "demo")).rows} == {"one two", "three"}


@pytest.mark.parametrize(
    ("name", "content", "options", "says"),
    [
        ("a.csv", "words,label\nx,y\n", {}, "no column text; there are words, label"),
        ("a.csv", "text,label\nx,y\n ,y\n", {}, "no text: lines 3"),
        ("a.csv", "text,label\nx,\n", {}, "no label: lines 2"),
        ("a.csv", "text,label\nx,sad\n", {"classes": ["glad", "cross"]}, r"unknown label \(sad\): lines 2"),
        ("a.csv", "text,label,part\nx,y,exam\n", {"split": "part"}, "unknown split"),
        ("a.csv", "text,label\na,b,c\n", {}, "3 cells"),
        ("a.csv", 'text,label\n"a,b,c\n', {}, "cannot be read as columns"),
        ("a.csv", "text,text\na,b\n", {}, "occur twice"),
        ("a.csv", "text,label\n", {}, "no rows"),
        ("a.csv", "  \n", {}, "empty"),
        ("a.csv", b"text,label\n\xc3\xa9t\xc3\xa9,y\ncaf\xe9,y\n", {}, "line 3"),
        ("a.jsonl", "{nope}\n", {}, "line 1"),
        ("a.parquet", "nope", {}, "no file of Parquet"),
        ("a.arrow", "nope", {}, "no file of Arrow"),
        ("a.xls", b"\x01\x02\x03\x04nope", {}, "control characters"),
        ("missing.csv", None, {}, "no such file"),
    ],
)
def test_broken_files_name_what_where_and_remedy(tmp_path: Path, name: str, content: str | bytes | None, options: dict, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=says) as caught:
        read_user(UserCorpus(path=name, **options), Paths(tmp_path, "demo"))
    assert name in caught.value.where and caught.value.remedy


# --- checks -----------------------------------------------------------------------------------------


def frame(rows: list[tuple[str, str, list[str], str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "text", "labels", "split"]).assign(corpus="own")


GOOD = [("1", "a", ["x"], "train"), ("2", "b", ["y"], "train"), ("3", "c", ["x"], "validation"), ("4", "d", ["y"], "test")]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({0: ("1", " ", ["x"], "train")}, "no text"),
        ({0: ("2", "a", ["x"], "train")}, "more than once"),
        ({0: ("1", "a", [], "train")}, "no label"),
        ({0: ("1", "a", ["z"], "train")}, "not among the classes: z"),
        ({0: ("1", "a", ["x", "y"], "train")}, "several labels"),
        ({0: ("1", "a", ["x"], "exam")}, "unknown split"),
        ({2: ("3", "c", ["x"], "test")}, "validation split has no rows"),
        ({1: ("2", "b", ["x"], "train"), 3: ("4", "d", ["x"], "test")}, "one class only"),
        ({1: ("2", "b", ["y"], "validation")}, "training split has no row of y"),
    ],
)
def test_rules_of_a_corpus(change: dict, says: str) -> None:
    validate(frame(GOOD), ["x", "y"], "single", "own.csv")
    with pytest.raises(UserError, match=says) as caught:
        validate(frame([change.get(position, row) for position, row in enumerate(GOOD)]), ["x", "y"], "single", "own.csv")
    assert "own.csv" in caught.value.where and caught.value.remedy


# --- duplicates -------------------------------------------------------------------------------------

LONG = "we walked along the old canal and talked about the summer that had just gone by so very quickly"


def test_duplicates_leave_training_and_validation_but_never_test() -> None:
    cleaned = clean(
        frame(
            [
                ("1", LONG, ["x"], "train"),
                ("2", LONG.upper(), ["y"], "validation"),
                ("3", LONG + " indeed", ["x"], "test"),
                ("4", LONG + " indeed", ["x"], "test"),
                ("5", "something else altogether was said", ["x"], "train"),
                ("6", "Something else altogether was said", ["x"], "train"),
                ("7", "nothing like the others at all", ["y"], "validation"),
                ("8", "nothing like the others at all", ["y"], "validation"),
            ]
        ),
        0.8,
    )
    assert list(cleaned.frame["id"]) == ["5", "7", "8", "3", "4"]
    assert cleaned.report["removed"] == {"train": {"exact": 1, "near": 1}, "validation": {"exact": 0, "near": 1}}
    assert cleaned.report["found"]["exact"] == {"test repeats test": 1, "train repeats train": 1, "validation repeats validation": 1}
    assert cleaned.report["with_other_labels"] == 1
    assert {item["id"] for item in cleaned.report["examples"]} == {"1", "2", "6"}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([LONG, LONG + " so", "glad", "cross and tired", "a b c d"]), st.sampled_from(["train", "validation", "test"])
        ),
        max_size=12,
    ),
    st.randoms(),
)
def test_cleaning_does_not_depend_on_the_order_of_rows(rows: list[tuple[str, str]], random: object) -> None:
    table = [(f"{number:02d}", text, ["x"], split) for number, (text, split) in enumerate(rows)]
    first = clean(frame(table), 0.8)
    random.shuffle(table)  # type: ignore[attr-defined]
    second = clean(frame(table), 0.8)
    assert first.report == second.report
    assert list(first.frame["id"]) == list(second.frame["id"])
    kept = first.frame
    train = set(kept.loc[kept["split"] == "train", "text"])
    assert not train & set(kept.loc[kept["split"] != "train", "text"])
    assert (kept["split"] == "test").sum() == sum(split == "test" for _, split in rows)


# --- building ---------------------------------------------------------------------------------------


def profile(target: str, **values: object) -> Params:
    return Params(
        corpora=Corpora(target=target, **values),  # type: ignore[arg-type]
        cells=Cells(sizes=[8], repeats=1), checks={}, arms={"naive": {}}, learners={"tfidf": {}},
    )  # fmt: skip


def test_building_and_loading(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"{text} ... 😀", label) for text, label in invented(60, ("glad", "cross", "calm"))]
    rows += [rows[0]]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(paths.root / "own.csv", index=False)
    # without a name of its own the corpus has the target's
    params = profile("own", custom=UserCorpus(path="own.csv", register_noun="postcard", licence="cc0-1.0"))
    monkeypatch.setattr("emosynth.corpora.build.say", (lines := []).append)
    built = build_corpora(params, Catalog.load(paths), paths)
    assert sum(built[0].rows.values()) + sum(built[0].removed.values()) == 61
    assert (
        all("own" in line for line in lines) and len(lines) == 4
    )  # rows, how the file is understood, that the language is unknown, counts
    first = {path.name: path.read_bytes() for path in paths.corpora.iterdir()}
    assert sorted(first) == ["own.json", "own.md", "own.parquet"]
    # another order of rows gives the same files
    pd.DataFrame(rows[::-1], columns=["text", "label"]).to_csv(paths.root / "own.csv", index=False)
    build_corpora(params, Catalog.load(paths), paths)
    assert {path.name: path.read_bytes() for path in paths.corpora.iterdir()} == first

    corpus = load_corpus(paths, "own")
    assert corpus.classes == ["calm", "cross", "glad"] and corpus.register_noun == "postcard" and corpus.task == "single"
    assert list(corpus.frame.columns) == ["id", "text", "labels", "split", "corpus"]
    assert isinstance(corpus.frame["labels"][0], list)
    assert len(corpus.split("train")) == built[0].rows["train"] == corpus.counts["train"]["all"]
    assert set(load_corpus(paths, "own", ["train", "validation"]).frame["split"]) == {"train", "validation"}
    tables = describe(corpus)
    assert tables["counts"].loc["all", "train"] == built[0].rows["train"]
    assert tables["lengths"].loc["glad", "median"] == 8  # the tokeniser parts letters from digits; dots and emoji are no words
    assert len(tables["examples"]) == 6
    front = yaml.safe_load((paths.corpora / "own.md").read_text().split("---\n")[1])
    assert front["license"] == "cc0-1.0"
    assert str(paths.root) not in (paths.corpora / "own.json").read_text() + (paths.corpora / "own.md").read_text()


def test_a_class_called_all_is_not_all_classes(paths: Paths) -> None:
    rows = invented(60, ("all", "glad"))
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(paths.root / "own.csv", index=False)
    build_corpora(
        profile("own", custom=UserCorpus(path="own.csv", register_noun="postcard", licence="cc0-1.0")), Catalog.load(paths), paths
    )
    corpus = load_corpus(paths, "own")
    train, tables = corpus.split("train"), describe(corpus)
    own = int((train["labels"].str[0] == "all").sum())
    assert 0 < own < len(train) and tables["counts"]["train"].to_dict() == {"(all)": len(train), "all": own, "glad": len(train) - own}
    assert list(tables["lengths"].index) == ["(all)", "all", "glad"]
    about = json.loads((paths.corpora / "own.json").read_text())
    assert total_of(about["classes"]) == "(all)" and total_of(["all", "(all)"]) == "((all))" and total_of(["glad"]) == "all"
    shares = Tables(paths, profile("own")).shares("own")
    assert shares == pytest.approx({"all": own / len(train), "glad": 1 - own / len(train)})


def test_a_corpus_that_was_not_built_or_is_not_known(paths: Paths) -> None:
    with pytest.raises(UserError, match="Run the corpora stage"):
        load_corpus(paths, "own")
    with pytest.raises(UserError, match="no entry"):
        build_corpora(profile("vader-tweet"), Catalog.load(paths), paths)
    real = Catalog.load(Paths(ROOT, "demo"))
    with pytest.raises(UserError, match="not a labelled corpus"):
        build_corpora(profile("aptagger"), real, paths)
    with pytest.raises(UserError, match="name of a catalogue entry"):
        build_corpora(profile("sst2", custom=UserCorpus(path="a.csv")), real, paths)


@pytest.mark.model
def test_the_demo_corpora(tmp_path: Path) -> None:
    class Elsewhere(Paths):
        data = property(lambda self: tmp_path)  # type: ignore[assignment]

    paths = Elsewhere(ROOT, "demo")
    built = build_corpora(profile("vader-tweets", also=["vader-films"]), Catalog.load(paths), paths)
    assert [sum(item.rows.values()) + sum(item.removed.values()) for item in built] == [4200, 10043]
    assert load_corpus(paths, "vader-tweets").classes == ["negative", "neutral", "positive"]


@pytest.mark.mirror
def test_the_corpora_of_the_mirror(tmp_path: Path) -> None:
    if not os.environ.get("EMOSYNTH_MIRROR"):
        pytest.skip("mirror test: EMOSYNTH_MIRROR is not set")

    class Elsewhere(Paths):
        data = property(lambda self: tmp_path)  # type: ignore[assignment]

    paths = Elsewhere(ROOT, "paper")
    built = build_corpora(profile("tweeteval-emotion", also=["goemotions", "sst2"]), Catalog.load(paths), paths)
    assert [item.rows["test"] for item in built] == [1421, 5427, 1821]
    goemotions = load_corpus(paths, "goemotions")
    assert goemotions.task == "multi"
    assert goemotions.frame["text"].str.contains('""').sum() < 5, "quoted cells are unquoted"
