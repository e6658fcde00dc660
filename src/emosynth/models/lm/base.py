"""What every generator has in common: requests in, completions out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from emosynth.errors import UserError
from emosynth.params import Decoding

STOP = "\n"
"""One text is one line: whatever the backend, writing stops here and the text does not hold it."""

Finish = Literal["stop", "length", "refused", "failed"]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Request:
    """One text to be written.

    Parameters
    ----------
    prompt
        What the model is given. With ``chat`` it is the user's turn, and the backend puts the model's chat template around it.
    row_seed
        Seed of this text alone, 0 … 2**63 - 1.
    chat
        Whether to use the model's chat template.
    bias
        Pairs of a word and the logit bonus it is given. Only the backend ``transformers`` can do it.
    """

    prompt: str
    row_seed: int
    chat: bool = False
    bias: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Completion:
    """One text that was written.

    Parameters
    ----------
    text
        The text up to (not including) the first newline; otherwise as the model wrote it, leading space included. It is empty when
        the model began with a newline.
    finish
        ``stop``: the model ended the line or the text; ``length``: it ran into ``max_new_tokens``; ``refused``: it cannot answer this request,
        now or later. Of a server only: ``failed``: it gave no usable answer to it again and again, while it answered others.
    prompt_tokens, new_tokens
        Number of tokens read and written, as the backend counts them; 0 when a server does not say.
    error
        Why there is no text, where the model says so or its answer shows it.
    """

    text: str
    finish: Finish
    prompt_tokens: int
    new_tokens: int
    error: str = ""


class Unfit(UserError):
    """A list holds a request that the model cannot answer, whatever stands beside it; it may answer the others."""


@runtime_checkable
class LanguageModel(Protocol):
    """A generator.

    Attributes
    ----------
    identity
        What can change the texts besides the decoding and the requests: backend, hash of the model, versions, precision. It is JSON,
        part of every cache key, and holds no path, address or key.
    deterministic
        Whether ``generate`` gives equal texts for equal lists on one machine.
    """

    identity: dict[str, Any]
    deterministic: bool

    def generate(self, requests: Sequence[Request], decoding: Decoding, *, progress: Progress | None = None) -> list[Completion]:
        """Write one text for each request, in their order.

        One call is one unit of work: if the model is deterministic, the result depends on this list alone, not on calls before it.
        ``progress`` is called with the number of texts finished so far.
        """
        ...

    def close(self) -> None:
        """Free what the model holds."""
        ...


@runtime_checkable
class Movable(LanguageModel, Protocol):
    """A generator that can be sent to a worker of a cluster: what is sent is how to load it, and it is loaded there.

    Attributes
    ----------
    memory
        Bytes that it takes at most, about.
    """

    memory: int


@runtime_checkable
class Portable(Movable, Protocol):
    """A generator that can be sent to another process of this machine too, since each call opens all that it needs.

    Attributes
    ----------
    threads
        Threads of a call, on which its texts do not depend; None: as many as there are cores.
    """

    threads: int | None


@runtime_checkable
class Streaming(LanguageModel, Protocol):
    """A generator that hands texts over as they arrive: one behind a server, whose texts do not depend on each other.

    Attributes
    ----------
    notes
        What it found out about its server that a reader of the texts should know.
    """

    notes: list[str]

    def stream(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[list[tuple[int, Completion]]]:
        """Yield what has arrived, as places among the requests with completions; each place once."""
        ...


def request_key(identity: Mapping[str, Any], decoding: Decoding, request: Request) -> str:
    """Return the cache key of one text: a hash of what can change it, and of nothing else.

    Batch size, concurrency, threads, time-outs, retries and a server's address are no part of it.
    """
    content = {
        "identity": dict(identity),
        "decoding": {**decoding.model_dump(mode="json"), "stop": STOP},
        "prompt": request.prompt,
        "row_seed": request.row_seed,
        "chat": request.chat,
        "bias": sorted([word, float(bonus)] for word, bonus in request.bias),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode("ascii")).hexdigest()


# The opening mark may stand in the chat template.
_THOUGHT = re.compile(r".*(?:</(?:think(?:ing)?|thought|reasoning)>|\[/THINK\]|<\|channel\|>final<\|message\|>)\s*", re.S)
_THINKING = re.compile(r"\s*(?:<(?:think(?:ing)?|thought|reasoning)>|\[THINK\]|<\|channel\|>analysis)")


def spoken(text: str) -> str:
    """Return an answer without the block of thoughts that it begins with; empty if the block is never closed."""
    said = text[found.end() :] if (found := _THOUGHT.match(text)) else text
    return "" if _THINKING.match(said) else said


def one_line(text: str) -> str:
    """Return ``text`` up to the first newline."""
    return text.split(STOP, 1)[0]


def shortened(text: object, limit: int = 300) -> str:
    """Return a message fit for a log: one line, and short even if a library echoed all its input."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
