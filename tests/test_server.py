"""The server backend against servers that behave badly, and one that behaves."""

from __future__ import annotations

import base64
import contextlib
import gzip
import importlib.util
import json
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from emosynth.errors import UserError
from emosynth.generation.fill import ask
from emosynth.models.lm import LanguageModel, Request, open_language_model, pool, request_key
from emosynth.models.lm.answers import Refusal, read_answer, said_text
from emosynth.models.lm.server import ServerModel
from emosynth.params import Decoding, Generator
from emosynth.store import RowStore
from lm_files import catalog, smollm2
from writing_fakes import Answering, said

KEY = "sk-a-secret-that-must-not-leak"
DECODING = Decoding(max_new_tokens=12)


class Faulty:
    """An HTTP server whose answers follow a script: each request takes the next step, and the last step stays."""

    def __init__(self, steps: list[str | Callable[[dict[str, Any]], Any]]) -> None:
        self.steps, self.seen = steps, []  # type: ignore[var-annotated]
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with faulty.lock:
                    step = faulty.steps[min(len(faulty.seen), len(faulty.steps) - 1)]
                    faulty.seen.append((self.path, body))
                    faulty.headers.append(dict(self.headers))
                faulty.answer(self, step, body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def answer(self, handler: BaseHTTPRequestHandler, step: str | Callable[[dict[str, Any]], Any], body: dict[str, Any]) -> None:
        chat = handler.path.endswith("chat/completions")

        def send(content: bytes, status: int = 200, length: int | None = None, **headers: str) -> None:
            handler.send_response(status)
            handler.send_header("Content-Length", str(length or len(content)))
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(content)

        if callable(step):
            send(json.dumps(step(body)).encode())
        elif step == "stall":
            time.sleep(1.5)
            handler.close_connection = True
        elif step == "drop":
            handler.close_connection = True
        elif step == "garbage":
            send(b"<html>busy</html>")
        elif step == "half":
            send(b'{"choices": [{"mess', length=500)
            handler.close_connection = True
        elif step == "schema":
            send(b'{"choices": []}')
        elif step == "list":
            send(b"[1, 2]")
        elif step.startswith("429"):
            send(b"{}", 429, Retry_After=step.partition(" ")[2] or "0")
        elif step.isdigit():
            message = {"error": {"message": f"no good: {KEY} " + "blah " * 200}}
            send(json.dumps(message).encode(), int(step))
        else:
            text = f" {step} {body['seed']}\nand a second line"
            choice = {"message": {"content": text}} if chat else {"text": text}
            send(
                json.dumps(
                    {"choices": [{**choice, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}
                ).encode()
            )

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Faulty, ServerModel]]]:
    monkeypatch.setattr(pool, "BASE_DELAY", 0.01)
    monkeypatch.setattr(pool, "MAX_DELAY", 0.05)
    monkeypatch.setenv("EMOSYNTH_API_KEY", KEY)
    opened: list[Any] = []

    def start(*steps: Any, **settings: Any) -> tuple[Faulty, ServerModel]:
        http = Faulty(list(steps))
        model = ServerModel(Generator(backend="server", model="m", url=http.url, **{"timeout": 5.0, "concurrency": 1, **settings}))
        opened.extend((http, model))
        return http, model

    yield start
    for item in opened:
        item.close()


def test_good_answers_come_in_the_order_of_the_requests(faulty: Callable[..., tuple[Faulty, ServerModel]]) -> None:
    http, model = faulty("fine", concurrency=6)
    requests = [Request(f"prompt {row}", 2**40 + row, chat=row % 2 == 0) for row in range(20)]
    told: list[int] = []
    texts = model.generate(requests, DECODING, progress=told.append)
    assert [text.text for text in texts] == [f" fine {row}" for row in range(20)]
    assert {(text.finish, text.prompt_tokens, text.new_tokens) for text in texts} == {("stop", 5, 7)}
    assert told == list(range(1, 21))
    path, body = next(seen for seen in http.seen if seen[1].get("prompt") == "prompt 1")
    assert path == "/v1/completions"
    assert body == {
        "model": "m", "prompt": "prompt 1", "max_tokens": 12, "temperature": 0.8, "top_p": 0.95, "seed": 1, "stop": ["\n"], "stream": False,
    }  # fmt: skip
    path, body = next(seen for seen in http.seen if "messages" in seen[1])
    assert path == "/v1/chat/completions" and body["messages"][0]["role"] == "user"
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in http.headers)
    assert isinstance(model, LanguageModel) and not model.deterministic and model.generate([], DECODING) == []


def test_extensions_are_sent_only_when_set(faulty: Callable[..., tuple[Faulty, ServerModel]]) -> None:
    http, model = faulty("fine")
    model.generate([Request("p", 1)], Decoding(top_k=9, repetition_penalty=1.5))
    assert http.seen[0][1]["top_k"] == 9 and http.seen[0][1]["repetition_penalty"] == 1.5


def test_every_passing_problem_is_retried(faulty: Callable[..., tuple[Faulty, ServerModel]]) -> None:
    steps = ["drop", "stall", "500", "429", "garbage", "half", "schema", "list", "503", "408", "fine"]
    http, model = faulty(*steps, timeout=1.0, retries=len(steps))
    (text,) = model.generate([Request("p", 3, chat=True)], DECODING)
    assert text.text == " fine 3"
    assert len(http.seen) == len(steps)


def test_retry_after_is_honoured_and_bounded(faulty: Callable[..., tuple[Faulty, ServerModel]], monkeypatch: pytest.MonkeyPatch) -> None:
    _, model = faulty("429 0.3", "fine")
    start = time.monotonic()
    model.generate([Request("p", 3)], DECODING)
    assert time.monotonic() - start >= 0.3
    monkeypatch.setattr(pool, "MAX_RETRY_AFTER", 0.05)
    _, model = faulty("429 86400", "429 Wed, 21 Oct 2099 07:28:00 GMT", "429 nonsense", "429 inf", "fine")
    start = time.monotonic()
    model.generate([Request("p", 3)], DECODING)
    assert time.monotonic() - start < 5


def test_delays_grow_and_are_drawn_from_the_seed_alone() -> None:
    delays = [pool.delay(7, attempt, 0.0) for attempt in range(8)]
    assert delays == [pool.delay(7, attempt, 0.0) for attempt in range(8)]
    assert delays != [pool.delay(8, attempt, 0.0) for attempt in range(8)]
    assert delays[0] < 1 < delays[4] and max(delays) <= 45


def test_giving_up_names_address_attempts_problem_and_remedy(faulty: Callable[..., tuple[Faulty, ServerModel]]) -> None:
    http, model = faulty("503", retries=2)
    with pytest.raises(UserError) as caught:
        model.generate([Request("p", row) for row in range(50)], DECODING)
    message = str(caught.value)
    assert http.url in message and "3 attempts" in message and "HTTP 503" in message and "remedy" in message
    assert len(http.seen) <= 4  # the other rows were not tried in vain


@pytest.mark.parametrize("status", ["401", "403", "400", "404", "422"])
def test_refusals_fail_at_once_and_never_show_the_key(
    faulty: Callable[..., tuple[Faulty, ServerModel]], status: str, caplog: pytest.LogCaptureFixture
) -> None:
    http, model = faulty(status)
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError) as caught:
        model.generate([Request("p", 1, chat=True)], DECODING)
    assert len(http.seen) == 1
    shown = str(caught.value) + repr(caught.value) + caplog.text + repr(model) + json.dumps(model.identity)
    assert KEY not in shown
    assert f"HTTP {status}" in shown and len(str(caught.value)) < 700
    assert KEY not in repr(caught.value.__cause__) + repr(caught.value.__context__)


def test_chat_stands_in_for_missing_completions(
    faulty: Callable[..., tuple[Faulty, ServerModel]], capsys: pytest.CaptureFixture[str]
) -> None:
    http, model = faulty("404", "fine")
    texts = model.generate([Request("p", 1), Request("q", 2)], DECODING)
    assert [text.text for text in texts] == [" fine 1", " fine 2"]
    assert [path for path, _ in http.seen] == ["/v1/completions", "/v1/chat/completions", "/v1/chat/completions"]
    assert capsys.readouterr().err.count("chat template") == 1 and "chat template" in model.notes[0]


def test_odd_but_valid_answers(faulty: Callable[..., tuple[Faulty, ServerModel]]) -> None:
    answers = iter(
        [
            {"choices": [{"message": {"content": None}, "finish_reason": "stop"}]},
            {"choices": [{"message": {"content": "cut off"}, "finish_reason": "length"}], "usage": None},
            {"choices": [{"message": {"content": "\nlate"}, "finish_reason": "length"}]},
            {"choices": [{"message": {"content": {"no": "text"}}}]},
            {"choices": [{"message": {"content": "at last"}}]},
        ]
    )
    _, model = faulty(lambda _: next(answers))
    texts = model.generate([Request("p", row, chat=True) for row in range(4)], DECODING)
    assert [(text.text, text.finish) for text in texts] == [("", "stop"), ("cut off", "length"), ("late", "length"), ("at last", "stop")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSYNTH_API_KEY", KEY)
    url = f"http://user:{KEY}@127.0.0.1:{free_port()}/v1"
    model = ServerModel(Generator(backend="server", model="m", url=url))
    start = time.monotonic()
    with pytest.raises(UserError, match="cannot be reached") as caught:
        model.generate([Request("p", row) for row in range(30)], DECODING)
    assert time.monotonic() - start < 5
    assert KEY not in str(caught.value) and "3 attempts" in str(caught.value)


def test_refused_at_first_then_there(faulty: Callable[..., tuple[Faulty, ServerModel]], monkeypatch: pytest.MonkeyPatch) -> None:
    _, model = faulty("fine")
    post, calls = httpx.AsyncClient.post, []

    async def refuse(*args: Any, **kwargs: Any) -> httpx.Response:
        calls.append(args)
        if len(calls) <= 2:
            raise httpx.ConnectError("refused")
        return await post(*args, **kwargs)

    monkeypatch.setattr(httpx.AsyncClient, "post", refuse)
    assert model.generate([Request("p", 1)], DECODING)[0].text == " fine 1"


@pytest.mark.parametrize("url", [None, "", "127.0.0.1:8000", "ftp://host/v1", "http://"])
def test_addresses_that_are_none(url: str | None) -> None:
    with pytest.raises(UserError, match="address"):
        ServerModel(Generator(backend="server", model="m", url=url))


def test_identity_holds_neither_address_nor_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    one = open_language_model(Generator(backend="server", model="m", url="http://one/v1", api_key_env="MY_KEY", concurrency=2), None)  # type: ignore[arg-type]
    two = open_language_model(Generator(backend="server", model="m", url="https://two/v1", timeout=3.0, retries=0, batch=3), None)  # type: ignore[arg-type]
    assert one.identity == two.identity == {"backend": "server", "model": "m"}
    request = Request("p", 1)
    assert request_key(one.identity, DECODING, request) == request_key(two.identity, DECODING, request)


@pytest.mark.parametrize("usage", ["-1000000000000", "1e999", "9" * 5000, "1" + "0" * 300])
def test_what_a_server_claims_to_have_read_breaks_no_account(usage: str) -> None:
    body = f'{{"choices": [{{"text": "a"}}], "usage": {{"prompt_tokens": {usage}}}}}'.encode()
    found = read_answer(httpx.Response(200, content=body), False, "p", str)
    assert isinstance(found, Refusal) or 0 <= found.prompt_tokens <= 1 << 31


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [(500, "rot13", b"\xff"), (400, "hex", b"none"), (200, "utf-8", b"[" * 200_000), (500, "utf-8", b"[" * 200_000)],
)
def test_answers_that_cannot_be_read_are_refusals(status: int, kind: str, body: bytes) -> None:
    answer = httpx.Response(status, content=body, headers={"Content-Type": f"text/html; charset={kind}"})
    assert isinstance(read_answer(answer, False, "p", str), Refusal)


@pytest.mark.parametrize("packing", ["gzip", "deflate", "gzip, gzip", "br", "plain"])
def test_an_answer_without_end_does_not_fill_the_memory(
    faulty: Callable[..., tuple[Faulty, ServerModel]], monkeypatch: pytest.MonkeyPatch, packing: str
) -> None:
    import tracemalloc

    body = b'{"choices": [{"text": "' + b"a" * (256 << 20)
    packed = gzip.compress(body, 1) if packing.startswith("gzip") else zlib.compress(body, 1) if packing == "deflate" else body[: 24 << 20]
    packed = gzip.compress(packed) if "," in packing else packed
    sound = said("well", chat=False)
    answers = iter([{"Content-Encoding": packing} if packing != "plain" else {}])

    def answer(self: Faulty, handler: BaseHTTPRequestHandler, *_: Any) -> None:
        headers = next(answers, None)
        content = json.dumps(sound).encode() if headers is None else packed
        handler.send_response(200)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        with contextlib.suppress(OSError):  # who has heard enough hangs up
            handler.wfile.write(content)

    monkeypatch.setattr(Faulty, "answer", answer)
    http, model = faulty("fine")
    del body
    tracemalloc.start()
    try:
        assert model.generate([Request("p", 1)], DECODING)[0].text == "well"
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    assert len(http.headers) == 2 and {sent["Accept-Encoding"] for sent in http.headers} == {"identity"}


def test_an_answer_that_is_packed_all_the_same_is_read(
    faulty: Callable[..., tuple[Faulty, ServerModel]], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gzip.compress(json.dumps(said("wéll", chat=False)).encode())

    def answer(self: Faulty, handler: BaseHTTPRequestHandler, *_: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    monkeypatch.setattr(Faulty, "answer", answer)
    assert faulty("fine")[1].generate([Request("p", 1)], DECODING)[0].text == "wéll"


@pytest.mark.parametrize("form", [KEY, quote(quote(KEY, safe=""), safe=""), base64.b64encode(f"user:{KEY}".encode()).decode()])
def test_a_key_that_comes_back_as_text_is_not_kept(serve: Serve, form: str) -> None:
    _, model = serve(lambda path, body: said(f"it is {form}", chat="chat" in path))
    assert model.generate([Request("p", 1)], DECODING)[0].text.strip() == "it is [key]"


@pytest.mark.parametrize(
    ("name", "value"), [("HTTPS_PROXY", "http://me:hunter22%ZZ@[::1"), ("NO_PROXY", "*:**"), ("HTTPS_PROXY", "ftp://me:hunter22@proxy:1")]
)
def test_a_proxy_that_is_none_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="HTTPS_PROXY") as caught:
        ServerModel(Generator(backend="server", model="m", url="https://host.invalid/v1", retries=0)).generate([Request("p", 1)], DECODING)
    assert "hunter22" not in str(caught.value)


def test_bias_is_refused(faulty: Callable[..., tuple[Faulty, ServerModel]]) -> None:
    _, model = faulty("fine")
    with pytest.raises(UserError, match="bias"):
        model.generate([Request("p", 1, bias=(("joy", 2.0),))], DECODING)


def test_a_key_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSYNTH_API_KEY", "sk-é\n")
    with pytest.raises(UserError, match="key"):
        ServerModel(Generator(backend="server", model="m", url="http://h/v1"))


# --- providers that differ ----------------------------------------------------------------------------


Serve = Callable[..., tuple[Answering, ServerModel]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setattr(pool, "BASE_DELAY", 0.01)
    monkeypatch.setattr(pool, "MAX_DELAY", 0.05)
    monkeypatch.setenv("EMOSYNTH_API_KEY", KEY)
    opened: list[Any] = []

    def start(rule: Any, url: str = "", **settings: Any) -> tuple[Answering, ServerModel]:
        http = Answering(rule)
        opened.append(http)
        settings = {"timeout": 5.0, "concurrency": 1, "url": http.root + url if url is not None else None, **settings}
        return http, ServerModel(Generator(backend="server", model="m", **settings))

    yield start
    for item in opened:
        item.close()


def chats(count: int, start: int = 0) -> list[Request]:
    return [Request(f"p{row}", row, chat=True) for row in range(start, start + count)]


def openai(field: str, why: str = "Unsupported parameter: '{}' is not supported with this model.") -> Any:
    return 400, {"error": {"message": why.format(field), "param": field, "code": "unsupported_parameter", "type": "invalid_request_error"}}


def strict(*fields: str, refuse: Callable[[str], Any] = openai) -> Callable[[str, dict[str, Any]], Any]:
    """Return a server that refuses some fields, one at a time."""

    def rule(path: str, body: dict[str, Any]) -> Any:
        bad = next((field for field in fields if field in body), None)
        return refuse(bad) if bad else said("fine", chat="chat" in path)

    return rule


@pytest.mark.parametrize(
    ("fields", "refuse"),
    [
        (("max_tokens",), lambda f: openai(f, "Unsupported parameter: '{}'. Use 'max_completion_tokens' instead.")),
        (
            ("temperature", "top_p"),
            lambda f: openai(f, "'{}' does not support 0.8 with this model. Only the default (1) value is supported."),
        ),
        (
            ("seed", "stop"),
            lambda f: (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", f], "msg": "Extra inputs are not permitted"}]}),
        ),
        (("seed",), lambda f: (400, {"message": f"property '{f}' is unsupported"})),
        (("top_k", "seed"), lambda f: (400, {"error": f"Unrecognized request argument supplied: {f}"})),
        (
            ("seed", "top_k"),
            lambda f: (
                422,
                {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", f], "msg": "Extra inputs"}]}},
            ),
        ),
        (
            ("seed",),
            lambda f: (
                400,
                {"message": f"[{{'type': 'extra_forbidden', 'loc': ('body', '{f}'), 'input': {{'stop': 1, 'temperature': 0.8}}}}]"},
            ),
        ),
    ],
)
@pytest.mark.parametrize("chat", [True, False])
def test_fields_that_a_server_does_not_take_are_left_out(serve: Serve, fields: tuple[str, ...], refuse: Any, chat: bool) -> None:
    http, model = serve(strict(*fields, refuse=refuse), "/v1", concurrency=3)
    texts = model.generate([Request("p", row, chat=chat) for row in range(20)], Decoding(max_new_tokens=12, top_k=5))
    assert [text.text for text in texts] == ["fine"] * 20
    assert len(http.seen) <= 20 + 3 * len(fields), "found out once, not for each row"
    last = http.seen[-1][1]
    assert not set(fields) & set(last)
    assert last.get("max_completion_tokens" if "max_tokens" in fields else "max_tokens") == 12
    sent = [field for field in fields if not (chat and field == "stop")]
    assert len(model.notes) == len(sent) and all(any(field in note for note in model.notes) for field in sent)


def test_of_two_fields_that_exclude_each_other_the_temperature_stays(serve: Serve) -> None:
    message = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    http, model = serve(
        lambda _, body: (400, {"error": {"message": message}}) if {"temperature", "top_p"} <= set(body) else said("fine"), "/v1"
    )
    assert {text.text for text in model.generate(chats(5), DECODING)} == {"fine"}
    assert "temperature" in http.seen[-1][1] and len(http.seen) == 6 and len(model.notes) == 1


@pytest.mark.parametrize("named", [True, False])
def test_a_value_that_a_server_does_not_take_is_for_the_user_to_set(serve: Serve, named: bool) -> None:
    item = {"type": "less_than_equal", "loc": ["body", "temperature"], "msg": "Input should be less than or equal to 1"}
    error = {"error": {"message": "Invalid value for temperature: above 1.", "param": "temperature"}}
    http, model = serve(lambda *_: (400, error) if named else (422, {"detail": [item]}), "/v1")
    with pytest.raises(UserError, match=r"temperature|equal to 1"):
        model.generate(chats(2), Decoding(temperature=1.5))
    assert all("temperature" in body for _, body in http.seen) and model.notes == []


def test_each_address_is_sent_what_it_takes(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    easy, _ = serve(lambda *_: said("fine"), "/v1")
    other, _ = serve(strict("seed"), "/v1")
    http, model = serve(strict("seed"), "/v1", urls=[easy.url, other.url], concurrency=3)
    model.generate(chats(30), DECODING)
    assert easy.seen and all("seed" in body for _, body in easy.seen)
    for refusing in (http, other):
        bodies = [body for _, body in refusing.seen]
        assert 1 <= sum("seed" in body for body in bodies) <= 3 and all(
            set(body) == {*bodies[-1], "seed"} for body in bodies if "seed" in body
        )
    assert len(model.notes) == 1 and capsys.readouterr().err.count("does not take seed") == 1


def test_a_prompt_that_is_too_long_is_no_complaint_of_a_field(serve: Serve) -> None:
    message = "This model's maximum context length is 512 tokens, however you requested 600; reduce the prompt or max_tokens, which is not supported."

    def rule(path: str, body: dict[str, Any]) -> Any:
        return (400, {"error": {"message": message}}) if body["seed"] == 3 else said("fine")

    _, model = serve(rule, "/v1")
    texts = model.generate(chats(6), DECODING)
    assert [text.finish for text in texts] == ["stop"] * 3 + ["refused"] + ["stop"] * 2
    assert "maximum context" in texts[3].error and model.notes == []


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("chat", [True, False])
def test_addresses_are_understood(serve: Serve, tail: str, chat: bool) -> None:
    def rule(path: str, body: dict[str, Any]) -> Any:
        known = path in ("/v1/chat/completions", "/v1/completions")
        return said("fine", chat="chat" in path) if known else (404, {"detail": "Not Found"})

    http, model = serve(rule, tail)
    texts = model.generate([Request("p", row, chat=chat) for row in range(4)], DECODING)
    assert [text.text for text in texts] == ["fine"] * 4
    assert len(http.seen) <= 5 and http.seen[-1][0].endswith("/chat/completions") is chat
    assert KEY not in repr(model)


def test_an_interface_of_another_kind_at_an_address_without_a_version(serve: Serve) -> None:
    def rule(path: str, body: dict[str, Any]) -> Any:  # as llama.cpp has its own beside the one of OpenAI's kind
        return said("fine", chat=False) if path.startswith("/v1/") else {"content": "not this one", "stop": True}

    http, model = serve(rule, "", retries=0)
    assert [text.text for text in model.generate([Request("p", row) for row in range(4)], DECODING)] == ["fine"] * 4
    assert len(http.seen) == 5


def test_a_model_that_only_chats(serve: Serve) -> None:
    message = "This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?"

    def rule(path: str, body: dict[str, Any]) -> Any:
        return said('"Fine," she said"') if "chat" in path else (404, {"error": {"message": message, "code": "model_not_found"}})

    http, model = serve(rule, "/v1")
    assert [text.text for text in model.generate([Request('A list:\n- "', 1), Request("p", 2)], DECODING)] == [
        'Fine," she said"',
        '"Fine," she said"',
    ]
    assert [path for path, _ in http.seen].count("/v1/completions") == 1


def test_an_unknown_model_stops_at_once(serve: Serve) -> None:
    http, model = serve(
        lambda *_: (404, {"error": {"message": "The model `m` does not exist.", "code": "model_not_found"}}), "/v1", concurrency=2
    )
    with pytest.raises(UserError, match="model `m` does not exist"):
        model.generate([Request("p", row) for row in range(30)], DECODING)
    assert len(http.seen) <= 4


@pytest.mark.parametrize(
    ("answer", "text", "finish", "error"),
    [
        (said("<think>\nlong\n\nthoughts\n</think>\n\nI am glad"), "I am glad", "stop", ""),
        (said("thoughts</think>I am glad"), "I am glad", "stop", ""),
        (said("<think>", "stop"), "", "stop", "thinks first"),
        (said("<think>\nlong thoughts", "length"), "", "length", "limit of tokens"),
        (said(None, "length", reasoning_content="hm"), "", "length", "limit of tokens"),
        (said(None, "length"), "", "length", "limit of tokens"),
        (said(None), "", "stop", "no text"),
        (said("[THINK]hm[/THINK]I am glad"), "I am glad", "stop", ""),
        (said("<thought>hm", "length"), "", "length", "limit of tokens"),
        (said("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>I am glad"), "I am glad", "stop", ""),
        (said(None, refusal="I cannot do that"), "", "refused", "I cannot do that"),
        (said("", "content_filter"), "", "refused", "content filter"),
        (said("\n\n I am glad\nsecond"), " I am glad", "stop", ""),
        (said([{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "I am glad"}]), "I am glad", "stop", ""),
        (said("one whole line\nand a cut on", "length"), "one whole line", "stop", ""),
    ],
)
def test_answers_that_are_more_or_less_than_a_text(serve: Serve, answer: Any, text: str, finish: str, error: str) -> None:
    _, model = serve(lambda _, body: answer if body["seed"] else said("fine"), "/v1")
    _, found = model.generate(chats(2), DECODING)
    assert (found.text, found.finish) == (text, finish)
    assert error in found.error and bool(found.error) is (not text)


@pytest.mark.parametrize(
    ("answer", "prompt", "chat", "text"),
    [
        ('"I am glad"', 'list:\n- "', True, 'I am glad"'),
        ('- "I am glad"', 'list:\n- "', True, 'I am glad"'),
        ("“I am glad”", 'list:\n- "', True, 'I am glad"'),
        ('"I am gl', 'list:\n- "', True, "I am gl"),
        ('"I am glad"', 'list:\n- "', False, 'I am glad"'),
        ('"', 'list:\n- "', False, '"'),
        ('" - John, 25', 'list:\n- "', False, '" - John, 25'),
        ('I am glad" he said', 'list:\n- "', False, 'I am glad" he said'),
        ('"I am glad"', "Write a tweet.", True, '"I am glad"'),
        ("“I am glad”\nmore", "Write a tweet.", True, '"I am glad"\nmore'),
        ("- I am glad", "Write a tweet.", True, "- I am glad"),
    ],
)
def test_a_quote_that_the_prompt_has_opened_is_not_opened_again(answer: str, prompt: str, chat: bool, text: str) -> None:
    assert said_text(answer, chat, prompt) == text


def test_an_answer_that_begins_with_a_line_end_is_asked_for_without_the_stop(serve: Serve) -> None:
    http, model = serve(lambda _, body: said("" if "stop" in body else "\nI am glad\nmore", chat=False), "/v1")
    assert {text.text for text in model.generate([Request("p", row) for row in range(20)], DECODING)} == {"I am glad"}
    assert len(http.seen) == 20 + 4 and "line end" in model.notes[0]


def test_an_error_that_comes_as_success(serve: Serve) -> None:
    steps = iter(
        [{"error": {"message": "slow down", "code": 429}}, {"error": {"message": "overloaded", "type": "overloaded_error"}}, said("fine")]
    )
    _, model = serve(lambda *_: next(steps), "/v1")
    assert model.generate(chats(1), DECODING)[0].text == "fine"


@pytest.mark.parametrize("inside", [True, False])
def test_an_account_without_credit_is_not_asked_again(serve: Serve, inside: bool) -> None:
    error = {
        "error": {
            "message": "You exceeded your current quota, please check your plan.",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        }
    }
    http, model = serve(lambda *_: error if inside else (429, error, {"Retry-After": "1"}), "/v1")
    with pytest.raises(UserError, match="no credit left"):
        model.generate(chats(5), DECODING)
    assert len(http.seen) == 1


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (
            (
                429,
                {
                    "error": {
                        "message": "Rate limit reached. Please try again in 300ms. Visit /account/billing.",
                        "code": "rate_limit_exceeded",
                    }
                },
            ),
            0.3,
        ),
        (
            (
                429,
                [
                    {
                        "error": {
                            "message": "You exceeded your current quota, see billing. Please retry in 0.3s.",
                            "status": "RESOURCE_EXHAUSTED",
                        }
                    }
                ],
            ),
            0.3,
        ),
        ((429, {"error": {"message": "requests per minute: limited"}}, {"retry-after-ms": "300"}), 0.3),
        ((503, {"error": {"message": "Loading"}}, {"Retry-After": "0.3"}), 0.3),
    ],
)
def test_a_limit_of_rate_is_waited_for_whatever_it_says_of_bills(serve: Serve, answer: Any, seconds: float) -> None:
    answers = iter([answer])
    http, model = serve(lambda *_: next(answers, said("fine")), "/v1")
    start = time.monotonic()
    assert model.generate(chats(1), DECODING)[0].text == "fine" and len(http.seen) == 2
    assert time.monotonic() - start >= seconds


def test_a_long_wait_is_explained(serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_LONG", 0.1)
    answers: Iterator[Any] = iter([(429, {}, {"Retry-After": "0.2"})])
    _, model = serve(lambda *_: next(answers, said("fine")), "/v1")
    model.generate(chats(1), DECODING)
    assert "put aside" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["stall", "drip"])
def test_a_stalling_server_is_waited_for_as_long_as_told(serve: Serve, how: str) -> None:
    http, model = serve(lambda *_: how, "/v1", timeout=0.2, concurrency=4)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"within 0\.2 s"):
        model.generate(chats(9), DECODING)
    assert time.monotonic() - start < 4 and 3 <= len(http.seen) <= 8


# --- many rows, many addresses ------------------------------------------------------------------------


def test_nothing_waits_for_the_slowest(serve: Serve) -> None:
    others = threading.Semaphore(0)

    def rule(path: str, body: dict[str, Any]) -> Any:
        if body["seed"] == 0:  # is answered when all others have been
            ended = [others.acquire(timeout=10) for _ in range(29)]
            time.sleep(0.2)
            return said("last" if all(ended) else "too early")
        others.release()
        return said("fine")

    http, model = serve(rule, "/v1", concurrency=3, timeout=30.0)
    found = [(row, text.text) for arrived in model.stream(chats(30), DECODING) for row, text in arrived]
    assert sorted(row for row, _ in found) == list(range(30)) and found[-1] == (0, "last") and http.most <= 3


def test_a_stopped_run_stops_asking(serve: Serve) -> None:
    http, model = serve(lambda _, body: "stall" if body["seed"] > 3 else said("fine"), "/v1", concurrency=2)
    start = time.monotonic()
    arriving = model.stream(chats(100), DECODING)
    next(arriving)
    arriving.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 1.5 and threading.active_count() < 50 and not [t for t in threading.enumerate() if t.name == "server"]
    assert len(http.seen) < 10


def test_the_least_busy_address_is_asked_and_one_that_fails_is_tried_again_later(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_DELAY", 0.5)
    slow, _ = serve(lambda *_: [time.sleep(0.5), said("slow")][1], "/v1")  # type: ignore[func-returns-value]
    down = {"yes": True}
    dead, _ = serve(lambda *_: "drop" if down["yes"] else said("alive"), "/v1")
    fast, model = serve(lambda *_: said("fast"), "/v1", urls=[slow.url, dead.url], concurrency=2)
    texts = model.generate(chats(60), DECODING)
    assert {text.text for text in texts} == {"fast", "slow"}
    assert len(fast.seen) > 2 * len(slow.seen) > 0, "the busy one is asked less"
    assert 0 < len(dead.seen) < 40, "put aside, and tried now and then"
    down["yes"] = False
    time.sleep(0.8)
    assert "alive" in {text.text for text in model.generate(chats(30), DECODING)}


def test_the_last_rows_do_not_wait_for_an_address_that_failed(serve: Serve) -> None:
    dead, _ = serve(lambda *_: "stall", "/v1")
    _, model = serve(lambda *_: said("fast"), "/v1", urls=[dead.url], timeout=1.0)
    model.generate(chats(4), DECODING)
    time.sleep(0.3)  # it may be tried again by now
    tried, start = len(dead.seen), time.monotonic()
    assert model.generate(chats(1, 4), DECODING)[0].text == "fast"
    assert tried and time.monotonic() - start < 0.8


def test_a_row_that_breaks_the_server_costs_no_other(serve: Serve) -> None:
    http, model = serve(lambda _, body: (500, {}) if body["seed"] == 2 else said("fine"), "/v1", retries=1)
    texts = model.generate(chats(30), DECODING)
    assert [row for row, text in enumerate(texts) if text.finish == "failed"] == [2] and "HTTP 500" in texts[2].error
    assert len(http.seen) == 29 + pool.PATIENCE + 1


def test_a_server_that_dies_on_the_way_is_given_up_and_keeps_what_it_gave(serve: Serve) -> None:
    http: Answering
    http, model = serve(lambda _, body: said("fine") if len(http.seen) <= 10 else "drop", "/v1", concurrency=4, retries=1)
    got: list[int] = []
    with pytest.raises(UserError, match="connection broke"):
        for arrived in model.stream(chats(100), DECODING):
            got += [row for row, _ in arrived]
    assert len(got) == 10 and len(http.seen) < 40


def test_a_budget_ends_a_run_with_what_it_paid_for(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    http, model = serve(lambda *_: said("fine"), "/v1", concurrency=3, max_tokens=200, price_in=1.0, price_out=2.0)
    got: list[int] = []
    with pytest.raises(UserError, match="budget") as caught:
        for arrived in model.stream(chats(100), DECODING):
            got += [row for row, _ in arrived]
    assert len(got) == len(http.seen) == 200 // 12, "12 tokens an answer, 14 set aside: what is under way is waited for"
    model.close()
    assert f"{len(got)} answers, {5 * len(got)} tokens read, {7 * len(got)} written, cost 0.0" in str(caught.value)
    assert str(5 * len(got)) in capsys.readouterr().err
    http, model = serve(lambda *_: said("fine"), "/v1", price_in=1000.0, price_out=1000.0, max_cost=0.05)
    with pytest.raises(UserError, match="budget"):
        model.generate(chats(100), DECODING)
    assert 1 <= len(http.seen) <= 4
    silent, model = serve(lambda *_: {"choices": [{"message": {"content": "fine"}}]}, "/v1", max_tokens=140)
    with pytest.raises(UserError, match=r"did not say"):
        model.generate(chats(100), DECODING)
    assert len(silent.seen) == 10, "two bytes and twelve tokens each"


def test_a_budget_counts_over_runs_and_is_gone_on_with_when_it_is_raised(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    http, _ = serve(lambda *_: said("fine"), "/v1")
    requests, spent = chats(40), tmp_path / "cache" / "spent.sqlite"

    def run(**settings: Any) -> list[Any]:
        """One run, as a process of its own would go."""
        generator = Generator(backend="server", model="m", url=http.url, concurrency=3, price_in=1000.0, price_out=2000.0, **settings)
        model = ServerModel(generator, spent)
        with RowStore(tmp_path / "rows.sqlite") as store:
            try:
                return ask(model, DECODING, 16, "budget", requests, store)
            finally:
                model.close()

    with pytest.raises(UserError, match=r"max_tokens: 120") as caught:
        run(max_tokens=120)
    assert len(http.seen) == 9 and "Raise the budget and run the same command" in str(caught.value)
    with pytest.raises(UserError, match=r"9 answers, 45 tokens read, 63 written, cost 0\.1710, since counting began"):
        run(max_tokens=120)
    assert len(http.seen) == 9, "nothing is left of it"
    with pytest.raises(UserError, match=r"max_cost: 0\.38"):
        run(max_cost=0.38)  # 0.019 an answer
    assert len(http.seen) == 19
    assert {value["text"] for value in run(max_tokens=1000)} == {"fine"}
    assert len(http.seen) == 40, "no text is paid for twice"
    assert "21 answers, 105 tokens read, 147 written, cost 0.3990; in all 40 answers" in capsys.readouterr().err
    run(max_tokens=1)  # all is there
    spent.write_bytes(b"no count at all" * 100)
    requests += chats(1, 40)
    with pytest.raises(UserError, match="take it away"):
        run()


def test_two_runs_beside_each_other_share_a_budget(serve: Serve, tmp_path: Path) -> None:
    settings = {"max_tokens": 400, "price_in": 1.0}
    _, one = serve(lambda *_: said("fine"), "/v1", **settings)
    _, two = serve(lambda *_: said("fine"), "/v1", **settings)
    one, two = (ServerModel(model.generator, tmp_path / "spent.sqlite") for model in (one, two))
    arriving = one.stream(chats(10), DECODING)
    got = len(next(arriving))
    assert len(two.generate(chats(20), DECODING)) == 20
    with pytest.raises(UserError, match="budget"):
        got += sum(len(arrived) for arrived in arriving) + sum(len(arrived) for arrived in one.stream(chats(40), DECODING))
    assert one.budget.total.answers >= 30


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"backend": "server", "max_cost": 1.0}, "price_in"),
        ({"max_tokens": 10}, "behind a server"),
        ({"max_cost": 1.0, "price_in": 1.0}, "behind"),
    ],
)
def test_budgets_that_cannot_be_kept(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Generator(**settings)


def test_room_for_thoughts_is_part_of_what_is_set_aside(serve: Serve) -> None:
    http, model = serve(lambda *_: said("fine"), "/v1", extra={"max_completion_tokens": 500}, max_tokens=400)
    with pytest.raises(UserError, match="budget"):
        model.generate(chats(1), DECODING)
    assert http.seen == []


def test_fields_of_the_users_own_are_sent_and_part_of_the_key(serve: Serve) -> None:
    http, model = serve(lambda *_: said("fine"), "/v1", extra={"reasoning_effort": "low"})
    model.generate(chats(1), DECODING)
    assert http.seen[0][1]["reasoning_effort"] == "low" and model.identity["extra"] == {"reasoning_effort": "low"}


def test_the_fault_matrix(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 % of all answers are faults of every kind, at three addresses, with one retry: all rows in the end, none asked again after its answer."""
    encoded = base64.b64encode(KEY.encode()).decode()
    faults: list[Any] = [
        (429, {}), (429, {}, {"Retry-After": "0.02"}), (500, {"error": KEY}), (503, {"error": encoded}), "stall", "garbage", "drop", "cut", {"choices": []}, {},
        {"error": {"message": "overloaded", "code": 529}},
    ]  # fmt: skip
    answered: list[int] = []
    lock = threading.Lock()

    def rule(seed: int) -> Any:
        drawn = random.Random(seed)

        def answer(path: str, body: dict[str, Any]) -> Any:
            with lock:
                if drawn.random() < 0.3:
                    return drawn.choice(faults)
                answered.append(body["seed"])
            return said(f"text {body['seed']} {KEY}")

        return answer

    others = [serve(rule(place), "/v1")[0].url for place in (1, 2)]
    _, model = serve(rule(3), "/v1", urls=others, concurrency=4, retries=1, timeout=1.0)
    monkeypatch.setenv("EMOSYNTH_PROGRESS", str(tmp_path / "progress"))
    with RowStore(tmp_path / "rows.sqlite") as store:
        requests = chats(300)
        found = ask(model, DECODING, 16, "matrix", requests, store)
        model.close()
        assert [value["text"] for value in found] == [f"text {row} [key]" for row in range(300)]
        assert sorted(answered) == list(range(300))
        assert ask(model, DECODING, 16, "matrix", requests, store) == found and len(answered) == 300
    for file in tmp_path.iterdir():
        assert not any(secret.encode() in file.read_bytes() for secret in (KEY, encoded)), file.name


@pytest.mark.model
def test_against_transformers_serve(tmp_path: Path) -> None:
    missing = [name for name in ("fastapi", "uvicorn", "openai") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"transformers serve needs {', '.join(missing)}: install the dev extra")
    from emosynth.models.lm.assets import dequantised_folder

    folder = dequantised_folder(smollm2(), catalog().paths.cache)
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("transformers")),
        "serve",
        str(folder),
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
        "--device",
        "cpu",
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(240):
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                httpx.get(f"{url}/health", timeout=2, trust_env=False)
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        model = open_language_model(Generator(backend="server", model=str(folder), url=f"{url}/v1", concurrency=2), None)  # type: ignore[arg-type]
        requests = [Request("A short list of fruits:\n- apple\n-", 1), Request("Name a colour.", 2, chat=True)]
        texts = model.generate(requests, DECODING)
        assert [bool(text.text.strip()) for text in texts] == [True, True]
        assert all("\n" not in text.text and 0 < text.new_tokens <= 12 and text.prompt_tokens > 3 for text in texts)
        model.close()
    finally:
        process.terminate()
        process.wait(30)
