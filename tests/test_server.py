"""The server backend against servers that behave badly, and one that behaves."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from emosynth.errors import UserError
from emosynth.models.lm import LanguageModel, Request, open_language_model, request_key, server
from emosynth.models.lm.server import ServerModel
from emosynth.params import Decoding, Generator
from lm_files import catalog, smollm2

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
            time.sleep(0.6)
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
    monkeypatch.setattr(server, "_BASE_DELAY", 0.01)
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
    http, model = faulty(*steps, timeout=0.3, retries=len(steps))
    (text,) = model.generate([Request("p", 3, chat=True)], DECODING)
    assert text.text == " fine 3"
    assert len(http.seen) == len(steps)


def test_retry_after_is_honoured_and_bounded(faulty: Callable[..., tuple[Faulty, ServerModel]], monkeypatch: pytest.MonkeyPatch) -> None:
    _, model = faulty("429 0.3", "fine")
    start = time.monotonic()
    model.generate([Request("p", 3)], DECODING)
    assert time.monotonic() - start >= 0.3
    monkeypatch.setattr(server, "_MAX_RETRY_AFTER", 0.05)
    _, model = faulty("429 86400", "429 Wed, 21 Oct 2099 07:28:00 GMT", "429 nonsense", "429 inf", "fine")
    start = time.monotonic()
    model.generate([Request("p", 3)], DECODING)
    assert time.monotonic() - start < 5


def test_delays_grow_and_depend_on_the_row_seed_alone() -> None:
    delays = [ServerModel._delay(7, attempt, 0.0) for attempt in range(8)]
    assert delays == [ServerModel._delay(7, attempt, 0.0) for attempt in range(8)]
    assert delays != [ServerModel._delay(8, attempt, 0.0) for attempt in range(8)]
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
    faulty: Callable[..., tuple[Faulty, ServerModel]], caplog: pytest.LogCaptureFixture
) -> None:
    http, model = faulty("404", "fine")
    with caplog.at_level(logging.WARNING):
        texts = model.generate([Request("p", 1), Request("q", 2)], DECODING)
    assert [text.text for text in texts] == [" fine 1", " fine 2"]
    assert [path for path, _ in http.seen] == ["/v1/completions", "/v1/chat/completions", "/v1/chat/completions"]
    assert caplog.text.count("chat template") == 1


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
    assert [(text.text, text.finish) for text in texts] == [("", "stop"), ("cut off", "length"), ("", "stop"), ("at last", "stop")]


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
    post, calls = model._client.post, []

    def refuse(*args: Any, **kwargs: Any) -> httpx.Response:
        calls.append(args)
        if len(calls) <= 2:
            raise httpx.ConnectError("refused")
        return post(*args, **kwargs)

    monkeypatch.setattr(model._client, "post", refuse)
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


def test_bias_is_refused(faulty: Callable[..., tuple[Faulty, ServerModel]]) -> None:
    _, model = faulty("fine")
    with pytest.raises(UserError, match="bias"):
        model.generate([Request("p", 1, bias=(("joy", 2.0),))], DECODING)


def test_a_key_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSYNTH_API_KEY", "sk-é\n")
    with pytest.raises(UserError, match="key"):
        ServerModel(Generator(backend="server", model="m", url="http://h/v1"))


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
