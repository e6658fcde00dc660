"""All benchmarks that measure time or memory, one after the other; each writes its JSON beside the scripts.

    python benchmarks/run_all.py                       # nothing else should be running: hours, see README.md
    python benchmarks/run_all.py --only store overhead --to /tmp
    python benchmarks/run_all.py --small --to /tmp     # that all of them run: numbers mean nothing

Environments of peers lie in ``--venvs`` and are made the first time. One that fails is said, the others are run; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import HERE

MEASURES = {
    "store": ("bench_store.py", ["--rows", "2000"]),
    "overhead": ("bench_overhead.py", ["--rows", "20", "50", "100"]),
    "labels": ("bench_labels.py", ["--rows", "4", "--plain-rows", "1"]),
    "tuning": ("bench_tuning.py", ["--rows", "16", "--epochs", "1"]),
    "generation": ("bench_generation.py", ["--rows", "8", "--server-rows", "2", "--tokens", "8", "--parallel", "4", "--batches", "8"]),
    "growth": ("bench_growth.py", ["--sizes", "100", "300"]),
}
"""Script, and what makes it small; in order of time."""
WITH_PEERS = ("overhead", "generation")
APART = frozenset({"bench_gpu.py", "bench_ray.py"})
"""What has an environment of its own, or needs an accelerator, and is run by itself."""


def command(name: str, to: Path, venvs: Path, small: bool) -> list[str]:
    """Return the command of a benchmark."""
    script, few = MEASURES[name]
    peers = ["--venvs", str(venvs)] if name in WITH_PEERS else []
    return [sys.executable, str(HERE / script), *(few if small else []), *peers, "--out", str(to / f"{name}.json")]


def main() -> None:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument("--to", type=Path, default=HERE, help="folder of the JSON files")
    parser.add_argument("--venvs", type=Path, default=Path(tempfile.gettempdir()) / "peers")
    parser.add_argument("--small", action="store_true", help="a minute each instead of hours; not into the folder of the scripts")
    options = parser.parse_args()
    if options.small and options.to.resolve() == HERE:
        parser.error("--small: name another folder with --to, or what was measured is overwritten")
    options.to.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.only:
        print(f"== {name}", flush=True)
        since = time.monotonic()
        if subprocess.run(command(name, options.to, options.venvs, options.small), check=False).returncode:
            failed.append(name)
        print(f"== {name}: {time.monotonic() - since:.0f} s", flush=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
