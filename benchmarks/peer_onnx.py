"""Texts by ONNX Runtime GenAI, in an environment of its own: batches of rows of one prompt, which is read once a batch. Run by bench_generation.py.

The model is built from a Hugging Face folder by the package's own builder. Rows of a batch share one seed: there is none a row. A line end does not end a
row there: the batch is ended when every row has one, or the limit of tokens is reached.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnxruntime_genai as og


def main() -> None:
    """Read the task from standard input, print the answer as the last line."""
    task = json.load(sys.stdin)
    folder, decoding = Path(task["folder"]), task["decoding"]
    if not (folder / "genai_config.json").exists():
        command = [
            sys.executable,
            "-m",
            "onnxruntime_genai.models.builder",
            "-i",
            task["model"],
            "-o",
            str(folder),
            "-p",
            task["precision"],
            "-e",
            "cpu",
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
    config = og.Config(str(folder))
    model = og.Model(config)
    tokenizer = og.Tokenizer(model)

    def write(prompt: str, count: int, seed: int) -> list[list[str]]:
        params, ids = og.GeneratorParams(model), tokenizer.encode(prompt)
        most = decoding["max_tokens"]
        options = {"temperature": decoding["temperature"], "top_p": decoding["top_p"], "top_k": 0, "random_seed": seed % 2**31}
        params.set_search_options(do_sample=True, batch_size=count, max_length=len(ids) + most, min_length=0, **options)
        generator = og.Generator(model, params)
        generator.append_tokens([list(map(int, ids))] * count if count > 1 else list(map(int, ids)))
        texts, ended = [""] * count, [False] * count
        while not generator.is_done() and not all(ended):
            generator.generate_next_token()
            for row in range(count):
                if not ended[row]:
                    made = tokenizer.decode(generator.get_sequence(row)[len(ids) :])
                    texts[row], ended[row] = made.split("\n")[0], "\n" in made
        return [[text, "stop" if end or len(generator.get_sequence(row)) < len(ids) + most else "length"]
                for row, (text, end) in enumerate(zip(texts, ended, strict=True))]  # fmt: skip

    groups: dict[str, list[int]] = {}
    for place, (prompt, _) in enumerate(task["rows"]):
        groups.setdefault(prompt, []).append(place)
    write(task["rows"][0][0], 2, 1)
    start, texts = time.perf_counter(), {}
    for prompt, places in groups.items():
        for first in range(0, len(places), task["parallel"]):
            batch: list[int] = places[first : first + task["parallel"]]
            texts.update(zip(batch, write(prompt, len(batch), task["rows"][batch[0]][1]), strict=True))
    answer: dict[str, Any] = {"seconds": time.perf_counter() - start, "texts": [texts[place] for place in range(len(task["rows"]))]}
    print("\n" + json.dumps(answer | {"versions": {name: version(name) for name in ("onnxruntime-genai", "onnxruntime")}}))


if __name__ == "__main__":
    main()
