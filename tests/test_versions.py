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


def hashes() -> dict[str, list[str]]:
    """Return requirement -> SHA-256 of its files, of the lock that pip holds files against."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line.startswith("    --hash=sha256:"):
            found[list(found)[-1]].append(line.removeprefix("    --hash=sha256:").removesuffix(" \\"))
        elif not line.startswith("#"):
            found[line.removesuffix(" \\")] = []
    return found


def locked(system: str = sys.platform) -> dict[str, str]:
    """Return name and version of everything that is locked for a system."""
    lines = [*hashes(), *(line for line in (ROOT / "torch.lock").read_text().splitlines() if not line.startswith("#"))]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[^\s;]+( ; sys_platform [!=]= '[a-z0-9]+')?", line) for line in lines)
    here = [found for found in map(Requirement, lines) if found.marker is None or found.marker.evaluate({"sys_platform": system})]
    return {found.name: str(found.specifier).removeprefix("==") for found in here}


def test_every_requirement_but_torch_has_hashes_and_no_index_is_named():
    lock = hashes()
    assert len(lock) > 200 and all(len(set(own)) == len(own) > 0 for own in lock.values())
    assert all(re.fullmatch("[0-9a-f]{64}", one) for own in lock.values() for one in own)
    assert set(locked()) - {Requirement(line).name for line in lock} == {"torch"}
    others = [line for line in lock if ";" in line]
    assert {Requirement(line).name for line in others} == {"appnope", "pywin32", "pywinpty", "xgboost", "xgboost-cpu"}, (
        "what some systems need"
    )
    text = "".join((ROOT / name).read_text() for name in doctor.LOCKS)
    assert "//" not in text and "index" not in text and "find-links" not in text


def test_make_takes_everything_but_torch_by_its_hash():
    """And nothing is built by what no hash holds."""
    done = subprocess.run(["make", "-n", "-B", "setup", f"PYTHON={sys.executable}"], cwd=ROOT, capture_output=True, text=True, check=True)
    pips = [line for line in done.stdout.splitlines() if " pip install " in line]
    assert len(pips) == 4 and all("--require-hashes" in line and "--no-deps" in line for line in pips[:2])
    assert "build.lock" in pips[0] and "-r requirements.lock" in pips[1] and "-r torch.lock" in pips[2] and "-e ." in pips[3]
    assert all("--no-build-isolation" in pips[place] for place in (1, 3)) and "--no-deps" in pips[3]
    (sed,) = [line for line in done.stdout.splitlines() if line.startswith("sed ")]
    build = subprocess.run(["bash", "-c", sed.partition(">")[0]], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in hashes() if line.startswith("setuptools==")]
    assert [found for found in build.splitlines() if not found.startswith(" ")] == [f"{line} \\"] and build.count("--hash") == len(
        hashes()[line]
    )


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"], *project["build-system"]["requires"]]
    return [needed for needed in map(Requirement, texts) if needed.marker is None or needed.marker.evaluate()]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_every_requirement_is_locked_and_installed(requirement):
    lock = locked()
    name = canonicalize_name(requirement.name)
    assert name in lock
    assert requirement.specifier.contains(lock[name])
    assert version(name).split("+")[0] == lock[name]


def test_conda_brings_python_alone():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"python{project['requires-python']}" in environment["dependencies"]
    assert {re.split("[=<>]", one)[0] for one in environment["dependencies"]} == {"python", "pip", "make", "git"}, (
        "versions of packages: make setup"
    )


def test_no_gpu_packages_are_locked():
    assert not [name for name in locked() if name.startswith(("nvidia", "triton", "cuda"))]


PLACES = [("3.11", "linux"), ("3.12", "linux"), ("3.13", "linux"), ("3.14", "linux"), ("3.12", "darwin"), ("3.12", "win32")]
"""Pythons and systems that README names."""
_MAC = [f"macosx_{version}_{kind}" for version in ("14_0", "13_0", "12_0", "11_0") for kind in ("arm64", "universal2")]
WHEELS = {
    "linux": ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"],
    "darwin": [*_MAC, *(f"macosx_10_{version}_universal2" for version in (15, 13, 12, 9))],
    "win32": ["win_amd64"],
}
MACHINES = {
    "linux": {"platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix"},
    "darwin": {"platform_system": "Darwin", "platform_machine": "arm64", "os_name": "posix"},
    "win32": {"platform_system": "Windows", "platform_machine": "AMD64", "os_name": "nt"},
}
SOURCE_ONLY = {"lexicalrichness", "antlr4-python3-runtime", "jsonpath-rw"}
"""Pure Python that is published as source alone; everything else must have a wheel."""


def test_readme_names_the_places_that_are_looked_at() -> None:
    words = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "Python 3.11 to 3.14" in words
    linux = [python for python, system in PLACES if system == "linux"]
    assert linux == [f"3.{minor}" for minor in range(doctor.PYTHONS[0][1], doctor.PYTHONS[1][1] + 1)]


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
            for name in (*doctor.LOCKS, "pyproject.toml"):
                (tmp_path / name).write_text("")
            done = subprocess.run(["make", "-n", "setup", f"PYTHON={fake}"], cwd=tmp_path, capture_output=True, text=True, check=True)
            check = next(line for line in done.stdout.splitlines() if "is needed; found" in line)
        asked = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=False)
        assert (asked.returncode == 0) == fits, asked.stderr
        assert fits or "Python 3.11 to 3.14 is needed" in asked.stderr


@pytest.mark.index
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("python", "system"), PLACES)
def test_the_lock_resolves_to_wheels_and_is_closed(python: str, system: str, tmp_path: Path) -> None:
    """Every locked version has a wheel for this Python and system, and what the wheels require is locked at a version that fits."""
    lock = locked(system)
    lines = [f"{name}=={version_}" for name, version_ in lock.items() if name not in SOURCE_ONLY]
    (tmp_path / "lock").write_text("\n".join(lines))
    report = tmp_path / "report.json"
    platforms = [word for name in WHEELS[system] for word in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-color", "--dry-run", "--no-deps", "--ignore-installed",
               "--only-binary=:all:", "--python-version", python, "--implementation", "cp", *platforms, "--target", str(tmp_path / "target"),
               "--retries", "0", "--timeout", "10", "-r", str(tmp_path / "lock"), "--report", str(report)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and ("(from versions: none)" in done.stderr or "Retrying" in done.stderr):
        pytest.skip("the package index does not answer")
    assert done.returncode == 0, "\n".join([line for line in done.stderr.splitlines() if not line.lstrip().startswith("WARNING")][-20:])
    items = json.loads(report.read_text())["install"]
    found = {canonicalize_name(item["metadata"]["name"]): item["metadata"] for item in items}
    taken = {canonicalize_name(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"] for item in items}
    known = {Requirement(line).name: own for line, own in hashes().items()}
    assert not [name for name, sha256 in taken.items() if name != "torch" and sha256 not in known[name]]
    assert set(found) == set(lock) - SOURCE_ONLY
    here = {"python_version": python, "python_full_version": f"{python}.0", "implementation_name": "cpython", "extra": ""}
    here |= {"sys_platform": system, **MACHINES[system]}
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
                fits = wanted in lock and needed.specifier.contains(lock[wanted], prereleases=True)
                unmet += [] if fits else [f"{name} requires {text}"]
    assert unmet == []
