"""Energy of a stage: counters of a made-up machine, and the estimate where there are none."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from emosynth.errors import UserError
from emosynth.paths import Paths
from emosynth.runner import energy
from emosynth.runner.energy import Meter, metered, spent
from emosynth.runner.record import read_record, write_record


def zone(root: Path, place: str, name: str, microjoules: int, limit: int = 1_000_000_000) -> Path:
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in (("name", name), ("energy_uj", microjoules), ("max_energy_range_uj", limit)):
        (folder / file).write_text(f"{content}\n")
    return folder


def test_packages_and_memory_are_added_and_counters_may_go_round(tmp_path):
    first, second = zone(tmp_path, "intel-rapl:0", "package-0", 900_000_000), zone(tmp_path, "intel-rapl:1", "package-1", 0)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 0)
    others = [
        zone(tmp_path, "intel-rapl:0:0", "core", 0),
        zone(tmp_path, "intel-rapl:2", "psys", 0),
        zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0),
    ]
    meter = Meter(tmp_path)
    (first / "energy_uj").write_text("100000000")  # 0.2 kJ on, past its end
    for part in others:
        (part / "energy_uj").write_text("500000000")
    meter.look()
    (second / "energy_uj").write_text("120000000")
    (memory / "energy_uj").write_text("40000000")
    found = meter.spent(10.0)
    assert found["energy"] == "measured" and found["energy_wh"] == pytest.approx(0.36e9 / 3.6e9)


@pytest.mark.parametrize("how", ["none", "unreadable", "fails later"])
def test_without_counters_it_is_estimated_and_said(tmp_path, how):
    if how != "none":
        counter = zone(tmp_path, "intel-rapl:0", "package-0", 5) / "energy_uj"
        if how == "unreadable":
            counter.write_text("")
    meter = Meter(tmp_path)
    if how == "fails later":
        counter.write_text("?")
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    found = meter.spent(36_000.0)
    assert found["energy"] == "estimated at 36000 W a busy core" and 0.2 < found["core_seconds"] < 5
    assert found["energy_wh"] == pytest.approx(10 * found["core_seconds"], abs=0.6)


def test_children_that_have_ended_count(tmp_path):
    meter = Meter(tmp_path)
    child = os.fork()
    if not child:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
        os._exit(0)
    os.waitpid(child, 0)
    assert meter.spent(1.0)["core_seconds"] >= 0.2


def test_the_record_of_a_stage_has_it_and_outside_of_one_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "ZONES", tmp_path / "none")
    monkeypatch.setenv("EMOSYNTH_WATTS", "7.5")
    paths = Paths(tmp_path, "demo")
    with metered():
        write_record(paths, "00_corpora", 1.0, 2.0)
    assert spent() == {}
    write_record(paths, "01_seeding", 1.0, 2.0)
    first, second = read_record(paths.report / "timings.js")
    assert first["energy"] == "estimated at 7.5 W a busy core" and {"core_seconds", "energy_wh"} <= set(first)
    assert set(second) == {"stage", "seconds", "peak_mb"}


@pytest.mark.parametrize(
    "said", ["generation: all 540 texts already there", "generation: 540/540 texts, 12 already there", "generation: 540/540 texts"]
)
def test_a_step_that_found_work_of_an_earlier_run_says_so(tmp_path, said):
    paths = Paths(tmp_path, "demo")
    paths.logs.mkdir(parents=True)
    (paths.logs / "05_generation.log").write_text(f"{said}\n", encoding="utf-8")
    write_record(paths, "05_generation", 1.0, 2.0)
    (row,) = read_record(paths.report / "timings.js")
    assert row.get("resumed", False) is ("already" in said)


@pytest.mark.parametrize("given", ["much", "0", "-3", "nan", "inf"])
def test_what_is_no_power_is_said_before_the_stage_begins(monkeypatch, given):
    monkeypatch.setenv("EMOSYNTH_WATTS", given)
    with pytest.raises(UserError, match="EMOSYNTH_WATTS"), metered():
        raise AssertionError("it began")
