"""Verdicts and labels from tables: what passes is derived from scores, arm by arm, sweeps included."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from emosynth.cards import read_table
from emosynth.checks.base import BoolArray, Check
from emosynth.design.arms import ResolvedArm
from emosynth.design.cells import NO_SEED, Cell
from emosynth.design.space import FloatArray
from emosynth.errors import UserError
from emosynth.labellers.base import Labeller
from emosynth.paths import Paths, repro

Where = tuple[str, int, int]
"""Corpus, size, repeat."""

NOWHERE: Where = ("", NO_SEED, NO_SEED)
ORDER = ["index", "label", "kind"]
"""What candidates are sorted by, so that every class has its turn."""

_STAGE = "verification"


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Return candidates in the order in which they are judged."""
    return rows.sort_values(ORDER, kind="stable")


def has_oracle(arm: ResolvedArm) -> bool:
    """Whether an arm's teacher was trained on the whole training split."""
    return "oracle-teacher" in arm.spec.flaws


def judge_name(check: Check, oracle: bool = False) -> str:
    """Return how the judgements table names what made a score; ``oracle`` counts where the teacher is asked."""
    return _json(check.judge(), oracle and check.asks_teacher)


def labeller_name(labeller: Labeller, oracle: bool = False) -> str:
    """Return how the soft table names a labeller; ``oracle`` counts where its labels depend on the seed."""
    settings = labeller.settings.model_dump(mode="json", exclude={"share"})
    return _json({"labeller": labeller.name, **settings}, oracle and labeller.needs_seed)


def _json(named: dict[str, object], oracle: bool) -> str:
    return json.dumps(named | ({"oracle": True} if oracle else {}), sort_keys=True, ensure_ascii=False)


def place_of(check: Check, cell: Cell) -> Where:
    """Return the seed that a score belongs to."""
    return NOWHERE if check.scope == "text" else (cell.corpus, cell.size, cell.repeat)


def place_of_labels(labeller: Labeller, cell: Cell) -> Where:
    """Return the seed that labels belong to: none, or a corpus without one, if they do not depend on it."""
    if labeller.needs_seed:
        return cell.corpus, cell.size, cell.repeat
    return NOWHERE if labeller.in_space == "asked" else (cell.corpus, NO_SEED, NO_SEED)


class _Table:
    """Values of rows by name and seed."""

    what = ""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Where], tuple[pd.Index, FloatArray]] = {}

    def add(self, name: str, where: Where, ids: Sequence[str], values: FloatArray) -> None:
        """Add values, one of each id; further ids may follow."""
        index = pd.Index(np.array(ids, dtype=object))
        if (name, where) in self._found:
            known, kept = self._found[name, where]
            index, values = known.append(index), np.concatenate([kept, values])
        self._found[name, where] = index, values

    def _of(self, name: str, where: Where, ids: Sequence[str]) -> FloatArray:
        index, values = self._found.get((name, where), (pd.Index(np.array([], dtype=object)), np.zeros(0)))
        places = index.get_indexer(pd.Index(np.array(ids, dtype=object)))
        if (places < 0).any():
            raise UserError(
                f"{self.what} of {name} are lacking for {int((places < 0).sum())} of {len(ids)} rows; the first is {ids[int(np.argmin(places))]}.",
                where=f"corpus {where[0] or 'any'}, size {where[1]}, repeat {where[2]}",
                remedy="Only what an arm declares is judged and labelled: declare it there, and run: " + repro(),
            )
        return values[places] if len(ids) else values[:0]


class ScoreTable(_Table):
    """Scores of candidates by check."""

    what = "Scores"

    def of(self, check: Check, ids: Sequence[str], cell: Cell, *, oracle: bool = False) -> FloatArray:
        """Return (n,) scores of candidates in a cell.

        Raises
        ------
        UserError
            If a candidate was not judged.
        """
        return self._of(judge_name(check, oracle), place_of(check, cell), ids)

    def frame(self) -> pd.DataFrame:
        """Return the judgements table."""
        parts = [
            pd.DataFrame({"candidate_id": index.to_numpy(), "corpus": where[0], "size": where[1], "repeat": where[2],
                          "check": json.loads(name)["check"], "judge": name, "score": values})
            for (name, where), (index, values) in self._found.items()
        ]  # fmt: skip
        columns = ["candidate_id", "corpus", "size", "repeat", "check", "judge", "score"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    @classmethod
    def of_frame(cls, judgements: pd.DataFrame) -> ScoreTable:
        """Return the scores of a judgements table."""
        made = cls()
        for (name, corpus, size, repeat), part in judgements.groupby(["judge", "corpus", "size", "repeat"], sort=False):
            where = (str(corpus), int(str(size)), int(str(repeat)))
            made.add(str(name), where, part["candidate_id"].tolist(), part["score"].to_numpy(dtype=np.float64))
        return made


class SoftLabels(_Table):
    """Labels of rows by labeller."""

    what = "Labels"

    def __init__(self) -> None:
        super().__init__()
        self._spaces: dict[tuple[str, Where], dict[str, str]] = {}

    def label(self, name: str, where: Where, ids: Sequence[str], log_p: FloatArray, space: str) -> None:
        """Add (n, k) log-probabilities of rows over a space, by the space's name; rows of several spaces may have one labeller."""
        full = self._spaces.setdefault((name, where), {}).setdefault(space, f"{name} in {space}")
        self.add(full, where, ids, log_p)

    def holds(self, name: str, where: Where, space: str, ids: Sequence[str]) -> BoolArray:
        """Return which rows have labels over a space."""
        known = self._found.get((self._spaces.get((name, where), {}).get(space, ""), where))
        return np.zeros(len(ids), dtype=bool) if known is None else np.asarray(pd.Index(ids).isin(known[0]))

    def log_p(self, labeller: Labeller, ids: Sequence[str], cell: Cell, *, oracle: bool = False) -> FloatArray:
        """Return (n, k) log-probabilities of candidates of one arm, or of seed rows, in a cell.

        Raises
        ------
        UserError
            If a row was not labelled.
        """
        name, where = labeller_name(labeller, oracle), place_of_labels(labeller, cell)
        known = self._spaces.get((name, where), {}).values()
        full = next((full for full in known if not len(ids) or ids[0] in self._found[full, where][0]), name)
        return self._of(full, where, ids)

    def frame(self) -> pd.DataFrame:
        """Return the soft table."""
        parts = []
        for (name, where), spaces in self._spaces.items():
            for space, full in spaces.items():
                index, values = self._found[full, where]
                parts.append(
                    pd.DataFrame({"row_id": index.to_numpy(), "corpus": where[0], "size": where[1], "repeat": where[2],
                                  "labeller": name, "space": space, "log_p": values.tolist()})
                )  # fmt: skip
        columns = ["row_id", "corpus", "size", "repeat", "labeller", "space", "log_p"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    @classmethod
    def of_frame(cls, soft: pd.DataFrame) -> SoftLabels:
        """Return the labels of a soft table."""
        made = cls()
        for (name, corpus, size, repeat, space), part in soft.groupby(["labeller", "corpus", "size", "repeat", "space"], sort=False):
            where = (str(corpus), int(str(size)), int(str(repeat)))
            made.label(str(name), where, part["row_id"].tolist(), np.array(part["log_p"].tolist(), dtype=np.float64), str(space))
        return made


def load_scores(paths: Paths) -> ScoreTable:
    """Load the scores that step 06 wrote."""
    return ScoreTable.of_frame(read_table(paths.verdicts / "judgements.parquet", stage=_STAGE))


def load_soft(paths: Paths) -> SoftLabels:
    """Load the labels that step 06 wrote."""
    return SoftLabels.of_frame(read_table(paths.verdicts / "soft.parquet", stage=_STAGE))


# --- verdicts -------------------------------------------------------------------------------------------


def unverified(arm: ResolvedArm) -> ResolvedArm:
    """Return an arm that takes its rows as written, if there is a text at all."""
    return replace(arm, checks=tuple(check for check in arm.checks if check.name == "nonempty"))


def passing(arm: ResolvedArm, rows: pd.DataFrame, scores: ScoreTable, cell: Cell, checks: Iterable[Check]) -> dict[str, BoolArray]:
    """Return the verdicts of checks, in their order, on candidates `ordered`; each sees what those before it let through.

    Candidates of different kinds (utterances, context-less texts) take nothing from each other.
    """
    ids, texts = rows["candidate_id"].tolist(), [str(text) for text in rows["text"]]
    kinds = rows["kind"].fillna("").to_numpy()
    passed = np.ones(len(rows), dtype=bool)
    out: dict[str, BoolArray] = {}
    for check in checks:
        found, ok = scores.of(check, ids, cell, oracle=has_oracle(arm)), np.ones(len(rows), dtype=bool)
        for kind in dict.fromkeys(kinds):
            places = np.flatnonzero(kinds == kind)
            ok[places] = check.accept(found[places], [texts[place] for place in places], passed[places])
        out[check.name] = ok
        passed = passed & ok
    return out


def accepted(arm: ResolvedArm, rows: pd.DataFrame, scores: ScoreTable, cell: Cell) -> pd.DataFrame:
    """Return the verdicts of an arm on its candidates in a cell.

    Parameters
    ----------
    arm
        As declared, with overrides of a sweep, or `unverified`.
    rows
        Candidates in any order: candidate_id, index, label, kind, text.
    scores
        Of these candidates; see `load_scores`.

    Returns
    -------
    pandas.DataFrame
        candidate_id, index, label, ``ok_<check>`` of every check of the arm, accepted, reason (name of the first check that failed; empty:
        none). Rows and index as in ``rows``.

    Raises
    ------
    UserError
        If a candidate was not judged by one of the checks.

    Notes
    -----
    A dear check skips what the arm as declared rejects before; a sweep that lets such a row through finds it passed there.
    """
    sorted_rows = ordered(rows)
    verdicts = passing(arm, sorted_rows, scores, cell, arm.checks)
    out = sorted_rows[["candidate_id", "index", "label"]].assign(**{f"ok_{name}": ok for name, ok in verdicts.items()})
    reason = np.full(len(out), "", dtype=object)
    for name, ok in reversed(verdicts.items()):
        reason[~ok] = name
    return out.assign(accepted=reason == "", reason=reason.astype(str)).loc[rows.index]
