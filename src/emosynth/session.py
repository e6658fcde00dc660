"""What a notebook opens first: its places, its catalogue, and the parameters it has declared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emosynth.catalog import Catalog
from emosynth.display import show_figures
from emosynth.errors import UserError
from emosynth.params import Section, explain, load_params, section_models, select
from emosynth.paths import Paths, repository_root
from emosynth.pipeline import stage
from emosynth.progress import say


@dataclass(frozen=True)
class Session:
    """One run of one stage.

    Attributes
    ----------
    paths
        Places of the profile.
    catalog
        Corpora, models and lexicons.
    sections
        The declared parameters by section; ``session.corpora`` is short for ``session.sections["corpora"]``.
    """

    paths: Paths
    catalog: Catalog
    sections: dict[str, Section]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["sections"][name]
        except KeyError:
            raise AttributeError(f"This stage has not declared the parameters {name!r}; see src/emosynth/pipeline.py.") from None


def open_session(name: str, profile: str, root: str | Path | None = None, **given: dict[str, Any] | None) -> Session:
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
        If the sections given are not those that the stage declares, or a value is not valid.
    """
    declared = stage(name).sections
    if set(given) != set(declared):
        raise UserError(
            f"The notebook's parameters are {sorted(given)}, the stage declares {sorted(declared)}.",
            where=f"notebooks/{name}.ipynb",
            remedy="Make the parameter cell and src/emosynth/pipeline.py agree.",
        )
    paths = Paths(repository_root(root), profile)
    missing = [section for section in declared if given[section] is None]
    sections: dict[str, Section] = select(load_params(paths.root, profile), missing) if missing else {}
    models = section_models()
    for section, values in given.items():
        if values is not None:
            try:
                sections[section] = models[section].model_validate(values)
            except ValidationError as error:
                raise explain(error, f"notebooks/{name}.ipynb, {section}") from None
    show_figures()
    # What is downloaded once must not stand in one run's notebook and be missing in the next one's.
    return Session(paths, replace(Catalog.load(paths), progress=say), sections)
