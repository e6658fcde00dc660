"""One source of versions: requirements.lock, pyproject.toml and environment.yml agree."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def locked() -> dict[str, str]:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[^\s;]+", line) for line in lines)
    return dict(line.split("==") for line in lines)


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"], *project["build-system"]["requires"]]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_every_requirement_is_locked_and_installed(requirement):
    lock = locked()
    name = canonicalize_name(requirement.name)
    assert name in lock
    assert requirement.specifier.contains(lock[name])
    assert version(name).split("+")[0] == lock[name]


def test_conda_takes_its_versions_from_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert "-r requirements.lock" in pip
    assert "python=3.11" in environment["dependencies"]
    assert not [d for d in environment["dependencies"] if isinstance(d, str) and d.split("=")[0] not in {"python", "pip"}]


def test_no_gpu_packages_are_locked():
    assert not [name for name in locked() if name.startswith(("nvidia", "triton", "cuda"))]
