"""Write a software bill of materials of this environment: every installed distribution with version, licence and what it needs (CycloneDX, JSON).

    python tools/sbom.py sbom.json

The tool that writes it, cyclonedx-bom, is installed into a throw-away environment at a pinned version: the project does not depend on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

TOOL = "cyclonedx-bom==7.5.0"


def main() -> None:
    """Write the file."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python tools/sbom.py FILE")
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as room:
        venv.create(room, with_pip=True)
        python = Path(room) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", TOOL], check=True)
        command = [python, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON", "-o", target, sys.executable]
        subprocess.run(command, check=True)
    # where the project lies on this machine is nobody's business
    found = json.loads(target.read_text(encoding="utf-8"))
    for component in found["components"]:
        component.pop("externalReferences", None) if component["name"] == "emosynth" else None
    target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{target}: {len(found['components'])} components")


if __name__ == "__main__":
    main()
