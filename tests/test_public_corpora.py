"""Public corpora in their upstream layouts, licensed ones in invented files of the same layout, and rows of a file as an arm."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import toy_trials as toy
from emosynth.catalog import Catalog, CorpusSpec, HubSource, hub
from emosynth.corpora.build import _frame
from emosynth.corpora.files import Loaded, Row
from emosynth.corpora.loaders import READERS, read_emocontext, read_iemocap, read_isear, read_meld
from emosynth.dependencies import own_files
from emosynth.design.arms import learners_of, resolve_arm, resolve_arms
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.params import RowFile
from emosynth.params.design import check_design
from emosynth.paths import Paths
from emosynth.pipeline import stage
from emosynth.taxonomy import Taxonomies, simplify
from emosynth.text import normalise
from emosynth.trials import Trial
from emosynth.trials.fromfile import places_of
from emosynth.trials.rowfile import read_rows, row_files
from emosynth.trials.rows import Builder
from emosynth.trials.sources import Sources

ROOT = Path(__file__).parents[1]
TAXONOMIES = Taxonomies.load(ROOT / "data" / "taxonomies.yaml")
CATALOG = Catalog.load(Paths(ROOT, "demo"))


def spec(layout: Any) -> CorpusSpec:
    return CorpusSpec(layout=layout, register_noun="note")


# --- ISEAR ----------------------------------------------------------------------------------------------


def isear(folder: Path, *rows: tuple[str, str, str, str]) -> Path:
    """Write rows of person, label, key and text."""
    head = "ID|SUBJ|Field1|MYKEY|SIT|STATE|"
    (folder / "isear.csv").write_text("\n".join([head, *(f"{who}|1|{label}|{key}|{text}|1|" for who, label, key, text in rows)]) + "\n")
    return folder


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("When I fell á and got up.  Again.", "When I fell and got up. Again."),
        ("I feared itá being found.á ", "I feared it being found."),
        ("We spoke \\the same\\\"- that á|is, one tongue.\"", 'We spoke "the same"- that is, one tongue.'),
        ("I said \\ Oh no!\\\"\"", 'I said " Oh no!"'),
        ("He said \\never\\\".", 'He said "never".'),  # the cell's own mark stands in the column after it
        ("[ When a friend lies.]", "When a friend lies."),
        ("Left | right.", "Left right."),
    ],
)  # fmt: skip
def test_isear_texts_are_mended(tmp_path: Path, cell: str, text: str) -> None:
    assert [row.text for row in read_isear(isear(tmp_path, ("1", "joy", "a", cell)), spec("isear")).rows] == [text]


def test_isear_answers_without_a_situation_are_left_out(tmp_path: Path) -> None:
    none = ["[ No response.]", " [ No response.]", "NO RESPONSE", "[ Never experienced.]", "Doesn't apply.", "Blank.", "The same as in SHAME.",
            "[ Can not think of anything just now.]", "[ I have not felt this emotion yet.]", "[ No answer as I see no difference.]"]  # fmt: skip
    told = ["Nothing worked that day.", "[ I can not remember anything.  Only that I was late.]", "Same as above - friends who shout.",
            "Never had I seen such a dog.", "The same day my aunt came, and we sang."]  # fmt: skip
    loaded = read_isear(isear(tmp_path, *((str(n), "fear", f"k{n}", text) for n, text in enumerate([*none, *told]))), spec("isear"))
    assert [row.id for row in loaded.rows] == [f"k{n}" for n in range(len(none), len(none) + len(told))]
    assert list(loaded.dropped.values()) == [len(none)]


def test_isear_keeps_a_person_in_one_split(tmp_path: Path) -> None:
    rows = [
        (f"{n // 7}", ["joy", "fear", "anger", "sadness", "disgust", "shame", "guilt"][n % 7], f"k{n}", f"On day {n}.") for n in range(700)
    ]
    frame, own, _ = _frame("isear", read_isear(isear(tmp_path, *rows), spec("isear")), [0.6, 0.1, 0.3])
    splits = frame.assign(who=[int(key[1:]) // 7 for key in frame["id"]]).groupby("who")["split"].nunique()
    assert not own and (splits == 1).all() and set(frame["split"]) == {"train", "validation", "test"}
    again, _, _ = _frame("isear", Loaded([*read_isear(tmp_path, spec("isear")).rows][::-1], [], "single", "", {}), [0.6, 0.1, 0.3])
    assert dict(zip(again["id"], again["split"], strict=True)) == dict(zip(frame["id"], frame["split"], strict=True))


def test_broken_isear_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 2.*\n?.*") as caught:
        read_isear(isear(tmp_path, ("1", "love", "a", "x")), spec("isear"))
    assert "Unknown label 'love'" in str(caught.value)
    (tmp_path / "isear.csv").write_text("ID|SUBJ|Field1|MYKEY|SIT|STATE|\n1|1|joy\n")
    with pytest.raises(UserError, match="3 cells, the header 7"):
        read_isear(tmp_path, spec("isear"))
    (tmp_path / "isear.csv").write_text("ID|SUBJ|SIT|STATE|\n")
    with pytest.raises(UserError, match="lacks Field1, MYKEY"):
        read_isear(tmp_path, spec("isear"))


# --- dialogues ------------------------------------------------------------------------------------------


def meld(folder: Path, *rows: tuple[str, str, str, int, int]) -> Path:
    """Write rows of utterance, speaker, emotion, dialogue and turn, the same in all splits."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID"]
    lines += [f'{n},"{text}",{who},{label},neutral,{dialogue},{turn}' for n, (text, who, label, dialogue, turn) in enumerate(rows, start=1)]
    for part in ("train", "dev", "test"):
        (folder / f"{part}_sent_emo.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_meld_rows_know_what_was_said_before(tmp_path: Path) -> None:
    loaded = read_meld(
        meld(tmp_path, ("Hi, you.", "Ann", "joy", 0, 0), ("No “way”!", "Bo", "anger", 0, 2), ("So?", "Ann", "neutral", 3, 1)), spec("meld")
    )
    assert [row.id for row in loaded.rows[:3]] == ["train-0000-00", "train-0000-02", "train-0003-01"]
    assert loaded.rows[1].context == ("Ann: Hi, you.",) and loaded.rows[2].context == () and loaded.rows[2].dialogue == "train-0003"
    assert {row.split for row in loaded.rows} == {"train", "validation", "test"} and loaded.rows[1].labels == ("anger",)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("Hi", "Ann", "glee", 0, 0), "Unknown label 'glee'"),
        (("Hi", "Ann", "joy", "x", 0), "need numbers"),
    ],
)
def test_broken_meld_names_the_line(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_meld(meld(tmp_path, ("Hi", "Bo", "joy", 0, 0), row), spec("meld"))
    assert "train_sent_emo.csv: line 3" in str(caught.value)


def test_meld_out_of_order_is_no_dialogue(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not in order"):
        read_meld(meld(tmp_path, ("Hi", "Bo", "joy", 0, 1), ("Ho", "Bo", "joy", 0, 0)), spec("meld"))


def test_emocontext(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        (tmp_path / f"{part}.txt").write_text("id\tturn1\tturn2\tturn3\tlabel\n0\tI lost it\tWhat?\tmy  ring\tsad\n1\ta\tb\tc\tothers\n")
    first = read_emocontext(tmp_path, spec("emocontext")).rows[0]
    assert (first.text, first.labels, first.context) == ("my ring", ("sad",), ("A: I lost it", "B: What?"))
    (tmp_path / "dev.txt").write_text("id\tturn1\tturn2\tturn3\n0\ta\tb\tc\n")
    with pytest.raises(UserError, match="with labels"):
        read_emocontext(tmp_path, spec("emocontext"))


def test_iemocap(tmp_path: Path) -> None:
    for session in "12345":
        home, name = tmp_path / f"Session{session}" / "dialog", f"Ses0{session}F_impro01"
        for folder in ("transcriptions", "EmoEvaluation"):
            (home / folder).mkdir(parents=True)
        said = [("F000", "Excuse me.", "neu"), ("M000", "Do you have your forms?", "xxx"), ("F001", "Yeah!", "exc"), ("M001", "Hm.", None)]
        (home / "transcriptions" / f"{name}.txt").write_text(
            "\n".join([*(f"{name}_{turn} [006.29-008.23]: {text}" for turn, text, _ in said), "F: (LAUGHTER)"]) + "\n"
        )
        judged = [f"[6.2901 - 8.2357]\t{name}_{turn}\t{code}\t[2.5, 2.5, 2.5]\nC-E2:\tNeutral;\t()" for turn, _, code in said if code]
        (home / "EmoEvaluation" / f"{name}.txt").write_text("% [START - END] NAME EMOTION\n\n" + "\n".join(judged) + "\n")
    loaded = read_iemocap(tmp_path, spec("iemocap"))
    assert [row.split for row in loaded.rows] == ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    assert loaded.rows[1].labels == ("excitement",) and loaded.rows[1].context == ("F: Excuse me.", "M: Do you have your forms?")
    assert loaded.dropped == {
        "lines that are no turn": 5, "turns with another label, or without agreement": 5, "turns without a judgement": 5
    }  # fmt: skip
    with pytest.raises(UserError, match="no transcriptions of session 1"):
        read_iemocap(tmp_path / "none", spec("iemocap"))


def test_licensed_corpora_have_no_source_but_a_folder_of_ones_own() -> None:
    for name in ("emocontext", "iemocap"):
        entry = CATALOG.entry(name)
        assert [hasattr(source, "mirror") for source in entry.sources] == [True] and "copy of one's own" in entry.licence


# --- many corpora, one set of taxonomies --------------------------------------------------------------

CLASSES = {
    "goemotions": 28, "tweeteval-emotion": 4, "sst2": 2, "isear": 7, "meld": 7, "emocontext": 4, "iemocap": 6,
}  # fmt: skip
OF = {"meld": "ekman", "sst2": "valence-two"}


@pytest.mark.parametrize("name", CLASSES)
def test_every_corpus_has_a_taxonomy_that_others_map_to(name: str) -> None:
    labels = set(TAXONOMIES.get(OF.get(name, name)).labels)
    assert len(labels) == CLASSES[name] and set(CATALOG.entry(name).corpus.class_phrases) <= labels  # type: ignore[union-attr]
    for source in TAXONOMIES.names:
        found = TAXONOMIES.find_map(source, OF.get(name, name))
        if source.startswith("valence") and not OF.get(name, name).startswith("valence"):
            assert found is None, "a pole is no emotion"
        else:
            assert found is not None and found.any(), source
            assert (found.sum(axis=0) > 0).sum() >= 2, f"{source} tells nothing apart in {name}"


MIRRORED: dict[str, tuple[tuple[int, int, int], list[str]]] = {
    "tweeteval-emotion": ((3257, 374, 1421), ["anger", "joy", "optimism", "sadness"]),
    "goemotions": ((43410, 5426, 5427), list(TAXONOMIES.get("goemotions").labels)),
    "sst2": ((6920, 872, 1821), ["negative", "positive"]),
    "isear": ((4562, 718, 2241), ["joy", "fear", "anger", "sadness", "disgust", "shame", "guilt"]),
    "meld": ((9989, 1109, 2610), ["neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear"]),
}


@pytest.mark.mirror
@pytest.mark.parametrize("name", MIRRORED)
def test_counts_and_labels_of_the_mirror(name: str) -> None:
    if not os.environ.get("EMOSYNTH_MIRROR"):
        pytest.skip("mirror test: EMOSYNTH_MIRROR is not set")
    entry = CATALOG.entry(name)
    assert entry.corpus is not None
    loaded = READERS[entry.corpus.layout](CATALOG.fetch(name), entry.corpus)
    frame, _, _ = _frame(name, loaded, [0.6, 0.1, 0.3])
    counts = Counter(frame["split"])
    sizes, labels = MIRRORED[name]
    assert (counts["train"], counts["validation"], counts["test"]) == sizes
    assert loaded.classes == labels and loaded.task == entry.corpus.task and set(frame["labels"].explode()) == set(labels)
    assert frame["id"].is_unique and frame["text"].str.strip().ne("").all()
    if name == "goemotions":
        files = [CATALOG.fetch(name) / f"{part}.tsv" for part in ("train", "dev", "test")]
        raw = [line.split("\t")[0] for file in files for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
        unquoted = [
            normalise(cell[1:-1].replace('""', '"')) == row.text
            for cell, row in zip(raw, loaded.rows, strict=True)
            if cell[0] == cell[-1] == '"'
        ]
        assert len(unquoted) == 1383 and all(unquoted), "cells that are quoted as in CSV"
    if name == "isear":
        assert not frame["text"].str.contains(r"á|\\|\||^\[|  ", regex=True).any()
        assert sum(loaded.dropped.values()) == 145 and len(frame) + 145 == 7666
        people = {row.id: row.group for row in loaded.rows}
        assert frame.groupby(frame["id"].map(people))["split"].nunique().max() == 1 and len(set(people.values())) == 1096
    if name == "meld":
        assert len({row.dialogue for row in loaded.rows}) == 1432 and sum(not row.context for row in loaded.rows) == 1432


def test_files_of_the_hub_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(name: str, file: str, *, repo_type: str, revision: str, local_dir: str) -> str:
        asked.append((name, file, repo_type, revision))
        place = Path(local_dir) / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("rows")
        return str(place)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    (tmp_path / "stage").mkdir()
    hub.download_hub(HubSource(hub="some/where", revision="r1", files=["data/train.csv", "test.csv"]), tmp_path / "stage")
    assert asked == [("some/where", "data/train.csv", "dataset", "r1"), ("some/where", "test.csv", "dataset", "r1")]
    assert sorted(path.name for path in (tmp_path / "stage").iterdir()) == ["features.json", "test.csv", "train.csv"]


# --- rows of a file as an arm ---------------------------------------------------------------------------

LABELS = ("joy", "sadness", "fear")
NAMES = {
    simplify(word): label for label, words in {"joy": ["joy", "happy"], "sadness": ["sadness"], "fear": ["fear"]}.items() for word in words
}


@pytest.mark.parametrize(
    ("cell", "shares"),
    [
        ("joy", [1, 0, 0]),
        (["joy", "Fear"], [1, 0, 1]),
        ([0, 2], [1, 0, 1]),
        ([["happy", 0.7], ["fear", "0.2"], ["weariness", 0.9]], [0.7, 0, 0.2]),
        ({"joy": 0.4, "sadness": 1}, [0.4, 1, 0]),
        ("['joy', 'sadness']", [1, 1, 0]),
        ("[('joy', 0.5), ('sadness', 0.05)]", [0.5, 0, 0]),
        (2, [0, 0, 1]),
    ],
)
def test_labels_are_read_however_they_are_written(tmp_path: Path, cell: Any, shares: list[float]) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"utterance": "It rains.", "given": cell}) + "\n")
    found = read_rows(
        RowFile(path="a.jsonl", text="utterance", labels="given", least=0.1), NAMES, LABELS, Paths(tmp_path, "demo"), "arms.x.file"
    )
    assert found.texts == ["It rains."] and found.shares.tolist() == [shares]


def published(folder: Path) -> None:
    """Write invented rows in the layout of the Emo Pillars data set: columns that mix kinds, labels outside the taxonomy."""
    rows: list[dict[str, Any]] = [
        {"plot_id": 1, "utterance": "What a song!", "labels": [17], "all_emotions": [["joy", "3"], [2, 1]], "expressiveness": "high"},
        {"plot_id": "2", "utterance": "Leave it.", "labels": ["anger", "angus"], "all_emotions": [["anger", 2]], "expressiveness": 4},
        {"plot_id": 3, "utterance": "", "labels": [1], "all_emotions": [], "expressiveness": None},
        {"plot_id": 4, "utterance": "Who?", "labels": ["whispering"], "all_emotions": [], "expressiveness": None},
    ]
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_published_rows_are_read_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(tmp_path / "mirror" / "emo-pillars" / "context-less")
    monkeypatch.setenv("EMOSYNTH_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("EMOSYNTH_PROGRESS", str(tmp_path / "said"))
    goemotions = TAXONOMIES.get("goemotions").labels
    spec_ = RowFile(path="emo-pillars/**/train.jsonl", text="utterance", labels="labels")
    found = read_rows(spec_, {label: label for label in goemotions}, goemotions, Paths(tmp_path / "none", "demo"), "arms.published.file")
    assert found.texts == ["What a song!", "Leave it."]
    assert [goemotions[int(row.argmax())] for row in found.shares] == ["joy", "anger"]
    said = (tmp_path / "said").read_text()
    assert "2 labels that are not known" in said and "1 rows without a label" in said and "1 rows without text" in said


def test_kinds_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,labels\n"One, two.",joy;fear\n')
    (tmp_path / "b.json").write_text(json.dumps([{"text": "Three.", "labels": ["fear"]}]))
    pq.write_table(pa.table({"text": ["Four."], "labels": [["sadness"]]}), tmp_path / "c.parquet")
    read = [
        read_rows(RowFile(path=name, label_separator=";"), NAMES, LABELS, Paths(tmp_path, "demo"), "arms.x.file")
        for name in ("a.csv", "b.json", "c.parquet")
    ]
    assert [(rows.texts, rows.shares.tolist()) for rows in read] == [
        (["One, two."], [[1, 0, 1]]), (["Three."], [[0, 0, 1]]), (["Four."], [[0, 1, 0]])
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "given", "says"),
    [
        ({"text": "x", "labels": [["joy", 4]]}, {}, "Not a share from 0 to 1: 4"),
        ({"text": "x", "label": "joy"}, {}, "no column labels; there are text, label"),
        ({"text": "x", "labels": "weariness"}, {}, "No row of the file can be used"),
        ({"text": "x", "labels": "['joy'"}, {}, "Not a list of labels"),
        ({"text": "x", "labels": "joy"}, {"path": "b.jsonl"}, "There is no file b.jsonl"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, row: Any, given: Any, says: str) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=says) as caught:
        read_rows(RowFile(**({"path": "a.jsonl"} | given)), NAMES, LABELS, Paths(tmp_path, "demo"), "arms.x.file")
    assert caught.value.remedy


def test_rows_of_a_data_set_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repository: str, **asked: Any) -> str:
        assert (repository, asked["revision"], asked["repo_type"], asked["allow_patterns"]) == ("o/d", "r1", "dataset", ["data/*.jsonl"])
        (tmp_path / "got/data").mkdir(parents=True)
        (tmp_path / "got/data/a.jsonl").write_text('{"text": "so glad", "labels": ["joy"]}\n')
        return str(tmp_path / "got")

    monkeypatch.delenv("EMOSYNTH_MIRROR", raising=False)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    spec_ = RowFile(path="data/*.jsonl", hub="o/d@r1")
    assert read_rows(spec_, NAMES, LABELS, Paths(tmp_path, "demo"), "arms.x.file").texts == ["so glad"]
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: 1 / 0)
    with pytest.raises(UserError, match="could not serve o/d@r1: ZeroDivisionError") as caught:
        row_files(spec_, Paths(tmp_path, "demo"), "arms.x.file")
    assert caught.value.where == "arms.x.file.hub"


def test_nobody_searches_the_whole_repository(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match="There is no file"):
        row_files(RowFile(path="**/a.jsonl"), Paths(tmp_path, "demo"), "arms.x.file")


FILED = {
    "joint": {"add": "file", "file": {"path": "rows.jsonl"}, "growth": 1.0},
    "first": {"add": "file", "file": {"path": "rows.jsonl"}, "space": "goemotions", "mix": {"order": "first"}, "rows": 40},
    "moved": {
        "add": "file",
        "file": {"path": "rows.jsonl", "synthetic": False},
        "space": "goemotions",
        "growth": 2.0,
        "mix": {"weight": 0.5},
    },
}


@pytest.fixture
def filed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    made = toy.params(arms={"real+1x": {"add": "real"}, **FILED})
    paths = toy.write_profile(tmp_path, made, None)
    rows = [{"text": toy.sentence("joy", 5000 + n), "labels": ["joy", "sadness", "fear"][n % 3]} for n in range(90)]
    kept = Sources.load(made, paths)
    rows += [{"text": str(text), "labels": "joy"} for text in kept.corpora["toy"].split("test")["text"]]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Builder(kept)


def test_rows_of_a_file_join_the_seed(filed: Builder) -> None:
    built = filed.build(Trial("tfidf", Cell("toy", 0, 16), resolve_arms(filed.params)["joint"]), learners_of(filed.params)["tfidf"])
    (rows,) = (stage.rows for stage in built.stages)
    assert (built.n_real, built.n_synthetic, built.n_wanted, built.seed_rows) == (16, 16, 16, 16)
    held = set(filed.sources.held_out("toy"))
    assert not held & set(rows.texts[16:]) and np.allclose(rows.targets.sum(axis=1), 1), "fear is no label here, test rows stay out"


def test_rows_of_a_file_in_a_space_of_their_own_are_learnt_first(filed: Builder) -> None:
    arm = resolve_arms(filed.params)["first"]
    built = filed.build(Trial("tfidf", Cell("toy", 0, 16), arm), learners_of(filed.params)["tfidf"])
    assert [(len(stage.rows), len(stage.space.labels), stage.to_next is None) for stage in built.stages] == [(20, 28, False), (16, 2, True)]
    one, two = (set(places_of(filed.sources, arm, Cell("toy", repeat, 16))) for repeat in (0, 1))
    assert len(one) == len(two) == 20 and not one & two, "repeats have rows of their own"
    small, large = (places_of(filed.sources, resolve_arms(filed.params)["moved"], Cell("toy", 0, size)) for size in (8, 16))
    assert large[: len(small)] == small, "a larger seed adds to what a smaller one has"


def test_rows_of_a_file_are_moved_and_weighted(filed: Builder) -> None:
    built = filed.build(Trial("tfidf", Cell("toy", 0, 8), resolve_arms(filed.params)["moved"]), learners_of(filed.params)["tfidf"])
    (rows,) = (stage.rows for stage in built.stages)
    assert rows.targets.shape[1] == 2 and set(rows.weights[8:]) == {0.5} and built.n_synthetic == 0 and 8 < built.n_real <= 24


def test_a_file_is_declared_and_tracked(tmp_path: Path) -> None:
    made = toy.params(arms={"x": {"add": "file"}})
    with pytest.raises(UserError, match="names none"):
        check_design(made, tmp_path, "test")
    with pytest.raises(UserError, match="this arm adds others"):
        toy.params(arms={"x": {"add": "real", "file": {"path": "a.csv"}}})
    with pytest.raises(UserError, match="says something of written rows"):
        toy.params(arms={"x": {"add": "file", "file": {"path": "a.csv"}, "checks": "sure"}})
    assert resolve_arm(toy.params(arms=FILED), "joint").origin is None
    (tmp_path / "a.csv").write_text("text,labels\n")
    values = {"arms": {"x": {"add": "file", "file": {"path": "a.csv"}}}}
    assert own_files(tmp_path, values, stage("07_training")) == ["a.csv"]
    assert own_files(tmp_path, values, stage("05_generation")) == []


def test_rows_of_one_group_share_a_split() -> None:
    rows = [Row(str(n), f"text {n}", ("a",), None, "", group=f"g{n % 40}") for n in range(400)]
    frame, _, _ = _frame("x", Loaded(rows, ["a", "b"], "single", "", {}), [0.5, 0.2, 0.3])
    assert frame.groupby(frame.index % 40)["split"].nunique().max() == 1
