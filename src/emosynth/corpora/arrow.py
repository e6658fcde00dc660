"""Parquet and Arrow files of others: what they unpack to is known, or counted, before it fills the memory."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emosynth.corpora.decoding import bounded, fault

_AT_ONCE = 1024  # rows that become Python's values together


def read_parquet(source: bytes | Path, path: Path) -> pa.Table:
    """Read a Parquet file; texts that repeat stay one, see `cells`.

    Raises
    ------
    UserError
        If it holds more than is read (`bounded`): as it claims, and as it turns out.
    """
    opened = pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source)
    about = opened.metadata
    bounded(sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups)), path, rows=about.num_rows)
    bounded(0, path, values=about.num_rows * about.num_columns)
    kinds = opened.schema_arrow
    texts = [item.name for item in kinds if pa.types.is_string(item.type) or pa.types.is_large_string(item.type)]
    opened = pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source, read_dictionary=texts)
    batches, seen, size = [], set[int](), 0
    for batch in opened.iter_batches(batch_size=1 << 16):
        for buffer in (buffer for column in batch.columns for buffer in _buffers(column)):
            if buffer.address not in seen:  # batches share dictionaries
                seen.add(buffer.address)
                size += buffer.size
        bounded(size, path)
        batches.append(batch)
    return pa.Table.from_batches(batches, opened.schema_arrow if not batches else batches[0].schema)


def _buffers(column: pa.Array) -> Iterator[pa.Buffer]:
    yield from (buffer for buffer in column.buffers() if buffer is not None)
    if pa.types.is_dictionary(column.type):
        yield from _buffers(column.dictionary)


def read_ipc(source: pa.Buffer, path: Path) -> pa.Table:
    """Read an Arrow file or stream. A file is a stream between two marks, and read as one.

    Raises
    ------
    UserError
        If its parts say that they unpack to more than is read, or hold more.
    """
    stream = source.slice(8) if source.slice(0, min(6, source.size)).to_pybytes() == b"ARROW1" else source
    size = 0
    for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(stream)):
        size += _unpacked(message)
        bounded(size, path)
    with pa.ipc.open_stream(pa.BufferReader(stream)) as reader:
        table = reader.read_all()
    table.validate(full=True)  # offsets out of place would read what else is in memory
    return table


def _unpacked(message: pa.Message) -> int:
    """Return the bytes that the body of a message says that it unpacks to; Arrow takes no more than each buffer says.

    The header is a flatbuffer (https://arrow.apache.org/docs/format/Columnar.html): tables point to their fields by offsets.
    """
    head, body = message.metadata.to_pybytes(), message.body
    try:

        def field(table: int, number: int) -> int:
            vtable = table - struct.unpack_from("<i", head, table)[0]
            there = 4 + 2 * number < struct.unpack_from("<H", head, vtable)[0]
            offset = struct.unpack_from("<H", head, vtable + 4 + 2 * number)[0] if there else 0
            return table + offset if offset else 0

        def pointed(place: int) -> int:
            return place + int(struct.unpack_from("<I", head, place)[0])

        top = pointed(0)
        kind, batch = head[at] if (at := field(top, 1)) else 0, field(top, 2)
        if kind not in (2, 3) or not batch or body is None:  # neither a batch of a dictionary nor one of rows
            return 0
        table = pointed(batch)
        table = pointed(field(table, 1)) if kind == 2 else table
        if not field(table, 3):  # not compressed: as long as it is here
            return body.size
        buffers, total = pointed(field(table, 2)), 0
        for number in range(struct.unpack_from("<I", head, buffers)[0]):
            offset, length = struct.unpack_from("<qq", head, buffers + 4 + 16 * number)
            said = struct.unpack("<q", body.slice(offset, 8).to_pybytes())[0] if length >= 8 else length
            total += max(said, length)
        return total
    except (struct.error, IndexError, ValueError, OverflowError, pa.ArrowException) as error:
        raise ValueError(f"the header of a batch is damaged ({error})") from None


def cells(table: pa.Table, name: str, path: Path) -> list[Any]:
    """Return the cells of a column, counted before each part is made: one value of a dictionary may stand for millions of them.

    Raises
    ------
    UserError
        If there are too many, or of a type that no text or label has.
    """
    found: list[Any] = []
    size = values = 0
    for chunk in table.select([name]).to_batches(max_chunksize=_AT_ONCE):
        more, longer = _weight(chunk.column(0), f"{path}: {name}")
        size, values = size + longer, values + more
        bounded(size, path, values=values)
        more_cells = chunk.column(0).to_pylist()
        found += map(_plain, more_cells) if re.search("map<|decimal", str(chunk.column(0).type)) else more_cells
    return found


def _plain(value: Any) -> Any:
    """Return a value with maps, which Arrow gives as pairs, as objects, and decimals as numbers.

    Raises
    ------
    ValueError
        If a key of a map stands twice.
    """
    if isinstance(value, Decimal):
        return float(value) if int(value.as_tuple().exponent) < 0 else int(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        if len(made := {key: _plain(inner) for key, inner in value}) < len(value):
            raise ValueError("a key of a map stands twice")
        return made
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _weight(array: pa.Array, where: str) -> tuple[int, int]:
    """Return how many values of Python an array makes, and the bytes of their texts."""
    kind, inner = array.type, list[pa.Array]()
    if isinstance(kind, pa.BaseExtensionType):
        return _weight(array.storage, where)
    if pa.types.is_dictionary(kind):
        if pa.types.is_nested(kind.value_type):
            raise fault(f"A column of type {kind} is not read.", where, "Write it as text, as a number or as a list.")
        return len(array), _bytes(array.dictionary, array.indices.drop_null().to_numpy(zero_copy_only=False))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = [array.flatten()]
    elif pa.types.is_map(kind):
        inner = [pa.ListArray.from_arrays(array.offsets, part).flatten() for part in (array.keys, array.items)]
    elif pa.types.is_struct(kind):
        inner = array.flatten()
    elif pa.types.is_nested(kind):  # what may stand for more than is in the file: views, runs, unions
        raise fault(f"A column of type {kind} is not read.", where, "Write it as text, as a number or as a list.")
    parts = [_weight(part, where) for part in inner]
    return len(array) + sum(part[0] for part in parts), _bytes(array) + sum(part[1] for part in parts)


def _bytes(array: pa.Array, at: Any = slice(None)) -> int:
    """Return the bytes of an array's texts, or of those at some places; 0: it holds none."""
    kind, form = array.type, str(array.type)
    wide = "<i8" if form.startswith("large") else "<i4"
    if pa.types.is_fixed_size_binary(kind):
        return kind.byte_width * len(np.arange(len(array))[at])
    if not form.removeprefix("large_").startswith(("string", "binary")) or not len(array):
        return 0
    numbers = np.frombuffer(array.buffers()[1], wide)
    if form.endswith("view"):
        return int(numbers[::4][array.offset : array.offset + len(array)][at].sum(dtype=np.int64))
    starts = numbers[array.offset : array.offset + len(array) + 1]
    return int((starts[1:][at].astype(np.int64) - starts[:-1][at]).sum())
