"""What to do about rows that cannot be used, and about columns that were not found: remedies that name what the file holds."""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from emosynth.corpora import labels as cells
from emosynth.corpora.columns import guess_columns, paths_within
from emosynth.corpora.decoding import fault, some
from emosynth.corpora.layouts import EXPORTS
from emosynth.corpora.schema import SPLITS
from emosynth.corpora.tables import Table
from emosynth.corpora.values import dotted, step, unfolded
from emosynth.errors import UserError
from emosynth.params import UserCorpus

_FEW = 12
"""Different numbers that are proposed as classes to be named."""
_BY_CLASS = (
    "If files are named by class, put them into one table with a column of labels, or each text into a .txt file in a folder of its class"
)


def lacking(tables: Sequence[Table], wanted: Collection[str], path: Path, told: Sequence[str]) -> UserError:
    """Return the error for columns of texts or of labels (``wanted``) that were not found; ``told`` are warnings about columns."""
    table = tables[0]
    more = "".join(f" {line}" for line in told if line.startswith("Columns of numbers"))
    if table.format in EXPORTS:
        more += f" No annotation of this export of {table.format} holds a choice or a label."
    elif bare := [name for at, name in enumerate(table.columns) if all(row[at] is None for row in table.rows)]:
        formulas = "formulas hold no values until a spreadsheet has computed and saved them"
        more += f" Nothing stands in {some(bare)}: {formulas if table.format == 'excel' else 'it is null in every row'}."
    there = some((name[:40] for name in table.columns), 20)
    what = (
        f"No column looks like {' and none like '.join({'text': 'texts', 'labels': 'labels'}[name] for name in wanted)}; there are {there}."
    )
    found = _within(table)
    flags = " ".join(f"--{name} {shlex.quote(found.get(name, 'NAME'))}" for name in (found if set(found) >= set(wanted) else wanted))
    remedy = f"Name the columns ({', '.join(wanted)}): {flags}."
    if len(tables) > 1 and "labels" in wanted and not any(one.split for one in tables):
        remedy = f"{_BY_CLASS}. {remedy}"
    return fault(what + more + paths_within(table, wanted), path, remedy)


def _within(table: Table) -> dict[str, str]:
    """Return the dotted paths that may hold texts and labels, by parameter."""
    if (flat := unfolded(table)) is None:
        return {}
    return {name: one for name, one in zip(("text", "labels"), guess_columns(flat), strict=True) if isinstance(one, str)}


def unusable(
    faults: cells.Faults, hard: Sequence[str], given: Mapping[str, Sequence[Any]], places: Sequence[str], path: Path, spec: UserCorpus,
    more_said: Sequence[str],
) -> UserError:  # fmt: skip
    """Return the error for rows that cannot be used.

    Parameters
    ----------
    hard
        The kinds of faults that are errors.
    given
        The cells of texts and labels (of lists of columns: lists of cells), by parameter.
    """
    told = []
    for what in hard[:8]:
        named = [places[row] for row in faults[what][:5]]
        unit = named[0].split(" ")[0]
        same = all(place.startswith(f"{unit} ") for place in named)
        listed = f"{unit}s {', '.join(place.removeprefix(unit + ' ') for place in named)}" if same else ", ".join(named)
        told.append(f"{what}: {listed}" + (f" and {len(faults[what]) - 5} more" if len(faults[what]) > 5 else ""))
    told += [f"and {len(hard) - 8} more kinds"] * (len(hard) > 8)
    ways = [way for what in hard for way in _ways(what, [row for row in faults[what] if row < len(places)], given, spec)]
    ways.append("mend or take out these rows")
    ways += ["missing: drop (--missing drop) leaves rows without text or label out"] * any(
        what.startswith((cells.NO_TEXT, cells.NO_LABEL)) for what in hard
    )
    ways += [f"corpora.custom.classes allows {some(spec.classes or (), 20)}"] * any("unknown label" in what for what in hard)
    ways += [f"splits are {', '.join(SPLITS)}"] * any("unknown split" in what for what in hard)
    remedy = "; ".join(dict.fromkeys(ways)) + "."
    return UserError(
        "Some rows of the corpus cannot be used:", where=str(path), remedy=remedy[0].upper() + remedy[1:], lines=[*told, *more_said]
    )


def _ways(what: str, rows: Sequence[int], given: Mapping[str, Sequence[Any]], spec: UserCorpus) -> list[str]:
    """Return what may be done about one kind of fault, as the cells that have it tell."""
    held = [given["text" if what.startswith("a text") else "labels"][row] for row in rows]
    if found := re.search(r"a dotted name reads one, as in labels: (.+)\)", what):
        return [f"read what stands within: --labels {shlex.quote(found[1])}"]
    if what.startswith("a text that is an object"):
        paths = {path: _at(held[0], path.removeprefix(f"{spec.text}.")) for path in dotted(held[0], str(spec.text))}
        return [f"read what stands within: --text {shlex.quote(max(paths, key=lambda path: len(str(paths[path]))))}"] * bool(paths)
    if what.startswith("a label that is true or false"):
        return _named(
            "names what they mean", [str(value).lower() for value in (True, False) if any(_holds(cell, value) for cell in held)], spec
        )
    if what.startswith("a label that is a list") and held and all(map(_is_spans, held)):
        return [
            "these labels are spans (start, end, label) of a text, and a text needs one label: export labels of whole texts, or write one beside each"
        ]
    if what.startswith("a label that is a decimal number"):
        decimals = sorted({str(cell).strip() for cell in held if not isinstance(cell, list | dict)})
        other = ["if another column holds classes, name it: --labels NAME", "if these are ratings, write a word for each range of them"]
        return other + (_named("makes them classes", decimals, spec) if len(decimals) <= _FEW else [])
    return []


def _at(cell: Any, path: str) -> Any:
    return functools.reduce(step, path.split("."), cell)


def _named(what: str, values: Sequence[str], spec: UserCorpus) -> list[str]:
    """Return the flag that names values, beside those that are named already."""
    known = spec.class_names if isinstance(spec.class_names, dict) else {}
    said = json.dumps({**dict.fromkeys(values, "…"), **known}, ensure_ascii=False)
    return [f"--class-names {shlex.quote(said)} {what}"] * bool(values)


def _holds(cell: Any, value: bool) -> bool:
    return cell is value or (isinstance(cell, list) and any(one is value for one in cell))


def _is_spans(cell: Any) -> bool:
    """Return whether a cell holds what Doccano writes of parts of a text."""
    return isinstance(cell, list) and bool(cell) and all(
        isinstance(one, list) and len(one) == 3 and isinstance(one[0], int) and isinstance(one[1], int) and isinstance(one[2], str) for one in cell
    )  # fmt: skip
