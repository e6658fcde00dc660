"""What synthetic text copies and gives away, and how wrong its labels are, from files: three tables of counts, without text."""

from __future__ import annotations

import pandas as pd

from emosynth.cards import Card, Source, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.design.arms import resolve_arms
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.responsible.memorised import memorisation
from emosynth.responsible.noise import COLUMNS as DOUBTED
from emosynth.responsible.noise import label_noise
from emosynth.responsible.personal import kinds_in
from emosynth.responsible.rates import COMPARED, Rate, rate
from emosynth.responsible.texts import REAL, Real, arm_texts, drawn, real_text
from emosynth.trials.sources import Sources

PERSONAL = ["arm", "verified", "kind", *COMPARED, "n_texts"]
Rows = dict[tuple[str, bool], pd.DataFrame]


def build_responsible(params: Params, catalog: Catalog, paths: Paths) -> dict[str, pd.DataFrame]:
    """Measure every written arm on every corpus that it has candidates of; write ``memorisation``, ``personal`` and ``label_noise`` with cards.

    Returns
    -------
    dict
        ``memorisation``: see `emosynth.responsible.memorised.memorisation`. ``personal``: texts per 1,000 that hold a kind of personal data
        (``any`` too), beside real text. ``label_noise``: see `emosynth.responsible.noise.label_noise`; none of corpora whose texts have several
        labels. All with the column ``corpus``; arms for which nothing was written have no rows. No table holds text.
    """
    sources, given = Sources.load(params, paths), params.responsible
    arms = {name: arm for name, arm in resolve_arms(params).items() if arm.written}
    parts: dict[str, list[pd.DataFrame]] = {"memorisation": [], "personal": [], "label_noise": []}
    for name, corpus in sources.corpora.items():
        real, texts = real_text(sources, name), {arm: arm_texts(sources, found, name) for arm, found in arms.items()}
        # One arm's accepted rows may be all that it wrote; both are measured, since what is rejected was written too.
        rows = {
            (arm, verified): own[own["accepted"].astype(bool) | (not verified)] for arm, own in texts.items() for verified in (False, True)
        }
        rows = {key: own.reset_index(drop=True) for key, own in rows.items() if len(own)}
        say(f"responsible: {len(rows)} sets of texts of {name}")
        near, confidence = params.corpora.near_duplicate, given.confidence
        tables = {
            "memorisation": memorisation(rows, real, count=given.texts, long=given.span, near=near, confidence=confidence),
            "personal": _personal(rows, real, params),
            "label_noise": _noise(rows, real, params) if corpus.task == "single" else pd.DataFrame(columns=DOUBTED),
        }
        for table, frame in tables.items():
            parts[table].append(frame.assign(corpus=name))
    made = {table: _joined(frames) for table, frames in parts.items()}
    for table, frame in made.items():
        write_table(frame, paths.data / "responsible" / f"{table}.parquet", _card(table, frame, params, list(sources.corpora.values())))
    return made


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    joined = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
    return joined[["corpus", *(column for column in joined.columns if column != "corpus")]]


def _personal(rows: Rows, real: Real, params: Params) -> pd.DataFrame:
    given = params.responsible
    both = pd.concat([real.test, real.other], ignore_index=True)
    made: list[list[object]] = []
    base: dict[str, Rate] = {}
    for (arm, verified), own in {(REAL, True): both, **rows}.items():
        chosen = drawn(own, given.texts)
        kinds = kinds_in(chosen["text"].tolist())
        kinds |= {"any": [any(flags) for flags in zip(*kinds.values(), strict=True)]}
        for kind, hits in kinds.items():
            found = rate(hits, chosen["cluster"].tolist(), given.confidence)
            made.append([arm, verified, kind, *(1000 * number for number in found.beside(base.get(kind))), found.n])
            base.setdefault(kind, found)
    return pd.DataFrame(made, columns=PERSONAL)


def _noise(rows: Rows, real: Real, params: Params) -> pd.DataFrame:
    given = params.responsible
    made = []
    for arm, own in {REAL: real.other, **{arm: own for (arm, verified), own in rows.items() if verified}}.items():
        chosen = drawn(own[[len(labels) > 0 for labels in own["labels"]]], given.texts)
        labels = [labels[0] for labels in chosen["labels"]]
        made.append(label_noise(arm, chosen["text"].tolist(), labels, folds=given.folds, planted=given.planted, seed=given.random_seed))
    return pd.DataFrame(made, columns=DOUBTED)


_WHAT = {
    "memorisation": (
        "Memorisation", "How much of each arm's texts stands in real text, beside how much of other real text does.",
        {"source": "seed, other rows in no seed, or test rows", "measure": "words (span_…) or shares of texts", "real": "the same of real text outside the source"},
        ["Longer texts share longer runs by chance: read spans beside lengths.", "Near-duplicates among real rows were removed when corpora were made: real text has "
         "fewer exact and near copies than as collected.", "Texts of one arm are compared with the seed of their own repeat."],
    ),
    "personal": (
        "Personal data", "Texts per 1,000 that hold a mention, an address or a number of a person, found by patterns and checksums.",
        {"kind": "what was found; any: at least one", "value": "texts per 1,000", "real": "the same of real text"},
        ["Names of people are not looked for: that takes a model.", "Patterns find what is written as in English; a number that looks like a phone's need not be one."],
    ),
    "label_noise": (
        "Label noise", "Wrong labels as confident learning estimates them, and how many planted ones it finds.",
        {"noise": "share of labels held for wrong", "disagree": "share that the classifier does not think likeliest", "recall": "of planted wrong labels", "precision": "likewise"},
        ["The classifier learns from the same labels: an error that a whole arm shares looks right to it.", "Few texts make a weak classifier, which doubts much: "
         "read noise beside recall and precision of planted errors, and beside real text."],
    ),
}  # fmt: skip


def _card(table: str, frame: pd.DataFrame, params: Params, corpora: list[Corpus]) -> Card:
    title, what, columns, limits = _WHAT[table]
    given = params.responsible
    return Card(
        title=title, what=what,
        made=f"At most {given.texts} texts of an arm, label by label; long: {given.span} words; {given.confidence:.0%} intervals; seed {given.random_seed}.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in corpora],
        columns={"corpus": "the corpus", "arm": "arm of the design, or real", "verified": "whether these are its accepted texts, or all as written"} | columns,
        counts={"corpora": len(corpora), "arms": int(frame["arm"].nunique())}, limits=limits, licence=corpora[0].licence or "unknown",
        languages=list(dict.fromkeys(language for corpus in corpora for language in corpus.languages)), tags=["responsible"],
    )  # fmt: skip
