"""A data set to take away: an arm's accepted rows for the Hugging Face hub, as CSV and as JSON lines; `emosynth.export_card` describes them."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosynth.catalog import Catalog
from emosynth.design.arms import ResolvedArm, resolve_arm, unknown
from emosynth.design.cells import Cell, list_cells
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.escape import csv_cell, json_text, markdown
from emosynth.export_card import SHARED, Exported, about_of, croissant, readme
from emosynth.files import atomic, plain, write_text
from emosynth.languages import spaced
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import counted, say, warn
from emosynth.responsible.personal import mask
from emosynth.text import ngrams, words
from emosynth.trials.labels import label_rows
from emosynth.trials.sources import Sources

BEST = "best"

_WRITTEN = ("text", "context", "character")
"""Columns that hold written text."""


def best_arm(params: Params, paths: Paths) -> tuple[str, str]:
    """Return the arm that the report's first page picks for the target's largest seeds (`emosynth.evidence.contrasts.answers`), and what it is.

    Raises
    ------
    UserError
        If nothing was trained, or no arm that a language model writes beside the labels alone.
    """
    from emosynth.evidence.numbers import chance, told
    from emosynth.report.tables import Tables

    tables = Tables(paths, params)
    head = tables.headline
    if head is None:
        what = (
            "Nothing was trained yet"
            if tables.scored is None
            else "No arm that a language model writes was trained beside the labels alone"
        )
        raise UserError(f"{what}, so that none is the best.", where="trials", remedy="Name the arm to be exported.")
    where = f"on {head.corpus} with {head.size:,} labels and {tables.looks.learner(head.learner)}"
    if head.row.shown:
        gained = told(head.row.gain, head.row.low, head.row.high)
        return head.arm, f"the best way {where}: shown to help, {gained} points of macro-F1, as the report's first page says"
    return head.arm, f"a best guess, as on the report's first page: nothing is shown to help {where} ({chance(head.row.p_better)})"


def export_best(params: Params, paths: Paths, catalog: Catalog) -> Path:
    """Export the best arm to ``data/<profile>/export``, as a run ends; where nothing can be handed on, the folder says why."""
    folder = paths.data / "export"
    try:
        return export_dataset(params, paths, BEST, folder, catalog)
    except UserError as error:
        say(f"export: {error.what}")
        write_text(folder / "README.md", f"{markdown(error.what)} {markdown(error.remedy)}\n")
        return folder


def export_dataset(params: Params, paths: Paths, arm: str, folder: Path, catalog: Catalog, *, masked: bool = False) -> Path:
    """Write an arm's accepted rows into a folder that ``datasets.load_dataset(folder)`` opens.

    Writes ``data/train.parquet``, ``train.csv``, ``train.jsonl``, ``README.md`` and ``croissant.json``.

    Parameters
    ----------
    arm
        Name of a written arm, or `BEST`: see `best_arm`; the card and a line of progress say what it was picked by.
    catalog
        Names what models are and where they are from.
    masked
        Replace personal data that patterns find by words in brackets (`emosynth.responsible.personal.mask`).

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        If the profile has not been run, there is no such arm, nobody wrote its rows, or none was accepted.
    """
    if not paths.verdicts.is_dir():
        raise UserError(
            f"The profile {paths.profile} has not been run.", where=str(paths.data), remedy=f"Run: make reproduce PROFILE={paths.profile}"
        )
    name, picked = best_arm(params, paths) if arm == BEST else (arm, "")
    if name not in params.arms:
        raise unknown("arm", name, "export", [BEST, *params.arms])
    resolved = resolve_arm(params, name)
    if not resolved.written:
        raise UserError(
            f"The arm {name} holds real text, which is not the compendium's to give away.", where="export", remedy="Name a written arm."
        )
    made = _rows(Sources.load(params, paths), resolved)
    if masked:
        made = replace(
            made, frame=made.frame.assign(**{name: made.frame[name].map(mask) for name in _WRITTEN if name in made.frame}), masked=True
        )
    parquet = folder / "data" / "train.parquet"
    _write_parquet(made, parquet)
    write_text(folder / "train.csv", _csv(made.frame))
    lines = [json_text(plain(row)) for row in made.frame.to_dict("records")]
    write_text(folder / "train.jsonl", "".join(f"{line}\n" for line in lines))
    about = about_of(params, resolved, made, catalog) | {"picked": picked}
    write_text(folder / "README.md", readme(made, about))
    write_text(folder / "croissant.json", json_text(croissant(made.frame, about, parquet), indent=2) + "\n")
    say(
        f"export: {counted(len(made.frame), 'row')} of {name} to {folder}; left out for {SHARED} words in a row with real text: {made.left_out:,}"
    )
    say(f"export: they grow from {made.grown}")
    for line in (*about["unwritten"], *about["real"]):
        warn(f"export: {name}: {line}")
    if picked:
        say(f"export: {name} is {picked}")
    return folder


# --- rows -----------------------------------------------------------------------------------------------


def _rows(sources: Sources, arm: ResolvedArm) -> Exported:
    params, target = sources.params, sources.params.corpora.target
    sizes = [size for size in params.cells.sizes_of(target) if arm.runs_on(Cell(target, 0, size))]
    cells = [cell for cell in list_cells(params, target) if sizes and cell.size == sizes[-1] and arm.runs_on(cell)]
    parts, space = [], sources.spaces[target]
    for cell in cells:
        rows = sources.written(arm, cell)
        rows = rows[sources.accepted(arm, cell)]
        if rows.empty:
            continue
        labels = label_rows(sources, arm, cell, rows, 0.0, moved=False)
        space = labels.space
        parts.append(_columns(rows, arm, cell, labels.targets, space) | sources.scores(arm, rows, cell))
    if not parts:
        raise UserError(f"No row of {arm.name} was accepted.", where="verdicts", remedy="Look at why rows are rejected (column reason).")
    frame = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True).drop_duplicates("id", ignore_index=True)
    frame = frame.loc[:, [column for column in frame.columns if column not in ("context", "character") or frame[column].ne("").any()]]
    shared = shares_words(frame["text"].tolist(), sources.corpora[target].frame["text"].tolist())
    if shared.all():
        raise UserError(f"Every row of {arm.name} shares {SHARED} words with real text.", where="export", remedy="Export another arm.")
    return Exported(frame[~shared].reset_index(drop=True), space, sources.corpora[target], int(shared.sum()), _grown(sources, cells))


def _grown(sources: Sources, cells: Sequence[Cell]) -> str:
    """Return which labelled rows the seeds hold that an arm's rows were made for and chosen by."""
    order = sources.order
    train = order.loc[order["corpus"] == cells[0].corpus, "id"].nunique()
    held = len({row for cell in cells for row in sources.seed(cell).ids})
    drawn = (
        f"{len(cells)} seeds of {cells[0].size:,} labelled rows each" if len(cells) > 1 else f"a seed of {cells[0].size:,} labelled rows"
    )
    together = (
        f"{'together they hold' if len(cells) > 1 else 'it holds'} {'all' if held == train else f'{held:,} of the'} {train:,} training rows"
    )
    return f"{drawn}; {together}"


def _columns(rows: pd.DataFrame, arm: ResolvedArm, cell: Cell, targets: np.ndarray, space: Space) -> dict[str, Any]:
    if space.single:
        hard = [[space.labels[place]] for place in targets.argmax(axis=1)]
    else:
        # Asked labels that the soft labels bear out, and at least the likeliest.
        hard = [
            [label for label, p in zip(space.labels, row, strict=True) if p >= 0.5] or [space.labels[int(row.argmax())]] for row in targets
        ]
    known = {name: rows[name].fillna("").tolist() for name in ("context", "character", "origin", "writer", "generator")}
    return {
        "id": rows["candidate_id"].tolist(), "text": rows["text"].tolist(), "labels": hard, "soft_labels": targets.round(6).tolist(),
        "asked": [list(labels) for labels in rows["labels"]], **known, "arm": [arm.name] * len(rows), "corpus": [cell.corpus] * len(rows),
        "size": [cell.size] * len(rows), "repeat": [cell.repeat] * len(rows), "index": rows["index"].tolist(),
        "prompt_sha256": [hashlib.sha256(str(prompt).encode("utf-8", "replace")).hexdigest() for prompt in rows["prompt"]],
        "row_seed": rows["row_seed"].tolist(),
    }  # fmt: skip


def shares_words(texts: Sequence[str], real: Sequence[str], count: int = SHARED) -> np.ndarray:
    """Return which texts share ``count`` words in a row with a real text; a shorter real text counts if a text is that text."""
    known = {gram for text in real for gram in _grams(text, count)}
    return np.array([not known.isdisjoint(_grams(text, count)) for text in texts], dtype=bool)


def _grams(text: str, count: int) -> list[tuple[str, ...]]:
    tokens = [token for token in words(spaced(text)) if any(char.isalnum() for char in token)]
    return ngrams(tokens, count) or [tuple(tokens)]


# --- files ----------------------------------------------------------------------------------------------


def _write_parquet(made: Exported, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import ClassLabel, Features, List, Value

    names = list(made.space.labels)
    kinds: dict[str, Any] = {"labels": List(ClassLabel(names=names)), "soft_labels": List(Value("float32")), "asked": List(Value("string"))}
    kinds |= dict.fromkeys(("size", "repeat", "index", "row_seed"), Value("int64"))
    data: dict[str, list[Any]] = {column: made.frame[column].tolist() for column in made.frame.columns}
    data["labels"] = [[names.index(label) for label in labels] for labels in data["labels"]]
    kinds |= {column: Value("float64") for column in data if column.startswith("score_")}
    # The schema carries the class names, so that the library reads labels as labels.
    schema = Features({column: kinds.get(column, Value("string")) for column in data}).arrow_schema
    with atomic(path) as temporary:
        pq.write_table(pa.table(data, schema=schema), temporary, compression="zstd")


def _csv(frame: pd.DataFrame) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_cell(str(column)) for column in frame.columns])
    writer.writerows([[_cell(value) for value in row] for row in frame.itertuples(index=False)])
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet takes for a formula; lists with bars between their items."""
    if isinstance(value, list):
        value = "|".join(str(item) for item in value)
    if isinstance(value, float) and np.isnan(value):
        return ""
    return csv_cell(value)
