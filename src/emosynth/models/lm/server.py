"""Backend ``server``: any server that speaks OpenAI's HTTP interface, on this machine or elsewhere."""

from __future__ import annotations

import contextlib
import email.utils
import logging
import os
import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from typing import Any

import httpx

from emosynth.errors import UserError
from emosynth.models.lm.base import STOP, Completion, Progress, Request, one_line, shortened
from emosynth.params import Decoding, Generator

log = logging.getLogger(__name__)

_BASE_DELAY = 0.5  # seconds before the first retry, doubled each time
_MAX_DELAY = 30.0
_MAX_RETRY_AFTER = 60.0  # what a server asks for is honoured up to this
_NEVER_REACHED_RETRIES = 2  # a server that has never answered is most likely not there
_PASSING = {408, 409, 425, 429}
_MISSING = {404, 405, 501}


class _Passing(Exception):
    """A problem that may be gone the next time."""

    def __init__(self, what: str, *, after: float = 0.0, refused: bool = False) -> None:
        super().__init__(what)
        self.after, self.refused = after, refused


class _Aborted(Exception):
    """Another row of the same call has failed for good."""


class _NoSuchPath(Exception):
    """The server has no ``/completions``."""


class ServerModel:
    """Generator behind an OpenAI-compatible server.

    Parameters
    ----------
    generator
        ``url`` (up to ``/v1``), ``model``, ``api_key_env``, ``concurrency``, ``timeout`` and ``retries`` are used.

    Raises
    ------
    UserError
        If there is no usable address or the key cannot be sent.

    Notes
    -----
    The key is read from the environment variable ``api_key_env`` and goes into the request's header, nowhere else.
    ``top_k`` and ``repetition_penalty`` are no part of OpenAI's interface; they are sent only when they are set, under the names that
    vLLM and others use. A server may ignore seeds, so its texts are taken as not reproducible: the row cache keeps them.
    """

    deterministic = False

    def __init__(self, generator: Generator) -> None:
        self._model, self._concurrency, self._retries = generator.model, generator.concurrency, generator.retries
        self._key_env = generator.api_key_env
        self._key = os.environ.get(generator.api_key_env, "").strip()
        self.identity: dict[str, Any] = {
            "backend": "server",
            "model": generator.model,
            **({"revision": generator.revision} if generator.revision else {}),
        }
        try:
            url = httpx.URL((generator.url or "").rstrip("/"))
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            raise UserError(
                "The backend server needs the server's address.",
                where="models: url",
                remedy="Set url to the base address up to /v1, such as http://127.0.0.1:8000/v1.",
            )
        self._url = url
        self._shown = str(url.copy_with(userinfo=b"", query=None, fragment=None))
        if not self._key.isascii() or not self._key.isprintable():
            raise UserError(
                "The API key holds characters that cannot be sent.", where=self._key_env, remedy="Set the variable to the key alone."
            )
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=generator.timeout,
            limits=httpx.Limits(max_connections=generator.concurrency, max_keepalive_connections=generator.concurrency),
            trust_env=url.host not in ("127.0.0.1", "localhost", "::1"),  # no proxy to reach this machine
        )
        self._reached = False  # whether the server has ever answered
        self._chat_only = False
        self._lock = threading.Lock()

    @classmethod
    def open(cls, generator: Generator, catalog: Any) -> ServerModel:
        """Prepare the connection; nothing is sent yet."""
        return cls(generator)

    def generate(self, requests: Sequence[Request], decoding: Decoding, *, progress: Progress | None = None) -> list[Completion]:
        """Write one text for each request; see `LanguageModel.generate`.

        Raises
        ------
        UserError
            If the server cannot be reached, refuses, or does not give a usable answer within the retries.
        """
        if any(request.bias for request in requests):
            raise UserError(
                "The backend server cannot bias logits.",
                where="writers",
                remedy="Give the arms that need it a writer with backend: transformers.",
            )
        if not requests:
            return []
        stop = threading.Event()
        done: dict[int, Completion] = {}
        with ThreadPoolExecutor(min(self._concurrency, len(requests)), thread_name_prefix="server") as pool:
            futures: dict[Future[Completion], int] = {
                pool.submit(self._one, request, decoding, stop): row for row, request in enumerate(requests)
            }
            try:
                for future in as_completed(futures):
                    with contextlib.suppress(_Aborted):  # the failure that aborted it is among the other futures
                        done[futures[future]] = future.result()
                        if progress is not None:
                            progress(len(done))
            except BaseException:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return [done[row] for row in range(len(requests))]

    def _one(self, request: Request, decoding: Decoding, stop: threading.Event) -> Completion:
        problem = _Passing("nothing was tried")
        attempt = 0
        while True:
            if stop.is_set():
                raise _Aborted
            try:
                completion = self._ask(request, decoding)
                self._reached = True
                return completion
            except _NoSuchPath:
                self._fall_back()
                continue
            except _Passing as error:
                problem = error
            except UserError:
                stop.set()
                raise
            allowed = self._retries
            if problem.refused and not self._reached:
                allowed = min(allowed, _NEVER_REACHED_RETRIES)
            if attempt >= allowed:
                stop.set()
                raise UserError(
                    f"The language model server gave no usable answer in {attempt + 1} attempts; the last problem: {problem}.",
                    where=self._shown,
                    remedy="Check that the server runs at this address and is not overloaded; raise retries or timeout, or lower concurrency.",
                )
            delay = self._delay(request.row_seed, attempt, problem.after)
            attempt += 1
            log.info("server: %s; attempt %d follows in %.1f s", problem, attempt + 1, delay)
            if stop.wait(delay):
                raise _Aborted

    @staticmethod
    def _delay(seed: int, attempt: int, after: float) -> float:
        """Return seconds to wait: exponential, jittered by row so that rows do not come back all at once, at least what was asked for."""
        jitter = random.Random(f"{seed} {attempt}").uniform(0.5, 1.5)
        return max(min(_BASE_DELAY * 2.0**attempt, _MAX_DELAY) * jitter, min(after, _MAX_RETRY_AFTER))

    def _fall_back(self) -> None:
        with self._lock:
            if not self._chat_only:
                self._chat_only = True
                log.warning("%s has no /completions; prompts go through its chat template from now on", self._shown)

    def _ask(self, request: Request, decoding: Decoding) -> Completion:
        chat = request.chat or self._chat_only
        payload: dict[str, Any] = {
            "model": self._model,
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": request.row_seed % (1 << 31),  # more than 31 bits is too much for some servers
            "stop": [STOP],
            "stream": False,
        }
        if decoding.top_k:
            payload["top_k"] = decoding.top_k
        if decoding.repetition_penalty != 1:
            payload["repetition_penalty"] = decoding.repetition_penalty
        if chat:
            payload["messages"] = [{"role": "user", "content": request.prompt}]
        else:
            payload["prompt"] = request.prompt
        try:
            answer = self._client.post(f"{self._url}/{'chat/completions' if chat else 'completions'}", json=payload)
        except httpx.TimeoutException:
            raise _Passing("it did not answer in time", refused=False) from None
        except httpx.ConnectError as error:
            raise _Passing(self._safe(f"it cannot be reached ({error})"), refused=True) from None
        except httpx.HTTPError as error:
            raise _Passing(self._safe(f"the connection broke ({type(error).__name__}: {error})")) from None
        if answer.status_code in _MISSING and not chat:
            raise _NoSuchPath
        if answer.status_code != 200:
            raise self._refusal(answer)
        return self._read(answer, chat)

    def _refusal(self, answer: httpx.Response) -> Exception:
        status = answer.status_code
        if status in (401, 403):
            have = "The key in it was sent" if self._key else "It is not set"
            return UserError(
                f"The server refuses access (HTTP {status}).", where=self._shown, remedy=f"Put a valid key into {self._key_env}. {have}."
            )
        if status in _PASSING or status >= 500:
            self._reached = True
            return _Passing(f"HTTP {status}", after=_retry_after(answer.headers.get("Retry-After")))
        return UserError(
            f"The server rejects the request (HTTP {status}): {self._safe(_message(answer))}",
            where=self._shown,
            remedy="Check url, which ends in /v1 for most servers, and model, which must be the server's own name of it.",
        )

    def _read(self, answer: httpx.Response, chat: bool) -> Completion:
        try:
            content = answer.json()
            choice = content["choices"][0]
            text = choice["message"]["content"] if chat else choice["text"]
            usage = content.get("usage") or {}
            counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise _Passing("an answer that is not of the OpenAI kind") from None
        if text is None:  # a model that has nothing to say
            text = ""
        if not isinstance(text, str):
            raise _Passing("an answer that is not of the OpenAI kind")
        length = choice.get("finish_reason") == "length" and STOP not in text
        return Completion(one_line(text), "length" if length else "stop", counts[0], counts[1])

    def _safe(self, text: str) -> str:
        if self._key:
            text = text.replace(self._key, "[key]")
        return shortened(text, 200)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __repr__(self) -> str:
        return f"ServerModel({self._model!r} at {self._shown!r})"


def _retry_after(value: str | None) -> float:
    """Return the seconds that a Retry-After header asks for; 0 when it says nothing sensible."""
    if not value:
        return 0.0
    with contextlib.suppress(ValueError):
        return max(0.0, float(value)) if value.strip().lower() not in ("nan", "inf", "infinity") else 0.0
    with contextlib.suppress(ValueError, TypeError):
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    return 0.0


def _message(answer: httpx.Response) -> str:
    """Return what the server says about its refusal."""
    try:
        content: Any = answer.json()
    except ValueError:
        return answer.text or "no message"
    for name in ("error", "detail", "message"):
        if isinstance(content, Mapping) and content.get(name):
            content = content[name]
    return str(content)
