"""Seeds, spaces and a model that writes by rule, for tests of what is planned and written."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pandas as pd

from emosynth.design.cells import Cell
from emosynth.design.space import Space
from emosynth.guides.base import Tables
from emosynth.models.lm import Completion
from emosynth.params import Params

CLASSES = ("sad", "glad")
TEXTS = {f"r{i}": f"an invented text number {i} about the weather" for i in range(8)}
SINGLE = Space("toy", CLASSES, True, {c: f"{c}ness" for c in CLASSES}, {c: c for c in CLASSES})
MULTI = Space("moods", ("joy", "anger", "fear", "neutral"), False,
    {"joy": "joy", "anger": "anger", "fear": "fear", "neutral": "no particular emotion"},
    {"joy": "joyful", "anger": "angry", "fear": "afraid"}, "neutral")  # fmt: skip
STORIES = {
    "t/0": "The pump in the yard was frozen. The old clerk looked at the kettle, and his sister laughed.",
    "t/1": "Nothing came by post that day. A girl named Ida had waited at the gate since the morning.",
}
PASSAGES = pd.DataFrame({"passage_id": list(STORIES), "story_id": ["t", "t"], "text": list(STORIES.values())})
CHARACTERS = pd.DataFrame(
    {
        "passage_id": ["t/0", "t/0", "t/1"],
        "rank": [1, 2, 1],
        "character": ["the old clerk", "the sister", "Ida"],
        "kind": ["role", "role", "name"],
    }
)


def params_of(**sections: Any) -> Params:
    """Return parameters of a small design; sections given replace or extend the defaults."""
    base: dict[str, Any] = {
        "corpora": {"target": "toy"},
        "models": {"writer": {"batch": 7}},
        "cells": {"sizes": [10, 20], "repeats": 2},
        "generation": {"oversample": 2.0, "prompts_per_class": 2},
        "checks": {"basic": {}},
        "learners": {"tfidf": {}},
        "guides": {"shap": [{"shap-tokens": 1}, {"shap-exemplars": 2}]},
        "arms": {"naive": {"checks": {}}, "shap": {"guide": "shap", "checks": {}}},
    }
    return Params.model_validate(base | sections)


class FakeSeeds:
    """Stands for `emosynth.writers.Seeds`: every corpus is the toy, every seed the same eight rows."""

    def __init__(self, params: Params, space: Space = SINGLE, materials: Tables | None = None) -> None:
        self.params, self._space = params, space
        self.taxonomies = SimpleNamespace()
        self.asked: list[Cell] = []
        self._materials = materials or Tables(
            {(label, "shap"): [("rain", 0.4), ("grey", 0.2), ("sun", -0.1)] for label in space.labels},
            {(label, "shap"): ["r0", "r1", "r2", "r3"] for label in space.labels},
        )

    def corpus(self, name: str) -> Any:
        """Return a corpus with a noun and its rows."""
        outside = {f"o{i}": f"a real text number {i} that no prompt may show" for i in range(4)}
        frame = pd.DataFrame({"id": [*TEXTS, *outside], "text": [*TEXTS.values(), *outside.values()]})
        return SimpleNamespace(
            name=name, register_noun="note", frame=frame, source="", hash="", licence="mit", languages=["en"], citation=""
        )

    def space(self, name: str) -> Space:
        """Return the toy's labels."""
        return self._space

    def seed(self, cell: Cell) -> Any:
        """Return eight rows in rank order, labels in turn."""
        labels = [[self._space.labels[i % 2]] for i in range(8)]
        return SimpleNamespace(cell=cell, ids=list(TEXTS), texts=list(TEXTS.values()), labels=labels)

    def materials(self, cell: Cell) -> Tables:
        """Return what step 02 found."""
        self.asked.append(cell)
        return self._materials


class RuleModel:
    """Writes its row seed; may be told to die after some calls."""

    deterministic = True

    def __init__(self, name: str = "m", dies_at: int | None = None) -> None:
        self.identity = {"backend": "rule", "model": name}
        self.calls: list[int] = []
        self.dies_at = dies_at
        self.closed = 0

    def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
        """Answer with seed and length of the prompt."""
        if self.dies_at is not None and len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append(len(requests))
        return [Completion(f' made {r.row_seed} of it. And {len(r.prompt)} more." he said', "length", 20, 10) for r in requests]

    def close(self) -> None:
        """Count."""
        self.closed += 1


def said(text: Any, finish: str = "stop", chat: bool = True, **more: Any) -> dict[str, Any]:
    """Return an answer of the OpenAI kind; ``more`` goes into the message."""
    choice = {"message": {"content": text, **more}} if chat else {"text": text}
    return {"choices": [{**choice, "finish_reason": finish}], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}


class Answering:
    """An HTTP server that answers by rule.

    Parameters
    ----------
    rule
        From path and body to an answer: an object (HTTP 200), ``(status, object)``, ``(status, object, headers)``, or one of ``drop``
        (the connection ends), ``cut`` (it ends within the answer), ``garbage``, ``drip`` (a byte now and then, for ever) and ``stall`` (no
        answer for two seconds).
    """

    def __init__(self, rule: Callable[[str, dict[str, Any]], Any]) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.most = self.now = 0
        self.lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake.lock:
                    fake.seen.append((self.path, body))
                    fake.now += 1
                    fake.most = max(fake.most, fake.now)
                try:
                    self.give(rule(self.path, body))
                except (BrokenPipeError, ConnectionResetError):
                    pass
                finally:
                    with fake.lock:
                        fake.now -= 1

            def give(self, answer: Any) -> None:
                if answer == "drop":
                    self.close_connection = True
                    return
                if answer == "stall":
                    time.sleep(2.0)
                    return
                status, content, *headers = answer if isinstance(answer, tuple) else (200, answer)
                text = b"<html>busy</html>" if answer == "garbage" else b"x" * 60 if answer == "drip" else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text) + 100 * (answer == "cut")))
                self.close_connection = answer == "cut"
                for name, value in (headers[0] if headers else {}).items():
                    self.send_header(name, value)
                self.end_headers()
                for start in range(len(text) if answer == "drip" else 1):
                    self.wfile.write(text[start : start + 1] if answer == "drip" else text)
                    self.wfile.flush()
                    if answer == "drip":
                        time.sleep(0.05)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.root = f"http://127.0.0.1:{self.http.server_port}"
        self.url = f"{self.root}/v1"

    def close(self) -> None:
        """Stop."""
        self.http.shutdown()
        self.http.server_close()


class WireModel:
    """Stands for a model behind a server: answers by rule as texts arrive, and may be told to break after some."""

    deterministic = False

    def __init__(self, rule: Callable[[Any], Completion | str], breaks_at: int | None = None) -> None:
        self.identity = {"backend": "wire", "model": "m"}
        self.rule, self.breaks_at = rule, breaks_at
        self.notes: list[str] = []
        self.asked: list[Any] = []

    def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
        """Answer all."""
        return [completion for arrived in self.stream(requests, decoding) for _, completion in arrived]

    def stream(self, requests: Any, decoding: Any) -> Any:
        """Yield answers one by one."""
        for place, request in enumerate(requests):
            if self.breaks_at is not None and len(self.asked) >= self.breaks_at:
                raise KeyboardInterrupt
            self.asked.append(request)
            made = self.rule(request)
            yield [(place, made if isinstance(made, Completion) else Completion(made, "stop", 20, 10))]

    def close(self) -> None:
        """Nothing to free."""
