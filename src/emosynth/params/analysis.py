"""Sections about what is measured and shown: SHAP, authenticity, context, responsibility, evidence, figures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from emosynth.params.base import Section, Sizes


class Shap(Section):
    """SHAP analysis of a classifier fitted on the seed alone."""

    explain: Literal["tfidf", "trees"] = Field(
        "tfidf", description="the classifier whose SHAP values guide: logistic regression, or XGBoost"
    )
    tokens: int = Field(10, ge=1, description="tokens per class kept for guides")
    exemplars: int = Field(12, ge=1, description="exemplars per class kept for guides")
    diversity: float = Field(0.5, ge=0, le=1, description="weight of diversity against SHAP mass when choosing exemplars (MMR)")
    min_document_frequency: int = Field(2, ge=1, description="documents of the seed a token must occur in to be ranked")
    function_words: bool = Field(
        False, description="hand function words (the, it, you, …) to the generator too; negations and I/me always may"
    )
    compare: bool = Field(True, description="also explain the other classifier, and cross-validate six classical learners on the seed")
    encoder_rows: int = Field(0, ge=0, description="rows explained with the fine-tuned encoder (slow); 0: none")
    encoder_epochs: int = Field(6, ge=1, description="times that the encoder to be explained sees the seed")
    encoder_sizes: Sizes = Field("largest", description="seed sizes of the target for which the encoder is explained")


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


class Context(Section):
    """What the context of a grounded text is worth: models that read the utterance, the context, or both."""

    arm: str | None = Field(None, description="arm whose contextual rows train; None: the first that is guided by a narrative")
    pairs: int = Field(0, ge=0, description="minimal pairs: one utterance in two contexts that call for different labels")
    steps: int = Field(100, ge=1, description="gradient steps of each encoder; 0 would be none")
    layers: int | None = Field(2, ge=1, description="first layers of the encoder kept; None: all")
    batch: int = Field(16, ge=1)
    learning_rate: float = Field(3e-4, gt=0)
    max_tokens: int = Field(64, ge=8)
    encoder_repeats: int = Field(1, ge=0, description="encoders trained for each input; 0: embeddings with logistic regression only")
    free_form: int = Field(0, ge=0, description="rows that the writer also labels in its own words, for the out-of-taxonomy table")
    similarity: float = Field(0.66, gt=0, le=1, description="cosine from which such a label goes to its nearest in the taxonomy")
    dialogues: str | None = Field(
        None,
        description="corpus of dialogues that people labelled (meld, emocontext, iemocap), on which context is tested; None: not tested",
    )
    dialogue_size: int = Field(200, ge=14, description="real utterances that a model of dialogues learns from")
    dialogue_repeats: int = Field(5, ge=1, description="seeds of so many utterances")
    turns: int = Field(3, ge=1, description="utterances before the one in question that are its context, with their speakers")
    reader_rows: int = Field(60, ge=0, description="real validation rows that the reader of labels is measured on; 0: not measured")


class Collapse(Section):
    """Rounds in which a tuned writer's seed is replaced by, or grows by, its own accepted text."""

    arm: str | None = Field(None, description="arm with a tuned writer and without a guide, whose writer and checks go round")
    rounds: int = Field(0, ge=0, le=20, description="rounds of tuning, writing and checking; 0: off")
    repeats: int | None = Field(None, ge=1, description="seeds that it starts from, at most; None: all that the arm runs on")
    corpus: str | None = Field(None, description="None: the first that the arm runs on")
    size: int | None = Field(None, ge=2, description="rows of the seed; None: the most that the arm runs on")
    candidates: int | None = Field(None, ge=1, description="texts written a round; None: as many as the arm writes for such a seed")


class Canaries(Section):
    """Invented rows with a secret, planted in a seed on which a writer is then tuned anew."""

    count: int = Field(0, ge=0, le=50, description="canaries for each number of times, and as many never planted; 0: off")
    repeats: list[Annotated[int, Field(ge=1)]] = Field([1, 4], min_length=1, description="times that each of them stands in the seed")
    epochs: list[Annotated[int, Field(ge=1)]] = Field([2], min_length=1, description="passes over the seed, without early stopping")
    kinds: list[Literal["top_blocks", "lora", "all"]] = Field(
        [], description="what is tuned; none named: what the profile's writer is tuned by"
    )
    references: int = Field(500, ge=20, description="secrets never planted, among which each is ranked")
    texts: int = Field(200, ge=1, description="texts written to see whether a secret comes out")


class Forecast(Section):
    """What published numbers of rows would take. Throughput and prices are the user's word: nothing here measures them."""

    rows: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict, description="arm -> accepted rows that its source published")
    read_per_second: float | None = Field(None, gt=0, description="tokens that a model reads; None: time by the published rate of calls")
    written_per_second: float | None = Field(None, gt=0, description="tokens that it writes, all requests together")
    source: str = Field("", description="model, device, and where this throughput is from")
    price_gpu_hour: float | None = Field(None, ge=0)
    price_in: float | None = Field(None, ge=0, description="of a million tokens read")
    price_out: float | None = Field(None, ge=0, description="of a million tokens written")
    currency: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Forecast:
        speeds = (self.read_per_second, self.written_per_second)
        if (speeds.count(None) == 1) or (None not in speeds and not self.source):
            raise ValueError("a throughput takes read_per_second, written_per_second, and source, which says where they are from")
        if (self.price_gpu_hour, self.price_in, self.price_out) != (None, None, None) and not self.currency:
            raise ValueError("a price takes a currency")
        return self


class Responsible(Section):
    """What synthetic text copies, gives away and distorts."""

    texts: int = Field(
        500, ge=10, description="texts per arm and of real text that are compared or learnt from, at most, drawn label by label"
    )
    counted: int = Field(
        3000, ge=10, description="texts per arm and of real text in which words and patterns are counted, at most, drawn likewise"
    )
    span: int = Field(6, ge=2, description="words in a row shared with a real text from which a shared run is long")
    folds: int = Field(5, ge=2, description="folds of the classifier that doubts labels")
    planted: float = Field(0.1, gt=0, lt=0.5, description="share of labels made wrong to see whether that is found")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    random_seed: int = Field(13, ge=0)
    membership: int = Field(
        30, ge=0, description="seed rows of each tuned writer, at most, told from as many other rows by their loss; 0: not tried"
    )
    canaries: Canaries = Canaries()
    collapse: Collapse = Collapse()
    forecast: Forecast = Forecast()


class Evidence(Section):
    """How claims are judged."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    alpha: float = Field(0.05, gt=0, lt=0.5)
    margin: float = Field(
        0.5,
        gt=0,
        le=1,
        description="margin of equivalence of arms, as a share of what real expansion gains in the same cell; claims declare theirs",
    )
    wins: float = Field(0.75, gt=0.5, lt=1, description="share of runs in which an arm should beat its partner (Bouthillier et al. 2021)")
    minority_share: float = Field(0.5, gt=0, description="a class is under-represented below this share of the uniform share")
    resamples: int = Field(2000, ge=100)
    random_seed: int = Field(11, ge=0)


class Figures(Section):
    """Style of the report's figures."""

    width: float = Field(7.2, gt=0, description="inches")
    dpi: int = Field(160, ge=50)
    font_size: float = Field(10.0, gt=0)
    palette: str = Field("colorblind", description="seaborn palette")
    formats: list[Literal["png", "svg", "pdf"]] = Field(["png", "svg", "pdf"], min_length=1)
