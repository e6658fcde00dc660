"""One source of versions: requirements.lock, pyproject.toml and environment.yml agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from emosynth import doctor

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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"python{project['requires-python']}" in environment["dependencies"]
    assert not [d for d in environment["dependencies"] if isinstance(d, str) and re.split("[=<>]", d)[0] not in {"python", "pip"}]


def test_no_gpu_packages_are_locked():
    assert not [name for name in locked() if name.startswith(("nvidia", "triton", "cuda"))]


PYTHONS = ["3.12", "3.13", "3.14"]
SOURCE_ONLY = {"lexicalrichness", "antlr4-python3-runtime"}
"""Pure Python that is published as source alone; everything else must have a wheel."""


def test_the_makefile_takes_the_pythons_that_the_project_declares(tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.15"
    assert doctor.PYTHONS == ((3, 11), (3, 14))
    for version_, fits in {"3.10": False, "3.11": True, "3.12": True, "3.14": True, "3.15": False}.items():
        assert (version_ in SpecifierSet(project["requires-python"])) == fits
        fake = tmp_path / version_ / "python3"
        fake.parent.mkdir()
        numbers = tuple(map(int, version_.split(".")))
        fake.write_text(f"#!{sys.executable}\nimport sys\nsys.version_info = ({numbers[0]}, {numbers[1]}, 0)\nexec(sys.argv[2])\n")
        fake.chmod(0o755)
        done = subprocess.run(["make", "-n", "setup", f"PYTHON={fake}"], cwd=ROOT, capture_output=True, text=True, check=True)
        check = next((line for line in done.stdout.splitlines() if "is needed; found" in line), None)
        if check is None:  # the environment is there already: the rule itself is asked
            (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
            for name in ("requirements.lock", "pyproject.toml"):
                (tmp_path / name).write_text("")
            done = subprocess.run(["make", "-n", "setup", f"PYTHON={fake}"], cwd=tmp_path, capture_output=True, text=True, check=True)
            check = next(line for line in done.stdout.splitlines() if "is needed; found" in line)
        asked = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=False)
        assert (asked.returncode == 0) == fits, asked.stderr
        assert fits or "Python 3.11 to 3.14 is needed" in asked.stderr


@pytest.mark.index
@pytest.mark.timeout(600)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_resolves_to_wheels_and_is_closed(python: str, tmp_path: Path) -> None:
    """Every locked version has a wheel for this Python on Linux, and what the wheels require is locked at a version that fits."""
    lines = [f"{name}=={version_}" for name, version_ in locked().items() if name not in SOURCE_ONLY]
    (tmp_path / "lock").write_text("\n".join(lines))
    report = tmp_path / "report.json"
    platforms = [word for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014") for word in ("--platform", f"{name}_x86_64")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-color", "--dry-run", "--no-deps", "--ignore-installed",
               "--only-binary=:all:", "--python-version", python, "--implementation", "cp", *platforms, "--target", str(tmp_path / "target"),
               "--retries", "0", "--timeout", "10", "-r", str(tmp_path / "lock"), "--report", str(report)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and ("(from versions: none)" in done.stderr or "Retrying" in done.stderr):
        pytest.skip("the package index does not answer")
    assert done.returncode == 0, done.stderr[-2000:]
    found = {canonicalize_name(item["metadata"]["name"]): item["metadata"] for item in json.loads(report.read_text())["install"]}
    assert set(found) == set(locked()) - SOURCE_ONLY
    here = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "platform_system": "Linux",
            "platform_machine": "x86_64", "os_name": "posix", "implementation_name": "cpython", "extra": ""}  # fmt: skip
    required = {name: about.get("requires_dist") or [] for name, about in found.items()} | {
        name: requires(name) or [] for name in SOURCE_ONLY
    }
    unmet = []
    for name, texts in required.items():
        assert f"{python}.0" in SpecifierSet(found.get(name, {}).get("requires_python") or ""), name
        for text in texts:
            needed = Requirement(text)
            if needed.marker and not needed.marker.evaluate(here):
                continue
            wanted = canonicalize_name(needed.name)
            # A build of torch for a graphics card brings these along; pip takes the build that the index offers.
            if not wanted.startswith(("nvidia", "triton", "cuda")):
                fits = wanted in locked() and needed.specifier.contains(locked()[wanted], prereleases=True)
                unmet += [] if fits else [f"{name} requires {text}"]
    assert unmet == []
