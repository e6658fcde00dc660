"""Texts per second of the generators and what the texts are worth, side by side in one run.

    python benchmarks/bench_generation.py --python-llama VENV --python-onnx VENV --out benchmarks/generation.json
    python benchmarks/bench_generation.py --rows 32 --only openvino transformers

Every way writes the same rows (same prompts and decoding, and row seeds where there are such) of the same model; the time to load or convert the model is
not counted, what a call itself needs (OpenVINO's fresh pipeline) is. llama.cpp and ONNX Runtime GenAI run in environments of their own; one that is not
given is made in ``--venvs``. Beside the speed stand the perplexity of the texts under one reference model, and the share that passes the basic checks.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import torch
from common import HERE, about, ask, install, keep, python_of
from transformers import AutoTokenizer

from emosynth.catalog import Catalog
from emosynth.generation.fill import _hold, _write_unit
from emosynth.models.lm import Completion, LanguageModel, Request, open_language_model
from emosynth.models.lm.assets import dequantised_folder, generator_files
from emosynth.models.lm.local import TransformersModel
from emosynth.parallel import cores, worker_pool
from emosynth.params import Decoding, Generator
from emosynth.paths import Paths, repository_root

FEELINGS = ["joy", "anger", "sadness", "optimism", "fear", "surprise", "love", "disgust"]
PROMPT = (
    "Here are messages written by different people. Each of them expresses {}.\n"
    "- the bus was late again and nobody said a word about it\n"
    "- we are going to the lake tomorrow, can you bring the big tent\n"
    "- they painted the whole street over night\n-"
)


Text = tuple[str, str]
"""What was written, and whether the model ended it (``stop``) or the limit did (``length``)."""
WAYS = ("pipeline", "openvino", "transformers", "plain", "server", "llama", "llama-server", "onnx")
PEERS = {
    "llama": ("peer_llama.py", [["xllamacpp"]]),
    "onnx": ("peer_onnx.py", [["torch==2.13.0"], ["onnxruntime-genai", "onnx", "onnx-ir", "transformers"]]),
}
"""Script of a way in an environment of its own, and what is installed there, in turns."""


def plain_generate(model: TransformersModel, requests: list[Request], decoding: Decoding, batch: int = 64) -> list[Text]:
    """Write the rows as one does without this package: left-padded batches through ``generate``."""
    tokenizer = model.tokenizer
    tokenizer.padding_side = "left"
    texts: list[Text] = []
    for start in range(0, len(requests), batch):
        prompts = [request.prompt for request in requests[start : start + batch]]
        inputs = tokenizer(prompts, return_tensors="pt", padding=True).to(model.device)
        with torch.inference_mode():
            out = model.model.generate(
                **inputs,
                do_sample=True,
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                top_k=0,
                max_new_tokens=decoding.max_new_tokens,
                stop_strings=["\n"],
                tokenizer=tokenizer,
            )
        for text in tokenizer.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True):
            line, end, _ = text.partition("\n")
            count = len(tokenizer(text, add_special_tokens=False).input_ids)
            texts.append((line, "stop" if end or count < decoding.max_new_tokens else "length"))
    return texts


def worth(texts: Sequence[Text], requests: Sequence[Request], catalog: Catalog) -> dict[str, float]:
    """Return the perplexity of texts under the reference model, over all tokens, and the share that the demo's basic checks accept.

    The checks see one cell, without a seed: near-repeats among the texts are found, and copies of the prompt.
    """
    import numpy as np
    import pandas as pd

    from emosynth.checks.base import Judged
    from emosynth.design.arms import resolve_arms
    from emosynth.design.cells import Cell
    from emosynth.design.space import Space
    from emosynth.generation.prompts import clean_completion
    from emosynth.models.lm.perplexity import ReferenceModel
    from emosynth.params import load_params
    from emosynth.verification.accept import ScoreTable, accepted, judge_name, ordered, place_of

    cleaned = [clean_completion("list", text) for text, _ in texts]
    count = len(texts)
    rows = ordered(pd.DataFrame({
        "candidate_id": [f"row/{place}" for place in range(count)], "index": range(count), "label": "joy", "kind": "", "passage_id": "",
        "text": [text for text, _ in cleaned], "prompt": [request.prompt for request in requests[:count]],
        "complete": [end or finish == "stop" for (_, end), (_, finish) in zip(cleaned, texts, strict=True)],
    }))  # fmt: skip
    params = load_params(catalog.paths.root, "demo")
    arm = resolve_arms(params)["ungrounded"]  # the demo's arm with the basic checks and nothing else
    cell, space = Cell("vader-tweets", 0, 100), Space("joy", ("joy", "none"), True, {}, {})
    shown, scores = Judged(rows, cell, (), space, "message", _Nobody(), np.zeros((count, 2))), ScoreTable()
    for check in arm.checks:
        scores.add(judge_name(check), place_of(check, cell), rows["candidate_id"].tolist(), check.score(shown))
    passed = accepted(arm, rows, scores, cell)["accepted"]
    with tempfile.TemporaryDirectory() as folder:  # a cache of its own: another run may be writing the checkout's
        for name in ("models", "assets"):
            (Path(folder) / name).symlink_to(catalog.paths.cache / name)
        files = generator_files(Generator(), catalog)
        said = [text for text in rows["text"] if text.strip()]
        losses, tokens = ReferenceModel(files, Path(folder)).score(said)
    return {"perplexity": round(float(np.exp((losses * tokens).sum() / tokens.sum())), 1), "accepted": round(float(passed.mean()), 3)}


class _Nobody:
    """Stands for the judge: the basic checks ask nobody."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a basic check asks for {name}")


def told(made: Sequence[Completion]) -> list[Text]:
    """Return completions as texts."""
    return [(one.text, one.finish) for one in made]


@contextmanager
def side_by_side(model: LanguageModel, decoding: Decoding) -> Iterator[Callable[[list[Request]], list[Text]]]:
    """Yield what writes rows as the pipeline does: in units, each in a process that has one core and keeps its model from unit to unit."""
    workers = cores()
    with worker_pool(workers, _hold, (model, decoding)) as pool:

        def write(rows: list[Request]) -> list[Text]:
            size = max(1, -(-len(rows) // workers))
            units = [(rows[start : start + size], 1) for start in range(0, len(rows), size)]
            return told([one for unit in pool.map(_write_alone, units) for one in unit])

        list(pool.map(_write_alone, [(SOME, 1)] * workers * 2))  # until each has its libraries and has written
        yield write


def _write_alone(unit: tuple[list[Request], int]) -> list[Completion]:
    return _write_unit(unit, lambda _: None)


@contextmanager
def llama_server(python: Path, task: dict[str, Any]) -> Iterator[str]:
    """Run the HTTP server of llama.cpp and yield its base address."""
    command = [str(python), str(HERE / PEERS["llama"][0])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdin and process.stdout
        try:
            print(json.dumps(task | {"serve": True, "rows": []}), file=process.stdin, flush=True)
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)["url"] + "/v1"
                    break
            else:
                raise SystemExit("the server of llama.cpp did not start")
        finally:
            process.terminate()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Run ``transformers serve`` on loopback and yield its base address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = str(Path(sys.executable).with_name("transformers"))
    command = [program, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        try:
            for _ in range(240):
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(log.read().decode("utf-8", "replace")[-2000:])
                try:
                    httpx.get(f"http://127.0.0.1:{port}/health", timeout=2, trust_env=False)
                    break
                except httpx.HTTPError:
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)


SOME = [Request(PROMPT.format(feeling), 1) for feeling in FEELINGS]
KINDS = {"pipeline": "pipeline", "llama": "llama.cpp", "onnx": "ONNX", "plain": "plain", "shared": "shared", "server": "serve)"}
"""Way of which several settings may be measured -> what its name holds."""


def best(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return for each way its fastest result, and how many times as fast the pipeline's is, by tokens."""
    fastest: dict[str, dict[str, Any]] = {}
    for row in sorted(results, key=lambda row: -row["tokens_per_second"]):
        fastest.setdefault(next((kind for kind, mark in KINDS.items() if mark in row["way"]), row["way"]), row)
    ours = fastest.get("pipeline", fastest.get("openvino", {})).get("tokens_per_second")
    times = {kind: round(ours / row["tokens_per_second"], 1) for kind, row in fastest.items()} if ours else {}
    return {"best": fastest, "times": times}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="catalogue entry or path of a GGUF file")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--server-rows", type=int, default=16, help="transformers serve is slow: it writes only so many")
    parser.add_argument("--prompts", type=int, default=4, choices=range(1, len(FEELINGS) + 1))
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256], help="rows of a batch of plain generate, each measured")
    parser.add_argument(
        "--parallel",
        type=int,
        nargs="+",
        default=[16, 64, 128],
        help="sequences of llama.cpp, each measured; ONNX Runtime takes the first for a batch",
    )
    parser.add_argument("--precision", default="int8", help="weights that ONNX Runtime GenAI's builder makes")
    parser.add_argument("--only", nargs="*", choices=WAYS, default=WAYS, help="ways to run (default: all)")
    for name in PEERS:
        parser.add_argument(f"--python-{name}", type=Path, help="virtual environment or interpreter of this way")
    parser.add_argument(
        "--venvs", type=Path, default=Path(tempfile.gettempdir()) / "peers", help="where environments are made that are not given"
    )
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()

    catalog = Catalog.load(Paths(repository_root(Path(__file__).parent), "demo"))
    head = about("openvino-genai", "transformers", "torch")
    decoding = Decoding(max_new_tokens=options.tokens)
    requests = [Request(PROMPT.format(FEELINGS[row % options.prompts]), 1000 + row) for row in range(options.rows)]
    results: list[dict[str, Any]] = []
    file = generator_files(Generator(model=options.model), catalog)
    folder = dequantised_folder(file, catalog.paths.cache) if file.is_file() else file
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)

    def tell(name: str, rows: Sequence[Request], seconds: float, texts: Sequence[Text], more: dict[str, Any]) -> None:
        speed = round(len(rows) / seconds, 2)
        # counted alike for all: what stands in the texts, and the line end or the limit that ended each
        written = sum(map(len, tokenizer([text for text, _ in texts], add_special_tokens=False).input_ids)) + len(texts)
        found = {
            "way": name,
            "rows": len(rows),
            "seconds": round(seconds, 2),
            "texts_per_second": speed,
            "tokens_per_second": round(written / seconds, 1),
            **worth(texts, rows, catalog),
            **more,
        }
        results.append(found)
        print(f"{name:<38}{len(rows):>6}{seconds:>10.1f}{speed:>10.1f}{found['perplexity']:>12}{found['accepted']:>10}", flush=True)

    def measure(name: str, rows: list[Request], write: Callable[[list[Request]], list[Text]], **more: Any) -> None:
        write(rows[:2])  # what is only slow the first time in a process
        start = time.perf_counter()
        texts = write(rows)
        tell(name, rows, time.perf_counter() - start, texts, more)

    print(f"{'way':<38}{'rows':>6}{'seconds':>10}{'texts/s':>10}{'perplexity':>12}{'accepted':>10}", flush=True)
    if "pipeline" in options.only:
        fast = open_language_model(Generator(backend="openvino", model=options.model), catalog)
        with side_by_side(fast, decoding) as write:
            measure("pipeline (openvino, a process a core)", requests, write)
        fast.close()
    if "openvino" in options.only:
        fast = open_language_model(Generator(backend="openvino", model=options.model), catalog)
        measure("openvino", requests, lambda rows: told(fast.generate(rows, decoding)))
        fast.close()
    if "transformers" in options.only or "plain" in options.only:
        model = open_language_model(Generator(backend="transformers", model=options.model), catalog)
        assert isinstance(model, TransformersModel)
        if "transformers" in options.only:
            measure("transformers, shared prompts", requests, lambda rows: told(model.generate(rows, decoding)))
        for batch in options.batches if "plain" in options.only else ():
            measure(f"transformers, plain generate, {batch}", requests, partial(plain_generate, model, decoding=decoding, batch=batch))
        model.close()

    def by_server(name: str, model: str, url: str, rows: list[Request], concurrency: int, **more: Any) -> None:
        server = open_language_model(Generator(backend="server", model=model, url=url, timeout=300.0, concurrency=concurrency), catalog)
        measure(name, rows, lambda part: told(server.generate(part, decoding)), **more)
        server.close()

    if "server" in options.only:
        missing = [name for name in ("fastapi", "uvicorn", "openai") if importlib.util.find_spec(name) is None]
        if missing:
            print(f"server: left out, transformers serve needs {', '.join(missing)}")
        else:
            with serving(folder) as url:
                by_server("server (transformers serve)", str(folder), url, requests[: options.server_rows], 8)
    given = {name: getattr(options, f"python_{name}") for name in PEERS}
    sampling = {"temperature": decoding.temperature, "top_p": decoding.top_p, "max_tokens": decoding.max_new_tokens}
    task = {
        "rows": [[one.prompt, one.row_seed] for one in requests],
        "parallel": options.parallel[0],
        "threads": head["threads"],
        "serve": False,
    }
    if "llama" in options.only or "llama-server" in options.only:
        python = python_of(given["llama"]) if given["llama"] else install(PEERS["llama"][1], options.venvs / "llama")
        if not file.is_file():
            raise SystemExit("llama.cpp reads GGUF files alone; --only names other ways")
        task |= {"gguf": str(file), "context": 512, "decoding": {**sampling, "top_k": 0, "min_p": 0.0}}
        for parallel in options.parallel:
            task["parallel"] = parallel
            if "llama" in options.only:
                made = ask(python, HERE / PEERS["llama"][0], task)
                tell(f"llama.cpp, {parallel} at once", requests, made["seconds"], made["texts"], {"versions": made["versions"]})
            if "llama-server" in options.only:
                with llama_server(python, task) as url:
                    by_server(f"server (llama.cpp), {parallel} at once", "model", url, requests, parallel)
        task["parallel"] = options.parallel[0]
    if "onnx" in options.only:
        python = python_of(given["onnx"]) if given["onnx"] else install(PEERS["onnx"][1], options.venvs / "onnx")
        target = Path(tempfile.gettempdir()) / f"onnx-{options.precision}-{folder.name}"
        task |= {"model": str(folder), "folder": str(target), "precision": options.precision, "decoding": sampling}
        made = ask(python, HERE / PEERS["onnx"][0], task)
        tell(f"ONNX Runtime GenAI, {options.precision}", requests, made["seconds"], made["texts"], {"versions": made["versions"]})
    settings = {"prompts": options.prompts, "max_new_tokens": options.tokens, "model": options.model}
    keep(options.out, {**head, **settings, "results": results, **best(results)})


if __name__ == "__main__":
    main()
