"""Overhead of distilabel: a pipeline of its own with a model that answers at once. Run by bench_overhead.py in an environment with distilabel alone."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

from distilabel.models import LLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from peer_clock import Clock


class StandIn(LLM):  # type: ignore[misc]
    """Answers at once."""

    text: str
    tokens: list[int]

    @property
    def model_name(self) -> str:
        """Its name."""
        return "stand-in"

    def generate(self, inputs: list[Any], num_generations: int = 1) -> list[Any]:
        """Return the same text for each input."""
        counts = {"input_tokens": [self.tokens[0]], "output_tokens": [self.tokens[1]]}
        return [{"generations": [self.text], "statistics": counts} for _ in inputs]


def main() -> None:
    """Read the task from standard input, print the answer as the last line."""
    task = json.load(sys.stdin)
    rows = []
    for count in task["rows"]:
        folder = Path(task["folder"]) / f"distilabel-{count}"
        prompts = [{"instruction": task["prompt"].format(place)} for place in range(count)]
        clock = Clock()
        with Pipeline(name=f"overhead-{count}", cache_dir=folder) as pipeline:
            load = LoadDataFromDicts(data=prompts, batch_size=task["batch"])
            load >> TextGeneration(llm=StandIn(text=task["text"], tokens=task["tokens"]), input_batch_size=task["batch"])
        made = pipeline.run(use_cache=True)
        made["default"]["train"].to_parquet(str(folder / "out.parquet"))
        rows.append({"rows": count, **clock.read()})
        texts = made["default"]["train"]["generation"]
        assert len(texts) == count and set(texts) == {task["text"]}
    print(json.dumps({"runs": rows, "versions": {name: version(name) for name in ("distilabel", "datasets", "pydantic")}}))


if __name__ == "__main__":
    main()
