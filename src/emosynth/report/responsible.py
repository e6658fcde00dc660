"""Tables of the page on what is copied, given away and distorted, and on what a row and a point cost."""

from __future__ import annotations

import math

import pandas as pd

from emosynth.evidence.numbers import POINTS, count, known, listed, number, p_text, per_cent, span, told
from emosynth.report.figures.authenticity import title_of
from emosynth.report.figures.base import rows_of
from emosynth.report.tables import Tables, main_rows
from emosynth.responsible.rates import OTHER, REAL, SEED, TEST

Told = tuple[str, list[dict[str, str]], str]
"""Title, rows, note."""
COSTS = [
    "corpus", "arm", "size", "learner", "accepted", "thrown", "read_per_row", "written_per_row", "tokens", "gain", "low", "high",
    "per_point", "per_point_low", "per_point_high",
]  # fmt: skip
_SOURCES = {SEED: "seed", OTHER: "other rows", TEST: "test rows"}


def costs(tables: Tables) -> pd.DataFrame | None:
    """Return what an accepted row and a point of macro-F1 cost, by corpus, arm and learner (`COSTS`); None: nothing was counted.

    ``tokens``: those of a mean repeat that had to be written for the rows used. ``per_point``: divided by the gain over the labels alone, in points; its
    interval is that of the gain turned round, infinite above where the gain may be zero, and missing where there is no gain at all.
    """
    written, contrasts = tables.get("responsible/cost"), tables.contrasts
    if written is None or contrasts is None:
        return None
    gains = main_rows(contrasts)
    gains = gains[gains["version"] == ""][["corpus", "arm", "size", "learner", "tokens", "gain", "low", "high"]]
    made = written.merge(gains, on=["corpus", "arm", "size"], how="inner")
    made = made[made["tokens"] > 0]  # what takes no language model costs no tokens
    points = {name: [row / POINTS / value if value > 0 else math.inf for row, value in zip(made["tokens"], made[of], strict=True)]
              for name, of in (("per_point", "gain"), ("per_point_low", "high"), ("per_point_high", "low"))}  # fmt: skip
    made = made.assign(**points).reset_index(drop=True)
    made.loc[made["gain"] <= 0, "per_point"] = math.nan
    return made[COSTS]


def blocks(tables: Tables) -> list[Told]:
    """Return the tables of the page; those that lack their results have no rows."""
    return [_cost(tables), _copies(tables), _held(tables), _named(tables), _noise(tables)]


def _accepted(tables: Tables, name: str) -> pd.DataFrame:
    frame = tables.get(f"responsible/{name}")
    if frame is None:
        return pd.DataFrame()
    frame = frame[frame["corpus"] == tables.target]
    return frame[frame["verified"].astype(bool) | (frame["arm"] == REAL)] if "verified" in frame else frame


def _arms(tables: Tables, frame: pd.DataFrame) -> list[str]:
    return [arm for arm in [REAL, *tables.looks.order(set(frame["arm"]) - {REAL})] if arm in set(frame["arm"])] if len(frame) else []


def _cost(tables: Tables) -> Told:
    found = costs(tables)
    learner = tables.headline.learner if tables.headline else ""
    rows = []
    for row in rows_of(found[(found["corpus"] == tables.target) & (found["learner"] == learner)]) if found is not None else ():
        ends = f"{count(row.per_point_low)} {f'to {count(row.per_point_high)}' if known(row.per_point_high) else 'or more'}"
        rows.append({
            "arm": tables.looks.title(row.arm), "labels": count(row.size), "kept": count(row.accepted), "thrown away": count(row.thrown),
            "tokens read a kept row": number(row.read_per_row, 0), "written a kept row": number(row.written_per_row, 0),
            "gain": told(row.gain, row.low, row.high), "tokens a point": f"{count(row.per_point)} ({ends})" if known(row.per_point) else "no gain",
        })  # fmt: skip
    note = (
        f"At each arm's largest seed, gain in points of macro-F1 with {tables.looks.learner(learner)}. Tokens a point: the gain's interval turned round; “or more” where the "
        "gain may be zero. Arms that share texts are each charged for them. Tuning, checks and training are not in it. Energy is not measured; seconds are on the page on data."
    )
    return "What a kept row and a point cost", rows, note


def _copies(tables: Tables) -> Told:
    frame, rows = _accepted(tables, "memorisation"), []
    for arm in _arms(tables, frame):
        own = frame[frame["arm"] == arm]
        held = {(str(row.source), str(row.measure)): float(row.value) for row in rows_of(own)}
        row = {"arm": title_of(tables, arm)}
        for source, name in _SOURCES.items():
            row[f"longest run, {name}"] = count(held[source, "span_max"])
            row[f"copies, {name}"] = f"{per_cent(held[source, 'exact'], 1)} exact, {per_cent(held[source, 'near'], 1)} near"
        rows.append(row | {"texts": count(float(own["n_texts"].max()))})
    note = "Words; per cent of accepted texts. Real text beside real text: test rows against the seed and other rows, other rows against test rows."
    return "Longest shared runs, exact and near copies", rows, note


def _held(tables: Tables) -> Told:
    frame = pd.concat([_accepted(tables, "personal"), _accepted(tables, "toxicity")], ignore_index=True)
    found = set(frame.loc[frame["value"] > 0, "kind"]) if len(frame) else set()
    rows = []
    for arm in _arms(tables, frame):
        own = [row for row in rows_of(frame[frame["arm"] == arm]) if row.kind in found]
        cells = {str(row.kind): f"{number(row.value)} ({span(row.low, row.high, sign=False)})" for row in own}
        rows.append({"arm": title_of(tables, arm), **cells})
    none = [str(kind) for kind in dict.fromkeys(frame["kind"]) if kind not in found] if len(frame) else []
    note = f"Accepted texts, with intervals.{f' Found in none: {listed(none)}.' if none else ''}"
    return "Personal data and listed words, of a thousand texts", rows, note


def _named(tables: Tables) -> Told:
    frame, alpha = _accepted(tables, "identity"), tables.params.evidence.alpha
    far = frame[frame["p_holm"] < alpha] if len(frame) else frame
    rows = [
        {"arm": tables.looks.title(row.arm), "group": row.group, "class": row.label or "all", "ratio": f"×{number(row.ratio, 2)} ({span(row.low, row.high, 2, sign=False)})" if known(row.ratio) else f"×{number(row.low, 2)} or more",
         "written": f"{count(row.mentions)} of {count(row.texts)}", "real": f"{count(row.real_mentions)} of {count(row.real_texts)}", "p": p_text(row.p_holm)}
        for row in rows_of(far)
    ]  # fmt: skip
    tested = int(frame["p_holm"].notna().sum()) if len(frame) else 0
    note = f"Of {count(tested)} tested pairs of all arms, those with a p below {alpha:g}, corrected within the arm; all are in results/responsible/identity.parquet."
    return "Groups that are named more or less often than in real text", rows, note


def _noise(tables: Tables) -> Told:
    frame, rows = _accepted(tables, "label_noise"), []
    for arm in _arms(tables, frame):
        row = next(rows_of(frame[frame["arm"] == arm]))
        rows.append(
            {"arm": title_of(tables, arm), "held for wrong": per_cent(row.noise), "of planted errors found": per_cent(row.recall), "of what is suspected planted": per_cent(row.precision),
             "texts": count(row.n_texts), "": row.note}
        )  # fmt: skip
    note = (
        "Confident learning. A share of labels was made wrong on purpose: read the first number by how many of those are found. An error that a whole arm shares looks right "
        "to a classifier that learnt from it; no interval is known for it."
    )
    return "Labels held for wrong", rows, note
