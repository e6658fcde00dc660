"""Arms as five choices, resolved to pieces."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from pydantic import ValidationError

from emosynth import pieces
from emosynth.checks.base import Check
from emosynth.design.cells import Cell, in_sizes, list_cells, quotas
from emosynth.errors import UserError
from emosynth.guides.base import Guide
from emosynth.labellers.base import Labeller
from emosynth.learners.base import Learner
from emosynth.params import Arm, Params, WriterSpec, explain

PLAIN = "plain"
SEED = "seed"
"""Name of the arm that adds nothing; it is always there."""


@dataclass(frozen=True)
class Origin:
    """What makes a candidate: guide, writer and space. Arms of one origin share their candidates.

    Attributes
    ----------
    name
        Readable and unique, e.g. ``shap@plain``, ``narrative@plain:goemotions``.
    salt
        Names the draws of prompts: the guide as the arm spells it. Texts stay the same when an arm is renamed.
    writers
        Names of writers with their weights.
    space
        ``target`` or a taxonomy.
    """

    name: str
    salt: str
    guides: tuple[Guide, ...]
    writers: tuple[tuple[str, float], ...]
    space: str
    tuned: bool

    @property
    def needs_seed(self) -> bool:
        """Whether its texts depend on the seed."""
        return self.tuned or any(guide.needs_seed for guide in self.guides)

    @property
    def edits(self) -> Guide | None:
        """The guide that makes the texts itself, of rows of the seed, if there is one."""
        return next((guide for guide in self.guides if guide.edits), None)

    @property
    def narrative(self) -> Guide | None:
        """The guide that writes from passages, if there is one."""
        return next((guide for guide in self.guides if guide.narrative), None)


@dataclass(frozen=True)
class ResolvedArm:
    """An arm with its pieces.

    Attributes
    ----------
    overrides
        What a sweep changes, by dotted name.
    checks
        In order of `Check.order`.
    labellers
        With their shares; `asked` has what the others leave, and all sum to 1.
    """

    name: str
    spec: Arm
    overrides: Mapping[str, Any]
    origin: Origin | None
    checks: tuple[Check, ...]
    labellers: tuple[tuple[Labeller, float], ...]
    params: Params = field(repr=False, compare=False)

    @property
    def written(self) -> bool:
        """Whether its rows were made: by a language model, or by edits of the seed's."""
        return self.origin is not None

    @cached_property
    def verified(self) -> bool:
        """Whether its checks go beyond a text being there."""
        return {check.name for check in self.checks} != {"nonempty"}

    @property
    def relabelled(self) -> bool:
        """Whether a labeller gives its rows labels of the corpus, whatever list of labels they were asked for in."""
        return any(share > 0 and labeller.in_space == "corpus" and not labeller.distils for labeller, share in self.labellers)

    def runs_on(self, cell: Cell) -> bool:
        """Whether the arm is part of a cell."""
        spec = self.spec
        return (
            (spec.corpora is None or cell.corpus in spec.corpora)
            and in_sizes(self.params, spec.sizes, cell)
            and (spec.repeats is None or cell.repeat < spec.repeats)
        )


def writer_spec(params: Params, name: str, where: str = "writers") -> WriterSpec:
    """Return a writer by name; ``plain`` is always there."""
    if name in params.writers:
        return params.writers[name]
    if name == PLAIN:
        return WriterSpec()
    raise unknown("writer", name, where, [PLAIN, *params.writers])


def growth_of(params: Params, arm: ResolvedArm) -> float:
    """Return how many rows an arm adds per seed row."""
    return params.generation.growth if arm.spec.growth is None else arm.spec.growth


def oversample_of(params: Params, arm: ResolvedArm) -> float:
    """Return how many candidates are written per wanted row."""
    return params.generation.oversample if arm.spec.oversample is None else arm.spec.oversample


def wanted_rows(params: Params, arm: ResolvedArm, cell: Cell) -> int:
    """Return how many rows an arm adds in a cell; those of ``rows`` are shared out among the repeats."""
    if arm.spec.add == "none":
        return 0
    if arm.spec.rows is not None:
        return max(1, arm.spec.rows // params.cells.repeats_of(cell.corpus))
    return round(growth_of(params, arm) * cell.size)


def own_rows(params: Params, arm: ResolvedArm, cell: Cell) -> int:
    """Return how many of the rows that an arm adds in a cell are its own: it shares them equally with the arms in ``plus``."""
    return quotas(wanted_rows(params, arm, cell), [arm.name, *arm.spec.plus])[arm.name]


def arm_title(params: Params, name: str) -> str:
    """Return an arm's name for readers."""
    if name in params.arms and params.arms[name].title:
        return params.arms[name].title
    return "labels alone" if name == SEED else name.replace("-", " ")


# --- resolving ------------------------------------------------------------------------------------------


def resolve_arms(params: Params) -> dict[str, ResolvedArm]:
    """Return all arms by name, `SEED` first."""
    arms = {SEED: Arm(add="none")} | params.arms
    return {name: resolve_arm(params, name, spec) for name, spec in arms.items()}


def resolve_arm(params: Params, name: str, spec: Arm | None = None, overrides: Mapping[str, Any] | None = None) -> ResolvedArm:
    """Return an arm with its pieces.

    Parameters
    ----------
    overrides
        Dotted names of choices and their values, as sweeps have them: ``checks.confidence: 0.7``, ``mix.weight: 0.3``,
        ``labels.teacher: 0.5``, ``guide.shap-tokens.count: 2``, ``growth: 0.5``; ``changes: [a, b]`` makes changes that the arm names.

    Raises
    ------
    UserError
        For an unknown arm, piece, set of checks or setting; it names arm, key and the nearest known name.
    """
    where = f"arms.{name}"
    if spec is None:
        known = {SEED: Arm(add="none")} | params.arms
        if name not in known:
            raise unknown("arm", name, "arms", known)
        spec = known[name]
    if overrides:
        spec = _overridden(params, spec, _expanded(spec, overrides, name), f"sweeps.{name}")
    if spec.add != "written":
        # Rows as they are annotated have no labellers.
        labellers = () if spec.labels == "asked" else _labellers(spec.labels, f"{where}.labels")
        return ResolvedArm(name, spec, dict(overrides or {}), None, (), labellers, params)
    return ResolvedArm(
        name, spec, dict(overrides or {}), _origin(params, spec, where), checks_of(params, spec.checks, f"{where}.checks"),
        _labellers(spec.labels, f"{where}.labels"), params,
    )  # fmt: skip


def _expanded(spec: Arm, overrides: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return overrides with the changes that they name spelled out; lists of several are joined."""
    out = {key: value for key, value in overrides.items() if key != "changes"}
    for change in overrides.get("changes", ()):
        if change not in spec.changes:
            raise unknown("change of this arm", change, f"sweeps.{name}.changes", spec.changes)
        for key, value in spec.changes[change].items():
            if key in out and out[key] != value and not isinstance(value, list):
                raise UserError(f"Two changes set {key}.", where=f"arms.{name}.changes.{change}", remedy="Make them one change.")
            out[key] = [*out[key], *value] if key in out and isinstance(value, list) else value
    return out


def changed_arms(arm: ResolvedArm) -> list[ResolvedArm]:
    """Return an arm with each of its changes alone, and with all: what these need is scored and labelled beforehand, whoever sweeps over them."""
    names = list(arm.spec.changes)
    sets = [*([name] for name in names), *([names] if len(names) > 1 else [])]
    return [resolve_arm(arm.params, arm.name, overrides={"changes": chosen}) for chosen in sets]


def _overridden(params: Params, spec: Arm, overrides: Mapping[str, Any], where: str) -> Arm:
    values = spec.model_dump(exclude_unset=True)
    for dotted, value in overrides.items():
        first, *rest = dotted.split(".")
        at = f"{where}.{dotted}"
        if first not in Arm.model_fields:
            raise unknown("choice of an arm", first, at, Arm.model_fields)
        if not rest:
            values[first] = value
            continue
        holder: Any = values.get(first, {})
        if first == "checks" and (isinstance(holder, str) or not holder):
            holder = {"extends": spec.checks}
        elif first == "labels" and isinstance(holder, str):
            holder = {} if holder == "asked" else {holder: 1.0}
        elif first == "guide":
            holder = dict(_guide_items(params, spec.guide, at)[1])
        if not isinstance(holder, Mapping):
            raise UserError(f"{first} has no parts.", where=at, remedy=f"Sweep over {first} as a whole.")
        values[first] = _put(dict(holder), rest, value)
        if first == "guide":
            values[first] = [{key: setting} for key, setting in values[first].items()]
    try:
        return Arm.model_validate(values)
    except ValidationError as error:
        raise explain(error, where, Arm, "The sweep is not valid:") from None


def _put(holder: dict[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    key, *rest = path
    if not rest:
        old = holder.get(key)
        holder[key] = {**old, "share": value} if isinstance(old, dict) and "share" in old else value
        return holder
    inner = holder.get(key)
    holder[key] = _put(dict(inner) if isinstance(inner, Mapping) else {}, rest, value)
    return holder


def _guide_items(params: Params, guide: str | Sequence[Any], where: str) -> tuple[str, list[tuple[str, Any]]]:
    """Return the salt of a guide and its pieces with settings."""
    if isinstance(guide, str):
        if guide in params.guides:
            return guide, [item for spec in params.guides[guide] for item in spec_items(spec, where)]
        return guide, [(guide, None)]
    found = [item for spec in guide for item in spec_items(spec, where)]
    salt = "+".join(name if setting in (None, {}) else f"{name}({_slug(setting)})" for name, setting in found)
    return salt or "none", found


def _slug(setting: Any) -> str:
    if isinstance(setting, Mapping):
        return ",".join(f"{key}={_slug(value)}" for key, value in sorted(setting.items()))
    return re.sub(r"[^\w.+-]+", "-", str(setting))


def spec_items(spec: Any, where: str) -> list[tuple[str, Any]]:
    """Return the piece that a part of a guide names, with its settings: one of each."""
    if isinstance(spec, str):
        return [(spec, None)]
    if isinstance(spec, Mapping) and len(spec) == 1:
        return [(str(name), setting) for name, setting in spec.items()]
    raise UserError(f"{spec!r} is no piece.", where=where, remedy="Write its name, or {name: settings}.")


def _origin(params: Params, spec: Arm, where: str) -> Origin:
    salt, items = _guide_items(params, spec.guide, f"{where}.guide")
    if isinstance(spec.guide, str) and spec.guide not in params.guides and spec.guide not in pieces.registered("guide"):
        raise unknown("guide", spec.guide, f"{where}.guide", [*params.guides, *pieces.registered("guide")])
    guides = tuple(cast(Guide, pieces.build("guide", name, setting, f"{where}.guide")) for name, setting in items)
    editing = next((guide for guide in guides if guide.edits), None)
    if editing is not None:
        if len(guides) > 1 or spec.writer != PLAIN or spec.space != "target":
            raise UserError(
                f"{editing.name} makes texts of the seed's rows: there is no prompt, no writer, and no other label.",
                where=where, remedy="Leave out writer, space and all other guides.",
            )  # fmt: skip
        return Origin(f"{salt}@none", salt, guides, (), spec.space, False)
    shares = {spec.writer: 1.0} if isinstance(spec.writer, str) else dict(spec.writer)
    if not shares or any(weight <= 0 for weight in shares.values()):
        raise UserError(
            "Weights of writers must be above 0.", where=f"{where}.writer", remedy="Leave out a writer that is to write nothing."
        )
    specs = {name: writer_spec(params, name, f"{where}.writer") for name in shares}
    writer = "+".join(name if len(shares) == 1 else f"{name}({weight:g})" for name, weight in shares.items())
    space = "" if spec.space == "target" else f":{spec.space}"
    tuned = any(item.tune is not None for item in specs.values())
    return Origin(f"{salt}@{writer}{space}", salt, guides, tuple(shares.items()), spec.space, tuned)


def checks_of(params: Params, given: str | Mapping[str, Any], where: str) -> tuple[Check, ...]:
    """Return a set of checks, in order; null or false takes a check away that an extended set has."""
    merged = _check_settings(params, given, where, ())
    made = [cast(Check, pieces.build("check", name, setting, where)) for name, setting in merged.items()]
    return tuple(sorted(made, key=lambda check: (check.order, check.name)))


def _check_settings(params: Params, given: str | Mapping[str, Any], where: str, above: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(given, str):
        if given == "none":
            return {"nonempty": None}
        if given not in params.checks:
            raise unknown("set of checks", given, where, ["none", *params.checks])
        if given in above:
            raise UserError(f"The set of checks {given} extends itself.", where=f"checks.{given}.extends", remedy="Break the circle.")
        return _check_settings(params, params.checks[given], f"checks.{given}", (*above, given))
    merged = {} if given.get("extends") is None else _check_settings(params, given["extends"], where, above)
    for name, setting in given.items():
        if name == "extends":
            continue
        pieces.find("check", name, where)
        if setting is None or setting is False:
            merged.pop(name, None)
        elif isinstance(setting, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = {**merged[name], **setting}
        elif not isinstance(setting, Mapping) and isinstance(merged.get(name), Mapping):
            main = pieces.find("check", name, where).main
            merged[name] = {**merged[name], **({main: setting} if main is not None else {})}
        else:
            merged[name] = setting
    return {"nonempty": None} | merged


def _labellers(given: str | Mapping[str, Any], where: str) -> tuple[tuple[Labeller, float], ...]:
    items = {given: None} if isinstance(given, str) else dict(given)
    made = [cast(Labeller, pieces.build("labeller", name, setting, where)) for name, setting in items.items() if name != "asked"]
    resting = [labeller.name for labeller in made if labeller.settings.share == "rest"]
    if len(resting) > 1:
        raise UserError(f"The rest cannot go to {' and to '.join(resting)}.", where=where, remedy="Let one of them have a number.")
    shares = [(labeller, 0.0 if labeller.settings.share == "rest" else float(labeller.settings.share)) for labeller in made]
    total = sum(share for _, share in shares)
    if resting and total <= 1:
        shares, total = [(labeller, share if labeller.settings.share != "rest" else 1.0 - total) for labeller, share in shares], 1.0
    if total > 1 + 1e-9:
        raise UserError(
            f"The shares of labels sum to {total:g}.", where=where, remedy="Let them sum to 1 at most; what is left stays with asked."
        )
    asked = cast(Labeller, pieces.build("labeller", "asked", None, where))
    return ((asked, max(0.0, 1.0 - total)), *[(labeller, share) for labeller, share in shares if share > 0])


# --- origins and learners -------------------------------------------------------------------------------


def list_origins(params: Params) -> dict[str, Origin]:
    """Return every origin that an arm has, by name, in order of arms."""
    found: dict[str, Origin] = {}
    for arm in resolve_arms(params).values():
        if arm.origin is not None:
            found.setdefault(arm.origin.name, arm.origin)
    return found


def learners_of(params: Params) -> dict[str, Learner]:
    """Return the learners of a profile by name."""
    return {name: cast(Learner, pieces.build("learner", name, setting, f"learners.{name}")) for name, setting in params.learners.items()}


def offered(arm: ResolvedArm, learner: Learner) -> str:
    """Return why an arm is not offered for a learner; empty: it is."""
    if learner.seed_only and arm.name != SEED:
        return f"{learner.shown_name()} is shown rows of the seed alone and trained on none"
    if (arm.spec.mix.order == "first" or arm.spec.after is not None) and not learner.staged:
        return f"{learner.shown_name()} cannot be trained on one set of rows and then on another"
    if arm.spec.mix.steps == "both" and not learner.stepped:
        return f"{learner.shown_name()} is trained to its optimum, not by steps"
    if arm.spec.mix.steps == "epochs" and learner.stepped and "steps" not in type(learner.settings).model_fields:
        return f"{learner.shown_name()} has no number of steps that could be raised"
    return ""


def cells_of_arm(params: Params, arm: ResolvedArm) -> list[Cell]:
    """Return the cells that an arm runs on."""
    return [cell for cell in list_cells(params) if arm.runs_on(cell)]


def unknown(what: str, name: object, where: str, known: Iterable[str]) -> UserError:
    """Return the error that answers an unknown name with the nearest known one."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}? " if close else ""
    return UserError(f"There is no {what} called {name}.", where=where, remedy=f"{hint}There are: {', '.join(names) or 'none'}.")
