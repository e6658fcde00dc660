"""Backend ``server``: any server that speaks OpenAI's HTTP interface, on this machine or elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from emosynth.errors import UserError
from emosynth.models.lm import pool
from emosynth.models.lm.answers import Refusal, read_answer
from emosynth.models.lm.base import STOP, Completion, Progress, Request, shortened
from emosynth.models.lm.pool import Address, Passing
from emosynth.params import Decoding, Generator
from emosynth.progress import say, warn
from emosynth.secrets import redact

_NEEDED = {"model", "prompt", "messages", "max_completion_tokens", "stream"}
"""Fields that cannot be left out when a server does not take them."""

_BLANKS = 3


@dataclass
class Usage:
    """What was spent since the model was opened; ``reserved``: what requests under way can spend at most."""

    requests: int = 0
    read: int = 0
    written: int = 0
    guessed: int = 0
    reserved_read: int = 0
    reserved_written: int = 0


class ServerModel:
    """Generator behind one or several addresses of an OpenAI-compatible server.

    Parameters
    ----------
    generator
        All fields of `Generator` that are said to be the server's.

    Raises
    ------
    UserError
        If there is no usable address or the key cannot be sent.

    Notes
    -----
    The key is read from the environment variable ``api_key_env`` and goes into the request's header, nowhere else.
    Fields that a server says it does not take are left out from then on, which is said and noted; so is a missing ``/v1``, and that a
    server has no ``/completions``. A server may ignore seeds, so its texts are taken as not reproducible: the row cache keeps them.
    ``stop`` is not sent with chat requests: an answer may begin with thoughts, or with an empty line.
    """

    deterministic = False

    def __init__(self, generator: Generator) -> None:
        self.generator, self.concurrency, self.retries = generator, generator.concurrency, generator.retries
        self._key = os.environ.get(generator.api_key_env, "").strip()
        self.identity: dict[str, Any] = {
            "backend": "server",
            "model": generator.model,
            **({"revision": generator.revision} if generator.revision else {}),
            **({"extra": dict(generator.extra)} if generator.extra else {}),
        }
        urls = [url for url in (generator.url, *generator.urls) if url]
        self.addresses = [_address(url) for url in dict.fromkeys(urls or [""])]
        if not self._key.isascii() or not self._key.isprintable():
            raise UserError(
                "The API key holds characters that cannot be sent.",
                where=generator.api_key_env,
                remedy="Set the variable to the key alone.",
            )
        self.answered = 0
        self.usage = Usage()
        self.notes: list[str] = []
        self._left_out: set[str] = set()
        self._blank = 0
        self._client: httpx.AsyncClient | None = None
        self._requests: Sequence[Request] = ()
        self._decoding = Decoding()

    @classmethod
    def open(cls, generator: Generator, catalog: Any) -> ServerModel:
        """Prepare the connection; nothing is sent yet."""
        return cls(generator)

    def generate(self, requests: Sequence[Request], decoding: Decoding, *, progress: Progress | None = None) -> list[Completion]:
        """Write one text for each request; see `LanguageModel.generate`.

        Raises
        ------
        UserError
            If the server cannot be reached, refuses all, or answers nothing.
        """
        done: dict[int, Completion] = {}
        for arrived in self.stream(requests, decoding):
            for row, completion in arrived:
                done[row] = completion
                if progress is not None:
                    progress(len(done))
        if done and all(completion.finish == "refused" for completion in done.values()):
            raise UserError(
                f"The server rejects the request ({done[0].error}).",
                where=self.addresses[0].shown,
                remedy="Check url, which ends in /v1 for most servers, and model, which must be the server's own name of it.",
            )
        return [done[row] for row in range(len(requests))]

    def stream(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[list[tuple[int, Completion]]]:
        """Yield texts as they arrive; see `Streaming.stream`.

        Raises
        ------
        UserError
            If the server cannot be reached, refuses access, answers nothing, or the budget is spent: what was answered has been yielded.
        """
        if any(request.bias for request in requests):
            raise UserError(
                "The backend server cannot bias logits.",
                where="writers",
                remedy="Give the arms that need it a writer with backend: transformers.",
            )
        if not requests:
            return
        self._requests, self._decoding = requests, decoding
        try:
            yield from pool.stream(self, len(requests), self._connected)
        except pool.Spent:
            raise UserError(
                f"The budget of this run is spent: {self._account()}.",
                where="models: max_tokens, max_cost",
                remedy="Run the same command again to spend as much once more, or raise the budget: texts that are there are kept.",
            ) from None

    async def _connected(self, work: Awaitable[None]) -> None:
        at_home = all(httpx.URL(each.base).host in ("127.0.0.1", "localhost", "::1") for each in self.addresses)
        most = self.concurrency * len(self.addresses)
        async with httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=None,  # the whole of a request has a limit, see `ask`
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
            trust_env=not at_home,  # no proxy to reach this machine
        ) as self._client:
            await work

    # --- the budget -------------------------------------------------------------------------------------

    def reserve(self, row: int) -> bool:
        """Set aside what a request can cost at most (a token a byte of its prompt); whether the budget allows it."""
        own, usage = self.generator, self.usage
        read, written = usage.reserved_read + self._most(row), usage.reserved_written + self._decoding.max_new_tokens
        tokens = usage.read + usage.written + read + written
        if own.max_tokens is not None and tokens > own.max_tokens:
            return False
        if own.max_cost is not None and self._cost(usage.read + read, usage.written + written) > own.max_cost:
            return False
        usage.reserved_read, usage.reserved_written = read, written
        return True

    def _most(self, row: int) -> int:
        return len(self._requests[row].prompt.encode("utf-8", "replace"))

    def _cost(self, read: int, written: int) -> float:
        return (read * self.generator.price_in + written * self.generator.price_out) / 1e6

    def _account(self) -> str:
        usage = self.usage
        spent = f"{usage.requests:,} answers, {usage.read:,} tokens read, {usage.written:,} written"
        if self.generator.price_in or self.generator.price_out:
            spent += f", cost {self._cost(usage.read, usage.written):.4f}"
        return spent + (f" ({usage.guessed:,} answers did not say: counted at the most they can be)" if usage.guessed else "")

    # --- one request ------------------------------------------------------------------------------------

    async def ask(self, row: int, address: Address) -> Completion:
        """Return the answer to a row; see `pool.Talk`."""
        try:
            return await self._ask(row, address)
        finally:
            self.usage.reserved_read -= self._most(row)
            self.usage.reserved_written -= self._decoding.max_new_tokens

    async def _ask(self, row: int, address: Address) -> Completion:
        request, without_stop = self._requests[row], False
        while True:
            chat = request.chat or address.chat
            url = address.base
            payload = self._payload(request, chat)
            if without_stop:
                payload.pop("stop", None)
            answer = await self._post(url, chat, payload)
            found = read_answer(answer, chat, request.prompt, self._safe)
            if isinstance(found, Completion):
                if self._key and self._key in found.text:  # a server that echoes what it was sent
                    found = replace(found, text=found.text.replace(self._key, "[key]"))
                self._count(row, found)
                if found.text.strip() or found.finish != "stop" or "stop" not in payload:
                    return found
                # It may have begun with a line end. That is dear to find out by two requests a row, so it is remembered.
                self._blank += 1
                if self._blank > _BLANKS and 2 * self._blank > self.usage.requests:
                    self._leave_out("stop", "its answers begin with a line end")
                without_stop = True
                continue
            if found.status >= 500 or found.passing:
                raise Passing(found.what, after=found.after, busy=found.status == 429)
            if found.missing and self._mend(address, url, chat, found):
                continue
            field = next((name for name in found.fields if name in payload), None)
            if field is not None and field not in _NEEDED and field not in self.generator.extra:
                self._leave_out(field, found.what)
                continue
            raise_for(found, address.shown, self.generator.api_key_env, bool(self._key))
            return Completion("", "refused", 0, 0, found.what)

    async def _post(self, base: str, chat: bool, payload: dict[str, Any]) -> httpx.Response:
        assert self._client is not None
        try:
            async with asyncio.timeout(self.generator.timeout):
                return await self._client.post(f"{base}/{'chat/completions' if chat else 'completions'}", json=payload)
        except (TimeoutError, httpx.TimeoutException):
            raise Passing(f"it did not answer within {self.generator.timeout:g} s", absent=True) from None
        except httpx.ConnectError as error:
            raise Passing(self._safe(f"it cannot be reached ({error})"), absent=True) from None
        except httpx.HTTPError as error:
            raise Passing(self._safe(f"the connection broke ({type(error).__name__}: {error})")) from None

    def _payload(self, request: Request, chat: bool) -> dict[str, Any]:
        decoding = self._decoding
        payload: dict[str, Any] = {
            "model": self.generator.model,
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": request.row_seed % (1 << 31),  # more than 31 bits is too much for some servers
            "stop": [STOP],
            "stream": False,
        }
        if chat:
            del payload["stop"]
        if decoding.top_k:
            payload["top_k"] = decoding.top_k
        if decoding.repetition_penalty != 1:
            payload["repetition_penalty"] = decoding.repetition_penalty
        payload |= {"messages": [{"role": "user", "content": request.prompt}]} if chat else {"prompt": request.prompt}
        if "max_tokens" in self._left_out:
            payload["max_completion_tokens"] = payload["max_tokens"]
        return {name: value for name, value in payload.items() if name not in self._left_out} | self.generator.extra

    def _leave_out(self, field: str, why: str) -> None:
        if field not in self._left_out:
            self._left_out.add(field)
            instead = "max_completion_tokens is sent instead" if field == "max_tokens" else "it is left out"
            self._note(f"the server does not take {field} ({why}); {instead}")

    def _mend(self, address: Address, url: str, chat: bool, found: Refusal) -> bool:
        """Try another path after *not found*; whether there is one to try."""
        if address.base != url or (address.chat and not chat):
            return True  # another row has mended it
        if not chat and found.wants_chat:
            address.chat = True
        elif not _versioned(address.base) and not found.model:
            address.base += "/v1"
            return True
        elif not chat and not found.model:
            address.chat = True
        else:
            return False
        self._note("the server has no /completions; prompts go through its chat template (generation.style: chat asks for that)")
        return True

    def _note(self, line: str) -> None:
        line = self._safe(line)
        if line not in self.notes:
            self.notes.append(line)
            warn(f"{self.generator.model}: {line}")

    def _count(self, row: int, completion: Completion) -> None:
        usage = self.usage
        usage.requests += 1
        unsaid = not (completion.prompt_tokens or completion.new_tokens)
        usage.guessed += unsaid
        usage.read += self._most(row) if unsaid else completion.prompt_tokens
        usage.written += self._decoding.max_new_tokens if unsaid else completion.new_tokens

    def _safe(self, text: str) -> str:
        return shortened(redact(text, self._key), 200)

    def close(self) -> None:
        """Say what was spent."""
        if self.usage.requests:
            say(f"server: {self.generator.model}: {self._account()}")
            self.usage = Usage()

    def __repr__(self) -> str:
        return f"ServerModel({self.generator.model!r} at {', '.join(each.shown for each in self.addresses)!r})"


def raise_for(found: Refusal, shown: str, key_env: str, sent: bool) -> None:
    """Raise for a refusal that concerns every row alike."""
    if found.quota:
        raise UserError(
            f"The account at the server has no credit left ({found.what}).", where=shown, remedy="Add credit, or name another server."
        )
    if found.access:
        have = "The key in it was sent" if sent else "It is not set"
        raise UserError(f"The server refuses access ({found.what}).", where=shown, remedy=f"Put a valid key into {key_env}. {have}.")
    if found.missing:
        raise UserError(
            f"The server rejects the request ({found.what}).",
            where=shown,
            remedy="Check url, which ends in /v1 for most servers, and model, which must be the server's own name of it.",
        )


def _versioned(base: str) -> bool:
    return any(part[:1] == "v" and part[1:2].isdigit() for part in httpx.URL(base).path.split("/"))


def _address(text: str) -> Address:
    text = text.strip().rstrip("/")
    for tail in ("/chat/completions", "/completions"):
        text = text.removesuffix(tail).rstrip("/")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    with contextlib.suppress(UnicodeError):
        if url.scheme in ("http", "https") and url.host:
            return Address(str(url), str(url.copy_with(userinfo=b"", query=None, fragment=None)))
    raise UserError(
        "The backend server needs the server's address.",
        where="models: url",
        remedy="Set url to the base address up to /v1, such as http://127.0.0.1:8000/v1.",
    )
