"""Building, loading and describing corpora."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosynth.cards import Card, Source, read_json, read_table, write_json, write_table
from emosynth.catalog import Catalog
from emosynth.corpora.clean import clean
from emosynth.corpora.files import Loaded
from emosynth.corpora.labels import phrases
from emosynth.corpora.loaders import READERS
from emosynth.corpora.own import read_user
from emosynth.corpora.schema import every_class, total_of, validate
from emosynth.corpora.shares import said_of_conflicts
from emosynth.corpora.splits import SPLITS, split_of
from emosynth.errors import UserError
from emosynth.languages import ENGLISH_ONLY, UNSEGMENTED, is_english, unsegmented
from emosynth.params import Corpora, Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.text import words

_MEANINGS = {
    "id": "identifier, unique in the corpus; from upstream, from the place in the upstream file, or from the text",
    "text": "the text, with HTML entities unescaped, straight apostrophes and collapsed spaces",
    "labels": "the classes, one or more",
    "split": "train, validation or test",
    "corpus": "name of the corpus",
}


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
            raise UserError(
                f"The custom corpus has the name of a catalogue entry: {name}.",
                where="corpora.custom",
                remedy="Choose another name, for corpora.target too if the corpus has its name from there.",
            )
    # unknown names fail before anything is downloaded
    for name in section.names:
        if name not in section.custom and catalog.entry(name).corpus is None:
            usable = sorted(key for key, entry in catalog.entries.items() if entry.corpus is not None)
            raise UserError(
                f"{name} is not a labelled corpus.", where="corpora.target or corpora.also", remedy=f"Use one of {', '.join(usable)}."
            )
    return [_build_one(name, section, catalog, paths) for name in section.names]


def _read(name: str, params: Corpora, catalog: Catalog, paths: Paths) -> tuple[Loaded, dict[str, Any], dict[str, str]]:
    """Return the rows of a corpus, what its card says of its origin, and the phrases given for its classes."""
    if name in params.custom:
        own = params.custom[name]
        meta: dict[str, Any] = {
            "title": name,
            "register_noun": own.register_noun,
            "licence": own.licence,
            "citation": "",
            "languages": [own.language],
            "source": f"the file {Path(own.path).name}",
            "hash": "",
            "notes": "A corpus of the user's own.",
        }
        loaded = read_user(own, paths, params.conflicts)
        return loaded, meta | ({"languages": [loaded.language]} if loaded.language else {}), {}
    entry = catalog.entry(name)
    assert entry.corpus is not None
    loaded = READERS[entry.corpus.layout](catalog.fetch(name), entry.corpus)
    meta = {
        "title": entry.title,
        "register_noun": entry.corpus.register_noun,
        "licence": entry.licence,
        "citation": entry.citation,
        "languages": entry.languages,
        "source": catalog.source_of(name),
        "hash": catalog.hash_of(name),
        "notes": entry.notes,
    }
    return loaded, meta, dict(entry.corpus.class_phrases)


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
    """

    frame: pd.DataFrame
    own_splits: bool
    report: dict[str, Any]
    unscored: list[str]


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
    frame, own_splits = _frame(name, loaded, params.fractions)
    validate(frame, loaded.classes, loaded.task, loaded.where, [row.place for row in loaded.rows])
    report: dict[str, Any] = {}
    if near:
        cleaned = clean(frame, params.near_duplicate)
        frame, report = cleaned.frame, cleaned.report
        validate(frame, loaded.classes, loaded.task, f"{loaded.where}, after duplicates were removed")
    return Settled(frame, own_splits, report, every_class(frame, loaded.classes, loaded.where))


def _build_one(name: str, params: Corpora, catalog: Catalog, paths: Paths) -> Built:
    loaded, meta, given = _read(name, params, catalog, paths)
    say(f"{name}: {len(loaded.rows)} rows read; looking for duplicates")
    if loaded.notes:
        say(f"{name}: " + "; ".join(loaded.notes))
    made = settled(name, loaded, params)
    frame, report = made.frame, made.report
    unit = "person" if any(row.group for row in loaded.rows) else "text"
    counts = _counts(frame, loaded.classes)
    conflicts = loaded.conflicts or report["conflicts"]
    removed = {split: sum(kinds.values()) for split, kinds in report["removed"].items()}
    note = {
        "name": name,
        "classes": loaded.classes,
        "task": loaded.task,
        "register_noun": meta["register_noun"],
        "class_phrases": phrases(loaded.classes, given),
        "counts": counts,
        "dropped": loaded.dropped,
        "conflicts": conflicts,
        "understood": list(loaded.notes),
        "splits": "upstream" if made.own_splits else f"by hash of the {unit}",
        "duplicates": report,
        "source": meta["source"],
        "hash": meta["hash"],
        "licence": meta["licence"],
        "citation": meta["citation"].strip(),
        "languages": meta["languages"],
    }
    soft = "shares" in frame
    how = (
        "as upstream"
        if made.own_splits
        else f"made once by sha256 of the {unit}, in shares of {', '.join(f'{share:g}' for share in params.fractions)}"
    )
    limits = [f"{count:,} rows were left out: {reason}." for reason, count in loaded.dropped.items()]
    about_language = [] if is_english(meta["languages"]) else [ENGLISH_ONLY]
    if unsegmented(frame["text"].tolist()):
        about_language.append(UNSEGMENTED)
    for line in about_language:
        say(f"{name} ({', '.join(meta['languages'])}): {line}")
    limits += about_language
    if soft:
        limits.append(
            "Labels are shares. Training takes those of the seed and of other real rows; all else takes the class, which is the largest share."
        )
    limits += [said_of_conflicts(conflicts), *made.unscored, *(f"Read as found in the file: {line}" for line in loaded.notes)]
    limits += [
        f"Rows with a near-duplicate (Jaccard similarity of token 3-grams of at least {params.near_duplicate:g}) were removed: from training "
        f"{removed['train']:,}, from validation {removed['validation']:,}. The test split is complete.",
        "The text is third parties' and may offend; it is not part of the repository.",
    ]
    card = Card(
        title=meta["title"],
        what=meta["notes"] or meta["title"],
        made=f"Step 00 (corpora). Splits are {how}. Texts were normalised; duplicates were found across and within splits.",
        sources=[Source(name=name, version=meta["source"], hash=meta["hash"])],
        columns=_MEANINGS | ({"shares": "share of each class, in the order of classes"} if soft else {}),
        counts={split: counts[split] for split in SPLITS},
        limits=limits,
        licence=meta["licence"],
        languages=meta["languages"],
        tags=["emotion", "sentiment", loaded.task + "-label"],
        citation=meta["citation"],
    )
    path = write_table(frame, paths.corpora / f"{name}.parquet", card)
    write_json(paths.corpora / f"{name}.json", note)
    rows = {split: int((frame["split"] == split).sum()) for split in SPLITS}
    say(f"{name}: " + ", ".join(f"{count} {split}" for split, count in rows.items()) + f"; {sum(removed.values())} duplicates removed")
    return Built(name, path, rows, removed, loaded.classes)


def _frame(name: str, loaded: Loaded, fractions: Sequence[float]) -> tuple[pd.DataFrame, bool]:
    """Return rows as a frame, with splits by hash where the corpus has none; and whether it had its own."""
    own = all(row.split is not None for row in loaded.rows)
    order = {label: position for position, label in enumerate(loaded.classes)}
    frame = pd.DataFrame(
        {
            "id": [row.id for row in loaded.rows],
            "text": [row.text for row in loaded.rows],
            "labels": pd.Series([sorted(row.labels, key=lambda label: order.get(label, -1)) for row in loaded.rows], dtype=object),
            "split": [row.split or split_of(row.group or row.text, fractions) for row in loaded.rows],
            "corpus": name,
        }
    )
    if any(row.shares for row in loaded.rows):
        frame["shares"] = pd.Series([[dict(row.shares).get(label, 0.0) for label in loaded.classes] for row in loaded.rows], dtype=object)
    return frame, own


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
    return Corpus(
        name=name,
        frame=frame,
        classes=list(note["classes"]),
        task=note["task"],
        register_noun=note["register_noun"],
        class_phrases=dict(note["class_phrases"]),
        licence=note["licence"],
        citation=note["citation"],
        languages=list(note["languages"]),
        source=note["source"],
        hash=note["hash"],
        counts=note["counts"],
        duplicates=note["duplicates"],
        conflicts=note.get("conflicts", {}),
    )


def _word_count(text: str) -> int:
    return sum(any(char.isalnum() for char in token) for token in words(text))


def describe(corpus: Corpus, examples: int = 2, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return tables that describe a corpus.

    Returns
    -------
    dict
        ``counts``: rows by class and split with the class's share of the training rows; ``lengths``: quantiles of the length
        in words (tokens with a letter or digit) by class over training rows; ``duplicates``: rows that repeat another, found and removed;
        ``examples``: some training rows of each class, drawn with ``seed``.
    """
    train = corpus.split("train")
    counts = pd.DataFrame({split: corpus.counts[split] for split in SPLITS}).rename_axis("class")
    counts["share of train"] = counts["train"] / max(1, int(corpus.counts["train"][total_of(corpus.classes)]))

    counted = np.array([_word_count(text) for text in train["text"]], dtype=float)
    exploded = train.assign(words=counted)[["labels", "words"]].explode("labels")
    rows = {total_of(corpus.classes): counted}
    rows |= {label: exploded.loc[exploded["labels"] == label, "words"].to_numpy(dtype=float) for label in corpus.classes}
    points = {"5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95}
    lengths = pd.DataFrame(
        {
            label: {name: float(np.quantile(values, q)) if len(values) else np.nan for name, q in points.items()}
            for label, values in rows.items()
        }
    ).T.rename_axis("class")

    found = [
        {"kind": kind, "rows": where, "found": count}
        for kind, by_pair in corpus.duplicates.get("found", {}).items()
        for where, count in by_pair.items()
    ]
    removed = [
        {"kind": kind, "rows": f"removed from {split}", "found": count}
        for split, kinds in corpus.duplicates.get("removed", {}).items()
        for kind, count in kinds.items()
        if count
    ]
    torn = corpus.conflicts
    found.append(
        {
            "kind": f"texts with several labels ({torn.get('done', 'kept')})",
            "rows": f"{torn.get('rows', 0)} rows",
            "found": torn.get("texts", 0),
        }
    )
    rng = np.random.default_rng(seed)
    drawn = []
    for label in corpus.classes:
        having = train[[label in labels for labels in train["labels"]]]
        for position in sorted(rng.permutation(len(having))[:examples]):
            row = having.iloc[int(position)]
            drawn.append({"class": label, "id": row["id"], "text": row["text"], "labels": ", ".join(row["labels"])})
    return {
        "counts": counts,
        "lengths": lengths,
        "duplicates": pd.DataFrame([*found, *removed], columns=["kind", "rows", "found"]),
        "examples": pd.DataFrame(drawn, columns=["class", "id", "text", "labels"]),
    }
