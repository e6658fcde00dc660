"""What a run leaves behind besides its results: warnings, time, memory and energy of each stage.

They differ between equal runs, so they stand in no page and in no output of DVC, but in ``timings.js`` beside the report, which its page
shows, and in ``data/<profile>/logs``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emosynth.escape import json_text, terminal
from emosynth.files import write_text
from emosynth.paths import Paths
from emosynth.pipeline import REPORT, STAGES
from emosynth.progress import ALREADY, WARNING, placeless, span
from emosynth.runner.energy import spent

_HEAD, _TAIL = "window.EMOSYNTH_TIMINGS = ", ";"
_SHOWN = 8  # warnings repeated on the terminal
_TOLD = 60.0  # seconds of steps in the record from which this run's pace says something of the others


def warnings_in(log: Path, root: Path) -> list[str]:
    """Return the warnings of a stage's log, each once, without the machine's paths."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    found = dict.fromkeys(line.removeprefix(WARNING) for line in lines if line.startswith(WARNING))
    return [placeless(line, root) for line in found]


def _resumed(log: Path) -> bool:
    """Whether a step found work of an earlier run, which it has then not paid for."""
    return log.is_file() and ALREADY in log.read_text(encoding="utf-8", errors="replace")


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
    _note_pace(paths, name, rows.get(name, {}).get("seconds"), seconds)
    rows[name] = {
        "stage": name,
        "seconds": round(seconds, 1),
        "peak_mb": round(peak_mb),
        **spent(),
        **({"resumed": True} if _resumed(paths.logs / f"{name}.log") else {}),
        **({"warnings": warnings} if warnings else {}),
    }
    known = [item.name for item in STAGES]
    strange = [] if name == REPORT else [stage for stage in rows if stage not in known]
    ordered = [rows[stage] for stage in [*strange, *known, *([name] if name not in known else [])] if stage in rows]
    paths.report.mkdir(parents=True, exist_ok=True)
    write_text(path, f"{_HEAD}{json_text(ordered, indent=1)}{_TAIL}\n")
    return warnings


# --- what a run will still take ---


def _pace(paths: Paths) -> dict[str, list[float]]:
    """Return by step of this run the seconds that the record had and those that it took."""
    try:
        found = json.loads((paths.logs / "pace.json").read_text(encoding="utf-8"))
        return {str(name): [float(before), float(now)] for name, (before, now) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _note_pace(paths: Paths, name: str, before: Any, now: float) -> None:
    known, order = _pace(paths), [item.name for item in STAGES]
    if name not in order or not isinstance(before, int | float):
        return
    if any(other not in order or order.index(other) >= order.index(name) for other in known):  # another run begins
        known = {}
    paths.logs.mkdir(parents=True, exist_ok=True)
    write_text(paths.logs / "pace.json", json.dumps(known | {name: [before, round(now, 1)]}))


def ahead(paths: Paths, name: str) -> tuple[float, float, str] | None:
    """Return how many seconds, least and most, the steps after one will take, and in words on what grounds; None: nobody knows.

    What is known is what they took when ``timings.js`` was written, on whatever machine, perhaps with texts that were there already. Where steps
    before them have run, the other end of the range is that at their pace.
    """
    order = [item.name for item in STAGES]
    after = order[order.index(name) + 1 :] if name in order else []
    recorded = {str(row["stage"]): row.get("seconds") for row in read_record(paths.report / "timings.js")}
    seconds = [recorded.get(stage) for stage in after]
    if not after or not all(isinstance(one, int | float) for one in seconds):
        return None
    total = float(sum(one for one in seconds if one is not None))
    before = {stage: pair for stage, pair in _pace(paths).items() if stage not in after and stage != name}
    then, now = (sum(pair[side] for pair in before.values()) for side in (0, 1))
    pace = now / then if then >= _TOLD else 1.0
    words = f"{len(after)} steps follow: {span(*sorted((total, pace * total)))}, as they took when {short(paths.report / 'timings.js', paths.root)} was written"
    return (
        min(total, pace * total),
        max(total, pace * total),
        words + (f", or at this run's pace ({pace:.1f} times that)" if pace != 1.0 else ""),
    )


def last_lines(paths: Paths, name: str, seconds: float, warnings: list[str]) -> list[str]:
    """Return what a stage says at its end: one line, and its warnings once more."""
    count = f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}" if warnings else "no warnings"
    lines = [f"{name}: {seconds:.0f} s, {count}; log: {short(paths.logs / f'{name}.log', paths.root)}"]
    lines += [f"  {WARNING}{terminal(line)}" for line in warnings[:_SHOWN]]
    return [*lines, *([f"  … and {len(warnings) - _SHOWN} more"] if len(warnings) > _SHOWN else [])]


def short(path: Path, root: Path) -> str:
    """Return a path relative to the root, if it lies there."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
