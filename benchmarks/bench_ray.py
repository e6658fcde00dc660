"""Generation and trials on a Ray cluster of this machine: one worker of one core, two, and two of which one is killed in the middle.

    python benchmarks/bench_ray.py --rows 2048 --trials 24 --out benchmarks/ray.json

Two nodes of one core each, on loopback (Ray's cluster utilities). Each way writes and trains the same; what was written and trained must be the same
bytes, and no row may be lost. Workers start within the seconds of the work, as they do in a run; what a start takes is measured with two rows, after
as small a piece that is not counted. Nothing else should be running, and the machine needs two idle cores and a third for the driver to be fast.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from common import about, keep

WORDS = "calm rage gloom cheer dread smile tears panic bloom grief alarm treat".split()  # noqa: SIM905


@contextmanager
def nodes(given: str) -> Iterator[str]:
    """Yield the address of a cluster of two nodes, one core each: of one that is there, or started for this."""
    if given:
        yield given
        return
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "EMOSYNTH_THREADS": "1",
        "RAY_worker_niceness": "0",
    }  # as the driver; Ray's default is 15
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args=_size())
    try:
        made.add_node(**_size())
        made.wait_for_nodes()
        yield made.address
    finally:
        ray.shutdown()
        made.shutdown()


def _size() -> dict[str, Any]:
    with socket.socket() as found:  # without its port a node waits 15 seconds for this agent, and then dies
        found.bind(("", 0))
        return {
            "num_cpus": 1,
            "object_store_memory": 200 * 2**20,
            "include_dashboard": False,
            "runtime_env_agent_port": found.getsockname()[1],
        }


def generation(rows: int, batch: int, folder: Path) -> bytes:
    """Write ``rows`` texts in units of ``batch``; return them."""
    from emosynth.catalog import Catalog
    from emosynth.generation.fill import ask
    from emosynth.models.lm import Request, open_language_model
    from emosynth.params import Decoding, Generator
    from emosynth.paths import Paths, repository_root
    from emosynth.store import RowStore

    catalog = Catalog.load(Paths(repository_root(Path(__file__).parent), "demo"))
    model = open_language_model(Generator(), catalog)
    requests = [Request(f"A message about {WORDS[row % len(WORDS)]}:\n- we are", row) for row in range(rows)]
    with RowStore(folder / "rows.sqlite") as store:
        made = ask(model, Decoding(max_new_tokens=24), batch, "bench", requests, store)
        assert len(store) == rows == len(made), "a row was lost"
    return repr(made).encode()


def trials(count: int, folder: Path) -> bytes:
    """Fine-tune ``count`` encoders; return their predictions."""
    from emosynth import pieces
    from emosynth.catalog import Catalog
    from emosynth.design.rows import Rows, Stage
    from emosynth.design.space import Space
    from emosynth.learners.base import Resources, Task
    from emosynth.models.embeddings import EmbeddingCache
    from emosynth.paths import Paths, repository_root
    from emosynth.trials.rows import Built
    from emosynth.trials.train import Job, train_all

    catalog = Catalog.load(Paths(repository_root(Path(__file__).parent), "demo"))
    cache = EmbeddingCache.open(catalog.model("all-minilm-l6-v2"), folder)
    space = Space("bench", ("joy", "sadness"), True, {}, {})
    draw = np.random.default_rng(1)
    texts = [" ".join(draw.choice(WORDS, 8)) for _ in range(60)]
    rows = Rows(texts, np.eye(2)[np.arange(60) % 2], np.ones(60), np.zeros(60, dtype=bool))
    learner: Any = pieces.build("learner", "encoder", {"steps": 40})
    jobs = [
        Job(f"{number:04}", learner, Built([Stage(rows, space)], 60, 60, 0), Task(space, 60, None, 3, number), texts[:20])
        for number in range(count)
    ]
    resources = Resources(cache.embed, cache.encoder.folder, cache.encoder.hash, folder / "learners")
    made = dict(train_all(iter(jobs), count, resources, cache, []))
    assert len(made) == count, "a trial was lost"
    return b"".join(made[job.key] for job in jobs)


def kill_one(after: float) -> threading.Timer:
    """Kill one worker of this machine's Ray after some seconds."""

    def kill() -> None:
        for process in psutil.process_iter(["cmdline"]):
            if (process.info["cmdline"] or [""])[0].startswith("ray::Worker"):
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)
                return

    timer = threading.Timer(after, kill)
    timer.start()
    return timer


killed: list[int] = []


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--address", default="", help="of a cluster that is there; else one is started")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    from emosynth.parallel import use_engine
    from emosynth.params import Compute

    found: dict[str, Any] = {"about": about("ray", "openvino", "openvino-genai", "torch", "transformers"), "rows": given.rows,
                             "batch": given.batch, "encoders": given.trials}  # fmt: skip
    work: dict[str, Callable[[int, Path], bytes]] = {
        "generation": lambda count, folder: generation(count or given.rows, given.batch, folder),
        "trials": lambda count, folder: trials(count or given.trials, folder),
    }

    def run(name: str, workers: int, count: int = 0) -> tuple[float, str]:
        use_engine(Compute(engine="ray", address=address, workers=workers))
        with TemporaryDirectory() as folder:
            start = time.perf_counter()
            made = work[name](count, Path(folder))
            return time.perf_counter() - start, hashlib.sha256(made).hexdigest()

    with nodes(given.address) as address:
        for name in work:
            run(name, 1, 2)
            busy = psutil.cpu_percent(2)
            start, _ = run(name, 1, 2)
            one, expected = run(name, 1)
            two, same = run(name, 2)
            timer = kill_one(two / 2)
            lost, again = run(name, 2)
            timer.cancel()
            use_engine(Compute())
            with TemporaryDirectory() as folder:
                local = hashlib.sha256(work[name](0, Path(folder))).hexdigest()
            found[name] = {
                "busy_before_percent": busy, "start_s": round(start, 2), "one_worker_s": round(one, 2), "two_workers_s": round(two, 2),
                "times": round(one / two, 2), "times_without_start": round((one - start) / (two - start), 2), "one_killed_s": round(lost, 2),
                "workers_killed": len(killed), "same_bytes": expected == same == again == local,
            }  # fmt: skip
            killed.clear()
            print(name, found[name], flush=True)
    keep(given.out, found)


if __name__ == "__main__":
    main()
