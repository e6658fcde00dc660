"""Result tables without text, small enough for git: figures and pages can be made again without the hours that made the numbers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from emosynth.cards import Card, atomic, disk_errors, write_table
from emosynth.errors import UserError
from emosynth.escape import csv_frame
from emosynth.paths import Paths, repro
from emosynth.report.examples import shown_rows
from emosynth.report.tables import Tables

FOLDER = "results"
"""Folder of the report that holds them, laid out as ``data/<profile>/``."""

_COPIED: Mapping[str, tuple[str, ...]] = {
    "seeds": ("order.parquet",),
    "materials": ("tokens.parquet", "agreement.parquet", "stability.parquet", "explainers.parquet", "learners.parquet"),
    "tuning": ("history.parquet", "tuned.parquet"),
    "narratives": ("stories.parquet",),
    "candidates": ("generators.json",),
    "verdicts": ("verdicts.parquet", "teachers.parquet", "reliability.parquet"),
    "trials": ("trials.parquet", "test_rows.parquet", "per_class.parquet"),
    "authenticity": ("panel.parquet", "diversity.parquet", "coverage.parquet"),
    "context": (
        "context.parquet",
        "reader.parquet",
        "scale.parquet",
        "dialogues.parquet",
        "dialogue_predictions.parquet",
        "dialogue_rows.parquet",
    ),
}
"""What the report reads and what holds no text, by step."""

_WITHOUT: Mapping[str, tuple[str, ...]] = {"context/pairs": ("context_a", "context_b", "utterance", "character"), "context/names": ("raw",)}
"""Tables that are published without their columns of text."""


def publish(tables: Tables) -> Path:
    """Copy the tables of a run into the report, without text.

    Of corpora, counts go and rows stay; of narratives, titles go and passages stay; of candidates, only the texts that the page shows.
    Predictions go as predicted labels, from which every interval can be computed again.

    Returns
    -------
    Path
        The folder written; what it held before is gone.
    """
    paths = tables.paths
    target, made = paths.report / FOLDER, paths.report / f".{FOLDER}.part"
    shutil.rmtree(made, ignore_errors=True)
    for step, names in _COPIED.items():
        for name in names:
            _copy(paths.data / step / name, made / step / name)
    for about in sorted((paths.data / "corpora").glob("*.json")):
        _copy(about, made / "corpora" / about.name)
    for name, frame in _stripped(tables).items():
        _write(frame, made / f"{name}.parquet")
    for name, found in {"contrasts": tables.contrasts, "answers": tables.answers}.items():
        if found is not None:
            made.mkdir(parents=True, exist_ok=True)
            csv_frame(found).to_csv(made / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8", errors="replace")
    shutil.rmtree(target, ignore_errors=True)
    if made.is_dir():
        made.replace(target)
    return target


def _stripped(tables: Tables) -> dict[str, pd.DataFrame]:
    from emosynth.trials.score import published

    found: dict[str, pd.DataFrame] = {}
    trials, predictions, rows = (tables.get(f"trials/{name}") for name in ("trials", "predictions", "test_rows"))
    if trials is not None and predictions is not None and rows is not None:
        found["trials/predictions"] = published(predictions, rows, trials) if "p" in predictions else predictions
    shown = shown_rows(tables)
    if shown is not None:
        found["candidates/shown"] = shown
    for name, texts in _WITHOUT.items():
        frame = tables.get(name)
        if frame is not None:
            found[name] = frame.drop(columns=[column for column in texts if column in frame])
    return found


def _write(frame: pd.DataFrame, path: Path) -> None:
    write_table(frame, path, Card(title=path.stem, what="A published result table.", made="Copied from a run, without text."))
    path.with_suffix(".md").unlink()


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)


def restore(paths: Paths) -> list[str]:
    """Put published results where the stages would have written them; returns the steps restored.

    A step that has results of its own is left as it is.

    Raises
    ------
    UserError
        If the profile has no published results, or they are of a version with other steps.
    """
    source, run = paths.report / FOLDER, f"Run it: {repro(profile=paths.profile)}"
    folders = [folder for folder in sorted(source.iterdir()) if folder.is_dir()] if source.is_dir() else []
    if not folders:
        raise UserError("This profile has no published results.", where=str(source), remedy=run)
    if {folder.name for folder in folders} - {*_COPIED, "corpora"}:
        raise UserError(
            "The results were published by a version with other steps, which this one cannot read.", where=str(source), remedy=run
        )
    steps = [folder for folder in folders if not (paths.data / folder.name).exists()]
    for folder in steps:
        part = paths.data / f".{folder.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        with disk_errors(part):
            shutil.copytree(folder, part)
            part.rename(paths.data / folder.name)
    return [folder.name for folder in steps]
