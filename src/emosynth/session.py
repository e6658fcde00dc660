"""What a notebook opens first: its places, its catalogue, and the parameters that its stage has declared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from emosynth.catalog import Catalog
from emosynth.display import show_figures
from emosynth.errors import UserError
from emosynth.params import Arm, Figures, Params, load_params, validate
from emosynth.paths import Paths, repository_root
from emosynth.pipeline import Stage, stage
from emosynth.progress import say


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
    at their defaults. Figures in notebooks have the default style, so that a change of style draws the report again and nothing else.
    """
    values = {name: getattr(params, name) for name in item.sections}
    if "arms" in values and item.arm_fields is not None:
        kept = set(item.arm_fields)
        values["arms"] = {
            name: Arm(**{field: getattr(arm, field) for field in sorted(arm.model_fields_set & kept)}) for name, arm in params.arms.items()
        }
    if "models" in values and item.model_fields is not None:
        values["models"] = _part(params.models, item.model_fields, f"models.{{}} of the stage {item.name}")
    values.setdefault("figures", Figures())
    return _part(params, values, f"{{}} of the stage {item.name}", values)


def _part[Model: BaseModel](model: Model, names: Collection[str], where: str, values: Mapping[str, Any] | None = None) -> Model:
    raise NotImplementedError


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
    paths = Paths(repository_root(root), profile)
    params = load_params(paths.root, profile)
    changed = {section: values for section, values in given.items() if values is not None}
    if changed:
        params = _overlaid(params, changed, paths.root, f"notebooks/{name}.ipynb")
    show_figures()
    # What is downloaded once must not stand in one run's notebook and be missing in the next one's.
    return Session(paths, replace(Catalog.load(paths), progress=say), declared(params, item))
