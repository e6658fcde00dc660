"""Published result tables: no text in them, and the same report made from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from emosynth.errors import UserError
from emosynth.params import Params, load_params
from emosynth.paths import Paths
from emosynth.report.checks import Texts
from emosynth.report.examples import WITHHELD_RUN
from emosynth.report.grounded import WITHHELD_TEXT
from emosynth.report.page import draw_figures, render_report
from emosynth.report.results import publish, restore
from emosynth.report.tables import Tables
from fake_results import NOTEBOOKS, PASSAGE, PROVENANCE, REPEATED, write_fake_results

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT, "demo")


@pytest.fixture
def run(tmp_path: Path) -> Paths:
    return write_fake_results(tmp_path / "run", repeats=2, sizes=(40,), learners=("tfidf",))


def restored(run: Paths, root: Path) -> Paths:
    """Another checkout, with nothing of the run but what git would hold."""
    paths = Paths(root, run.profile)
    shutil.copytree(run.report, paths.report)
    restore(paths)
    return paths


def test_restored_results_give_the_same_page_and_figures(run: Paths, params: Params, tmp_path: Path) -> None:
    draw_figures(run, params)
    page = render_report(run, params, PROVENANCE, NOTEBOOKS).read_bytes()
    figures = {path.name: path.read_bytes() for path in (run.report / "figures").iterdir()}
    publish(run, Tables.load(run, params).corpus_texts)
    there = restored(run, tmp_path / "clone")
    draw_figures(there, params)
    assert {path.name: path.read_bytes() for path in (there.report / "figures").iterdir()} == figures
    assert render_report(there, params, PROVENANCE, NOTEBOOKS).read_bytes() == page


def test_publishing_restored_results_changes_nothing(run: Paths, params: Params, tmp_path: Path) -> None:
    publish(run, Tables.load(run, params).corpus_texts)
    there = restored(run, tmp_path / "clone")
    before = {path.relative_to(there.report): path.read_bytes() for path in (there.report / "results").rglob("*") if path.is_file()}
    publish(there, Tables.load(there, params).corpus_texts)
    assert {path.relative_to(there.report): path.read_bytes() for path in (there.report / "results").rglob("*") if path.is_file()} == before


def test_no_prompt_no_corpus_row_and_few_generated_texts_are_published(run: Paths, params: Params) -> None:
    whole = pd.read_parquet(run.candidates / "candidates.parquet")
    folder = publish(run, Tables.load(run, params).corpus_texts)
    assert not list((folder / "corpora").glob("*.parquet")) and list((folder / "corpora").glob("*.json"))
    found = pd.read_parquet(folder / "candidates" / "candidates.parquet")
    assert len(found) == len(whole) and "prompt" not in found
    told = found[found["text"] != ""]
    assert 0 < len(told) <= 7 * whole["arm"].nunique()


def test_a_text_that_shares_words_with_a_corpus_is_not_published(run: Paths) -> None:
    shown = pd.read_parquet(publish(run, Texts([])) / "candidates" / "candidates.parquet")["text"]
    long = max(shown, key=lambda text: len(text.split()))
    if len(long.split()) < 6:
        long = "a text of at least six words indeed"
        frame = pd.read_parquet(run.candidates / "candidates.parquet")
        frame["text"] = long
        frame.to_parquet(run.candidates / "candidates.parquet")
    found = pd.read_parquet(publish(run, Texts([long])) / "candidates" / "candidates.parquet")["text"]
    assert long not in set(found) and WITHHELD_RUN in set(found)


def test_of_grounded_rows_only_those_shown_keep_their_text(run: Paths, params: Params) -> None:
    whole = pd.read_parquet(run.grounding / "rows.parquet")
    folder = publish(run, Tables.load(run, params).corpus_texts)
    found = pd.read_parquet(folder / "grounding" / "rows.parquet")
    assert len(found) == len(whole) and not {"prompt", "soft", "scored", "passage_id", "story_id", "utterance"} & set(found)
    told = found[found["text"] != ""]
    assert 0 < len(told) <= 10 * whole["arm"].nunique()
    assert (found.loc[found["text"] == "", ["context", "character"]] == "").all(axis=None)
    assert (found.loc[found["kind"] == "contextless", "context"] == "").all() and WITHHELD_TEXT in set(found["context"])
    pairs = pd.read_parquet(folder / "grounding" / "pairs.parquet")
    assert set(pairs) == {"pair_id", "emotion_a", "emotion_b", "ok", "shift"}
    labels = pd.read_parquet(folder / "grounding" / "confusion.parquet")
    assert (
        labels["count"].sum() == pd.read_parquet(run.grounding / "confusion.parquet")["count"].sum()
        and (labels["raw"].tail(12) == "").all()
    )
    assert pd.read_parquet(folder / "transfer" / "explanations.parquet")["row_id"].nunique() == 3


def test_no_passage_is_published(run: Paths, params: Params) -> None:
    folder = publish(run, Tables.load(run, params).corpus_texts)
    assert [path.name for path in (folder / "narratives").iterdir()] == ["stories.parquet"]
    guard = Texts([PASSAGE])
    for path in folder.rglob("*.parquet"):
        for column in pd.read_parquet(path).select_dtypes(["object", "string"]):
            assert not any(guard.shares_run(str(cell)) for cell in pd.read_parquet(path)[column]), (path, column)
    assert guard.shares_run(REPEATED)


def test_without_the_passages_no_grounded_text_is_published(run: Paths, params: Params) -> None:
    (run.narratives / "passages.parquet").unlink()
    folder = publish(run, Tables.load(run, params).corpus_texts)
    found = pd.read_parquet(folder / "grounding" / "rows.parquet")
    assert len(found) and (found[["text", "context", "character"]] == "").all(axis=None)
    assert not (folder / "transfer" / "explanations.parquet").exists()


def test_results_of_ones_own_are_left_alone(run: Paths, params: Params) -> None:
    publish(run, Tables.load(run, params).corpus_texts)
    shutil.rmtree(run.training)
    before = (run.candidates / "candidates.parquet").read_bytes()
    assert restore(run) == ["training"]
    assert (run.candidates / "candidates.parquet").read_bytes() == before and (run.training / "scores.parquet").is_file()


def test_a_profile_without_published_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no published results"):
        restore(Paths(tmp_path, "paper"))
