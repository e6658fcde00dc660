"""Single answers of the generators through the row cache, for what is asked besides the examples' own three texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emosynth.generation.fill import fill
from emosynth.grounding.prompts import Prompt
from emosynth.models.lm import LanguageModel, Request, request_key
from emosynth.params import Decoding, Generator, Grounding
from emosynth.progress import Progress
from emosynth.store import RowStore


@dataclass(frozen=True)
class Job:
    """One text to be asked for: prompt, name of the generator, seed."""

    prompt: Prompt
    generator: str
    row_seed: int


@dataclass(frozen=True)
class Answer:
    """What came: the text as the model continued it, and whether the model ended it."""

    text: str
    ended: bool


def ask(
    jobs: Sequence[Job],
    what: str,
    params: Grounding,
    decoding: Decoding,
    open_model: Callable[[Generator], LanguageModel],
    store: RowStore,
) -> list[Answer]:
    """Return an answer to each job, in order; those found in ``store`` are taken from there.

    Parameters
    ----------
    what
        Names the work in progress lines.
    """
    progress = Progress(len(jobs), f"grounding: {what}", "texts")
    out: dict[int, Answer] = {}
    for name, weighted in params.generators.items():
        mine = [place for place, job in enumerate(jobs) if job.generator == name]
        if not mine:
            continue
        model = open_model(weighted.generator)
        try:
            requests = [Request(jobs[place].prompt.text, jobs[place].row_seed, weighted.prompt_style == "chat") for place in mine]
            keys = [request_key(model.identity, decoding, request) for request in requests]
            fill(model, decoding, weighted.generator.batch, what, dict(zip(keys, requests, strict=True)), len(keys), store, progress)
        finally:
            model.close()
        for place, key in zip(mine, keys, strict=True):
            value = store.get(key)
            out[place] = Answer(value["text"], value["finish"] == "stop")
    return [out[place] for place in range(len(jobs))]
