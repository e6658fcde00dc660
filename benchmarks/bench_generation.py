"""Texts per second of the generators, side by side in one run.

    python benchmarks/bench_generation.py --rows 64 --tokens 24 --out generation.json

Every way writes the same rows (same prompts, row seeds and decoding); the time to load or convert the model is not counted, what a
call itself needs (OpenVINO's fresh pipeline) is.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import torch

from emosynth.catalog import Catalog
from emosynth.models.lm import Request, open_language_model
from emosynth.models.lm.assets import dequantised_folder, generator_files
from emosynth.models.lm.local import TransformersModel
from emosynth.params import Decoding, Generator
from emosynth.paths import Paths, repository_root

FEELINGS = ["joy", "anger", "sadness", "optimism", "fear", "surprise", "love", "disgust"]
PROMPT = (
    "Here are messages written by different people. Each of them expresses {}.\n"
    "- the bus was late again and nobody said a word about it\n"
    "- we are going to the lake tomorrow, can you bring the big tent\n"
    "- they painted the whole street over night\n-"
)


def plain_generate(model: TransformersModel, requests: list[Request], decoding: Decoding, batch: int = 64) -> int:
    """Write the rows as one does without this package: left-padded batches through ``generate``. Returns the number of texts."""
    tokenizer = model.tokenizer
    tokenizer.padding_side = "left"
    count = 0
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
        count += len(tokenizer.batch_decode(out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True))
    return count


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


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="catalogue entry or path of a GGUF file")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--server-rows", type=int, default=16, help="the server is slow: it writes only so many")
    parser.add_argument("--prompts", type=int, default=4, choices=range(1, len(FEELINGS) + 1))
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--only", nargs="*", choices=["openvino", "transformers", "plain", "server"], help="ways to run (default: all)")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()

    catalog = Catalog.load(Paths(repository_root(Path(__file__).parent), "demo"))
    decoding = Decoding(max_new_tokens=options.tokens)
    requests = [Request(PROMPT.format(FEELINGS[row % options.prompts]), 1000 + row) for row in range(options.rows)]
    wanted = options.only or ["openvino", "transformers", "plain", "server"]
    results: list[dict[str, object]] = []

    def measure(name: str, rows: list[Request], write: Callable[[list[Request]], object]) -> None:
        write(rows[:2])  # what is only slow the first time in a process
        start = time.perf_counter()
        write(rows)
        seconds = time.perf_counter() - start
        results.append({"way": name, "rows": len(rows), "seconds": round(seconds, 2), "texts_per_second": round(len(rows) / seconds, 2)})
        print(f"{name:<34}{len(rows):>6}{seconds:>10.1f}{len(rows) / seconds:>10.1f}", flush=True)

    print(f"{'way':<34}{'rows':>6}{'seconds':>10}{'texts/s':>10}", flush=True)
    if "openvino" in wanted:
        fast = open_language_model(Generator(backend="openvino", model=options.model), catalog)
        measure("openvino", requests, lambda rows: fast.generate(rows, decoding))
        fast.close()
    if "transformers" in wanted or "plain" in wanted:
        model = open_language_model(Generator(backend="transformers", model=options.model), catalog)
        assert isinstance(model, TransformersModel)
        if "transformers" in wanted:
            measure("transformers, shared prompts", requests, lambda rows: model.generate(rows, decoding))
        if "plain" in wanted:
            measure("transformers, plain generate", requests, lambda rows: plain_generate(model, rows, decoding))
        model.close()
    if "server" in wanted:
        missing = [name for name in ("fastapi", "uvicorn", "openai") if importlib.util.find_spec(name) is None]
        if missing:
            print(f"server: left out, transformers serve needs {', '.join(missing)}")
        else:
            found = generator_files(Generator(model=options.model), catalog)
            folder = dequantised_folder(found, catalog.paths.cache) if found.is_file() else found
            with serving(folder) as url:
                server = open_language_model(Generator(backend="server", model=str(folder), url=url, timeout=300.0), catalog)
                measure("server (transformers serve)", requests[: options.server_rows], lambda rows: server.generate(rows, decoding))
                server.close()
    if options.out:
        settings = {"prompts": options.prompts, "max_new_tokens": options.tokens, "model": options.model, "cpus": os.cpu_count()}
        options.out.write_text(json.dumps({**settings, "results": results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
