"""What a notebook opens first: its places, its catalogue, and the parameters that its stage has declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from emosynth.catalog import Catalog
from emosynth.catalog.kept import sweep
from emosynth.display import prepare_notebook
from emosynth.errors import UserError
from emosynth.parallel import use_engine
from emosynth.params import Arm, Evidence, Figures, Models, Params, load_params, validate
from emosynth.params.design import check_design
from emosynth.paths import Paths, repository_root, work_on
from emosynth.pipeline import Stage, stage
from emosynth.progress import catch_warnings, say

Model = TypeVar("Model", bound=BaseModel)


class Undeclared(UserError, AttributeError):
    """A stage read a parameter that it does not declare."""


@dataclass(frozen=True)
class Session:
    """One run of one stage.

    Attributes
    ----------
    paths
        Places of the profile.
    catalog
        Corpora, models and lexicons.
    params
        The parameters as the stage may see them, see `declared`.
    """

    paths: Paths
    catalog: Catalog
    params: Params


def declared(params: Params, item: Stage) -> Params:
    """Return parameters as a stage may see them.

    A section that the stage has not declared raises `Undeclared`; of arms, only the fields that it has declared are there, the others are
    at their defaults. Figures in notebooks have the default style and confidence, so that a change of these makes the report again and
    nothing else.
    """
    values = {name: getattr(params, name) for name in item.sections}
    if "arms" in values and item.arm_fields is not None:
        kept = set(item.arm_fields)
        values["arms"] = {name: _seen(arm, kept) for name, arm in params.arms.items()}
    if "models" in values and item.model_fields is not None:
        given = {name: getattr(params.models, name) for name in item.model_fields if name in params.models.model_fields_set}
        defaults = {name: getattr(params.models, name) for name in item.model_fields}
        values["models"] = _part(Models, given, defaults, f"{item.name}: models.")
    for name, default in (("figures", Figures()), ("evidence", Evidence())):
        values.setdefault(name, default)
    return _part(Params, values, {}, f"{item.name}: ")


def _seen(arm: Arm, kept: set[str]) -> Arm:
    fields = {name: getattr(arm, name) for name in sorted(arm.model_fields_set & kept)}
    if "checks" not in kept and arm.add == "written":
        fields["checks"] = "none"  # the default is a name that only the section checks explains
    return Arm(**fields)


def _part(model: type[Model], given: dict[str, Any], defaults: dict[str, Any], where: str) -> Model:
    """Return a model that has some of its fields; others raise `Undeclared`."""

    class Part(model):  # type: ignore[valid-type, misc]
        def __getattr__(self, name: str) -> Any:
            if name not in model.model_fields:
                raise AttributeError(name)
            raise Undeclared(
                "A stage read a parameter that it has not declared.",
                where=where + name,
                remedy="Declare it in src/emosynth/pipeline.py and in the parameter cell of the notebook.",
            )

    made: Model = Part.model_construct(**given)
    for name in set(model.model_fields) - set(given):
        if name in defaults:
            made.__dict__[name] = defaults[name]
        else:
            made.__dict__.pop(name, None)
    return made


def plain(value: Any) -> Any:
    """Return parameters as JSON has them: what was set, without defaults."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def _overlaid(params: Params, given: Mapping[str, Any], root: Path, where: str) -> Params:
    """Return parameters with what a notebook was given laid over them: an arm, or ``models``, field by field."""
    values = plain(params)
    changed = {**values, **given}
    if "arms" in given:
        changed["arms"] = {name: {**values["arms"].get(name, {}), **arm} for name, arm in given["arms"].items()}
    if "models" in given:
        changed["models"] = {**values.get("models", {}), **given["models"]}
    if changed == values:
        return params
    made = validate(changed, where)
    check_design(made, root, where)
    return made


def open_session(name: str, profile: str, root: str | Path | None = None, **given: Any) -> Session:
    """Open a stage from its notebook.

    Parameters
    ----------
    name
        Stage.
    profile
        Profile whose parameters and places are used.
    given
        The stage's sections as injected by papermill; None: as the profile's files say.

    Raises
    ------
    UserError
        If the sections given are not those that the stage declares, a value is not valid, or choices do not go together.
    """
    item = stage(name)
    if set(given) != set(item.sections):
        raise UserError(
            f"The notebook's parameters are {sorted(given)}, the stage declares {sorted(item.sections)}.",
            where=f"notebooks/{name}.ipynb",
            remedy="Make the parameter cell and src/emosynth/pipeline.py agree.",
        )
    catch_warnings()
    paths = Paths(repository_root(root), work_on(profile))
    params = load_params(paths.root, profile)
    changed = {section: values for section, values in given.items() if values is not None}
    if changed:
        params = _overlaid(params, changed, paths.root, f"notebooks/{name}.ipynb")
    use_engine(params.compute)
    prepare_notebook()
    sweep(paths.cache)
    # What is downloaded once must not stand in one run's notebook and be missing in the next one's.
    return Session(paths, replace(Catalog.load(paths), progress=say), declared(params, item))
