"""Claims as they are declared, before a run: ``data/claims.yaml``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from emosynth.design.arms import SEED, unknown
from emosynth.errors import UserError
from emosynth.evidence.scored import UNVERIFIED, Group, spelled
from emosynth.params import Params, Section, deep_merge, read_file

Outcome = Literal["better", "worse", "equivalent", "too imprecise", "not tested"]

EXPECTED: Mapping[str, tuple[Outcome, ...]] = {
    "better": ("better",),
    "worse": ("worse",),
    "equivalent": ("equivalent",),
    "at-least": ("better", "equivalent"),
    "no-better": ("worse", "equivalent"),
}
"""What a claim says left is to right -> the outcomes that support it."""


class Side(Section):
    """One side of a contrast: an arm, as verified or as written, or with one of its settings changed by a sweep."""

    arm: str
    version: Literal["", "unverified"] = ""
    sweep: str = ""
    value: Any = None

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, given: Any) -> Any:
        if isinstance(given, str):
            arm, _, version = given.partition(":")
            return {"arm": arm, "version": version}
        return given

    def group(self, corpus: str, learner: str, size: int, params: Params, growth: float | None = None) -> Group:
        """Return the trials of this side; ``growth``: with so many synthetic rows a seed row, by the arm's own setting or by a sweep."""
        sweep, value = self.sweep, self.value
        arm = params.arms.get(self.arm)
        if (
            growth is not None
            and not sweep
            and arm is not None
            and arm.add == "written"
            and (arm.growth or params.generation.growth) != growth
        ):
            sweep, value = "growth", growth
        return Group(corpus, learner, size, self.arm, self.version, "accepted", sweep, spelled(value) if sweep else "")

    def words(self) -> str:
        """Return the side as the declaration spells it."""
        return self.arm + (f":{self.version}" if self.version else "") + (f" with {self.sweep} = {self.value}" if self.sweep else "")


class Size(Section):
    """How large an effect is said to be; judged apart from its direction."""

    points: float = Field(gt=0, description="points of F1, in the direction of the claim")
    bound: Literal["at least", "at most"] = "at least"


class Dated(Section):
    """That a declaration stood on a day."""

    on: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{12,64}$", description="first digits at least")
    why: str = Field("", description="why it was changed")


class Declared(Section):
    """One claim.

    ``scores``: left against right by F1 on test rows. ``panel``, ``diversity``, ``context``: read from these tables.
    """

    id: str = Field(pattern=r"^[A-Z]\d+$")
    system: str
    source: str
    place: str = Field(description="where in the source it stands")
    statement: str
    kind: Literal["scores", "panel", "diversity", "context"] = "scores"
    expects: Literal["better", "worse", "equivalent", "at-least", "no-better"] = "better"
    left: Side
    right: list[Side] = Field(default_factory=list, description="scores: left must be so to each of these")
    learners: list[str] = Field(default_factory=list, description="the published one first, then those that may stand in for it")
    corpora: list[str] = Field(default=["target"], description="likewise; the first that a profile builds is judged on")
    sizes: list[int | Literal["largest", "smallest"]] = Field(
        default=["largest"], min_length=1, description="label budgets: the published one first, then those that may stand in"
    )
    growth: list[Annotated[float, Field(gt=0)]] = Field(
        default_factory=list, description="synthetic rows a seed row, likewise; an arm's own number always may stand in"
    )
    margin: float = Field(0.5, gt=0, le=1, description="of equivalence, as a share of what real expansion gains in the same cell")
    metric: str = Field("macro-F1", description="macro-F1, rare-class F1, or a measure of the table")
    claimed: Size | None = None
    dated: list[Dated] = Field(default_factory=list, exclude=True, description="from the file's list declared, the latest last")

    @model_validator(mode="after")
    def _complete(self) -> Declared:
        if self.kind == "scores" and (not self.right or not self.learners or self.metric not in ("macro-F1", "rare-class F1")):
            raise ValueError(f"{self.id}: a claim on scores needs right, learners and a metric of macro-F1 or rare-class F1")
        return self

    @property
    def sides(self) -> list[Side]:
        """Left and right."""
        return [self.left, *self.right]

    @property
    def sha256(self) -> str:
        """The hash of what is declared: what was declared is what was judged. Defaults are not in it, so that a new key changes nothing."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True).encode("utf-8")).hexdigest()

    @property
    def hash(self) -> str:
        """First 12 digits of it."""
        return self.sha256[:12]

    def history(self) -> str:
        """Say when it was declared, and whether it was changed."""
        if not self.dated:
            return f"Declared on no date (sha256 {self.hash})."
        first, last = self.dated[0], self.dated[-1]
        if not self.sha256.startswith(last.sha256):
            return f"CHANGED since it was declared on {last.on} (sha256 {last.sha256[:12]}; now {self.hash})."
        if first is last:
            return f"Declared on {last.on} (sha256 {self.hash})."
        return f"First declared on {first.on}, changed on {last.on} (sha256 {self.hash}): {last.why}"


def load_claims(path: Path) -> list[Declared]:
    """Read the declarations.

    Raises
    ------
    UserError
        If the file is missing or not valid, or an id stands twice; it names claim and key.
    """
    content = read_file(path)
    if not set(content) <= {"claims", "declared"} or not isinstance(content.get("claims"), list):
        raise UserError(
            "The file of claims must hold a list, claims, and may hold one, declared.", where=str(path),
            remedy="See data/claims.yaml in the repository.",
        )  # fmt: skip
    dated = _ledger(content.get("declared"), path)
    claims = []
    for number, item in enumerate(content["claims"], start=1):
        where = f"{path}, claim {item.get('id', number) if isinstance(item, dict) else number}"
        try:
            claim = Declared.model_validate(item)
            claims.append(claim.model_copy(update={"dated": dated.pop(claim.id, [])}))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "claim"
            raise UserError(
                f"{key}: {first['msg']}.", where=where, remedy="Correct it; src/emosynth/evidence/declared.py declares the keys."
            ) from None
    names = [claim.id for claim in claims]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"The claim {twice} is declared twice.", where=str(path), remedy="Give it an id of its own.")
    if dated:
        raise UserError(
            f"declared: dates a claim {next(iter(dated))} that is not there.", where=str(path), remedy="A claim that was declared stays."
        )
    return claims


def _ledger(entries: Any, path: Path) -> dict[str, list[Dated]]:
    """Return by claim what the list ``declared`` says: a day, why, and the hash of each claim as it stood."""
    found: dict[str, list[Dated]] = {}
    for number, entry in enumerate(entries or [], start=1):
        try:
            for claim, digest in entry["claims"].items():
                found.setdefault(claim, []).append(Dated(on=str(entry["on"]), sha256=digest, why=entry.get("why", "")))
        except (ValidationError, KeyError, TypeError, AttributeError):
            raise UserError(
                "A date of declaration is not valid.", where=f"{path}, declared, entry {number}",
                remedy="It needs: on (a date), claims (id: sha256), and may have why.",
            ) from None  # fmt: skip
    return found


def profile_names(root: Path) -> tuple[list[str], list[str]]:
    """Return the arms and learners that any profile of the repository has."""
    base = read_file(root / "params.yaml")
    profiles = [base, *(deep_merge(base, read_file(path)) for path in sorted((root / "profiles").glob("*.yaml")))]
    arms = [SEED, *(name for profile in profiles for name in profile.get("arms") or {})]
    return list(dict.fromkeys(arms)), list(dict.fromkeys(name for profile in profiles for name in profile.get("learners") or {}))


def check_names(claims: Iterable[Declared], arms: Iterable[str], learners: Iterable[str], where: str) -> None:
    """Check that declarations name arms and learners that some profile has.

    Raises
    ------
    UserError
        For a name that none has, with the nearest known one.
    """
    known_arms, known_learners = list(arms), list(learners)
    for claim in claims:
        for side in claim.sides:
            if side.arm not in known_arms:
                raise unknown("arm", side.arm, f"{where}, claim {claim.id}", known_arms)
        for learner in claim.learners:
            if learner not in known_learners:
                raise unknown("learner", learner, f"{where}, claim {claim.id}", known_learners)


def check_declared(root: Path) -> list[Declared]:
    """Return the declared claims, checked: called before a run, which they are declared for."""
    path = root / "data" / "claims.yaml"
    claims = load_claims(path)
    check_names(claims, *profile_names(root), str(path))
    return claims


def lacking(claim: Declared, params: Params) -> list[str]:
    """Return what a profile lacks to judge a claim, in words."""
    found = [f"the arm {side.arm}" for side in claim.sides if side.arm != SEED and side.arm not in params.arms]
    for side in claim.sides:
        tried = params.sweeps.get(side.arm, {}).get(side.sweep, [])
        if side.sweep and side.arm in params.arms and spelled(side.value) not in [spelled(value) for value in tried]:
            found.append(f"{side.arm} with {side.sweep} = {side.value}")
        if side.version == UNVERIFIED and params.arms.get(side.arm) is not None and not _written_too(params, side.arm):
            found.append(f"{side.arm} as written")
    if claim.kind == "scores" and not any(name in params.learners for name in claim.learners):
        found.append(f"the learner {' or '.join(claim.learners)}")
    if claim.kind == "scores" and not any(name == "target" or name in params.corpora.names for name in claim.corpora):
        found.append(f"the corpus {claim.corpora[0]}")
    return list(dict.fromkeys(found))


def _written_too(params: Params, name: str) -> bool:
    own = params.arms[name].unverified
    return params.training.unverified if own is None else own


def corpus_of(claim: Declared, params: Params) -> str:
    """Return the corpus that a profile judges a claim on: the first declared that it builds."""
    for name in claim.corpora:
        if name == "target":
            return params.corpora.target
        if name in params.corpora.names:
            return name
    return params.corpora.target
