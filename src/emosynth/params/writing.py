"""Sections about language models: which there are, who writes, how, and from which narratives."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from emosynth.params.base import Named, Section, Sizes


class Generator(Section):
    """A language model, and how it is reached."""

    backend: Literal["openvino", "transformers", "server"] = "openvino"
    model: Named = Field(
        "smollm2-135m-instruct", description="catalogue entry, path of a GGUF file or model folder, hub id, or the server's model name"
    )
    url: str | None = Field(None, description="server only: base URL up to /v1")
    urls: list[str] = Field(default_factory=list, description="server only: further addresses of the same model; the least busy is asked")
    revision: str = Field("", description="server only: your name for what is served; change it when the model behind the URL changes")
    api_key_env: str = Field("EMOSYNTH_API_KEY", description="server only: environment variable with the key")
    batch: int = Field(256, ge=1, description="rows per unit of work; what is in flight when a run is killed is lost")
    concurrency: int = Field(8, ge=1, description="server only: requests under way at once, at each address")
    timeout: float = Field(60.0, gt=0, description="server only: seconds until an answer must be there, whole")
    retries: int = Field(5, ge=0, description="server only: times that a server which answers nothing is tried again")
    extra: dict[str, Any] = Field(
        default_factory=dict, description="server only: fields added to every request, e.g. reasoning_effort: low; part of the cache key"
    )
    price_in: float = Field(0.0, ge=0, description="server only: price of a million tokens read, in any currency")
    price_out: float = Field(0.0, ge=0, description="server only: price of a million tokens written, in the same currency")
    max_tokens: int | None = Field(
        None, ge=1, description="server only: tokens, read and written, that may be spent in all, over all runs and profiles"
    )
    max_cost: float | None = Field(None, gt=0, description="server only: cost, in the currency of the prices, that may be spent in all")
    device: str = Field("cpu", description="transformers only: cpu, cuda, …")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"

    @model_validator(mode="after")
    def _budget(self) -> Generator:
        if self.backend != "server" and (self.max_tokens is not None or self.max_cost is not None):
            raise ValueError("max_tokens, max_cost: only a model behind a server has a budget")
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise ValueError("max_cost: needs the prices of a million tokens, price_in and price_out")
        return self

    def cost(self, read: float, written: float) -> float:
        """Return the cost of tokens, in the currency of the prices."""
        return (read * self.price_in + written * self.price_out) / 1e6


class Models(Section):
    """One place for each model. Changing one here changes it for every system."""

    writer: Generator = Generator()
    others: dict[str, Generator] = Field(default_factory=dict, description="further language models that writers can name")
    encoder: Named = Field("all-minilm-l6-v2", description="sentence encoder: catalogue entry, model folder or hub id")
    reader: Named | None = Field(
        None, description="local language model that reads labels off texts and measures perplexity; None: models.writer.model"
    )

    @property
    def local(self) -> str:
        """The local language model that scores; a server cannot."""
        return self.reader if self.reader is not None else self.writer.model

    @model_validator(mode="after")
    def _reader(self) -> Models:
        if self.reader is None and self.writer.backend == "server":
            raise ValueError(
                "models.reader: the writer is behind a server, which gives no log-probabilities; name a local model, e.g. smollm2-135m-instruct"
            )
        return self


class Decoding(Section):
    """Sampling of one text."""

    temperature: float = Field(0.8, gt=0, le=5)
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(0, ge=0, description="0: off")
    repetition_penalty: float = Field(1.0, ge=1)
    max_new_tokens: int = Field(40, ge=1)


class WriterSpec(Section):
    """A language model that writes: plain, or tuned on each seed."""

    model: str | None = Field(None, description="name in models.others; None: models.writer")
    backend: Literal["openvino", "transformers", "server"] | None = Field(None, description="None: the model's own")
    batch: int | None = Field(None, ge=1, description="None: the model's own")
    decoding: dict[str, Any] = Field(default_factory=dict, description="what differs from generation.decoding")
    tune: Literal["top_blocks", "lora", "all"] | None = Field(None, description="what is trained on the seed; None: nothing")
    blocks: int = Field(4, ge=1, description="top_blocks only: blocks trained, counted from the output; what lies below is frozen")
    rank: int = Field(16, ge=1, description="lora only: rank of the adapters on all linear maps of all blocks")
    learning_rate: float = Field(3e-4, gt=0)
    sizes: Sizes | None = Field(None, description="seed sizes this writer is tuned on; None: all that an arm needs")
    rows: Annotated[int, Field(ge=1)] | Literal["all"] | None = Field(
        None,
        description="an oracle, to price it: tuned on so many labelled rows of the training split, those of the seed first; None: on the seed alone",
    )


class Tuning(Section):
    """Tuning a writer on the seed alone, behind a label prefix; stopped early on held-out seed rows."""

    prefix: str = Field("{label} {noun}:", description="what stands before every text; {label} and {noun} are filled in")
    held_out: float = Field(0.1, gt=0, lt=0.5, description="share of the seed, last in its order, kept for early stopping")
    epochs: int = Field(4, ge=1, description="passes over the seed, at most")
    patience: int = Field(1, ge=1, description="epochs without a lower held-out perplexity after which tuning stops")
    batch: int = Field(16, ge=1)
    max_tokens: int = Field(64, ge=8, description="longer texts are cut")

    @model_validator(mode="after")
    def _prefix(self) -> Tuning:
        if "{label}" not in self.prefix:
            raise ValueError("tuning.prefix: must hold {label}")
        if re.search(r"[{}]", self.prefix.replace("{label}", "").replace("{noun}", "")):  # no fields of fields, formats or widths
            raise ValueError("tuning.prefix: may hold {label} and {noun} and no other braces")
        return self


class Generation(Section):
    """How much is written, and in what form it is asked for."""

    decoding: Decoding = Decoding()
    growth: float = Field(1.0, gt=0, description="synthetic rows wanted per seed row")
    oversample: float = Field(2.0, ge=1, description="candidates written per wanted row")
    prompts_per_class: int = Field(4, ge=1, description="different prompts (draws of tokens and exemplars) per class and cell")
    style: Literal["plain", "chat"] = Field(
        "plain", description="plain: text to be continued, for small or base models; chat: an instruction, for instruction models"
    )
    unusable: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of an origin's texts that may be empty or refused; a run that is surely beyond it stops",
    )
    cut: float = Field(0.8, ge=0, le=1, description="share of an origin's texts that may be cut off at max_new_tokens; likewise")
    two_labels: float = Field(0.25, ge=0, le=1, description="share of texts that are to express two labels, where rows may have several")


class Narratives(Section):
    """Stories in which generation is grounded."""

    sources: list[Named] = Field(
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
            raise ValueError("narratives.min_words: must not be above max_words")
        return self
