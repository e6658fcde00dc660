"""Building, loading and describing corpora."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosynth.cards import Card, Source, read_table, write_table
from emosynth.catalog import Catalog
from emosynth.corpora.clean import clean, overlapping
from emosynth.corpora.decoding import fault, some
from emosynth.corpora.files import Loaded, Row, uncollected
from emosynth.corpora.loaders import READERS
from emosynth.corpora.own import read_user
from emosynth.corpora.schema import SPLITS, every_class, split_of, total_of, validate, with_every_class
from emosynth.corpora.shares import otherwise, said_of_conflicts
from emosynth.files import read_json, write_json
from emosynth.languages import ENGLISH_ONLY, UNSEGMENTED, is_english, unsegmented
from emosynth.params import Corpora, Params
from emosynth.paths import Paths
from emosynth.progress import counted, say, warn
from emosynth.text import words

_MEANINGS = {
    "id": "identifier, unique in the corpus; from upstream, from the place in the upstream file, or from the text",
    "text": "the text, with HTML entities unescaped, straight apostrophes and collapsed spaces",
    "labels": "the classes, one or more",
    "split": "train, validation or test",
    "corpus": "name of the corpus",
    "shares": "share of each class, in the order of classes",
}
_SHARES = (
    "Labels are shares. Training takes those of the seed and of other real rows; all else takes the class, which is the largest share."
)


@dataclass(frozen=True)
class Corpus:
    """A corpus as later steps see it.

    Attributes
    ----------
    frame
        Columns id, text, labels (list of str), split, corpus; sorted by split and id. Where annotators disagree and the file says so, shares
        too: of each class, in their order.
    classes
        In their natural order.
    task
        "single" or "multi": labels a row.
    register_noun
        What one text is called in prompts.
    class_phrases
        Class -> phrase for prompts.
    """

    name: str
    frame: pd.DataFrame
    classes: list[str]
    task: str
    register_noun: str
    class_phrases: dict[str, str]
    licence: str = ""
    citation: str = ""
    languages: list[str] = field(default_factory=lambda: ["en"])
    source: str = ""
    hash: str = ""
    counts: dict[str, Any] = field(default_factory=dict)
    duplicates: dict[str, Any] = field(default_factory=dict)
    conflicts: dict[str, Any] = field(default_factory=dict)

    def split(self, name: str) -> pd.DataFrame:
        """Return the rows of one split, sorted by id."""
        if name not in SPLITS:
            raise ValueError(f"{name!r} is none of {SPLITS}")
        return self.frame[self.frame["split"] == name].reset_index(drop=True)


@dataclass(frozen=True)
class Built:
    """What was written for one corpus."""

    name: str
    path: Path
    rows: dict[str, int]
    removed: dict[str, int]
    classes: list[str]


def build_corpora(params: Params, catalog: Catalog, paths: Paths) -> list[Built]:
    """Fetch, read, clean, check and write every corpus of a profile.

    For each corpus writes ``<corpus>.parquet``, its card and ``<corpus>.json`` into ``paths.corpora``.

    Raises
    ------
    UserError
        For an unknown corpus, a source that cannot be reached, a file that is not as it should be.
    """
    section = params.corpora
    for name in section.custom:
        if name in catalog:
            remedy = "Choose another name, for corpora.target too if the corpus has its name from there."
            raise fault(f"The custom corpus has the name of a catalogue entry: {name}.", "corpora.custom", remedy)
    # unknown names fail before anything is downloaded
    for name in section.names:
        if name not in section.custom and catalog.entry(name).corpus is None:
            usable = ", ".join(sorted(key for key, entry in catalog.entries.items() if entry.corpus is not None))
            raise fault(f"{name} is not a labelled corpus.", "corpora.target or corpora.also", f"Use one of {usable}.")
    return [_build_one(name, section, catalog, paths) for name in section.names]


def _read(name: str, params: Corpora, catalog: Catalog, paths: Paths) -> tuple[Loaded, dict[str, Any], dict[str, str]]:
    """Return the rows of a corpus, what its card says of its origin, and the phrases given for its classes."""
    if name in params.custom:
        own = params.custom[name]
        loaded = read_user(own, paths, params.conflicts)
        return (
            loaded,
            {
                "title": name, "notes": "A corpus of the user's own.", "register_noun": own.register_noun, "licence": own.licence, "citation": "",
                "languages": [loaded.language or own.language], "source": f"the file {Path(own.path).name}", "hash": "",
            },
            {},
        )  # fmt: skip
    entry = catalog.entry(name)
    assert entry.corpus is not None
    loaded = READERS[entry.corpus.layout](catalog.fetch(name), entry.corpus)
    meta = {
        "title": entry.title, "notes": entry.notes, "register_noun": entry.corpus.register_noun, "licence": entry.licence,
        "citation": entry.citation, "languages": entry.languages, "source": catalog.source_of(name), "hash": catalog.hash_of(name),
    }  # fmt: skip
    return loaded, meta, dict(entry.corpus.class_phrases)


def phrases(classes: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Return a natural phrase for each class: the one given, or the label with dashes and underscores as spaces."""
    return {label: given.get(label, label.replace("-", " ").replace("_", " ")) for label in classes}


@dataclass(frozen=True)
class Settled:
    """The rows of a corpus that a run uses, and what is to be said of them.

    Attributes
    ----------
    own_splits
        Whether the corpus has splits of its own.
    report
        On duplicates, see `emosynth.corpora.clean.clean`.
    unscored
        What is to be said of classes that a split lacks.
    overlaps
        What is to be said of splits of the corpus's own that share texts.
    """

    frame: pd.DataFrame
    own_splits: bool
    report: dict[str, Any]
    unscored: list[str]
    overlaps: list[str]


def settled(name: str, loaded: Loaded, params: Corpora, *, near: bool = True) -> Settled:
    """Return the rows of a corpus in splits without duplicates: the one rule of what can be used, for a run as for a check of a file.

    Parameters
    ----------
    near
        Whether duplicates are looked for and removed; without that large files are checked in seconds, and nothing else is left out.

    Raises
    ------
    UserError
        If there are too few classes, a split has no rows, or training or test rows of a class are lacking.
    """
    torn, left = loaded.conflicts or {}, {label for row in loaded.rows for label in row.labels}
    if len(left) == 1 and torn.get("texts"):
        raise fault(f"Rows of {some(left)} alone are left: {said_of_conflicts(torn)}", loaded.where, otherwise(torn.get("ways", [])))
    frame, own_splits, moved = _frame(name, loaded, params.fractions)
    others = functools.partial(_other_shares, name, loaded, params.fractions)
    validate(frame, loaded.classes, loaded.task, loaded.where, [row.place for row in loaded.rows], others)
    overlaps = list(overlapping(frame)) if own_splits else []
    report: dict[str, Any] = {}
    if near:
        cleaned = clean(frame, params.near_duplicate)
        frame, report = cleaned.frame, cleaned.report
        validate(frame, loaded.classes, loaded.task, f"{loaded.where}, after duplicates were removed")
    said = every_class(frame, loaded.classes, loaded.where, others)
    if moved:
        said.append(f"By their hashes the test split had no row of {some(moved, 30)}: of each, the row nearest to it was moved there.")
    if _no_validation(loaded):
        taken = int((frame["split"] == "validation").sum())
        said.append(
            f"The file has no validation rows: {taken:,} of its training rows are taken, by a hash of the text (corpora.fractions)."
        )
    return Settled(frame, own_splits, report, said, overlaps)


def _other_shares(name: str, loaded: Loaded, tried: Sequence[float]) -> str:
    """Return shares of train, validation and test by which every class can be learnt and scored; empty: none of the usual ones does."""
    for shares in ((0.5, 0.1, 0.4), (0.4, 0.1, 0.5)):
        frame, own, _ = _frame(name, loaded, shares)
        held = {split: frame.loc[frame["split"] == split, "labels"].explode().value_counts() for split in SPLITS}
        # a seed holds two rows of each class, unless a profile says otherwise
        fit = all(held["train"].get(label, 0) >= 2 and held["test"].get(label, 0) for label in loaded.classes) and len(held["validation"])
        if fit and not own and list(shares) != list(tried):
            said = [f"{share:g}" for share in shares]
            return f"--fractions {','.join(said)}, or corpora: {{fractions: [{', '.join(said)}]}} in profiles/NAME.yaml"
    return ""


def _build_one(name: str, params: Corpora, catalog: Catalog, paths: Paths) -> Built:
    loaded, meta, given = _read(name, params, catalog, paths)
    say(f"{name}: {counted(len(loaded.rows), 'row')} read; looking for duplicates")
    if loaded.notes:
        say(f"{name}: " + "; ".join(loaded.notes))
    made = settled(name, loaded, params)
    frame, report = made.frame, made.report
    overlaps = made.overlaps if name in params.custom else []  # what the published corpora share their cards tell as a count
    for line in overlaps:
        warn(f"{name}: {line}")
    unit = "person" if any(row.group for row in loaded.rows) else "text"
    counts = _counts(frame, loaded.classes)
    conflicts = loaded.conflicts or report["conflicts"]
    removed = {split: sum(kinds.values()) for split, kinds in report["removed"].items()}
    note = {
        "name": name, "classes": loaded.classes, "task": loaded.task, "register_noun": meta["register_noun"],
        "class_phrases": phrases(loaded.classes, given), "counts": counts, "dropped": loaded.dropped, "conflicts": conflicts,
        "understood": list(loaded.notes), "splits": "upstream" if made.own_splits else f"by hash of the {unit}", "duplicates": report,
        "source": meta["source"], "hash": meta["hash"], "licence": meta["licence"], "citation": meta["citation"].strip(),
        "languages": meta["languages"],
    }  # fmt: skip
    about_language = [] if is_english(meta["languages"]) else [ENGLISH_ONLY]
    about_language += [UNSEGMENTED] if unsegmented(frame["text"].tolist()) else []
    for line in about_language:
        say(f"{name} ({', '.join(meta['languages'])}): {line}")
    fractions = ", ".join(f"{share:g}" for share in params.fractions)
    how = "as upstream" if made.own_splits else f"made once by sha256 of the {unit}, in shares of {fractions}"
    card = Card(
        title=meta["title"],
        what=meta["notes"] or meta["title"],
        made=f"Step 00 (corpora). Splits are {how}. Texts were normalised; duplicates were found across and within splits.",
        sources=[Source(name=name, version=meta["source"], hash=meta["hash"])],
        columns={column: meaning for column, meaning in _MEANINGS.items() if column in frame},
        counts={split: counts[split] for split in SPLITS},
        limits=[
            *(f"{counted(count, 'row')} {'was' if count == 1 else 'were'} left out: {reason}." for reason, count in loaded.dropped.items()),
            *about_language,
            *([_SHARES] if "shares" in frame else []),
            said_of_conflicts(conflicts),
            *made.unscored,
            *overlaps,
            *(f"Read as found in the file: {line}" for line in loaded.notes),
            f"Rows with a near-duplicate (Jaccard similarity of token 3-grams of at least {params.near_duplicate:g}) were removed: from training "
            f"{removed['train']:,}, from validation {removed['validation']:,}. The test split is complete.",
            "The text is third parties' and may offend; it is not part of the repository.",
        ],
        licence=meta["licence"],
        languages=meta["languages"],
        tags=["emotion", "sentiment", loaded.task + "-label"],
        citation=meta["citation"],
    )
    path = write_table(frame, paths.corpora / f"{name}.parquet", card)
    write_json(paths.corpora / f"{name}.json", note)
    rows = {split: int((frame["split"] == split).sum()) for split in SPLITS}
    say(
        f"{name}: "
        + ", ".join(f"{count} {split}" for split, count in rows.items())
        + f"; {counted(sum(removed.values()), 'duplicate')} removed"
    )
    return Built(name, path, rows, removed, loaded.classes)


@uncollected()
def _no_validation(loaded: Loaded) -> bool:
    """Return whether a corpus has splits of its own, for training and test alone."""
    return {row.split for row in loaded.rows} == {"train", "test"}


def _split(row: Row, fractions: Sequence[float], lacking: bool) -> str:
    """Return the split of a row; where validation rows are lacking, some of training are taken."""
    if lacking and row.split == "train":
        whole = fractions[0] + fractions[1]
        return split_of(row.group or row.text, (fractions[0] / whole, fractions[1] / whole, 0.0))
    return row.split or split_of(row.group or row.text, fractions)


def _frame(name: str, loaded: Loaded, fractions: Sequence[float]) -> tuple[pd.DataFrame, bool, list[str]]:
    """Return rows as a frame, with splits by hash where the corpus has none; whether it had its own; and of which classes a row was moved to test."""
    order, lacking = {label: position for position, label in enumerate(loaded.classes)}, _no_validation(loaded)
    splits, moved = [_split(row, fractions, lacking) for row in loaded.rows], list[str]()
    if all(row.split is None and not row.group for row in loaded.rows):
        splits, moved = with_every_class([row.text for row in loaded.rows], [row.labels for row in loaded.rows], splits)
    frame = pd.DataFrame(
        {
            "id": [row.id for row in loaded.rows],
            "text": [row.text for row in loaded.rows],
            "labels": pd.Series([sorted(row.labels, key=lambda label: order.get(label, -1)) for row in loaded.rows], dtype=object),
            "split": splits,
            "corpus": name,
        }
    )
    if any(row.shares for row in loaded.rows):
        frame["shares"] = pd.Series([[dict(row.shares).get(label, 0.0) for label in loaded.classes] for row in loaded.rows], dtype=object)
    return frame, all(row.split is not None for row in loaded.rows), moved


def _counts(frame: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    counts = {}
    for split in SPLITS:
        rows = frame[frame["split"] == split]
        by_class = rows["labels"].explode().value_counts()
        counts[split] = {total_of(classes): len(rows), **{label: int(by_class.get(label, 0)) for label in classes}}
    return counts


def load_corpus(paths: Paths, name: str, splits: Sequence[str] | None = None) -> Corpus:
    """Load a corpus that step 00 wrote.

    Parameters
    ----------
    paths
        Places of the profile.
    name
        The corpus.
    splits
        Splits wanted; None: all. Steps that must not see the test split leave it out here.

    Raises
    ------
    UserError
        If the corpus has not been built, or its files do not fit each other.
    """
    note = read_json(paths.corpora / f"{name}.json", "corpora")
    path = paths.corpora / f"{name}.parquet"
    frame = read_table(path, stage="corpora")
    validate(frame, note["classes"], note["task"], str(path))
    if splits is not None:
        frame = frame[frame["split"].isin(list(splits))].reset_index(drop=True)
    told = (
        "classes", "task", "register_noun", "class_phrases", "licence", "citation", "languages", "source", "hash", "counts", "duplicates",
    )  # fmt: skip
    return Corpus(name, frame, conflicts=note.get("conflicts", {}), **{key: note[key] for key in told})


def describe(corpus: Corpus, examples: int = 2, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return tables that describe a corpus.

    Returns
    -------
    dict
        ``counts``: rows by class and split with the class's share of the training rows; ``lengths``: quantiles of the length
        in words (tokens with a letter or digit) by class over training rows; ``duplicates``: rows that repeat another, found and removed;
        ``examples``: some training rows of each class, drawn with ``seed``.
    """
    train, total = corpus.split("train"), total_of(corpus.classes)
    counts = pd.DataFrame({split: corpus.counts[split] for split in SPLITS}).rename_axis("class")
    counts["share of train"] = counts["train"] / max(1, int(corpus.counts["train"][total]))

    counted = np.array([sum(any(map(str.isalnum, token)) for token in words(text)) for text in train["text"]], dtype=float)
    having = {label: [label in labels for labels in train["labels"]] for label in corpus.classes}
    points = {"5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95}
    lengths = pd.DataFrame(
        {
            label: {name: float(np.quantile(values, q)) if len(values) else np.nan for name, q in points.items()}
            for label, values in {total: counted, **{label: counted[held] for label, held in having.items()}}.items()
        }
    ).T.rename_axis("class")

    torn = corpus.conflicts
    duplicates = [
        *((kind, where, count) for kind, by_pair in corpus.duplicates.get("found", {}).items() for where, count in by_pair.items()),
        (f"texts with several labels ({torn.get('done', 'kept')})", f"{torn.get('rows', 0)} rows", torn.get("texts", 0)),
        *(
            (kind, f"removed from {split}", count)
            for split, kinds in corpus.duplicates.get("removed", {}).items()
            for kind, count in kinds.items()
            if count
        ),
    ]
    rng = np.random.default_rng(seed)
    drawn = []
    for label, held in having.items():
        rows = train[held]
        for place in sorted(rng.permutation(len(rows))[:examples]):
            row = rows.iloc[int(place)]
            drawn.append((label, row["id"], row["text"], ", ".join(row["labels"])))
    return {
        "counts": counts,
        "lengths": lengths,
        "duplicates": pd.DataFrame(duplicates, columns=["kind", "rows", "found"]),
        "examples": pd.DataFrame(drawn, columns=["class", "id", "text", "labels"]),
    }
