"""Every parameter of the compendium, declared once, typed and checked before work starts.

Values live in ``params.yaml`` (the demo profile) and, where a profile differs, in ``profiles/<profile>.yaml``. Sections are the unit
that a pipeline stage declares: a stage sees the sections that its ``dvc.yaml`` entry names and no others. What a piece can be set
to is declared by the piece itself (`emosynth.pieces`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from emosynth.errors import UserError
from emosynth.params.analysis import Authenticity, Context, Evidence, Figures, Responsible, Shap
from emosynth.params.arms import Arm, Flaw, Grid, Mix, PieceSpec, RowFile, Teacher, Training
from emosynth.params.base import Named, Section, Sizes, addresses, deep_merge, explain, read_file
from emosynth.params.compute import Compute
from emosynth.params.corpora import Cells, CellsOf, Corpora, UserCorpus
from emosynth.params.writing import Decoding, Generation, Generator, Models, Narratives, Tuning, WriterSpec
from emosynth.paths import work_on

__all__ = [
    "Arm", "Authenticity", "Cells", "CellsOf", "Compute", "Context", "Corpora", "Decoding", "Evidence", "Figures", "Flaw", "Generation", "Generator", "Grid",
    "Mix", "Models", "Narratives", "Params", "PieceSpec", "Responsible", "RowFile", "Section", "Shap", "Sizes", "Teacher", "Training", "Tuning", "UserCorpus", "WriterSpec",
    "deep_merge", "explain", "load_params", "read_file", "section_types", "select",
]  # fmt: skip

DEMO_IS_ELSEWHERE = "The demo is what params.yaml says; profiles/demo.yaml would not be read."
_NAME = re.compile(r"[a-z0-9][a-z0-9+-]*")


class Params(Section):
    """All sections of one profile."""

    pieces: list[Named] = Field(default_factory=list, description="Python files with pieces of the user's own")
    corpora: Corpora
    models: Models = Models()
    cells: Cells
    shap: Shap = Shap()
    narratives: Narratives = Narratives()
    tuning: Tuning = Tuning()
    writers: dict[str, WriterSpec] = Field(default_factory=dict, description="who writes, by name; plain is always there")
    guides: dict[str, list[PieceSpec]] = Field(default_factory=dict, description="guides that arms name together")
    generation: Generation = Generation()
    checks: dict[str, dict[str, Any]] = Field(description="sets of checks, by name; none is always there")
    teacher: Teacher = Teacher()
    arms: dict[str, Arm] = Field(min_length=1)
    sweeps: dict[str, dict[str, list[Any]]] = Field(
        default_factory=dict, description="arm -> dotted name of one of its choices -> values tried one at a time"
    )
    learners: dict[str, dict[str, Any]] = Field(min_length=1, description="learners by name, with settings")
    training: Training = Training()
    authenticity: Authenticity = Authenticity()
    context: Context = Context()
    responsible: Responsible = Responsible()
    evidence: Evidence = Evidence()
    figures: Figures = Figures()
    compute: Compute = Compute()

    @field_validator("arms")
    @classmethod
    def _run(cls, arms: dict[str, Arm]) -> dict[str, Arm]:
        if not any(arm.run for arm in arms.values()):
            raise ValueError("none of them runs; give one run: true")
        return {name: arm for name, arm in arms.items() if arm.run}

    @model_validator(mode="after")
    def _names(self) -> Params:
        named: dict[str, Any] = {section: getattr(self, section) for section in ("arms", "writers", "guides", "checks")}
        for section, names in (named | {"models.others": self.models.others}).items():
            for name in names:
                if not _NAME.fullmatch(name):  # they stand in commands too
                    raise ValueError(f"{section}.{name}: names are lower-case letters, digits, and + - between them")
        known = set(self.corpora.names)
        lists = [("cells.per", list(self.cells.per)), *((f"arms.{name}.corpora", arm.corpora or []) for name, arm in self.arms.items())]
        lists += [(f"training.{grid}.corpora", getattr(self.training, grid).corpora or []) for grid in ("budgets_on", "sweeps_on")]
        for where, names in lists:
            strange = [name for name in names if name not in known]
            if strange:
                raise ValueError(f"{where}: {strange[0]} is not built; there are {', '.join(self.corpora.names)}")
        return self


def section_types() -> dict[str, Any]:
    """Return the annotated type of each section by name."""
    return {name: field.annotation for name, field in Params.model_fields.items()}


def load_params(root: str | os.PathLike[str], profile: str) -> Params:
    """Load and validate the parameters of a profile, its arms and pieces included.

    Raises
    ------
    UserError
        If the profile does not exist, a value is misspelt, missing or of the wrong type, or choices do not go together.
    """
    from emosynth.params.design import check_design, check_repeats

    root, profile = Path(root), work_on(profile)
    if profile == "demo" and (root / "profiles" / "demo.yaml").exists():
        raise UserError(
            DEMO_IS_ELSEWHERE, where="profiles/demo.yaml", remedy="Move what differs to params.yaml, or give the profile another name."
        )
    base, overlay = read_file(root / "params.yaml"), {}
    where = "params.yaml"
    if profile != "demo":
        overlay = read_file(root / "profiles" / f"{profile}.yaml")
        base = deep_merge(base, overlay)
        where = f"params.yaml + profiles/{profile}.yaml"
    params = validate(base, where, root)
    check_presets(base, overlay, where)
    check_design(params, root, where)
    check_repeats(params, overlay)
    return params


def validate(values: dict[str, Any], where: str, root: Path | None = None) -> Params:
    """Return values as parameters; raises UserError naming every offending key, and the nearest of the models that the catalogue of ``root`` has."""
    told = [f"{key}: the {'field' if '.extra.' in key else 'address'} holds {what}" for key, what in addresses(values)]
    if told:
        raise UserError(
            "Parameters are written to files that others see, and may hold no secrets:",
            lines=told,
            where=where,
            remedy="Leave it out of the address; put a key into the environment variable that api_key_env names (EMOSYNTH_API_KEY).",
        )
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise explain(error, where, Params, models=_models(root)) from None


def _models(root: Path | None) -> list[str]:
    """Return the models of the catalogue, for an error that proposes one; a catalogue that cannot be read is told of elsewhere."""
    try:
        entries = {} if root is None else read_file(root / "data" / "catalog.yaml")
    except UserError:
        return []
    return [name for name, entry in entries.items() if isinstance(entry, Mapping) and entry.get("kind") == "model"]


_WHEN = {"run", "sizes", "repeats", "corpora"}


def check_presets(values: Mapping[str, Any], overlay: Mapping[str, Any], where: str) -> None:
    """Check that arms that are off are not counted on, and that one that is switched on is there.

    Parameters
    ----------
    values
        What was validated.
    overlay
        What the profile's own file says of it.

    Raises
    ------
    UserError
        If an arm that is off is named elsewhere or changed without being switched on, or an arm says when it runs and nothing else.
    """
    arms: dict[str, dict[str, Any]] = {name: arm or {} for name, arm in values["arms"].items()}
    off = {name for name, arm in arms.items() if arm.get("run", True) is False}
    for name, arm in arms.items():
        if "run" in arm and arm.keys() <= _WHEN:
            near = difflib.get_close_matches(name, [other for other in arms if other != name], n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise UserError(
                f"The arm {name} says when it runs, and nothing of what it does.", where=f"{where}, arms.{name}",
                remedy=f"{hint}A preset is switched on by its name; an arm of your own has a guide, a writer, checks, labels or a mix.",
            )  # fmt: skip
    changed = overlay.get("arms") or {}
    named = [(f"arms.{name}", name) for name, arm in changed.items() if isinstance(arm, Mapping) and "run" not in arm]
    named += [(f"sweeps.{name}", name) for name in values.get("sweeps") or {}]
    for learner, settings in (values.get("learners") or {}).items():
        named += [(f"learners.{learner}.arms", str(name).partition(":")[0]) for name in (settings or {}).get("arms") or []]
    for name, arm in arms.items():
        if name not in off:
            named += [(f"arms.{name}.after", arm.get("after")), *((f"arms.{name}.plus", other) for other in arm.get("plus") or [])]
    responsible = values.get("responsible") or {}
    named += [
        ("responsible.collapse.arm", (responsible.get("collapse") or {}).get("arm")),
        ("context.arm", (values.get("context") or {}).get("arm")),
    ]
    for key, name in named:
        if name in off:
            raise UserError(
                f"The arm {name} is off (run: false), and {key} counts on it.", where=where,
                remedy=f"Switch it on, arms: {{{name}: {{run: true}}}}, or take it out there.",
            )  # fmt: skip


def select(params: Params, sections: Iterable[str]) -> dict[str, Any]:
    """Return only the sections named, as a stage may see them."""
    return {name: getattr(params, name) for name in sections}
