"""Step 10 from files: what synthetic text copies, gives away and distorts, and what it costs. Tables of counts, without text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from emosynth.cards import Card, Source, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.design.arms import ResolvedArm, resolve_arms
from emosynth.languages import is_english
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.responsible import canaries, cost, identity, memorised, noise, toxic, tuned
from emosynth.responsible.collapse import ABOUT, collapse
from emosynth.responsible.personal import kinds_in
from emosynth.responsible.rates import COMPARED, REAL, Rate, rate
from emosynth.responsible.texts import Real, arm_texts, drawn, real_text
from emosynth.trials.sources import Sources

COUNTED = ["arm", "verified", "kind", *COMPARED, "n_texts", "of_texts"]
"""Columns of ``personal`` and ``toxicity``."""
Rows = dict[tuple[str, bool], pd.DataFrame]
Kinds = Callable[[Sequence[str]], dict[str, list[bool]]]


def build_responsible(params: Params, catalog: Catalog, paths: Paths, *, lists: Path | None = None) -> dict[str, pd.DataFrame]:
    """Measure every written arm on every corpus that it has candidates of; write tables with cards.

    Parameters
    ----------
    lists
        Folder with a list of obscene words a language, see `emosynth.responsible.toxic.listed_words`; None: the catalogue's.

    Returns
    -------
    dict
        ``memorisation``: `emosynth.responsible.memorised.memorisation`. ``personal``, ``toxicity``: texts per 1,000 that hold a kind of personal
        data, or listed words, beside real text (`COUNTED`). ``identity``: `emosynth.responsible.identity.identity`, English alone.
        ``label_noise``: `emosynth.responsible.noise.label_noise`; none of corpora whose texts have several labels. ``cost``:
        `emosynth.responsible.cost.cost`; ``forecast``: `emosynth.responsible.cost.forecast`. ``membership``: `emosynth.responsible.tuned.membership`; ``canaries``:
        `emosynth.responsible.canaries.canaries`; neither without a tuned writer. ``collapse``: `emosynth.responsible.collapse.collapse`. All with the column ``corpus``; arms for which nothing was written have no rows. No table holds text.
    """
    sources = Sources.load(params, paths)
    arms = {name: arm for name, arm in resolve_arms(params).items() if arm.written}
    groups = identity.Groups.load(paths.root / "data" / "identity.yaml")
    lists = catalog.fetch(toxic.ENTRY) if lists is None else lists
    parts = [
        (_measured(sources, name, arms, groups, lists) | {
            "membership": tuned.membership(sources, catalog, paths, name), "canaries": canaries.canaries(sources, catalog, paths, name),
        }).items() for name in sources.corpora
    ]  # fmt: skip
    made: dict[str, pd.DataFrame] = {}
    for table in (*_WHAT, *_TUNED):
        frames = [
            frame.assign(corpus=name) for name, found in zip(sources.corpora, parts, strict=True) for key, frame in found if key == table
        ]
        joined = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
        made[table] = joined[["corpus", *(column for column in joined.columns if column != "corpus")]]
        write_table(made[table], paths.responsible / f"{table}.parquet", _card(table, made[table], params, list(sources.corpora.values())))
    made["collapse"] = collapse(sources, catalog, paths)
    write_table(
        made["collapse"],
        paths.responsible / "collapse.parquet",
        _card("collapse", made["collapse"], params, list(sources.corpora.values())),
    )
    return made


def _measured(sources: Sources, name: str, arms: dict[str, ResolvedArm], groups: identity.Groups, lists: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of one corpus."""
    params, corpus, given = sources.params, sources.corpora[name], sources.params.responsible
    real, texts = real_text(sources, name), {arm: arm_texts(sources, found, name) for arm, found in arms.items()}
    # One arm's accepted rows may be all that it wrote; both are measured, since what is rejected was written too.
    rows = {(arm, verified): own[own["accepted"].astype(bool) | (not verified)] for arm, own in texts.items() for verified in (False, True)}
    rows = {key: own.reset_index(drop=True) for key, own in rows.items() if len(own)}
    accepted = {arm: own for (arm, verified), own in rows.items() if verified}
    say(f"responsible: {len(rows)} sets of texts of {name}")
    english = groups if is_english(corpus.languages) else None
    terms = [] if english is None else [term for words in english.terms.values() for term in words]
    listed = toxic.listed_words(lists, corpus.languages, terms)
    both = pd.concat([real.test, real.other], ignore_index=True)
    return {
        "memorisation": memorised.memorisation(
            rows, real, count=given.texts, long=given.span, near=params.corpora.near_duplicate, confidence=given.confidence
        ),
        "personal": _per_thousand(rows, both, _personal, params),
        "toxicity": (
            pd.DataFrame(columns=COUNTED) if listed is None
            else _per_thousand(rows, both, lambda texts: toxic.toxic_kinds(texts, listed, english), params)
        ),
        "identity": (
            pd.DataFrame(columns=identity.COLUMNS) if english is None else identity.identity(accepted, both, english, corpus.classes, given.confidence)
        ),
        "label_noise": _noise(accepted, real, params) if corpus.task == "single" else pd.DataFrame(columns=noise.COLUMNS),
        "cost": (paid := cost.cost(sources, arms, name)),
        "forecast": cost.forecast(paid, given.forecast),
    }  # fmt: skip


def _personal(texts: Sequence[str]) -> dict[str, list[bool]]:
    kinds = kinds_in(texts)
    return kinds | {"any": [any(flags) for flags in zip(*kinds.values(), strict=True)]}


def _per_thousand(rows: Rows, real: pd.DataFrame, kinds_of: Kinds, params: Params) -> pd.DataFrame:
    """Return how many of 1,000 texts are of each kind, of real text first."""
    given = params.responsible
    made: list[list[object]] = []
    base: dict[str, Rate] = {}
    for (arm, verified), own in {(REAL, True): real, **rows}.items():
        # Of real text no class has more rows than the rarest, as far as they are asked for evenly in written text.
        most = int(own["label"].value_counts().min()) * own["label"].nunique() if arm == REAL else len(own)
        chosen = drawn(own, min(given.counted, max(given.texts, most)))
        kinds = kinds_of(chosen["text"].tolist())
        for kind, hits in kinds.items():
            found = rate(hits, chosen["cluster"].tolist(), given.confidence)
            made.append([arm, verified, kind, *(1000 * number for number in found.beside(base.get(kind))), found.n, len(own)])
            base.setdefault(kind, found)
    return pd.DataFrame(made, columns=COUNTED)


def _noise(accepted: dict[str, pd.DataFrame], real: Real, params: Params) -> pd.DataFrame:
    given = params.responsible
    made = []
    for arm, own in {REAL: real.other, **accepted}.items():
        chosen = drawn(own[[len(labels) > 0 for labels in own["labels"]]], given.texts)
        labels = [labels[0] for labels in chosen["labels"]]
        made.append(
            noise.label_noise(arm, chosen["text"].tolist(), labels, folds=given.folds, planted=given.planted, seed=given.random_seed)
        )
    return pd.DataFrame(made, columns=noise.COLUMNS)


_DRAWN = {"n_texts": "texts measured", "of_texts": "texts that they were drawn from"}
_BESIDE = {"value": "texts per 1,000", "real": "the same of real text", "difference": "value less real"}
_WHAT = {
    "memorisation": (
        "Memorisation", "How much of each arm's texts stands in real text, beside how much of other real text does.",
        {"source": "seed, other rows in no seed, or test rows", "measure": "words (span_…) or shares of texts", "real": "the same of real text outside the source", **_DRAWN},
        ["Longer texts share longer runs by chance: read spans beside lengths.", "Near-duplicates among real rows were removed when corpora were made: real text has "
         "fewer exact and near copies than as collected.", "Texts of one arm are compared with the seed of their own repeat."],
    ),
    "personal": (
        "Personal data", "Texts per 1,000 that hold a mention, an address or a number of a person, found by patterns and checksums.",
        {"kind": "what was found; any: at least one", **_BESIDE, **_DRAWN},
        ["Names of people are not looked for: that takes a model.", "Patterns find what is written as in English; a number that looks like a phone's need not be one."],
    ),
    "toxicity": (
        "Listed words", "Texts per 1,000 with a word of a published list of obscene and slurring words, and with such a word beside one that names a group of people.",
        {"kind": "a listed word; or one in a text that names a group, too", **_BESIDE, **_DRAWN},
        ["A list sees words, not what is meant: insults without an obscene word, threats and irony are missed; quotation, reclaimed words and talk of bodies are counted.",
         "Words that only name a group are taken out of the list.", "Empty for languages that have no list."],
    ),
    "identity": (
        "Groups and emotions", "How often accepted texts name a group of people, in all and in those of each class, beside real text.",
        {"group": "as data/identity.yaml has them", "label": "the class that a learner is given; empty: all", "texts": "accepted texts", "mentions": "of them, naming the group",
         "ratio": "share in written text over share in real text, with score interval", "p_holm": "corrected within the arm", "note": "why there is no p"},
        ["A ratio says how often a group is named with an emotion, not what is said of it.", "Words of the file alone are found; a word may mean something else.",
         "Real text is no ideal: it has its own prejudice.", "English alone."],
    ),
    "label_noise": (
        "Label noise", "Wrong labels as confident learning estimates them, and how many planted ones it finds.",
        {"noise": "share of labels held for wrong", "disagree": "share that the classifier does not think likeliest", "recall": "of planted wrong labels", "precision": "likewise"},
        ["The classifier learns from the same labels: an error that a whole arm shares looks right to it.", "Few texts make a weak classifier, which doubts much: "
         "read noise beside recall and precision of planted errors, and beside real text."],
    ),
    "cost": (
        "Cost", "Tokens that each arm's texts for its largest seeds took, all repeats together, and what its checks threw away.",
        {"size": "seed size", "repeats": "repeats together", "written": "candidates, empty ones too", "accepted": "of them", "thrown": "the others", "tokens_read": "of prompts",
         "tokens_written": "of answers", "read_per_row": "for each accepted row", "written_per_row": "likewise", "share": "of the tokens of all candidates of the run"},
        ["Arms may share candidates; each is counted as if it had paid for all of its own.", "Not counted: tuning, checks and labels by a language model, and training.",
         "Energy and seconds are of one machine: the report's page on data has those of each step, its page on responsibility energy by arm, split by tokens."],
    ),
    "forecast": (
        "Forecast", "What the rows that an arm's source published would take: arithmetic on the tokens of a row measured here, not a measurement.",
        {"rows": "accepted rows as published (responsible.forecast.rows)", "texts": "to be written for them, at the share accepted here", "tokens_read": "of prompts",
         "tokens_written": "of answers", "gpu_hours": "see basis", "basis": "where the throughput is from: published, or stated in the parameters", "money": "at the prices of the parameters",
         "note": "why there are no numbers"},
        ["A larger model is accepted more often, and splits words otherwise; its prompts may be longer.", "Only writing is counted: no labels by a language model, no tuning, no training.",
         "The published rate is of calls on hardware that is not named, whatever their length."],
    ),
}  # fmt: skip
_TUNED = tuned.ABOUT | canaries.ABOUT


def _card(table: str, frame: pd.DataFrame, params: Params, corpora: list[Corpus]) -> Card:
    title, what, columns, limits = ({"collapse": ABOUT} | _WHAT | _TUNED)[table]
    given = params.responsible
    told = (
        f"at most {given.membership} seed rows of a writer; {given.canaries.count} canaries for each number of times"
        if table in _TUNED
        else f"at most {given.texts} texts of an arm compared, {given.counted} searched for patterns and words, drawn label by label; long: {given.span} words"
    )
    return Card(
        title=title, what=what,
        made=f"Step 10 (responsible): {told}; {given.confidence:.0%} intervals; seed {given.random_seed}.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in corpora],
        columns={"corpus": "the corpus"} | {name: means for name, means in {"arm": "arm of the design, or real", "verified": "whether these are its accepted texts, or all as written"}.items() if name in frame} | columns,
        counts={"corpora": len(corpora), ("arms" if "arm" in frame else "writers"): int(frame["arm" if "arm" in frame else "writer"].nunique())}, limits=limits, licence=corpora[0].licence or "unknown",
        languages=list(dict.fromkeys(language for corpus in corpora for language in corpus.languages)), tags=["responsible"],
    )  # fmt: skip
