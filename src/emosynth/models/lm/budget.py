"""What a writer behind a server has spent, in this run and since counting began, and what it may spend."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from emosynth.errors import UserError
from emosynth.models.lm.base import Completion
from emosynth.params import Generator

_TABLE = "CREATE TABLE IF NOT EXISTS spent (writer TEXT PRIMARY KEY, model TEXT, answers INTEGER, read INTEGER, written INTEGER, guessed INTEGER)"
_ADD = """INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (writer) DO UPDATE SET answers = answers + excluded.answers,
read = read + excluded.read, written = written + excluded.written, guessed = guessed + excluded.guessed"""


@dataclass(frozen=True)
class Spent:
    """Answers, tokens read and written, and answers whose tokens the server did not count: they are counted at the most they can be."""

    answers: int = 0
    read: int = 0
    written: int = 0
    guessed: int = 0

    def __sub__(self, other: Spent) -> Spent:
        return Spent(*(mine - theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


class Budget:
    """Counts what a writer spends, and says whether another request may be sent.

    Parameters
    ----------
    generator
        Prices of a million tokens, and limits.
    identity
        Of the model: what is spent is counted by it, wherever it is served.
    file
        Keeps the count over runs, profiles and steps (SQLite, table ``spent``); None: this run alone counts.
    """

    def __init__(self, generator: Generator, identity: Mapping[str, Any], file: Path | None) -> None:
        self._generator, self.file = generator, file
        self._writer = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self.run = Spent()
        self._saved = Spent()  # of this run
        self._before = Spent()  # what others spent, earlier and beside it
        self._reserved = Spent()  # what requests under way can spend at most

    def reserve(self, most: Spent) -> bool:
        """Set aside what a request can spend at most, if the limits allow it."""
        wanted, own = self.total + self._reserved + most, self._generator
        if own.max_tokens is not None and wanted.read + wanted.written > own.max_tokens:
            return False
        if own.max_cost is not None and own.cost(wanted.read, wanted.written) > own.max_cost:
            return False
        self._reserved += most
        return True

    def release(self, most: Spent) -> None:
        """Free what was set aside for a request that has ended."""
        self._reserved -= most

    def count(self, completion: Completion, most: Spent) -> None:
        """Count an answer."""
        said = bool(completion.prompt_tokens or completion.new_tokens)
        self.run += Spent(1, completion.prompt_tokens, completion.new_tokens) if said else replace(most, answers=1, guessed=1)

    @property
    def total(self) -> Spent:
        """What was spent since counting began."""
        return self._before + self.run

    def save(self) -> None:
        """Add what is new to the file, and learn what was spent elsewhere.

        Raises
        ------
        UserError
            If the file cannot be read or written.
        """
        if self.file is None:
            return
        now = self.run
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self.file, timeout=60)) as db, db:
                db.execute(_TABLE)
                db.execute(_ADD, (self._writer, self._generator.model, *astuple(now - self._saved)))
                found = db.execute("SELECT answers, read, written, guessed FROM spent WHERE writer = ?", (self._writer,)).fetchone()
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"The count of what writers have spent cannot be kept: {error}.",
                where=str(self.file),
                remedy="Make it writable, or take it away: then counting begins anew.",
            ) from None
        self._before, self._saved = Spent(*found) - now, now

    def account(self, spent: Spent) -> str:
        """Return what was spent in words."""
        words = f"{spent.answers:,} answers, {spent.read:,} tokens read, {spent.written:,} written"
        if self._generator.price_in or self._generator.price_out:
            words += f", cost {self._generator.cost(spent.read, spent.written):.4f}"
        return words + (f" ({spent.guessed:,} answers did not say: counted at the most they can be)" if spent.guessed else "")

    def exhausted(self) -> UserError:
        """Return the error of a budget that allows no further request."""
        own = self._generator
        limits = [f"{name}: {value:g}" for name, value in (("max_tokens", own.max_tokens), ("max_cost", own.max_cost)) if value is not None]
        return UserError(
            f"The budget of the writer {own.model} is spent: {self.account(self.total)}, since counting began.",
            where=f"models: {', '.join(limits)}",
            remedy="Raise the budget and run the same command: it goes on with what is missing, and texts that are there are kept.",
        )
