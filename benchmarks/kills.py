"""Kill every stage at seeded random moments, go on, and compare with a run that was left alone: the same bytes, no row lost, none made twice.

    nice -n 15 python benchmarks/kills.py --kills 100 --out benchmarks/kills.json

The smoke profile runs in two copies of this checkout, each with a cache that holds downloads and converted models alone. In one of them a
stage and all its processes get SIGKILL; the same command is given again, without a look at what is left, until the stage has had its share
of kills and may end. A moment is drawn evenly from the time that the stage took last; a stage that ends before it is not counted as
killed. Whether a row that was kept is made a second time is told by a trigger in the row caches. The checkout is not touched.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from emosynth.pipeline import STAGES  # noqa: E402
from emosynth.store import RowStore  # noqa: E402
from test_end_to_end import copy_repository, environment, kill, products, share_assets  # noqa: E402

NAMES = [item.name for item in STAGES]
TRIGGER = """
CREATE TABLE again (key TEXT);
CREATE TRIGGER made_again AFTER UPDATE ON rows BEGIN INSERT INTO again VALUES (new.key); END;
"""


class Run:
    """A copy of the checkout with a cache of its own."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.cache, self.log = root, share_assets(cache), root.parent / f"{root.name}.log"

    def stage(self, name: str, moment: float | None = None) -> tuple[bool, float]:
        """Run a stage, and kill it after ``moment`` seconds; returns whether it was killed, and the seconds it lived.

        Raises
        ------
        SystemExit
            If it ends with an error of its own.
        """
        start = time.monotonic()
        with self.log.open("ab") as out:
            command = [sys.executable, "-m", "emosynth", "run", name, "--profile", "smoke"]
            run = subprocess.Popen(
                command, cwd=self.root, env=environment(self.root, self.cache), start_new_session=True, stdout=out, stderr=out
            )
        killed = False
        try:
            run.wait(moment)
        except subprocess.TimeoutExpired:
            kill(run)
            killed = True
        if not killed and run.returncode:
            sys.exit(f"{name} failed:\n{self.log.read_text(errors='replace')[-3000:]}")
        return killed, time.monotonic() - start

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return what the row caches keep: key and value by file."""
        return {path.name: dict(_read(path, "select key, value from rows")) for path in sorted((self.cache / "rows").glob("*.sqlite"))}


def _read(path: Path, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as file:
        return file.execute(query).fetchall()


def watch(run: Run, files: list[str]) -> None:
    """Make the row caches, empty, with a trigger that takes down each row that is made though it is there."""
    for name in files:
        (run.cache / "rows").mkdir(exist_ok=True)
        with RowStore(run.cache / "rows" / name) as store:
            assert len(store) == 0
        with contextlib.closing(sqlite3.connect(run.cache / "rows" / name)) as file:
            file.executescript(TRIGGER)


def trial(kills: int, seed: int, room: Path, stages: list[str]) -> dict[str, Any]:
    """Run both copies and return the account; ``stages`` are those that are killed, all are run."""
    whole = Run(copy_repository(room / "whole" / "repo"), room / "whole" / "cache")
    subprocess.run([sys.executable, "-m", "emosynth", "pipeline"], cwd=whole.root, env=environment(whole.root, whole.cache), check=True)
    shutil.copytree(whole.root, room / "killed" / "repo", symlinks=True)
    broken = Run(room / "killed" / "repo", room / "killed" / "cache")
    took = {name: whole.stage(name)[1] for name in NAMES}
    kept = whole.rows()
    watch(broken, list(kept))
    draw = random.Random(seed)
    shares = {name: kills // len(stages) + (place < kills % len(stages)) for place, name in enumerate(stages)}
    done: list[dict[str, Any]] = []
    missed = lost = 0
    for name in NAMES:
        length, wanted = took[name], shares.get(name, 0)
        seen: dict[str, dict[str, Any]] = {}
        while wanted:
            killed, lived = broken.stage(name, draw.uniform(0.02, 1.0) * length)
            if killed:
                wanted -= 1
                now = broken.rows()
                lost += sum(key not in now[file] for file, rows in seen.items() for key in rows)
                seen = now
                done.append({"stage": name, "after_seconds": round(lived, 2), "rows_kept": sum(map(len, now.values()))})
                print(f"{name}: killed after {lived:.1f} s of about {length:.1f}", flush=True)
            else:
                missed, length = missed + 1, lived
        broken.stage(name)
    found = broken.rows()
    one, other = products(whole.root), products(broken.root)
    again = [key for file in kept for (key,) in _read(broken.cache / "rows" / file, "select key from again")]
    lost += sum(found[file].get(key) != value for file, rows in kept.items() for key, value in rows.items())
    return {
        "seed": seed, "kills": len(done), "by_stage": {name: sum(item["stage"] == name for item in done) for name in NAMES},
        "ended_before_the_moment": missed, "files": len(one), "files_that_differ": sorted(name for name in one | other if one.get(name) != other.get(name)),
        "rows": sum(map(len, kept.values())), "rows_lost": lost, "rows_twice": len(again),
        "rows_of_no_use": sum(key not in kept.get(file, {}) for file, rows in found.items() for key in rows), "each": done,
    }  # fmt: skip


def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="+", choices=NAMES, default=NAMES, metavar="STAGE", help="those that are killed; all run")
    parser.add_argument("--out", type=Path, help="write the account as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        account = trial(options.kills, options.seed, Path(room), options.stages)
    print(json.dumps({name: value for name, value in account.items() if name != "each"}, indent=1))
    if options.out:
        options.out.write_text(json.dumps(account, indent=1) + "\n", encoding="utf-8")
    sys.exit(bool(account["files_that_differ"] or account["rows_lost"] or account["rows_twice"]))


if __name__ == "__main__":
    main()
