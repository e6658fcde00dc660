"""``emosynth doctor``: says what is missing and what to do, changes nothing, and ends with 1 if something is."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from emosynth import cli, doctor
from emosynth.doctor import LOCKS, Finding, examine
from emosynth.paths import Paths
from own_cases import ROWS, lines

ROOT = Path(__file__).parent.parent


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where nothing is missing: own corpus, own stories, and a model that lies there."""
    made = tmp_path / "repo"
    for folder in ("data", ".git", ".dvc", "profiles", "notebooks", "stories"):
        (made / folder).mkdir(parents=True)
    for name in ("params.yaml", *LOCKS, *(f"data/{path.name}" for path in (ROOT / "data").glob("*.yaml"))):
        shutil.copy(ROOT / name, made / name)
    (made / ".dvc" / "config").touch()
    for name in ("model.gguf", "encoder.bin"):
        (made / name).touch()
    (made / "mine.csv").write_text(lines(ROWS))
    writer = {"backend": "openvino", "model": "model.gguf"}
    profile: dict[str, Any] = {
        "corpora": {"target": "mine", "custom": {"path": "mine.csv"}},
        "cells": {"sizes": [10]},
        "models": {"writer": writer, "encoder": "./encoder.bin"},
        "narratives": {"sources": ["stories"]},
    }
    (made / "profiles" / "mine.yaml").write_text(yaml.safe_dump(profile))
    monkeypatch.setattr("emosynth.pipeline.stale_pipelines", lambda *given: [])
    monkeypatch.setattr(doctor, "_index", lambda name: False)
    monkeypatch.setattr(doctor, "_installed", lambda root: iter([Finding("packages", "as locked")]))
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOSYNTH_MIRROR", raising=False)
    return made


def look(root: Path, profile: str = "mine") -> dict[str, Finding]:
    return {item.what: item for item in examine(Paths(root, profile))}


def missing(root: Path, profile: str = "mine") -> dict[str, Finding]:
    return {what: item for what, item in look(root, profile).items() if item.remedy and item.needed}


def test_a_machine_that_is_ready(root: Path, capsys: pytest.CaptureFixture) -> None:
    before = sorted(root.rglob("*"))
    assert missing(root) == {}
    assert cli.main(["--root", str(root), "doctor", "--profile", "mine"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "ready" and "MISSING" not in said and "corpus mine" in said
    assert sorted(root.rglob("*")) == before and not Paths(root, "mine").cache.exists(), "nothing is changed"


class Usage(NamedTuple):
    free: float


CASES: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], Any], str, str]] = {
    "python": (lambda root, patch: patch.setattr(sys, "version_info", (3, 10, 0)), "Python", "3.11 to 3.14"),
    "disk": (lambda root, patch: patch.setattr(shutil, "disk_usage", lambda place: Usage(1e9)), "disk", "EMOSYNTH_CACHE"),
    "memory": (lambda root, patch: patch.setattr(doctor, "MEMORY_GB", 1e6), "memory", "models.writer.batch"),
    "ports": (lambda root, patch: patch.setattr(socket, "create_server", refuse), "notebooks", "127.0.0.1"),
    "dvc": (lambda root, patch: (root / ".dvc" / "config").unlink(), "DVC", "make -B setup"),
    "profile": (lambda root, patch: (root / "profiles" / "mine.yaml").write_text("cells: {repaets: 1}"), "profile mine", "params"),
    "no profile": (lambda root, patch: (root / "profiles" / "mine.yaml").unlink(), "profile mine", "Write it"),
    "corpus": (lambda root, patch: (root / "mine.csv").unlink(), "corpus mine", "profiles/mine.yaml"),
    "column": (lambda root, patch: changed(root, corpora={"target": "mine", "custom": {"path": "mine.csv", "text": "txet", "labels": "label"}}), "corpus mine", "corpora.custom.text: text"),
    "seeds": (lambda root, patch: changed(root, cells={"sizes": [10, 5000]}), "corpus mine", "cells.per.mine.sizes"),
    "model": (lambda root, patch: (root / "model.gguf").unlink(), "models and data", "data/catalog.yaml"),
    **{
        f"model {name}": (lambda root, patch, name=name: writes_with(root, name), "models and data", "a path (from the repository")
        for name in ("nope/missing.gguf", "./nope", "../nope/model", "/nope/model", "~/nope-model", "a/b/c")
    },
    "model of another form": (lambda root, patch: writes_with(root, "./encoder.bin"), "model ./encoder.bin", "backend: transformers"),
    "folder without a model": (lambda root, patch: writes_with(root, "stories"), "model stories", "openvino_model.xml"),
}  # fmt: skip


def changed(root: Path, **sections: Any) -> None:
    """Write other sections into the profile."""
    path = root / "profiles" / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))


def writes_with(root: Path, model: str, **more: Any) -> None:
    """Give the profile another writer; the reader stays the one that is there."""
    changed(root, models={"writer": {"backend": "openvino", "model": model} | more, "reader": "model.gguf", "encoder": "./encoder.bin"})


def refuse(*given: Any, **more: Any) -> Any:
    raise OSError(13, "Permission denied")


def test_a_pipeline_file_that_is_not_there_yet_keeps_nobody_from_running(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emosynth.pipeline.stale_pipelines", lambda *given: [root])
    found = look(root)["pipeline file"]
    assert missing(root) == {} and "make reproduce PROFILE=mine writes it" in found.remedy and "emosynth pipeline" in found.remedy


@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_is_said_with_what_to_do(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, case: str
) -> None:
    spoil, what, remedy = CASES[case]
    spoil(root, monkeypatch)
    found = missing(root)
    assert set(found) == {what} and remedy in found[what].remedy
    assert cli.main(["--root", str(root), "doctor", "--profile", "mine"]) == 1
    said = capsys.readouterr().out
    assert f"MISSING {what}" in said and remedy in said and "not ready" in said


def test_what_can_be_fetched_needs_a_network_and_what_is_there_does_not(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "network" in missing(root, "demo") and "vader-tweets" in look(root, "demo")["models and data"].found
    monkeypatch.setattr(doctor, "_index", lambda name: True)
    assert missing(root, "demo") == {}
    monkeypatch.setattr(doctor, "_index", lambda name: False)
    for name in ("vader-tweets", "smollm2-135m-instruct", "all-minilm-l6-v2", "orange3-narratives"):
        (Paths(root, "demo").cache / "assets" / f"{name}-0123456789ab").mkdir(parents=True)
    assert missing(root, "demo") == {}


def test_models_of_openvino_are_gguf_files_or_exported_folders(root: Path) -> None:
    """A hub id may be an export: it is fetched, with a word of advice."""
    writes_with(root, "someone/model")
    note = look(root)["model someone/model"]
    assert missing(root) == {} and not note.needed and "exported to OpenVINO" in note.found
    writes_with(root, "someone/model", backend="transformers")
    assert "model someone/model" not in look(root)
    for name in ("model.gguf", "openvino_model.xml"):
        folder = root / name.partition(".")[0]
        folder.mkdir()
        (folder / name).touch()
        writes_with(root, f"./{folder.name}")
        assert missing(root) == {}


def test_an_index_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "INDEX_URL": "http://127.0.0.1:9/simple",
        "NO_INDEX": "0",
        "FIND_LINKS": "",
        "EXTRA_INDEX_URL": "",
        "CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    assert doctor._index("vaderSentiment") is False


def test_a_place_without_git_is_ready_and_told_so(root: Path) -> None:
    (root / ".git").rmdir()
    found = look(root)["git"]
    assert not found.needed and "git init" in found.remedy and missing(root) == {}


def test_a_server_that_is_not_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    profile = yaml.safe_load((root / "profiles" / "mine.yaml").read_text())
    writer = {"backend": "server", "model": "m", "url": "http://127.0.0.1:9/v1", "urls": ["http://127.0.0.1:7/v1"]}
    profile["models"] |= {"writer": writer, "reader": "model.gguf"}
    profile["models"]["others"] = {"small": {"model": "model.gguf"}}
    profile["writers"] = {"tuned": {"model": "small"}, "biasable": None}
    (root / "profiles" / "mine.yaml").write_text(yaml.safe_dump(profile))
    found = missing(root)
    for name in ("server of models.writer (1 of 2)", "server of models.writer (2 of 2)"):
        assert "does not answer" in found[name].found and "models.writer.url" in found[name].remedy


def test_packages_are_held_against_the_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    hashes = f" \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\n"
    lines = ["pydantic==0.0.1", "no-such-thing==1.0", "of-another-system==1.0 ; sys_platform == 'none'", f"numpy=={version('numpy')}"]
    (root / "requirements.lock").write_text("# a comment\n" + "".join(line + hashes for line in lines))
    (found,) = doctor._installed(root)
    assert "2 differ" in found.found and "no-such-thing missing instead of 1.0" in found.found and found.remedy == "make -B setup"
    (root / "torch.lock").write_text("torch==0.1\n")
    (found,) = doctor._installed(root)
    assert "3 differ" in found.found and "torch" in found.found
    (root / "torch.lock").unlink()
    (found,) = doctor._installed(root)
    assert found.remedy == "Restore torch.lock from the repository."
