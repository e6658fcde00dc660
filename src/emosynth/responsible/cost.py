"""What an arm's texts cost to write: tokens and rows thrown away."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from emosynth.design.arms import ResolvedArm, cells_of_arm
from emosynth.trials.sources import Sources

COLUMNS = [
    "arm", "size", "repeats", "written", "accepted", "thrown", "tokens_read", "tokens_written", "read_per_row", "written_per_row",
]  # fmt: skip


def cost(sources: Sources, arms: Mapping[str, ResolvedArm], corpus: str) -> pd.DataFrame:
    """Return `COLUMNS`: an arm's candidates for its largest seeds, all repeats together.

    ``read_per_row`` and ``written_per_row`` are tokens for each accepted row, with those of what was thrown away; infinite without accepted rows, NaN
    where the writer counts no tokens (a server may not). Candidates that owe nothing to a seed are counted once.
    """
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
        made.append([name, largest[0].size, len(largest), len(rows), kept, len(rows) - kept, *tokens, *each])
    return pd.DataFrame(made, columns=COLUMNS)
