"""What made the results: versions, corpora, models, references, parameters."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from emosynth import pieces
from emosynth.catalog import Catalog
from emosynth.corpora.schema import total_of
from emosynth.evidence.numbers import count, per_cent
from emosynth.files import read_json
from emosynth.params import Params
from emosynth.report.tables import Tables

_PACKAGES = (
    "numpy", "scikit-learn", "scipy", "shap", "xgboost-cpu", "torch", "transformers", "peft", "openvino", "openvino-genai", "nltk", "lexicalrichness",
    "datasketch", "papermill", "dvc",
)  # fmt: skip
_TAGGER = "aptagger"
_PLACES = ("model", "path", "encoder", "reader", "sources", "pieces")

Row = dict[str, str]


def versions() -> list[Row]:
    """Return the versions of what computes."""
    rows = [{"package": "python", "version": platform.python_version()}]
    for name in ("emosynth", *_PACKAGES):
        try:
            rows.append({"package": name, "version": version(name)})
        except PackageNotFoundError:
            continue
    return rows


def corpora(tables: Tables) -> list[Row]:
    """Return what is known of each corpus."""
    rows = []
    for name, about in tables.corpora.items():
        counts = {split: about["counts"][split][total_of(about["classes"])] for split in ("train", "validation", "test")}
        rows.append({
            "corpus": f"{name} (target)" if name == tables.target else name,
            "text": f"{about.get('register_noun', 'text')}, {'several labels each' if about['task'] == 'multi' else 'one label each'}",
            "rows": f"{count(counts['train'])} train, {count(counts['validation'])} validation, {count(counts['test'])} test",
            "classes": ", ".join(f"{label} {per_cent(share)}" for label, share in tables.shares(name).items()),
            "texts with several labels": _torn(about.get("conflicts")), "licence": str(about.get("licence", "unknown")),
            "source": str(about.get("source", "")), "sha256": str(about.get("hash", "")),
        })  # fmt: skip
    return rows


def _torn(conflicts: Mapping[str, Any] | None) -> str:
    if conflicts is None:
        return "not counted"
    done = {"kept": "kept", "majority": "label of most rows", "drop": "left out", "soft": "shares"}[conflicts["done"]]
    return f"{count(conflicts['texts'])} ({done})" if conflicts["texts"] else "0"


def _model_names(params: Params) -> list[str]:
    generators = [params.models.writer, *params.models.others.values()]
    return list(dict.fromkeys([*(item.model for item in generators), params.models.local, params.models.encoder, _TAGGER]))


def models(params: Params, catalog: Catalog) -> list[Row]:
    """Return what the catalogue declares of each model; nothing is fetched, so that a report can be made again without the models."""
    rows = []
    for name in _model_names(params):
        if name not in catalog:
            rows.append({"model": public("model", name), "source": "the user's own", "licence": "", "sha256 of the download": ""})
            continue
        entry = catalog.entry(name)
        first = entry.sources[0].model_dump()
        source = next((str(first[kind]) for kind in ("pypi", "mirror", "hub") if first.get(kind)), "")
        rows.append({"model": name, "source": source, "licence": entry.licence, "sha256 of the download": str(first.get("sha256") or "")})
    return rows


def generators(tables: Tables) -> list[Row]:
    """Return how each language model was reached, from the generation step."""
    path = tables.paths.data / "candidates" / "generators.json"
    account = read_json(path) if path.is_file() else {}
    promised = "yes" if account.get("deterministic", True) else "not promised"
    return [
        {
            "generator": str(name),
            **{key: public(key, str(value)) for key, value in identity.items()},
            "equal requests, equal texts": promised,
        }
        for name, identity in account.get("generators", {}).items()
    ]


def bibliography(tables: Tables, catalog: Catalog) -> list[str]:
    """Return the references of corpora, models, narratives and of the pieces that the profile names."""
    params = tables.params
    sources = [str(about.get("citation", "")) for about in tables.corpora.values()]
    named = [*_model_names(params), *params.narratives.sources]
    sources += [catalog.entry(name).citation for name in named if name in catalog]
    used = json.dumps(params.model_dump(mode="json"))
    for kind in ("guide", "check", "labeller", "learner"):
        sources += [cls.citation for name, cls in pieces.registered(kind).items() if f'"{name}"' in used]
    return references(sources)


def public(key: str, value: str) -> str:
    """Return a parameter's value fit for a page that is kept in git: paths by their last part, addresses without who and what."""
    last = key.rpartition(".")[2]
    if last in ("url", "urls"):
        return re.sub(r"\w+://[^\s,'\"\]]+", lambda found: _address(found[0]), value)
    if (last in _PLACES or "." in last) and (value.startswith(("/", "~", ".")) or "\\" in value):
        return PurePath(value.replace("\\", "/")).name
    return value


def _address(value: str) -> str:
    found = urlsplit(value)
    return f"{found.scheme}://{found.hostname or ''}{f':{found.port}' if found.port else ''}{found.path}"


def parameters(params: Params, sections: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
    """Return parameters by section, as dotted names and values; None: all sections."""
    values = params.model_dump(mode="json", exclude_unset=sections is not None)
    return [
        {"name": name, "rows": [{"name": key, "value": value} for key, value in _dotted({name: section})]}
        for name, section in values.items()
        if sections is None or name in sections
    ]


def _dotted(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in mapping.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{key}.")
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            yield key, ", ".join(public(name, item) for item in value) or "none"
        elif value is None or value == {}:
            yield key, "–"
        elif isinstance(value, bool):
            yield key, "yes" if value else "no"
        elif isinstance(value, float):
            yield key, f"{value:g}"
        else:
            yield key, public(key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


# --- references for readers, from BibTeX ---

_ENTRY = re.compile(r"@(\w+)\s*\{\s*([^,\s]+)\s*,")
_FIELD = re.compile(r"(\w+)\s*=\s*")
_ACCENTS = {
    "'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303", "c": "\u0327", "v": "\u030c", "=": "\u0304", ".": "\u0307",
}  # fmt: skip
_LETTERS = {
    r"\ss": "ß", r"\o": "ø", r"\O": "Ø", r"\l": "ł", r"\L": "Ł", r"\ae": "æ", r"\aa": "å", r"\i": "i", r"\&": "&", r"\%": "%", r"\_": "_",
}  # fmt: skip


def references(sources: Iterable[str]) -> list[str]:
    """Return references from BibTeX, distinct, in order of authors and year; a text without an entry is one as it stands."""
    found = {}
    for source in sources:
        entries = list(_entries(source))
        for text in [_reference(fields) for fields in entries] or [" ".join(source.split())]:
            if text:
                found[text] = True
    return sorted(found)


def _entries(source: str) -> Iterable[dict[str, str]]:
    for match in _ENTRY.finditer(source):
        fields, at = {}, match.end()
        while (field := _FIELD.search(source, at)) is not None:
            # A field that begins after the entry's closing brace is another entry's.
            if "@" in source[at : field.start()]:
                break
            value, at = _value(source, field.end())
            fields[field[1].lower()] = _plain(value)
        yield fields


def _value(source: str, at: int) -> tuple[str, int]:
    if at < len(source) and source[at] in '{"':
        closing = "}" if source[at] == "{" else '"'
        depth, start = 0, at + 1
        for place in range(start, len(source)):
            letter = source[place]
            if depth == 0 and letter == closing and source[place - 1] != "\\":
                return source[start:place], place + 1
            depth += (letter == "{") - (letter == "}")
        return source[start:], len(source)
    end = re.compile(r"[,}\n]").search(source, at)
    stop = len(source) if end is None else end.start()
    return source[at:stop], stop


def _plain(value: str) -> str:
    import unicodedata

    value = re.sub(
        r"\{?\\(['`\"^~=.]|[cv](?=[\s{]))\s*\{?\\?(\w)\}?\}?",
        lambda match: unicodedata.normalize("NFC", match[2] + _ACCENTS[match[1]]),
        value,
    )
    for command, letter in _LETTERS.items():
        value = re.sub(re.escape(command) + r"(?![a-zA-Z])", letter, value)
    return " ".join(value.replace("{", "").replace("}", "").replace("--", "–").split())


def _names(authors: str) -> str:
    names = []
    for author in authors.split(" and "):
        last, comma, first = author.partition(",")
        names.append(f"{first.strip()} {last.strip()}".strip() if comma else author.strip())
    if len(names) > 4:
        return f"{names[0]} et al."
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _reference(fields: dict[str, str]) -> str:
    place = next((fields[name] for name in ("journal", "booktitle", "publisher", "howpublished", "school") if fields.get(name)), "")
    link = f"arXiv:{fields['eprint']}" if fields.get("eprint") else f"doi:{fields['doi']}" if fields.get("doi") else fields.get("url", "")
    head = _names(fields["author"]) if fields.get("author") else ""
    year = f" ({fields['year']})" if fields.get("year") else ""
    parts = [part.rstrip(".") for part in (f"{head}{year}", fields.get("title", ""), place, link) if part]
    return ". ".join(parts) + "." if parts else ""
