"""The benchmarks run, on next to nothing, and measure what they say; no test looks at a time."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosynth.checks import distinct
from emosynth.checks.novelty import new_shares
from emosynth.checks.wording import content_words
from emosynth.models.lm import Request
from emosynth.params import Decoding
from emosynth.text import grams, jaccard, ngrams
from lm_files import catalog, make_tiny_model

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import bench_generation  # noqa: E402
import bench_gpu  # noqa: E402
import bench_growth  # noqa: E402
import bench_overhead  # noqa: E402
import bench_store  # noqa: E402
import common  # noqa: E402
import run_all  # noqa: E402


def texts_of(count: int) -> list[str]:
    """Return texts of few words, many of them alike, some empty."""
    rng = random.Random(3)
    words = [*(f"w{place}" for place in range(40)), "#so", "!!", "😂", "日本語"]
    return [" ".join(rng.choices(words[: rng.choice([5, 44])], k=rng.choice([0, 1, 2, 3, 6, 12]))) for _ in range(count)]


# --- what was mended for growth --------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [1, 50, 2_000_000])
def test_similarities_are_those_of_every_pair_whatever_the_size_of_a_product(shared: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "_SHARED", shared)
    texts = texts_of(150)
    sets = [grams(distinct.spaced(text)) for text in texts]
    expected = [max((jaccard(own, other) for other in sets[:place]), default=0.0) for place, own in enumerate(sets)]
    assert distinct.largest_similarities(texts).tolist() == expected and 0 < sum(value == 1 for value in expected) < 100


def test_no_product_of_texts_holds_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.sparse import csr_matrix

    largest: list[int] = []
    whole = csr_matrix.tocoo

    def watched(table: Any, *more: Any) -> Any:
        largest.append(table.nnz)
        return whole(table, *more)

    monkeypatch.setattr(csr_matrix, "tocoo", watched)
    texts = [f"we all go home now {place}" for place in range(400)]  # each shares grams with all others
    distinct.largest_similarities(texts)
    assert max(largest) == 400 * 400
    largest.clear()
    monkeypatch.setattr(distinct, "_SHARED", 20_000)
    distinct.largest_similarities(texts)
    assert max(largest) <= 20_000 and len(largest) > 10


def test_new_shares_are_those_of_tuples_of_words() -> None:
    texts = texts_of(200)
    for least in (0.0, 0.3):
        known: set[tuple[str, ...]] = set()
        expected = []
        for text in texts:
            pairs = ngrams(content_words(text), 2)
            expected.append(sum(pair not in known for pair in pairs) / len(pairs) if pairs else 1.0)
            known.update(pairs if expected[-1] >= least else [])
        assert new_shares(texts, np.ones(len(texts), dtype=bool), least).tolist() == expected


# --- growth ----------------------------------------------------------------------------------------------------


def test_exponents_are_slopes_of_the_last_three_sizes() -> None:
    assert bench_growth.exponent([1, 10, 100, 1000], [7, 2.0, 20.0, 200.0]) == 1.0
    assert bench_growth.exponent([10, 100], [1.0, 100.0]) == 2.0 and bench_growth.exponent([10, 100, 1000], [5.0] * 3) == 0.0
    assert math.isnan(bench_growth.exponent([10], [1.0]))


def test_the_stand_in_writes_by_row_seed_and_counts_its_tokens() -> None:
    writer = bench_growth.StandIn(["one two three four five six", "a b c d e f g"], lambda texts: [len(text.split()) for text in texts])
    requests = [Request("write this", seed) for seed in (4, 5, 4)]
    made = writer.generate(requests, None)
    assert made[0] == made[2] != made[1] and made == writer.generate(requests, None)
    for one in made:
        assert (one.new_tokens, one.prompt_tokens) == (len(one.text.split()), 2) and 9 <= one.new_tokens <= 21
        assert set(one.text.split()) <= {"one", "two", "three", "four", "five", "six", "a", "b", "c", "d", "e", "f", "g"}


@pytest.mark.model
def test_growth_runs_the_pipelines_own_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog().fetch("vader-films")
    bench_growth.prepare(tmp_path)
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / ".cache"))
    found = {}
    for part in ("seeds", *bench_growth.PARTS):
        command = [sys.executable, str(BENCHMARKS / "bench_growth.py"), "--child", part, "60", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found[part] = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["generation"]["candidates"] == 60 and found["generation"]["tokens"] > 60 * 20
    assert 0 < found["trials"]["rows"] <= found["verification"]["accepted"] <= 60
    assert {"distinct", "novelty", "embeddings"} <= set(found["verification"]["inside"])
    assert all(part["peak_mb"] > 50 and part["cpu_s"] > 0 for part in found.values())


# --- row cache, overhead ------------------------------------------------------------------------------------------


def test_a_full_row_cache_is_opened_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_store, "LOOKED_UP", 50)
    path = tmp_path / "rows.sqlite"
    assert bench_store.filled(path, 600)["file_mb"] > 0
    assert bench_store.opened(path, 600)["open_s"] >= 0
    with pytest.raises(SystemExit, match="were not found"):  # it holds 600 rows and a unit by now
        bench_store.opened(path, 5000)


def overhead_task(folder: Path) -> dict[str, Any]:
    return {
        "rows": [5, 9],
        "batch": 4,
        "text": bench_overhead.TEXT,
        "prompt": bench_overhead.PROMPT,
        "tokens": [40, 16],
        "folder": str(folder),
    }


def test_our_side_of_the_overhead_is_the_pipelines_generation(tmp_path: Path) -> None:
    from emosynth.cards import read_table
    from emosynth.store import RowStore

    found = bench_overhead.ours(overhead_task(tmp_path))
    assert [run["rows"] for run in found["runs"]] == [5, 9]
    with RowStore(tmp_path / "emosynth-9" / "rows.sqlite", read_only=True) as store:
        assert len(store) == 9
    frame = read_table(tmp_path / "emosynth-9" / "rows.parquet", stage="")
    assert set(frame["text"]) == {bench_overhead.TEXT} and frame["new_tokens"].sum() == 9 * 16


def test_a_further_row_is_the_slope_without_the_warm_up() -> None:
    runs = [{"rows": 1, "wall_s": 99.0}, {"rows": 100, "wall_s": 2.0}, {"rows": 1100, "wall_s": 4.0}]
    assert bench_overhead.slope(runs, "wall_s") == 2.0


def test_a_peer_that_fails_is_said(tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(
        "import json, sys\ntask = json.load(sys.stdin)\nassert task['fine'], 'no'\nprint('noise')\nprint(json.dumps({'answer': 3}))\n"
    )
    assert common.ask(Path(sys.executable), script, {"fine": True}) == {"answer": 3}
    with pytest.raises(SystemExit, match=r"peer\.py failed"):
        common.ask(Path(sys.executable), script, {"fine": False})


# --- generation ------------------------------------------------------------------------------------------------


@pytest.mark.model
def test_what_texts_are_worth() -> None:
    requests = [Request(bench_generation.PROMPT.format("joy"), place) for place in range(6)]
    good = [(f" we are so happy that {thing} came home today", "stop") for thing in ("mum", "the old dog", "our team", "my best friend")]
    bad = [(" we are going to the lake tomorrow, can you bring the big tent", "stop"), (" it was qxz brn wlk tmp vvk", "length")]
    all_good = bench_generation.worth(good, requests, catalog())
    mixed = bench_generation.worth([*good, *bad], requests, catalog())
    assert all_good["accepted"] == 1.0 and mixed["accepted"] == pytest.approx(4 / 6, abs=1e-3), (
        "a copy of the prompt and a text that was cut off"
    )
    assert mixed["perplexity"] > all_good["perplexity"] > 1


# --- on a GPU --------------------------------------------------------------------------------------------------


def test_the_benchmark_of_a_card_runs_on_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = "--device cpu --agree-rows 12 --batches 5 --tokens 6 --dtypes float32 --large-rows 3 --large-tokens 4 --width 128 --layers 1 --repeats 1"
    folder, out = make_tiny_model(tmp_path / "tiny"), tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["bench_gpu.py", "--model", str(folder), *few.split(), "--out", str(out)])
    bench_gpu.main()
    made = json.loads(out.read_text())
    alike = made["agreement"]["float32"]
    assert alike["largest_log_p_difference"] == 0 and all(
        alike[key] == [12, 12] for key in ("sampled_as_processor", "backwards", "in_batches_of_24")
    )
    assert [one["rows"] for one in made["throughput"]["results"]] == [5] and made["large"]["results"][0]["prompts"] == 3
    assert made["model"] == "tiny" and str(tmp_path) not in out.read_text()


def test_both_ways_count_the_same_tokens(tmp_path: Path) -> None:
    model = bench_gpu.TransformersModel(make_tiny_model(tmp_path / "tiny"), "0" * 64)
    prompts = ["A short one:", "A rather longer prompt, with more to read before the text begins:", "x"]
    rows = [Request(prompts[row % 3], row) for row in range(9)]
    greedy = Decoding(temperature=1e-6, top_p=1.0, max_new_tokens=40)
    ids = model._ids(prompts[0], False)[None]
    model._newlines.add(int(model.model.generate(ids, do_sample=False, max_new_tokens=9)[0, -1]))  # so that a row ends before the limit
    counts = [text.new_tokens for text in model.generate(rows, greedy)]
    assert bench_gpu.plain_generate(model, rows, greedy) == counts and min(counts) < 40


def test_narratives_are_as_long_as_the_parameters_ask_for() -> None:
    rows = bench_gpu.narratives(256)
    passages = [row.prompt.split("Passage: ")[1].split("\n")[0] for row in rows if "Passage: " in row.prompt]
    assert len({row.prompt for row in rows}) == 256 and len(passages) == 86 and all(40 <= len(text.split()) <= 90 for text in passages)


# --- all of them -----------------------------------------------------------------------------------------------


def test_every_benchmark_is_run_by_one_command() -> None:
    scripts = {path.name for path in BENCHMARKS.glob("bench_*.py")}
    assert {script for script, _ in run_all.MEASURES.values()} == scripts - run_all.APART
    assert set(run_all.WITH_PEERS) == {
        name for name, (script, _) in run_all.MEASURES.items() if "--venvs" in (BENCHMARKS / script).read_text()
    }


def test_small_numbers_do_not_replace_measured_ones() -> None:
    done = subprocess.run([sys.executable, str(BENCHMARKS / "run_all.py"), "--small"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--to" in done.stderr


def test_numbers_say_where_they_were_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSYNTH_THREADS", "3")
    told = common.about("numpy", "no-such-package")
    assert told["threads"] == 3 and told["versions"]["no-such-package"] == "not installed" and told["versions"]["numpy"] == np.__version__
    assert {"date", "machine", "load_before", "python"} <= set(told)
    assert str(Path.home()) not in json.dumps(told) and str(ROOT) not in json.dumps(told)
