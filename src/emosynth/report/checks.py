"""A guard: no corpus text in files that enter git."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosynth.text import normalise

__all__ = ["SHORTEST", "Leak", "Texts", "find_corpus_text"]

SHORTEST = 6
"""Texts of fewer words are not looked for: "i am so happy" is nobody's."""

_READ = {".html", ".htm", ".json", ".ipynb", ".csv", ".tsv", ".md", ".txt", ".js", ".svg", ".yaml", ".yml", ".jsonl"}
_WORD = re.compile(r"[^\W_]+")
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True)
class Leak:
    """A corpus text found in a file."""

    path: str
    text: str


def _words(text: str) -> list[str]:
    # Letters and digits only: quoting, escaping and punctuation of the file's format must not hide a text.
    return _WORD.findall(normalise(text).lower())


class Texts:
    """Corpus texts, ready to be looked for.

    Parameters
    ----------
    texts
        Corpus texts; those of fewer than ``SHORTEST`` words are left out.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._by_start: dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]] = {}
        self._runs: set[tuple[str, ...]] = set()
        for text in texts:
            found = tuple(_words(text))
            if len(found) < SHORTEST:
                continue
            self._by_start.setdefault(found[:SHORTEST], []).append((found, text))
            self._runs.update(found[at : at + SHORTEST] for at in range(len(found) - SHORTEST + 1))

    def whole_in(self, content: str) -> list[str]:
        """Return the corpus texts that stand in ``content`` from first word to last."""
        tokens, hits = tuple(_words(content)), {}
        for at in range(len(tokens) - SHORTEST + 1):
            for found, text in self._by_start.get(tokens[at : at + SHORTEST], ()):
                if tokens[at : at + len(found)] == found:
                    hits[text] = True
        return list(hits)

    def shares_run(self, content: str) -> bool:
        """Whether ``content`` shares any run of ``SHORTEST`` words with a corpus text: stricter, for texts to be shown."""
        tokens = tuple(_words(content))
        return any(tokens[at : at + SHORTEST] in self._runs for at in range(len(tokens) - SHORTEST + 1))


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


def find_corpus_text(folder: Path, texts: Iterable[str]) -> list[Leak]:
    """Find corpus texts of at least six words that stand verbatim in the text files of a folder.

    Parameters
    ----------
    folder
        Searched with all folders inside, in order of path.
    texts
        Corpus texts.

    Returns
    -------
    list of Leak
        File (relative to ``folder``) and text; empty if all is well. Case, punctuation, spacing and escaping are ignored.
    """
    wanted = Texts(texts)
    leaks = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in _READ:
            name = path.relative_to(folder).as_posix()
            for content in _contents(path):
                for text in wanted.whole_in(content):
                    leaks[Leak(name, text)] = True
    return list(leaks)
