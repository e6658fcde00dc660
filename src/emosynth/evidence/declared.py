"""Claims as they are declared, before a run: ``data/claims.yaml``."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from emosynth.design.arms import SEED, unknown
from emosynth.errors import UserError
from emosynth.evidence.scored import UNVERIFIED, Group, spelled
from emosynth.params import Params, Section, deep_merge, read_file
from emosynth.stats import holm_of_groups

Outcome = Literal["better", "worse", "equivalent", "too imprecise", "not tested"]

EXPECTED: Mapping[str, tuple[Outcome, ...]] = {
    "better": ("better",), "worse": ("worse",), "equivalent": ("equivalent",), "at-least": ("better", "equivalent"),
    "no-better": ("worse", "equivalent"),
}  # fmt: skip
"""What a claim says left is to right -> the outcomes that support it."""

FROM_RUN = ("writer", "teacher", "learner", "size", "rows")
"""What a claim's `Declared.setting` may leave to the run, in braces: models, number of labels, mean number of written rows added."""


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
        written = not sweep and arm is not None and arm.add == "written"
        if growth is not None and written and arm is not None and (arm.growth or params.generation.growth) != growth:
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
    """One claim. ``scores``: left against right by F1 on test rows. ``panel``, ``diversity``, ``context``: read from these tables."""

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
    profile: str = Field(
        "", exclude=True, pattern=r"^[A-Za-z0-9_-]*$",
        description="the profile that has its arms; empty: any. Says where to look, not what is claimed: it is not in the hash",
    )  # fmt: skip
    setting: str = Field(
        "", exclude=True,
        description="what stands in for what of the published setting, beyond the keys above; {writer} and the like (FROM_RUN) are the run's. Not in the hash",
    )  # fmt: skip
    dated: list[Dated] = Field(default_factory=list, exclude=True, description="from the file's list declared, the latest last")

    @model_validator(mode="after")
    def _complete(self) -> Declared:
        if self.kind == "scores" and (not self.right or not self.learners or self.metric not in ("macro-F1", "rare-class F1")):
            raise ValueError(f"{self.id}: a claim on scores needs right, learners and a metric of macro-F1 or rare-class F1")
        if not set(re.findall(r"\{(.*?)\}", self.setting)) <= set(FROM_RUN):
            raise ValueError(f"{self.id}: in setting only {', '.join(FROM_RUN)} may stand in braces")
        return self

    @property
    def sides(self) -> list[Side]:
        """Left and right."""
        return [self.left, *self.right]

    @property
    def ours(self) -> bool:
        """Whether it is a claim of this compendium, not a published one."""
        return self.source.startswith("this compendium")

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
    """Read the declarations. Raises UserError if the file is missing or not valid, or an id stands twice; it names claim and key."""
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
            remedy = "Correct it; src/emosynth/evidence/declared.py declares the keys."
            raise UserError(f"{key}: {first['msg']}.", where=where, remedy=remedy) from None
    names = [claim.id for claim in claims]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"The claim {twice} is declared twice.", where=str(path), remedy="Give it an id of its own.")
    if dated:
        what = f"declared: dates a claim {next(iter(dated))} that is not there."
        raise UserError(what, where=str(path), remedy="A claim that was declared stays.")
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


Names = Mapping[str, tuple[Sequence[str], Sequence[str]]]
"""Profile -> the names of its arms and of its learners."""


def profile_names(root: Path) -> Names:
    """Return the arms and learners of every profile of the repository."""
    base = read_file(root / "params.yaml")
    profiles = {"demo": base, **{path.stem: deep_merge(base, read_file(path)) for path in sorted((root / "profiles").glob("*.yaml"))}}
    return {name: ([SEED, *(values.get("arms") or {})], list(values.get("learners") or {})) for name, values in profiles.items()}


def check_names(claims: Iterable[Declared], known: Names, where: str) -> None:
    """Check that declarations name arms and learners that their profile has, or any if they name no profile.

    A claim on a profile that is not there cannot be checked, and ends nothing. Raises UserError for a name that is nowhere, with the
    nearest known one.
    """
    for claim in claims:
        if claim.profile and claim.profile not in known:
            continue
        own = [known[claim.profile]] if claim.profile else list(known.values())
        arms, learners = (list(dict.fromkeys(name for names in own for name in names[place])) for place in (0, 1))
        sides = [("left", claim.left), *((f"right.{place}", side) for place, side in enumerate(claim.right))]
        named = [("arm", key, side.arm) for key, side in sides]
        for kind, key, name in [*named, *(("learner", "learners", name) for name in claim.learners)]:
            if name not in (arms if kind == "arm" else learners):
                at = f"{where}, claim {claim.id}, {key}" + (f" (profile: {claim.profile})" if claim.profile else "")
                raise unknown(kind, name, at, arms if kind == "arm" else learners)


def check_declared(root: Path) -> list[Declared]:
    """Return the declared claims, checked: called before a run, which they are declared for."""
    path = root / "data" / "claims.yaml"
    claims = load_claims(path)
    check_names(claims, profile_names(root), str(path))
    return claims


def lacking(claim: Declared, params: Params) -> list[str]:
    """Return what a profile lacks to judge a claim, in words."""
    found = [f"the arm {side.arm}" for side in claim.sides if side.arm != SEED and side.arm not in params.arms]
    for side in claim.sides:
        tried = params.sweeps.get(side.arm, {}).get(side.sweep, [])
        if side.sweep and side.arm in params.arms and spelled(side.value) not in [spelled(value) for value in tried]:
            found.append(f"{side.arm} with {side.sweep} = {side.value}")
        arm = params.arms.get(side.arm)
        if (
            side.version == UNVERIFIED
            and arm is not None
            and not (params.training.unverified if arm.unverified is None else arm.unverified)
        ):
            found.append(f"{side.arm} as written")
    if claim.kind == "scores" and not any(name in params.learners for name in claim.learners):
        found.append(f"the learner {' or '.join(claim.learners)}")
    if claim.kind == "scores" and not any(name == "target" or name in params.corpora.names for name in claim.corpora):
        found.append(f"the corpus {claim.corpora[0]}")
    return list(dict.fromkeys(found))


def corpus_of(claim: Declared, params: Params) -> str:
    """Return the corpus that a profile judges a claim on: the first declared that it builds."""
    names = (params.corpora.target if name == "target" else name for name in claim.corpora)
    return next((name for name in names if name in params.corpora.names), params.corpora.target)


# --- what decides a claim: five outcomes by one rule, one Holm correction over all claims ---
# The two tests of a contrast – of no difference, and of a difference as large as the margin – have nulls that cannot both be true, so that
# one of them can be in error at most (three-sided testing: Goeman, Solari and Stijnen 2010). A claim counts in the correction until both are
# rejected (Shaffer 1986): that one of them is says nothing of the other, and must not make it cheaper for claims that come after.

Verdict = Literal["supported", "contradicted", "undecided", "not tested"]
VERDICTS: tuple[Verdict, ...] = ("supported", "contradicted", "undecided", "not tested")


@dataclass(frozen=True)
class Finding:
    """What the data say of one contrast.

    ``effect``, ``low``, ``high``: left minus right in ``unit`` (F1 in points). ``p``, ``p_equivalent``: two-sided of no difference; of one
    of the ``margin`` or more (NaN: not testable). ``n``: what it is from, in words.
    """

    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = "F1 points"
    p: float = math.nan
    p_equivalent: float = math.nan
    p_better: float = math.nan
    margin: float = math.nan
    n: str = ""
    p_size: float = math.nan
    """Two-sided p of an effect of the claimed size."""
    sized: float = math.nan
    """The effect that the claimed size is of, see `emosynth.evidence.claims`; NaN: there is none."""
    wins: float = math.nan
    """P(a run of left beats the paired run of right), see `emosynth.resampling.Contrast`."""

    def decides(self, outcome: Outcome) -> float:
        """Return the p that an outcome is by: that of no difference, or the smaller one."""
        values = [self.p] if outcome in ("better", "worse") else [value for value in (self.p, self.p_equivalent) if not math.isnan(value)]
        return min(values, default=math.nan)

    def outcome(self, alpha: float) -> Outcome:
        """Return the outcome by p, corrected ones usually; a difference that survives comes before equivalence."""
        p, same = self.p, self.p_equivalent
        if math.isnan(p) and math.isnan(same):
            return "not tested"
        if p < alpha:
            return "better" if self.effect > 0 else "worse"
        return "equivalent" if same < alpha else "too imprecise"


@dataclass(frozen=True)
class Claim:
    """A declared claim and what was found."""

    declared: Declared
    corpus: str
    learner: str = ""
    size: int | None = None
    stand_in: str = ""
    """What of the published setting something else stands in for; empty: nothing."""
    comparison: str = ""
    finding: Finding = Finding()
    outcome: Outcome = "not tested"
    verdict: Verdict = "not tested"
    p_adjusted: float = math.nan
    size_verdict: Verdict | None = None
    size_p_adjusted: float = math.nan
    """NaN where the size is not tested."""
    why: str = ""
    """Why it is not tested, or what the reader must know besides."""
    replications: list[dict[str, Any]] = field(default_factory=list)
    opponents: list[dict[str, Any]] = field(default_factory=list)
    """Left minus each right side where it is judged, as replications are kept; of claims on scores alone."""
    added: list[dict[str, float]] = field(default_factory=list)
    """Sides with fewer written rows than were asked for: ``rows_a_label`` really added (mean over repeats), and ``asked``."""


def verdict_of(claim: Declared, outcome: Outcome) -> Verdict:
    """Return the verdict: supported by the outcomes expected, contradicted by the other clear ones, else undecided."""
    if outcome == "not tested":
        return "not tested"
    if outcome in EXPECTED[claim.expects]:
        return "supported"
    return "undecided" if outcome == "too imprecise" else "contradicted"


def against(claim: Claim) -> list[dict[str, Any]]:
    """Return the replications of a decided claim that point clearly the other way, by uncorrected p, the largest effect first.

    The other way is the other direction; of an outcome of equivalence, each direction that would turn the verdict.
    """
    if claim.verdict not in ("supported", "contradicted"):
        return []
    turned: dict[Outcome, tuple[Outcome, ...]] = {"better": ("worse",), "worse": ("better",)}
    both: tuple[Outcome, ...] = ("better", "worse")
    other = turned.get(claim.outcome, tuple(way for way in both if verdict_of(claim.declared, way) != claim.verdict))
    return sorted((row for row in claim.replications if row.get("outcome") in other), key=lambda row: -abs(row["effect"]))


def alone(claim: Claim, verdict: Verdict) -> list[dict[str, Any]]:
    """Return the replications that would give a claim this verdict by their own uncorrected p, the furthest the claimed way first."""
    towards = -1.0 if claim.declared.expects in ("worse", "no-better") else 1.0
    own = [row for row in claim.replications if "outcome" in row and verdict_of(claim.declared, row["outcome"]) == verdict]
    return sorted(own, key=lambda row: -towards * row["effect"])


def _size_verdict(claim: Declared, finding: Finding, verdict: Verdict, p: float, alpha: float) -> Verdict:
    assert claim.claimed is not None
    if math.isnan(p) or (claim.claimed.bound == "at most" and verdict != "supported"):
        return "not tested"  # a gain is no small loss: how large a loss is, at most, is asked where there is one
    if not p < alpha:
        return "undecided"
    towards = -finding.sized if claim.expects == "worse" else finding.sized
    return "supported" if (towards > claim.claimed.points) == (claim.claimed.bound == "at least") else "contradicted"


def decide(claims: Sequence[Claim], alpha: float) -> list[Claim]:
    """Correct all claims together (Holm; direction and size of a claim are two tests) and give each its outcome and verdict."""
    findings = [claim.finding for claim in claims]
    raw = [*([one.p, one.p_equivalent] for one in findings), *([one.p_size, math.nan] for one in findings)]
    adjusted = holm_of_groups(np.array(raw, dtype=float).reshape(-1, 2))
    decided = []
    for place, claim in enumerate(claims):
        differs, same = map(float, adjusted[place])
        corrected, p_size = replace(claim.finding, p=differs, p_equivalent=same), float(adjusted[len(claims) + place, 0])
        outcome = corrected.outcome(alpha)
        verdict, p = verdict_of(claim.declared, outcome), corrected.decides(outcome)
        size = None if claim.declared.claimed is None else _size_verdict(claim.declared, claim.finding, verdict, p_size, alpha)
        # Its p stays in the correction, which was fixed before the data said which direction holds; of what is not tested none is told.
        p_size = math.nan if size == "not tested" else p_size
        decided.append(replace(claim, outcome=outcome, verdict=verdict, p_adjusted=p, size_verdict=size, size_p_adjusted=p_size))
    return decided
