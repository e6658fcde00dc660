"""Sections about arms: five choices each, and what is swept over."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from emosynth.params.base import Named, Section, Sizes

PieceSpec = str | dict[str, Any]
"""A piece by name, or ``{name: settings}``."""

Flaw = Literal["oracle-teacher", "oracle-writer", "mixed-evaluation", "double-softmax", "batch-weights"]

NONE: dict[str, Any] = {"nonempty": None}
"""The checks of ``checks: none``: a text must be there."""


class Mix(Section):
    """How an arm's rows meet the seed."""

    weight: float = Field(1.0, gt=0, le=10, description="β: weight of an added row; rows of the seed weigh 1")
    order: Literal["joint", "first", "only"] = Field(
        "joint", description="joint: one training on both; first: added rows first, then the seed; only: added rows alone"
    )
    temperature: float = Field(1.0, gt=0, description="T of the distillation loss, where labels of the teacher have a share")
    soft_seed: bool = Field(True, description="whether rows of the seed get the teacher's soft labels too")
    steps: Literal["one", "both", "epochs"] = Field(
        "one",
        description="gradient steps of a fine-tuned learner: of one stage; of both stages together; as many passes over all rows as one stage has "
        "over the seed, so that more rows get more steps",
    )
    select: Literal["index", "random"] | list[str] = Field(
        "index",
        description="index: accepted rows; random: the control of a filter, as many rows of each class as the checks accept, drawn from all; "
        "a list of checks: drawn from the rows that the other checks accept",
    )
    balance: bool = Field(True, description="class weights: all classes of a single-label corpus have the same mass in the loss")


class RowFile(Section):
    """Rows that were published, or written elsewhere: files with columns of their own."""

    path: Named = Field(
        min_length=1,
        description="CSV, TSV, JSON, JSONL or Parquet; * and ** stand for any name. From the repository, else from EMOSYNTH_MIRROR, else in hub",
    )
    hub: str | None = Field(
        None, pattern=r"^[\w.-]+/[\w.-]+(@[\w.-]+)?$", description="data set of the hub that holds the path, owner/name@revision"
    )
    text: str = Field("text", description="name of the text column")
    labels: str = Field("labels", description="name of the column of labels: names, places in the space, or pairs of a label and its share")
    label_separator: str | None = Field(None, min_length=1, description="splits several labels in one cell of text")
    least: float = Field(0.0, ge=0, le=1, description="labels with a smaller share are left out")
    synthetic: bool = Field(True, description="whether the rows were written by a model")


class Arm(Section):
    """A way to grow a seed."""

    run: bool = Field(True, description="false: a preset that a profile switches on")
    title: str = Field("", description="name for readers; empty: the arm's name")
    add: Literal["written", "none", "real", "real-balanced", "unlabelled", "other-corpora", "file"] = Field(
        "written",
        description="what is added to the seed: written rows, nothing, real rows of the pool (as they come, or class-balanced), "
        "rows of the pool without their labels, rows of other corpora, rows of a file",
    )
    guide: str | list[PieceSpec] = Field(
        default_factory=list, description="what a prompt shows besides the class: pieces, or a name in guides"
    )
    writer: str | dict[str, float] = Field("plain", description="a name in writers, or several with weights")
    space: str = Field("target", description="labels that are asked for: target, or a taxonomy")
    checks: str | dict[str, Any] = Field(
        "basic", description="a name in checks, or checks with settings; extends: names a set to start from"
    )
    labels: str | dict[str, Any] = Field(
        "asked", description="labellers by share; what is left of 1 stays with asked. Of an arm that adds nothing: of the seed's rows"
    )
    file: RowFile | None = Field(None, description="add: file: where its rows are; space says what their labels are of")
    mix: Mix = Mix()
    after: str | None = Field(None, description="an arm whose rows the learner is trained on first")
    plus: list[str] = Field(default_factory=list, description="arms whose rows are added in equal shares, the total as wanted")
    growth: float | None = Field(None, gt=0, description="rows added per seed row; None: generation.growth")
    oversample: float | None = Field(None, ge=1, description="candidates written per wanted row; None: generation.oversample")
    rows: int | None = Field(None, ge=1, description="rows wanted in all, for arms that owe nothing to a seed; each repeat has its share")
    flaws: list[Flaw] = Field(default_factory=list, description="departures of a published code from its report, switched on")
    changes: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="named changes of these choices, by dotted names as in sweeps; a sweep over changes makes some of them together",
    )
    corpora: list[str] | None = Field(None, description="corpora this arm runs on; None: all")
    sizes: Sizes | None = Field(None, description="seed sizes this arm runs on: a list, or largest; None: all")
    repeats: int | None = Field(None, ge=1, description="repeats this arm runs on; None: all")
    unverified: bool | None = Field(None, description="also train on its rows as written; None: as training.unverified says")

    @model_validator(mode="after")
    def _real(self) -> Arm:
        own = {"guide", "writer", "space", "checks", "labels", "rows", "flaws", "changes"} & self.model_fields_set
        own -= {"labels"} if self.add in ("none", "unlabelled") else {"space", "rows"} if self.add == "file" else set()
        if self.add != "written" and own:
            raise ValueError(f"{min(own)}: says something of written rows, and this arm adds {self.add} rows")
        if self.add == "none" and (more := {"growth", "oversample"} & self.model_fields_set):
            raise ValueError(f"{min(more)}: says how many rows are added, and this arm adds none; leave it out")
        if self.file is not None and self.add != "file":
            raise ValueError("file: says where the rows of add: file are, and this arm adds others")
        return self


class Teacher(Section):
    """The classifier, fitted on each seed, that verifies candidates and gives them soft labels."""

    kind: Literal["tfidf", "embedding", "encoder"] = "embedding"
    folds: int = Field(5, ge=2, description="folds of the seed whose out-of-fold logits the temperature is fitted on")


class Grid(Section):
    """The part of the design that sweeps and budgets run on."""

    corpora: list[str] | None = None
    sizes: Sizes | None = Field("largest", description="a list, or largest; None: all")
    repeats: int | None = Field(None, ge=1)
    learners: list[str] | None = None


class Training(Section):
    """What all learners have in common."""

    scored_on: Literal["test", "validation"] = Field(
        "test",
        description="split that models are scored on. validation: for choosing among arms; no claim is judged on it",
    )
    choose_on: Literal["seed", "validation"] = Field(
        "seed",
        description="settings are chosen by cross-validation within the seed, or on validation rows: labels that a poor seed has not",
    )
    folds: int = Field(3, ge=2, description="folds of the seed")
    unverified: bool = Field(True, description="train each verified arm on its rows as written too")
    budgets: list[Literal["generated", "tokens"]] = Field(
        default_factory=list, description="besides equal accepted rows: compare arms at equal rows written, at equal tokens"
    )
    budgets_on: Grid = Grid()
    sweeps_on: Grid = Grid()
    sweeps_of: dict[str, list[str]] = Field(
        default_factory=dict,
        description="by learner, the sweeps that it runs, as arm.setting (shap.growth); a learner that is not named runs all",
    )

    @model_validator(mode="after")
    def _apart(self) -> Training:
        if self.scored_on == self.choose_on:
            raise ValueError("training.choose_on: settings would be chosen on the rows that models are scored on")
        return self
