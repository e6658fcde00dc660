"""Building, loading and describing corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from emosynth.corpora.schema import every_class, validate
from emosynth.corpora.splits import SPLITS, split_of
from emosynth.errors import UserError
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
        Columns id, text, labels (list of str), split, corpus; sorted by split and id.
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
        return read_user(own, paths, params.conflicts), meta, {}
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


def _build_one(name: str, params: Corpora, catalog: Catalog, paths: Paths) -> Built:
    loaded, meta, given = _read(name, params, catalog, paths)
    say(f"{name}: {len(loaded.rows)} rows read; looking for duplicates")
    frame, own_splits = _frame(name, loaded, params.fractions)
    unit = "person" if any(row.group for row in loaded.rows) else "text"
    validate(frame, loaded.classes, loaded.task, loaded.where, [row.place for row in loaded.rows])
    cleaned = clean(frame, params.near_duplicate)
    validate(cleaned.frame, loaded.classes, loaded.task, f"{loaded.where}, after duplicates were removed")
    unscored = every_class(cleaned.frame, loaded.classes, loaded.where)
    frame = cleaned.frame
    counts = _counts(frame, loaded.classes)
    conflicts = loaded.conflicts or cleaned.report["conflicts"]
    if loaded.notes:
        say(f"{name}: " + "; ".join(loaded.notes))
    removed = {split: sum(kinds.values()) for split, kinds in cleaned.report["removed"].items()}
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
        "splits": "upstream" if own_splits else f"by hash of the {unit}",
        "duplicates": cleaned.report,
        "source": meta["source"],
        "hash": meta["hash"],
        "licence": meta["licence"],
        "citation": meta["citation"].strip(),
        "languages": meta["languages"],
    }
    how = (
        "as upstream"
        if own_splits
        else f"made once by sha256 of the {unit}, in shares of {', '.join(f'{share:g}' for share in params.fractions)}"
    )
    limits = [f"{count:,} rows were left out: {reason}." for reason, count in loaded.dropped.items()]
    limits += [_of_conflicts(conflicts), *unscored, *(f"Read as found in the file: {line}" for line in loaded.notes)]
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
        columns=_MEANINGS,
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


def _of_conflicts(conflicts: Mapping[str, Any]) -> str:
    """Return what is said of texts that stand with several labels."""
    if not conflicts["texts"]:
        return "No text stands with several labels."
    done = {
        "kept": "they stay as published",
        "majority": "the label of most rows was taken",
        "drop": "they were left out",
    }[conflicts["done"]]
    rest = (
        f"; {conflicts['dropped']:,} without a majority were left out" if conflicts["done"] == "majority" and conflicts["dropped"] else ""
    )
    return f"{conflicts['texts']:,} texts stand with several labels, in {conflicts['rows']:,} rows: {done}{rest}."


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
    return frame, own


def _counts(frame: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    counts = {}
    for split in SPLITS:
        rows = frame[frame["split"] == split]
        by_class = rows["labels"].explode().value_counts()
        counts[split] = {"all": len(rows), **{label: int(by_class.get(label, 0)) for label in classes}}
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
    counts["share of train"] = counts["train"] / max(1, int(corpus.counts["train"]["all"]))

    counted = np.array([_word_count(text) for text in train["text"]], dtype=float)
    exploded = train.assign(words=counted)[["labels", "words"]].explode("labels")
    rows = {"all": counted}
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
