"""What a full run of a profile would write: texts from its plan, tokens and time from a preview's."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from emosynth.design.arms import Origin, list_origins
from emosynth.files import write_json
from emosynth.generation.slots import needs_of
from emosynth.models.lm import Completion, LanguageModel, Request, Streaming
from emosynth.parallel import cores
from emosynth.params import Decoding, Generator, Params
from emosynth.writers import generator_of, list_uses

_FEW = 16
"""Texts of a call below which its speed says little of larger ones."""


@dataclass(frozen=True)
class Call:
    """One call of a model: what it wrote, in how many seconds."""

    texts: int
    new_tokens: int
    seconds: float


@dataclass
class Stopwatch:
    """Times the calls of models, by generator; what was measured before is kept in a file."""

    path: Path
    calls: dict[str, list[Call]] = field(default_factory=dict)

    def load(self) -> Stopwatch:
        """Read what earlier previews measured; a file that cannot be read says nothing."""
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
            self.calls = {name: [Call(*call) for call in calls] for name, calls in known.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self.calls = {}
        return self

    def save(self) -> None:
        """Write what was measured."""
        write_json(self.path, {name: [list(astuple(call)) for call in calls] for name, calls in self.calls.items()})

    def watch(self, name: str, model: LanguageModel) -> LanguageModel:
        """Return the model, its calls timed from now on."""
        calls = self.calls.setdefault(name, [])

        def note(made: Sequence[Completion], since: float) -> None:
            calls.append(Call(len(made), sum(one.new_tokens for one in made), time.perf_counter() - since))

        if isinstance(model, Streaming):
            stream = model.stream

            def streamed(requests: Sequence[Request], decoding: Decoding) -> Iterator[list[tuple[int, Completion]]]:
                since, made = time.perf_counter(), []
                for arrived in stream(requests, decoding):
                    made += [completion for _, completion in arrived]
                    yield arrived
                note(made, since)

            model.stream = streamed  # type: ignore[method-assign]
            return model
        generate = model.generate

        def generated(requests: Sequence[Request], decoding: Decoding, **more: Any) -> list[Completion]:
            since = time.perf_counter()
            made = generate(requests, decoding, **more)
            note(made, since)
            return made

        model.generate = generated  # type: ignore[method-assign]
        return model

    def rates(self, name: str) -> tuple[float, float, float] | None:
        """Return new tokens a second of a generator: least, over all, most; None: nothing was measured.

        Most is the best of the fastest call and, where calls differ in size, of what a further token costs (the slope of seconds over
        tokens): larger batches come near that.
        """
        calls = [call for call in self.calls.get(name, []) if call.new_tokens and call.seconds > 0]
        large = [call for call in calls if call.texts >= _FEW] or calls
        if not large:
            return None
        each = [call.new_tokens / call.seconds for call in large]
        pooled, most = sum(call.new_tokens for call in large) / sum(call.seconds for call in large), max(each)
        mean = (sum(call.new_tokens for call in calls) / len(calls), sum(call.seconds for call in calls) / len(calls))
        spread = sum((call.new_tokens - mean[0]) ** 2 for call in calls)
        rise = sum((call.new_tokens - mean[0]) * (call.seconds - mean[1]) for call in calls)
        return min(each), pooled, max(most, spread / rise if spread and rise > 0 else most)


@dataclass(frozen=True)
class Part:
    """What one origin writes with one model.

    Attributes
    ----------
    candidates, texts
        Candidates in all cells; texts of the model, those written on the way among them.
    tokens_in, tokens_out
        Expected; ``spread`` is the standard error of ``tokens_out``.
    measured
        Whether the preview wrote for this origin; else the mean of the others stands for it.
    """

    origin: str
    generator: str
    candidates: int
    texts: float
    tokens_in: float
    tokens_out: float
    spread: float
    measured: bool


@dataclass(frozen=True)
class Forecast:
    """A full run's writing.

    Attributes
    ----------
    seconds
        Least, expected, most; None: no speed is known.
    cost
        Expected, in the currency of the prices; None: no prices.
    """

    parts: list[Part]
    seconds: tuple[float, float, float] | None
    cost: float | None

    def total(self, name: str) -> float:
        """Return the sum of a number over all parts."""
        return float(sum(getattr(part, name) for part in self.parts))


def generator_name(generator: Generator) -> str:
    """Return backend and model, without a path."""
    return f"{generator.backend}:{PurePath(generator.model).name}"


def planned(params: Params) -> dict[str, tuple[Origin, int]]:
    """Return each origin that a model writes, with the candidates that the plan of a profile needs of it."""
    uses = list_uses(params)
    found = {}
    for name, origin in list_origins(params).items():
        needs = needs_of(params, [use for use in uses if use.origin.name == name])
        if needs and origin.edits is None:
            found[name] = origin, sum(needs.values())
    return found


def forecast(params: Params, written: pd.DataFrame, account: Mapping[str, Any], watch: Stopwatch) -> Forecast:
    """Return what the whole profile would write.

    Parameters
    ----------
    written, account
        What the preview wrote (`emosynth.generation.build_candidates`).
    """
    parts: list[Part] = []
    steps = {name: sum(step["texts"] for step in found.values()) for name, found in account["steps"].items()}
    for name, (origin, candidates) in planned(params).items():
        own = written[written["origin"] == name]
        rows = own if len(own) else written
        texts = candidates * (steps[name] / len(own) if len(own) else 1.0)
        mean = {column: float(rows[column].mean()) if len(rows) else 0.0 for column in ("prompt_tokens", "new_tokens")}
        error = candidates * float(rows["new_tokens"].std(ddof=1)) / math.sqrt(len(rows)) if len(rows) > 1 else 0.0
        weights = sum(weight for _, weight in origin.writers)
        for writer, weight in origin.writers:
            share = weight / weights
            parts.append(
                Part(
                    name, generator_name(generator_of(params, writer)), round(candidates * share), texts * share,
                    candidates * share * mean["prompt_tokens"], candidates * share * mean["new_tokens"], error * share, bool(len(own)),
                )
            )  # fmt: skip
    return Forecast(parts, _seconds(parts, watch), _cost(params, parts))


def _seconds(parts: Sequence[Part], watch: Stopwatch) -> tuple[float, float, float] | None:
    least = expected = most = 0.0
    known = {name: rates for name in dict.fromkeys(part.generator for part in parts) if (rates := watch.rates(name)) is not None}
    if not known:
        return None
    for part in parts:
        slow, mean, fast = known.get(part.generator) or next(iter(known.values()))
        expected += part.tokens_out / mean
        # two standard errors of the preview's texts, and its fastest and slowest calls
        least += max(0.0, part.tokens_out - 2 * part.spread) / fast
        most += (part.tokens_out + 2 * part.spread) / slow
    return least, expected, most


def _cost(params: Params, parts: Sequence[Part]) -> float | None:
    models = [params.models.writer, *params.models.others.values()]
    prices = {generator_name(model): (model.price_in, model.price_out) for model in models if model.price_in or model.price_out}
    if not prices:
        return None
    free = (0.0, 0.0)
    return (
        sum(part.tokens_in * prices.get(part.generator, free)[0] + part.tokens_out * prices.get(part.generator, free)[1] for part in parts)
        / 1e6
    )


def clock(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def busy() -> str:
    """Return what to say of a machine that has more to do than its cores can; nothing elsewhere."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (
        f"the machine was busy when this was measured (load {load:.1f} on {cores()} cores): left alone it is faster"
        if load > cores()
        else ""
    )


def lines(made: Forecast, names: Mapping[str, str]) -> list[str]:
    """Return a forecast in words, its uncertainty and what it leaves out among them; origins are called by ``names``."""
    out = [
        f"writing: {made.total('candidates'):,.0f} candidates in {made.total('texts'):,.0f} texts; about {made.total('tokens_in'):,.0f} tokens read, "
        f"{made.total('tokens_out'):,.0f} (± {200 * math.hypot(*(part.spread for part in made.parts)) / max(1.0, made.total('tokens_out')):.0f} %) written"
    ]
    if made.seconds is None:
        out.append("time: not known; all texts of this preview were there already, and none was timed")
    else:
        least, expected, most = map(clock, made.seconds)
        out.append(
            f"time of writing: about {expected} ({least} to {most}: the preview's fastest and slowest calls, what a further token cost there, and two standard errors of its tokens); "
            "its batches are small, and full ones are faster a text on most machines; what is in the cache costs nothing"
        )
    if made.cost is not None:
        out.append(f"cost of writing: about {made.cost:,.2f}, in the currency of the prices set; retries are not in it")
    guessed = [names[part.origin] for part in made.parts if not part.measured]
    if guessed:
        out.append(f"not previewed, so the mean of the others stands for them: {'; '.join(dict.fromkeys(guessed))}")
    return out
