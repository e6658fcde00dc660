"""The data set to take away: opened by the library, safe in a spreadsheet, no real text, described in Croissant."""

from __future__ import annotations

import csv
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

import toy_trials as toy
from emosynth import pieces
from emosynth.cards import write_table
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.export import BEST, _cell, _grown, best_arm, export_best, export_dataset, shares_words
from emosynth.paths import Paths
from emosynth.report.advice import advice
from emosynth.report.figures.base import find_figure, regenerate
from emosynth.report.first_page import no_help
from emosynth.report.tables import Tables
from emosynth.trials.sources import Sources

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
    order = pd.read_parquet(paths.seeds / "order.parquet").query("corpus == 'toy'")
    held, train = (part["id"].nunique() for part in (order.query("rank < 16"), order))
    assert (
        16 < held <= 32
        and f"- grown from: 2 seeds of 16 labelled rows each; together they hold {held} of the {train} training rows\n" in readme
    )
    assert "a seed of 70 labelled rows; it holds all 70 training rows" in _grown(Sources.load(made, paths, ["train"]), [Cell("toy", 0, 70)])


class Named(Shelf):
    """A catalogue that has the writer's model."""

    def __contains__(self, name: object) -> bool:
        return True

    def entry(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(licence="Model-Licence")


def test_the_card_of_edited_rows_says_that_they_are_real_texts(tmp_path, capsys):
    """It said that a language model wrote them, named its licence and called them synthetic; with the posts' authors' own words in them."""
    made = toy.params(arms={"eda": {"guide": "edits", "checks": "none", "oversample": 1.0}, "naive": {"checks": "sure"}})
    paths = toy.write_profile(tmp_path / "root", made)
    cards = {}
    for arm in ("eda", "naive"):
        folder = export_dataset(made, paths, arm, tmp_path / arm, Named())
        cards[arm] = (folder / "README.md").read_text(), json.loads((folder / "croissant.json").read_text())
    card, described = cards["eda"]
    changes = pieces.build("guide", "edits").changes
    assert changes and f"real texts of the corpus toy, slightly changed ({changes}); no check judged them." in card
    assert "everything personal in them is still there" in card and "- edited" in card and "as they stand now" in str(described)
    assert "everything personal" in described["rai:personalSensitiveInformation"] and "everything personal" in capsys.readouterr().err
    assert described["rai:hasSyntheticData"] is False and described["rai:dataCollectionType"] == "Secondary Data Analysis"
    for text in (card, json.dumps(described)):
        for wrong in ("Model-Licence", "language model wrote", "written by a language", "ynthetic texts", "All texts are synthetic", "passed every check",
                      "Checks are models", "and of the model", "training text decides", "no text of it is in"):  # fmt: skip
            assert wrong not in text, wrong
    card, described = cards["naive"]
    assert "Model-Licence" in card and "that a language model wrote for the classes of toy; they passed every check." in card
    assert described["rai:hasSyntheticData"] is True and "personal in them" not in card


def test_the_card_says_that_scores_are_of_rows_that_are_withheld_too(profile, tmp_path):
    made, paths = profile
    card = (export_dataset(made, paths, "taught", tmp_path / "out", Shelf()) / "README.md").read_text()
    assert "real text of the corpus; scores of this arm were measured with them, not with what is left here" in card


def test_what_no_language_model_writes_is_not_the_answer_but_stands_beside_it(trained):
    """The question is whether to let a language model write; edited rows, which gained most, were the answer."""
    made, paths, write = trained
    eda = toy.params(arms={"eda": {"guide": "edits", "checks": "none", "title": "edited rows"}}).arms["eda"]
    made = made.model_copy(update={"arms": {**made.arms, "eda": eda}})
    write(SEEDS | {("tfidf", "naive"): (23, 18, 20), ("tfidf", "eda"): (27, 28, 27)})
    tables = Tables(paths, made)
    assert best_arm(made, paths)[0] == "naive" and set(tables.answers["arm"]) == {"naive"} and tables.answers["among"].iloc[0] == 1
    assert set(find_figure("answer").frame(tables)["arm"]) == {"seed", "naive"}
    assert [row["free"] for row in advice(tables)][-1].startswith("no language model, edited rows: +")
    assert "naive" in next(line for line in no_help(tables) if "o clear gain" in line), "what is picked and not shown has no clear gain"
    write(SEEDS | {("tfidf", "eda"): (27, 28, 27)})
    with pytest.raises(UserError, match="No arm that a language model writes"):
        best_arm(made, paths)


def test_the_card_names_classes_without_a_row(tmp_path, capsys):
    made = toy.params(arms={"naive": {"checks": "sure"}})
    paths = toy.write_profile(tmp_path / "root", made, lambda table: table.assign(text=table["text"].where(table["label"] != "joy", "")))
    folder = export_dataset(made, paths, "naive", tmp_path / "out", Shelf())
    line = "No row is of these classes: joy."
    assert f"- {line}" in (folder / "README.md").read_text() and "| joy | 0 |" in (folder / "README.md").read_text()
    assert line in (folder / "croissant.json").read_text() and f"warning: export: naive: {line}" in capsys.readouterr().err


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


def write_trials(made, paths, right: dict[tuple[str, str], tuple[int, ...]]) -> None:
    """Write trials on the largest seeds that read so many of thirty test rows right, by learner and arm a number a repeat."""
    truth = pd.read_parquet(paths.corpora / "toy.parquet").query("split == 'test'")["labels"].map(lambda labels: labels[0]).tolist()
    trials, predictions = [], []
    for (learner, arm), each in right.items():
        for repeat, many in enumerate(each):
            name = f"{learner}/{arm}/{repeat}"
            # a different stretch of rows is read wrong in each repeat
            wrong = {(17 * repeat + at) % len(truth) for at in range(len(truth) - many)}
            p = [[0.9, 0.1] if (label == "joy") != (place in wrong) else [0.1, 0.9] for place, label in enumerate(truth)]
            predictions.append({"trial_id": name, "corpus": "toy", "p": np.ravel(p).tolist()})
            trials.append({
                "trial_id": name, "corpus": "toy", "size": 16, "repeat": repeat, "arm": arm, "version": "", "sweep": "", "value": "", "budget": "accepted",
                "learner": learner, "n_real": 32 if arm == "real+1x" else 16, "n_synthetic": 0 if arm in ("seed", "real+1x") else 16, "n_wanted": 16,
                "n_generated": 32, "tokens": 100, "threshold": np.nan, "macro_f1": many / len(truth),
            })  # fmt: skip
    rows = [
        {"corpus": "toy", "place": place, "row_id": str(place), "labels": [label], "scored_on": "test"} for place, label in enumerate(truth)
    ]
    for name, table in {"trials": trials, "predictions": predictions, "test_rows": rows}.items():
        write_table(pd.DataFrame(table), paths.trials / f"{name}.parquet", toy.CARD)


@pytest.fixture
def trained(tmp_path):
    """Return how trials are written, and what is then best: of two learners, three repeats."""
    made = toy.params(
        arms={"naive": {"checks": "sure"}, "taught": {"checks": "sure", "labels": {"teacher": 0.5}}, "real+1x": {"add": "real"}},
        cells={"sizes": [8, 16], "repeats": 3}, learners={"tfidf": {"c_grid": [1.0]}, "trees": {}}, evidence={"resamples": 200},
    )  # fmt: skip
    paths = toy.write_profile(tmp_path / "root", made)
    return made, paths, lambda right: write_trials(made, paths, right)


SEEDS = {("tfidf", "seed"): (20, 21, 20), ("trees", "seed"): (15, 15, 15)}


def test_best_is_what_the_answer_picks_and_not_a_mean_over_learners(trained, capsys):
    """The mean over learners is higher for the arm that helps the poor learner alone."""
    made, paths, write = trained
    write(
        SEEDS
        | {
            ("tfidf", "naive"): (27, 28, 27),
            ("trees", "naive"): (15, 15, 15),
            ("tfidf", "taught"): (20, 20, 21),
            ("trees", "taught"): (28, 28, 28),
        }
    )
    name, why = best_arm(made, paths)
    answers = Tables(paths, made).answers
    assert (
        name == "naive" == answers["arm"].iloc[-1]
        and answers["shown"].iloc[-1]
        and "shown to help, +" in why
        and "16 labels and TF-IDF" in why
    )
    folder = export_best(made, paths, Shelf())
    assert folder == paths.data / "export" and set(pd.read_parquet(folder / "data" / "train.parquet")["arm"]) == {"naive"}
    assert "- picked: the best way on toy" in (folder / "README.md").read_text() and "naive is the best way" in capsys.readouterr().err


def test_best_is_a_guess_where_nothing_is_shown_to_help(trained):
    made, paths, write = trained
    write(SEEDS | {("tfidf", "naive"): (20, 20, 20), ("tfidf", "taught"): (21, 20, 21), ("tfidf", "real+1x"): (30, 30, 30)})
    name, why = best_arm(made, paths)
    assert name == "taught" and why.startswith("a best guess") and "nothing is shown to help" in why
    folder = export_best(made, paths, Shelf())
    assert "a best guess" in (folder / "README.md").read_text()


def test_the_headline_compares_on_repeats_that_all_have(trained):
    """An arm of one lucky repeat, and a learner that was run on the luckiest seed alone, have the higher means."""
    made, paths, write = trained
    few = {("tfidf", "taught"): (29,), ("trees", "seed"): (22,), ("trees", "naive"): (22,)}
    write({("tfidf", "seed"): (24, 18, 18), ("tfidf", "naive"): (27, 27, 26)} | few)
    head = Tables(paths, made).headline
    assert (head.learner, head.arm, head.size) == ("tfidf", "naive", 16) and head.row.repeats == 3
    frame = find_figure("answer").frame(Tables(paths, made))
    assert set(frame.loc[frame["learner"] == "tfidf", "repeats"]) == {3} and set(frame.loc[frame["learner"] == "trees", "repeats"]) == {1}


def test_without_trials_nothing_is_best(profile):
    made, paths = profile
    with pytest.raises(UserError, match="Nothing was trained yet"):
        best_arm(made, paths)
    with pytest.raises(UserError, match=r"cannot be drawn\. Nothing was trained yet"):
        regenerate("answer", paths, made)
    assert "Nothing was trained yet" in (export_best(made, paths, Shelf()) / "README.md").read_text()


@pytest.mark.parametrize(("arm", "what"), [("naiv", "no arm"), ("real+1x", "real text")])
def test_what_cannot_be_exported_is_said(profile, tmp_path, arm, what):
    made, paths = profile
    with pytest.raises(UserError, match=what) as error:
        export_dataset(made, paths, arm, tmp_path / "out", Shelf())
    assert error.value.remedy
    assert BEST in str(error.value) or arm != "naiv"


@pytest.mark.parametrize("arm", [BEST, "naive"])
def test_a_profile_that_was_never_run_is_said_to_be_one(profile, tmp_path, arm):
    made, _ = profile
    with pytest.raises(UserError, match="has not been run") as error:
        export_dataset(made, Paths(tmp_path / "empty", "mine"), arm, tmp_path / "out", Shelf())
    assert error.value.remedy == "Run: make reproduce PROFILE=mine"


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


@pytest.mark.parametrize(
    ("licence", "head", "address"),
    [
        ("unknown", {"license": "unknown"}, None),
        ("", {"license": "unknown"}, None),
        ("MIT", {"license": "mit"}, "https://spdx.org/licenses/MIT.html"),
        ("research use", {"license": "other", "license_name": "research use"}, "research use"),
    ],
)
def test_licence_is_that_of_the_corpus_the_rows_grow_from(profile, tmp_path, licence, head, address):
    import mlcroissant

    made, paths = profile
    note = paths.corpora / "toy.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"licence": licence}))
    folder = export_dataset(made, paths, "taught", tmp_path / "out", Shelf())
    readme = (folder / "README.md").read_text()
    front = yaml.safe_load(readme.split("---")[1])
    assert {key: front[key] for key in front if key.startswith("license")} == head
    assert "code that made these rows is under the MIT licence" in readme and "for their maker to decide" in readme
    assert ("of unknown licence" in readme) == (address is None)
    described = folder / "croissant.json"
    assert json.loads(described.read_text()).get("license") == address
    assert mlcroissant.Dataset(jsonld=str(described)).metadata.license == ([address] if address else None)


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
