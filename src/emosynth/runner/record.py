"""What a run leaves behind besides its results: warnings, time, memory and energy of each stage.

They differ between equal runs, so they stand in no page and in no output of DVC, but in ``timings.js`` beside the report, which its page
shows, and in ``data/<profile>/logs``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emosynth.cards import write_text
from emosynth.escape import json_text, terminal
from emosynth.paths import Paths
from emosynth.pipeline import REPORT, STAGES
from emosynth.progress import WARNING, placeless
from emosynth.runner.energy import spent

_HEAD, _TAIL = "window.EMOSYNTH_TIMINGS = ", ";"
_SHOWN = 8  # warnings repeated on the terminal


def warnings_in(log: Path, root: Path) -> list[str]:
    """Return the warnings of a stage's log, each once, without the machine's paths."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    found = dict.fromkeys(line.removeprefix(WARNING) for line in lines if line.startswith(WARNING))
    return [placeless(line, root) for line in found]


def read_record(path: Path) -> list[dict[str, Any]]:
    """Return what ``timings.js`` says; nothing if there is none, or it says something else."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8").strip().removeprefix(_HEAD).removesuffix(_TAIL))
        return [row for row in rows if isinstance(row, dict) and "stage" in row] if isinstance(rows, list) else []
    except (OSError, ValueError):
        return []


def write_record(paths: Paths, name: str, seconds: float, peak_mb: float) -> list[str]:
    """Put one stage's row into the record of the run, where those of other stages stay; returns the stage's warnings.

    Rows of stages that there are no more stay until the report itself is made anew.
    """
    path = paths.report / "timings.js"
    warnings = warnings_in(paths.logs / f"{name}.log", paths.root)
    rows = {str(row["stage"]): row for row in read_record(path)}
    rows[name] = {
        "stage": name,
        "seconds": round(seconds, 1),
        "peak_mb": round(peak_mb),
        **spent(),
        **({"warnings": warnings} if warnings else {}),
    }
    known = [item.name for item in STAGES]
    strange = [] if name == REPORT else [stage for stage in rows if stage not in known]
    ordered = [rows[stage] for stage in [*strange, *known, *([name] if name not in known else [])] if stage in rows]
    paths.report.mkdir(parents=True, exist_ok=True)
    write_text(path, f"{_HEAD}{json_text(ordered, indent=1)}{_TAIL}\n")
    return warnings


def last_lines(paths: Paths, name: str, seconds: float, warnings: list[str]) -> list[str]:
    """Return what a stage says at its end: one line, and its warnings once more."""
    count = f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}" if warnings else "no warnings"
    lines = [f"{name}: {seconds:.0f} s, {count}; log: {short(paths.logs / f'{name}.log', paths.root)}"]
    lines += [f"  {WARNING}{terminal(line)}" for line in warnings[:_SHOWN]]
    return [*lines, *([f"  … and {len(warnings) - _SHOWN} more"] if len(warnings) > _SHOWN else [])]


def short(path: Path, root: Path) -> str:
    """Return a path relative to the root, if it lies there."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
