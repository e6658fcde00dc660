"""The candidates of a profile with their verdicts and scores, and the search in them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, urlencode

import numpy as np
import pandas as pd

from emosynth.cards import read_table
from emosynth.errors import UserError
from emosynth.generation import load_candidates
from emosynth.paths import Paths
from emosynth.trying.places import rows_at

PER_PAGE = 50
_VERDICTS = ("accepted", "rejected")


@dataclass(frozen=True)
class Query:
    """What is to be shown. Empty or None: all.

    Attributes
    ----------
    q
        Words that the text, its context, or its id holds, whatever their case.
    arm, origin, label
        Names.
    verdict
        accepted or rejected, by the arm or, without one, by any arm.
    reason
        The check that rejected.
    check, least, most
        A check, and bounds of its score; rows come sorted by it.
    page
        From 0.
    """

    q: str = ""
    arm: str = ""
    origin: str = ""
    label: str = ""
    verdict: str = ""
    reason: str = ""
    check: str = ""
    least: float | None = None
    most: float | None = None
    page: int = 0

    @classmethod
    def read(cls, given: str) -> Query:
        """Return what the part of an address behind ``?`` says.

        Raises
        ------
        UserError
            For an unknown name, or a number that is none.
        """
        values: dict[str, Any] = {}
        names = [item.name for item in fields(cls)]
        for name, (word, *_) in parse_qs(given, keep_blank_values=True).items():
            if name not in names:
                raise UserError(f"There is no filter {name}.", where="query", remedy=f"Use {', '.join(names)}.")
            if word == "":
                continue
            try:
                values[name] = float(word) if name in ("least", "most") else int(word) if name == "page" else word
            except ValueError:
                raise UserError(f"{word!r} is no number.", where=name, remedy="Correct it.") from None
        if values.get("verdict", "accepted") not in _VERDICTS or values.get("page", 0) < 0:
            raise UserError("A filter has a value that it cannot have.", where="verdict or page", remedy="verdict is accepted or rejected.")
        return cls(**values)

    def at(self, page: int) -> str:
        """Return the address of another page of the same."""
        said = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "page"}
        return urlencode({name: value for name, value in said.items() if value not in ("", None)} | {"page": page})


@dataclass
class Rows:
    """All candidates of a profile, with what was said of them.

    Attributes
    ----------
    frame
        Candidates, by place.
    verdicts
        A row an arm, cell and candidate, with ``place``, the candidate's; empty before step 06.
    scores
        place, check (name), judge, score, and the cell that it belongs to; likewise.
    note
        What a person should know of all of them.
    """

    profile: str
    frame: pd.DataFrame
    verdicts: pd.DataFrame
    scores: pd.DataFrame
    note: str = ""

    @classmethod
    def load(cls, paths: Paths) -> Rows:
        """Read what steps 05 and 06 wrote, or before they have run what a preview did.

        Raises
        ------
        UserError
            If nothing has been written yet.
        """
        profile = paths.profile
        paths, note = rows_at(paths)
        frame = load_candidates(paths)
        verdicts, scores = pd.DataFrame(columns=["arm", "accepted", "reason", "place"]), pd.DataFrame(columns=["place", "check", "score"])
        if (paths.verdicts / "verdicts.parquet").exists():
            place = pd.Series(np.arange(len(frame)), index=frame["candidate_id"])
            verdicts, scores = (read_table(paths.verdicts / f"{name}.parquet") for name in ("verdicts", "judgements"))
            strange = set(verdicts["candidate_id"]) - set(frame["candidate_id"])
            verdicts, scores = (
                part.assign(place=part["candidate_id"].map(place)).dropna(subset=["place"]).astype({"place": int})
                for part in (verdicts, scores)
            )
            verdicts["reason"] = verdicts["reason"].fillna("")
            if strange:
                note += f" {len(strange):,} verdicts are of other candidates: step 06 has to be run again."
        else:
            note += " Nothing has been judged yet (step 06)."
        return cls(profile, frame, verdicts, scores, note.strip())

    @cached_property
    def _sought(self) -> pd.Series:
        parts = [self.frame[name].fillna("").astype(str) for name in ("text", "context", "candidate_id")]
        return (parts[0] + "\n" + parts[1] + "\n" + parts[2]).str.casefold()

    @cached_property
    def choices(self) -> Mapping[str, list[str]]:
        """What each filter can be."""
        return {
            "arm": list(dict.fromkeys(self.verdicts["arm"])), "origin": list(dict.fromkeys(self.frame["origin"])),
            "label": sorted(set(self.frame["label"])), "verdict": list(_VERDICTS),
            "reason": sorted(set(self.verdicts["reason"]) - {""}), "check": list(dict.fromkeys(self.scores["check"])),
        }  # fmt: skip

    @cached_property
    def read_by(self) -> Mapping[str, str]:
        """Origin -> the arms that read its rows; before step 06, which knows them, its own name."""
        arms = pd.DataFrame(
            {"arm": self.verdicts["arm"], "origin": self.frame["origin"].to_numpy()[self.verdicts["place"].to_numpy(dtype=int)]}
        )
        known = arms.drop_duplicates().groupby("origin", sort=False)["arm"].agg(", ".join)
        return {origin: str(known.get(origin, origin)) for origin in self.choices["origin"]}

    def check(self, query: Query) -> None:
        """Refuse a query for what there is not.

        Raises
        ------
        UserError
            With the nearest name.
        """
        for name, known in self.choices.items():
            wanted = getattr(query, name)
            if wanted and wanted not in known:
                near = difflib.get_close_matches(wanted, known, n=1)
                remedy = (
                    f"Did you mean {near[0]}?"
                    if near
                    else f"There are: {', '.join(known)}."
                    if known
                    else "Leave it out: there is none yet."
                )
                raise UserError(f"No row has the {name} {wanted}.", where="--query", remedy=remedy)

    @cached_property
    def _by_check(self) -> dict[str, pd.DataFrame]:
        return {str(name): part[["place", "score"]] for name, part in self.scores.groupby("check", sort=False)}

    def find(self, query: Query) -> np.ndarray:
        """Return the places of the candidates that a query asks for: in their order, or by the score of the check asked for."""
        keep = np.ones(len(self.frame), dtype=bool)
        for name in ("origin", "label"):
            if wanted := getattr(query, name):
                keep &= (self.frame[name] == wanted).to_numpy()
        if query.arm or query.verdict or query.reason:
            part = self.verdicts
            if query.arm:
                part = part[part["arm"] == query.arm]
            if query.verdict:
                part = part[part["accepted"].astype(bool) == (query.verdict == "accepted")]
            if query.reason:
                part = part[part["reason"] == query.reason]
            seen = np.zeros(len(self.frame), dtype=bool)
            seen[part["place"].to_numpy(dtype=int)] = True
            keep &= seen
        score: pd.Series | None = None
        if query.check:
            part = self._by_check.get(query.check, self.scores.iloc[:0])
            part = part[part["score"].notna()]
            if query.least is not None:
                part = part[part["score"] >= query.least]
            if query.most is not None:
                part = part[part["score"] <= query.most]
            score = part.groupby("place")["score"].min()
            seen = np.zeros(len(self.frame), dtype=bool)
            seen[score.index.to_numpy(dtype=int)] = True
            keep &= seen
        if query.q.strip():
            keep &= self._sought.str.contains(query.q.strip().casefold(), regex=False).to_numpy()
        places = np.flatnonzero(keep)
        if score is not None:
            places = places[np.argsort(score.reindex(places).to_numpy(), kind="stable")]
        return places

    @cached_property
    def _verdicts_by_place(self) -> dict[int, np.ndarray]:
        return self.verdicts.reset_index(drop=True).groupby("place").indices  # type: ignore[return-value]

    def verdicts_of(self, place: int) -> pd.DataFrame:
        """Return all verdicts on one candidate."""
        return self.verdicts.iloc[self._verdicts_by_place.get(place, [])]

    @cached_property
    def _scores_by_place(self) -> dict[int, np.ndarray]:
        return self.scores.reset_index(drop=True).groupby("place").indices  # type: ignore[return-value]

    def scores_of(self, place: int) -> pd.DataFrame:
        """Return all scores of one candidate."""
        return self.scores.iloc[self._scores_by_place.get(place, [])]

    def place_of(self, candidate_id: str) -> int | None:
        """Return where a candidate stands; None: there is none."""
        found = np.flatnonzero((self.frame["candidate_id"] == candidate_id).to_numpy())
        return int(found[0]) if len(found) else None


def settings_of(judge: str) -> str:
    """Return the settings of what made a score, in words."""
    try:
        known = {key: value for key, value in json.loads(judge).items() if key not in ("check", "piece")}
    except (ValueError, AttributeError):
        return judge
    return ", ".join(f"{key} {value}" for key, value in known.items())
