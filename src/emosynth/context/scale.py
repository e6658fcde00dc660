"""What the published scale would cost, from what was measured here. Arithmetic on stated assumptions, not a measurement."""

from __future__ import annotations

import pandas as pd

SOURCE_GPU_HOURS = 450.0
"""Reported by Shvets 2025 (arXiv:2504.16856) for about 400,000 rows from 7B models."""


PARAMETERS = 7e9
"""Of the models that the source used."""

_VLLM = "assumption: batched serving of a 7B model, on the careful side of published vLLM figures; price of rented GPUs, rounded"
_SINGLE = "assumption: decoding bound by reading 14 GB of weights per token at 2 TB/s gives at most 140 tokens/s; a third of it"
_HOSTED = "assumption: price of hosted open 7B models per million tokens, rounded up"
# Setting; tokens read and tokens written per second, all requests in flight together; USD an hour; USD a million tokens; where from.
ASSUMED = (
    ("one A100 80 GB, vLLM, 16-bit", 15_000, 2_000, 2.0, 0.0, _VLLM),
    ("one A100 80 GB, one request at a time", 5_000, 50, 2.0, 0.0, _SINGLE),
    ("hosted 7B model", 15_000, 2_000, 0.0, 0.2, _HOSTED),
)


def scale_estimate(candidates: pd.DataFrame, rows_wanted: int = 400_000) -> pd.DataFrame | str:
    """Estimate tokens, arithmetic, time and money of ``rows_wanted`` accepted rows, or say why that cannot be.

    Parameters
    ----------
    candidates
        Of one arm: accepted, prompt_tokens, new_tokens.

    Returns
    -------
    pandas.DataFrame
        One row per throughput, and a last one with what the source reports: setting, rows, acceptance, prompt_tokens, new_tokens, flop,
        gpu_hours, money, currency, basis.

    Notes
    -----
    Rows of all kinds are wanted in the shares in which they are accepted. A token read or written takes 2N floating-point operations, N being
    the number of parameters (Kaplan et al. 2020, arXiv:2001.08361, section 2.1, without attention).
    """
    accepted = int(candidates["accepted"].astype(bool).sum())
    read, new = (float(candidates[column].sum()) for column in ("prompt_tokens", "new_tokens"))
    if not accepted:
        return "No row is accepted, so no cost can be estimated."
    if not read or not new:
        return "The writer counts no tokens (a server may not), so no cost can be estimated."
    read, new = read / accepted * rows_wanted, new / accepted * rows_wanted
    out = []
    for setting, reads, writes, an_hour, a_million, basis in ASSUMED:
        hours = (read / reads + new / writes) / 3600
        out.append(
            {
                "setting": setting, "rows": rows_wanted, "acceptance": accepted / len(candidates), "prompt_tokens": read, "new_tokens": new,
                "flop": 2 * PARAMETERS * (read + new), "gpu_hours": hours, "money": hours * an_hour + (read + new) / 1e6 * a_million,
                "currency": "USD", "basis": basis,
            }
        )  # fmt: skip
    source = {"rows": 400_000, "gpu_hours": SOURCE_GPU_HOURS, "currency": "", "basis": "Shvets 2025, arXiv:2504.16856"}
    return pd.DataFrame([*out, {"setting": "as the source reports"} | source])
