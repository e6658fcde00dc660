"""Spellings: of names of columns and of labels, what they share, and the names of characters that nobody can see."""

from __future__ import annotations

import re
import unicodedata

from emosynth import text as texts

DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?|\d{1,2}:\d{2}(:\d{2})?( ?[ap]m)?", re.IGNORECASE)
LINK = re.compile(r"(https?://|www\.)\S+", re.IGNORECASE)
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))
CONTROL = "\x00-\x08\x0e-\x1f\x7f-\x9f"
TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Marks that turn the direction in which letters are shown."""
UNSEEN = "\u200b\u2060\u00ad\ufeff"
_INVISIBLE = re.compile(f"[{CONTROL}{TURNING}{UNSEEN}]")
_LOOKS = {
    "abekmhopctyxijsdhlewqABEKMHOPCTYXIJS": "авекмнорстухіјѕԁһӏёԝԛАЕВКМНОРСТУХІЈЅ",
    "aikvopuxtwyncjABEZHIKMNOPTYX": "αικνορυχτωγηϲϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "iag": "ıɑɡ",
}
"""Latin letters, and letters of Cyrillic, Greek and phonetic alphabets that look like them (a part of Unicode TR 39)."""
_LATIN = str.maketrans({other: latin for latins, others in _LOOKS.items() for latin, other in zip(latins, others, strict=True)})


_TO_DO = re.compile("[&\\\\\ufe0f\ud800-\udfff\u2018\u2019\u02bc\uff07]")
"""What normalising changes in a text beside its white space."""


def plain(text: str) -> bool:
    """Return whether normalising collapses white space of a text, and does nothing else."""
    return _TO_DO.search(text) is None


def normalise(text: str) -> str:
    """Return `emosynth.text.normalise`, several times sooner for plain texts."""
    return " ".join(text.split()) if plain(text) else texts.normalise(text)


def folded(text: str) -> str:
    """Return a text without differences of case, Unicode normal form, dashes and invisible characters."""
    bare = unicodedata.normalize("NFKC", text).translate(_DASHES).casefold()
    return bare if bare.isascii() and bare.isprintable() else "".join(c for c in bare if unicodedata.category(c) not in ("Cf", "Cc"))


def simple(name: str) -> str:
    """Return a name of a column without case, spaces, underscores and invisible characters."""
    return re.sub(r"[\s_\-\"']+", "", folded(name))


def key(label: str) -> str:
    """Return what is equal for labels that differ in case, spaces, dashes, apostrophes, entities, quotes around or a stop after only."""
    bare = folded(normalise(label))
    shorter = re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", bare.strip().strip("\"'“”‘’`«»").rstrip(".,;:").strip())
    return shorter or bare


def clean(label: str) -> str:
    """Return a label without invisible characters, quotes around it and a stop or separator after it, normalised."""
    bare = unicodedata.normalize("NFC", normalise(_INVISIBLE.sub("", re.sub(r"\s", " ", label))))
    bare = bare[1:-1].strip() if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'`" else bare
    shorter = bare.rstrip(",;| ")
    return (re.sub(r"(?<=\w)\.$", "", shorter) if shorter.count(".") == 1 else shorter) or bare


def skeleton(label: str) -> str:
    """Return what is equal for labels that look alike: as `key`, with letters of other alphabets as the Latin ones that they look like."""
    return key(label.translate(_LATIN))


def mixed(label: str) -> bool:
    """Return whether a word of a label has Latin letters beside ones that only look so."""
    return any(
        re.search("[A-Za-z]", word) is not None and any(ord(char) in _LATIN and char not in "ıɑɡ" for char in word)
        for word in label.split()
    )


def shown(label: str, foreign: bool = False) -> str:
    """Return a label in quotes, with the names of characters that cannot be seen or, if ``foreign`` or mixed with Latin, told from others."""
    foreign = foreign or mixed(label)
    unseen = ("Cf", "Cc", "Mn", "Zs", "Zl", "Zp")
    odd = [c for c in dict.fromkeys(label) if (c != " " and unicodedata.category(c) in unseen) or (foreign and ord(c) in _LATIN)]
    names = ", ".join(unicodedata.name(char, f"U+{ord(char):04X}") for char in odd[:3])
    return repr(label) + (f" ({names}{' …' if len(odd) > 3 else ''})" if odd else "")
