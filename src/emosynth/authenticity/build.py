"""Step 08 from files: choose the texts that are compared, measure them, write the panel and the table of diversity."""

from __future__ import annotations

from functools import partial

import pandas as pd

from emosynth.authenticity.diversity import COLUMNS, Embed, diversity
from emosynth.authenticity.panel import OTHER, PANEL_COLUMNS, REAL, authenticity_panel
from emosynth.authenticity.reach import REACHED, SENTENCES, WORDS, coverage, word_space
from emosynth.authenticity.resampling import seed_for
from emosynth.authenticity.sample import ALL, VERDICTS, Sample, arm_rows, real_halves, sample_of
from emosynth.cards import Card, Source, read_table, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus, load_corpus
from emosynth.design.arms import ResolvedArm, resolve_arms
from emosynth.design.cells import panel_size
from emosynth.languages import is_english
from emosynth.models.tagger import Tag, load_tagger
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.store import RowStore
from emosynth.taxonomy import Taxonomies

KINDS = {"contextual": ("utterance", "context"), "contextless": ("contextless",), "": ("text",)}
"""Kinds of text whose diversity is measured, by kind of candidate; a context is what an utterance was written from."""
_FITTED = 2000
"""Texts that the space of words is made of, at most."""


Frames = dict[str, pd.DataFrame]
Arms = dict[str, ResolvedArm]
Samples = dict[tuple[str, bool], Sample]


def build_panel(params: Params, catalog: Catalog, paths: Paths, *, tag: Tag | None = None, embed: Embed | None = None) -> Frames:
    """Measure every written arm on every corpus that it has candidates of; write and return ``panel``, ``diversity`` and ``coverage``.

    Parameters
    ----------
    tag, embed
        Part-of-speech tagger and sentence embeddings; None: the catalogue's, and those of ``models.encoder``.

    Returns
    -------
    dict
        See `authenticity_panel`, `diversity` and `coverage`; with the column ``corpus``. Arms for which nothing was written have no rows.
    """
    candidates = read_table(paths.candidates / "candidates.parquet", stage="generation")
    verdicts = read_table(paths.verdicts / "verdicts.parquet", VERDICTS, stage="verification")
    order = read_table(paths.seeds / "order.parquet", ["corpus", "rank", "id"], stage="seeding")
    taxonomies = Taxonomies.load(paths.taxonomies)
    arms = {name: arm for name, arm in resolve_arms(params).items() if arm.written}
    tag = tag or load_tagger(catalog.fetch("aptagger"), paths.cache / "nltk_data")
    embed = embed or _embedder(params, catalog, paths)
    given, panels, tables, reached, corpora = params.authenticity, [], [], [], []
    with RowStore(paths.cache / "rows" / "authenticity.sqlite") as store:
        for name in params.corpora.names:
            corpus = load_corpus(paths, name)
            corpora.append(corpus)
            size, largest = panel_size(params, name), params.cells.sizes_of(name)[-1]
            # Smaller seeds lie within the largest: no arm was shown any of the real text that it is compared with.
            seeds = set(order.loc[(order["corpus"] == name) & (order["rank"] < largest), "id"])
            rows = {key: arm_rows(params, arm, name, size, candidates, verdicts) for key, arm in arms.items()}
            written = {key: found for key, found in rows.items() if len(found)}
            say(f"authenticity: {len(written)} arms of {name}")
            halves = real_halves(corpus, seeds, given.texts, given.random_seed)
            samples = _samples(params, corpus, arms, written, taxonomies)
            seed_texts = corpus.frame.loc[corpus.frame["id"].isin(seeds), "text"].tolist()
            language = "en" if is_english(corpus.languages) else (corpus.languages or ["unknown"])[0]
            panel = authenticity_panel(*halves, samples, given, tag, seed_texts, language=language, store=store)
            panels.append(panel.assign(corpus=name))
            beside = {(OTHER, False): Sample.flat(halves[1]), **samples}
            drawn = partial(seed_for, given.random_seed, "coverage")
            spaces = {SENTENCES: embed, WORDS: word_space(_rest(corpus, halves))}
            for space, own in spaces.items():
                if own is not None:
                    reached.append(coverage(halves[0], beside, own, drawn, given.confidence).assign(corpus=name, space=space))
            tables.append(_diversity(params, corpus, arms, written, taxonomies, embed).assign(corpus=name))
    tables_made = {
        "panel": pd.concat(panels, ignore_index=True)[list(PANEL_COLUMNS)],
        "diversity": pd.concat(tables, ignore_index=True)[list(COLUMNS)],
        "coverage": pd.concat(reached, ignore_index=True)[list(REACHED)],
    }
    for name, frame in tables_made.items():
        write_table(frame, paths.authenticity / f"{name}.parquet", _card(name, frame, params, corpora))
    return tables_made


def _embedder(params: Params, catalog: Catalog, paths: Paths) -> Embed:
    from emosynth.models.embeddings import embedding_cache

    return embedding_cache(catalog.model(params.models.encoder), paths.cache).embed


def _rest(corpus: Corpus, halves: tuple[list[str], list[str]]) -> list[str]:
    """Return real texts in neither half, from all of the corpus."""
    compared = {*halves[0], *halves[1]}
    texts = [text for text in corpus.frame.sort_values("id")["text"] if text not in compared]
    return texts[:: 1 + len(texts) // (_FITTED + 1)]


def _labels(arm: ResolvedArm, corpus: Corpus, taxonomies: Taxonomies) -> tuple[list[str], bool]:
    """Return what an arm was asked for, and whether these are the classes of the real text that it is compared with."""
    assert arm.origin is not None
    own = arm.origin.space == "target"
    return list(corpus.classes if own else taxonomies.get(arm.origin.space).labels), own


def _samples(params: Params, corpus: Corpus, arms: Arms, written: Frames, taxonomies: Taxonomies) -> Samples:
    samples: Samples = {}
    for name, rows in written.items():
        labels, balanced = _labels(arms[name], corpus, taxonomies)
        for verified in (False, True):
            chosen = rows[rows["accepted"] | (not verified)]
            samples[name, verified] = sample_of(chosen, labels, params.authenticity.texts, balanced=balanced)
    return samples


def _diversity(params: Params, corpus: Corpus, arms: Arms, written: Frames, taxonomies: Taxonomies, embed: Embed) -> pd.DataFrame:
    given = params.authenticity
    samples: dict[tuple[str, bool, str], Sample] = {}
    for name, rows in written.items():
        labels, _ = _labels(arms[name], corpus, taxonomies)
        for of_kind, kinds in KINDS.items():
            own = rows[rows["kind"].fillna("") == of_kind]
            for kind in kinds if len(own) else ():
                for verified in (False, True):
                    chosen = own[own["accepted"] | (not verified)]
                    column = "context" if kind == "context" else "text"
                    samples[name, verified, kind] = sample_of(chosen, labels, given.texts, balanced=False, column=column)
    pairs = _grounded_pairs(arms, written)
    return diversity(samples, pairs, embed, tokens=given.tokens, confidence=given.confidence, seed=given.random_seed)


def _grounded_pairs(arms: Arms, written: Frames) -> list[tuple[str, str]]:
    """Return pairs of arms that ask for the same labels, the first guided by passages of a narrative, the other by none."""
    grounded: dict[str, bool] = {}
    for name in written:
        origin = arms[name].origin
        if origin is not None and origin.narrative is not None:
            grounded[name] = bool(getattr(origin.narrative.settings, "grounded", True))
    space = {name: arms[name].spec.space for name in grounded}
    return [(one, other) for one in grounded for other in grounded if grounded[one] and not grounded[other] and space[one] == space[other]]


_ABOUT = {
    "panel": ("Authenticity panel", "Linguistic measures of each arm's texts beside real text; real against real as a control."),
    "diversity": (
        "Diversity", "Diversity of each arm's texts at equal tokens and equally many embeddings; grounded minus ungrounded arms.",
    ),
    "coverage": (
        "Coverage", "Precision, recall, density and coverage of each arm's texts among real text, in a space of sentence embeddings and one of words.",
    ),
}  # fmt: skip


def _card(name: str, frame: pd.DataFrame, params: Params, corpora: list[Corpus]) -> Card:
    given = params.authenticity
    floor = 1 / (given.permutations + 1)
    shared = {"corpus": "the corpus", "arm": "arm of the design", "verified": "whether these are its accepted texts, or all as written"}
    title, what = _ABOUT[name]
    if name == "panel":
        columns = {
            "value": "the measure", "low": "half-samples by repeat, prompt or story, and text", "high": "likewise",
            "reference": "the same measure of real text at the same amount of text", "effect": "distance from real text, see effect_kind",
            "adjusted": "difference at equal text lengths", "p_holm": "Holm-corrected within the family",
        }  # fmt: skip
        limits = [
            f"No permutation p is below {floor:.2g}, and none corrected for m tests below m times that.",
            "Pronouns, temporal expressions and tense are measured in English alone.",
            "Where a script puts no space between words, each character counts as one.",
            "Arms that ask for other labels than the corpus's cannot be drawn with the corpus's class shares.",
            "Two or three repeats say little of how repeats differ: intervals are widened for that, and wide.",
        ]
    elif name == "coverage":
        columns = {
            "space": "sentences (`models.encoder`) or words (LSA of real text in neither half)",
            "value": "mean over draws", "low": "over draws by repeat, prompt or story, and text", "high": "likewise", "vectors": "texts of each draw",
        }  # fmt: skip
        limits = [
            "The space decides what is near, and the teacher reads that of sentences, too; all four measures depend on the number of texts, which "
            "is the same for all arms of a corpus."
        ]
    else:
        columns = {
            "against": "empty: the arm's own value; else it is the difference to this arm", "kind": "utterance, context, contextless, or text",
            "label": "a label asked for; empty: all together", "tokens": "tokens of each draw", "vectors": "embeddings of each draw",
        }  # fmt: skip
        limits = ["Diverse texts need not be good ones: noise is diverse, too."]
    return Card(
        title=title,
        what=what,
        made=f"Step 08 (authenticity): at most {given.texts} texts of an arm, class by class; {given.permutations} permutations; "
        f"seed {given.random_seed}.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in corpora],
        columns=shared | columns,
        counts={"corpora": len(corpora), "arms": int(frame["arm"].nunique())},
        limits=limits,
        licence=corpora[0].licence,
        languages=list(dict.fromkeys(language for corpus in corpora for language in corpus.languages)),
        tags=["authenticity"],
    )


# --- the panel and the table of diversity, short enough to be read ---

MAIN = ("words_per_text", "hdd", "first_person_rate", "temporal_rate", "distinct_tenses", "gzip_ratio", "self_repetition", "detectability")
"""One measure a family, two of form and of pronouns and time what personal text is full of."""


def main_numbers(panel: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """Return by corpus and arm the measures of `MAIN` of accepted text, and on how many of all measures it differs from real text.

    ``differs on``: measures whose Holm-corrected p is below ``alpha``. Real text and its control stand first.
    """
    rows = panel[panel["verified"].astype(bool) | panel["arm"].isin([REAL, OTHER])]
    values = rows.pivot_table(index=["corpus", "arm"], columns="measure", values="value", sort=False).reindex(columns=list(MAIN))
    differs = (rows["p_holm"] < alpha).groupby([rows["corpus"], rows["arm"]], sort=False).sum()
    return values.assign(**{"differs on": differs}).rename_axis(columns=None)


def pooled_diversity(diversity: pd.DataFrame) -> pd.DataFrame:
    """Return by corpus, arm and kind of text each measure of accepted text over all labels together."""
    rows = diversity[(diversity["label"] == ALL) & (diversity["against"].fillna("") == "") & diversity["verified"].astype(bool)]
    return rows.pivot_table(index=["corpus", "arm", "kind"], columns="measure", values="value", sort=False).rename_axis(columns=None)
