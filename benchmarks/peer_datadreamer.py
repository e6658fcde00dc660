"""Overhead of DataDreamer: a step of its own with a model that answers at once. Run by bench_overhead.py in an environment with DataDreamer alone."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}

from datadreamer import DataDreamer
from datadreamer.llms import LLM
from datadreamer.steps import DataSource, ProcessWithPrompt
from peer_clock import Clock


class StandIn(LLM):  # type: ignore[misc]
    """Answers at once; batches and cache are its base class's."""

    def __init__(self, text: str, tokens: list[int]) -> None:
        super().__init__()
        self.text, self.tokens = text, tokens

    def count_tokens(self, value: str) -> int:
        """Return the tokens of a prompt."""
        return self.tokens[0]

    def get_max_context_length(self, max_new_tokens: int) -> int:
        """Return more than enough."""
        return 100_000 - max_new_tokens

    def run(self, prompts: Any, batch_size: int = 10, return_generator: bool = False, total_num_prompts: Any = None, **more: Any) -> Any:
        """Return the same text for each prompt."""
        made = self._run_over_batches(
            run_batch=lambda inputs, **_: [self.text for _ in inputs], get_max_input_length_function=None, max_model_length=None,
            inputs=prompts, total_num_inputs=total_num_prompts, **{**more, "batch_size": batch_size, "adaptive_batch_size": False},
        )  # fmt: skip
        return made if return_generator else list(made)

    @property
    def _cache_name(self) -> str:
        return "stand-in"


def main() -> None:
    """Read the task from standard input, print the answer as the last line."""
    task = json.load(sys.stdin)
    rows = []
    for count in task["rows"]:
        folder = Path(task["folder"]) / f"datadreamer-{count}"
        prompts = [task["prompt"].format(place) for place in range(count)]
        clock = Clock()
        with DataDreamer(str(folder)):
            source = DataSource("prompts", data={"prompts": prompts})
            model = StandIn(task["text"], task["tokens"])
            step = ProcessWithPrompt(
                "write", inputs={"inputs": source.output["prompts"]},
                args={"llm": model, "instruction": "", "batch_size": task["batch"]}, outputs={"generations": "texts"},
            )  # fmt: skip
            step.output.dataset.to_parquet(str(folder / "out.parquet"))
        rows.append({"rows": count, **clock.read()})
        texts = step.output["texts"]
        assert len(texts) == count and set(texts) == {task["text"]}
    print("\n" + json.dumps({"runs": rows, "versions": {name: version(name) for name in ("datadreamer.dev", "datasets", "torch")}}))


if __name__ == "__main__":
    main()
