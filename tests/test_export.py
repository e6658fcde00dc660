"""The data set to take away: opened by the library, safe in a spreadsheet, no real text, described in Croissant."""

from __future__ import annotations

import csv
import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import yaml

import toy_trials as toy
from emosynth.cards import write_table
from emosynth.errors import UserError
from emosynth.export import BEST, _cell, best_arm, export_best, export_dataset, shares_words

HOSTILE = '=HYPERLINK("http://a.example") is grief, told\tin tears'


class Shelf:
    """A catalogue without entries."""

    def __contains__(self, name: object) -> bool:
        return False


def hostile(table: pd.DataFrame) -> pd.DataFrame:
    """Put a formula, and eight words of a real note, among the candidates."""
    real = " ".join(toy.sentence("joy", number) for number in (0, 2)) + " and so on"
    text = table["text"].where(table["index"] != 3, HOSTILE).where(table["index"] != 4, real)
    return table.assign(text=text, prompt="secret corpus text")


@pytest.fixture
def profile(tmp_path):
    made = toy.params(
        arms={"naive": {"checks": "sure"}, "taught": {"checks": "sure", "labels": {"teacher": 0.5}}, "real+1x": {"add": "real"}}
    )
    paths = toy.write_profile(tmp_path / "root", made, hostile)
    # One real note that a written one repeats six words of.
    file = paths.corpora / "toy.parquet"
    frame = pd.read_parquet(file)
    frame["labels"] = frame["labels"].map(list)
    frame.loc[5, "text"] = " ".join(toy.sentence("joy", number) for number in (0, 2))
    write_table(frame, file, toy.CARD)
    return made, paths


def test_folder_opens_in_the_library(profile, tmp_path, monkeypatch):
    import datasets

    made, paths = profile
    folder = export_dataset(made, paths, "taught", tmp_path / "out", Shelf())
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    rows = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "hf"))
    assert rows.features["labels"].feature.names == ["joy", "sadness"]
    assert len(rows) == 2 * 2 * 9 - 4 == len({*rows["id"]}), "both repeats, without the row that repeats a real one"
    first = rows[0]
    assert np.isclose(sum(first["soft_labels"]), 1) and np.isclose(max(first["soft_labels"]), 0.9), "half asked, half the teacher's .8"
    assert first["arm"] == "taught" and first["asked"] == [["joy", "sadness"][first["labels"][0]]]
    assert first["score_confidence"] == 0.9 and first["prompt_sha256"] == hashlib.sha256(b"secret corpus text").hexdigest()
    everything = b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())
    assert b"secret corpus" not in everything and b"so on" not in everything
    readme = (folder / "README.md").read_text()
    head = yaml.safe_load(readme.split("---")[1])
    assert head["configs"][0]["data_files"][0]["path"] == "data/train.parquet" and "4 rows that share 6 words" in readme


def test_csv_and_json_lines_hold_the_same_rows(profile, tmp_path):
    made, paths = profile
    folder = export_dataset(made, paths, "naive", tmp_path / "out", Shelf())
    lines = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    with (folder / "train.csv").open(newline="") as stream:
        cells = list(csv.DictReader(stream))
    assert [row["id"] for row in cells] == [row["id"] for row in lines] and len(lines) == 32
    dangerous = [row for row in lines if row["text"] == HOSTILE]
    assert dangerous and all(row["text"] == f"'{HOSTILE}" for row in cells if HOSTILE in row["text"])
    assert not any(value.startswith(("=", "+", "-", "@", "\t")) for row in cells for value in row.values())


@pytest.mark.parametrize(
    ("value", "cell"),
    [("=1", "'=1"), ("+1", "'+1"), ("-x", "'-x"), ("@a", "'@a"), ("\tx", "'\tx"), ("a=", "a="), (-1, -1), (["a", "b"], "a|b")],
)
def test_cells(value, cell):
    assert _cell(value) == cell


def test_croissant_describes_every_column(profile, tmp_path):
    made, paths = profile
    folder = export_dataset(made, paths, "naive", tmp_path / "out", Shelf())
    described = json.loads((folder / "croissant.json").read_text())
    assert "http://mlcommons.org/croissant/1.0" in described["conformsTo"] and described["@type"] == "sc:Dataset"
    file = described["distribution"][0]
    assert file["sha256"] == hashlib.sha256((folder / file["contentUrl"]).read_bytes()).hexdigest()
    columns = pd.read_parquet(folder / file["contentUrl"]).columns
    fields = {field["source"]["extract"]["column"]: field for field in described["recordSet"][0]["field"]}
    assert list(fields) == list(columns)
    assert (
        fields["soft_labels"]["dataType"] == "sc:Float"
        and fields["soft_labels"]["repeated"]
        and fields["index"]["dataType"] == "sc:Integer"
    )


def test_two_exports_are_the_same_bytes(profile, tmp_path):
    made, paths = profile
    first, second = (export_dataset(made, paths, "naive", tmp_path / name, Shelf()) for name in "ab")
    for file in sorted(first.rglob("*")):
        if file.is_file():
            assert file.read_bytes() == (second / file.relative_to(first)).read_bytes(), file.name


def trials(rows: list[tuple[str, str, int, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["arm", "learner", "size", "macro_f1"])
    return table.assign(corpus="toy", version="", sweep="", budget="accepted", repeat=table.groupby(["arm", "learner", "size"]).cumcount())


def test_best_arm_is_written_and_judged_on_common_learners(profile):
    made, _ = profile
    rows = [("naive", "tfidf", 16, 0.5), ("taught", "tfidf", 16, 0.6), ("real+1x", "tfidf", 16, 0.9), ("naive", "tfidf", 8, 0.99)]
    assert best_arm(trials(rows), made) == "taught"
    assert best_arm(trials([*rows, ("naive", "encoder", 16, 0.99)]), made) == "taught", "a learner that only one arm has says nothing"
    twice = [("naive", "tfidf", 16, 0.5), ("real+1x", "tfidf", 16, 0.9)]
    assert best_arm(trials([*rows, *twice]), made) == "naive", "the mean of few repeats wins too easily"
    with pytest.raises(UserError, match="No written arm"):
        best_arm(trials([("seed", "tfidf", 16, 0.5)]), made)


def test_export_best_ends_a_run(profile):
    made, paths = profile
    write_table(trials([("naive", "tfidf", 16, 0.5), ("taught", "tfidf", 16, 0.6)]), paths.trials / "trials.parquet", toy.CARD)
    folder = export_best(made, paths, Shelf())
    assert folder == paths.data / "export" and set(pd.read_parquet(folder / "data" / "train.parquet")["arm"]) == {"taught"}


@pytest.mark.parametrize(("arm", "what"), [("naiv", "no arm"), ("real+1x", "real text")])
def test_what_cannot_be_exported_is_said(profile, tmp_path, arm, what):
    made, paths = profile
    with pytest.raises(UserError, match=what) as error:
        export_dataset(made, paths, arm, tmp_path / "out", Shelf())
    assert error.value.remedy
    assert BEST in str(error.value) or arm != "naiv"


def test_six_words_in_a_row():
    real = ["One two, three four five six seven!"]
    assert shares_words(["well TWO three - four five six seven", "two three four five six"], real).tolist() == [True, False]
    assert shares_words(["good day", "a good day"], ["Good day."]).tolist() == [True, False]


def with_addresses(table: pd.DataFrame) -> pd.DataFrame:
    """Put an address and a number of a person among the candidates."""
    text = table["text"].where(table["index"] != 6, table["text"] + " mail anna.b@mail.example.org or call +49 30 123456")
    return table.assign(text=text, context=table["text"].where(table["index"] == 6, ""))


def test_masked_export_holds_no_address_anywhere(tmp_path):
    made = toy.params(arms={"naive": {"checks": "sure"}})
    paths = toy.write_profile(tmp_path / "root", made, with_addresses)
    plain, masked = (export_dataset(made, paths, "naive", tmp_path / str(flag), Shelf(), masked=flag) for flag in (False, True))
    texts = pd.read_parquet(masked / "data" / "train.parquet")["text"]
    assert (
        texts.str.contains("mail [EMAIL] or call [PHONE]", regex=False).sum()
        == 4
        == pd.read_parquet(plain / "data" / "train.parquet")["text"].str.contains("anna").sum()
    )
    for column in ("text", "context"):
        assert not pd.read_parquet(masked / "data" / "train.parquet")[column].str.contains("anna|123456").any()
    everything = b"".join(file.read_bytes() for file in sorted(masked.rglob("*")) if file.is_file() and file.suffix != ".parquet")
    assert b"anna" not in everything and b"123456" not in everything
    said = [json.loads((folder / "croissant.json").read_text())["rai:personalSensitiveInformation"] for folder in (plain, masked)]
    assert "4 texts hold" in said[0] and "replaced" in said[1] and said[1][:40] in (masked / "README.md").read_text()


def test_croissant_says_what_synthetic_data_are(profile, tmp_path):
    made, paths = profile
    file = export_dataset(made, paths, "taught", tmp_path / "out", Shelf()) / "croissant.json"
    described = json.loads(file.read_text())
    assert described["rai:hasSyntheticData"] is True and "http://mlcommons.org/croissant/RAI/1.0" in described["conformsTo"]
    assert "toy" in described["rai:dataCollection"] and "licence: mit" in described["rai:dataCollection"]
    assert "4 rows that share 6 words" in described["rai:dataPreprocessingProtocol"] and "(0.5)" in described["rai:dataAnnotationProtocol"]
    assert len(described["rai:dataBiases"]) >= 3 and len(described["rai:dataLimitations"]) >= 3


def test_croissant_is_valid_for_its_reference_library(profile, tmp_path):
    import mlcroissant

    made, paths = profile
    file = export_dataset(made, paths, "taught", tmp_path / "out", Shelf()) / "croissant.json"
    read = mlcroissant.Dataset(jsonld=str(file)).metadata
    assert (
        not read.ctx.issues.errors
        and len(read.data_biases) >= 3
        and len(read.data_limitations) >= 3
        and read.data_collection_type == ["Synthetic"]
    )
