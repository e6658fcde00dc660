"""Which encoding bytes may be of that are neither Unicode nor Western."""

from __future__ import annotations

import codecs
import re
import string
from collections import Counter

# Encodings of other languages, those of Windows first: name in Python -> letters beside ASCII of the languages that are written in it
_POLISH, _CZECH, _HUNGARIAN, _SLAVIC = "ąćęłńóśźż", "áčďéěíňóřšťúůýžľĺŕôä", "áéíóöőúüű", "čćđšž"
_WEST = ("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "àâãáçéêíóôõú", "àèéìíîòóùú", "åäöéæø", "áæéíóöúýþð", "éëïóöü")
_ALPHABETS = {
    "cp1250": (_POLISH, _CZECH, _HUNGARIAN, _SLAVIC, "ăâîşţ"),
    "iso8859_2": (_POLISH, _CZECH, _HUNGARIAN, _SLAVIC, "ăâîşţ"),
    "cp1254": ("çğıöşüâîûi̇",), "cp1257": ("āčēģīķļņšūž", "ąčęėįšųūž", "äöõüšž"), "mac_roman": _WEST, "cp850": _WEST, "cp852": (_POLISH, _CZECH, _HUNGARIAN, _SLAVIC),
    "cp1255": ("אבגדהוזחטיךכלםמןנסעףפץצקרשת",),
}  # fmt: skip
_OTHERS = [
    "gb18030",
    "big5",
    "cp932",
    "euc_jp",
    "cp949",
    "cp1251",
    "koi8_r",
    "cp866",
    "iso8859_5",
    "cp1253",
    "iso8859_7",
    "cp1256",
    "tis_620",
]
_ICONV = {"mac_roman": "MACINTOSH", "cp949": "CP949", "cp932": "CP932", "tis_620": "TIS-620"}
_MARKS_OF_TEXT = set("‘’“”„–—…«»°§€´\xa0·¿¡")


def proposal(raw: bytes) -> str:
    """Return the remedy for bytes that are not UTF-8 and not Western: encodings that they may be of, each with a word as it reads there."""
    held = dict.fromkeys(re.findall(rb"[^\x00-\x20,;|\"]*[\x80-\xff][^\x00-\x20,;|\"]*", raw[:200000]))
    read: dict[tuple[str, ...], str] = {}
    for name in _likely(raw):
        words = tuple(word.decode(name, "replace") for word in held)
        read.setdefault(words, name)
    names = list(read.values())[:3]
    if not names:
        return "Name its encoding (encoding), or save it as UTF-8 in the program that wrote it."
    differ = next((at for at, ways in enumerate(zip(*read, strict=True)) if len(set(ways)) > 1), 0)
    told = " or ".join(f"{name} (a word in it would be {words[differ][:30]!r})" for words, name in list(read.items())[:3])
    iconv = _ICONV.get(names[0], codecs.lookup(names[0]).name.upper())
    return (
        f"It may be {told}. If that reads right, name it (encoding: {names[0]}), or save it as UTF-8: iconv -f {iconv} -t UTF-8 in > out; "
        "else save it as UTF-8 in the program that wrote it."
    )


def _likely(raw: bytes) -> list[str]:
    """Return encodings in which bytes read like words: of one language in Latin or Hebrew letters, or what charset_normalizer finds of other scripts."""
    from charset_normalizer import from_bytes

    plain = len(raw) - len(raw.translate(None, string.ascii_letters.encode()))
    best: list[tuple[float, int, str]] = []
    for at, (name, alphabets) in enumerate(_ALPHABETS.items()):
        try:
            text = raw.decode(name)
        except UnicodeDecodeError:
            continue
        strange = Counter(char for char in text if char > "\x7f")
        letters = sum(count for char, count in strange.items() if char.lower() not in _MARKS_OF_TEXT)
        fits = max(sum(count for char, count in strange.items() if char.lower() in one) for one in alphabets)
        if letters and (letters <= plain / 2) == (name != "cp1255") and fits >= 0.97 * letters:
            best.append((-fits / letters, at, name))
    if best:
        return [name for _, _, name in sorted(best)]
    found = from_bytes(raw[:200_000], cp_isolation=_OTHERS).best()
    return [found.encoding] if found is not None else []
