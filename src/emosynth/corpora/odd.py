"""What is odd about texts and names of classes that can be read all the same: each kind is told in a sentence, without any text."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from emosynth.corpora.decoding import some
from emosynth.corpora.spelling import CONTROL, DATE, LINK, TURNING, UNSEEN, folded, key, mixed, shown, skeleton
from emosynth.corpora.values import MARKS

if TYPE_CHECKING:
    from emosynth.corpora.files import Row
    from emosynth.params import UserCorpus

_FEW = 0.05
"""Share of texts from which something is told."""
_NOTHING = frozenset(
    ["unlabeled", "unlabelled", "not labeled", "not labelled", "no label", "unknown", "unsure", "not sure", "unclear", "uncertain", "undecided", "missing",
     "skip", "skipped", "todo", "tbd", "to do", "cannot tell", "can't tell", "don't know", "not applicable", "empty", "blank"]
)  # fmt: skip
_TAG = re.compile(r"</?(a|b|blockquote|br|div|em|font|i|img|li|p|span|strong|td|tr|u|ul)\b[^<>]*>", re.IGNORECASE)
_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f]")
_TAKEN_OUT = (
    ("Control characters in labels are taken out", re.compile(f"[{CONTROL}]")),
    ("Marks that turn the direction of letters are taken out of labels, which may be read in another order than they are shown", re.compile(f"[{TURNING}]")),
    ("Invisible characters in labels are taken out", re.compile(f"[{UNSEEN}]")),
    ("Separators at the end of labels are taken out (label_separator parts several labels)", re.compile(r"[,;|]\s*$")),
)  # fmt: skip
_NUMERIC = re.compile(r"[+-]?\d+([.,]\d+)?")
_CODE = re.compile(r"[A-Za-z]{0,3}_?\d+", re.ASCII)
"""What a survey calls an answer."""
_SHARED = re.compile(r"(?:.*[_\-.:/()\[\]{}]\s*)?", re.DOTALL)
"""Of what names share, as much as ends with a sign that parts it from the rest."""
_JOINED = (re.compile(r"\s*[,;|/+&]\s*|\s+(?:and|or|und|oder|et|ou|y|o|e|i|en|og|och|и)\s+| +- +"), re.compile(" "))
_LISTED = re.compile(r"(?<=\w)\s*([|;])\s*(?=\w)")
"""Signs that stand between several labels, and hardly within one."""
_BYTES = re.compile(r"""b(['"]).*\1""", re.DOTALL)
_TOKENS = re.compile(r"""\[\s*(['"]).+\1\s*\]""", re.DOTALL)


def _script(name: str) -> str:
    """Return the alphabet of most letters of a name; empty: it has none."""
    found = Counter(unicodedata.name(char, "").split(" ")[0] for char in name if char.isalpha())
    return found.most_common(1)[0][0] if found else ""


def _says_little(name: str) -> bool:
    letters = [char for char in name if char.isalpha()]
    if re.fullmatch(r"[+-]?\d+([.,]\d+)?", name):
        return False  # told of numbers elsewhere
    few = len(letters) < 2 and all(char < "\u0590" for char in letters)
    return few or bool(DATE.fullmatch(name) or LINK.match(name) or re.fullmatch("[IVXivx]{1,4}", name))


def of_names(names: Sequence[str]) -> Iterator[str]:
    """Yield what is odd about the names of classes, for a prompt that holds them or for what they part."""
    if little := [name for name in names if _says_little(name)]:
        yield f"Labels that say little in a prompt (signs, single letters, dates, links): {some(little)}; class_names names them."
    if none := [name for name in names if folded(name) in _NOTHING]:
        yield f"Labels that may mean that there is none: {some(none)}; missing_words, or class_names with null, leaves them out."
    if long := [len(name) for name in names if len(name) > 100]:
        said = "A label has" if len(long) == 1 else f"{len(long):,} labels have"
        yield f"{said} more than 100 characters ({'up to ' * (len(long) > 1)}{max(long):,}): is it the right column (labels)?"
    groups: dict[str, list[str]] = {}
    for name in (name for name in names if any(map(str.isalpha, name))):
        groups.setdefault(re.sub(r"[\W_]+", "", skeleton(name)), []).append(name)
    for bare, group in groups.items():
        if bare and len({skeleton(name) for name in group}) > 1:
            yield f"Labels that differ in signs only are classes of their own: {some(map(repr, group))}; class_names joins them."
    scripts: dict[str, list[str]] = {}
    for name in names:
        scripts.setdefault(_script(name), []).append(name)
    scripts.pop("", None)
    if {"HIRAGANA", "KATAKANA"} & set(scripts) and "CJK" in scripts:
        scripts = {"CJK": [], **{name: held for name, held in scripts.items() if name not in ("HIRAGANA", "KATAKANA", "CJK")}}
    if len(scripts) > 1:
        held = [group[0] for group in scripts.values() if group]
        yield f"Labels are written in several alphabets: {some(held)}; if some mean the same, class_names joins them."


def of_words(names: Sequence[str]) -> Iterator[str]:
    """Yield that names of classes hold letters that English words lack: an English writer may make little of them.

    Words of other languages in plain letters (*Freude*) are not told from English ones: no list of words is at hand that knows a user's classes.
    """
    if strange := [name for name in names if any(char.isalpha() and not char.isascii() for char in unicodedata.normalize("NFC", name))]:
        named = json.dumps(dict.fromkeys(strange[:3], "…"), ensure_ascii=False)
        yield (
            f"Classes have letters that English words lack: {some(strange)}. Prompts name each class, and an English model writes at random of a word that "
            f"it does not know: say in English what they mean, and what all others mean that are no English words (--class-names {shlex.quote(named)})."
        )


def of_mixture(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield that some labels are numbers and others words, where many rows have each: two schemes, or cells that slipped."""
    numbers = sorted(name for name in counts if _NUMERIC.fullmatch(name))
    rows, every = sum(counts[name] for name in numbers), sum(counts.values())
    if numbers and _FEW * every < rows < (1 - _FEW) * every:
        joined = json.dumps(dict.fromkeys(numbers[:3], "…"), ensure_ascii=False)
        yield (
            f"{rows:,} of {every:,} labels are numbers ({some(numbers)}), the others words: if both say the same, class_names joins them (--class-names "
            f"{shlex.quote(joined)}, with the word for each …); else see whether cells slipped, and mend or take out these rows."
        )


def of_columns(names: Sequence[str]) -> Iterator[str]:
    """Yield that classes have the names of columns (``p_joy``, ``Q2[SQ001]``), and a prompt would say them; proposed is what stays without what all share."""
    words = _bare(names)
    if words == list(names):
        return
    told = [word if any(map(str.isalpha, word)) and not _CODE.fullmatch(word) else "…" for word in words]
    said = shlex.quote(json.dumps(dict(zip(names, told, strict=True)), ensure_ascii=False))
    more = "" if "…" not in told else ", with a word for each …: what the code of its question stands for"
    yield f"Classes are called as columns are ({some(names)}), and prompts would say so: --class-names {said} names them{more}."


def _begin(names: Sequence[str]) -> str:
    """Return what all names begin with: as the first and the last of them in order do."""
    first, last = min(names), max(names)
    return first[: next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))]


def _bare(names: Sequence[str]) -> list[str]:
    """Return the names of columns, one a class, without what all begin and end with: ``p_joy`` and ``p_anger`` are joy and anger."""
    if len(names) < 2:
        return list(names)
    shared = _begin(names), _begin([name[::-1] for name in names])
    head, tail = (len(_SHARED.match(part)[0]) for part in shared)  # type: ignore[index]  # it matches nothing too
    made = [name[head : len(name) - tail].strip(" _-.:[](){}") for name in names]
    return made if all(made) and len(set(made)) == len(made) else list(names)


def of_spellings(raw: Iterable[str]) -> Iterator[str]:
    """Yield what reading takes out of labels."""
    every = sorted(set(raw))
    for what, fits in _TAKEN_OUT:
        if held := [label for label in every if fits.search(label)]:
            yield f"{what}: {some(shown(label[:60]) for label in held)}."


def of_classes(found: set[str], declared: bool, spec: UserCorpus) -> Iterator[str]:
    """Yield what is odd about names of classes that say nothing, look alike, or are made of others; ``declared``: class_names gives some."""
    names = sorted(found)
    if spec.classes is None and not declared:
        if numbers := [name for name in names if _NUMERIC.fullmatch(name)]:
            yield f"Labels are numbers ({some(numbers)}), which say nothing in a prompt: class_names names them."
        if names and {name.casefold() for name in names} <= {mark for mark in MARKS if len(mark) > 1}:
            yield f"Labels are {some(names)}, which say nothing in a prompt: class_names names them."
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(skeleton(name), []).append(name)
    for group in alike.values():
        if len(set(map(key, group))) > 1:
            told = some((shown(name, foreign=True) for name in group), 10)
            yield f"Labels that look alike are classes of their own: {told}; class_names joins them."
        elif any(map(mixed, group)):
            yield f"A label has letters of several alphabets: {some(map(shown, group))}; class_names renames it."
    known = set(map(key, names))
    split = {name: [set(map(key, filter(None, mark.split(name)))) for mark in _JOINED if mark.search(name)] for name in names}
    made_of = [name for name in names if any(parts <= known for parts in split[name])]
    if spec.label_separator is None and (made_of or (made_of := _never_alone(names))):
        mark = next((seen[0] for name in made_of if (seen := _JOINED[0].search(name))), " ")
        mark = mark.strip() if re.fullmatch(r"\s*[,;|/+&]\s*", mark) else mark
        what = f"Labels that are made of other labels: {some(map(repr, made_of))}"
        yield f"{what}; label_separator parts them (--label-separator {mark!r}), now each is a class of its own."
    elif spec.label_separator is None and spec.classes is None and not declared and (several := list(filter(_LISTED.search, names))):
        mark = _LISTED.findall(several[0])[0]
        what = f"Labels such as {several[0]!r} may be several labels"
        yield f"{what}: label_separator parts them (--label-separator {mark!r}); now each is a class of its own."


def _never_alone(names: Sequence[str]) -> list[str]:
    """Return labels that are joined of others, none of which stands alone: most are, and share parts."""
    split = {name: [part.casefold() for part in _JOINED[0].split(name) if part.strip()] for name in names}
    joint = [name for name, parts in split.items() if len(parts) > 1]
    shared = Counter(part for name in joint for part in set(split[name]))
    return joint if 2 * len(joint) > len(names) and max(shared.values(), default=0) > 1 else []


def wrapped(texts: Sequence[str]) -> str:
    """Return what most texts are as a program writes it, and not as a person; empty: they are not."""
    for pattern, what in (
        (_BYTES, "bytes as Python prints them (b'…')"),
        (_TOKENS, "lists of words as a program prints them (['…', '…'])"),
        (LINK, "links"),
    ):
        if 2 * sum(pattern.fullmatch(text) is not None for text in texts) > len(texts):
            return what
    return ""


def of_texts(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what is odd about texts: marks of programs in them, one text that stands for none, texts that were cut."""
    texts = list({row.id: row.text for row in rows}.values())
    kinds: tuple[tuple[str, Callable[[str], object]], ...] = (
        ("hold tags of HTML, which are learnt and written as words", _TAG.search),
        ("hold letters spelt as \\u00e9, which are learnt and written so", _ESCAPE.search),
        ("are links", LINK.fullmatch),
        ("are bare numbers: is it the right column (text), and did no cells slip?", _NUMERIC.fullmatch),
    )
    for what, fits in kinds:
        count = sum(bool(fits(text)) for text in texts)
        if count > _FEW * len(texts):
            yield f"{count:,} of {len(texts):,} texts {what}{'' if what.endswith('?') else '.'}"
    if _CONTROL.search("\n".join(texts)):
        held = [row for row in rows if _CONTROL.search(row.text)]
        names = some(sorted({f"U+{ord(char):04X}" for row in held for char in _CONTROL.findall(row.text)}))
        yield f"{len({row.id for row in held}):,} texts hold control characters ({names}), which are learnt and written; the first is in {held[0].place}."
    counts = Counter(row.id for row in rows)
    (most, times), usual = counts.most_common(1)[0], median(counts.values())
    if times >= 5 and times > 4 * usual and times >= len(rows) / 100:
        place = next(row.place for row in rows if row.id == most)
        yield f"One text stands in {times:,} rows, the first in {place}: if it stands for none, such as [deleted], take it out (missing_words)."
    sizes = Counter(map(len, texts))
    longest = max(sizes)
    if longest >= 100 and sizes[longest] >= 5 and sizes[longest] >= len(texts) / 50:
        yield f"{sizes[longest]:,} texts have exactly {longest:,} characters, and none has more: they may have been cut."
