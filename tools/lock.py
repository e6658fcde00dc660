"""Write requirements.lock: every installed distribution that the project needs, directly or not, at its version.

torch is named without a build tag: pip takes a CPU build where it finds one and the platform's own elsewhere, and adds
what that build needs.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
HEAD = "# Written by `make lock` from pyproject.toml and the environment. The one source of versions for make, pip and conda.\n"


def wanted() -> list[str]:
    """Return the requirements of pyproject.toml, of the dev extra, and of the build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"], *project["build-system"]["requires"]]


def closure(requirements: list[str]) -> dict[str, str]:
    """Return name and version of everything that the requirements pull in on this platform."""
    found: dict[str, str] = {}
    pending = [(Requirement(text), "") for text in requirements]
    seen: set[tuple[str, str]] = set()
    while pending:
        requirement, extra = pending.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted_extra in ["", *requirement.extras]:
            if (name, wanted_extra) in seen:
                continue
            seen.add((name, wanted_extra))
            try:
                installed = distribution(name)
            except PackageNotFoundError:
                raise SystemExit(f"{name} is required but not installed") from None
            found[name] = re.sub(r"\+.*$", "", installed.version)
            pending += [(Requirement(text), wanted_extra) for text in installed.requires or []]
    return found


def main() -> None:
    """Write the file."""
    lines = [f"{name}=={version}\n" for name, version in sorted(closure(wanted()).items())]
    (ROOT / "requirements.lock").write_text(HEAD + "".join(lines), encoding="utf-8")
    print(f"requirements.lock: {len(lines)} distributions")


if __name__ == "__main__":
    main()
