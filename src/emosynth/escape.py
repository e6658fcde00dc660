"""Text of others made harmless for the place where it goes: page, Markdown, JSON, spreadsheet, terminal.

Labels, licences, titles, names of files and everything that is written or read may hold anything. What is kept as data (Parquet, JSON
lines) keeps it as it is; what people look at goes through here.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

LONGEST = 280
"""Characters of a text that a cell of a table bears."""

# Characters that no HTML may hold, and those that turn the direction of the text around them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")
# "<" would end a script element that holds the JSON; the others end lines, or steer a terminal that shows the file.
_IN_JSON = re.compile("[<\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_MARKED = re.compile(r"([\\\[\]|])")
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")


def printable(text: object) -> str:
    """Return a text without control characters and overrides of its direction, each replaced by U+FFFD. It is *not* escaped."""
    return _UNPRINTABLE.sub("\ufffd", str(text))


def readable(text: object) -> str:
    """Return a printable text, cut to a length that a table bears. It is *not* escaped."""
    clean = printable(text)
    return clean if len(clean) <= LONGEST else clean[:LONGEST].rstrip() + " …"


def terminal(text: object, lines: bool = False) -> str:
    r"""Return a text in which everything that could steer a terminal is spelled out, as ``\x1b``.

    Parameters
    ----------
    lines
        Leave the ends of lines as they are.
    """
    kept = "\n\t" if lines else "\t"
    return "".join(
        char.encode("unicode_escape").decode() if char not in kept and unicodedata.category(char) in _STEERING else char
        for char in str(text)
    )


def markdown(text: object) -> str:
    """Return a text as one line of Markdown, in a table too: no HTML, no link, no image, no heading."""
    line = " ".join(printable(text).split())
    return _MARKED.sub(r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;")


def json_text(value: Any, indent: int | None = None) -> str:
    """Return plain data as JSON that may stand inside HTML and on a terminal.

    Raises
    ------
    ValueError
        For numbers that JSON does not have.
    """
    said = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", said)


def print_json(value: Any) -> None:
    """Print plain data as JSON; where output is not of UTF-8, letters beyond ASCII by their numbers."""
    said = json_text(value, indent=2)
    print(said if codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8" else json.dumps(json.loads(said), indent=2))


def csv_cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet takes for a formula: an apostrophe stands before what it would take for one.

    ``=``, ``+``, ``-``, ``@``, tab and the ends of lines count, in full width too, and after apostrophes, so that taking one away gives the
    text back. Numbers stay numbers. A carriage return becomes the end of a line: writers do not quote it, and readers end a row there.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\x00", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if _FORMULA.match(text) else text


def csv_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose cells and names of columns are those of `csv_cell`."""
    made = frame.copy()
    for column in made.select_dtypes(exclude=["number", "bool"]).columns:
        made[column] = made[column].map(csv_cell, na_action="ignore")
    return made.rename(columns=csv_cell)
