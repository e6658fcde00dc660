"""What a run says of the time it will take: nothing before it is known, then the work under way, then the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import emosynth.progress as code
from emosynth.paths import Paths
from emosynth.pipeline import STAGES
from emosynth.progress import AFTER, Progress, span
from emosynth.runner.record import ahead, read_record, write_record

ORDER = [item.name for item in STAGES]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines that are said by work which takes thirty seconds to begin and then makes 20 texts a second."""
    said: list[str] = []
    now = [0.0]
    monkeypatch.setattr(code, "say", said.append)
    monkeypatch.setattr(code.time, "monotonic", lambda: now[0])
    progress = Progress(420, "generation", "texts")
    for second, done in ((30, 2), (35, 30), (40, 130), (45, 230)):
        now[0] = second
        progress.at(done)
    return said


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AFTER, "600 900")


def test_the_run_has_a_forecast_once_the_work_under_way_has_one(known: None, lines: list[str]) -> None:
    assert lines[:2] == ["generation: 2/420 texts", "generation: 30/420 texts"]
    assert lines[2].endswith("20.0/s, 0:14 left; with the steps after it 10 to 15 min")


@pytest.mark.parametrize("after", ["", "600"])
def test_where_nobody_knows_what_follows_only_the_work_has_a_forecast(after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AFTER, after)
    assert code._whole(60.0) == ""


def test_spans() -> None:
    assert (span(0, 20), span(60, 150), span(100, 110)) == ("1 min", "1 to 2 min", "2 min")


# --- what the runner knows ----------------------------------------------------------------------------------


def recorded(tmp_path: Path, seconds: dict[str, float]) -> Paths:
    paths = Paths(tmp_path, "demo")
    for name in ORDER:
        if name in seconds:
            write_record(paths, name, seconds[name], 1.0)
    (paths.logs / "pace.json").unlink(missing_ok=True)
    return paths


def test_nothing_is_said_of_steps_that_were_never_timed(tmp_path: Path) -> None:
    paths = recorded(tmp_path, dict.fromkeys(ORDER[:-2], 100.0))
    assert ahead(paths, ORDER[4]) is None and ahead(paths, "09_try") is None
    assert ahead(recorded(tmp_path, dict.fromkeys(ORDER, 100.0)), ORDER[-1]) is None, "nothing follows"


def test_the_record_and_the_pace_of_this_run_are_the_two_ends(tmp_path: Path) -> None:
    paths = recorded(tmp_path, dict.fromkeys(ORDER, 100.0))
    low, high, words = ahead(paths, ORDER[8]) or (0, 0, "")
    assert (low, high) == (300, 300) and words == "3 steps follow: 5 min, as they took when reports/demo/timings.js was written"
    write_record(paths, ORDER[0], 200.0, 1.0)
    write_record(paths, ORDER[1], 100.0, 1.0)
    low, high, words = ahead(paths, ORDER[8]) or (0, 0, "")
    assert (low, high) == (300, 450) and words.startswith("3 steps follow: 5 to 8 min") and "(1.5 times that)" in words
    write_record(paths, ORDER[0], 400.0, 1.0)  # another run begins: the pace of the one before says nothing of it
    assert json.loads((paths.logs / "pace.json").read_text()) == {ORDER[0]: [200.0, 400.0]}
    low, high, _ = ahead(paths, ORDER[8]) or (0, 0, "")
    assert (low, high) == (300, 600)


def test_a_step_of_seconds_says_nothing_of_the_pace(tmp_path: Path) -> None:
    paths = recorded(tmp_path, dict.fromkeys(ORDER, 100.0) | {ORDER[0]: 5.0})
    write_record(paths, ORDER[0], 50.0, 1.0)
    assert (ahead(paths, ORDER[8]) or (0, 0))[:2] == (300, 300)


def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    paths = recorded(tmp_path, dict.fromkeys(ORDER, 100.0))
    paths.logs.mkdir(parents=True, exist_ok=True)
    for damaged in ("{", "[1]", '{"00_corpora": 3}', '{"00_corpora": ["a", "b"]}'):
        (paths.logs / "pace.json").write_text(damaged)
        assert (ahead(paths, ORDER[8]) or (0, 0))[:2] == (300, 300)
    assert len(read_record(paths.report / "timings.js")) == len(ORDER)


def test_one_thing_has_no_s():
    from emosynth.corpora.shares import said_of_conflicts
    from emosynth.progress import counted

    assert [counted(count, "row") for count in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]
    assert said_of_conflicts({"texts": 1, "rows": 2, "done": "kept", "dropped": 0}).startswith(
        "1 text stands with several labels, in 2 rows:"
    )
