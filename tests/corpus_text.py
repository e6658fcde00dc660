"""Looks for corpus texts in files that enter git."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosynth.report.tables import SHORTEST, bare_words

_READ = {".html", ".htm", ".json", ".ipynb", ".csv", ".tsv", ".md", ".txt", ".js", ".svg", ".yaml", ".yml", ".jsonl"}
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class Leak:
    """A corpus text found in a file."""

    path: str
    text: str


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        # Notebooks keep a cell as a list of lines: a text may run over them.
        if value and all(isinstance(item, str) for item in value):
            yield " ".join(value)
        else:
            for item in value:
                yield from _strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)


def _contents(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix in {".json", ".ipynb", ".jsonl"}:
        try:
            loaded = [json.loads(line) for line in text.splitlines() if line.strip()] if path.suffix == ".jsonl" else json.loads(text)
            for found in _strings(loaded):
                yield found
                if "<" in found:
                    yield _TAG.sub(" ", found)
            return
        except ValueError:
            pass
    yield text
    if path.suffix in {".html", ".htm", ".svg", ".md"}:
        yield _TAG.sub(" ", text)


Starts = dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]]


def _by_start(texts: Iterable[str]) -> Starts:
    """Return the texts of at least six words by their first six."""
    out: Starts = {}
    for text in texts:
        found = bare_words(text)
        if len(found) >= SHORTEST:
            out.setdefault(found[:SHORTEST], []).append((found, text))
    return out


def _whole_in(content: str, by_start: Starts) -> list[str]:
    tokens, hits = bare_words(content), {}
    for at in range(len(tokens) - SHORTEST + 1):
        for found, text in by_start.get(tokens[at : at + SHORTEST], ()):
            if tokens[at : at + len(found)] == found:
                hits[text] = True
    return list(hits)


def find_corpus_text(folder: Path, texts: Iterable[str]) -> list[Leak]:
    """Return corpus texts that stand verbatim in the text files of a folder; case, punctuation, spacing and escaping are ignored."""
    by_start = _by_start(texts)
    leaks = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in _READ:
            for content in _contents(path):
                leaks |= dict.fromkeys(Leak(path.relative_to(folder).as_posix(), text) for text in _whole_in(content, by_start))
    return list(leaks)
