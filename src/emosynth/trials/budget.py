"""Which candidates an arm trains on: as many accepted rows, rows generated, or tokens as the others have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.cells import quotas, stable_seed

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ask:
    """What is to be chosen.

    Attributes
    ----------
    wanted
        Rows in all.
    labels
        Labels that share them.
    evenly
        Whether a label that runs out gives its places to the others (rows of another label space); if not, its shortfall stays.
    budget
        ``accepted``, ``generated`` or ``tokens``.
    tokens
        Tokens that may be spent, for the last.
    most
        Label -> rows at most.
    random
        What seeds a random choice of as many rows in place of the verdicts' choice; empty: no such choice.
    """

    wanted: int
    labels: Sequence[str]
    evenly: bool = False
    budget: str = "accepted"
    tokens: int = 0
    most: Mapping[str, int] | None = None
    random: tuple[object, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """Candidates chosen, and what they cost.

    Attributes
    ----------
    rows
        Rows of the candidates table.
    n_generated, tokens
        All candidates that had to be written up to the last row used, and their tokens.
    n_dropped
        Rows that would have been usable but repeat a held-out text.
    """

    rows: pd.DataFrame
    n_wanted: int
    n_generated: int
    tokens: int
    n_dropped: int


def token_counts(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return tokens of prompt and answer, row by row."""
    return np.asarray(frame["prompt_tokens"].to_numpy() + frame["new_tokens"].to_numpy(), dtype=np.int64)


def first_written(frame: pd.DataFrame, wanted: int, labels: Sequence[str]) -> pd.DataFrame:
    """Return the first ``wanted`` candidates of a cell, shared out among the labels."""
    return pd.concat([frame[frame["label"] == label].head(count) for label, count in quotas(wanted, list(labels)).items()])


def choose(frame: pd.DataFrame, accepted: BoolArray, eligible: BoolArray, repeated: BoolArray, ask: Ask) -> Chosen:
    """Choose the rows of an arm in a cell.

    Parameters
    ----------
    frame
        Candidates of the arm's origin in the cell, sorted by index and kind.
    accepted, eligible, repeated
        Of each candidate, whether it is accepted, may be drawn in a random choice, repeats a held-out text.
    """
    place = {label: position for position, label in enumerate(ask.labels)}
    frame = frame.assign(
        _accepted=accepted & ~repeated,
        _dropped=accepted & repeated,
        _eligible=eligible & ~repeated,
        _place=[place[label] for label in frame["label"]],
    ).sort_values(["index", "_place", "kind"], kind="stable")
    n_wanted = ask.wanted
    if ask.budget == "generated":
        frame = first_written(frame, ask.wanted, ask.labels).sort_values(["index", "_place", "kind"], kind="stable")
    elif ask.budget == "tokens":
        frame = frame[token_counts(frame).cumsum() <= ask.tokens]
        n_wanted = len(frame)
    usable = frame[frame["_accepted"]]
    if ask.most is not None:
        most = np.array([ask.most.get(label, 0) for label in usable["label"]], dtype=np.int64)
        usable = usable[usable.groupby("label").cumcount().to_numpy() < most]
    rows = usable.sort_values(["_place", "index", "kind"], kind="stable") if ask.budget == "tokens" else _draw(usable, ask)
    written = _written(frame, usable, rows, ask) if ask.budget == "accepted" else np.ones(len(frame), dtype=bool)
    if ask.random:
        rows = _at_random(frame[written], rows, ask)
    cost = int(token_counts(frame[written]).sum())
    dropped = int(frame["_dropped"].sum())
    return Chosen(rows.drop(columns=["_accepted", "_dropped", "_eligible", "_place"]), n_wanted, int(written.sum()), cost, dropped)


def _draw(usable: pd.DataFrame, ask: Ask) -> pd.DataFrame:
    """Return rows label by label, or in turns of all labels; both kinds of a narrative's rows in turns."""
    turned = usable.assign(_turn=usable.groupby(["label", "kind"]).cumcount())
    if ask.evenly:
        drawn = turned.sort_values(["_turn", "_place", "kind"], kind="stable").head(ask.wanted)
    else:
        turned = turned.sort_values(["_place", "_turn", "kind"], kind="stable")
        share = quotas(ask.wanted, list(ask.labels))
        allowed = np.array([share[label] for label in turned["label"]], dtype=np.int64)
        drawn = turned[turned.groupby("label").cumcount().to_numpy() < allowed]
    return drawn.drop(columns="_turn")


def _written(frame: pd.DataFrame, usable: pd.DataFrame, rows: pd.DataFrame, ask: Ask) -> BoolArray:
    """Return which candidates had to be written: of a label up to the last row used, and all if it ran short."""
    used, had = rows["label"].value_counts(), usable["label"].value_counts()
    share = quotas(ask.wanted, list(ask.labels))
    if ask.evenly:
        share = dict.fromkeys(ask.labels, int(used.max()) if len(used) else ask.wanted)
    last = rows.groupby("label")["index"].max().to_dict()
    for label, count in share.items():
        if count and int(used.get(label, 0)) < count and int(had.get(label, 0)) == int(used.get(label, 0)):
            last[label] = frame["index"].max()
    ends = np.array([last.get(label, -1) for label in frame["label"]], dtype=np.int64)
    return np.asarray(frame["index"].to_numpy(dtype=np.int64) <= ends, dtype=np.bool_)


def _at_random(written: pd.DataFrame, rows: pd.DataFrame, ask: Ask) -> pd.DataFrame:
    """Return as many rows of each label and kind, drawn from the eligible ones among all that were written for them."""
    parts = [rows.iloc[:0]]
    for label in ask.labels:
        for kind in sorted(set(rows["kind"])):
            pool = written[(written["label"] == label) & (written["kind"] == kind) & written["_eligible"]]
            rng = np.random.default_rng(stable_seed("select", *ask.random, label, *([kind] if kind else [])))
            count = int(((rows["label"] == label) & (rows["kind"] == kind)).sum())
            parts.append(pool.iloc[np.sort(rng.permutation(len(pool))[:count])])
    return pd.concat(parts)
