"""Arms as five choices, resolved to pieces; and the check of a whole design before anything runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from emosynth import pieces
from emosynth.checks.base import Check
from emosynth.design.cells import Cell, list_cells
from emosynth.errors import UserError
from emosynth.guides.base import Guide
from emosynth.labellers.base import Labeller
from emosynth.learners.base import Learner
from emosynth.params import Arm, Params, WriterSpec

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

    @property
    def written(self) -> bool:
        """Whether a language model wrote its rows."""
        return self.origin is not None

    @cached_property
    def verified(self) -> bool:
        """Whether its checks go beyond a text being there."""
        return {check.name for check in self.checks} != {"nonempty"}

    def runs_on(self, cell: Cell) -> bool:
        """Whether the arm is part of a cell."""
        spec = self.spec
        return (
            (spec.corpora is None or cell.corpus in spec.corpora)
            and (spec.sizes is None or cell.size in spec.sizes)
            and (spec.repeats is None or cell.repeat < spec.repeats)
        )


def writer_spec(params: Params, name: str, where: str = "writers") -> WriterSpec:
    """Return a writer by name; ``plain`` is always there."""
    if name in params.writers:
        return params.writers[name]
    if name == PLAIN:
        return WriterSpec()
    raise _unknown("writer", name, where, [PLAIN, *params.writers])


def growth_of(params: Params, arm: ResolvedArm) -> float:
    """Return how many rows an arm adds per seed row."""
    return params.generation.growth if arm.spec.growth is None else arm.spec.growth


def wanted_rows(params: Params, arm: ResolvedArm, cell: Cell) -> int:
    """Return how many rows an arm adds in a cell; those of ``rows`` are shared out among the repeats."""
    if arm.spec.add == "none":
        return 0
    if arm.spec.rows is not None:
        return max(1, arm.spec.rows // params.cells.repeats_of(cell.corpus))
    return round(growth_of(params, arm) * cell.size)


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
        ``labels.teacher: 0.5``, ``guide.shap-tokens.count: 2``, ``growth: 0.5``.

    Raises
    ------
    UserError
        For an unknown arm, piece, set of checks or setting; it names arm, key and the nearest known name.
    """
    where = f"arms.{name}"
    if spec is None:
        known = {SEED: Arm(add="none")} | params.arms
        if name not in known:
            raise _unknown("arm", name, "arms", known)
        spec = known[name]
    if overrides:
        spec = _overridden(params, spec, overrides, f"sweeps.{name}")
    if spec.add != "written":
        return ResolvedArm(name, spec, dict(overrides or {}), None, (), ())
    return ResolvedArm(
        name, spec, dict(overrides or {}), _origin(params, spec, where), checks_of(params, spec.checks, f"{where}.checks"),
        _labellers(spec.labels, f"{where}.labels"),
    )  # fmt: skip


def _overridden(params: Params, spec: Arm, overrides: Mapping[str, Any], where: str) -> Arm:
    values = spec.model_dump(exclude_unset=True)
    for dotted, value in overrides.items():
        first, *rest = dotted.split(".")
        at = f"{where}.{dotted}"
        if first not in Arm.model_fields:
            raise _unknown("choice of an arm", first, at, Arm.model_fields)
        if not rest:
            values[first] = value
            continue
        holder: Any = values.get(first, {})
        if first == "checks" and isinstance(holder, str) or first == "checks" and not holder:
            holder = {"extends": spec.checks}
        elif first == "labels" and isinstance(holder, str):
            holder = {} if holder == "asked" else {holder: 1.0}
        elif first == "guide":
            holder = {key: setting for key, setting in _guide_items(params, spec.guide, at)[1]}
        if not isinstance(holder, Mapping):
            raise UserError(f"{first} has no parts.", where=at, remedy=f"Sweep over {first} as a whole.")
        values[first] = _put(dict(holder), rest, value)
        if first == "guide":
            values[first] = [{key: setting} for key, setting in values[first].items()]
    try:
        return Arm.model_validate(values)
    except ValidationError as error:
        raise UserError(f"A value of a sweep is not valid: {error.errors()[0]['msg']}.", where=where, remedy="Correct it.") from None


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
            return guide, [item for spec in params.guides[guide] for item in _spec_items(spec, where)]
        return guide, [(guide, None)]
    found = [item for spec in guide for item in _spec_items(spec, where)]
    salt = "+".join(name if setting in (None, {}) else f"{name}({_slug(setting)})" for name, setting in found)
    return salt or "none", found


def _slug(setting: Any) -> str:
    if isinstance(setting, Mapping):
        return ",".join(f"{key}={_slug(value)}" for key, value in sorted(setting.items()))
    return re.sub(r"[^\w.+-]+", "-", str(setting))


def _spec_items(spec: Any, where: str) -> list[tuple[str, Any]]:
    if isinstance(spec, str):
        return [(spec, None)]
    if isinstance(spec, Mapping) and len(spec) == 1:
        return [(str(name), setting) for name, setting in spec.items()]
    raise UserError(f"{spec!r} is no piece.", where=where, remedy="Write its name, or {name: settings}.")


def _origin(params: Params, spec: Arm, where: str) -> Origin:
    salt, items = _guide_items(params, spec.guide, f"{where}.guide")
    if isinstance(spec.guide, str) and spec.guide not in params.guides and spec.guide not in pieces.registered("guide"):
        raise _unknown("guide", spec.guide, f"{where}.guide", [*params.guides, *pieces.registered("guide")])
    guides = tuple(cast(Guide, pieces.build("guide", name, setting, f"{where}.guide")) for name, setting in items)
    shares = {spec.writer: 1.0} if isinstance(spec.writer, str) else dict(spec.writer)
    if not shares or any(weight <= 0 for weight in shares.values()):
        raise UserError("Weights of writers must be above 0.", where=f"{where}.writer", remedy="Leave out a writer that is to write nothing.")
    specs = {name: writer_spec(params, name, f"{where}.writer") for name in shares}
    writer = "+".join(name if len(shares) == 1 else f"{name}({weight:g})" for name, weight in shares.items())
    space = "" if spec.space == "target" else f":{spec.space}"
    tuned = any(item.tune is not None for item in specs.values())
    return Origin(f"{salt}@{writer}{space}", salt, guides, tuple(shares.items()), spec.space, tuned)


def checks_of(params: Params, given: str | Mapping[str, Any], where: str) -> tuple[Check, ...]:
    """Return a set of checks, in order; a setting of null or false takes a check away."""
    merged = _check_settings(params, given, where, ())
    made = [cast(Check, pieces.build("check", name, setting, where)) for name, setting in merged.items()]
    return tuple(sorted(made, key=lambda check: (check.order, check.name)))


def _check_settings(params: Params, given: str | Mapping[str, Any], where: str, above: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(given, str):
        if given == "none":
            return {"nonempty": None}
        if given not in params.checks:
            raise _unknown("set of checks", given, where, ["none", *params.checks])
        if given in above:
            raise UserError(f"The set of checks {given} extends itself.", where=f"checks.{given}.extends", remedy="Break the circle.")
        return _check_settings(params, params.checks[given], f"checks.{given}", (*above, given))
    merged = {} if given.get("extends") is None else _check_settings(params, given["extends"], where, above)
    for name, setting in given.items():
        if name == "extends":
            continue
        pieces.find("check", name, where)
        if setting is None and name in merged or setting is False:
            merged.pop(name, None)
        elif isinstance(setting, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = {**merged[name], **setting}
        elif setting is not None and not isinstance(setting, Mapping) and isinstance(merged.get(name), Mapping):
            main = pieces.find("check", name, where).main
            merged[name] = {**merged[name], **({main: setting} if main is not None else {})}
        else:
            merged[name] = setting
    return {"nonempty": None} | merged


def _labellers(given: str | Mapping[str, Any], where: str) -> tuple[tuple[Labeller, float], ...]:
    items = {given: None} if isinstance(given, str) else dict(given)
    made = [cast(Labeller, pieces.build("labeller", name, setting, where)) for name, setting in items.items() if name != "asked"]
    shares = [(labeller, float(labeller.settings.share)) for labeller in made]
    total = sum(share for _, share in shares)
    if total > 1 + 1e-9:
        raise UserError(f"The shares of labels sum to {total:g}.", where=where, remedy="Let them sum to 1 at most; what is left stays with asked.")
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


def arms_of_origin(params: Params, origin: str) -> list[ResolvedArm]:
    """Return the arms that use an origin's candidates."""
    return [arm for arm in resolve_arms(params).values() if arm.origin is not None and arm.origin.name == origin]


def learners_of(params: Params) -> dict[str, Learner]:
    """Return the learners of a profile by name."""
    return {name: cast(Learner, pieces.build("learner", name, setting, f"learners.{name}")) for name, setting in params.learners.items()}


def offered(arm: ResolvedArm, learner: Learner) -> str:
    """Return why an arm is not offered for a learner; empty: it is."""
    if (arm.spec.mix.order == "first" or arm.spec.after is not None) and not learner.staged:
        return f"{learner.shown_name()} cannot be trained on one set of rows and then on another"
    if arm.spec.mix.steps == "both" and not learner.stepped:
        return f"{learner.shown_name()} is trained to its optimum, not by steps"
    return ""


# --- the check of a design ------------------------------------------------------------------------------


def check_design(params: Params, root: Path, where: str) -> None:
    """Resolve everything that the parameters name, so that what does not go together is an error before work starts.

    Raises
    ------
    UserError
        Naming arm, piece and remedy.
    """
    pieces.load_files([_own(root, file) for file in params.pieces])
    arms = resolve_arms(params)
    for name, arm in arms.items():
        _check_arm(params, arms, name, arm)
    for name, writer in params.writers.items():
        _check_writer(params, name, writer)
    _check_sweeps(params, arms)
    learners = learners_of(params)
    for grid in ("budgets_on", "sweeps_on"):
        for learner in getattr(params.training, grid).learners or []:
            if learner not in learners:
                raise _unknown("learner", learner, f"training.{grid}.learners", learners)
    for name, learner in learners.items():
        for arm_name in learner.settings.arms or []:
            base, _, version = arm_name.partition(":")
            if base not in arms or version not in ("", "unverified"):
                raise _unknown("arm", arm_name, f"learners.{name}.arms", [*arms, *(f"{arm}:unverified" for arm in arms if arms[arm].written)])
    _check_sizes(params, learners)
    if params.context.arm is not None:
        chosen = resolve_arm(params, params.context.arm)
        if chosen.origin is None or chosen.origin.narrative is None:
            raise UserError(f"The arm {chosen.name} writes no contexts.", where="context.arm", remedy="Name an arm that is guided by a narrative.")


def _own(root: Path, file: str) -> Path:
    path = Path(file).expanduser()
    return path if path.is_absolute() else root / path


def _check_arm(params: Params, arms: Mapping[str, ResolvedArm], name: str, arm: ResolvedArm) -> None:
    where, spec = f"arms.{name}", arm.spec
    for other in [*spec.plus, *([spec.after] if spec.after else [])]:
        if other not in arms or other == name:
            raise _unknown("other arm", other, f"{where}.{'after' if other == spec.after else 'plus'}", [key for key in arms if key != name])
        if arms[other].origin is None:
            raise UserError(f"The arm {other} has no written rows.", where=where, remedy="Name an arm with a guide or a writer.")
        if arms[other].spec.plus or arms[other].spec.after:
            raise UserError(f"The arm {other} is itself made of others.", where=where, remedy="Name the arms that it is made of.")
    if arm.origin is None:
        return
    specs = {writer: writer_spec(params, writer) for writer, _ in arm.origin.writers}
    for guide in arm.origin.guides:
        for writer, item in specs.items():
            backend = item.backend or _model(params, item, f"writers.{writer}.model").backend
            if guide.needs_bias and backend != "transformers":
                raise UserError(
                    f"{guide.name} needs a backend that can bias logits, and the writer {writer} has {backend}.",
                    where=where, remedy="Name a writer with backend: transformers.",
                )  # fmt: skip
            if item.tune is not None and not guide.tunable:
                raise UserError(
                    f"A tuned writer was never shown what the guide {guide.name} puts into its prompt.",
                    where=where, remedy=f"Leave out {guide.name}, or use an untuned writer; guides that a writer can be tuned with: "
                    + (", ".join(key for key, cls in pieces.registered("guide").items() if cast(type[Guide], cls).tunable) or "none") + ".",
                )  # fmt: skip
    if spec.space != "target" and spec.rows is None and not arm.origin.needs_seed and arm.origin.narrative is None:
        raise UserError(f"The arm writes {spec.space} labels from nothing.", where=f"{where}.rows", remedy="Say how many rows are wanted in all.")
    if spec.rows is not None and arm.origin.needs_seed:
        raise UserError("Rows of an arm that depends on the seed are wanted by growth.", where=f"{where}.rows", remedy="Set growth instead.")
    if spec.space != "target" and any(guide.needs_seed for guide in arm.origin.guides):
        raise UserError(
            "What a guide takes from the seed has the corpus's labels, and this arm asks for others.",
            where=f"{where}.space", remedy="Leave out space, or that guide.",
        )  # fmt: skip


def _model(params: Params, spec: WriterSpec, where: str) -> Any:
    if spec.model is None:
        return params.models.writer
    if spec.model not in params.models.others:
        raise _unknown("language model", spec.model, where, params.models.others)
    return params.models.others[spec.model]


def _check_writer(params: Params, name: str, spec: WriterSpec) -> None:
    model = _model(params, spec, f"writers.{name}.model")
    if spec.tune is not None and (spec.backend or model.backend) == "server":
        raise UserError(
            "A server cannot be handed tuned weights.", where=f"writers.{name}.tune", remedy="Use backend openvino or transformers, or leave out tune."
        )
    from emosynth.params import Decoding

    strange = [key for key in spec.decoding if key not in Decoding.model_fields]
    if strange:
        raise _unknown("setting of decoding", strange[0], f"writers.{name}.decoding", Decoding.model_fields)


def _check_sweeps(params: Params, arms: Mapping[str, ResolvedArm]) -> None:
    for name, values in params.sweeps.items():
        if name not in arms:
            raise _unknown("arm", name, "sweeps", arms)
        base = arms[name]
        for dotted, tried in values.items():
            where = f"sweeps.{name}.{dotted}"
            for value in tried:
                made = resolve_arm(params, name, overrides={dotted: value})
                if made.origin != base.origin and (made.origin is None or base.origin is None or made.origin.name != base.origin.name):
                    raise UserError("A sweep changes what is written.", where=where, remedy="Make it an arm of its own.")
                known = [check.judge() for check in base.checks]
                strange = [check.name for check in made.checks if check.judge() not in known]
                if strange:
                    raise UserError(
                        f"A sweep needs the check {strange[0]} to be scored anew.", where=where, remedy="Sweep over a threshold, or make it an arm of its own."
                    )
            if dotted == "growth" and base.written and max(map(float, tried)) > growth_of(params, base) + 1e-9:
                raise UserError(
                    f"The arm is written for {growth_of(params, base):g} rows per seed row.", where=where, remedy=f"Raise arms.{name}.growth."
                )


def _check_sizes(params: Params, learners: Mapping[str, Learner]) -> None:
    known = {size for corpus in params.corpora.names for size in params.cells.sizes_of(corpus)}
    lists = [("shap.encoder_sizes", params.shap.encoder_sizes)]
    lists += [("authenticity.size", [params.authenticity.size] if params.authenticity.size is not None else [])]
    lists += [(f"arms.{name}.sizes", arm.sizes or []) for name, arm in params.arms.items()]
    lists += [(f"writers.{name}.sizes", writer.sizes or []) for name, writer in params.writers.items()]
    lists += [(f"learners.{name}.sizes", learner.settings.sizes or []) for name, learner in learners.items()]
    lists += [(f"training.{grid}.sizes", getattr(params.training, grid).sizes or []) for grid in ("budgets_on", "sweeps_on")]
    for where, sizes in lists:
        for size in sizes:
            if size not in known:
                raise UserError(f"{size} is not the size of a seed.", where=where, remedy=f"There are {', '.join(map(str, sorted(known)))}; see cells.")


def cells_of_arm(params: Params, arm: ResolvedArm) -> list[Cell]:
    """Return the cells that an arm runs on."""
    return [cell for cell in list_cells(params) if arm.runs_on(cell)]


def _unknown(what: str, name: object, where: str, known: Iterable[str]) -> UserError:
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}? " if close else ""
    return UserError(f"There is no {what} called {name}.", where=where, remedy=f"{hint}There are: {', '.join(names) or 'none'}.")
