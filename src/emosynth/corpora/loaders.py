"""One small reader for each upstream layout.

Every reader returns plain rows with their place in the file, so that later checks can name it. Texts of `DIALOGUES` are utterances: each row
knows what was said before it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from emosynth.catalog import CorpusSpec
from emosynth.corpora.arrow import cells, read_parquet
from emosynth.corpora.decoding import broken, cut, fault, some
from emosynth.corpora.files import SPLIT_NAMES, Loaded, Row, distinct
from emosynth.corpora.spelling import normalise
from emosynth.corpora.unpacking import read_text

NEUTRAL = 0.5
"""VADER's own bound of neutral: texts with a mean valence of at most this size are neutral, and the two-class scheme drops them."""
SCHEMES = {"valence-three": ("negative", "neutral", "positive"), "valence-two": ("negative", "positive")}
ISEAR = ("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt")
MELD = ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")
EMOCONTEXT = ("others", "happy", "sad", "angry")
IEMOCAP = {"ang": "anger", "hap": "happiness", "exc": "excitement", "sad": "sadness", "fru": "frustration", "neu": "neutral"}
"""Codes of IEMOCAP that are read, and their names; its other codes (surprise, fear, disgust, other, no agreement) hold few turns each."""

_NO_SITUATION = re.compile(
    r"no (response|reponse|description|answer)\b.*|none|nothing|never|blank|not applicable|(doesn't|does not) apply|(the )?(same|previous) \w+ [^.,-]*|"
    r"as for \w+|(i )?(can ?not|can't|do not|don't) (know|(think of|remember|recall)( (a|any\w*|one)\b[^.]*)?)|"
    r"(i have )?(never|not) (felt|experienced)( (this|the) emotion[^.]*)?|normally i do not feel .*",
    re.IGNORECASE,
)
"""What people wrote in place of a situation."""
_IEMOCAP_SPLITS = {"1": "train", "2": "train", "3": "train", "4": "validation", "5": "test"}
_TURN = re.compile(r"(?P<name>(?P<dialogue>Ses\d\d[FM]_\w+)_(?P<who>[FM])\d+\w*) \[[^\]]*\]:\s*(?P<text>.*)")
_JUDGED = re.compile(r"\[[^\]]*\]\t(?P<name>Ses\S+)\t(?P<code>\w+)\t")


# --- what readers share --------------------------------------------------------------------------------------


def _lines(path: Path) -> list[str]:
    return cut(read_text(path))


def _cells(path: Path, what: str, count: int, most: int = -1) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of each line; they are separated by tabs."""
    for number, line in enumerate(_lines(path), start=1):
        cells = line.split("\t", most)
        if len(cells) != count:
            raise broken(f"Expected {what} separated by tabs, found {len(cells)} columns.", path, number)
        yield number, cells


def _numbered(cell: str, classes: Sequence[str], path: Path, line: int) -> str:
    """Return the class that a number means."""
    try:
        number = int(cell)
    except ValueError:
        number = -1
    if not 0 <= number < len(classes):
        raise broken(f"Unknown label {cell.strip()!r}; known are 0 to {len(classes) - 1} ({some(classes, 30)}).", path, line)
    return classes[number]


def _known(label: str, classes: Sequence[str], path: Path, line: int) -> str:
    if label not in classes:
        raise broken(f"Unknown label {label!r}; known are {some(classes, 10)}.", path, line)
    return label


def _lacks(what: str, wanted: Sequence[str], there: Any, path: Path, line: int) -> None:
    if lacking := [name for name in wanted if name not in there]:
        raise broken(f"The {what} {some(lacking)}.", path, line)


def _fixed_row(part: str, number: int, text: str, label: str, path: Path) -> Row:
    split = SPLIT_NAMES[part]
    return Row(f"{split}-{number:05d}", normalise(text), (label,), split, f"{path.name} line {number}")


def _read_hub(folder: Path, text: str, label: str, key: str | None, classes: Sequence[str] = ()) -> Loaded | None:
    """Read what `Catalog.fetch` kept from the hub, if it did: one Parquet file a split, label numbers, their names in ``features.json``."""
    if not (folder / "features.json").is_file():
        return None
    note = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    names = [str(name) for name in note["names"].get(label) or classes]
    rows = []
    multi = False
    for part in ("train", "validation", "test"):
        path = folder / f"{part}.parquet"
        if not path.is_file():
            raise fault(f"What the hub served has no {part} split.", folder, "Delete this folder and run again.")
        table = read_parquet(path, path)
        if lacking := [column for column in (text, label, key) if column is not None and column not in table.column_names]:
            raise fault(f"What the hub served lacks the columns {some(lacking)}.", path, "Pin an older revision in data/catalog.yaml.")
        columns = {column: cells(table, column, path) for column in (text, label, key) if column is not None}
        for number, (said, given, known) in enumerate(zip(columns[text], columns[label], columns[key or text], strict=True), start=1):
            multi |= isinstance(given, list)
            labels = tuple(_numbered(str(cell), names, path, number) for cell in (given if isinstance(given, list) else [given]))
            name, place = (str(known), f"{path.name} row {number}") if key else (f"{part}-{number:05d}", f"{path.name} line {number}")
            rows.append(Row(name, normalise(str(said)), labels, part, place))
    return Loaded(distinct(rows), names, "multi" if multi else "single", str(folder), {})


# --- texts ---------------------------------------------------------------------------------------------------


def valence_class(valence: float, scheme: str) -> str | None:
    """Return negative, neutral or positive for a mean valence in -4…4; None: the scheme drops it, for raters see no opinion or disagree."""
    if abs(valence) <= NEUTRAL:
        return "neutral" if scheme == "valence-three" else None
    return "positive" if valence > 0 else "negative"


def read_vader(path: Path, spec: CorpusSpec) -> Loaded:
    """Read a VADER ground-truth file: id, mean valence and text, separated by tabs."""
    if spec.scheme not in SCHEMES:
        what = "Rated valence needs the scheme valence-three or valence-two."
        raise fault(what, "data/catalog.yaml", "Correct the scheme of the corpus.")
    rows: list[Row] = []
    dropped = 0
    for number, (name, rated, text) in _cells(path, "id, valence and text", 3, 2):
        try:
            valence = float(rated)
        except ValueError:
            valence = math.nan
        if not abs(valence) <= 4:
            raise broken(f"Not a valence from -4 to 4: {rated!r}.", path, number)
        label = valence_class(valence, spec.scheme)
        if label is None:
            dropped += 1
        else:  # zero-filled, so that the order of ids is the order of numbers
            rows.append(Row(name.strip().zfill(5), normalise(text), (label,), None, f"line {number}"))
    reasons = {f"mean valence within ±{NEUTRAL:g}, no clear opinion": dropped} if dropped else {}
    return Loaded(rows, list(SCHEMES[spec.scheme]), "single", str(path), reasons)


def read_tweeteval(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read TweetEval: for each split one file of texts and one of label numbers, line by line; names in ``mapping.txt``."""
    if served := _read_hub(folder, "text", "label", None):
        return served
    names: dict[int, str] = {}
    mapping = folder / "mapping.txt"
    for number, line in enumerate(_lines(mapping), start=1):
        cells = line.split("\t")
        if len(cells) < 2 or not cells[0].strip().isdigit():
            raise broken("Expected a label number, a tab and a name.", mapping, number)
        names[int(cells[0])] = cells[1].strip().lower()
    if sorted(names) != list(range(len(names))):
        raise fault(f"Label numbers must run from 0 on without a gap, found {some(sorted(names))}.", mapping, "Fetch the file again.")
    classes = [names[number] for number in range(len(names))]
    rows = []
    for part in ("train", "val", "test"):
        texts_path, labels_path = folder / f"{part}_text.txt", folder / f"{part}_labels.txt"
        texts, given = _lines(texts_path), _lines(labels_path)
        if len(texts) != len(given):
            what = f"The files of one split differ in length: {len(texts)} texts, {len(given)} labels."
            raise fault(what, f"{texts_path} and {labels_path.name}", "Fetch both again from one version of the corpus.")
        for number, (text, cell) in enumerate(zip(texts, given, strict=True), start=1):
            rows.append(_fixed_row(part, number, text, _numbered(cell, classes, labels_path, number), texts_path))
    return Loaded(rows, classes, "single", str(folder), {})


def read_goemotions(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read GoEmotions: text, comma-separated label numbers and comment id, separated by tabs; names in ``labels.txt``.

    Texts that hold quotes are quoted upstream as in CSV, with quotes inside doubled; one that only looks quoted (an odd quote inside) is text
    as it stands.
    """
    if served := _read_hub(folder, "text", "labels", "id"):
        return served
    classes = [line.strip() for line in _lines(folder / "labels.txt")]
    rows = []
    for part in ("train", "dev", "test"):
        path = folder / f"{part}.tsv"
        for number, (text, given, name) in _cells(path, "text, label numbers and comment id", 3):
            labels = tuple(_numbered(cell, classes, path, number) for cell in given.split(","))
            if len(text) > 1 and text[0] == '"' == text[-1] and '"' not in (inner := text[1:-1]).replace('""', ""):
                text = inner.replace('""', '"')
            rows.append(Row(name.strip(), normalise(text), labels, SPLIT_NAMES[part], f"{path.name} line {number}"))
    return Loaded(distinct(rows), classes, "multi", str(folder), {})


def read_sst2(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read SST-2 as on the hub: one JSON object a line with text, label and label_text."""
    classes = ["negative", "positive"]
    if served := _read_hub(folder, "text", "label", None, classes):
        return served
    rows = []
    for part in ("train", "dev", "test"):
        path = folder / f"{part}.jsonl"
        for number, line in enumerate(_lines(path), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise broken(f"Not a JSON object: {error}", path, number, "Write one JSON object a line.") from None
            if not isinstance(record, dict):
                raise broken(f"Not a JSON object but {type(record).__name__}.", path, number, "Write one JSON object a line.")
            _lacks("row lacks", ("text", "label"), record, path, number)
            label = _numbered(str(record["label"]), classes, path, number)
            rows.append(_fixed_row(part, number, str(record["text"]), label, path))
    return Loaded(rows, classes, "single", str(folder), {})


def read_isear(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read ISEAR (Scherer and Wallbott 1994): what people from many countries felt, seven times each, and when.

    Cells are separated by ``|``, which texts may hold too: a text is all between its neighbours in the header. A line break within a text
    stands as ``á`` (a no-break space read in another code page) or ``|``; ``\\"`` and ``\\`` were quotation marks. There are no splits
    upstream: a person's rows go into one split together. (``SUBJ`` numbers people within a country; ``ID`` numbers them all.)
    """
    path = folder / "isear.csv"
    found = _lines(path)
    header = found[0].split("|")
    wanted = ("ID", "Field1", "MYKEY", "SIT")
    _lacks("header lacks", wanted, header, path, 1)
    person, label, key, text = map(header.index, wanted)
    after = len(header) - text - 1
    rows, dropped = [], 0
    for number, line in enumerate(found[1:], start=2):
        cells = line.split("|")
        if len(cells) < len(header):
            raise broken(f"The row has {len(cells)} cells, the header {len(header)}.", path, number)
        emotion = _known(cells[label], ISEAR, path, number)
        situation = _situation("|".join(cells[text : len(cells) - after]))
        if not situation or _NO_SITUATION.fullmatch(situation.rstrip(" .!")):
            dropped += 1
        else:
            rows.append(Row(cells[key], situation, (emotion,), None, f"line {number}", group=cells[person]))
    return Loaded(rows, list(ISEAR), "single", str(path), {"no situation is told, as in “No response.”": dropped} if dropped else {})


def _situation(cell: str) -> str:
    bare = cell.replace("|", " ").replace("á", " ").strip()  # `normalise` would read \n as a line break
    if "\\" in bare:
        if bare.endswith('"') and not bare.endswith('\\"'):  # of the cell, not of the text
            bare = bare[:-1]
        bare = bare.replace('\\"', '"').replace("\\", '"')
    bare = normalise(bare)
    return normalise(bare[1:-1]) if bare.startswith("[") and bare.endswith("]") else bare


# --- utterances of dialogues ---------------------------------------------------------------------------------


def read_meld(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read MELD (Poria et al. 2019): ``{train,dev,test}_sent_emo.csv``, one utterance a row, dialogues in order.

    Ids are split, dialogue and utterance. The label of an utterance was given by people who watched its dialogue.
    """
    rows = []
    for part in ("train", "dev", "test"):
        path, split = folder / f"{part}_sent_emo.csv", SPLIT_NAMES[part]
        found = csv.DictReader(io.StringIO(read_text(path), newline=""))
        _lacks(
            "file lacks the columns", ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID"), found.fieldnames or [], path, 1
        )
        said: dict[str, list[tuple[int, str]]] = {}
        for record in found:
            line = found.line_num
            dialogue, turn, label, who = (str(record[name] or "").strip() for name in ("Dialogue_ID", "Utterance_ID", "Emotion", "Speaker"))
            if not (dialogue.isdigit() and turn.isdigit()):
                raise broken(f"Dialogue and utterance need numbers, found {dialogue!r} and {turn!r}.", path, line)
            labels = (_known(label, MELD, path, line),)
            text, before = normalise(str(record["Utterance"])), said.setdefault(dialogue, [])
            if before and before[-1][0] >= int(turn):
                raise broken("The utterances of a dialogue are not in order.", path, line)
            name = f"{split}-{int(dialogue):04d}"
            context = tuple(item for _, item in before)
            rows.append(Row(f"{name}-{int(turn):02d}", text, labels, split, f"{path.name} line {line}", dialogue=name, context=context))
            before.append((int(turn), f"{normalise(who)}: {text}"))
    return Loaded(rows, list(MELD), "single", str(folder), {})


def read_emocontext(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read EmoContext (SemEval-2019 task 3; Chatterjee et al. 2019): ``{train,dev,test}.txt`` with id, three turns and label, by tabs.

    The text is the third turn, whose emotion is labelled; the two turns before it are its context. A and B are the two who talk.
    """
    rows = []
    for part in ("train", "dev", "test"):
        path, split = folder / f"{part}.txt", SPLIT_NAMES[part]
        if [cell.strip().lower() for cell in _lines(path)[0].split("\t")] != ["id", "turn1", "turn2", "turn3", "label"]:
            remedy = "Use the files with labels, as the organisers gave them out after the challenge."
            raise broken("The columns are not id, turn1, turn2, turn3, label.", path, 1, remedy)
        for number, (given, *turns, label) in _cells(path, "id, three turns and label", 5):
            if number == 1:
                continue
            labels = (_known(label.strip(), EMOCONTEXT, path, number),)
            if not given.isdigit():
                raise broken(f"The id is no number: {given!r}.", path, number)
            name, (first, second, third) = f"{split}-{int(given):05d}", map(normalise, turns)
            place, context = f"{path.name} line {number}", (f"A: {first}", f"B: {second}")
            rows.append(Row(name, third, labels, split, place, dialogue=name, context=context))
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
            remedy = "Lay the release below the mirror as it was given out, Session1 to Session5."
            raise fault(f"There are no transcriptions of session {session}.", home / "transcriptions", remedy)
        for path in transcripts:
            codes = {m["name"]: m["code"] for m in map(_JUDGED.match, _lines(home / "EmoEvaluation" / path.name)) if m is not None}
            before: list[str] = []
            for number, line in enumerate(_lines(path), start=1):
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


Reader = Callable[[Path, CorpusSpec], Loaded]
DIALOGUES: dict[str, Reader] = {"meld": read_meld, "emocontext": read_emocontext, "iemocap": read_iemocap}
READERS: dict[str, Reader] = {
    "vader": read_vader, "tweeteval": read_tweeteval, "goemotions": read_goemotions, "sst2": read_sst2, "isear": read_isear, **DIALOGUES,
}  # fmt: skip
"""Readers by layout."""
