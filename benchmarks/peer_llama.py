"""Texts by llama.cpp (xllamacpp), in an environment of its own: parallel sequences, each keeping the prompt that it read before. Run by bench_generation.py.

The task comes in as a line of JSON. With ``serve`` the address of its HTTP server is printed, and it serves until standard input ends; else the rows are
written by calls in this process, and the answer is printed as the last line.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import xllamacpp


def main() -> None:
    """Serve, or write."""
    task = json.loads(sys.stdin.readline())
    params = xllamacpp.CommonParams()
    params.model.path = task["gguf"]
    params.n_parallel, params.n_ctx = task["parallel"], task["parallel"] * task["context"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = task["threads"]
    params.n_gpu_layers, params.verbosity, params.cache_prompt = 0, 0, True
    server = xllamacpp.Server(params)
    versions = {"xllamacpp": version("xllamacpp")}
    if task["serve"]:
        print(json.dumps({"url": server.listening_address, "versions": versions}), flush=True)
        sys.stdin.read()
        return

    def write(row: list[Any]) -> list[str]:
        made = server.handle_completions(
            {"prompt": row[0], "seed": row[1] % 2**31, "stop": ["\n"], "cache_prompt": True, **task["decoding"]}
        )
        choice = made["choices"][0]
        return [choice["text"], choice["finish_reason"]]

    rows = task["rows"]
    order = sorted(range(len(rows)), key=lambda place: (rows[place][0], place))  # rows of one prompt follow each other
    with ThreadPoolExecutor(task["parallel"]) as pool:
        list(pool.map(write, rows[:2]))
        start = time.perf_counter()
        made = dict(zip(order, pool.map(write, [rows[place] for place in order]), strict=True))
        seconds = time.perf_counter() - start
    print("\n" + json.dumps({"seconds": seconds, "texts": [made[place] for place in range(len(rows))], "versions": versions}))


if __name__ == "__main__":
    main()
