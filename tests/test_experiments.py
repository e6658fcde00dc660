"""Experiments as README tells them, in a fresh clone: an own profile up to its cheapest steps, and the published numbers of the demo."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from emosynth.cards import read_table
from emosynth.paths import Paths
from test_end_to_end import ROOT, copy_repository, environment
from test_readme import own_corpus

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]

SEEDS = "profiles/mine/dvc.yaml:01_seeding"
"""The cheapest step that depends on a number of the profile; it needs no download."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a profile of its own that is committed, and with the published report of the demo."""
    root = copy_repository(tmp_path_factory.mktemp("clone") / "repo")
    (root / "reports" / "demo").parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "-r", str(ROOT / "reports" / "demo"), str(root / "reports" / "demo")], check=True)
    own_corpus(root)
    mine = {
        "corpora": {"target": "mine", "custom": {"path": "mine.csv", "text": "text", "labels": "emotion"}},
        "cells": {"sizes": [30], "repeats": 3}, "shap": {"encoder_sizes": [30]},
    }  # fmt: skip
    (root / "profiles" / "mine.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    for name, value in (("user.name", "test"), ("user.email", "test@localhost")):
        subprocess.run(["git", "config", name, value], cwd=root, check=True)
    run(root, "python", "-m", "emosynth", "pipeline")
    run(root, "git", "add", "-A")
    run(root, "git", "commit", "-qm", "a profile")
    return root


def run(root: Path, *command: str, fails: bool = False) -> str:
    env = environment(root, root.parent / "cache")
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == fails, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout + (done.stderr if fails else "")


def test_a_fresh_clone_shows_the_published_numbers(clone: Path) -> None:
    shown = json.loads(run(clone, "dvc", "metrics", "show", "--json"))[""]["data"]
    assert shown["reports/demo/metrics.json"]["data"]["seed_rows"] == 80
    assert run(clone, "dvc", "params", "diff") == "", "nothing was changed"
    assert (Path(run(clone, "dvc", "plots", "show", "-o", "plots").split("file://")[-1].strip())).is_file()


def test_an_experiment_changes_one_number_runs_what_it_touches_and_is_kept(clone: Path) -> None:
    run(clone, "dvc", "exp", "run", "-n", "two", "-S", "profiles/mine.yaml:cells.repeats=2", SEEDS)
    assert yaml.safe_load((clone / "profiles" / "mine.yaml").read_text())["cells"] == {"sizes": [30], "repeats": 2}
    assert set(read_table(Paths(clone, "mine").seeds / "order.parquet")["repeat"]) == {0, 1}
    changed = json.loads(run(clone, "dvc", "params", "diff", "--json"))
    assert {name: change["new"] for name, change in changed["profiles/mine.yaml"].items()} == {"cells.repeats": 2} and len(changed) == 1
    kept = list(csv.DictReader(io.StringIO(run(clone, "dvc", "exp", "show", "--csv"))))
    assert "two" in {row["Experiment"] for row in kept}
    run(clone, "git", "checkout", "-q", "profiles/mine.yaml")
    again = run(clone, "dvc", "exp", "run", "-n", "three", SEEDS)
    assert (
        "is cached" in again
        or "didn't change" in again
        or set(read_table(Paths(clone, "mine").seeds / "order.parquet")["repeat"]) == {0, 1, 2}
    )


def test_a_key_that_the_file_lacks_and_one_that_nobody_knows_are_errors(clone: Path) -> None:
    before = (clone / "profiles" / "mine.yaml").read_text()
    assert "generation" in run(clone, "dvc", "exp", "run", "-S", "profiles/mine.yaml:generation.growth=2", SEEDS, fails=True)
    run(clone, "dvc", "exp", "run", "-S", "profiles/mine.yaml:cells.repeats=0", SEEDS, fails=True)
    (clone / "profiles" / "mine.yaml").write_text(before)


def test_an_unpacked_zip_runs_and_says_that_experiments_need_git(clone: Path, tmp_path: Path) -> None:
    root = tmp_path / "unpacked"
    shutil.copytree(clone, root, ignore=shutil.ignore_patterns(".git", "tmp", "cache", "config.local", "mine"))
    (root / "mine.csv").write_bytes((clone / "mine.csv").read_bytes())
    run(root, "python", "-m", "emosynth", "pipeline")
    run(root, "dvc", "repro", SEEDS)
    assert set(read_table(Paths(root, "mine").seeds / "order.parquet")["repeat"]) == {0, 1, 2}
    assert "git" in run(root, "dvc", "exp", "run", SEEDS, fails=True).lower()
    # Its exit status is of the whole machine, which may lack other things.
    doctor = subprocess.run(
        ["python", "-m", "emosynth", "doctor", "--profile", "mine"],
        cwd=root,
        env=environment(root, root / "cache"),
        capture_output=True,
        text=True,
    )
    assert "experiments" in doctor.stdout
