"""Answers of a survey: read and checked, agreement of raters, and what they say of each arm beside real text."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.cards import Card, read_table, write_table
from emosynth.corpora import load_corpus
from emosynth.corpora.schema import some
from emosynth.design.cells import stable_seed
from emosynth.errors import UserError
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.responsible.rates import COMPARED, REAL, rate
from emosynth.responsible.sheet import NONE, QUESTIONS
from emosynth.stats import Interval, percentile_interval

Floats = npt.NDArray[np.float64]
FIELDS = ("emotion", *QUESTIONS)
COLUMNS = ("sheet", "rater", "item", *FIELDS)
_NAMES = (r"[A-Za-z0-9]{1,20}", r"\w[\w .'-]{0,39}", r"[A-Za-z0-9]{1,20}")
AGREEMENT = ["question", "items", "raters", "answers", "alpha", "low", "high"]
ARMS = ["arm", "measure", *COMPARED, "answers", "items"]
ALL = "all"


def read_answers(files: Sequence[Path], classes: int) -> pd.DataFrame:
    """Read saved answers of one sheet.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`; ``emotion`` as the place of a class, or ``none``; empty where a question was left out.

    Raises
    ------
    UserError
        For a file that is none, an unknown answer, a rater who answers one text twice, or files of several sheets; it names file and line.
    """
    rows: list[list[str]] = []
    seen: dict[tuple[str, str], str] = {}
    allowed = {"emotion": [*map(str, range(classes)), NONE]}
    allowed |= {name: [value for value, _ in options] for name, (_, options) in QUESTIONS.items()}
    for file in files:
        try:
            raw = file.read_bytes()
            text = raw.decode("utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
            separator = max(",;\t", key=re.split("[\r\n]", text)[0].count)  # spreadsheets save any, and end lines as they like
            cells = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise _bad("This file cannot be read as answers.", str(file), "Give a CSV file that the sheet saved.") from error
        if not cells or tuple(cells[0]) != COLUMNS:
            raise _bad(f"These are no answers: the first line must be {','.join(COLUMNS)}.", str(file), "Give what the sheet saved.")
        for line, row in enumerate(cells[1:], start=2):
            where, row = f"{file}, line {line}", [cell.strip() for cell in row]
            if not any(row):
                continue
            if len(row) != len(COLUMNS):
                raise _bad(f"This row has {len(row)} cells, the first line {len(COLUMNS)}.", where, "Correct or delete the row.")
            for name, value, form in zip(COLUMNS, row, _NAMES, strict=False):
                if not re.fullmatch(form, value):
                    said = "letters, digits, spaces and . _ - '" if name == "rater" else "letters and digits"
                    raise _bad(
                        f"This row's {name} is missing, or no name of a {name}.", where, f"It is made of {said}; correct or delete the row."
                    )
            if (row[1], row[2]) in seen:
                raise _bad(f"{row[1]} answers {row[2]} twice: {seen[row[1], row[2]]} too.", where, "Delete one row, or rename a rater.")
            seen[row[1], row[2]] = where
            for place, name in enumerate(FIELDS, start=3):
                row[place] = row[place].lower()  # as a spreadsheet may begin a cell
                if row[place] and row[place] not in allowed[name]:
                    raise _bad(f"{name} has an unknown answer.", where, f"Answers are: {some(allowed[name], 40)}.")
            rows.append(row)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    sheets = sorted(set(frame["sheet"]))
    if len(sheets) != 1:
        raise _bad(f"There are answers to {len(sheets)} sheets: {some(sheets)}.", some(files), "Read the answers of one sheet at a time.")
    return frame


def _bad(what: str, where: str, remedy: str) -> UserError:
    return UserError(what, where=where, remedy=remedy)


def krippendorff_alpha(counts: Floats) -> float:
    """Return Krippendorff's α for nominal data (Krippendorff 2011): 1 is agreement, 0 what chance gives.

    Parameters
    ----------
    counts
        (units, values): how many raters gave a unit a value. Units with fewer than two answers do not count.
    """
    paired = counts[counts.sum(axis=1) >= 2]
    sizes, totals = paired.sum(axis=1), paired.sum(axis=0)
    n = totals.sum()
    expected = n**2 - (totals**2).sum()
    if n < 2 or expected <= 0:  # no pair, or one value alone: nothing could have differed
        return math.nan
    observed = ((sizes**2 - (paired**2).sum(axis=1)) / (sizes - 1)).sum()
    return float(1 - (n - 1) * observed / expected)


def agreement(answers: pd.DataFrame, *, confidence: float, seed: int, resamples: int = 1000) -> pd.DataFrame:
    """Return α of each question with its interval over resampled items; columns `AGREEMENT`."""
    made = []
    for question in FIELDS:
        given = answers[answers[question] != ""]
        counts = pd.crosstab(given["item"], given[question]).to_numpy(dtype=float) if len(given) else np.zeros((0, 0))
        rng = np.random.default_rng(stable_seed(seed, "alpha", question))
        drawn = [krippendorff_alpha(counts[rng.integers(0, len(counts), len(counts))]) for _ in range(resamples if len(counts) else 0)]
        span = percentile_interval(drawn, confidence) if drawn else Interval(math.nan, math.nan)
        alpha = krippendorff_alpha(counts) if len(counts) else math.nan
        made.append([question, given["item"].nunique(), given["rater"].nunique(), len(given), alpha, span.low, span.high])
    return pd.DataFrame(made, columns=AGREEMENT)


def by_arm(answers: pd.DataFrame, key: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return what raters say of each arm; columns `ARMS`.

    ``label_agreement``: answers that name a label of the text (items with a label among the classes); ``none``: none of these;
    ``taken_for_machine``; ``detection``: right answers to who wrote it, ``all`` for all items once; ``fluent``; ``keep``: what is
    preferred. Intervals count answers to one item as what they share (`emosynth.responsible.rates.rate`); ``difference`` is to real text.
    """
    merged = answers.merge(key, on="item", how="inner")
    merged["right"] = (merged["origin"] == "human") == (merged["arm"] == REAL)
    once = merged.assign(written=merged["arm"] != REAL).drop_duplicates(["rater", "item", "written"])
    arms = [REAL, *(arm for arm in dict.fromkeys(key["arm"]) if arm != REAL)]
    made: list[list[object]] = []
    for measure, (field, hit) in _MEASURES.items():
        base = None
        for arm in [*arms, *([ALL] if measure == "detection" else [])]:
            rows = once if arm == ALL else merged[merged["arm"] == arm]
            rows = rows[rows[field] != ""]
            if measure == "label_agreement":
                rows = rows[[len(labels) > 0 for labels in rows["labels"]]]
            found = rate([hit(row) for row in rows.to_dict("records")], rows["item"].tolist(), confidence)
            made.append([arm, measure, *found.beside(None if arm == ALL else base), found.n, rows["item"].nunique()])
            base = base or found
    return pd.DataFrame(made, columns=ARMS)


_MEASURES = {
    "label_agreement": ("emotion", lambda row: row["emotion"] in row["labels"]), "none": ("emotion", lambda row: row["emotion"] == NONE),
    "taken_for_machine": ("origin", lambda row: row["origin"] == "machine"), "detection": ("origin", lambda row: bool(row["right"])),
    "fluent": ("fluent", lambda row: row["fluent"] == "yes"), "keep": ("keep", lambda row: row["keep"] == "yes"),
}  # fmt: skip


def read_survey(params: Params, paths: Paths, files: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Read answers, compare them with their key, and write ``agreement`` and ``arms`` to ``data/<profile>/survey`` with cards.

    Raises
    ------
    UserError
        If answers are not valid, or to another sheet than those drawn here.
    """
    corpus = load_corpus(paths, params.corpora.target)
    answers = read_answers(files, len(corpus.classes))
    sheet, folder = str(answers["sheet"].iloc[0]), paths.data / "survey"
    file = folder / f"key-{sheet}.parquet"
    if not file.is_file():
        raise _bad(
            f"There is no key to the sheet {sheet} here.", str(file), "Read answers where the sheet was drawn, with the same --profile."
        )
    places = {label: str(place) for place, label in enumerate(corpus.classes)}
    key = read_table(file, ["item", "arm", "labels"])
    key["labels"] = [[places.get(label, "") for label in labels] for labels in key["labels"]]
    strange = sorted(set(answers["item"]) - set(key["item"]))
    if strange:
        raise _bad(f"Answers to what is not on the sheet {sheet}: {some(strange)}.", some(files), "Give the files as the sheet saved them.")
    given = params.responsible
    made = {"agreement": agreement(answers, confidence=given.confidence, seed=given.random_seed)}
    made["arms"] = by_arm(answers, key, given.confidence)
    for name, frame in made.items():
        write_table(frame, folder / f"{name}-{sheet}.parquet", _card(name, answers, given.confidence))
    return made


def _card(name: str, answers: pd.DataFrame, confidence: float) -> Card:
    return Card(
        title=f"Survey: {name}", what="What people answered of real and written texts that they could not tell apart by anything but the text.",
        made=f"Answers of {answers['rater'].nunique()} raters to {answers['item'].nunique()} texts; {confidence:.0%} intervals.",
        counts={"raters": answers["rater"].nunique(), "answers": len(answers)},
        limits=["Raters are those who were asked; intervals speak of other texts, not of other raters."], tags=["survey"],
    )  # fmt: skip
