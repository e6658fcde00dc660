"""Membership inference: whether a row was in the seed of a tuned writer, told from its loss.

The loss alone (Yeom et al. 2018, doi:10.1109/CSF.2018.00027), and less the untuned model's (Carlini et al. 2021, arXiv:2012.07805). Numbers leave
this module, and no text.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats as scipy_stats
from scipy.optimize import brentq

from emosynth.catalog import Catalog
from emosynth.design.arms import Origin, writer_spec
from emosynth.design.cells import Cell, stable_seed
from emosynth.params import Tuning, WriterSpec
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.responsible.rates import CALIBRATED, LEVELS, LOSS, UNTUNED
from emosynth.seeding.seeds import seed_rows
from emosynth.stats import Interval, cliffs_delta
from emosynth.store import RowStore
from emosynth.trials.sources import Sources
from emosynth.writers import Seeds, generator_of, label_prefix, list_tuned
from emosynth.writers.examples import examples_of
from emosynth.writers.opening import weights_of

if TYPE_CHECKING:
    from emosynth.models.lm.tune import Example
    from emosynth.models.lm.tuned import TunedWeights

Floats = npt.NDArray[np.float64]
_WRITER = ["writer", "tuned", "guides", "size", "repeat"]
MEMBERSHIP = [*_WRITER, "epochs", "attack", "auc", "low", "high", "tpr_1", "tpr_10", "members", "others"]
_BATCH = 16
ABOUT = {
    "membership": (
        "Membership of tuned writers", "How well a row's loss under a tuned writer tells whether the row was in its seed.",
        {"tuned": "what was trained: top_blocks, lora or all", "guides": "what its prompts hold besides the class; rows are scored behind the class alone",
         "repeat": "seed; −1: mean over seeds", "epochs": "of the weights kept; mean over seeds", "attack": "loss: log-perplexity of the row; calibrated: the untuned model's less that; untuned: that alone, a control that can tell nothing but chance",
         "auc": "probability that a seed row looks more like one than another real row does; 0.5: nothing is told", "tpr_1": "share of seed rows found where at most 1 % of others are taken for one",
         "tpr_10": "the same at 10 %", "members": "seed rows that it was tuned on", "others": "training rows of the same classes in no seed"},
        ["With fewer than 100 other rows a false alarm of 1 % means none.", "Stronger attacks train many models; these are a lower bound of what can be told.", "An interval speaks of other rows, not of other runs of tuning."],
    ),
}  # fmt: skip
"""Title, what, columns and limits of the card."""


class Losses(Protocol):
    """Scores rows under an untuned model (None), or under weights tuned from it."""

    def __call__(self, weights: TunedWeights | None, examples: Sequence[Example]) -> list[tuple[float, int]]:
        """Return the negative log-likelihood of each row's text behind its prefix, in nats, and the number of tokens that it sums over."""
        ...


class RowLosses:
    """Losses as tuning has them, kept by content: those of a list are computed together, so that they depend on the list and the weights alone.

    Parameters
    ----------
    model
        The untuned model, as `emosynth.models.lm.assets.generator_files` takes it.
    spec
        What is tuned. What is frozen runs once a list, for all weights.
    """

    def __init__(self, model: str, spec: WriterSpec, tuning: Tuning, catalog: Catalog) -> None:
        from emosynth.models.lm.tuned import base_folder

        self._spec, self._tuning, self._store = spec, tuning, catalog.paths.cache / "rows" / "tuned-losses.sqlite"
        self._folder, self._base = base_folder(model, catalog)
        self._trainer: Any = None
        self._rows: dict[str, Any] = {}

    def __call__(self, weights: TunedWeights | None, examples: Sequence[Example]) -> list[tuple[float, int]]:
        tuned = weights if weights is not None and weights.best else None
        about = [self._base, tuned.sha256 if tuned else "", self._tuning.max_tokens, *map(version, ("torch", "transformers"))]
        # What is frozen runs apart, and in other batches than the rest.
        about += [self._spec.tune, self._spec.blocks, [[row.prefix, row.text] for row in examples]]
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        with RowStore(self._store, read_only=True) as store:
            found = store.get(key)
        if found is None:
            found = self._computed(tuned, examples)
            with RowStore(self._store) as store:
                store.commit({key: found})
        return [(float(total), int(tokens)) for total, tokens in found]

    def _computed(self, weights: TunedWeights | None, examples: Sequence[Example]) -> list[tuple[float, int]]:
        import torch
        from safetensors.torch import load_file

        # The cache of tuned writers is keyed by the source of `tune`, so its parts keep their private names.
        from emosynth.models.lm.trainable import load_for_tuning
        from emosynth.models.lm.tune import _Rows, _Trainer

        if self._trainer is None:
            self._tokenizer, model = load_for_tuning(self._folder)
            self._trainer = _Trainer(model, self._spec)
            self._untuned = self._trainer.snapshot()
        trainer = self._trainer
        if str(examples) not in self._rows:
            self._rows[str(examples)] = _Rows(self._tokenizer, examples, self._tuning.max_tokens)
            trainer.remember(self._rows[str(examples)])
        rows = self._rows[str(examples)]
        trainer.restore(self._untuned | (load_file(weights.folder / "delta.safetensors") if weights else {}))
        found: dict[int, tuple[float, int]] = {}
        order = sorted(range(len(examples)), key=lambda row: len(rows.ids[row]))
        for part in (order[start : start + _BATCH] for start in range(0, len(order), _BATCH)):
            ids, mask, targets = rows.batch(part)
            if rows.states is not None:
                trainer._replay.states = torch.nn.utils.rnn.pad_sequence([rows.states[row] for row in part], batch_first=True)
            with torch.inference_mode():
                hidden = trainer.base(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
                wanted = targets >= 0
                each = torch.nn.functional.cross_entropy(trainer.head(hidden[wanted]), targets[wanted], reduction="none")
            for row, losses in zip(part, each.split(wanted.sum(1).tolist()), strict=True):
                found[row] = float(losses.double().sum()), len(losses)
        return [found[row] for row in range(len(examples))]


# --- membership ----------------------------------------------------------------------------------------


def auc_interval(auc: float, members: int, others: int, confidence: float) -> Interval:
    """Return the interval of an area under the ROC curve: Newcombe's method 5 (2006, doi:10.1002/sim.2324), which holds at 0 and 1 too.

    It is where the distance to the area is z standard errors by the variance of Hanley and McNeil (1982) at the end of the interval, both
    groups counted as of their mean size there.
    """
    z = float(scipy_stats.norm.ppf((1 + confidence) / 2))
    mean = (members + others) / 2

    def low(area: float) -> float:
        def gap(at: float) -> float:
            variance = at * (1 - at) * (1 + (mean - 1) * ((1 - at) / (2 - at) + at / (1 + at))) / (members * others)
            return area - at - z * math.sqrt(variance)

        return 0.0 if area <= 0 else float(brentq(gap, 0.0, min(area, 1 - 1e-9)))

    return Interval(low(auc), 1 - low(1 - auc))


def attack(members: Floats, others: Floats) -> dict[str, float]:
    """Return ``auc``, and ``tpr_1`` and ``tpr_10``: shares of members above the score that at most 1 and 10 % of others are above.

    Parameters
    ----------
    members, others
        Scores, higher for what looks like a member; neither is empty.
    """
    ranked = np.sort(others)[::-1]
    found = {f"tpr_{cent}": float((members > ranked[int(cent * len(ranked)) // 100]).mean()) for cent in LEVELS}
    return {"auc": (1 + cliffs_delta(members, others)) / 2} | found


def scores(losses: Losses, weights: TunedWeights, examples: Sequence[Example]) -> dict[str, Floats]:
    """Return the scores of rows by attack, in nats per token."""
    tuned, plain = ([total / max(1, tokens) for total, tokens in losses(each, examples)] for each in (weights, None))
    return {LOSS: -np.array(tuned), CALIBRATED: np.array(plain) - np.array(tuned), UNTUNED: -np.array(plain)}


def rows_in_question(
    sources: Sources, seeds: Seeds, cell: Cell, spec: WriterSpec, origin: Origin, count: int
) -> tuple[dict[str, Example], dict[str, Example]]:
    """Return rows that a writer was tuned on, ``count`` at most, and as many others of each class, by id.

    Others are training rows in no seed, of each repeat its own while there are enough; then rows in seeds of other repeats. Rows held out
    for early stopping, and what an oracle has seen beyond the seed, are neither. All stand behind the prefix of their class: words of a guide
    come from the seed, and would tell on their own.
    """
    from emosynth.models.lm.tune import Example

    params = seeds.params
    train, held = examples_of(seeds, cell, replace(origin, guides=()), params.tuning, spec.rows)
    tuned_on = {row.text for row in train}
    seen = tuned_on | {row.text for row in held}
    corpus, largest = sources.corpora[cell.corpus], params.cells.sizes_of(cell.corpus)[-1]
    texts, labels = (dict(zip(corpus.frame["id"], corpus.frame[column], strict=True)) for column in ("text", "labels"))

    def example(row: str) -> Example:
        return Example(label_prefix(params.tuning.prefix, list(labels[row]), corpus.register_noun), " ".join(texts[row].split()))

    order = sources.order[sources.order["corpus"] == cell.corpus]
    own, of_repeat = seed_rows(sources.order, cell), order[order["repeat"] == cell.repeat]
    members = [(row, label) for row, label in zip(own["id"], own["label"], strict=True) if example(row).text in tuned_on][:count]
    in_seeds = set(order.loc[order["rank"] < largest, "id"])
    pool: dict[str, list[str]] = {}
    for row, label in sorted(zip(of_repeat["id"], of_repeat["label"], strict=True), key=lambda pair: stable_seed("membership", pair[0])):
        if row not in set(own["id"]) and example(row).text not in seen:
            pool.setdefault(label, []).append(row)
    found: dict[str, Example] = {}
    wanted, given = Counter(label for _, label in members), Counter[str]()
    for label, need in wanted.items():
        free = [row for row in pool.get(label, []) if row not in in_seeds]
        start = cell.repeat * need % max(1, len(free))
        ranked = [*free[start:], *free[:start], *(row for row in pool.get(label, []) if row in in_seeds)]
        chosen = {row: example(row) for row in ranked[:need]}
        found |= chosen
        given[label] = len(chosen)
    fair: dict[str, Example] = {}
    for row, label in members:
        if given[label] > 0:  # no class has more members than others
            given[label] -= 1
            fair[row] = example(row)
    return fair, found


def membership(
    sources: Sources, catalog: Catalog, paths: Paths, corpus: str, opened: Callable[[str, WriterSpec, Tuning, Catalog], Losses] = RowLosses
) -> pd.DataFrame:
    """Attack every tuned writer of a corpus; columns `MEMBERSHIP`, a row an attack, and one of the mean where a writer has several seeds.

    Parameters
    ----------
    opened
        Makes `Losses` of model, writer, tuning and catalogue.

    Raises
    ------
    UserError
        If step 04 has not tuned a writer that an arm needs, or its weights are lost.
    """
    params, made = sources.params, []
    count, confidence = params.responsible.membership, params.responsible.confidence
    plan = [found for found in list_tuned(params) if found[0].corpus == corpus] if count else []
    seeds, models = Seeds(params, paths), dict[str, Losses]()
    rows: dict[tuple[str, str, int], set[str]] = {}
    for cell, name, origin in plan:
        spec = writer_spec(params, name)
        if name not in models:
            models[name] = opened(generator_of(params, name).model, spec, params.tuning, catalog)
        parts = rows_in_question(sources, seeds, cell, spec, origin, count)
        if not all(parts):
            say(f"responsible: {name} on {cell}: no other rows of its classes; membership is not measured")
            continue
        for which, part in zip(("members", "others"), parts, strict=True):
            rows.setdefault((name, f"{origin.salt} {which}", cell.size), set()).update(part)
        weights = weights_of(params, name, paths, cell, origin.salt)
        inside, outside = (scores(models[name], weights, list(part.values())) for part in parts)
        for kind in inside:
            found = attack(inside[kind], outside[kind])
            sizes = {"members": len(parts[0]), "others": len(parts[1])}
            made.append(_key(name, spec, origin.salt, cell) | {"epochs": weights.best, "attack": kind} | found | sizes)
    frame = pd.DataFrame(made)
    for (writer, tuned, salt, size, how), own in frame.groupby(["writer", "tuned", "guides", "size", "attack"], sort=False) if made else ():
        if len(own) > 1:  # rows that are in several seeds, or stand for several, count once
            means = {column: float(own[column].mean()) for column in ("epochs", "auc", "tpr_1", "tpr_10")}
            sizes = {which: len(rows[str(writer), f"{salt} {which}", int(str(size))]) for which in ("members", "others")}
            made.append({"writer": writer, "tuned": tuned, "guides": salt, "size": size, "repeat": -1, "attack": how} | means | sizes)
    for row in made:
        span = auc_interval(row["auc"], row["members"], row["others"], confidence)
        row |= {"low": span.low, "high": span.high}
    return pd.DataFrame(made, columns=MEMBERSHIP)


def _key(name: str, spec: WriterSpec, salt: str, cell: Cell) -> dict[str, Any]:
    return dict(zip(_WRITER, (name, spec.tune, salt, cell.size, cell.repeat), strict=True))
