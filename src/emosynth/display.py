"""How notebooks show tables and figures: every table escaped whole, figures as PNG of fixed resolution that names neither software nor time."""

from __future__ import annotations

import atexit
import html
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from emosynth.escape import readable

_DPI = 130
_LACKING = "–"

Formats = str | Mapping[Any, str]
"""A format as of `str.format` for all columns, or by column; of numbers that are not there a dash is shown."""


@dataclass(frozen=True)
class Table:
    """A table as it is shown: cells, index, names of columns and caption are escaped, whatever the formats.

    Attributes
    ----------
    formats
        See `Formats`; of columns that it does not name, fractional numbers have ``precision`` decimals.
    index
        Show the index.
    """

    frame: pd.DataFrame
    formats: Formats = field(default_factory=dict)
    precision: int = 3
    index: bool = True
    caption: str = ""

    def format(self, formats: Formats) -> Table:
        """Return the table with other formats, escaped as well."""
        return replace(self, formats=formats)

    def _repr_html_(self) -> str:
        frame, levels = self.frame, self.frame.index.nlevels if self.index else 0
        head = [*(name for name in frame.index.names[:levels]), *frame.columns]
        lines = ["<table>", *([f"<caption>{_escaped(self.caption)}</caption>"] if self.caption else []), "<thead><tr>"]
        lines += [f'<th scope="col">{_escaped("" if name is None else _joined(name))}</th>' for name in head]
        lines.append("</tr></thead>\n<tbody>")
        columns = [[self._cell(column, value) for value in frame.iloc[:, place]] for place, column in enumerate(frame.columns)]
        for keys, cells in zip(_keys(frame.index, levels), zip(*columns, strict=True) if columns else [()] * len(frame), strict=True):
            lines.append(f"<tr>{keys}{''.join(f'<td>{_escaped(cell)}</td>' for cell in cells)}</tr>")
        return "\n".join([*lines, "</tbody></table>"])

    def __repr__(self) -> str:
        return f"table of {len(self.frame)} rows"

    def _cell(self, column: Any, value: Any) -> str:
        if pd.api.types.is_scalar(value) and pd.isna(value):
            return _LACKING
        how = self.formats if isinstance(self.formats, str) else self.formats.get(column)
        if how is not None:
            return how.format(value)
        if isinstance(value, float):
            return f"{value:.{self.precision}f}"
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def table(frame: pd.DataFrame, formats: Formats | None = None, *, precision: int = 3, index: bool = True, caption: str = "") -> Table:
    """Return a table for ``display``, the one way in which notebooks show tables; see `Table`."""
    return Table(frame, {} if formats is None else formats, precision, index, caption)


def _escaped(text: object) -> str:
    return html.escape(readable(text))


def _joined(name: Any) -> str:
    return ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _keys(index: pd.Index, levels: int) -> Iterator[str]:
    """Return the heads of rows; what outer levels share stands once, over its rows."""
    keys: list[tuple[Any, ...]] = [key if isinstance(key, tuple) else (key,) for key in index] if levels else [()] * len(index)
    for row, key in enumerate(keys):
        cells = ""
        for level in range(levels):
            # The innermost level stands in every row.
            same = row > 0 and level < levels - 1 and keys[row - 1][: level + 1] == key[: level + 1]
            if not same:
                span = _run(keys, row, level) if level < levels - 1 else 1
                over = f' rowspan="{span}"' if span > 1 else ""
                cells += f'<th scope="row"{over}>{_escaped(key[level])}</th>'
        yield cells


def _run(keys: Sequence[tuple[Any, ...]], row: int, level: int) -> int:
    return next((at - row for at in range(row + 1, len(keys)) if keys[at][: level + 1] != keys[row][: level + 1]), len(keys) - row)


def _png(figure: Any) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"text.parse_math": False}):  # a $ in a label is a $
        figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def prepare_notebook() -> None:
    """Let ``display`` show figures, and a pandas Styler as a plain escaped table, in the running notebook; outside one, do nothing.

    The figures here are made without pyplot, whose inline backend would otherwise do this.
    """
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is None:
        return
    # A kernel that ends drops tasks of its own that wait; asyncio says so on the terminal, where nobody can do anything about it.
    atexit.register(logging.getLogger("asyncio").setLevel, logging.CRITICAL + 1)
    # By name, so that stages without figures do not import matplotlib.
    formatters: Any = shell.display_formatter.formatters
    formatters["image/png"].for_type_by_name("matplotlib.figure", "Figure", _png)
    # A Styler escapes nothing of its own accord, and each format() takes back what was asked for before: its looks are given up here.
    formatters["text/html"].for_type_by_name("pandas.io.formats.style", "Styler", lambda styled: Table(styled.data)._repr_html_())
