"""Result tables without text, small enough for git: figures and pages can be made again without the hours that made the numbers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from emosynth.cards import Card, write_table
from emosynth.errors import UserError
from emosynth.escape import csv_frame
from emosynth.files import atomic, disk_errors
from emosynth.paths import Paths, repro
from emosynth.report.figures.writing import reason_words
from emosynth.report.responsible import costs
from emosynth.report.tables import Tables, Texts

FOLDER = "results"
"""Folder of the report that holds them, laid out as ``data/<profile>/``."""

_COPIED: Mapping[str, str] = {
    "seeds": "order", "materials": "tokens agreement stability explainers learners", "tuning": "history tuned", "narratives": "stories",
    "candidates": "", "verdicts": "verdicts teachers reliability", "trials": "trials test_rows per_class not_offered",
    "authenticity": "panel diversity coverage", "context": "context reader dialogues dialogue_predictions dialogue_rows",
    "responsible": "memorisation personal toxicity identity label_noise cost forecast membership canaries collapse",
}  # fmt: skip
"""What the report reads and what holds no text, by step."""

_WITHOUT: Mapping[str, tuple[str, ...]] = {"context/pairs": ("context_a", "context_b", "utterance", "character"), "context/names": ("raw",)}
"""Tables that are published without their columns of text."""


def publish(tables: Tables, folder: Path | None = None) -> Path:
    """Copy the tables of a run into the report (or into ``folder``), without text; return the folder, what it held before is gone.

    Of corpora, counts go and rows stay; of narratives, titles go and passages stay; of candidates, only the texts that the page shows.
    Predictions go as predicted labels, from which every interval can be computed again.
    """
    paths = tables.paths
    folder = folder or paths.report
    target, made = folder / FOLDER, folder / f".{FOLDER}.part"
    shutil.rmtree(made, ignore_errors=True)
    for step, names in _COPIED.items():
        for name in names.split():
            _copy(paths.data / step / f"{name}.parquet", made / step / f"{name}.parquet")
    for about in [*sorted((paths.data / "corpora").glob("*.json")), paths.data / "candidates" / "generators.json"]:
        _copy(about, made / about.parent.name / about.name)
    for name, frame in _stripped(tables).items():
        _write(frame, made / f"{name}.parquet")
    for name, found in {
        "contrasts": tables.contrasts,
        "answers": tables.answers,
        "rivals": tables.rivals,
        "alone": tables.alone,
        "costs": costs(tables),
    }.items():
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
    """Put published results where the stages would have written them, but for steps that have some; return the steps restored.

    Raises UserError if the profile has no published results, or they are of a version with other steps.
    """
    source, run = paths.report / FOLDER, f"Run it: {repro(profile=paths.profile)}"
    folders = [folder for folder in sorted(source.iterdir()) if folder.is_dir()] if source.is_dir() else []
    if not folders:
        raise UserError("This profile has no published results.", where=str(source), remedy=run)
    if {folder.name for folder in folders} - {*_COPIED, "corpora"}:
        what = "The results were published by a version with other steps, which this one cannot read."
        raise UserError(what, where=str(source), remedy=run)
    steps = [folder for folder in folders if not (paths.data / folder.name).exists()]
    for folder in steps:
        part = paths.data / f".{folder.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        with disk_errors(part):
            shutil.copytree(folder, part)
            part.rename(paths.data / folder.name)
    return [folder.name for folder in steps]


# --- generated texts to be shown: the first of their kind, and none that repeats a real text ---

WITHHELD_SEED = "[withheld: copies the seed]"
WITHHELD_RUN = "[withheld: shares six words in a row with a real text]"
WITHHELD_ALL = "[withheld: the texts that it may repeat are not at hand]"
COPYING = ("original", "novelty")
"""Checks whose rejects may copy the seed."""

_ACCEPTED = _REJECTED = 5
_WRONG = 1
COLUMNS = ["candidate_id", "arm", "label", "text", "withheld", "accepted", "reason", "read"]


def shown_rows(tables: Tables) -> pd.DataFrame | None:
    """Return the candidates of the headline arm at its largest seed that are shown: the first of each class and reason, not chosen by hand.

    One accepted row may be wrong: the teacher's soft labels ``read`` another class. Texts that copy a seed row, or share six words in a row
    with a real text or a narrative, are withheld.
    """
    published = tables.get("candidates/shown")
    if published is not None:
        return published
    candidates, verdicts, arm = tables.get("candidates/candidates"), tables.get("verdicts/verdicts"), _arm(tables)
    if candidates is None or verdicts is None or arm is None:
        return None
    rows = verdicts[(verdicts["corpus"] == tables.target) & (verdicts["arm"] == arm)]
    rows = rows[rows["size"] == rows["size"].max()].merge(candidates[["candidate_id", "text"]], on="candidate_id", how="inner")
    rows = rows.sort_values(["repeat", "label", "index", "candidate_id"], kind="stable")
    rows = rows.assign(accepted=rows["accepted"].astype(bool), reason=rows["reason"].fillna(""), read="")
    taken = rows[rows["accepted"]]
    wrong = _misread(tables, taken)
    parts = [
        _first(taken[~taken["candidate_id"].isin(wrong["candidate_id"])], "label", _ACCEPTED),
        _first(rows[~rows["accepted"]], "reason", _REJECTED),
        wrong.head(_WRONG),
    ]
    shown = pd.concat(parts, ignore_index=True).drop_duplicates("candidate_id")
    return _guarded(shown, tables.guard if tables.guarded else None)[COLUMNS].reset_index(drop=True)


def _first(rows: pd.DataFrame, column: str, most: int) -> pd.DataFrame:
    """Return the first row of each value of a column, and as many second, third, … ones as there is room for."""
    return rows.iloc[rows.groupby(column, sort=False).cumcount().to_numpy().argsort(kind="stable")].head(most)


def _arm(tables: Tables) -> str | None:
    verdicts = tables.get("verdicts/verdicts")
    written = [] if verdicts is None else tables.looks.order(verdicts.loc[verdicts["corpus"] == tables.target, "arm"])
    head = tables.headline
    return head.arm if head is not None and head.arm in written else next(iter(written), None)


def _misread(tables: Tables, taken: pd.DataFrame) -> pd.DataFrame:
    """Return accepted rows that some teacher reads as another class, with that class."""
    soft, about = tables.get("verdicts/soft"), tables.corpora.get(tables.target)
    if soft is None or about is None or taken.empty:
        return taken.head(0)
    own = soft[(soft["corpus"] == tables.target) & (soft["space"] == tables.target)].rename(columns={"row_id": "candidate_id"})
    keys, classes = ["candidate_id", "size", "repeat"], about["classes"]
    merged = taken.drop(columns="read").merge(own[[*keys, "log_p"]], on=keys, how="inner")
    places = [max(range(len(log_p)), key=lambda place: log_p[place]) if len(log_p) == len(classes) else -1 for log_p in merged["log_p"]]
    merged["read"] = [classes[place] if place >= 0 else "" for place in places]
    return merged[(merged["read"] != "") & (merged["read"] != merged["label"])].drop(columns="log_p")


def _guarded(shown: pd.DataFrame, guard: Texts | None) -> pd.DataFrame:
    def why(reason: str, text: str) -> str:
        if reason in COPYING:
            return WITHHELD_SEED
        return WITHHELD_ALL if guard is None else WITHHELD_RUN if guard.shares_run(text) else ""

    shown = shown.assign(withheld=[why(reason, str(text)) for reason, text in zip(shown["reason"], shown["text"], strict=True)])
    return shown.assign(text=shown["text"].where(shown["withheld"] == "", ""))


def example_rows(tables: Tables) -> list[dict[str, Any]]:
    """Return the texts to be shown, for the page."""
    shown = shown_rows(tables)
    rows = [] if shown is None else shown.to_dict("records")
    return [
        {
            "label": str(row["label"]), "text": str(row["text"] or ""), "withheld": str(row["withheld"] or ""), "accepted": bool(row["accepted"]),
            "why": "" if row["accepted"] else reason_words(str(row["reason"])), "read": str(row["read"] or ""), "arm": str(row["arm"]),
        }
        for row in rows
    ]  # fmt: skip
