"""Awkward files of labelled text, built in memory. All text is invented: 120 rows, 60 of joy and 60 of anger, unless a case says otherwise."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

THINGS = [
    "harbour",
    "kitchen",
    "letter",
    "garden",
    "train",
    "window",
    "river",
    "lamp",
    "market",
    "bridge",
    "ladder",
    "violin",
    "stove",
    "cellar",
    "orchard",
]
ENDINGS = {
    "joy": ["made me laugh all morning", "was the best of the week", "is a small delight again", "felt warm and bright today"],
    "anger": ["is an insult to us all", "drove me up the wall twice", "broke again and I shouted", "was late and nobody cared"],
}
ROWS = [(f"the {thing} {ending}", label) for label, endings in ENDINGS.items() for ending in endings for thing in THINGS]
LABELS = [label for _, label in ROWS]


def lines(rows: Sequence[Sequence[str]], sep: str = ",", header: str | None = "text,label") -> str:
    """Return rows as they are written without any quotes."""
    head = [header.replace(",", sep)] if header else []
    return "\n".join([*head, *(sep.join(row) for row in rows)]) + "\n"


def quoted(rows: Sequence[Sequence[str]], sep: str = ",", end: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    """Return rows as CSV is written."""
    out = io.StringIO()
    csv.writer(out, delimiter=sep, lineterminator=end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


def relabelled(change: Callable[[int, str], str]) -> list[tuple[str, str]]:
    """Return the rows with labels changed by place."""
    return [(text, change(place, label)) for place, (text, label) in enumerate(ROWS)]


def jsonl(labels: Sequence[Any], **more: Any) -> str:
    """Return the texts with other labels, one object a line."""
    return "".join(json.dumps({"text": text, "label": label, **more}) + "\n" for (text, _), label in zip(ROWS, labels, strict=True))


def parquet(table: pa.Table | pd.DataFrame) -> bytes:
    """Return a table as the bytes of a Parquet file."""
    out = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.Table.from_pandas(table), out)
    return out.getvalue()


def arrow(labels: pa.Array, texts: pa.Array | None = None, names: list[str] | None = None, of_lists: bool = False) -> pa.Table:
    """Return an Arrow table, with the names of a ClassLabel in its metadata as ``datasets`` writes them."""
    table = pa.table({"text": pa.array([text for text, _ in ROWS]) if texts is None else texts, "label": labels})
    if names is not None:
        feature: dict[str, Any] = {"names": names, "_type": "ClassLabel"}
        feature = {"feature": feature, "_type": "List"} if of_lists else feature
        info = {"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "label": feature}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    return table


def excel(rows: Sequence[Sequence[Any]], **sheets: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as an Excel file, and further sheets by name."""
    from openpyxl import Workbook

    book = Workbook()
    for sheet, held in [(book.active, rows), *((book.create_sheet(name), held) for name, held in sheets.items())]:
        for row in held:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


NUMBERS = [int(label == "anger") for label in LABELS]
TWITTER = [("0", *ROWS[0]), *((str(place), *row) for place, row in enumerate(ROWS[1:], start=1))]


def lone_quotes(second: int) -> str:
    """Return a TSV in which one text begins and another one ends with a lone quote."""
    rows = [list(row) for row in TWITTER]
    rows[3][1] = '"Never say never to the harbour folk'
    rows[second][1] = 'as my aunt used to say about the mill"'
    return lines(rows, "\t", "id,tweet,emotion")


HEAD = ("text", "label")
TWO = {"anger": 60, "joy": 60}
"""Header, and classes with their rows, of a file as most cases have it."""


def put(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file, folders and all; returns its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
