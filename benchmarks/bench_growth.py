"""What more candidates cost: seconds and memory of each step of the pipeline from 1,000 to 100,000 candidates.

    python benchmarks/bench_growth.py --out benchmarks/growth.json
    python benchmarks/bench_growth.py --sizes 300 1000

Steps are the pipeline's own, each in a process of its own, as the runner has them: one arm in one cell, which is the hardest case of all, since every
candidate is compared with all others of its cell. The writer alone is a stand-in, which would else take days: it joins pieces of three words of
real texts (film snippets) and counts tokens with the language model's own tokeniser; sentence embeddings are real. Perplexity and labels read by a language model
are left out: they are a call of a model a text.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import about, keep, measured

SIZES = (1000, 3162, 10_000, 31_623, 100_000)
PARTS = ("generation", "verification", "authenticity", "trials")
INSIDE = {
    "distinct": ("emosynth.checks.distinct", "DistinctCheck", ("score",)),
    "novelty": ("emosynth.checks.novelty", "NoveltyCheck", ("score", "accept")),
    "original": ("emosynth.checks.original", "OriginalCheck", ("score",)),
    "embeddings": ("emosynth.models.embeddings", "EmbeddingCache", ("embed",)),
    "repeats of held-out texts": ("emosynth.trials.sources", "Sources", ("repeats_held_out",)),
}
"""Methods of the pipeline whose seconds are counted apart; they are part of the step's."""


def params_of(candidates: int) -> Any:
    """Return the parameters of one arm with so many candidates in one cell."""
    from emosynth.params import Params

    checks = {
        "length": {},
        "complete": {},
        "meta": {},
        "charset": 0.9,
        "repetition": 0.3,
        "original": 0.6,
        "rewritten": 0.8,
        "distinct": 0.8,
    }
    return Params.model_validate({
        "corpora": {"target": "vader-tweets"},
        "cells": {"sizes": [100], "repeats": 1},
        "generation": {"oversample": 1.0, "decoding": {"max_new_tokens": 32}},
        "checks": {"all": {**checks, "novelty": 0.2, "agreement": {}, "confidence": 0.5}},
        "arms": {"naive": {"checks": "all", "labels": {"teacher": 0.8}, "growth": candidates / 100}},
        "learners": {"tfidf": {"c_grid": [3.0]}, "embedding": {"c_grid": [3.0]}},
        "training": {"unverified": False},
    })  # fmt: skip


class StandIn:
    """Writes a text at once: pieces of three words of real texts, drawn by the row's seed, and counts its tokens.

    Parameters
    ----------
    texts
        Real texts.
    count
        Returns the numbers of tokens of texts.
    """

    deterministic = True

    def __init__(self, texts: Sequence[str], count: Callable[[list[str]], list[int]]) -> None:
        self.identity = {"backend": "stand-in", "model": "pieces"}
        self.words = [words for text in texts if len(words := text.split()) >= 6]
        self.count = count

    def generate(self, requests: Sequence[Any], decoding: Any, *, progress: Any = None) -> list[Any]:
        """Return a completion for each request."""
        from emosynth.models.lm import Completion

        made = [self._text(request.row_seed) for request in requests]
        tokens = self.count([*made, *(request.prompt for request in requests)])
        return [Completion(f" {text}", "stop", tokens[len(made) + place], tokens[place]) for place, text in enumerate(made)]

    def _text(self, seed: int) -> str:
        rng = np.random.default_rng(seed)
        made: list[str] = []
        for words in (self.words[int(place)] for place in rng.integers(len(self.words), size=rng.integers(3, 8))):
            start = int(rng.integers(len(words) - 2))
            made += words[start : start + 3]
        return " ".join(made)

    def close(self) -> None:
        """Nothing to free."""


def stand_in(catalog: Any, cache: Path) -> StandIn:
    """Return the writer with film snippets and the tokeniser of the catalogue's language model."""
    from tokenizers import Tokenizer

    from emosynth.corpora.loaders import read_vader
    from emosynth.models.lm.assets import dequantised_folder, generator_files
    from emosynth.params import Generator

    found = generator_files(Generator(), catalog)
    folder = dequantised_folder(found, cache) if found.is_file() else found
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    spec = catalog.entry("vader-films").corpus
    assert spec is not None
    texts = [row.text for row in read_vader(catalog.fetch("vader-films"), spec).rows]
    return StandIn(texts, lambda batch: [len(one.ids) for one in tokenizer.encode_batch_fast(batch)])


def do(part: str, candidates: int, root: Path) -> dict[str, Any]:
    """Run one step for so many candidates below ``root``, where earlier steps have run; return its seconds and memory."""
    from emosynth.catalog import Catalog
    from emosynth.paths import Paths

    paths, params = Paths(root, "growth"), params_of(candidates)
    catalog, more = Catalog.load(paths), {}
    if part == "seeds":
        from emosynth.corpora import build_corpora
        from emosynth.seeding import build_orders

        work: Callable[[], Any] = lambda: (build_corpora(params, catalog, paths), build_orders(params, paths))  # noqa: E731
    elif part == "generation":
        from emosynth.generation import build_candidates

        writer = stand_in(catalog, paths.cache)
        work = lambda: build_candidates(params, catalog, paths, lambda *_: writer)  # noqa: E731
    elif part == "verification":
        from emosynth.verification import build_verdicts

        work = lambda: build_verdicts(params, catalog, paths)  # noqa: E731
    elif part == "authenticity":
        from emosynth.authenticity import build_panel

        work = lambda: build_panel(params, catalog, paths)  # noqa: E731
    else:
        from emosynth.trials import run_trials

        work = lambda: run_trials(params, catalog, paths)  # noqa: E731
    inside = _clocks()
    with measured() as found:
        out = work()
    if part == "generation":
        frame = out[0]
        more = {"candidates": len(frame), "tokens": int(frame["prompt_tokens"].sum() + frame["new_tokens"].sum())}
    elif part == "verification":
        more = {"accepted": int(out["verdicts"]["accepted"].sum())}
    elif part == "trials":
        more = {"rows": int(out["trials"]["n_synthetic"].max())}
    return {**found, **more, "inside": {name: round(seconds, 3) for name, seconds in inside.items() if seconds}}


def _clocks() -> dict[str, float]:
    """Count the seconds that the methods of `INSIDE` take from now on."""
    import importlib

    spent = dict.fromkeys(INSIDE, 0.0)

    def timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            since = time.perf_counter()
            try:
                return method(*args, **more)
            finally:
                spent[name] += time.perf_counter() - since

        return call

    for name, (module, owner, methods) in INSIDE.items():
        cls = getattr(importlib.import_module(module), owner)
        for method in methods:
            setattr(cls, method, timed(name, getattr(cls, method)))
    return spent


def prepare(root: Path) -> None:
    """Make a root with the catalogue of this checkout and a cache that holds its downloads and nothing else."""
    from emosynth.paths import Paths, repository_root

    own = repository_root(Path(__file__).parent)
    (root / "data").mkdir()
    for name in ("catalog.yaml", "taxonomies.yaml"):
        (root / "data" / name).symlink_to(own / "data" / name)
    cache = Paths(own, "demo").cache
    (root / ".cache").mkdir()
    for name in ("assets", "models", "downloads", "nltk_data"):
        (cache / name).mkdir(parents=True, exist_ok=True)
        (root / ".cache" / name).symlink_to(cache / name)


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the slope of log value over log size of the last three sizes: 1 is linear, 2 quadratic, 0 flat; NaN for fewer than two."""
    known = [(math.log(size), math.log(value)) for size, value in zip(sizes, values, strict=True) if value > 0][-3:]
    if len(known) < 2:
        return math.nan
    across, up = np.array(known).T
    return round(float(np.polyfit(across, up, 1)[0]), 2)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what is run; later ones need the earlier ones")
    parser.add_argument("--threads", type=int, default=1, help="threads of each step")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    parser.add_argument("--child", nargs=3, metavar=("PART", "SIZE", "ROOT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        part, size, root = options.child
        print(json.dumps(do(part, int(size), Path(root))))
        return
    os.environ |= {"EMOSYNTH_THREADS": str(options.threads), "OMP_NUM_THREADS": str(options.threads), "PYTHONHASHSEED": "0"}
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    head = about("numpy", "scipy", "scikit-learn", "pandas", "torch", "tokenizers")
    rows = []
    print(f"{'candidates':>10}  {'part':<14}{'wall s':>10}{'CPU s':>10}{'peak MB':>10}  of it", flush=True)
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="growth-") as folder:
            prepare(Path(folder))
            for part in ("seeds", *options.parts):
                command = [sys.executable, __file__, "--child", part, str(size), folder]
                done = subprocess.run(
                    command, env={**os.environ, "EMOSYNTH_CACHE": f"{folder}/.cache"}, capture_output=True, text=True, check=False
                )
                if done.returncode:
                    raise SystemExit(done.stderr[-3000:])
                found = json.loads(done.stdout.strip().splitlines()[-1])
                if part == "seeds":
                    continue
                rows.append({"asked": size, "part": part, **found})
                inside = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found["inside"].items())
                print(
                    f"{size:>10}  {part:<14}{found['wall_s']:>10.1f}{found['cpu_s']:>10.1f}{found['peak_mb']:>10.0f}  {inside}", flush=True
                )
    growth = {}
    for part in options.parts:
        own = [row for row in rows if row["part"] == part]
        sizes = [row["asked"] for row in own]
        growth[part] = {"time": exponent(sizes, [row["cpu_s"] for row in own]), "memory": exponent(sizes, [row["peak_mb"] for row in own])}
        print(f"{part:<14} grows with candidates to the power of {growth[part]['time']} (seconds) and {growth[part]['memory']} (memory)")
    keep(options.out, {**head, "writer": "stand-in: pieces of real texts, real token counts", "rows": rows, "exponents": growth})


if __name__ == "__main__":
    main()
