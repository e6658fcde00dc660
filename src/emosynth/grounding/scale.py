"""What the published scale would cost, from what was measured here. Arithmetic on stated assumptions, not a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emosynth.errors import UserError

SOURCE_INFERENCES = 700_000
SOURCE_GPU_HOURS = 450.0
"""Reported by Shvets 2025 (arXiv:2504.16856): about 400,000 rows from 7B models."""


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
    account: Mapping[str, Any],
    rows_wanted: int = 400_000,
    model_parameters: float = 7e9,
    *,
    acceptance: Mapping[str, float] | float = 1.0,
    contextual: float = 0.25,
    throughputs: tuple[Throughput, ...] = ASSUMED,
) -> pd.DataFrame:
    """Estimate tokens, inferences, arithmetic, time and money of ``rows_wanted`` accepted rows.

    Parameters
    ----------
    account
        From `emosynth.grounding.run.generate_examples`: tokens and texts of each step.
    acceptance
        Share of accepted rows, or of each of ``contextual`` and ``contextless``.
    contextual
        Share of the rows wanted that are contextual; the source has 100,000 of 400,000.

    Returns
    -------
    pandas.DataFrame
        One row per throughput, and a last one with what the source reports: setting, rows, inferences, prompt_tokens, new_tokens,
        flop, gpu_hours, seconds_per_inference, money, currency, basis.

    Raises
    ------
    UserError
        If a step of the account has no texts or no tokens, or nothing is accepted.

    Notes
    -----
    An example's contextual row takes a context and an utterance, its context-less row all three texts. As many examples are written
    as the scarcer kind needs, each step as often as some row of it is needed; what is written and not needed is not counted.
    A token read or written takes 2N floating-point operations, N being the number of parameters (Kaplan et al. 2020,
    arXiv:2001.08361, section 2.1, without attention).
    """
    rates = dict.fromkeys(("contextual", "contextless"), acceptance) if isinstance(acceptance, float | int) else dict(acceptance)
    for kind, rate in rates.items():
        if not 0 < rate <= 1:
            raise UserError(
                f"No cost can be estimated: the acceptance of {kind} rows is {rate:g}.",
                where="grounding rows",
                remedy="Look at why rows are rejected (column reason).",
            )
    for step, part in account["steps"].items():
        if not part["texts"] or not part["prompt_tokens"] or not part["new_tokens"]:
            raise UserError(
                f"Tokens of the step {step} were not counted.",
                where="the account of the grounding step",
                remedy="Use a backend that counts tokens (a server may not), or generate at least one example.",
            )
    contextless = rows_wanted * (1 - contextual) / rates["contextless"]
    both = max(rows_wanted * contextual / rates["contextual"], contextless)
    texts = {"context": both, "utterance": both, "contextless": contextless}
    per_text = {
        step: (part["prompt_tokens"] / part["texts"], part["new_tokens"] / part["texts"]) for step, part in account["steps"].items()
    }
    read = sum(number * per_text[step][0] for step, number in texts.items())
    new = sum(number * per_text[step][1] for step, number in texts.items())
    inferences = sum(texts.values())
    out = []
    for item in throughputs:
        hours = (read / item.prompt_tokens + new / item.new_tokens) / 3600
        money = hours * item.price_per_hour if item.price_per_million is None else (read + new) / 1e6 * item.price_per_million
        out.append(
            {
                "setting": item.name,
                "rows": rows_wanted,
                "inferences": round(inferences),
                "prompt_tokens": read,
                "new_tokens": new,
                "flop": 2 * model_parameters * (read + new),
                "gpu_hours": hours,
                "seconds_per_inference": hours * 3600 / inferences,
                "money": money,
                "currency": item.currency,
                "basis": item.basis,
            }
        )
    out.append(
        {
            "setting": "as the source reports",
            "rows": 400_000,
            "inferences": SOURCE_INFERENCES,
            "gpu_hours": SOURCE_GPU_HOURS,
            "seconds_per_inference": SOURCE_GPU_HOURS * 3600 / SOURCE_INFERENCES,
            "currency": "",
            "basis": "Shvets 2025, arXiv:2504.16856",
        }
    )
    return pd.DataFrame(out)
