"""Backend ``server``: any server that speaks OpenAI's HTTP interface, on this machine or elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import zlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from emosynth.errors import UserError
from emosynth.models.lm import pool
from emosynth.models.lm.answers import Refusal, read_answer
from emosynth.models.lm.base import STOP, Completion, Progress, Request, shortened
from emosynth.models.lm.budget import Budget, Spent
from emosynth.models.lm.pool import Address, Passing
from emosynth.params import Decoding, Generator
from emosynth.progress import say, warn
from emosynth.secrets import redact, without

_NEEDED = {"model", "prompt", "messages", "max_completion_tokens", "stream"}
"""Fields that cannot be left out when a server does not take them."""

_BLANKS = 3
_MOST_BYTES = 8 << 20
"""Of one answer, packed and unpacked: a text of many thousand tokens with the probabilities of each is a third of it."""


class ServerModel:
    """Generator behind one or several addresses of an OpenAI-compatible server.

    Parameters
    ----------
    generator
        All fields of `Generator` that are said to be the server's.
    spent
        File in which `Budget` keeps count; None: of this model alone.

    Raises
    ------
    UserError
        If there is no usable address or the key cannot be sent.

    Notes
    -----
    The key is read from the environment variable ``api_key_env`` and goes into the request's header, nowhere else.
    A missing ``/v1`` is put in. Fields that an address says it does not take are not sent there again, which is said and noted once; so
    is that a server has no ``/completions``. A server may ignore seeds, so its texts are taken as not reproducible: the row cache keeps them.
    ``stop`` is not sent with chat requests: an answer may begin with thoughts, or with an empty line.
    """

    deterministic = False

    def __init__(self, generator: Generator, spent: Path | None = None) -> None:
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
        self.budget = Budget(generator, self.identity, spent)
        self.notes: list[str] = []
        self._said: set[str] = set()
        self._client: httpx.AsyncClient | None = None
        self._requests: Sequence[Request] = ()
        self._decoding = Decoding()

    @classmethod
    def open(cls, generator: Generator, catalog: Any) -> ServerModel:
        """Prepare the connection; nothing is sent yet."""
        return cls(generator, catalog and catalog.paths.cache / "spent.sqlite")

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
        self.budget.save()
        arriving = pool.stream(self, len(requests), self._connected)
        try:
            for arrived in arriving:
                self.budget.save()
                yield arrived
        except pool.Exhausted:
            raise self.budget.exhausted() from None
        finally:
            arriving.close()  # type: ignore[attr-defined]
            self.budget.save()

    async def _connected(self, work: Awaitable[None]) -> None:
        at_home = all(httpx.URL(each.base).host in ("127.0.0.1", "localhost", "::1") for each in self.addresses)
        most = self.concurrency * len(self.addresses)
        try:
            client = httpx.AsyncClient(
                headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
                timeout=None,  # the whole of a request has a limit, see `ask`
                limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
                trust_env=not at_home,  # no proxy to reach this machine
            )
        except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:  # its text may hold a part of a proxy's password
            getattr(work, "close", int)()
            raise UserError(
                f"The connection cannot be prepared ({type(error).__name__}): a proxy or a file of certificates is not one that can be used.",
                where="environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR",
                remedy="Correct or unset the variable; a SOCKS proxy needs the package socksio.",
            ) from None
        async with client as self._client:
            await work

    # --- one request ------------------------------------------------------------------------------------

    def reserve(self, row: int) -> bool:
        """Set aside what a row can cost at most; see `pool.Talk`."""
        return self.budget.reserve(self._most(row))

    def _most(self, row: int) -> Spent:
        """Return a token a byte of the prompt, and what may be written."""
        limits = [self._decoding.max_new_tokens, *(self.generator.extra.get(name) for name in ("max_tokens", "max_completion_tokens"))]
        read = len(self._requests[row].prompt.encode("utf-8", "replace"))
        return Spent(read=read, written=max(limit for limit in limits if isinstance(limit, int)))

    async def ask(self, row: int, address: Address) -> Completion:
        """Return the answer to a row; see `pool.Talk`."""
        try:
            return await self._ask(row, address)
        finally:
            self.budget.release(self._most(row))

    async def _ask(self, row: int, address: Address) -> Completion:
        request, without_stop = self._requests[row], False
        while True:
            chat = request.chat or address.chat
            url = address.base
            payload = self._payload(request, chat, address)
            if without_stop:
                payload.pop("stop", None)
            answer = await self._post(url, chat, payload)
            found = read_answer(answer, chat, request.prompt, self._safe)
            if isinstance(found, Completion):
                found = replace(found, text=without(found.text, self._key))  # a server that echoes what it was sent
                self.budget.count(found, self._most(row))
                address.answers += 1
                if found.text.strip() or found.finish != "stop" or "stop" not in payload:
                    return found
                # It may have begun with a line end. That is dear to find out by two requests a row, so it is remembered.
                address.blanks += 1
                if address.blanks > _BLANKS and 2 * address.blanks > address.answers:
                    self._leave_out(address, "stop", "its answers begin with a line end")
                without_stop = True
                continue
            # An answer of another kind may come from another interface, if it is the first at an address without a version.
            final = found.passing and url == address.base and (address.answers or _versioned(url))
            if found.missing and not final and self._mend(address, url, chat, found):
                continue
            if found.status >= 500 or found.passing:
                raise Passing(found.what, after=found.after, busy=found.status == 429)
            field = next((name for name in found.fields if name in payload), None)
            if field is not None and field not in _NEEDED and field not in self.generator.extra:
                self._leave_out(address, field, found.what)
                continue
            raise_for(found, address.shown, self.generator.api_key_env, bool(self._key))
            return Completion("", "refused", 0, 0, found.what)

    async def _post(self, base: str, chat: bool, payload: dict[str, Any]) -> httpx.Response:
        assert self._client is not None
        try:
            async with asyncio.timeout(self.generator.timeout):
                url = f"{base}/{'chat/completions' if chat else 'completions'}"
                async with self._client.stream("POST", url, json=payload) as answer:
                    return await _whole(answer, self._safe)
        except (TimeoutError, httpx.TimeoutException):
            raise Passing(f"it did not answer within {self.generator.timeout:g} s", absent=True) from None
        except httpx.ConnectError as error:
            raise Passing(self._safe(f"it cannot be reached ({error})"), absent=True) from None
        except httpx.HTTPError as error:
            said = "" if "location" in str(error) else f": {error}"  # a part of an address may be a part of a secret
            raise Passing(self._safe(f"the connection broke ({type(error).__name__}{said})")) from None

    def _payload(self, request: Request, chat: bool, address: Address) -> dict[str, Any]:
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
        if "max_tokens" in address.left_out:
            payload["max_completion_tokens"] = payload["max_tokens"]
        return {name: value for name, value in payload.items() if name not in address.left_out} | self.generator.extra

    def _leave_out(self, address: Address, field: str, why: str) -> None:
        address.left_out.add(field)
        instead = "max_completion_tokens is sent instead" if field == "max_tokens" else "it is left out"
        self._note(field, f"the server does not take {field} ({why}); {instead}")

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
        self._note("chat", "the server has no /completions; prompts go through its chat template (generation.style: chat asks for that)")
        return True

    def _note(self, about: str, line: str) -> None:
        """Say and note what was found out, once, at whatever address."""
        if about not in self._said:
            self._said.add(about)
            self.notes.append(self._safe(line))
            warn(f"{self.generator.model}: {self.notes[-1]}")

    def _safe(self, text: str) -> str:
        return shortened(redact(text, self._key), 200)

    def close(self) -> None:
        """Say what was spent."""
        run, total = self.budget.run, self.budget.total
        if run.answers:
            before = f"; in all {self.budget.account(total)}" if total != run else ""
            say(f"server: {self.generator.model}: {self.budget.account(run)}{before}")
            self.budget = Budget(self.generator, self.identity, self.budget.file)

    def __repr__(self) -> str:
        return f"ServerModel({self.generator.model!r} at {', '.join(each.shown for each in self.addresses)!r})"


async def _whole(answer: httpx.Response, safe: Callable[[str], str]) -> httpx.Response:
    """Return an answer that was read up to a bound, counted as it arrives and as it unpacks: the client's own readers know none."""
    packed = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise Passing(safe(f"an answer in an encoding that was not asked for ({packed[:40]})"))
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed not in ("identity", "") else None
    content, read = bytearray(), 0
    async for part in answer.aiter_raw():
        read += len(part)
        try:
            content += unpack.decompress(part, _MOST_BYTES + 1 - len(content)) if unpack else part
        except zlib.error as error:
            raise Passing(f"an answer that cannot be unpacked ({error})") from None
        if max(read, len(content)) > _MOST_BYTES:
            raise Passing(f"an answer of more than {_MOST_BYTES >> 20} MiB")
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in ("content-encoding", "transfer-encoding")]
    return httpx.Response(answer.status_code, headers=headers, content=bytes(content))


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
