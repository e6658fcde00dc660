"""Seconds that a command starts without: libraries that it may never call.

NLTK and datasketch, which only the tokens and near-duplicates of `emosynth.text` need, bring scikit-learn and SciPy along. Their imports
stand at the top of that module, whose source is part of the keys of trials, so they are put off from here. jsonschema, with which
notebooks are read, looks for a grammar of internationalised addresses, which takes a second to read.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_LATER = {"nltk.tokenize": ("TweetTokenizer",), "datasketch": ("MinHash", "MinHashLSH")}


class _Later:
    """A class of a module that is imported when it is used first."""

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _class(self) -> Any:
        module, name = self._place
        return getattr(importlib.import_module(module), name)

    def __call__(self, *given: Any, **more: Any) -> Any:
        return self._class()(*given, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._class(), name)


def import_text() -> None:
    """Import `emosynth.text` so, if nothing has imported it or these libraries yet."""
    later = {module: names for module, names in _LATER.items() if module not in sys.modules}
    if "emosynth.text" in sys.modules:
        return
    try:
        for module, names in later.items():
            sys.modules[module] = stand_in = ModuleType(module)
            vars(stand_in).update({name: _Later(module, name) for name in names})
        importlib.import_module("emosynth.text")
    finally:
        for module in later:
            del sys.modules[module]


def skip_grammar() -> None:
    """Let jsonschema be imported without that grammar, as where it is not installed: no notebook's schema has such an address."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None: an import of it is an ImportError
