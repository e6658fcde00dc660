"""Everything that the report reads, from files only; a file that is not there is None, and what needs it says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import pandas as pd

from emosynth import pieces
from emosynth.cards import read_table
from emosynth.corpora.schema import total_of
from emosynth.evidence import Claim, Found, Group, Labels, Scored, check_declared, judge
from emosynth.evidence.contrasts import answers, contrasts
from emosynth.evidence.rivals import labels_alone, rivals
from emosynth.evidence.scored import seed_of
from emosynth.files import read_json
from emosynth.languages import spaced
from emosynth.learners.base import Learner
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.style import Looks
from emosynth.text import normalise


class Missing(Exception):
    """The results do not hold what a figure needs, or nothing worth a figure; the message says what, for readers."""


@dataclass(frozen=True)
class Headline:
    """What the first page is about.

    ``row``: the answer (`emosynth.evidence.contrasts.answers`) on the target's largest seed; ``learner`` and ``arm`` are its. ``other``: the learner
    with which the arm falls short of real rows most. ``real``: the real expansion that adds as many rows. ``sizes``: those that the answer tells of.
    """

    corpus: str
    learner: str
    other: str | None
    arm: str
    real: str | None
    sizes: tuple[int, ...]
    row: Any

    @property
    def size(self) -> int:
        """The largest seed size."""
        return self.sizes[-1]


@dataclass(frozen=True)
class Tables:
    """Results of one profile."""

    paths: Paths
    params: Params

    def get(self, name: str) -> pd.DataFrame | None:
        """Return a table by step and name, e.g. ``trials/trials``; None: there is no such file, or it has no rows."""
        held = self._held
        if name not in held:
            path = self.paths.data / f"{name}.parquet"
            held[name] = read_table(path) if path.is_file() else None
        frame = held[name]
        return None if frame is None or frame.empty else frame

    def need(self, *names: str) -> pd.DataFrame:
        """Return the first of some tables, all of which must be there."""
        found = [self.get(name) for name in names]
        lacking = [name for name, frame in zip(names, found, strict=True) if frame is None]
        if lacking:
            raise Missing(f"The run holds no {' and no '.join(f'{name}.parquet' for name in lacking)}.")
        assert found[0] is not None
        return found[0]

    @cached_property
    def _held(self) -> dict[str, pd.DataFrame | None]:
        return {}

    @cached_property
    def looks(self) -> Looks:
        """Names and colours of arms and learners."""
        return Looks(self.params)

    @property
    def target(self) -> str:
        """The corpus that the report is about."""
        return self.params.corpora.target

    @cached_property
    def corpora(self) -> dict[str, dict[str, Any]]:
        """What step 00 says of each corpus, the target first."""
        found = {}
        for name in self.params.corpora.names:
            path = self.paths.data / "corpora" / f"{name}.json"
            if path.is_file():
                found[name] = read_json(path)
        return found

    def shares(self, corpus: str) -> dict[str, float]:
        """Return the share of the training rows that have each class, in the corpus's own order."""
        about = self.corpora[corpus]
        counts = about["counts"]["train"]
        return {label: counts[label] / max(1, counts[total_of(about["classes"])]) for label in about["classes"]}

    @cached_property
    def guard(self) -> Texts:
        """Texts of the corpora and of the narratives' passages: what may not be shown."""
        texts: list[str] = []
        for name in [*(f"corpora/{corpus}" for corpus in self.corpora), "narratives/passages"]:
            frame = self.get(name)
            texts += [] if frame is None else frame["text"].astype(str).tolist()
        return Texts(texts)

    @property
    def guarded(self) -> bool:
        """Whether generated text may be shown: every text that it may repeat is at hand."""
        corpora = all((self.paths.data / "corpora" / f"{name}.parquet").is_file() for name in self.corpora)
        narrated = (self.paths.data / "narratives" / "stories.parquet").is_file()
        return corpora and (not narrated or (self.paths.data / "narratives" / "passages.parquet").is_file())

    @cached_property
    def scored(self) -> Scored | None:
        """Trials with their predictions."""
        names = ("trials/trials", "trials/predictions", "trials/test_rows")
        trials, predictions, rows = (self.get(name) for name in names)
        if trials is None or predictions is None or rows is None:
            return None
        labels = {name: Labels(tuple(about["classes"]), about["task"] == "single") for name, about in self.corpora.items()}
        known = [frame[frame["corpus"].isin(labels)] for frame in (trials, predictions, rows)]
        return Scored(known[0], known[1], known[2], labels, self.params.evidence)

    @cached_property
    def contrasts(self) -> pd.DataFrame | None:
        """Every arm against the labels alone, real rows and plain prompts."""
        return None if self.scored is None else contrasts(self.scored, self.params)

    @cached_property
    def answers(self) -> pd.DataFrame | None:
        """What to do, by corpus, seed size and kind of learner: trained to its optimum, fine-tuned in steps, or as it says itself."""
        return None if self.scored is None else answers(self.scored, self.params, self.kinds)

    @cached_property
    def rivals(self) -> pd.DataFrame | None:
        """Beside each answer the best other classifier with the labels alone."""
        return None if self.scored is None or self.answers is None else rivals(self.scored, self.params, self.answers)

    @cached_property
    def alone(self) -> pd.DataFrame | None:
        """Scores of every learner with the labels alone."""
        return None if self.scored is None else labels_alone(self.scored)

    @property
    def kinds(self) -> dict[str, str]:
        """Learner -> how it is trained."""
        ways = {name: learner.trained or ("steps" if learner.stepped else "optimum") for name, learner in self._learners.items()}
        return {name: ways.get(name, "optimum") for name in self.params.learners}

    @property
    def asked(self) -> list[str]:
        """Learners that are trained on no row: language models that are asked."""
        return [name for name, learner in self._learners.items() if learner.seed_only]

    @property
    def _learners(self) -> dict[str, type[Learner]]:
        known = pieces.registered("learner")
        return {name: cast(type[Learner], known[name]) for name in self.params.learners if name in known}

    @cached_property
    def told(self) -> pd.DataFrame | None:
        """What the first page tells first: rows of `answers` on the target, with learners of the headline's kind; None: none."""
        head, rows = self.headline, self.answers
        if head is None or rows is None:
            return None
        own = rows[(rows["corpus"] == head.corpus) & (rows["kind"] == self.kinds[head.learner])]
        return None if own.empty else own

    def need_contrasts(self, *, sweep: bool = False) -> pd.DataFrame:
        """Return contrasts of the target, outside sweeps or within them."""
        if self.contrasts is None or self.contrasts.empty:
            raise Missing("The run holds no trials.")
        rows = self.contrasts[(self.contrasts["corpus"] == self.target) & ((self.contrasts["sweep"] != "") == sweep)]
        if rows.empty:
            raise Missing("The run holds no sweep." if sweep else f"The run holds no trials on {self.target}.")
        return rows

    @cached_property
    def claims(self) -> list[Claim]:
        """The declared claims, judged."""
        declared = check_declared(self.paths.root)
        shares = {name: self.shares(name) for name in self.corpora}
        tables = (self.get("authenticity/panel"), self.get("authenticity/diversity"), self.get("context/context"))
        return judge(declared, self.params, Found(self.scored, *tables, shares, self.get("context/dialogues")))

    @cached_property
    def headline(self) -> Headline | None:
        """What the first page is about; None: the run has no trials that it could be about."""
        return None if self.answers is None else _headline(self, self.answers)


def main_rows(contrasts: pd.DataFrame, against: str = "seed") -> pd.DataFrame:
    """Return contrasts at equal accepted rows, outside sweeps, with one opponent."""
    return contrasts[(contrasts["budget"] == "accepted") & (contrasts["sweep"] == "") & (contrasts["against"] == against)]


def _headline(tables: Tables, found: pd.DataFrame) -> Headline | None:
    """Return the headline of a table of answers: of the kinds of learner that most sizes were run with, the better one with the labels alone."""
    assert tables.scored is not None
    scored, target = tables.scored, tables.target
    kinds = [rows for _, rows in found[found["corpus"] == target].groupby("kind", sort=False)]
    most = max(map(len, kinds), default=0)
    picked = {_group(rows): rows for rows in kinds if len(rows) == most}
    best = scored.best(map(seed_of, picked))
    if best is None:
        return None
    group, rows = next((group, rows) for group, rows in picked.items() if seed_of(group) == best)
    sizes = tuple(int(size) for size in rows["size"])
    real = scored.real_of(tables.params, group)
    run = [size for size in sizes if replace(group, size=size) in scored.groups]
    others = [name for name in tables.params.learners if name != group.learner
              and all(replace(group, learner=name, size=size) in scored.groups for size in run)]  # fmt: skip
    other, beside = _shortest(scored, group, real, others), None if real is None else real.arm
    return Headline(target, group.learner, other, group.arm, beside, sizes, _last(rows))


def _last(rows: pd.DataFrame) -> Any:
    return list(rows.itertuples())[-1]


def _group(rows: pd.DataFrame) -> Group:
    """Return what answers of one corpus pick at the largest seed."""
    row = _last(rows)
    return Group(row.corpus, row.learner, row.size, row.arm)


def _shortest(scored: Scored, group: Group, real: Group | None, learners: list[str]) -> str | None:
    """Return the learner with which an arm falls short of real rows most, on repeats that all have; the first, where that cannot be told."""
    pairs = {} if real is None else {name: (replace(group, learner=name), replace(real, learner=name)) for name in learners}
    pairs = {name: pair for name, pair in pairs.items() if pair[1] in scored.groups}
    repeats = scored.shared(one for pair in pairs.values() for one in pair) if pairs else ()
    if not repeats:
        return next(iter([*pairs, *learners]), None)
    return min(pairs, key=lambda name: scored.mean(pairs[name][0], repeats) - scored.mean(pairs[name][1], repeats))


# --- a guard: no corpus text on the pages ---

SHORTEST = 6
"""Texts of fewer words are not looked for: "i am so happy" is nobody's."""

_WORD = re.compile(r"[^\W_]+")


def bare_words(text: str) -> tuple[str, ...]:
    """Return letters and digits only, so that a format's quoting hides no text; of scripts without spaces each character is a word."""
    return tuple(_WORD.findall(spaced(normalise(text).lower())))


class Texts:
    """Corpus texts, ready to be looked for; those of fewer than ``SHORTEST`` words are left out."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._runs = {run for text in texts for run in _runs(text)}

    def shares_run(self, content: str) -> bool:
        """Whether ``content`` shares any run of ``SHORTEST`` words with a corpus text."""
        return not self._runs.isdisjoint(_runs(content))


def _runs(text: str) -> list[tuple[str, ...]]:
    found = bare_words(text)
    return [found[at : at + SHORTEST] for at in range(len(found) - SHORTEST + 1)]
