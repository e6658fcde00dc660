"""References for readers, from BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ENTRY = re.compile(r"@(\w+)\s*\{\s*([^,\s]+)\s*,")
_FIELD = re.compile(r"(\w+)\s*=\s*")
_ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    '"': "\u0308",
    "^": "\u0302",
    "~": "\u0303",
    "c": "\u0327",
    "v": "\u030c",
    "=": "\u0304",
    ".": "\u0307",
}
_LETTERS = {
    r"\ss": "ß",
    r"\o": "ø",
    r"\O": "Ø",
    r"\l": "ł",
    r"\L": "Ł",
    r"\ae": "æ",
    r"\aa": "å",
    r"\i": "i",
    r"\&": "&",
    r"\%": "%",
    r"\_": "_",
}


def references(sources: Iterable[str]) -> list[str]:
    """Return one reference an entry, distinct, in order of authors and year.

    Parameters
    ----------
    sources
        BibTeX, several entries in one text or none; a text without an entry is taken as a reference as it stands.
    """
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
