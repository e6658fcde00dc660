"""What the published scale would cost, from what was measured here. Arithmetic on stated assumptions, not a measurement."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

SOURCE_GPU_HOURS = 450.0
"""Reported by Shvets 2025 (arXiv:2504.16856) for about 400,000 rows from 7B models."""


@dataclass(frozen=True)
class Throughput:
    """A machine that serves a model of about 7B parameters, and what it costs. Every number is an assumption.

    Attributes
    ----------
    name
        What it is.
    prompt_tokens, new_tokens
        Tokens read and written per second, all requests in flight together.
    price_per_hour
        Of one GPU, in ``currency``; 0 if ``price_per_million`` is given.
    price_per_million
        Of a million tokens, read or written; None: paid by the hour.
    basis
        Where the numbers come from, in a sentence.
    currency
        Of the prices.
    """

    name: str
    prompt_tokens: float
    new_tokens: float
    price_per_hour: float = 0.0
    price_per_million: float | None = None
    basis: str = ""
    currency: str = "USD"


ASSUMED = (
    Throughput(
        "one A100 80 GB, vLLM, 16-bit",
        prompt_tokens=15_000,
        new_tokens=2_000,
        price_per_hour=2.0,
        basis="assumption: batched serving of a 7B model, on the careful side of published vLLM figures; price of rented GPUs, rounded",
    ),
    Throughput(
        "one A100 80 GB, one request at a time",
        prompt_tokens=5_000,
        new_tokens=50,
        price_per_hour=2.0,
        basis="assumption: decoding bound by reading 14 GB of weights per token at 2 TB/s gives at most 140 tokens/s; a third of it",
    ),
    Throughput(
        "hosted 7B model",
        prompt_tokens=15_000,
        new_tokens=2_000,
        price_per_million=0.2,
        basis="assumption: price of hosted open 7B models per million tokens, rounded up",
    ),
)


def scale_estimate(
    candidates: pd.DataFrame, rows_wanted: int = 400_000, model_parameters: float = 7e9, throughputs: tuple[Throughput, ...] = ASSUMED
) -> pd.DataFrame | str:
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
    for item in throughputs:
        hours = (read / item.prompt_tokens + new / item.new_tokens) / 3600
        money = hours * item.price_per_hour if item.price_per_million is None else (read + new) / 1e6 * item.price_per_million
        out.append(
            {
                "setting": item.name, "rows": rows_wanted, "acceptance": accepted / len(candidates), "prompt_tokens": read, "new_tokens": new,
                "flop": 2 * model_parameters * (read + new), "gpu_hours": hours, "money": money, "currency": item.currency, "basis": item.basis,
            }
        )  # fmt: skip
    source = {"rows": 400_000, "gpu_hours": SOURCE_GPU_HOURS, "currency": "", "basis": "Shvets 2025, arXiv:2504.16856"}
    return pd.DataFrame([*out, {"setting": "as the source reports"} | source])
