"""Make what the row cache lacks: unit by unit, or from a server as texts arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emosynth.errors import UserError
from emosynth.generation.gate import EARLY, FINAL, Gate, Kind, kind_of
from emosynth.models.lm import Completion, LanguageModel, Movable, Portable, Request, Streaming, Unfit, request_key
from emosynth.models.lm.base import shortened
from emosynth.parallel import in_order, remote, rooms, threads_of
from emosynth.params import Decoding
from emosynth.progress import Progress
from emosynth.secrets import redact
from emosynth.store import RowStore

Value = dict[str, Any]
"""One answer: ``text``, ``finish``, ``prompt_tokens``, ``new_tokens``, and ``error`` where there is one."""

_ENOUGH = 16
"""Answers after which texts that were cut off are committed while others are still to come."""
_HOPELESS = 6
"""Failures without a text between, of halves and quarters of a unit, after which it is not for single rows that it fails."""


@dataclass(frozen=True)
class Work:
    """Who writes, how, and where to.

    Attributes
    ----------
    batch
        Texts of a unit of a local model.
    what
        Names the work in errors.
    bounds
        See `Gate`.
    """

    model: LanguageModel
    decoding: Decoding
    batch: int
    what: str
    store: RowStore
    progress: Progress
    bounds: tuple[float, float]


@dataclass(frozen=True)
class Part:
    """What is wanted for one origin.

    Attributes
    ----------
    what
        Names it in errors.
    requests
        Requests by key.
    total
        Texts that progress counts for them: equal requests are one entry of ``requests``.
    judge
        Says why an answer cannot be used.
    """

    what: str
    requests: Mapping[str, Request]
    total: int
    judge: Callable[[str, Value], Kind]


class _Gates:
    """A gate for each part, and one over all; a key belongs to the first part that asks for it."""

    def __init__(self, work: Work, parts: Sequence[Part]) -> None:
        self.all = Gate(work.what, work.bounds)
        self._parts = [Gate(part.what, work.bounds) for part in parts]
        self._owner = {key: number for number, part in reversed(list(enumerate(parts))) for key in part.requests}
        self._judges = [part.judge for part in parts]

    def add(self, key: str, value: Value) -> Kind:
        number = self._owner[key]
        kind = self._judges[number](key, value)
        self.all.add(kind, value)
        self._parts[number].add(kind, value)
        return kind

    def check(self, sure: float = FINAL) -> None:
        for gate in self._parts:
            gate.check(sure)


def fill(work: Work, parts: Sequence[Part]) -> dict[str, Value]:
    """Generate and commit the texts that the store lacks, and return all by key.

    A local model's unit of ``batch`` texts, of whatever parts, is committed whole or not at all, so that a killed run resumes at a unit's
    border with the very calls that an uninterrupted run would have made. A row that it fails at alone is refused, with the error; the others
    of the unit are written without it. A server's texts do not depend on each other: each is committed as it arrives. Of these, an empty one
    is returned and not committed, one that was cut off or refused for good is committed once enough others can be used.

    Raises
    ------
    UserError
        If the model cannot answer, too little of what it answers for a part can be used, or the store cannot be written; what was committed
        stays.
    """
    found: dict[str, Value] = {}
    gates = _Gates(work, parts)
    requests = {key: request for part in parts for key, request in part.requests.items()}
    for key in requests:
        value = work.store.get(key)
        if value is not None:
            found[key] = value
            gates.add(key, value)
    items = [(key, request) for key, request in requests.items() if key not in found]
    work.progress.skip(sum(part.total for part in parts) - len(items))
    found |= (_stream if isinstance(work.model, Streaming) else _units)(work, items, gates)
    gates.check()
    return found


def _value(completion: Completion) -> Value:
    value = {
        "text": completion.text,
        "finish": completion.finish,
        "prompt_tokens": completion.prompt_tokens,
        "new_tokens": completion.new_tokens,
    }
    return value | ({"error": completion.error} if completion.error else {})


def _units(work: Work, items: Sequence[tuple[str, Request]], gates: _Gates) -> dict[str, Value]:
    made: dict[str, Value] = {}
    units = [items[start : start + work.batch] for start in range(0, len(items), work.batch)]
    before = work.progress.done
    written = _written(work, [[request for _, request in unit] for unit in units], lambda done: work.progress.at(before + done))
    for unit, completions in zip(units, written, strict=True):
        values = {key: _value(completion) for (key, _), completion in zip(unit, completions, strict=True)}
        for key, value in values.items():
            gates.add(key, value)
        gates.check(EARLY)
        work.store.commit(values)
        made |= values
        before += len(unit)
        work.progress.at(before)
    return made


_held: list[tuple[LanguageModel, Decoding]] = []


def _hold(model: LanguageModel, decoding: Decoding) -> None:
    _held[:] = [(model, decoding)]  # a worker keeps its model from unit to unit


def _write_unit(unit: tuple[Sequence[Request], int], progress: Callable[[int], None]) -> list[Completion]:
    (model, decoding), (requests, threads) = _held[0], unit
    if isinstance(model, Portable) and threads:
        model.threads = threads
    try:
        return model.generate(requests, decoding, progress=progress)
    except Exception as error:
        refused = {} if _of_all(error) else _unfit(model, requests, decoding)
        if not refused:
            raise
    rest = iter(model.generate([request for row, request in enumerate(requests) if row not in refused], decoding, progress=progress))
    return [Completion("", "refused", 0, 0, refused[row]) if row in refused else next(rest) for row in range(len(requests))]


def _of_all(error: Exception) -> bool:
    """Whether an error is surely no row's own: what a user has to mend, or memory."""
    return isinstance(error, UserError | MemoryError) and not isinstance(error, Unfit)


def _unfit(model: LanguageModel, requests: Sequence[Request], decoding: Decoding) -> dict[int, str]:
    """Return why rows fail by themselves, by place and sought by halves; nothing, if it is not for single rows that a unit fails."""
    found: dict[int, str] = {}
    pieces, failures, fine = _halves(range(len(requests))), 0, False
    while pieces and (fine or failures < _HOPELESS):
        piece = pieces.pop(0)
        try:
            model.generate([requests[row] for row in piece], decoding)
            fine = True
        except Exception as error:
            if _of_all(error):
                raise
            failures += 1
            pieces += _halves(piece)
            if len(piece) == 1:
                found[piece[0]] = redact(shortened(error.what if isinstance(error, UserError) else f"{type(error).__name__}: {error}"))
    return found if fine else {}


def _halves(rows: range) -> list[range]:
    middle = len(rows) // 2
    return [rows[:middle], rows[middle:]] if middle else []


def _written(work: Work, units: Sequence[Sequence[Request]], progress: Callable[[int], None]) -> Iterator[list[Completion]]:
    """Yield the texts of each unit, in order: side by side where the model can, since its own threads leave much of the cores idle."""
    if remote():  # a model that cannot be sent stays here
        workers = min(rooms(work.model.memory), len(units)) if isinstance(work.model, Movable) else 0
    else:
        workers = max(1, min(rooms(work.model.memory) if isinstance(work.model, Portable) else 1, len(units)))
    last = len(units) - len(units) % max(1, workers)  # the units of the last round, if they are fewer, share the cores
    tasks = [
        (unit, 0 if workers == 1 and not remote() else threads_of(workers if place < last else len(units) - last))
        for place, unit in enumerate(units)
    ]
    yield from in_order(_write_unit, tasks, workers, progress, _hold, (work.model, work.decoding))


def _stream(work: Work, items: Sequence[tuple[str, Request]], gates: _Gates) -> dict[str, Value]:
    made: dict[str, Value] = {}
    cut: dict[str, Value] = {}
    refused: dict[str, Value] = {}
    now = Gate(work.what, work.bounds)  # what was there before says nothing of how the server answers today
    assert isinstance(work.model, Streaming)
    arriving = work.model.stream([request for _, request in items], work.decoding)
    try:
        for arrived in arriving:
            good: dict[str, Value] = {}
            for place, completion in arrived:
                key, value = items[place][0], _value(completion)
                kind = gates.add(key, value)
                now.add(kind, value)
                made[key] = value
                if completion.finish == "refused":
                    refused[key] = value
                elif kind in ("", "cut"):
                    (cut if kind else good)[key] = value
            if now.total >= _ENOUGH and now.sound:
                good, cut = good | cut, {}
            work.store.commit(good)
            work.progress.advance(len(arrived))
            gates.check(EARLY)  # it names the origin
            now.check(EARLY)
    finally:
        arriving.close()  # type: ignore[attr-defined]
        # A refusal is taken for the row's own fault only beside rows that were answered, now or before.
        if gates.all.sound:
            work.store.commit(cut | refused)
    return made


def ask(model: LanguageModel, decoding: Decoding, batch: int, what: str, requests: Sequence[Request], store: RowStore) -> list[Value]:
    """Return an answer to each request, in order, through the store.

    For what is asked besides the candidates: any answer of a local model will do, and one of a server that is cut off. Parameters as of
    `Work`.
    """
    keys = [request_key(model.identity, decoding, request) for request in requests]
    bounds = (0.5 if isinstance(model, Streaming) else 1.0, 1.0)
    work = Work(model, decoding, batch, what, store, Progress(len(keys), what, "texts"), bounds)
    part = Part(what, dict(zip(keys, requests, strict=True)), len(keys), lambda _, value: kind_of(value["text"], value["finish"], True))
    found = fill(work, [part])
    return [found[key] for key in keys]
