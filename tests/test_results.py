"""Published result tables: no text in them, and the same report made from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from emosynth.catalog import Catalog
from emosynth.errors import UserError
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.report import build_report
from emosynth.report.figures.base import figures, why_left_out
from emosynth.report.pages import PAGES, render_pages
from emosynth.report.results import publish, restore, shown_rows
from emosynth.report.scores import left_rows
from emosynth.report.tables import Tables, Texts
from fake_results import COPIED, PASSAGE, fake_params, write_fake_results


@pytest.fixture(scope="module")
def params() -> Params:
    return fake_params(evidence={"resamples": 100}, learners={"trees": None}, figures={"formats": ["svg"], "dpi": 50})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Paths:
    paths = write_fake_results(tmp_path_factory.mktemp("run"), params)
    build_report(params, Catalog.load(paths), paths)
    return paths


def clone(run: Paths, root: Path) -> Paths:
    """Another checkout, with nothing of the run but what git would hold."""
    paths = Paths(root, run.profile)
    shutil.copytree(run.report, paths.report)
    for name in ("data/claims.yaml", "data/catalog.yaml", "params.yaml"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(run.root / name, root / name)
    return paths


def test_arms_that_were_not_trained_are_told_with_their_reason(run: Paths, params: Params) -> None:
    tables = Tables(run, params)
    (row,) = left_rows(tables)
    assert row["why"] == "it cannot be trained so" and row["classifier"] == tables.looks.learner("tfidf")
    assert row["arms"] == f"{tables.looks.title('emo-pillars')} and {tables.looks.title('ungrounded')}"
    assert all(name in row["corpora"] for name in params.corpora.names)
    assert row["why"] in (run.report / "training.html").read_text(encoding="utf-8")


def published(paths: Paths) -> dict[str, bytes]:
    folder = paths.report / "results"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_everything_can_be_made_again_from_what_is_published(run: Paths, params: Params, tmp_path: Path) -> None:
    there = clone(run, tmp_path)
    assert "trials" in restore(there)
    ours, theirs = Tables(run, params), Tables(there, params)
    for figure in figures():
        pd.testing.assert_frame_equal(figure.frame(theirs), figure.frame(ours))
    before = {path.name: path.read_bytes() for path in there.report.glob("*.html")}
    render_pages(theirs, Catalog.load(there), {figure.name: why for figure in figures() if (why := why_left_out(figure, theirs))})
    assert {path.name: path.read_bytes() for path in there.report.glob("*.html")} == before and len(before) == 1 + len(PAGES)
    kept = published(there)
    publish(theirs)
    assert published(there) == kept


def test_nothing_published_holds_real_text(run: Paths, params: Params) -> None:
    tables = Tables(run, params)
    guard = Texts([*tables.need(f"corpora/{tables.target}")["text"], PASSAGE])
    names = published(run)
    assert (
        not any(name.startswith("corpora/") and name.endswith(".parquet") for name in names) and "narratives/passages.parquet" not in names
    )
    assert "materials/shap_rows.parquet" not in names and "candidates/candidates.parquet" not in names
    for path in (run.report / "results").rglob("*.parquet"):
        frame = pd.read_parquet(path)
        assert not {"prompt", "text_full", "context", "context_a", "utterance"} & set(frame), path
        for column in frame.select_dtypes(["object", "string"]):
            assert not any(guard.shares_run(str(cell)) for cell in frame[column]), (path, column)


def test_predictions_are_published_as_labels(run: Paths) -> None:
    frame = pd.read_parquet(run.report / "results" / "trials" / "predictions.parquet")
    assert list(frame.columns) == ["trial_id", "corpus", "predicted"] and len(frame["predicted"].iloc[0]) == 240


def test_without_the_passages_no_text_is_shown(run: Paths, params: Params, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(run.root, root)
    (root / "data" / "demo" / "narratives" / "passages.parquet").unlink()
    shown = shown_rows(Tables(Paths(root, "demo"), params))
    assert shown is not None and len(shown) and (shown["text"] == "").all() and (shown["withheld"] != "").all()
    assert COPIED not in set(shown["text"])


def test_results_of_ones_own_are_left_alone(run: Paths, tmp_path: Path) -> None:
    there = clone(run, tmp_path)
    own = there.data / "trials" / "trials.parquet"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"my own")
    assert "trials" not in restore(there) and own.read_bytes() == b"my own" and (there.data / "verdicts").is_dir()


def test_a_profile_without_published_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no published results"):
        restore(Paths(tmp_path, "paper"))
