"""Tables, JSON and cards: equal input, equal bytes; whole or not at all."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from emosynth import cards
from emosynth.cards import Card, Source, read_table, write_table
from emosynth.errors import UserError
from emosynth.files import read_json, write_json

CARD = Card(
    title="Invented rows",
    what="Rows made up for a test.",
    made="By hand.",
    sources=[Source(name="nothing", version="1", hash="ab")],
    columns={"text": "a | b"},
    counts={"repeats": 3, "train": {"joy": 1, "anger": 1}},
    limits=["None of it is real."],
    licence="cc-by-4.0",
    citation="@misc{none}",
)


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ["b", "a"],
            "text": ["So glad 😀", "so\tangry"],
            "labels": [["joy", "pride"], ["anger"]],
            "n": [1, 2],
            "score": [0.5, np.nan],
            "ok": [True, False],
            "note": [None, None],
        },
        index=[7, 3],
    )


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    first = write_table(rows(), tmp_path / "a" / "rows.parquet", CARD)
    other = rows()
    other.index = [0, 1]
    other["id"] = pd.Categorical(other["id"])
    second = write_table(other, tmp_path / "b" / "rows.parquet", CARD)
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".md").read_bytes() == second.with_suffix(".md").read_bytes()
    assert sorted(path.name for path in first.parent.iterdir()) == ["rows.md", "rows.parquet"]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = write_table(rows(), tmp_path / "rows.parquet", CARD)
    back = read_table(path)
    assert list(back.columns) == list(rows().columns)
    assert back["labels"].tolist() == [["joy", "pride"], ["anger"]]
    assert back["text"].tolist() == rows()["text"].tolist()
    assert np.isnan(back["score"][1]) and back["note"].isna().all()
    assert list(read_table(path, ["n", "id"]).columns) == ["n", "id"]


def test_the_datasets_library_reads_it(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    path = write_table(rows(), tmp_path / "rows.parquet", CARD)
    loaded = datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path / "cache"), split="train")
    assert loaded[0]["labels"] == ["joy", "pride"]


def test_no_rows(tmp_path: Path) -> None:
    assert read_table(write_table(rows().iloc[:0], tmp_path / "none.parquet", CARD)).empty


def test_the_card(tmp_path: Path) -> None:
    text = write_table(rows(), tmp_path / "rows.parquet", CARD).with_suffix(".md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    front = yaml.safe_load(head)
    assert front["license"] == "cc-by-4.0" and front["language"] == ["en"] and front["size_categories"] == ["n<1K"]
    assert front["pretty_name"] == "Invented rows"
    assert "| text | text | a \\| b |" in body and "| labels | list |" in body
    assert "- rows: 2" in body and "| train | 1 | 1 |" in body
    assert "nothing (1, sha256 `ab`)" in body and "@misc{none}" in body
    other = cards.render_card(CARD.model_copy(update={"licence": "research use"}), rows(), "x.parquet")
    assert yaml.safe_load(other.split("---\n")[1])["license_name"] == "research use"


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_table(rows(), tmp_path / "rows.parquet", CARD)
    before = path.read_bytes()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cards.pq, "write_table", full)
    with pytest.raises(UserError, match="disk is full"):
        write_table(rows().iloc[:1], path, CARD)
    assert path.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["rows.md", "rows.parquet"]


def test_missing_tables_name_their_stage(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Run the seeding stage"):
        read_table(tmp_path / "seeds" / "order.parquet")
    with pytest.raises(UserError, match="Run the shap stage"):
        read_table(tmp_path / "materials" / "tokens.parquet")
    with pytest.raises(UserError, match="Run the tuning stage"):
        read_json(tmp_path / "x.json", "tuning")


def test_torn_and_foreign_tables(tmp_path: Path) -> None:
    path = write_table(rows(), tmp_path / "rows.parquet", CARD)
    with pytest.raises(UserError, match="lacks the column colour"):
        read_table(path, ["id", "colour"])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="not a whole Parquet file"):
        read_table(path)


def test_a_table_of_another_run_is_not_taken_for_this_one(tmp_path: Path) -> None:
    path, other = (
        write_table(rows(), tmp_path / "rows.parquet", CARD),
        write_table(rows().iloc[:-1], tmp_path / "other" / "rows.parquet", CARD),
    )
    sound, card = path.read_bytes(), path.with_suffix(".md").read_bytes()
    for name in ("rows.parquet", "rows.md"):  # the table, or its card, was copied in
        (tmp_path / name).write_bytes((other.parent / name).read_bytes())
        with pytest.raises(UserError, match=r"not the table that rows\.md beside it is the card of"):
            read_table(path)
        path.write_bytes(sound), path.with_suffix(".md").write_bytes(card)
        assert len(read_table(path)) == len(rows())
    path.with_suffix(".md").unlink()  # as of published tables
    assert len(read_table(path)) == len(rows())


def test_a_bit_that_flips_gives_no_other_value(tmp_path: Path) -> None:
    path = write_table(pd.concat([rows()] * 300), tmp_path / "rows.parquet", CARD)
    whole, sound = path.read_bytes(), read_table(path)
    refused = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        try:
            pd.testing.assert_frame_equal(read_table(path), sound)
        except UserError as error:
            assert "not a whole Parquet file" in str(error)
            refused += 1
    assert refused > len(whole) / 7 / 2


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, "\ufeff{}"])
def test_json_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="not a JSON file"):
        read_json(tmp_path / "x.json")


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.json"
    write_json(path, {"b": np.float64(0.5), "a": [np.int64(1), float("nan")], "c": {"x", "y"}, "d": np.array([1, 2])})
    assert json.loads(path.read_text()) == {"b": 0.5, "a": [1, None], "c": ["x", "y"], "d": [1, 2]}
    assert path.read_text().endswith("}\n")
    assert list(read_json(path)) == ["b", "a", "c", "d"]
    assert [item.name for item in path.parent.iterdir()] == ["x.json"]
    path.write_text("{")
    with pytest.raises(UserError, match="not a JSON file"):
        read_json(path)
