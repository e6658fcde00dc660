"""What generation costs besides the model, beside distilabel and DataDreamer: the same prompts through a model that answers at once.

    python benchmarks/bench_overhead.py --python-distilabel VENV --python-datadreamer VENV --out benchmarks/overhead.json
    python benchmarks/bench_overhead.py --rows 200 1000 --only emosynth

Each runs as its makers mean it, with its cache for resuming on and the rows written to a Parquet file at the end, in a process and an environment of its
own; one after the other in one run, the first of the row counts being a warm-up. An environment that is not given is made in ``--venvs``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import HERE, about, ask, install, keep, python_of, versions
from peer_clock import Clock

PEERS = {
    "distilabel": ("peer_distilabel.py", [["distilabel==1.5.3", "requests"]]),
    "datadreamer": (
        "peer_datadreamer.py",
        [["torch==2.13.0"], ["torch==2.13.0", "datadreamer.dev==0.46.0", "datasets==3.2.0", "pyarrow<20"]],
    ),
}
"""Script, and what is installed for it, in turns: PyTorch by version first, so that its CPU build is what the rest finds. DataDreamer allows later
versions of datasets and pyarrow than it runs with; distilabel imports requests without asking for it."""
TEXT = "we are going to the lake tomorrow, can you bring the big tent"
PROMPT = "Here are messages written by different people. Each of them expresses joy.\n- the bus was late again ({})\n-"


class StandIn:
    """Answers at once."""

    deterministic = True

    def __init__(self, text: str, tokens: Sequence[int]) -> None:
        self.identity = {"backend": "stand-in", "model": "constant"}
        self.text, self.tokens = text, tokens

    def generate(self, requests: Sequence[Any], decoding: Any, *, progress: Any = None) -> list[Any]:
        """Return the same text for each request."""
        from emosynth.models.lm import Completion

        return [Completion(f" {self.text}", "stop", self.tokens[0], self.tokens[1]) for _ in requests]

    def close(self) -> None:
        """Nothing to free."""


def ours(task: dict[str, Any]) -> dict[str, Any]:
    """Write the rows with the pipeline's generation: plan, row cache, units, progress, table."""
    import pandas as pd

    from emosynth.cards import Card, write_table
    from emosynth.design.arms import list_origins
    from emosynth.design.cells import Cell
    from emosynth.generation.from_class import ClassText
    from emosynth.generation.read import COLUMNS
    from emosynth.generation.slots import Slot
    from emosynth.generation.write import write_all
    from emosynth.models.lm import Request
    from emosynth.params import Params
    from emosynth.store import RowStore

    params = Params.model_validate({
        "corpora": {"target": "vader-tweets"}, "cells": {"sizes": [100], "repeats": 1}, "models": {"writer": {"batch": task["batch"]}},
        "checks": {"basic": {}}, "arms": {"naive": {}}, "learners": {"tfidf": {}},
    })  # fmt: skip
    (origin,) = list_origins(params).values()
    rows = []
    for count in task["rows"]:
        folder = Path(task["folder"]) / f"emosynth-{count}"
        clock = Clock()
        cell = Cell("vader-tweets", 0, -1)
        items = [
            ClassText(Slot(origin, "plain", cell, place, ("joy",)), Request(task["prompt"].format(place), place), "list")
            for place in range(count)
        ]
        with RowStore(folder / "rows.sqlite") as store:
            made, _ = write_all(items, params, lambda *_: StandIn(task["text"], task["tokens"]), store)
        frame = pd.DataFrame.from_records(made, columns=COLUMNS)
        card = Card(title="rows", what="rows", made="a benchmark", columns=dict.fromkeys(COLUMNS, "see the pipeline"))
        write_table(frame, folder / "rows.parquet", card)
        rows.append({"rows": count, **clock.read()})
        assert len(frame) == count and set(frame["text"]) == {task["text"]}
    return {"runs": rows, "versions": versions("emosynth", "pandas", "pyarrow")}


def slope(runs: Sequence[dict[str, float]], unit: str) -> float:
    """Return milliseconds that a further row takes, from the smallest to the largest run after the warm-up."""
    few, many = runs[1], runs[-1]
    return round(1000 * (many[unit] - few[unit]) / (many["rows"] - few["rows"]), 3)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 1000, 10_000], help="row counts; the first is a warm-up")
    parser.add_argument("--batch", type=int, default=256, help="rows of a unit of work, for all alike")
    parser.add_argument("--only", nargs="+", choices=["emosynth", *PEERS], default=["emosynth", *PEERS])
    for name in PEERS:
        parser.add_argument(f"--python-{name}", type=Path, help=f"virtual environment or interpreter with {name}")
    parser.add_argument(
        "--venvs", type=Path, default=Path(tempfile.gettempdir()) / "peers", help="where environments are made that are not given"
    )
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(ours(json.load(sys.stdin))))
        return
    if len(set(options.rows)) < 3:
        parser.error("--rows: a warm-up and two further counts are needed")
    os.environ |= {"EMOSYNTH_THREADS": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "DISTILABEL_LOG_LEVEL": "ERROR"}
    head, results = about(), {}
    print(f"{'':<14}{'rows':>8}{'wall s':>10}{'CPU s':>10}{'peak MB':>10}", flush=True)
    for name in options.only:
        with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
            task = {"rows": options.rows, "batch": options.batch, "text": TEXT, "prompt": PROMPT, "tokens": [40, 16], "folder": folder}
            if name == "emosynth":
                found = ask(Path(sys.executable), Path(__file__), task, arguments=("--child",))
            else:
                given = getattr(options, f"python_{name}")
                found = ask(python_of(given) if given else install(PEERS[name][1], options.venvs / name), HERE / PEERS[name][0], task)
        for run in found["runs"]:
            print(f"{name:<14}{run['rows']:>8}{run['wall_s']:>10.2f}{run['cpu_s']:>10.2f}{run['peak_mb']:>10.0f}", flush=True)
        each = {"wall_ms": slope(found["runs"], "wall_s"), "cpu_ms": slope(found["runs"], "cpu_s")}
        results[name] = {**found, "a_further_row": each}
        print(f"{name:<14} a further row: {each['wall_ms']} ms, of CPU {each['cpu_ms']} ms; {found['versions']}", flush=True)
    keep(options.out, {**head, "batch": options.batch, "results": results})


if __name__ == "__main__":
    main()
