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

    guidance: GuidanceKind = "none"
    tuned: str | None = Field(
        None, description="kind of tuned generator (tuning.kinds) that writes, from a label prefix instead of a prompt"
    )
    tokens: int = Field(4, ge=1, description="SHAP tokens drawn into one prompt")
    exemplars: int = Field(3, ge=1, description="exemplars drawn into one prompt")
    bias: float = Field(2.0, ge=0, description="shap_bias only: logit bonus of the strongest token")
    sizes: list[int] | None = Field(None, description="seed sizes this arm runs on; None: all")
    repeats: int | None = Field(None, ge=1, description="repeats this arm runs on; None: all")
    growth: float | None = Field(None, gt=0, description="synthetic rows wanted per seed row; None: as the section says")
    oversample: float | None = Field(None, ge=1, description="candidates generated per wanted row; None: as the section says")


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


class Perplexity(Section):
    """Bounds on per-token perplexity under a reference language model."""

    model: str = Field("smollm2-135m-instruct", description="catalogue entry, path of a GGUF file or model folder, or hub id")
    bound: Literal["quantile", "absolute"] = Field(
        "quantile", description="quantile: bounds are quantiles of the seed texts of like length; absolute: bounds are perplexities"
    )
    low: float = Field(0.005, ge=0, description="below: too predictable (boilerplate, loops)")
    high: float = Field(0.99, gt=0, description="above: too unlikely (garbage)")
    batch: int = Field(16, ge=1, description="texts per forward pass")

    @model_validator(mode="after")
    def _bounds(self) -> Perplexity:
        if self.low >= self.high or (self.bound == "quantile" and self.high > 1):
            raise ValueError("low must be below high, and both quantiles within 0 to 1")
        return self


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
    min_confidence: float = Field(
        0.0, ge=0, le=1, description="τ: probability of the intended label needed besides agreement; 0: not checked"
    )
    min_ascii: float | None = Field(None, gt=0, le=1, description="share of characters that must be ASCII; None: not checked")
    max_repetition: float | None = Field(
        None, ge=0, lt=1, description="share of a text's own word 2-grams that may be repeats of earlier ones in it; None: not checked"
    )
    min_novelty: float | None = Field(
        None, gt=0, le=1, description="share of a text's word 2-grams that earlier candidates of its cell must not hold; None: not checked"
    )
    perplexity: Perplexity | None = Field(None, description="None: not checked")


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


# --- tuning, synthesis, distillation (SentiSynth) -------------------------------------------------------


class TuningKind(Section):
    """Which parameters of the generator are trained, and how."""

    trainable: Literal["top_blocks", "lora", "all"]
    blocks: int = Field(4, ge=1, description="top_blocks only: blocks trained, counted from the output; what lies below is frozen")
    rank: int = Field(16, ge=1, description="lora only: rank of the adapters on all linear maps of all blocks")
    learning_rate: float = Field(3e-4, gt=0)
    sizes: list[int] | None = Field(None, description="seed sizes this kind is tuned on; None: all")
    repeats: int | None = Field(None, ge=1, description="repeats this kind is tuned on; None: all")


class Tuning(Section):
    """Tuning the generator on the seed alone, with a label prefix; stopped early on held-out seed rows."""

    corpus: str = Field(description="the corpus whose seeds tune, are grown and are scored; single-label")
    seeding: Seeding
    model: str = Field("smollm2-135m-instruct", description="catalogue entry, path of a GGUF file or model folder, or hub id")
    kinds: dict[str, TuningKind] = Field(min_length=1)
    prefix: str = Field("{label} {noun}:", description="what stands before every text; {label} and {noun} are filled in")
    held_out: float = Field(0.1, gt=0, lt=0.5, description="share of the seed, last in its order, kept for early stopping")
    epochs: int = Field(4, ge=1, description="passes over the seed, at most")
    patience: int = Field(1, ge=1, description="epochs without a lower held-out perplexity after which tuning stops")
    batch: int = Field(16, ge=1)
    max_tokens: int = Field(64, ge=8, description="longer texts are cut")

    @model_validator(mode="after")
    def _prefix(self) -> Tuning:
        if "{label}" not in self.prefix:
            raise ValueError("prefix must hold {label}")
        try:
            self.prefix.format(label="", noun="")
        except (KeyError, IndexError, ValueError):
            raise ValueError("prefix may hold {label} and {noun} and no other braces") from None
        return self


class Teacher(Section):
    """The classifier that verifies candidates and gives them soft labels."""

    kind: Literal["tfidf", "embedding", "finetuned"] = "embedding"
    folds: int = Field(5, ge=2, description="folds of the seed whose out-of-fold logits the temperature is fitted on")
    oracle: bool = Field(True, description="also train a teacher on the whole training split, to show what that is worth")


class Synthesis(Section):
    """Candidates for distillation: arms, checks, teacher."""

    generation: Generation
    verification: Verification
    teacher: Teacher = Teacher()


class TinyEncoder(Section):
    """The fine-tuned student: the first layers of the encoder."""

    layers: int = Field(2, ge=1)
    steps: int = Field(400, ge=1, description="gradient steps, equal for every arm")
    batch: int = Field(32, ge=1)
    learning_rate: float = Field(2e-4, gt=0)
    max_tokens: int = Field(48, ge=8)


SweepName = Literal[
    "main", "matched_accepted", "matched_generated", "tau", "beta", "alpha", "temperature", "growth", "size", "kind", "ablation"
]


class Student(Section):
    """One student and the part of the design it is run on (None: all of it)."""

    sweeps: list[SweepName] | None = Field(None, description="sweeps it runs, e.g. main, tau; None: all")
    arms: list[str] | None = Field(None, description="arms of the main contrast it runs; None: all")
    repeats: int | None = Field(None, ge=1)


class Sweeps(Section):
    """Values tried one at a time around the headline setting; an empty list leaves a sweep out."""

    tau: list[float] = []
    beta: list[float] = []
    alpha: list[float] = []
    temperature: list[float] = []
    growth: list[float] = Field([], description="accepted rows per seed row; 0 is the seed alone")
    repeats: int | None = Field(None, ge=1, description="repeats of the sweeps; None: all")


StudentName = Literal["tfidf", "embedding", "tiny"]


class Distillation(Section):
    """Students distilled from the teacher's soft labels: L = α·T²·KL + (1−α)·CE, each row's loss times its weight."""

    students: dict[StudentName, Student] = Field(min_length=1)
    arm: str = Field(description="generating arm that the sweeps and the ablation grow seeds with")
    growth: float = Field(5.0, gt=0, description="accepted rows used per seed row in the headline setting")
    matched_growth: float = Field(2.0, gt=0, description="rows per seed row that all arms are cut to when arms are compared")
    alpha: float = Field(0.8, ge=0, le=1)
    temperature: float = Field(2.0, gt=0)
    beta: float = Field(0.3, gt=0, le=1, description="weight of a synthetic row; real rows weigh 1")
    real_expansions: list[float] = Field([1.0], description="real rows from the pool per seed row")
    c_grid: list[float] = Field([0.3, 3.0, 30.0], min_length=1, description="inverse regularisation strengths tried; chosen on validation")
    tiny: TinyEncoder = TinyEncoder()
    sweeps: Sweeps = Sweeps()
    ablation: bool = Field(True, description="switch the published defects on, one by one")


# --- narratives, grounding, transfer (Emo Pillars) -----------------------------------------------------------


class Narratives(Section):
    """Stories in which generation is grounded."""

    sources: list[str] = Field(
        ["orange3-narratives"],
        min_length=1,
        description="catalogue entries, files or folders of .txt (relative to the repository), or hub data sets",
    )
    min_words: int = Field(40, ge=5, description="words of a passage, at least")
    max_words: int = Field(90, ge=10, description="words of a passage, at most")
    near_duplicate: float = Field(0.8, ge=0.5, le=1, description="Jaccard similarity of word 3-grams from which a later passage is dropped")
    characters: int = Field(3, ge=1, description="characters kept of one passage, at most; passages without any are dropped")
    passages: int | None = Field(None, ge=1, description="passages kept, spread evenly over the stories; None: all")
    random_seed: int = Field(20251121, ge=0)

    @model_validator(mode="after")
    def _words(self) -> Narratives:
        if self.min_words > self.max_words:
            raise ValueError("min_words must not be above max_words")
        return self


class WeightedGenerator(Section):
    """One of several generators, and its share of the examples."""

    generator: Generator
    weight: float = Field(1.0, gt=0, description="share of the examples it writes, relative to the others")
    prompt_style: Literal["completion", "chat"] = Field(
        "completion",
        description="completion: text to be continued, for base and small models; chat: an instruction, for instruction models",
    )


class GroundingArm(Section):
    """A way to write examples from nothing but a taxonomy, or from a narrative with a character."""

    grounded: bool = Field(True, description="whether passage and character are given; if not, the model makes up the situation alone")
    neutral: Literal["plain", "topical"] = Field(
        "plain",
        description="how neutral examples are asked for; topical: a plain statement of fact about a thing of the passage (or of a list)",
    )
    emotions: list[str] | None = Field(None, description="emotions of the taxonomy asked for; None: all")
    examples: int | None = Field(None, ge=1, description="examples; None: as the section says")


class EmotionLabels(Section):
    """Soft labels over the taxonomy, scored by a language model."""

    model: str = Field("smollm2-135m-instruct", description="catalogue entry, path of a GGUF file or model folder, or hub id")
    intended: float = Field(
        0.5, ge=0, le=1, description="share of the soft label that the emotions asked for keep; the scored label has the rest"
    )
    temperature: float = Field(1.0, gt=0, description="of the scored label; below 1 it is sharper")
    free_form: int = Field(
        0, ge=0, description="rows of each arm that the generator also labels in its own words, for the out-of-taxonomy table"
    )
    similarity: float = Field(
        0.5,
        gt=0,
        le=1,
        description="cosine from which a label outside the taxonomy is mapped to its nearest emotion; below, it is rejected",
    )


class Grounding(Section):
    """Grounded generation: passage, character, situation, utterance, and the utterance that needs no context."""

    taxonomy: str = Field("goemotions", description="taxonomy in data/taxonomies.yaml")
    generators: dict[str, WeightedGenerator] = Field(min_length=1, description="they share the examples by weight")
    decoding: Decoding = Decoding()
    arms: dict[str, GroundingArm] = Field(min_length=1)
    examples: int = Field(1000, ge=10, description="examples of each arm; each has a context, an utterance and a context-less utterance")
    pairs: int = Field(
        200, ge=0, description="minimal pairs: one utterance in two contexts that call for different emotions; from stories of their own"
    )
    two_emotions: float = Field(0.25, ge=0, le=1, description="share of examples that express two emotions")
    labels: EmotionLabels = EmotionLabels()
    min_words: int = Field(3, ge=1)
    max_words: int = Field(60, ge=1)
    near_duplicate: float = Field(0.8, gt=0, le=1)
    copy_overlap: float = Field(
        0.6, gt=0, le=1, description="share of an utterance's word 4-grams found in its passage from which it counts as copied"
    )
    explicit: float | None = Field(
        None, ge=0, le=1, description="share of the accepted rows that may name their emotion; more are set aside. None: as generated"
    )
    random_seed: int = Field(20251121, ge=0)


class TransferEncoder(Section):
    """The encoder of two-stage training. Equal gradient steps for every arm."""

    layers: int | None = Field(None, ge=1, description="first layers kept; None: all")
    pretrain_steps: int = Field(600, ge=1, description="on synthetic rows")
    tune_steps: int = Field(300, ge=1, description="on the seed of the target")
    batch: int = Field(32, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    max_tokens: int = Field(64, ge=8)


class TransferContext(Section):
    """The encoders that read context and utterance, or either alone: four inputs in each repeat."""

    steps: int | None = Field(None, ge=1, description="of each model; None: transfer.encoder.pretrain_steps")
    repeats: int | None = Field(None, ge=1, description="None: those of the learner encoder")


Regime = Literal["target", "target-long", "two-stage", "joint", "zero-shot", "leave-one-out"]


class TransferLearner(Section):
    """One learner and the part of the design it is run on (None: all of it)."""

    targets: list[str] | None = None
    sizes: list[int] | None = None
    repeats: int | None = Field(None, ge=1)
    regimes: list[Regime] | None = Field(None, min_length=1, description="see emosynth.transfer.design.Run; None: all")


TransferLearnerName = Literal["tfidf", "embedding", "encoder"]


class Transfer(Section):
    """Pre-trained on synthetic rows of many emotions, tuned on seeds of target corpora through the map between their taxonomies."""

    targets: list[str] = Field(min_length=1, description="corpora; each must have a taxonomy that the synthetic one maps to")
    seeding: Seeding
    arm: str = Field("grounded", description="arm of grounding.arms whose rows pre-train in the headline contrast")
    against: str | None = Field("ungrounded", description="arm that it is compared with; None: none")
    rows: int | None = Field(None, ge=10, description="synthetic rows used of each arm; None: as many as the smallest has")
    learners: dict[TransferLearnerName, TransferLearner] = Field(min_length=1)
    encoder: TransferEncoder = TransferEncoder()
    context: TransferContext = TransferContext()
    base_encoder: str = Field("all-minilm-l6-v2", description="catalogue entry, model folder or hub id")
    c_grid: list[float] = Field([0.3, 3.0, 30.0], min_length=1, description="inverse regularisation strengths; chosen on validation")
    leave_one_out: bool = Field(True, description="also train on the other corpora and score on the one left out")
    explanations: int = Field(6, ge=0, description="rows whose labels SHAP explains")
    scorer_rows: int = Field(
        200, ge=0, description="validation rows of each target that the scorer of grounding.labels is measured on; 0: not measured"
    )


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
    tuning: Tuning
    synthesis: Synthesis
    distillation: Distillation
    narratives: Narratives
    grounding: Grounding
    transfer: Transfer
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
        self._check_arms("generation", self.generation, self.seeding)
        for name, arm in self.generation.arms.items():
            if arm.tuned:
                raise ValueError(f"generation.arms.{name}.tuned: tuned generators are for synthesis.generation.arms")
        self._check_distillation()
        self._check_transfer()
        return self

    def _check_arms(self, key: str, generation: Generation, seeding: Seeding) -> None:
        for name, arm in generation.arms.items():
            if name.startswith(("real", "seed")) or ":" in name:
                raise ValueError(f"{key}.arms.{name}: names that begin with real or seed belong to real text, and a colon to versions")
            if arm.guidance == "shap_bias" and (generation.bias_generator or generation.generator).backend != "transformers":
                raise ValueError(
                    f"{key}.arms.{name}: shap_bias needs bias_generator.backend: transformers, the only backend that can bias logits"
                )
            self._known_sizes(f"{key}.arms.{name}.sizes", arm.sizes or [], seeding)

    def _check_distillation(self) -> None:
        tuning, generation, distillation = self.tuning, self.synthesis.generation, self.distillation
        known = {self.corpora.target, *self.corpora.also, *([self.corpora.custom.name] if self.corpora.custom else [])}
        if tuning.corpus not in known:
            raise ValueError(f"tuning.corpus: {tuning.corpus} is not built; add it to corpora.also (there are {', '.join(sorted(known))})")
        self._check_arms("synthesis.generation", generation, tuning.seeding)
        for kind, part in tuning.kinds.items():
            self._known_sizes(f"tuning.kinds.{kind}.sizes", part.sizes or [], tuning.seeding)
        for name, arm in generation.arms.items():
            key = f"synthesis.generation.arms.{name}"
            if arm.tuned is None:
                continue
            if arm.tuned not in tuning.kinds:
                raise ValueError(f"{key}.tuned: there is no kind {arm.tuned}; tuning.kinds has {', '.join(sorted(tuning.kinds))}")
            if arm.guidance != "none":
                raise ValueError(f"{key}: a tuned generator writes from its label prefix; guidance must be none")
            if generation.generator.backend == "server":
                raise ValueError(f"{key}.tuned: a server cannot be handed tuned weights; use backend openvino or transformers")
            if generation.generator.model != tuning.model:
                raise ValueError(f"{key}.tuned: synthesis.generation.generator.model must be tuning.model, which is what was tuned")
            part = tuning.kinds[arm.tuned]
            lacking = set(arm.sizes or tuning.seeding.sizes) - set(part.sizes or tuning.seeding.sizes)
            if lacking:
                raise ValueError(f"{key}.sizes: {arm.tuned} is not tuned on size {min(lacking)}; see tuning.kinds.{arm.tuned}.sizes")
            most = tuning.seeding.repeats
            if min(arm.repeats or most, most) > min(part.repeats or most, most):
                raise ValueError(
                    f"{key}.repeats: {arm.tuned} is tuned on {part.repeats} repeats only; see tuning.kinds.{arm.tuned}.repeats"
                )
        if distillation.arm not in generation.arms:
            raise ValueError(f"distillation.arm: there is no arm {distillation.arm}; there are {', '.join(sorted(generation.arms))}")
        if any(tau > 0 for tau in distillation.sweeps.tau) and not self.synthesis.verification.min_confidence > 0:
            raise ValueError("distillation.sweeps.tau: needs synthesis.verification.min_confidence above 0, or confidence is not scored")
        variants = {"seed", *(f"real+{k:g}x" for k in distillation.real_expansions)}
        variants |= {*generation.arms, *(f"{name}:unverified" for name in generation.arms)}
        for student, own in distillation.students.items():
            strange = [name for name in own.arms or [] if name not in variants]
            if strange:
                raise ValueError(
                    f"distillation.students.{student}.arms: there is no arm {strange[0]}; there are {', '.join(sorted(variants))}"
                )
        held = round(tuning.held_out * tuning.seeding.sizes[0])
        if held < 2:
            raise ValueError(
                f"tuning.held_out: {held} of {tuning.seeding.sizes[0]} seed rows are too few to stop early on; at least 2 are needed"
            )

    def _check_transfer(self) -> None:
        transfer, arms = self.transfer, self.grounding.arms
        known = {self.corpora.target, *self.corpora.also, *([self.corpora.custom.name] if self.corpora.custom else [])}
        for name in transfer.targets:
            if name not in known:
                raise ValueError(f"transfer.targets: {name} is not built; add it to corpora.also (there are {', '.join(sorted(known))})")
        for key in ("arm", "against"):
            name = getattr(transfer, key)
            if name is not None and name not in arms:
                raise ValueError(f"transfer.{key}: there is no arm {name}; grounding.arms has {', '.join(sorted(arms))}")
        for learner, part in transfer.learners.items():
            strange = [name for name in part.targets or [] if name not in transfer.targets]
            if strange:
                raise ValueError(f"transfer.learners.{learner}.targets: {strange[0]} is not one of transfer.targets")
            if learner != "encoder" and "target-long" in (part.regimes or []):
                raise ValueError(f"transfer.learners.{learner}.regimes: target-long is a number of gradient steps; only encoder takes such")
            for size in part.sizes or []:
                if size not in transfer.seeding.sizes:
                    raise ValueError(
                        f"transfer.learners.{learner}.sizes: {size} is not one of transfer.seeding.sizes {transfer.seeding.sizes}"
                    )

    def _known_sizes(self, key: str, sizes: Iterable[int], seeding: Seeding | None = None) -> None:
        known = (seeding or self.seeding).sizes
        owner = "seeding.sizes" if seeding is None or seeding is self.seeding else "tuning.seeding.sizes"
        for size in sizes:
            if size not in known:
                raise ValueError(f"{key}: {size} is not one of {owner} {known}")


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
