"""One small reader for each upstream layout.

Every reader returns plain rows with their place in the file, so that later checks can name it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from emosynth.catalog import CorpusSpec
from emosynth.corpora import labels as labelling
from emosynth.corpora.dialogues import DIALOGUES
from emosynth.corpora.files import SPLIT_NAMES, Loaded, Row, broken, distinct, json_lines, lines
from emosynth.corpora.schema import some
from emosynth.errors import UserError
from emosynth.text import normalise


def _class_of(cell: str, classes: Sequence[str], path: Path, line: int) -> str:
    try:
        number = int(cell)
        if number < 0:
            raise IndexError
        return classes[number]
    except (ValueError, IndexError):
        raise broken(f"Unknown label {cell.strip()!r}; known are 0 to {len(classes) - 1} ({some(classes, 30)}).", path, line) from None


def read_vader(path: Path, spec: CorpusSpec) -> Loaded:
    """Read a VADER ground-truth file: id, mean valence and text, separated by tabs."""
    schemes: dict[str, tuple[Callable[[float], str | None], tuple[str, ...]]] = {
        "valence-three": (labelling.valence_three, labelling.VALENCE_THREE),
        "valence-two": (labelling.valence_two, labelling.VALENCE_TWO),
    }
    if spec.scheme not in schemes:
        raise UserError(
            "Rated valence needs the scheme valence-three or valence-two.",
            where="data/catalog.yaml",
            remedy="Correct the scheme of the corpus.",
        )
    label_of, classes = schemes[spec.scheme]
    rows: list[Row] = []
    dropped = 0
    for number, line in enumerate(lines(path), start=1):
        cells = line.split("\t", 2)
        if len(cells) != 3:
            raise broken(f"Expected id, valence and text separated by tabs, found {len(cells)} columns.", path, number)
        try:
            valence = labelling.parse_valence(cells[1])
        except ValueError:
            raise broken(f"Not a valence from -4 to 4: {cells[1]!r}.", path, number) from None
        label = label_of(valence)
        if label is None:
            dropped += 1
            continue
        # zero-filled, so that the order of ids is the order of numbers
        rows.append(Row(cells[0].strip().zfill(5), normalise(cells[2]), (label,), None, f"line {number}"))
    reasons = {f"mean valence within ±{labelling.NEUTRAL:g}, no clear opinion": dropped} if dropped else {}
    return Loaded(rows, list(classes), "single", str(path), reasons)


def read_tweeteval(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read TweetEval: for each split one file of texts and one of label numbers, line by line; names in ``mapping.txt``."""
    if _from_hub(folder):
        return _read_hub(folder, "text", "label", None)
    names: dict[int, str] = {}
    mapping = folder / "mapping.txt"
    for number, line in enumerate(lines(mapping), start=1):
        cells = line.split("\t")
        if len(cells) < 2 or not cells[0].strip().isdigit():
            raise broken("Expected a label number, a tab and a name.", mapping, number)
        names[int(cells[0])] = cells[1].strip().lower()
    if sorted(names) != list(range(len(names))):
        raise UserError(
            f"Label numbers must run from 0 on without a gap, found {some(sorted(names))}.",
            where=str(mapping),
            remedy="Fetch the file again.",
        )
    classes = [names[number] for number in range(len(names))]
    rows = []
    for part in ("train", "val", "test"):
        texts_path, labels_path = folder / f"{part}_text.txt", folder / f"{part}_labels.txt"
        texts, given = lines(texts_path), lines(labels_path)
        if len(texts) != len(given):
            raise UserError(
                f"The files of one split differ in length: {len(texts)} texts, {len(given)} labels.",
                where=f"{texts_path} and {labels_path.name}",
                remedy="Fetch both again from one version of the corpus.",
            )
        for number, (text, cell) in enumerate(zip(texts, given, strict=True), start=1):
            label = _class_of(cell, classes, labels_path, number)
            rows.append(_fixed_row(part, number, text, (label,), texts_path))
    return Loaded(rows, classes, "single", str(folder), {})


def read_goemotions(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read GoEmotions: text, comma-separated label numbers and comment id, separated by tabs; names in ``labels.txt``.

    Texts that hold quotes are quoted upstream as in CSV, with quotes inside doubled.
    """
    if _from_hub(folder):
        return _read_hub(folder, "text", "labels", "id")
    classes = [line.strip() for line in lines(folder / "labels.txt")]
    rows = []
    for part in ("train", "dev", "test"):
        path = folder / f"{part}.tsv"
        for number, line in enumerate(lines(path), start=1):
            cells = line.split("\t")
            if len(cells) != 3:
                raise broken(f"Expected text, label numbers and comment id separated by tabs, found {len(cells)} columns.", path, number)
            labels = tuple(_class_of(cell, classes, path, number) for cell in cells[1].split(","))
            rows.append(Row(cells[2].strip(), normalise(_unquoted(cells[0])), labels, SPLIT_NAMES[part], f"{path.name} line {number}"))
    return Loaded(distinct(rows), classes, "multi", str(folder), {})


def _unquoted(cell: str) -> str:
    """Return a cell without the quotes of CSV; one that only looks quoted (an odd quote inside) is text as it stands."""
    if len(cell) < 2 or not (cell.startswith('"') and cell.endswith('"')) or '"' in cell[1:-1].replace('""', ""):
        return cell
    return cell[1:-1].replace('""', '"')


def read_sst2(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read SST-2 as on the hub: one JSON object a line with text, label and label_text."""
    classes = ["negative", "positive"]
    if _from_hub(folder):
        return _read_hub(folder, "text", "label", None, classes)
    rows = []
    for part in ("train", "dev", "test"):
        path = folder / f"{part}.jsonl"
        for number, record in json_lines(path):
            lacking = [key for key in ("text", "label") if key not in record]
            if lacking:
                raise broken(f"The row lacks {some(lacking)}.", path, number)
            label = _class_of(str(record["label"]), classes, path, number)
            rows.append(_fixed_row(part, number, str(record["text"]), (label,), path))
    return Loaded(rows, classes, "single", str(folder), {})


ISEAR = ("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt")
_NO_SITUATION = re.compile(
    r"no (response|reponse|description|answer)\b.*|none|nothing|never|blank|not applicable|(doesn't|does not) apply|(the )?(same|previous) \w+ [^.,-]*|"
    r"as for \w+|(i )?(can ?not|can't|do not|don't) (know|(think of|remember|recall)( (a|any\w*|one)\b[^.]*)?)|"
    r"(i have )?(never|not) (felt|experienced)( (this|the) emotion[^.]*)?|normally i do not feel .*",
    re.IGNORECASE,
)
"""What people wrote in place of a situation."""


def read_isear(folder: Path, spec: CorpusSpec) -> Loaded:
    """Read ISEAR (Scherer and Wallbott 1994): what people from many countries felt, seven times each, and when.

    Cells are separated by ``|``, which texts may hold too: a text is all between its neighbours in the header. A line break within a text
    stands as ``á`` (a no-break space read in another code page) or ``|``; ``\\"`` and ``\\`` were quotation marks. There are no splits
    upstream: a person's rows go into one split together. (``SUBJ`` numbers people within a country; ``ID`` numbers them all.)
    """
    path = folder / "isear.csv"
    found = lines(path)
    header = found[0].split("|")
    lacking = [name for name in ("ID", "Field1", "MYKEY", "SIT") if name not in header]
    if lacking:
        raise broken(f"The header lacks {some(lacking)}.", path, 1)
    person, label, key, text = (header.index(name) for name in ("ID", "Field1", "MYKEY", "SIT"))
    after = len(header) - text - 1
    rows, dropped = [], 0
    for number, line in enumerate(found[1:], start=2):
        cells = line.split("|")
        if len(cells) < len(header):
            raise broken(f"The row has {len(cells)} cells, the header {len(header)}.", path, number)
        if cells[label] not in ISEAR:
            raise broken(f"Unknown label {cells[label]!r}; known are {some(ISEAR, 10)}.", path, number)
        situation = _situation("|".join(cells[text : len(cells) - after]))
        if not situation or _NO_SITUATION.fullmatch(situation.rstrip(" .!")):
            dropped += 1
            continue
        rows.append(Row(cells[key], situation, (cells[label],), None, f"line {number}", group=cells[person]))
    return Loaded(rows, list(ISEAR), "single", str(path), {"no situation is told, as in “No response.”": dropped} if dropped else {})


def _situation(cell: str) -> str:
    bare = cell.replace("|", " ").replace("á", " ").strip()  # `normalise` would read \n as a line break
    if "\\" in bare:
        if bare.endswith('"') and not bare.endswith('\\"'):  # of the cell, not of the text
            bare = bare[:-1]
        bare = bare.replace('\\"', '"').replace("\\", '"')
    bare = normalise(bare)
    return normalise(bare[1:-1]) if bare.startswith("[") and bare.endswith("]") else bare


def _fixed_row(part: str, number: int, text: str, labels: tuple[str, ...], path: Path) -> Row:
    split = SPLIT_NAMES[part]
    return Row(f"{split}-{number:05d}", normalise(text), labels, split, f"{path.name} line {number}")


def _from_hub(folder: Path) -> bool:
    return (folder / "features.json").is_file()


def _read_hub(folder: Path, text: str, label: str, key: str | None, classes: Sequence[str] | None = None) -> Loaded:
    """Read what `Catalog.fetch` kept from the hub: one Parquet file a split, label numbers, their names in ``features.json``."""
    note = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    names = [str(name) for name in note["names"].get(label) or classes or []]
    rows = []
    multi = False
    for part in ("train", "validation", "test"):
        path = folder / f"{part}.parquet"
        if not path.is_file():
            raise UserError(f"What the hub served has no {part} split.", where=str(folder), remedy="Delete this folder and run again.")
        table = pq.read_table(path)
        lacking = [column for column in (text, label, *([key] if key else [])) if column not in table.column_names]
        if lacking:
            raise UserError(
                f"What the hub served lacks the columns {some(lacking)}.",
                where=str(path),
                remedy="Pin an older revision in data/catalog.yaml.",
            )
        for number, record in enumerate(table.to_pylist(), start=1):
            given = record[label]
            multi |= isinstance(given, list)
            labels = tuple(_class_of(str(cell), names, path, number) for cell in (given if isinstance(given, list) else [given]))
            if key:
                rows.append(Row(str(record[key]), normalise(str(record[text])), labels, part, f"{path.name} row {number}"))
            else:
                rows.append(_fixed_row(part, number, str(record[text]), labels, path))
    return Loaded(distinct(rows), names, "multi" if multi else "single", str(folder), {})


READERS: dict[str, Callable[[Path, CorpusSpec], Loaded]] = {
    "vader": read_vader,
    "tweeteval": read_tweeteval,
    "goemotions": read_goemotions,
    "sst2": read_sst2,
    "isear": read_isear,
    **DIALOGUES,
}
