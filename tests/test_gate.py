"""The gate after generation: nothing unusable is kept, and a run that writes nothing else stops and says why."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from emosynth import progress as progress_code
from emosynth.checks.base import Judged
from emosynth.checks.nonempty import NonemptyCheck
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.generation import build as build_code
from emosynth.generation import costs
from emosynth.generation.build import build_candidates, plan_all
from emosynth.generation.fill import ask
from emosynth.generation.gate import EARLY, Gate, kind_of
from emosynth.generation.narrative import Cast, Example, plan_narrative
from emosynth.generation.slots import needs_of
from emosynth.generation.write import write_all
from emosynth.models.lm import Completion, Request, pool
from emosynth.models.lm.server import ServerModel
from emosynth.params import Decoding, Generation, Generator, Params
from emosynth.params.base import deep_merge
from emosynth.paths import Paths
from emosynth.progress import Progress
from emosynth.store import RowStore
from emosynth.writers import list_uses
from writing_fakes import CHARACTERS, PASSAGES, SINGLE, Answering, FakeSeeds, RuleModel, WireModel, params_of, said

GOOD = ' made by {} today" he said'
EMPTY = Completion("", "stop", 5, 0, "no text")
CUT = Completion("made and cut and", "length", 5, 40)
REFUSED = Completion("", "refused", 0, 0, "HTTP 400: \x1b[31mnot this prompt")


def small(**sections: Any) -> Params:
    return params_of(**({"arms": {"naive": {"checks": {}}}, "cells": {"sizes": [20], "repeats": 1}} | sections))


def run(params: Params, model: Any, path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    with RowStore(path / "rows.sqlite") as store:
        plan = plan_all(params, FakeSeeds(params), Paths(Path("/nowhere"), "x"))  # type: ignore[arg-type]
        rows, account = write_all(plan, params, lambda *_: model, store)
    return pd.DataFrame(rows), account


def kept(path: Path) -> int:
    with sqlite3.connect(path / "rows.sqlite") as db:
        return int(db.execute("select count(*) from rows").fetchone()[0])


def good(request: Request) -> str:
    return GOOD.format(request.row_seed)


# --- what is unusable -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "finish", "whole", "kind"),
    [
        ("fine", "stop", True, ""),
        ("fine", "length", True, ""),
        ("fine", "length", False, "cut"),
        ("\N{GRINNING FACE}", "stop", True, ""),
        ('"…', "stop", True, "empty"),
        (" ", "length", False, "empty"),
        ("", "refused", False, "refused"),
        ("", "failed", False, "refused"),
    ],
)
def test_what_cannot_be_used(text: str, finish: str, whole: bool, kind: str) -> None:
    assert kind_of(text, finish, whole) == kind


@pytest.mark.parametrize(
    ("kind", "bad", "total", "stops"),
    [
        # The demo's worst origins, by complete and nonempty of reports/demo/results/verdicts; and what 20 tokens leave of the smoke profile's.
        ("cut", 91, 360, False), ("cut", 195, 810, False), ("empty", 25, 180, False), ("cut", 32, 45, False), ("cut", 57, 88, False),
        ("cut", 15, 15, False), ("cut", 16, 16, True), ("cut", 88, 100, True),
        ("empty", 3, 3, False), ("empty", 4, 4, True), ("refused", 5, 6, False), ("refused", 30, 60, False), ("refused", 45, 60, True),
    ],
)  # fmt: skip
def test_the_bounds_are_exceeded_only_for_sure(kind: Any, bad: int, total: int, stops: bool) -> None:
    gate = Gate("x", (Generation().unusable, Generation().cut))
    for place in range(total):
        gate.add(kind if place < bad else "", {"text": "t"})
    try:
        gate.check()
        assert not stops
    except UserError as error:
        assert stops and f"{bad} of {total}" in str(error)


def test_while_texts_arrive_more_evidence_is_needed() -> None:
    gate = Gate("x", (0.5, 0.8))
    for _ in range(16):
        gate.add("empty", {"text": ""})
        gate.check(EARLY)
    gate.add("empty", {"text": ""})
    with pytest.raises(UserError):
        gate.check(EARLY)


# --- a server that writes nothing usable ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "remedy"),
    [
        (EMPTY, "empty", "max_new_tokens"),
        (Completion("", "length", 5, 40, "no text: the model thinks first"), "empty", "thinks"),
        (CUT, "cut", "max_new_tokens"),
        (REFUSED, "refused", "what the answer says"),
        (Completion("", "failed", 0, 0, "HTTP 500, 12 times"), "refused", "what the answer says"),
    ],
)
def test_a_run_of_unusable_answers_stops_and_keeps_none(tmp_path: Path, answer: Completion, kind: str, remedy: str) -> None:
    model = WireModel(lambda _: answer)
    with pytest.raises(UserError) as caught:
        run(small(), model, tmp_path)
    message = str(caught.value)
    assert f"{kind} (the first:" in message and remedy in message and "generation.unusable" in message and "none@plain" in message
    assert answer.error.replace("\x1b", "") in message.replace("\\x1b", "") and "\x1b" not in message
    assert len(model.asked) == (40 if kind == "cut" else 17) and kept(tmp_path) == 0, "not all were paid for"
    mended = WireModel(good)
    frame, _ = run(small(), mended, tmp_path)
    assert len(mended.asked) == len(frame) == 40 == kept(tmp_path)


def test_the_bounds_are_parameters(tmp_path: Path) -> None:
    params = small(generation={"unusable": 1.0, "oversample": 2.0})
    frame, account = run(params, WireModel(lambda _: EMPTY), tmp_path)
    assert (frame["text"] == "").all() and not frame["complete"].any() and kept(tmp_path) == 0
    assert account["unusable"] == {"none@plain": {"text": {"empty": 40, "cut": 0, "refused": 0}}}


def test_a_few_empty_answers_are_asked_again_the_next_time_alone(tmp_path: Path) -> None:
    def rule(request: Request) -> Any:
        return EMPTY if request.row_seed % 4 == 0 else good(request)

    first = WireModel(rule)
    frame, _ = run(small(), first, tmp_path)
    empty = int((frame["text"] == "").sum())
    assert 0 < empty < 20 and set(frame.loc[frame["text"] == "", "error"]) == {"no text"}
    mended = WireModel(good)
    frame, _ = run(small(), mended, tmp_path)
    assert len(mended.asked) == empty and (frame["text"] != "").all() and (frame["error"] == "").all()


def test_a_row_that_is_refused_is_kept_as_refused_and_costs_no_other(tmp_path: Path) -> None:
    def rule(request: Request) -> Any:
        return REFUSED if len(model.asked) in (1, 7) else good(request)

    model = WireModel(rule)
    frame, account = run(small(), model, tmp_path)
    bad = frame[frame["finish"] == "refused"]
    assert len(bad) == 2 and set(bad["error"]) == {REFUSED.error} and (bad["text"] == "").all() and not bad["complete"].any()
    assert account["unusable"]["none@plain"]["text"]["refused"] == 2
    scores = NonemptyCheck().score(Judged(frame, Cell("toy", 0, 20), [], SINGLE, "note", None, None))  # type: ignore[arg-type]
    assert (scores == 0).sum() == 2
    again = WireModel(good)
    same, _ = run(small(), again, tmp_path)
    assert again.asked == [] and same.equals(frame), "one refused prompt does not keep a run from its end"


def test_a_refused_row_that_alone_is_left_is_kept_beside_those_answered_before(tmp_path: Path) -> None:
    killed = WireModel(good, breaks_at=39)
    with pytest.raises(KeyboardInterrupt):
        run(small(), killed, tmp_path)
    assert kept(tmp_path) == 39, "as they arrive"
    frame, _ = run(small(), WireModel(lambda _: REFUSED), tmp_path)
    assert (frame["finish"] == "refused").sum() == 1 and kept(tmp_path) == 40


def test_a_server_that_fails_for_the_rest_is_no_fault_of_the_rows(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(small(), WireModel(good, breaks_at=10), tmp_path)
    with pytest.raises(UserError, match="cannot be used"):
        run(small(), WireModel(lambda _: REFUSED), tmp_path)
    assert kept(tmp_path) == 10


def test_texts_that_are_cut_are_kept_beside_whole_ones_and_not_asked_again(tmp_path: Path) -> None:
    model = WireModel(lambda request: CUT if request.row_seed % 3 == 0 else good(request))
    frame, _ = run(small(), model, tmp_path)
    assert 0 < (~frame["complete"]).sum() < 20 and kept(tmp_path) == 40
    again = WireModel(good)
    assert run(small(), again, tmp_path)[0].equals(frame) and again.asked == []


def test_what_follows_a_refused_text_is_not_asked(tmp_path: Path) -> None:
    params = params_of(arms={"n": {"guide": "narrative", "checks": {}}}, cells={"sizes": [20], "repeats": 1})
    uses = list_uses(params)
    needs = needs_of(params, uses)
    plan = plan_narrative(uses[0].origin, needs, {"toy": SINGLE}, Cast.of(PASSAGES, CHARACTERS), FakeSeeds(params))  # type: ignore[arg-type]
    assert isinstance(plan[0], Example)

    def rule(request: Request) -> Any:
        return REFUSED if request == first else " a letter. Then it rained."

    first = plan[0].ask("context", {}).request
    model = WireModel(rule)
    with RowStore(tmp_path / "rows.sqlite") as store:
        rows, _ = write_all(plan, params, lambda *_: model, store)
    lost = [row for row in rows if row["finish"] == "refused"]
    assert {row["candidate_id"].rpartition("/")[2] for row in lost} == {"contextual", "contextless"}
    assert all((row["text"], row["error"], row["new_tokens"]) == ("", REFUSED.error, 0) for row in lost)
    assert len(model.asked) == sum(len(item.steps) for item in plan) - 2


def test_a_local_model_stops_before_its_unit_is_kept(tmp_path: Path) -> None:
    class Mute(RuleModel):
        def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
            return [Completion('"', "stop", 5, 1) for _ in super().generate(requests, decoding)]

    params = small(models={"writer": {"batch": 30}})
    with pytest.raises(UserError, match=r"30 of 30 texts cannot be used: 30 empty"):
        run(params, Mute(), tmp_path)
    assert kept(tmp_path) == 0


def test_what_is_asked_besides_goes_through_a_gate_for_servers_alone(tmp_path: Path) -> None:
    requests = [Request("p", row) for row in range(20)]
    with RowStore(tmp_path / "rows.sqlite") as store:
        with pytest.raises(UserError, match="empty"):
            ask(WireModel(lambda _: EMPTY), Decoding(), 8, "names", requests, store)
        assert len(ask(WireModel(lambda _: CUT), Decoding(), 8, "names", requests, store)) == 20


# --- through the whole step, from a real server ---------------------------------------------------------


Serve = Callable[..., tuple[Answering, ServerModel]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setattr(pool, "BASE_DELAY", 0.01)
    opened: list[Answering] = []

    def start(rule: Any) -> tuple[Answering, ServerModel]:
        opened.append(Answering(rule))
        return opened[-1], ServerModel(Generator(backend="server", model="m", url=opened[-1].url, timeout=5.0))

    yield start
    for http in opened:
        http.close()


@pytest.mark.parametrize("style", ["plain", "chat"])
@pytest.mark.parametrize(
    "text", ['"I am glad"', '\n\n"I am glad"\n', '<think>\nhm\n</think>\n"I am glad"', "I am glad", '- "I am glad"', "“I am glad”"]
)
def test_a_server_that_only_chats_is_understood(serve: Serve, tmp_path: Path, style: str, text: str) -> None:
    _, model = serve(lambda path, _: said(text) if "chat" in path else (404, {}))
    frame, account = run(small(generation={"style": style, "oversample": 2.0}), model, tmp_path)
    assert set(frame["text"]) == {"I am glad"} and frame["complete"].all()
    assert ("notes" in account["generators"]["openvino:smollm2-135m-instruct"]) is (style == "plain")
    _, idle = serve(lambda *_: "drop")
    assert run(small(generation={"style": style, "oversample": 2.0}), idle, tmp_path)[1] == account, "what was found out is said again"


@pytest.mark.parametrize("text", [None, "", "<think>", '"', "\n"])
def test_a_server_without_a_word_stops_the_step(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    http, model = serve(lambda path, _: said(text) if "chat" in path else (404, {}))
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build_code, "Seeds", lambda params, paths: FakeSeeds(params))
    monkeypatch.setattr(build_code, "open_writer", lambda *_: model)
    paths = Paths(tmp_path, "x")
    with pytest.raises(UserError, match="cannot be used"):
        build_candidates(small(), None, paths)  # type: ignore[arg-type]
    assert not (paths.candidates / "candidates.parquet").exists() and len(http.seen) < 40


def test_what_was_written_has_its_cost_in_the_account_and_by_origin(tmp_path: Path) -> None:
    writer = {"backend": "server", "model": "m", "price_in": 100.0, "price_out": 300.0}
    for models in ({"writer": writer, "reader": "r"}, {"writer": {"model": "m"}}):
        params = small(models=models)
        for _ in range(2):  # the second time from the cache
            frame, account = run(params, WireModel(good), tmp_path)
            step, table = account["steps"]["none@plain"]["text"], costs(frame, params)
            assert step["prompt_tokens"] == 20 * 40 and step["new_tokens"] == 10 * 40
            assert step.get("cost") == (0.2 if models["writer"] is writer else None)
            assert (table["cost"].tolist() == [pytest.approx(0.2)]) if models["writer"] is writer else "cost" not in table
    edited = pd.concat([frame, frame.assign(origin="eda", writer="none", prompt_tokens=0, new_tokens=0)])
    assert costs(edited, small(models={"writer": writer, "reader": "r"}))["cost"].tolist() == [pytest.approx(0.2), 0.0]


def test_a_spent_budget_keeps_what_it_paid_for_and_is_gone_on_with(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    http, model = serve(lambda *_: said('I am glad"', chat=False))
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build_code, "Seeds", lambda params, paths: FakeSeeds(params))
    paths = Paths(tmp_path, "x")

    def build(budget: int) -> pd.DataFrame:
        generator = model.generator.model_copy(update={"max_tokens": budget, "concurrency": 2})
        monkeypatch.setattr(build_code, "open_writer", lambda *_: ServerModel(generator, tmp_path / "spent.sqlite"))
        return build_candidates(small(), None, paths)[0]  # type: ignore[arg-type]

    with pytest.raises(UserError, match="budget of the writer m is spent"):
        build(300)
    made = len(http.seen)
    assert 12 <= made < 40 and not (paths.candidates / "candidates.parquet").exists()
    assert set(build(3000)["text"]) == {"I am glad"} and len(http.seen) == 40, "each text is asked for once"


def test_warnings_stand_on_the_terminal_in_the_notebook_and_in_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EMOSYNTH_PROGRESS", str(tmp_path / "log"))
    monkeypatch.setattr(build_code, "Seeds", lambda params, paths: FakeSeeds(params))
    model = WireModel(lambda request: REFUSED if request.row_seed % 5 == 0 else good(request))
    model.notes = ["the server does not take seed; it is left out"]
    monkeypatch.setattr(build_code, "open_writer", lambda *_: model)
    paths = Paths(tmp_path, "x")
    frame, _ = build_candidates(small(), None, paths)  # type: ignore[arg-type]
    line = f"Of 40 texts of none@plain, {(frame['finish'] == 'refused').sum()} are refused."
    assert f"warning: generation: {line}" in (tmp_path / "log").read_text()
    assert line in capsys.readouterr().out
    card = (paths.candidates / "candidates.md").read_text()
    assert line in card and "does not take seed" in card


def test_what_the_page_on_scale_shows_is_valid() -> None:
    page = (Path(__file__).parents[1] / "docs" / "scale.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.S)]
    writers = [params_of(**deep_merge(blocks[0], block)).models.writer for block in blocks]
    assert [writer.backend for writer in writers].count("server") == 8 and len(writers) == 9
    assert all(ServerModel(writer).addresses for writer in writers if writer.backend == "server")


# --- progress -------------------------------------------------------------------------------------------


def lines_of(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[float]]:
    lines: list[str] = []
    now = [0.0]
    monkeypatch.setattr(progress_code, "say", lines.append)
    monkeypatch.setattr(progress_code.time, "monotonic", lambda: now[0])
    return lines, now


def test_no_forecast_before_the_warm_up_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, now = lines_of(monkeypatch)
    progress = Progress(420, "generation", "texts")
    for second, done in ((30, 2), (35, 30), (40, 130), (45, 230)):  # thirty seconds until a model is loaded, then 20 texts a second
        now[0] = second
        progress.at(done)
    assert lines[0] == "generation: 2/420 texts" and lines[1] == "generation: 30/420 texts"
    assert lines[2] == "generation: 130/420 texts, 20.0/s, 0:14 left" and lines[3].endswith("20.0/s, 0:10 left")


def test_the_warm_up_of_long_work_is_over_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, now = lines_of(monkeypatch)
    progress = Progress(10_000, "generation", "texts")
    for second, done in ((100, 1), (130, 20), (161, 31), (171, 41), (181, 51)):  # a model is loaded; then a text a second
        now[0] = second
        progress.at(done)
    assert not any("left" in line for line in lines[:3])
    assert lines[3].endswith("1.0/s, 165:59 left") and lines[4].endswith("1.0/s, 165:49 left")


def test_what_is_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    params = params_of()
    run(params, RuleModel(), tmp_path)
    lines, _ = lines_of(monkeypatch)
    _, account = run(params, RuleModel(), tmp_path)
    total = sum(step["texts"] for steps in account["steps"].values() for step in steps.values())
    assert lines == [f"generation: all {total} texts already there"]
