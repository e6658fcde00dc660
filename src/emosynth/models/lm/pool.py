"""Many requests to few addresses: the least busy is asked, one that fails is put aside, and nothing waits for the slowest."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from emosynth.errors import UserError
from emosynth.models.lm.base import Completion
from emosynth.progress import say

BASE_DELAY = 0.5  # seconds that an address is put aside for at first, doubled each time
MAX_DELAY = 30.0
MAX_RETRY_AFTER = 600.0  # what a server asks for is honoured up to this
ABSENT = 2  # a server that has never answered is most likely not there: it is tried again so often
PATIENCE = 11  # a server that has answered is tried again at least so often, and so is a row that others were answered beside
_LONG = 5.0  # seconds of silence that are explained
_IN_A_ROW = 3  # failures one after the other that put aside an address which has answered


class Passing(Exception):
    """A problem that may be gone the next time.

    Attributes
    ----------
    after
        Seconds that the server asks to wait.
    absent
        Whether nobody answered.
    """

    def __init__(self, what: str, *, after: float = 0.0, absent: bool = False, busy: bool = False) -> None:
        super().__init__(what)
        self.after, self.absent, self.busy = after, absent, busy


class Exhausted(Exception):
    """The budget does not allow another request."""


@dataclass(eq=False)
class Address:
    """One place where the model is served. What it is like is found out on the way."""

    base: str
    shown: str
    chat: bool = False  # whether it has no /completions
    left_out: set[str] = field(default_factory=set)  # fields of a request that it does not take
    answers: int = 0
    blanks: int = 0  # of these, without a text
    load: int = 0
    sent: int = 0
    failed: int = 0  # since its last answer
    strikes: int = 0  # times it was put aside since its last answer
    until: float = 0.0
    aside: float = -1.0  # when it was put aside last
    problem: Passing = field(default_factory=lambda: Passing("nothing was tried"))


class Talk(Protocol):
    """What asks one row at one address."""

    addresses: list[Address]
    concurrency: int
    retries: int
    answered: int

    def reserve(self, row: int) -> bool:
        """Set aside what a request can cost at most; whether the budget allows it."""
        ...

    async def ask(self, row: int, address: Address) -> Completion:
        """Return the answer; raises `Passing`, or `UserError` for what will not pass."""
        ...


def delay(seed: object, attempt: int, after: float) -> float:
    """Return seconds to wait: exponential, jittered so that clients do not come back all at once, at least what was asked for."""
    jitter = random.Random(f"{seed} {attempt}").uniform(0.5, 1.5)
    return max(min(BASE_DELAY * 2.0**attempt, MAX_DELAY) * jitter, min(after, MAX_RETRY_AFTER))


def put_aside(talk: Talk, address: Address, problem: Passing, sent_at: float) -> None:
    """Note a failure; an address that fails again and again, or asks for it, gets no requests for a while."""
    address.failed += 1
    address.problem = problem
    if sent_at <= address.aside:  # was under way when the address was put aside: no news
        return
    if talk.answered and not (problem.absent or problem.busy) and address.failed < _IN_A_ROW and not address.strikes:
        return
    address.aside = time.monotonic()
    address.until = address.aside + delay(address.shown, address.strikes, problem.after)
    address.strikes += 1
    wait = address.until - address.aside
    if address.strikes == 1 and (len(talk.addresses) > 1 or wait >= _LONG):
        say(f"server: {address.shown} is put aside for {wait:.1f} s: {problem}")


def _given_up(talk: Talk, problem: Passing) -> UserError | None:
    def allowed(address: Address) -> int:
        if talk.answered:
            return max(PATIENCE, talk.retries)
        return min(talk.retries, ABSENT) if address.problem.absent else talk.retries

    if any(address.strikes <= allowed(address) for address in talk.addresses):
        return None
    return UserError(
        f"The language model server gave no usable answer in {max(each.strikes for each in talk.addresses)} attempts; "
        f"the last problem: {problem}.",
        where=", ".join(each.shown for each in talk.addresses),
        remedy="Check that the server runs at this address and is not overloaded; raise retries or timeout, or lower concurrency.",
    )


async def _dispatch(talk: Talk, rows: int, emit: Callable[[int, Completion], None]) -> None:
    waiting, attempts = deque(range(rows)), [0] * rows
    running: dict[asyncio.Task[Completion], tuple[int, Address, float]] = {}
    ending: Exception | None = None  # what ends the work; what is under way is waited for, since it is paid for
    try:
        while running or (waiting and ending is None):
            while waiting and ending is None:
                now = time.monotonic()
                # An address that failed is tried with one request, not with all.
                free = [each for each in talk.addresses if each.until <= now and each.load < (1 if each.strikes else talk.concurrency)]
                if not free:
                    break
                if not talk.reserve(waiting[0]):  # what is under way may well cost less than is set aside for it
                    ending = None if running else Exhausted()
                    break
                # One that failed is for what the others have no room for: it may keep the last rows waiting.
                address = min(free, key=lambda each: (each.strikes > 0, each.load, each.sent))
                row = waiting.popleft()
                address.load, address.sent = address.load + 1, address.sent + 1
                running[asyncio.create_task(talk.ask(row, address))] = row, address, now
            wake = min((each.until for each in talk.addresses if each.until > time.monotonic()), default=None)
            timeout = None if wake is None or not waiting or ending is not None else max(wake - time.monotonic(), 0.0)
            if not running:
                await asyncio.sleep(timeout or 0.0)
                continue
            await asyncio.wait(running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:
                row, address, sent_at = running.pop(task)
                address.load -= 1
                try:
                    completion = task.result()
                    address.failed = address.strikes = 0
                    address.until = 0.0
                    talk.answered += 1
                    emit(row, completion)
                except Passing as problem:
                    attempts[row] += 1
                    put_aside(talk, address, problem, sent_at)
                    if talk.answered and attempts[row] > max(PATIENCE, talk.retries) and not (problem.absent or problem.busy):
                        emit(row, Completion("", "failed", 0, 0, f"{problem}, {attempts[row]} times"))
                    else:
                        waiting.append(row)
                        ending = ending or _given_up(talk, problem)
                except UserError as error:
                    ending = ending or error
        if ending is not None:
            raise ending
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def stream(talk: Talk, rows: int, around: Callable[[Awaitable[None]], Awaitable[None]]) -> Iterator[list[tuple[int, Completion]]]:
    """Ask all rows and yield answers as they arrive, all that are there at once.

    The requests run in a thread of their own, beside a notebook's event loop; they end when the iterator is closed.

    Parameters
    ----------
    around
        Wraps the work, to open and close connections in its event loop.

    Raises
    ------
    UserError
        If the server cannot be reached, refuses access, or does not answer.
    Exhausted
        If the budget does not allow all; what was under way has been yielded.
    """
    arrived: queue.SimpleQueue[tuple[int, Completion] | BaseException | None] = queue.SimpleQueue()
    loop = asyncio.new_event_loop()
    main = loop.create_task(_wrapped(talk, rows, arrived, around))

    def work() -> None:
        try:
            loop.run_until_complete(main)
            arrived.put(None)
        except BaseException as error:  # handed over to the thread that reads
            arrived.put(error)
        finally:
            loop.close()

    thread = threading.Thread(target=work, name="server", daemon=True)
    thread.start()
    try:
        ended: Any = False
        while ended is False:
            items = [arrived.get()]
            with contextlib.suppress(queue.Empty):
                while True:
                    items.append(arrived.get_nowait())
            answers = [item for item in items if isinstance(item, tuple)]
            if answers:
                yield answers
            if not isinstance(items[-1], tuple):
                ended = items[-1]
        if ended is not None:
            raise ended
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(main.cancel)
        thread.join()


async def _wrapped(talk: Talk, rows: int, arrived: queue.SimpleQueue[Any], around: Callable[[Awaitable[None]], Awaitable[None]]) -> None:
    await around(_dispatch(talk, rows, lambda row, completion: arrived.put((row, completion))))
