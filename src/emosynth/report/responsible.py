"""Tables of the page on what is copied, given away and distorted, and on what a row and a point cost."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from emosynth.evidence.numbers import POINTS, count, known, listed, number, p_text, per_cent, span, told
from emosynth.report.figures.authenticity import title_of
from emosynth.report.figures.base import rows_of
from emosynth.report.figures.responsible import accepted
from emosynth.report.tables import Tables, main_rows
from emosynth.responsible.rates import CALIBRATED, LEVELS, LOSS, OTHER, SEED, TEST, UNTUNED

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
    return [block(tables) for block in (_cost, _forecast, _copies, _held, _named, _noise, _told, _planted)]


def _arms(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["arm"])) if len(frame) else []


def _cost(tables: Tables) -> Told:
    found = costs(tables)
    learner = tables.headline.learner if tables.headline else ""
    rows = []
    for row in rows_of(found[(found["corpus"] == tables.target) & (found["learner"] == learner)]) if found is not None else ():
        rows.append({
            "arm": tables.looks.title(row.arm), "labels": count(row.size), "kept": count(row.accepted), "thrown away": count(row.thrown),
            "tokens read a kept row": number(row.read_per_row, 0), "written a kept row": number(row.written_per_row, 0),
            "gain": told(row.gain, row.low, row.high), "tokens a point": _a_point(row),
        })  # fmt: skip
    note = (
        f"At each arm's largest seed, gain in points of macro-F1 with {tables.looks.learner(learner)}. Tokens a point: the gain's interval turned round; where the gain may be "
        "zero, only the least. Arms that share texts are each charged for them. Tuning, checks and training are not in it. Seconds and energy of each step are on the page on data; energy by arm, where it can be told, is below."
    )
    return "What a kept row and a point cost", rows, note


def _a_point(row: Any) -> str:
    """Write the tokens of a point; of a gain that may be zero the quotient says nothing, and only the least is told."""
    if row.low > 0:
        return f"{count(row.per_point)} ({count(row.per_point_low)} to {count(row.per_point_high)})"
    return f"at least {count(row.per_point_low)}" if row.high > 0 else "no gain"


def energy(tables: Tables) -> list[dict[str, str]]:
    """Return of each arm what the energy of step 05 is to be multiplied with for a thousand kept rows, and for a point of macro-F1.

    Energy is of one machine and stands in ``timings.js`` alone: the page multiplies while it is read. It is split by tokens, since local models write texts
    of many arms together. Empty where nothing is known, or a server writes, whose energy nobody counts here.
    """
    found, paid, head = costs(tables), tables.get("responsible/cost"), tables.headline
    if found is None or paid is None or "share" not in paid or head is None or tables.params.models.writer.backend == "server":
        return []
    own = found[(found["corpus"] == head.corpus) & (found["learner"] == head.learner)]
    made = own.merge(paid[["corpus", "arm", "tokens_read", "tokens_written", "share"]], on=["corpus", "arm"])
    made = made[(made["share"] > 0) & (made["accepted"] > 0)]
    return [
        {"arm": tables.looks.title(row.arm), "rows": f"{1000 * row.share / row.accepted:.6g}",
         "point": f"{row.share * row.per_point / (row.tokens_read + row.tokens_written):.6g}" if row.low > 0 else ""}
        for row in rows_of(made)
    ]  # fmt: skip


def _forecast(tables: Tables) -> Told:
    rows, frame = [], tables.get("responsible/forecast")
    own = frame[frame["corpus"] == tables.target] if frame is not None else pd.DataFrame(columns=["basis"])
    for row in rows_of(own):
        texts, read, written = (count(value) if known(value) else row.note for value in (row.texts, row.tokens_read, row.tokens_written))
        rows.append({
            "arm": tables.looks.title(row.arm), "published rows": count(row.rows), "texts to be written": texts, "tokens read": read, "tokens written": written,
            "GPU hours": number(row.gpu_hours) if known(row.gpu_hours) else "", **({"money": f"{number(row.money, 2)} {row.currency}"} if known(row.money) else {}),
        })  # fmt: skip
    bases = listed(list(dict.fromkeys(basis for basis in own["basis"] if basis)))
    note = (
        f"Arithmetic, no measurement: tokens of a kept row as measured here, times the rows that the source published. Hours: {bases or 'not known'}. A larger model is accepted more often "
        "and splits words otherwise. Only writing is counted. Rows, throughput and prices are parameters (responsible.forecast)."
    )
    return "What the published sizes would take", rows, note


def _copies(tables: Tables) -> Told:
    frame, rows = accepted(tables, "memorisation"), []
    for arm in _arms(frame):
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
    frame = pd.concat([accepted(tables, "personal"), accepted(tables, "toxicity")], ignore_index=True)
    found = set(frame.loc[frame["value"] > 0, "kind"]) if len(frame) else set()
    rows = []
    for arm in _arms(frame):
        own = [row for row in rows_of(frame[frame["arm"] == arm]) if row.kind in found]
        cells = {str(row.kind): f"{number(row.value)} ({span(row.low, row.high, sign=False)})" for row in own}
        rows.append({"arm": title_of(tables, arm), **cells})
    none = [str(kind) for kind in dict.fromkeys(frame["kind"]) if kind not in found] if len(frame) else []
    note = f"Accepted texts, with intervals.{f' Found in none: {listed(none)}.' if none else ''}"
    return "Personal data and listed words, of a thousand texts", rows, note


def _named(tables: Tables) -> Told:
    frame, alpha = accepted(tables, "identity"), tables.params.evidence.alpha
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
    frame, rows = accepted(tables, "label_noise"), []
    for arm in _arms(frame):
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


_ATTACKS = {LOSS: "loss", CALIBRATED: "loss beside the untuned model's", UNTUNED: "the untuned model's loss alone"}


def _told(tables: Tables) -> Told:
    frame, rows, apart = tables.get("responsible/membership"), [], []
    own = frame[frame["corpus"] == tables.target] if frame is not None else pd.DataFrame()
    for _, seeds in own.groupby(["writer", "guides", "size", "attack"], sort=False) if len(own) else ():
        row = next(rows_of(seeds.sort_values("repeat", kind="stable")))  # the mean, where there are several
        name = f"{row.writer}{'' if row.guides == 'none' else f' ({row.guides})'}"
        rows.append({
            "writer": name, "trained": str(row.tuned).replace("_", " "), "labels": count(row.size), "epochs": number(row.epochs), "told by": _ATTACKS[row.attack],
            "told apart": f"{number(row.auc, 2)} ({span(row.low, row.high, 2, sign=False)})", f"found at {LEVELS[0]} % false alarms": per_cent(row.tpr_1), f"at {LEVELS[1]} %": per_cent(row.tpr_10),
            "seed rows": count(row.members), "others": count(row.others),
        })  # fmt: skip
        apart += [name] if row.low > 0.5 and row.attack != UNTUNED else []
    told = (
        f"By their intervals, attacks tell rows that a writer was tuned on from others. Writers that give theirs away: {listed(list(dict.fromkeys(apart)))}."
        if apart
        else "By their intervals, no writer gives seed rows away to these attacks."
    )
    note = (
        f"{told} Told apart: how often a row that a writer was tuned on looks more like one than another real row of its class does, with interval; a half is chance, which the untuned model should show. "
        "Means over seeds. Stronger attacks exist: this is the least that can be told."
    )
    return "Whether a row was in a tuned writer's seed", rows, note


def _planted(tables: Tables) -> Told:
    frame = tables.get("responsible/canaries")
    own = frame[frame["corpus"] == tables.target] if frame is not None else pd.DataFrame()
    rows = [
        {"trained": str(row.tuned).replace("_", " "), "epochs": count(row.epochs), "times in the seed": count(row.planted), "canaries": count(row.canaries),
         "exposure in bits": f"{number(row.exposure)} ({span(row.lowest, row.highest, sign=False)})", "at most": number(row.most), "before all others": count(row.first),
         "came out": count(row.written), "in texts": f"{count(row.hits)} of {count(row.texts)}", "p": p_text(row.p)}
        for row in (rows_of(own) if len(own) else ())
    ]  # fmt: skip
    note = (
        "Invented rows with a secret number were written into a seed of the target, and a writer was tuned on it without early stopping. Exposure: how far up the secret stands among others that "
        f"were not planted, mean (lowest to highest); a secret never seen has {number(1 / math.log(2))} on average. p: of such exposures if nothing were remembered. The canaries themselves are withheld."
    )
    return "Secrets planted in a seed", rows, note
