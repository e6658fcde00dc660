"""A survey of people: a blinded, balanced sample of real and written texts as one page, and the key to it, kept apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from emosynth.cards import Card, Source, write_table
from emosynth.corpora import Corpus
from emosynth.design.arms import resolve_arms, unknown
from emosynth.design.cells import stable_seed
from emosynth.errors import UserError
from emosynth.export import shares_words
from emosynth.export_card import SHARED
from emosynth.files import write_text
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.responsible.personal import mask
from emosynth.responsible.rates import REAL, TEST
from emosynth.responsible.sheet import page
from emosynth.responsible.texts import arm_texts, drawn, real_text
from emosynth.trials.sources import Sources

OPEN = frozenset({"mit", "apache-2.0", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"})
"""Licences under which real text may be shown to raters without a word of whoever runs the survey."""


@dataclass(frozen=True)
class Drawn:
    """A sample.

    Attributes
    ----------
    items
        item (id that tells nothing), text (masked); in the order of the sheet.
    key
        item, arm (``real`` too), labels; a text that several arms hold has a row for each.
    withheld
        Arm -> texts left out because they share words with real text.
    """

    items: pd.DataFrame
    key: pd.DataFrame
    withheld: dict[str, int]


def write_survey(params: Params, paths: Paths, *, texts: int, arms: Sequence[str] | None = None, show_real: bool = False) -> Path:
    """Draw a sample of the target corpus and write ``data/<profile>/survey/sheet-<name>.html`` with ``key-<name>.parquet`` beside it.

    Parameters
    ----------
    texts
        Texts on the sheet, at most: as many real as written ones, the written ones shared equally among arms and their labels.
    arms
        Arms that are asked about; None: all written ones.
    show_real
        Whoever runs the survey may show the corpus's texts to the raters, although its licence does not say so.

    Returns
    -------
    Path
        Of the page. The key holds no text.

    Raises
    ------
    UserError
        If an arm is unknown or has no text, texts are too few for the arms, or real text may not be shown.
    """
    sources = Sources.load(params, paths)
    corpus = sources.corpora[params.corpora.target]
    if not show_real and corpus.licence.strip().lower() not in OPEN:
        raise UserError(
            f"The licence of {corpus.name} does not say that its texts may be shown: {corpus.licence or 'unknown'}.", where="survey",
            remedy="If you may show them to your raters, say so: --show-real.",
        )  # fmt: skip
    found = draw(sources, corpus, texts, arms)
    items = list(found.items.itertuples(index=False, name=None))
    name = hashlib.sha256(str([items, corpus.classes]).encode("utf-8", "replace")).hexdigest()[:8]
    file = paths.data / "survey" / f"sheet-{name}.html"
    write_text(file, page(name, corpus.classes, corpus.register_noun, items))
    write_table(found.key, file.with_name(f"key-{name}.parquet"), _card(found, corpus))
    say(f"survey: {len(items)} texts; left out for sharing {SHARED} words with real text: {found.withheld}")
    return file


def draw(sources: Sources, corpus: Corpus, texts: int, arms: Sequence[str] | None = None) -> Drawn:
    """Draw the sample; see `write_survey`.

    All rows have a fixed random number, and an arm's sample is the lowest of each label: arms that share candidates share items, which
    spares raters work and makes arms comparable (permanent random numbers, Ohlsson 1995).
    """
    params = sources.params
    known = {name: arm for name, arm in resolve_arms(params).items() if arm.written}
    for name in arms or ():
        if name not in known:
            raise unknown("written arm", name, "survey --arms", known)
    chosen = list(dict.fromkeys(arms)) if arms else list(known)
    each = texts // 2 // max(1, len(chosen))
    if each < 1:
        raise UserError(
            f"{texts} texts are too few: half are real, and {len(chosen)} arms share the rest.", where="survey",
            remedy=f"Ask for {2 * len(chosen)} texts at least, or for fewer arms: --arms.",
        )  # fmt: skip
    real = corpus.frame["text"].tolist()
    seed = params.responsible.random_seed
    parts, withheld = [], {}
    for name in chosen:
        rows = arm_texts(sources, known[name], corpus.name)
        rows = _ordered(rows[rows["accepted"].astype(bool)], seed).drop_duplicates("text")
        guarded = shares_words(rows["text"].tolist(), real)
        withheld[name] = int(guarded.sum())
        rows = rows[~guarded]
        if rows.empty:
            raise UserError(
                f"No text of {name} can be shown: none was accepted, or all share {SHARED} words in a row with real text.", where="survey",
                remedy="Name the other arms: --arms.",
            )  # fmt: skip
        parts.append(drawn(rows, each).assign(arm=name))
    written = pd.concat(parts, ignore_index=True)
    beside = real_text(sources, corpus.name).test
    parts.append(drawn(_ordered(beside, seed), written["id"].nunique()).assign(arm=REAL))
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.assign(item=[f"{stable_seed(seed, 'item', row):08x}" for row in rows["id"]], text=[mask(text) for text in rows["text"]])
    items = rows.drop_duplicates("id").sort_values("item", kind="stable")[["item", "text"]].reset_index(drop=True)
    if items["item"].duplicated().any():  # one in 2**31 for each pair
        raise UserError("Two texts got one id.", where="survey", remedy="Set another responsible.random_seed.")
    return Drawn(items, rows.sort_values(["arm", "item"], kind="stable")[["item", "arm", "labels"]].reset_index(drop=True), withheld)


def _ordered(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    numbers = pd.Series([stable_seed(seed, "survey", row) for row in rows["id"]], index=rows.index, dtype="int64")
    return rows.loc[numbers.sort_values(kind="stable").index]


def _card(found: Drawn, corpus: Corpus) -> Card:
    return Card(
        title="Key of a survey", what="Which arm each item of a survey's sheet is of, and how it is labelled. Not for raters.",
        made=f"Drawn from accepted texts that share no {SHARED} words in a row with real text, and from {TEST} rows, class by class.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash)],
        columns={"item": "id on the sheet", "arm": f"arm, or {REAL}", "labels": "classes that a learner is given"},
        counts={"items": len(found.items), "left out": found.withheld}, licence=corpus.licence or "unknown", languages=list(corpus.languages),
        limits=["Texts of arms that hold the same candidate are one item."], tags=["survey"],
    )  # fmt: skip
