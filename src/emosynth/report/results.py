"""Result tables without text, small enough for git: figures and pages can be made again without the hours that made the numbers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from emosynth.cards import atomic
from emosynth.errors import UserError
from emosynth.paths import Paths
from emosynth.report.checks import Texts
from emosynth.report.examples import WITHHELD_RUN, shown_rows
from emosynth.report.grounded import explained, publishable_labels, publishable_rows

__all__ = ["FOLDER", "publish", "restore"]

FOLDER = "results"
"""Folder of the report that holds them, laid out as ``data/<profile>/``."""

_TABLES: Mapping[str, tuple[str, ...]] = {
    "seeds": ("order.parquet",),
    "guidance": ("tokens.parquet", "agreement.parquet", "stability.parquet"),
    "training": ("scores.parquet", "per_class.parquet", "reliability.parquet"),
    "authenticity": ("panel.parquet",),
    "tuning": ("order.parquet", "history.parquet", "tuned.parquet"),
    "synthesis": ("quality.parquet", "calibration.parquet", "reliability.parquet", "generators.json"),
    "distillation": ("scores.parquet", "per_class.parquet", "gaps.parquet"),
    "candidates": ("generators.json",),
    "narratives": ("stories.parquet",),
    "grounding": ("diversity_differences.parquet", "scale.parquet", "generators.json"),
    "transfer": ("scores.parquet", "context.parquet", "probe.parquet", "scorer.parquet"),
}
"""What the report reads and what holds no text, by step."""

_CANDIDATES = ("candidates", "synthesis")
"""Steps whose generated texts are left out, but for the examples that the page shows."""

_PAIRS = ("pair_id", "emotion_a", "emotion_b", "ok", "shift")

_KEPT = ("candidate_id", "arm", "size", "repeat", "label", "index", "accepted", "reason")


def publish(paths: Paths, corpus: Texts) -> Path:
    """Copy the tables of a run into the report, without text.

    Of corpora, counts go and rows stay; of narratives, titles go and passages stay. Of candidates and grounded rows, verdicts go; texts
    stay, but for those that the page shows.

    Parameters
    ----------
    corpus
        Texts of the corpora and of the narratives' passages: a candidate that shares six words in a row with one is never published.

    Returns
    -------
    Path
        The folder written; what it held before is gone.
    """
    target = paths.report / FOLDER
    shutil.rmtree(target, ignore_errors=True)
    for step, names in _TABLES.items():
        for name in names:
            _copy(paths.data / step / name, target / step / name)
    for about in sorted(paths.corpora.glob("*.json")):
        _copy(about, target / "corpora" / about.name)
    for step in _CANDIDATES:
        source = paths.data / step / "candidates.parquet"
        if source.is_file():
            frame = _without_text(pd.read_parquet(source), corpus)
            with atomic(target / step / "candidates.parquet") as temporary:
                frame.to_parquet(temporary, index=False, compression="zstd")
    for name, frame in _grounded(paths, corpus).items():
        with atomic(target / name) as temporary:
            frame.to_parquet(temporary, index=False, compression="zstd")
    return target


def restore(paths: Paths) -> list[str]:
    """Put published results where the stages would have written them; returns the steps restored.

    A step that has results of its own is left as it is.

    Raises
    ------
    UserError
        If the profile has no published results.
    """
    source = paths.report / FOLDER
    if not source.is_dir():
        raise UserError(
            "This profile has no published results.",
            where=str(source),
            remedy=f"Run it: dvc repro, see README.md (profile {paths.profile}).",
        )
    steps = [folder for folder in sorted(source.iterdir()) if folder.is_dir() and not (paths.data / folder.name).exists()]
    for folder in steps:
        shutil.copytree(folder, paths.data / folder.name)
    return [folder.name for folder in steps]


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        with atomic(target) as temporary:
            shutil.copyfile(source, temporary)


def _grounded(paths: Paths, corpus: Texts) -> dict[str, pd.DataFrame]:
    """Return the tables of the third system that hold text, without it, by path below the folder written."""
    grounding, found = paths.grounding, {}
    # Rows that know their passages are those of a run: without the passages nothing says which texts repeat them.
    rows = pd.read_parquet(grounding / "rows.parquet") if (grounding / "rows.parquet").is_file() else None
    may_show = rows is not None and ((paths.narratives / "passages.parquet").is_file() or "passage_id" not in rows)
    if rows is not None:
        found["grounding/rows.parquet"] = publishable_rows(rows, corpus, may_show)
    if (grounding / "confusion.parquet").is_file():
        found["grounding/confusion.parquet"] = publishable_labels(pd.read_parquet(grounding / "confusion.parquet"), corpus)
    if (grounding / "pairs.parquet").is_file():
        pairs = pd.read_parquet(grounding / "pairs.parquet")
        found["grounding/pairs.parquet"] = pairs[[name for name in _PAIRS if name in pairs]]
    explanations = paths.transfer / "explanations.parquet"
    if rows is not None and may_show and explanations.is_file():
        found["transfer/explanations.parquet"] = explained(pd.read_parquet(explanations), rows, corpus)
    return found


def _without_text(candidates: pd.DataFrame, corpus: Texts) -> pd.DataFrame:
    frame = candidates[[*_KEPT, *[column for column in map(str, candidates) if column.startswith("ok_")]]].copy()
    shown = shown_rows(candidates)
    texts = {key: WITHHELD_RUN if corpus.shares_run(text) else text for key, text in zip(shown["candidate_id"], shown["text"], strict=True)}
    frame["text"] = frame["candidate_id"].map(texts).fillna("")
    return frame
