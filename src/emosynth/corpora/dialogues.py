"""Readers of corpora whose texts are utterances of a dialogue: each row knows what was said before it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from emosynth.catalog import CorpusSpec
from emosynth.corpora.files import SPLIT_NAMES, Loaded, Row, broken, lines, read_text
from emosynth.corpora.schema import some
from emosynth.errors import UserError
from emosynth.text import normalise

MELD = ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")
EMOCONTEXT = ("others", "happy", "sad", "angry")
IEMOCAP = {
    "ang": "anger", "hap": "happiness", "exc": "excitement", "sad": "sadness", "fru": "frustration", "neu": "neutral",
}  # fmt: skip
"""Codes of IEMOCAP that are read, and their names; its other codes (surprise, fear, disgust, other, no agreement) hold few turns each."""

_IEMOCAP_SPLITS = {"1": "train", "2": "train", "3": "train", "4": "validation", "5": "test"}
_TURN = re.compile(r"(?P<name>(?P<dialogue>Ses\d\d[FM]_\w+)_(?P<who>[FM])\d+\w*) \[[^\]]*\]:\s*(?P<text>.*)")
_JUDGED = re.compile(r"\[[^\]]*\]\t(?P<name>Ses\S+)\t(?P<code>\w+)\t")


def read_meld(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read MELD (Poria et al. 2019): ``{train,dev,test}_sent_emo.csv``, one utterance a row, dialogues in order.

    Ids are split, dialogue and utterance. The label of an utterance was given by people who watched its dialogue.
    """
    rows = []
    columns = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
    for part in ("train", "dev", "test"):
        path, split = folder / f"{part}_sent_emo.csv", SPLIT_NAMES[part]
        found = csv.DictReader(io.StringIO(read_text(path), newline=""))
        lacking = [column for column in columns if column not in (found.fieldnames or [])]
        if lacking:
            raise broken(f"The file lacks the columns {some(lacking)}.", path, 1)
        said: dict[str, list[tuple[int, str]]] = {}
        for record in found:
            line = found.line_num
            dialogue, turn, label, who = (str(record[name] or "").strip() for name in ("Dialogue_ID", "Utterance_ID", "Emotion", "Speaker"))
            if not (dialogue.isdigit() and turn.isdigit()):
                raise broken(f"Dialogue and utterance need numbers, found {dialogue!r} and {turn!r}.", path, line)
            if label not in MELD:
                raise broken(f"Unknown label {label!r}; known are {some(MELD, 10)}.", path, line)
            text, before = normalise(str(record["Utterance"])), said.setdefault(dialogue, [])
            if before and before[-1][0] >= int(turn):
                raise broken("The utterances of a dialogue are not in order.", path, line)
            name = f"{split}-{int(dialogue):04d}"
            context = tuple(item for _, item in before)
            rows.append(Row(f"{name}-{int(turn):02d}", text, (label,), split, f"{path.name} line {line}", dialogue=name, context=context))
            before.append((int(turn), f"{normalise(who)}: {text}"))
    return Loaded(rows, list(MELD), "single", str(folder), {})


def read_emocontext(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read EmoContext (SemEval-2019 task 3; Chatterjee et al. 2019): ``{train,dev,test}.txt`` with id, three turns and label, by tabs.

    The text is the third turn, whose emotion is labelled; the two turns before it are its context. A and B are the two who talk.
    """
    rows = []
    for part in ("train", "dev", "test"):
        path, split = folder / f"{part}.txt", SPLIT_NAMES[part]
        found = lines(path)
        if [cell.strip().lower() for cell in found[0].split("\t")] != ["id", "turn1", "turn2", "turn3", "label"]:
            remedy = "Use the files with labels, as the organisers gave them out after the challenge."
            raise broken("The columns are not id, turn1, turn2, turn3, label.", path, 1, remedy)
        for number, line in enumerate(found[1:], start=2):
            cells = line.split("\t")
            if len(cells) != 5:
                raise broken(f"Expected five columns separated by tabs, found {len(cells)}.", path, number)
            if cells[4].strip() not in EMOCONTEXT:
                raise broken(f"Unknown label {cells[4].strip()!r}; known are {some(EMOCONTEXT)}.", path, number)
            name, (first, second, third) = f"{split}-{int(cells[0]):05d}" if cells[0].isdigit() else "", map(normalise, cells[1:4])
            if not name:
                raise broken(f"The id is no number: {cells[0]!r}.", path, number)
            place, context = f"{path.name} line {number}", (f"A: {first}", f"B: {second}")
            rows.append(Row(name, third, (cells[4].strip(),), split, place, dialogue=name, context=context))
    return Loaded(rows, list(EMOCONTEXT), "single", str(folder), {})


def read_iemocap(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read IEMOCAP (Busso et al. 2008): transcriptions and categorical judgements of five sessions, as released.

    Sessions 1 to 3 are for training, 4 for validation, 5 for test: each has two speakers of its own, so nobody is in two splits.
    """
    rows: list[Row] = []
    left: Counter[str] = Counter()
    for session, split in _IEMOCAP_SPLITS.items():
        home = folder / f"Session{session}" / "dialog"
        transcripts = sorted((home / "transcriptions").glob("Ses*.txt"))
        if not transcripts:
            raise UserError(
                f"There are no transcriptions of session {session}.", where=str(home / "transcriptions"),
                remedy="Lay the release below the mirror as it was given out, Session1 to Session5.",
            )  # fmt: skip
        for path in transcripts:
            codes = {m["name"]: m["code"] for m in map(_JUDGED.match, lines(home / "EmoEvaluation" / path.name)) if m is not None}
            before: list[str] = []
            for number, line in enumerate(lines(path), start=1):
                turn = _TURN.match(line)
                if turn is None:  # a few lines of the release are remarks in other forms
                    left["lines that are no turn"] += bool(line.strip())
                    continue
                text, code = normalise(turn["text"]), codes.get(turn["name"])
                if code in IEMOCAP and text:
                    place = f"{path.name} line {number}"
                    rows.append(Row(turn["name"], text, (IEMOCAP[code],), split, place, dialogue=path.stem, context=tuple(before)))
                else:
                    left["turns without a judgement" if code is None else "turns with another label, or without agreement"] += 1
                before.append(f"{turn['who']}: {text}")
    return Loaded(rows, list(IEMOCAP.values()), "single", str(folder), dict(sorted(left.items())))


DIALOGUES: dict[str, Callable[[Path, CorpusSpec], Loaded]] = {"meld": read_meld, "emocontext": read_emocontext, "iemocap": read_iemocap}
"""Readers by layout."""
