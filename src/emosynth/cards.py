"""Tables and their cards: deterministic, written whole or not at all, checked when they are read.

Every table is one Parquet file with a data set card beside it, in the card format of the Hugging Face hub
(https://huggingface.co/docs/hub/datasets-cards): YAML front matter, then Markdown for people.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
import yaml
from pydantic import BaseModel, ConfigDict, Field

from emosynth.errors import UserError
from emosynth.escape import markdown, printable
from emosynth.files import atomic, missing, write_text
from emosynth.paths import repro

_SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M")]


class Source(BaseModel):
    """Something that a data file was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str = ""
    hash: str = Field("", description="sha256 of what was read")


class Card(BaseModel):
    """What a data file is, for people and for the hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(description="pretty name")
    what: str = Field(description="what the file holds, in a few sentences")
    made: str = Field(description="how it was made: step, method, settings")
    sources: list[Source] = Field(default_factory=list)
    columns: dict[str, str] = Field(default_factory=dict, description="meaning of each column; columns left out are listed without one")
    counts: dict[str, Any] = Field(default_factory=dict, description="counts; a value that is a mapping becomes a table row")
    limits: list[str] = Field(default_factory=list, description="known limits")
    licence: str = "mit"
    languages: list[str] = Field(default_factory=lambda: ["en"])
    task_categories: list[str] = Field(default_factory=lambda: ["text-classification"])
    tags: list[str] = Field(default_factory=list)
    citation: str = Field("", description="BibTeX")


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str], card: Card) -> Path:
    """Write ``frame`` as Parquet with its card beside it; equal frames give equal bytes.

    Parameters
    ----------
    frame
        Rows in the order to be kept. The index is dropped. Columns keep their order.
    path
        ``….parquet``; the card is ``….md``.
    card
        What the file is.

    Returns
    -------
    Path
        Of the Parquet file.

    Raises
    ------
    UserError
        If the disk is full; what was there before stays.
    """
    path = Path(path)
    frame = frame.reset_index(drop=True)
    if frame.columns.has_duplicates or not all(isinstance(column, str) for column in frame.columns):
        raise ValueError(f"columns must be distinct strings: {list(frame.columns)}")
    # built column by column: what pandas would add as metadata carries its version into the bytes
    table = pa.table({str(name): _arrow(frame[name]) for name in frame.columns})
    with atomic(path) as temporary:
        how: dict[str, Any] = {
            "compression": "zstd",
            "compression_level": 3,
            "version": "2.6",
            "data_page_version": "1.0",
            "store_schema": False,
        }
        pq.write_table(table, temporary, write_page_checksum=True, **how)
        _seal(temporary)
    path.with_suffix(".md").unlink(missing_ok=True)  # needs no room on a full disk; a table without a card can be read
    write_text(path.with_suffix(".md"), f"{render_card(card, frame, path.name)}\n{_MARK}{_digest(path)}`\n")
    return path


_MARK = "The table is the one with the XXH3-128 checksum `"


def _digest(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_card(path: Path) -> None:
    """Raise an error for a table that is not the one of the card beside it: one of the two is of another run. Published tables have no card."""
    with contextlib.suppress(FileNotFoundError):
        _, mark, known = path.with_suffix(".md").read_text(encoding="utf-8", errors="replace").rpartition(_MARK)
        if mark and known.rstrip("`\n") != _digest(path):
            raise ValueError(f"it is not the table that {path.with_suffix('.md').name} beside it is the card of")


_SEAL = b"crc:"


def _seal(path: Path) -> None:
    """Put a checksum before the footer of a Parquet file, where readers do not look: pages have their own, what describes them has none."""
    with path.open("rb+") as stream:
        start, footer = _footer(stream)
        stream.seek(start)
        stream.write(_SEAL + zlib.crc32(footer).to_bytes(4, "little") + footer)


def _footer(stream: BinaryIO) -> tuple[int, bytes]:
    """Return where the footer begins, and the file from there on."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - 8, 0))
    start = max(size - 8 - int.from_bytes(stream.read(4), "little"), 0)
    stream.seek(start)
    return start, stream.read()


def _check_seal(path: Path) -> None:
    """Raise an error for a footer that is damaged, which pyarrow can die of; one without a checksum passes."""
    with path.open("rb") as stream:
        start, footer = _footer(stream)
        stream.seek(max(start - 8, 0))
        seal = stream.read(8)
    if seal[:4] == _SEAL and int.from_bytes(seal[4:], "little") != zlib.crc32(footer):
        raise ValueError("its footer is damaged")


def _arrow(column: pd.Series) -> pa.Array:
    """Return a column with a type that depends on its values only: no null type, no large or dictionary-encoded strings."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return pa.array(column, from_pandas=False)
    if len(column) and all(getattr(value, "dtype", None) == "float32" for value in column):  # numbers by the million: no lists of objects
        return pa.array(list(column), type=pa.list_(pa.float32()))
    array = _words(column)
    if array is None:
        array = pa.array([_encodable(value) for value in column])
    return array.cast(_plain_type(array.type))


def _words(column: pd.Series) -> pa.Array | None:
    """Return a column of lists of text that UTF-8 can hold, which are there by the million; None: it is of another kind."""
    with contextlib.suppress(pa.ArrowException, UnicodeError, TypeError, ValueError):
        if isinstance(next(iter(column), None), list):
            array = pa.array(list(column))
            return array if pa.types.is_list(array.type) and pa.types.is_string(array.type.value_type) else None
    return None


def _encodable(value: Any) -> Any:
    """Replace lone surrogates, which UTF-8 cannot hold, and make what is missing None."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode("utf-8") if not value.isascii() else value
    if value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if hasattr(value, "tolist"):
        value = value.tolist()
    # text of lists may hold surrogates too
    return [_encodable(item) for item in value] if isinstance(value, list | tuple) else value


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind) or pa.types.is_null(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind


def read_table(path: str | os.PathLike[str], columns: Sequence[str] | None = None, stage: str = "") -> pd.DataFrame:
    """Read a Parquet file that a stage made.

    Parameters
    ----------
    path
        The file.
    columns
        Columns wanted; None: all.
    stage
        Stage that makes the file, named if the file is missing; None: worked out from its folder.

    Raises
    ------
    UserError
        If the file is missing, is no whole Parquet file (its pages and its footer have checksums), is not the one of its card, or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise missing(path, stage)
    try:
        _check_seal(path)
        _check_card(path)
        file = pq.ParquetFile(path, page_checksum_verification=True)
        known = file.schema_arrow.names
        lacking = [column for column in columns or [] if column not in known]
        if lacking:
            raise UserError(
                f"The table lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}; it has {', '.join(known)}.",
                where=str(path),
                remedy=f"It was made by another version of the code; make it again: {repro()}",
            )
        table = file.read(columns=list(columns) if columns is not None else None)
        frame = table.to_pandas()
        for field in table.schema:
            if pa.types.is_list(field.type):
                frame[field.name] = pd.Series(table.column(field.name).to_pylist(), dtype=object)  # lists, not arrays
        return frame
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # damage is told in many ways
        raise UserError(
            f"This is not a whole Parquet file: {error}", where=str(path), remedy=f"Delete it and make it again: {repro()}"
        ) from None


def size_category(rows: int) -> str:
    """Return the hub's name for a number of rows."""
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")


_SPDX = {name.lower(): name for name in ("MIT", "Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "AGPL-3.0", "BSD-3-Clause")}
"""How the hub spells licences -> how SPDX does."""


def licence_fields(licence: str) -> dict[str, str]:
    """Return a licence as the hub wants it in a card: an identifier, ``unknown``, or ``other`` with a name."""
    words = printable(licence.strip()) or "unknown"
    return {"license": words.lower()} if words.lower() in (*_SPDX, "unknown") else {"license": "other", "license_name": words}


def licence_address(licence: str) -> str:
    """Return the address of a licence that has one, else its words; empty: unknown."""
    words = printable(licence.strip())
    known = _SPDX.get(words.lower())
    return f"https://spdx.org/licenses/{known}.html" if known else "" if words.lower() == "unknown" else words


def rows_licence(corpus: str, licence: str, *, model: bool = True) -> str:
    """Return what a card says of the licence of rows that grow from a corpus: the code's says nothing of them. ``model``: whether one wrote any."""
    known = f"under this licence: {markdown(licence)}" if licence_address(licence) else "of unknown licence"
    return (
        f"The code that made these rows is under the MIT licence; the rows are not thereby. They grow from the corpus {markdown(corpus)}, {known}; "
        f"what they are under is for their maker to decide, by the terms of the corpus{' and of the model' if model else ''}."
    )


def render_card(card: Card, frame: pd.DataFrame, file_name: str) -> str:
    """Return the card as Markdown with YAML front matter."""
    head: dict[str, Any] = {"pretty_name": printable(card.title), "language": card.languages, **licence_fields(card.licence)}
    head |= {"task_categories": card.task_categories, "size_categories": [size_category(len(frame))], "tags": card.tags}
    head["configs"] = [{"config_name": "default", "data_files": file_name}]
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000).rstrip(),
        "---",
        "",
        f"# {markdown(card.title)}",
        "",
        markdown(card.what),
        "",
    ]
    if card.sources:
        lines += ["## Made from", ""]
        for source in card.sources:
            detail = ", ".join(
                part for part in (markdown(source.version), f"sha256 `{markdown(source.hash)}`" if source.hash else "") if part
            )
            lines.append(f"- {markdown(source.name)}{f' ({detail})' if detail else ''}")
        lines.append("")
    lines += ["## How", "", markdown(card.made), "", "## Columns", "", "| column | type | meaning |", "|---|---|---|"]
    for column in frame.columns:
        lines.append(f"| {markdown(column)} | {_kind(frame[column])} | {markdown(card.columns.get(column, ''))} |")
    lines += ["", "## Counts", "", f"- rows: {len(frame):,}"]
    tables = {name: value for name, value in card.counts.items() if isinstance(value, Mapping)}
    lines += [f"- {markdown(name)}: {_number(value)}" for name, value in card.counts.items() if name not in tables]
    if tables:
        keys = list(dict.fromkeys(str(key) for value in tables.values() for key in value))
        lines += ["", "| | " + " | ".join(map(markdown, keys)) + " |", "|---" * (len(keys) + 1) + "|"]
        for name, value in tables.items():
            row = {str(key): item for key, item in value.items()}
            lines.append(f"| {markdown(name)} | " + " | ".join(_number(row.get(key, "")) for key in keys) + " |")
    lines.append("")
    if card.limits:
        lines += ["## Known limits", "", *(f"- {markdown(limit)}" for limit in card.limits), ""]
    lines += ["## Licence", "", markdown(card.licence), ""]
    if card.citation.strip():
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", card.citation)), default=0))
        lines += ["## Citation", "", f"{fence}bibtex", printable(card.citation.strip()), fence, ""]
    return "\n".join(lines)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else markdown(value)


def _kind(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "bool"
    if pd.api.types.is_integer_dtype(column):
        return "int"
    if pd.api.types.is_float_dtype(column):
        return "float"
    first = next((value for value in column if value is not None), "")
    return "text" if isinstance(first, str) else "list"
