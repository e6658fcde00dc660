"""Write requirements.lock, every distribution that the project needs with the hashes of all its files, and torch.lock, PyTorch's version alone.

    python tools/lock.py

Versions are those of this environment; what only another system needs, with a marker, is the newest that fits. uv reads the hashes from the
index that pip is set to and fetches no package; it comes into a throw-away environment at a pinned version. PyTorch is published as several
builds of one version, each with its own hash and its own companions: pip takes the build that it finds, so its lock has no hash.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
TOOL = "uv==0.13.9"
HEAD = "# Written by `make lock` from pyproject.toml and the environment. With torch.lock the one source of versions.\n"
TORCH = "# Written by `make lock`. No hash: each build of PyTorch has its own.\n"
SYSTEMS = {
    "linux": {"platform_system": "Linux", "os_name": "posix"},
    "darwin": {"platform_system": "Darwin", "os_name": "posix"},
    "win32": {"platform_system": "Windows", "os_name": "nt"},
}


def wanted() -> list[str]:
    """Return the requirements of pyproject.toml, of the dev extra, and of the build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"], *project["build-system"]["requires"]]


def closure(requirements: list[str], system: str) -> tuple[dict[str, str], list[str]]:
    """Return name and version of everything that the requirements pull in on a system, and the requirements that are not installed here."""
    found: dict[str, str] = {}
    absent: list[str] = []
    pending = [(Requirement(text), "") for text in requirements]
    seen: set[tuple[str, str]] = set()
    while pending:
        requirement, extra = pending.pop()
        if requirement.marker and not requirement.marker.evaluate({"sys_platform": system, **SYSTEMS[system], "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted_extra in ["", *requirement.extras]:
            if (name, wanted_extra) in seen:
                continue
            seen.add((name, wanted_extra))
            try:
                installed = distribution(name)
            except PackageNotFoundError:
                if system == sys.platform:
                    raise SystemExit(f"{name} is required but not installed") from None
                absent.append(f'{name}{requirement.specifier} ; sys_platform == "{system}"')
                continue
            found[name] = re.sub(r"\+.*$", "", installed.version)
            pending += [(Requirement(text), wanted_extra) for text in installed.requires or []]
    return found, absent


def hashed(lines: list[str]) -> str:
    """Return the requirements pinned, each with the hashes of all its files, for every Python that the project takes.

    Raises
    ------
    SystemExit
        If a version does not take the oldest of these Pythons, or the index does not answer.
    """
    oldest = re.findall(r">=([\d.]+)", tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"])[
        0
    ]
    index = re.findall(r"\.index-url='(.*)'$", _pip("config", "list"), re.M)  # PIP_INDEX_URL comes before the files
    environment = os.environ | ({"UV_DEFAULT_INDEX": index[0]} if index else {})
    with tempfile.TemporaryDirectory() as room:
        venv.create(room, with_pip=True)
        folder = Path(room) / ("Scripts" if sys.platform == "win32" else "bin")
        _pip("install", "--quiet", TOOL, python=str(folder / "python"))
        command = [
            folder / "uv",
            "pip",
            "compile",
            "--quiet",
            "--no-config",
            "--no-deps",
            "--generate-hashes",
            "--no-annotate",
            "--no-header",
        ]
        command += ["--universal", "--python-version", oldest, "-"]
        done = subprocess.run([str(word) for word in command], input="\n".join(lines), env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def _pip(*words: str, python: str = sys.executable) -> str:
    return subprocess.run([python, "-m", "pip", "--disable-pip-version-check", *words], check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Write the two files."""
    here, _ = closure(wanted(), sys.platform)
    others = {system: closure(wanted(), system) for system in SYSTEMS if system != sys.platform}
    elsewhere = [line for _, absent in others.values() for line in absent]
    named = {canonicalize_name(Requirement(text).name) for text in wanted()}
    nowhere = {name: [system for system in others if name not in others[system][0]] for name in named & set(here)}
    torch = here.pop("torch")
    made = hashed([*(f"{name}=={version}" for name, version in sorted(here.items())), *elsewhere])
    for name, systems in nowhere.items():
        if systems:  # it has no wheel there, and pip would stop
            marker = " and ".join(f"sys_platform != '{system}'" for system in systems)
            made = made.replace(f"\n{name}=={here[name]} \\\n", f"\n{name}=={here[name]} ; {marker} \\\n")
    (ROOT / "requirements.lock").write_text(HEAD + made, encoding="utf-8")
    (ROOT / "torch.lock").write_text(f"{TORCH}torch=={torch}\n", encoding="utf-8")
    print(f"requirements.lock: {len(here)} distributions, {made.count('--hash')} hashes; and for other systems {', '.join(elsewhere)}")


if __name__ == "__main__":
    main()
