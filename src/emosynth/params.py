"""Every parameter of the compendium, declared once, typed and checked before work starts.

Values live in ``params.yaml`` (the demo profile) and, where a profile differs, in
``profiles/<profile>.yaml``. Sections are the unit that a pipeline stage declares: a stage
sees the sections that its ``dvc.yaml`` entry names and no others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emosynth.errors import UserError

LearnerName = Literal["tfidf", "embedding", "finetuned"]
GuidanceKind = Literal["none", "random_exemplars", "shap_tokens", "shap_exemplars", "shap_both", "shap_bias"]


class Section(BaseModel):
    """Base of all sections: unknown names are errors, values are frozen, types are strict."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


# --- corpora ------------------------------------------------------------------------------------


class UserCorpus(Section):
    """A corpus of one's own: one file with a text and a label column."""

    path: str = Field(description="CSV, TSV, JSONL or Parquet file; relative to the repository")
    text: str = Field("text", description="name of the text column")
    labels: str = Field("label", description="name of the label column")
    label_separator: str | None = Field(None, description="splits several labels in one cell; None: single-label")
    split: str | None = Field(None, description="column holding train/validation/test; None: split by hash of text")
    name: str = Field("custom", pattern=r"^[a-z0-9][a-z0-9-]*$", description="name of the corpus")
    classes: list[str] | None = Field(None, description="the classes allowed; None: those that occur")
    language: str = Field("en", description="language tag for the card")
    licence: str = Field("unknown", description="licence for the card")
    register_noun: str = Field("message", description="what one text is called in prompts, e.g. tweet, film review")


class Corpora(Section):
    """Which corpora are built, and how they are cleaned."""

    target: str = Field(description="the corpus that seeds come from and that test scores are of")
    also: list[str] = Field(default_factory=list, description="further corpora to build and describe")
    custom: UserCorpus | None = None
    fractions: list[float] = Field([0.6, 0.1, 0.3], description="train, validation, test of corpora without splits")
    near_duplicate: float = Field(
        0.8, ge=0.5, le=1.0, description="Jaccard similarity of word 3-grams from which two texts are near-duplicates"
    )

    @model_validator(mode="after")
    def _fractions(self) -> Corpora:
        if len(self.fractions) != 3 or abs(sum(self.fractions) - 1) > 1e-9 or min(self.fractions) <= 0:
            raise ValueError("fractions must be three positive numbers that sum to 1")
        return self


# --- seeding ------------------------------------------------------------------------------------


class Seeding(Section):
    """Seeds: the few real rows that we pretend are all there is."""

    sizes: list[int] = Field(min_length=1, description="seed sizes n, ascending")
    repeats: int = Field(ge=1, le=1000, description="number of independent nested seed series")
    min_per_class: int = Field(2, ge=1, description="rows of each class that every seed holds at least")
    random_seed: int = Field(20251121, ge=0)

    @model_validator(mode="after")
    def _sizes(self) -> Seeding:
        if sorted(set(self.sizes)) != self.sizes or self.sizes[0] < 2:
            raise ValueError("sizes must be ascending, distinct and at least 2")
        return self


# --- guidance -----------------------------------------------------------------------------------


class Shap(Section):
    """SHAP analysis of a classifier fitted on the seed alone."""

    tokens: int = Field(10, ge=1, description="tokens per class handed to the generator")
    exemplars: int = Field(12, ge=1, description="exemplars per class kept in the guidance file")
    diversity: float = Field(0.5, ge=0, le=1, description="weight of diversity against SHAP mass when choosing exemplars (MMR)")
    min_document_frequency: int = Field(2, ge=1, description="documents of the seed a token must occur in to be ranked")
    function_words: bool = Field(
        False, description="hand function words (the, it, you, …) to the generator too; negations and I/me always may"
    )
    tree: bool = Field(True, description="also explain a gradient-boosted tree model")
    encoder_rows: int = Field(0, ge=0, description="rows explained with the fine-tuned encoder (slow); 0: none")
    encoder_sizes: list[int] = Field(default_factory=list, description="seed sizes for which the encoder is explained (first repeat)")


# --- generation ---------------------------------------------------------------------------------


class Generator(Section):
    """The language model that writes, and how it is reached."""

    backend: Literal["openvino", "transformers", "server"] = "openvino"
    model: str = Field(
        "smollm2-135m-instruct", description="catalogue entry, path of a GGUF file or model folder, hub id, or the server's model name"
    )
    url: str | None = Field(None, description="server only: base URL up to /v1")
    revision: str = Field("", description="server only: your name for what is served; change it when the model behind the URL changes")
    api_key_env: str = Field("EMOSYNTH_API_KEY", description="server only: environment variable with the key")
    batch: int = Field(256, ge=1, description="rows per unit of work; what is in flight when a run is killed is lost")
    concurrency: int = Field(8, ge=1, description="server only: requests under way at once")
    timeout: float = Field(60.0, gt=0, description="server only: seconds per request")
    retries: int = Field(5, ge=0, description="server only: retries after refusal, overload or garbage")
    device: str = Field("cpu", description="transformers only: cpu, cuda, …")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"


class Decoding(Section):
    """Sampling of one text."""

    temperature: float = Field(0.8, gt=0, le=5)
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(0, ge=0, description="0: off")
    repetition_penalty: float = Field(1.0, ge=1)
    max_new_tokens: int = Field(40, ge=1)


class GenerationArm(Section):
    """A generating arm: how the generator is guided."""

    guidance: GuidanceKind
    tokens: int = Field(4, ge=1, description="SHAP tokens drawn into one prompt")
    exemplars: int = Field(3, ge=1, description="exemplars drawn into one prompt")
    bias: float = Field(2.0, ge=0, description="shap_bias only: logit bonus of the strongest token")
    sizes: list[int] | None = Field(None, description="seed sizes this arm runs on; None: all")


class Generation(Section):
    """Growing seeds with a language model."""

    generator: Generator
    bias_generator: Generator | None = Field(None, description="used by shap_bias arms, since not every backend can bias logits")
    decoding: Decoding = Decoding()
    arms: dict[str, GenerationArm]
    growth: float = Field(1.0, gt=0, description="synthetic rows wanted per seed row")
    oversample: float = Field(2.0, ge=1, description="candidates generated per wanted row")
    prompts_per_class: int = Field(4, ge=1, description="different prompts (draws of tokens and exemplars) per class and cell")
    prompt_style: Literal["list", "chat"] = Field(
        "list", description="list: a list to be continued, for small or base models; chat: an instruction, for instruction models"
    )


class Verification(Section):
    """Checks on candidates. Each adds columns; none drops a row."""

    min_words: int = Field(3, ge=1)
    max_words: int = Field(60, ge=1)
    complete: bool = Field(True, description="reject texts cut off at max_new_tokens")
    copy_overlap: float = Field(
        0.6, gt=0, le=1, description="share of a candidate's word 4-grams found in its prompt or seed from which it counts as copied"
    )
    near_duplicate: float = Field(
        0.8, gt=0, le=1, description="Jaccard similarity from which a later candidate of the same cell is a duplicate"
    )
    agreement: Literal["tfidf", "embedding"] = Field("embedding", description="seed-trained classifier whose label must agree")
    min_confidence: float = Field(0.0, ge=0, le=1, description="probability of the intended label needed besides agreement")


# --- training -----------------------------------------------------------------------------------


class Learner(Section):
    """One learner and the part of the design it is run on (None: all of it)."""

    sizes: list[int] | None = None
    repeats: int | None = Field(None, ge=1)
    arms: list[str] | None = Field(None, description="arm names as in the scores table, e.g. seed, real+1x, naive")


class FineTuning(Section):
    """Fine-tuning of the encoder."""

    epochs: int = Field(6, ge=1)
    batch: int = Field(16, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    max_tokens: int = Field(64, ge=8)


class Training(Section):
    """Learners, arms and hyper-parameters."""

    learners: dict[LearnerName, Learner]
    encoder: str = Field("all-minilm-l6-v2", description="catalogue entry, model folder or hub id")
    real_expansions: list[float] = Field([1.0, 2.0], description="real rows from the pool per seed row")
    balanced_real: list[float] = Field([1.0], description="class-balanced real expansion, the control for balanced synthetic rows")
    synthetic_weight: list[float] = Field([1.0, 0.3], description="weights of synthetic rows tried; chosen on validation")
    c_grid: list[float] = Field([0.3, 1.0, 3.0, 10.0], description="inverse regularisation strengths tried; chosen on validation")
    finetuning: FineTuning = FineTuning()


# --- authenticity, evidence, figures ----------------------------------------------------------------


class Authenticity(Section):
    """Linguistic authenticity against the seed's corpus."""

    size: int | None = Field(None, description="seed size whose candidates are analysed; None: the largest")
    texts: int = Field(500, ge=10, description="texts per arm and per half of the real text, at most, drawn class by class")
    tokens: int = Field(2000, ge=100, description="equal token count for type-token ratio")
    subsamples: int = Field(50, ge=5, description="subsamples without replacement at equal token counts")
    orders: int = Field(20, ge=1, description="random text orders for MATTR and MTLD")
    permutations: int = Field(1000, ge=19)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    random_seed: int = Field(7, ge=0)


class Evidence(Section):
    """How claims are judged."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    alpha: float = Field(0.05, gt=0, lt=0.5)
    equivalence_margin: float = Field(0.02, gt=0, description="macro-F1 within which two arms are as good as each other")
    substantial_gain: float = Field(0.05, gt=0, description="F1 gain of a class that counts as substantial")
    minority_share: float = Field(0.5, gt=0, description="a class is under-represented below this share of the uniform share")
    resamples: int = Field(2000, ge=100)
    random_seed: int = Field(11, ge=0)


class Figures(Section):
    """Style of the report's figures."""

    width: float = Field(7.2, gt=0, description="inches")
    dpi: int = Field(160, ge=50)
    font_size: float = Field(10.0, gt=0)
    palette: str = Field("colorblind", description="seaborn palette")
    formats: list[Literal["png", "svg", "pdf"]] = ["png", "svg", "pdf"]


class Params(Section):
    """All sections of one profile."""

    corpora: Corpora
    seeding: Seeding
    shap: Shap
    generation: Generation
    verification: Verification
    training: Training
    authenticity: Authenticity
    evidence: Evidence
    figures: Figures

    @model_validator(mode="after")
    def _consistent(self) -> Params:
        variants = {
            "seed",
            *(f"real+{k:g}x" for k in self.training.real_expansions),
            *(f"real-balanced+{k:g}x" for k in self.training.balanced_real),
        }
        variants |= {*self.generation.arms, *(f"{name}:unverified" for name in self.generation.arms)}
        self._known_sizes("shap.encoder_sizes", self.shap.encoder_sizes)
        self._known_sizes("authenticity.size", [self.authenticity.size] if self.authenticity.size is not None else [])
        for learner, part in self.training.learners.items():
            self._known_sizes(f"training.learners.{learner}.sizes", part.sizes or [])
            for arm_name in part.arms or []:
                if arm_name not in variants:
                    raise ValueError(
                        f"training.learners.{learner}.arms: there is no arm {arm_name}; there are {', '.join(sorted(variants))}"
                    )
        for name, arm in self.generation.arms.items():
            if name.startswith(("real", "seed")) or ":" in name:
                raise ValueError(f"generation.arms.{name}: names that begin with real or seed belong to real text, and a colon to versions")
            if arm.guidance == "shap_bias" and (self.generation.bias_generator or self.generation.generator).backend != "transformers":
                raise ValueError(
                    f"generation.arms.{name}: shap_bias needs bias_generator.backend: transformers, the only backend that can bias logits"
                )
            self._known_sizes(f"generation.arms.{name}.sizes", arm.sizes or [])
        return self

    def _known_sizes(self, key: str, sizes: Iterable[int]) -> None:
        for size in sizes:
            if size not in self.seeding.sizes:
                raise ValueError(f"{key}: {size} is not one of seeding.sizes {self.seeding.sizes}")


def section_models() -> dict[str, type[Section]]:
    """Return the model of each section by name."""
    return {name: field.annotation for name, field in Params.model_fields.items()}  # type: ignore[misc]


def deep_merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``overlay`` laid over it; mappings merge, null takes a mapping (an arm, a learner) away, everything else is replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        if value is None and isinstance(merged.get(key), Mapping):
            del merged[key]
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = deep_merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def read_file(path: Path) -> dict[str, Any]:
    """Read a file of parameters without checking its values."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            "There is no such parameter file.", where=str(path), remedy="Use one of the profiles under profiles/, or demo."
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"The parameter file is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}.",
            where=str(path),
            remedy="Save it as UTF-8.",
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"The parameter file is not valid YAML: {error}", where=str(path), remedy="Mend the line named above.") from None
    if not isinstance(loaded, dict):
        raise UserError("A parameter file must hold sections.", where=str(path), remedy="See params.yaml.")
    return loaded


def explain(error: ValidationError, where: str) -> UserError:
    """Turn pydantic's findings into one error that names every offending key and its remedy."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "(whole file)"
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: no such parameter{_nearest(item['loc'])}")
        else:
            lines.append(
                f"{key}: {item['msg']} (found {item['input']!r})" if not isinstance(item["input"], dict) else f"{key}: {item['msg']}"
            )
    return UserError(
        "Parameters are not valid:\n    " + "\n    ".join(lines),
        where=where,
        remedy="Correct the keys named; src/emosynth/params.py declares each with its type and range.",
    )


def _nearest(loc: tuple[int | str, ...]) -> str:
    import difflib

    model: Any = Params
    for part in loc[:-1]:
        fields = getattr(model, "model_fields", {})
        if part not in fields:
            return ""
        model = fields[part].annotation
    close = difflib.get_close_matches(str(loc[-1]), list(getattr(model, "model_fields", {})), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def load_params(root: str | os.PathLike[str], profile: str) -> Params:
    """Load and validate the parameters of a profile.

    Raises
    ------
    UserError
        If the profile does not exist, or a value is misspelt, missing or of the wrong type.
    """
    root = Path(root)
    base = read_file(root / "params.yaml")
    where = "params.yaml"
    if profile != "demo":
        overlay = root / "profiles" / f"{profile}.yaml"
        base = deep_merge(base, read_file(overlay))
        where = f"params.yaml + profiles/{profile}.yaml"
    try:
        return Params.model_validate(base)
    except ValidationError as error:
        raise explain(error, where) from None


def select(params: Params, sections: Iterable[str]) -> dict[str, Section]:
    """Return only the sections named, as a stage may see them."""
    return {name: getattr(params, name) for name in sections}
