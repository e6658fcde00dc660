"""What the benchmarks have in common: where and with what they ran, and how their numbers are kept."""

from __future__ import annotations

import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def versions(*names: str) -> dict[str, str]:
    """Return the installed versions of packages; of one that is not there: not installed."""
    out = {}
    for name in names:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "not installed"
    return out


def about(*packages: str) -> dict[str, Any]:
    """Return the machine, the day, the threads and the versions of packages that numbers were taken with."""
    import psutil

    from emosynth.parallel import cores

    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {
            "processor": model,
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
            "system": platform.system(),
        },
        "threads": cores(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": versions("emosynth", *packages),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def keep(out: Path | None, content: dict[str, Any]) -> None:
    """Write numbers as JSON, if they are to be kept."""
    if out:
        out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def peak_mb() -> float:
    """Return the most memory that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if platform.system() == "Darwin" else 1e3)


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Fill a dictionary with the wall and CPU seconds of a block, its children's included, and the process's peak memory in MB."""
    found: dict[str, float] = {}
    wall, cpu = time.perf_counter(), _cpu()
    yield found
    found |= {"wall_s": round(time.perf_counter() - wall, 3), "cpu_s": round(_cpu() - cpu, 3), "peak_mb": round(peak_mb(), 1)}


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def python_of(place: Path) -> Path:
    """Return the interpreter of a virtual environment, or the interpreter itself."""
    return place / "bin" / "python" if place.is_dir() else place


def install(packages: Sequence[Sequence[str]], folder: Path) -> Path:
    """Return the interpreter of a virtual environment with a peer, made the first time; packages are installed in turns.

    Raises
    ------
    subprocess.CalledProcessError
        If it cannot be installed; pip has said why.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for some in packages:
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *some], check=True)
    return python


def ask(python: Path, script: Path, task: dict[str, Any], arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Run a script of a peer in its own environment: the task goes in as JSON, its last line of output is the answer.

    Raises
    ------
    SystemExit
        If it fails; says what it said last.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    command = [str(python), str(script), *arguments]
    done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{script.name} failed with {python}:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))
