"""What a full row cache costs: seconds to open it, memory, look-ups and commits a second, with a million rows.

    python benchmarks/bench_store.py --out benchmarks/store.json
    python benchmarks/bench_store.py --rows 20000

Rows are as generation keeps them (a hash, a line of JSON with a text of up to 24 words); opening and looking up happen in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import about, keep, peak_mb

UNIT = 512
LOOKED_UP = 20_000


def key_of(number: int) -> str:
    """Return the key of a row."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def row_of(number: int) -> dict[str, Any]:
    """Return a row: the words are numbers, drawn by its own."""
    rng = random.Random(number)
    text = " " + " ".join(f"word{rng.randrange(5000)}" for _ in range(rng.randrange(4, 25)))
    return {"text": text, "finish": "stop", "prompt_tokens": 60, "new_tokens": 20}


def filled(path: Path, rows: int) -> dict[str, float]:
    """Fill a cache unit by unit; return what that cost."""
    from emosynth.store import RowStore

    start, committing = time.perf_counter(), 0.0
    with RowStore(path) as store:
        for first in range(0, rows, UNIT):
            unit = {key_of(number): row_of(number) for number in range(first, min(first + UNIT, rows))}
            since = time.perf_counter()
            store.commit(unit)
            committing += time.perf_counter() - since
    size = sum(file.stat().st_size for file in path.parent.iterdir())
    return {"fill_s": round(time.perf_counter() - start, 1), "commits_per_s": round(rows / committing), "file_mb": round(size / 1e6, 1)}


def opened(path: Path, rows: int) -> dict[str, float]:
    """Open a full cache, look rows up, write one more unit, count them; return seconds and memory."""
    from emosynth.store import RowStore

    before = peak_mb()
    start = time.perf_counter()
    store = RowStore(path)
    seconds = time.perf_counter() - start
    after_opening = peak_mb()
    numbers = random.Random(8).choices(range(rows), k=LOOKED_UP)
    since = time.perf_counter()
    wrong = sum(store.get(key_of(number)) is None for number in numbers)
    found = time.perf_counter() - since
    since = time.perf_counter()
    missing = sum(key_of(number) in store for number in range(rows, rows + LOOKED_UP))
    lacking = time.perf_counter() - since
    store.commit({key_of(rows + number): row_of(number) for number in range(UNIT)})
    since = time.perf_counter()
    count = len(store)
    counting = time.perf_counter() - since
    store.close()
    if wrong or missing or count != rows + UNIT:
        raise SystemExit(f"{wrong} rows were not found, {missing} found that are not there, {count} counted")
    return {
        "open_s": round(seconds, 4), "found_per_s": round(len(numbers) / found), "missing_per_s": round(LOOKED_UP / lacking),
        "count_s": round(counting, 3), "memory_before_mb": round(before, 1), "memory_open_mb": round(after_opening, 1), "peak_mb": round(peak_mb(), 1),
    }  # fmt: skip


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(opened(options.child, options.rows)))
        return
    head = about()
    with tempfile.TemporaryDirectory(prefix="store-") as folder:
        path = Path(folder) / "rows.sqlite"
        filling = filled(path, options.rows)
        command = [sys.executable, __file__, "--child", str(path), "--rows", str(options.rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        found = {"rows": options.rows, **filling, **json.loads(done.stdout.strip().splitlines()[-1])}
    print(json.dumps(found, indent=1))
    keep(options.out, {**head, **found})


if __name__ == "__main__":
    main()
