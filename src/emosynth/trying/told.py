"""``emosynth check``: what a file of labelled text is understood as, in words."""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosynth.errors import UserError
from emosynth.escape import terminal
from emosynth.progress import counted

if TYPE_CHECKING:
    from emosynth.corpora.own import Understanding
    from emosynth.params import UserCorpus

FLAGS = (
    "text", "labels", "label_separator", "label_lists", "task", "class_names", "merge_labels", "classes", "missing", "missing_words", "split",
    "language", "licence", "register_noun", "format", "encoding", "separator", "quoting", "header", "sheet",
)  # fmt: skip
"""What of ``corpora.custom`` the command line can say."""
_AS_JSON = {
    "class_names": """Write it as JSON: '["joy", "anger"]' names the labels 0 and 1, '{"j": "joy", "other": null}' renames j and leaves other out.""",
    "classes": """Write it as JSON: '["joy", "anger"]'.""",
    "missing_words": """Write it as JSON: '["deleted", "n/a"]'.""",
    "language": "Write its tag, e.g. de or pt-BR.",
}
_LONG = 80
"""Characters of a class that are shown."""
_GUESSED = ("text", "labels")
_SHOWN = 20
"""Places of rows that are listed; the JSON has all."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Let a command take a file and what is to be said of it."""
    parser.add_argument("file", help="file or folder of labelled text")
    said = parser.add_argument_group("what is not to be guessed", "as under corpora.custom (docs/your-own.md); lists and mappings as JSON")
    for name in FLAGS:
        said.add_argument(f"--{name.replace('_', '-')}", dest=name, default=None, metavar="VALUE")
    said.add_argument("--conflicts", choices=("majority", "drop", "error", "soft"), default="majority", help="a text with several labels")
    said.add_argument(
        "--fractions", default=None, metavar="VALUE", help="shares of train, validation and test, if the file has no splits: 0.5,0.1,0.4"
    )


def spec_of(given: argparse.Namespace) -> UserCorpus | None:
    """Return what the flags say of a file; None: nothing.

    Raises
    ------
    UserError
        For a value that is not valid; names the flag.
    """
    from pydantic import ValidationError

    from emosynth.params import UserCorpus

    said = {name: _value(name, getattr(given, name)) for name in FLAGS if getattr(given, name) is not None}
    if not said:
        return None
    try:
        return UserCorpus(path=given.file, **said)
    except ValidationError as error:
        item = error.errors()[0]
        name = str(item["loc"][0]) if item["loc"] else ""
        raise UserError(
            f"{item['msg'].removeprefix('Value error, ')} (found {item['input']!r}).",
            where=f"--{name.replace('_', '-')}",
            remedy=_AS_JSON.get(name, "Correct it."),
        ) from None


def fractions_of(given: argparse.Namespace) -> list[float] | None:
    """Return the shares of train, validation and test that the flags say; None: those of ``params.yaml``.

    Raises
    ------
    UserError
        If they are not three positive numbers that sum to 1.
    """
    if given.fractions is None:
        return None
    try:
        shares = [float(word) for word in given.fractions.strip().strip("[]").split(",")]
    except ValueError:
        shares = []
    if len(shares) != 3 or not abs(sum(shares) - 1) <= 1e-9 or min(shares) <= 0:
        raise UserError(
            f"These are not three positive numbers that sum to 1: {given.fractions}.", where="--fractions",
            remedy="Name the shares of train, validation and test: --fractions 0.5,0.1,0.4",
        )  # fmt: skip
    return shares


def _value(name: str, word: str) -> Any:
    """Return a flag's value: lists and mappings as JSON, numbers of columns, true and false; anything else is a word."""
    if word[:1] in "[{" and name in ("labels", "class_names", "classes", "missing_words"):
        from emosynth.corpora.records import once

        try:
            return json.loads(word, object_pairs_hook=once)
        except ValueError as error:
            remedy = _AS_JSON.get(name, _AS_JSON["classes"])
            raise UserError(f"This is no JSON: {error}.", where=f"--{name.replace('_', '-')}", remedy=remedy) from None
    if name in (*_GUESSED, "split") and word.isdigit():
        return int(word)
    if name in ("label_lists", "merge_labels", "header") and word in ("true", "false"):
        return word == "true"
    marks = {"\\t": "\t", "tab": "\t", "\\n": "\n"} if name in ("separator", "label_separator") else {}
    return marks.get(word, word)


def look(given: argparse.Namespace, path: Path) -> Understanding:
    """Return what a file is understood as, as the flags and the content say."""
    from emosynth.corpora.own import Guess, understand
    from emosynth.params import UserCorpus

    spec = spec_of(given)
    guess = [name for name in _GUESSED if spec is not None and name not in spec.model_fields_set]
    seen = understand(path, spec, given.conflicts, guess)
    if given.register_noun is None:
        seen.guesses.append(
            Guess("what a text is called in prompts", str(UserCorpus.model_fields["register_noun"].default), "register_noun")
        )
    return seen


def found_at(root: Path, name: str) -> Path:
    """Return where a file lies that a user names: from where one stands, from ``~``, or from the repository.

    Raises
    ------
    UserError
        If there is none.
    """
    if not name.strip():
        raise UserError(
            "The path is empty.", where="file", remedy="Give the path of a file or folder of labelled text; . is the current folder."
        )
    here = Path(name).expanduser()
    for path in (here, root / here, root / "profiles" / here):
        if path.exists():
            return path
    from emosynth.corpora.unpacking import dangling

    if link := dangling(here):
        raise link
    held = sorted(
        path.name
        for path in here.parent.glob("*")
        if path.suffix in (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".xlsx") and path.exists()
    )
    near = difflib.get_close_matches(here.name, held, n=2)
    there = list(dict.fromkeys([*near, *held]))[:5]
    hint = (
        f"{f'Did you mean {near[0]}? ' if near else ''}There are: {', '.join(there)}."
        if there
        else "Give the path of a CSV, TSV, JSON, JSONL, Parquet or Excel file."
    )
    raise UserError("There is no such file.", where=name, remedy=hint)


def lines(seen: Understanding) -> Iterator[str]:
    """Yield what a file is understood as, in words; what could steer a terminal is spelled out."""
    for line in _lines(seen):
        yield terminal(line)


def _lines(seen: Understanding) -> Iterator[str]:
    from emosynth.corpora.build import phrases
    from emosynth.corpora.decoding import some

    how = [("encoding", seen.encoding), ("separator", seen.separator and repr(seen.separator)), ("quoting", seen.quoting)]
    yield f"{seen.file}: {seen.format}" + "".join(f", {name} {value}" for name, value in how if value)
    labels = seen.labels if isinstance(seen.labels, str) else ", ".join(seen.labels)
    yield f"columns: {', '.join(seen.columns)}"
    yield f"  text: {seen.text}; labels: {labels}" + (f"; split: {seen.split}" if seen.split else "")
    lost = sum(map(len, seen.left_out.values()))
    yield f"rows: {seen.rows_read:,} read, {lost:,} left out" + (f"; {counted(seen.lines, 'line')}" if seen.lines else "")
    for why, places in seen.left_out.items():
        yield f"  {why}: {_some(places)}"
    yield f"classes ({'one label' if seen.task == 'single' else 'one or more labels'} a row):"
    for name, count in seen.classes.items():
        yield f"  {count:>7,}  {name if len(name) <= _LONG else f'{name[:_LONG]}… ({len(name):,} characters)'}"
    if seen.splits:
        yield "splits: " + ", ".join(f"{name} {count:,}" for name, count in seen.splits.items())
    torn = seen.conflicts
    yield (
        f"texts {'that rows label differently' if seen.task == 'multi' else 'with several labels'}: {torn['texts']:,}"
        + (
            f", in {counted(torn['rows'], 'row')} ({torn['done']}: {torn['kept']:,} kept, {torn['dropped']:,} left out)"
            if torn["texts"]
            else ""
        )
        + (f": {_some(torn['places'], torn['texts'])}" if torn["places"] else "")
    )
    yield f"rows that repeat a text word for word: {seen.duplicates:,}"
    for warning in seen.warnings:
        yield f"warning: {warning}"
    words = phrases(list(seen.classes), {}).values()
    yield f"what prompts call the classes, to an English model: {some((word[:_LONG] for word in words), _SHOWN)}  (--class-names, corpora.custom.class_names)"
    if seen.guesses:
        yield "guessed, and how to say otherwise:"
    for guess in seen.guesses:
        flag = f"--{guess.parameter.replace('_', '-')}, " if guess.parameter in FLAGS else ""
        yield f"  {guess.what}: {guess.value}  ({flag}corpora.custom.{guess.parameter})"


def _some(places: Sequence[str], of: int | None = None) -> str:
    total = len(places) if of is None else of
    shown = min(len(places), _SHOWN)
    return ", ".join(places[:shown]) + (f" and {total - shown:,} more" if total > shown else "")
