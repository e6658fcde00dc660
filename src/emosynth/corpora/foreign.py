"""Formats of text that are no table: told by how most of their first lines look, and refused by name, for no separator would part them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from emosynth.corpora.decoding import fault

_HEAD, _LINES = 200_000, 400
"""Characters and lines that are looked at."""
_ALIKE, _MOST = 0.9, 0.5
"""Share of lines that have the form; of a chat fewer do, for a message may have several lines."""
_PARTS = ("\t", ";", "|")
_SPANS = "Tags of single words are no labels of texts. Write a table with a text and its one label a row, or export labels of whole texts."
_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4},?\s+\d{1,2}[:.]\d{2}([:.]\d{2})?(\s?[ap]\.?\s?m\.?)?"
_CHAT = re.compile(rf"[\u200e\u200f]?(\[{_DATE}\]\s|{_DATE}\s[-–]\s)", re.IGNORECASE)
_CODE = re.compile(r"(window\.[\w.$]+|(var|let|const)\s+[\w$]+|module\.exports|[\w$]+\.YTD[\w.$]*)\s*=\s*[\[{(]|export\s+default\s*[\[{(]")
_QUESTION = re.compile(r"([A-Za-z_]+):([A-Za-z_]+)\s+\S")
_ITEM = re.compile(r"- ([\w.-]+|\"[^\"]+\"|'[^']+'):(\s|$)")
_KEY = re.compile(r"\s*(- )?([\w.-]+|\"[^\"]+\"|'[^']+'):(\s|$)|\s+\S|#")
_HEADING = re.compile(r"[\w.-]+:\s*")
_LISTED = re.compile(r"\s*- |[\w.-]+:\s*$|\s+\S|#")
_TAG = re.compile(r"O|[BIELSU]-\S+")


def refuse_text(text: str, path: Path) -> None:
    """Look whether a text is in a format that is no table.

    Raises
    ------
    UserError
        If it is; says what it is and what to do.
    """
    lines = [line.rstrip("\r") for line in text[:_HEAD].split("\n")][:_LINES]
    full = [line for line in lines if line.strip()]
    for is_so, what, remedy in _FORMATS:
        if is_so(full, lines):
            raise fault(f"This is {what}.", path, remedy)


def _share(lines: Sequence[str], form: re.Pattern[str]) -> float:
    return sum(form.match(line) is not None for line in lines) / max(1, len(lines))


def _labelled(lines: Sequence[str]) -> bool:
    """Return whether nearly every line has a separator, or ends in a comma and one of few words: then it is a table all the same."""
    ends = [line.rsplit(",", 1)[1].strip() for line in lines if "," in line]
    few = 1 < len(set(ends)) <= len(ends) / 4 and not any(" " in end for end in ends)
    return any(sum(part in line for line in lines) >= _ALIKE * len(lines) for part in _PARTS) or (
        few and len(ends) >= _ALIKE * len(lines) > 0
    )


def _webanno(full: Sequence[str], lines: Sequence[str]) -> bool:
    return full[0].startswith("#FORMAT=WebAnno")


def _arff(full: Sequence[str], lines: Sequence[str]) -> bool:
    own = [line.strip().lower() for line in full if not line.startswith("%")]
    return bool(own) and re.match(r"@relation\s", own[0]) is not None and any(line.startswith("@attribute") for line in own)


def _yaml(full: Sequence[str], lines: Sequence[str]) -> bool:
    own = [line for line in full if line.strip() != "---" and not line.startswith(("#", "%YAML"))]
    if len(own) > 2 and _HEADING.fullmatch(own[0]) and re.match(r"\s*- ", own[1]):  # a list under each class
        return _share(own, _LISTED) >= _ALIKE
    if not own or not (first := _ITEM.match(own[0])):
        return False
    return sum(line.startswith(f"- {first[1]}:") for line in own) > 1 and _share(own, _KEY) >= _ALIKE


def _code(full: Sequence[str], lines: Sequence[str]) -> bool:
    return _CODE.match(full[0].lstrip()) is not None


def _chat(full: Sequence[str], lines: Sequence[str]) -> bool:
    """A chat with a label in a column of its own is a table: it has a header, or a separator in nearly every line."""
    if len(full) < 3 or _CHAT.match(full[0]) is None or _share(full, _CHAT) <= _MOST:
        return False
    return not _labelled([line for line in full if _CHAT.match(line)])


def _questions(full: Sequence[str], lines: Sequence[str]) -> bool:
    if len(full) < 5 or _share(full, _QUESTION) < 1 or _labelled(full):
        return False
    return 2 * len({found[1] for line in full if (found := _QUESTION.match(line))}) <= len(full)


def _tokens(full: Sequence[str], lines: Sequence[str]) -> bool:
    """Words with a tag each: one word a cell, tags in the last, among them O, and blank lines between sentences or tags such as B-joy."""
    if full[0].startswith("-DOCSTART-"):
        return True
    own = [line for line in full if not line.startswith("#")]
    if len(own) < 10:
        return False
    rows = [line.split("\t") if "\t" in line else line.split(" ") for line in own]
    usual = len(rows[len(rows) // 2])
    good = [row for row in rows if len(row) == usual and all(cell and " " not in cell.strip() for cell in row)]
    if usual < 2 or len(good) < _ALIKE * len(rows):
        return False
    if usual == 10 and sum(re.fullmatch(r"\d+([-.]\d+)?", row[0]) is not None for row in good) >= _ALIKE * len(good):
        return True  # CoNLL-U
    tags = [row[-1].strip() for row in good]
    blank = sum(not line.strip() for line in lines[:-1])
    begun = any(tag[:2] in ("B-", "I-", "U-", "S-") for tag in tags) and sum(map(bool, map(_TAG.fullmatch, tags))) >= _ALIKE * len(tags)
    return "O" in tags and (begun or (blank > 1 and len(good) >= 3 * blank))


_FORMATS: tuple[tuple[Callable[[Sequence[str], Sequence[str]], bool], str, str], ...] = (
    (_webanno, "an export of WebAnno or INCEpTION (TSV), which tags words", _SPANS),
    (_arff, "an ARFF file of Weka", "Save it as CSV in Weka, or take out all lines up to @data and write a header such as text,label in their place."),
    (_yaml, "a YAML file", "Write it as JSON: python -c \"import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin), default=str))\" < in.yaml > out.json"),
    (_code, "a JavaScript file, as archives of Twitter hold", "Take out all before the first [ or {, and a semicolon at the end, and save it as JSON."),
    (_chat, "the export of a chat, as WhatsApp writes it", "It holds no labels. Write a table with a message and its label a row, with a header such as text,label."),
    (_questions, "a file of lines such as LABEL:kind text, as TREC has them",
     "Write label and text as two cells, for instance: sed 's/^\\([^:]*\\):[^ ]* /\\1\\t/' in.txt > out.tsv"),
    (_tokens, "a file of words with a tag each (CoNLL)", _SPANS),
)  # fmt: skip
"""Whether lines (without blank ones, and all) are of a format, what it is, and what to do about it."""
