"""What an arm's texts cost to write: tokens and rows thrown away; and what published numbers of rows would."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from emosynth.design.arms import ResolvedArm, cells_of_arm
from emosynth.params.analysis import Forecast
from emosynth.trials.sources import Sources

COLUMNS = [
    "arm", "size", "repeats", "written", "accepted", "thrown", "tokens_read", "tokens_written", "read_per_row", "written_per_row", "share",
]  # fmt: skip

FORECAST = ["arm", "rows", "texts", "tokens_read", "tokens_written", "gpu_hours", "basis", "money", "currency", "note"]
_NUMBERS = ["texts", "tokens_read", "tokens_written", "gpu_hours", "money"]
CALLS, HOURS = 700_000, 450.0
"""Calls of a 7B model and the hours of a GPU that they took, as Shvets 2025 (arXiv:2504.16856) reports; text by text, nothing is said of batching."""
PUBLISHED = f"{CALLS:,} calls of a 7B model in {HOURS:g} GPU hours, as published (arXiv:2504.16856)"


def forecast(paid: pd.DataFrame, given: Forecast) -> pd.DataFrame:
    """Return `FORECAST`: what ``given.rows`` accepted rows of an arm would take at the rates of a `cost` table.

    ``texts``: rows over the share accepted, each one call. ``gpu_hours``: tokens at the stated throughput, or calls at the published rate (`PUBLISHED`);
    ``basis`` says which. ``money``: missing without a price. Arms of which nothing is known have a note and no numbers.
    """
    made: list[dict[str, object]] = []
    for arm, rows in given.rows.items():
        own = paid[paid["arm"] == arm]
        note = _unknown(own)
        if note:
            made.append({"arm": arm, "rows": rows, "basis": "", "currency": "", "note": note})
            continue
        one = own.iloc[0]
        texts = rows * float(one["written"] / one["accepted"])
        read, written = (rows * float(one[name]) for name in ("read_per_row", "written_per_row"))
        hours, basis = texts * HOURS / CALLS, PUBLISHED
        if given.read_per_second and given.written_per_second:
            hours, basis = (read / given.read_per_second + written / given.written_per_second) / 3600, given.source
        prices = [(given.price_gpu_hour, hours), (given.price_in, read / 1e6), (given.price_out, written / 1e6)]
        money = [price * amount for price, amount in prices if price is not None]
        numbers = dict(zip(_NUMBERS, (texts, read, written, hours, sum(money) if money else None), strict=True))
        made.append({"arm": arm, "rows": rows, **numbers, "basis": basis, "currency": given.currency if money else "", "note": ""})
    return pd.DataFrame(made, columns=FORECAST).astype(dict.fromkeys(_NUMBERS, "float64"))


def _unknown(own: pd.DataFrame) -> str:
    """Say why an arm has no rates; empty: it has."""
    if own.empty:
        return "nothing was written for it"
    if not own["accepted"].iloc[0]:
        return "no row of it was accepted"
    return "its writer counts no tokens" if own["read_per_row"].isna().iloc[0] else ""


def cost(sources: Sources, arms: Mapping[str, ResolvedArm], corpus: str) -> pd.DataFrame:
    """Return `COLUMNS`: an arm's candidates for its largest seeds, all repeats together.

    ``read_per_row`` and ``written_per_row`` are tokens for each accepted row, with those of what was thrown away; infinite without accepted rows, NaN
    where the writer counts no tokens (a server may not). Candidates that owe nothing to a seed are counted once. ``share``: its tokens among those of
    all candidates of the run, by which the energy of step 05 is split; arms that share candidates have each the whole of them.
    """
    everything = float(sources.candidates[["prompt_tokens", "new_tokens"]].sum().sum())
    made: list[list[object]] = []
    for name, arm in arms.items():
        cells = [cell for cell in cells_of_arm(sources.params, arm) if cell.corpus == corpus]
        largest = [cell for cell in cells if cell.size == max(cell.size for cell in cells)]
        parts = [sources.written(arm, cell).assign(ok=sources.accepted(arm, cell)) for cell in largest]
        rows = pd.concat(parts).drop_duplicates("candidate_id") if parts else pd.DataFrame()
        if not len(rows):
            continue
        kept, tokens = int(rows["ok"].sum()), [int(rows[column].sum()) for column in ("prompt_tokens", "new_tokens")]
        each = [count / kept if kept else float("inf") for count in tokens] if sum(tokens) else [float("nan")] * 2
        made.append(
            [
                name,
                largest[0].size,
                len(largest),
                len(rows),
                kept,
                len(rows) - kept,
                *tokens,
                *each,
                sum(tokens) / everything if everything else float("nan"),
            ]
        )
    return pd.DataFrame(made, columns=COLUMNS)
