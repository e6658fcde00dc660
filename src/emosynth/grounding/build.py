"""Step grounding from files: examples of every arm, their verdicts and soft labels, names, minimal pairs, diversity, scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from emosynth.cards import Card, Source, read_table, write_json, write_table
from emosynth.catalog import Catalog
from emosynth.distillation.quality import distinct_n
from emosynth.errors import UserError
from emosynth.grounding.checks import overlap, rows, verify
from emosynth.grounding.diversity import ALL, Embed, diversity
from emosynth.grounding.explicit import balance, explicit_share, lexicon
from emosynth.grounding.labels import Scorer, soft_labels
from emosynth.grounding.naming import name_labels
from emosynth.grounding.pairs import HELD_OUT, held_out_cast, held_out_stories, plan_pairs, shifts, write_pairs
from emosynth.grounding.plan import plan_examples
from emosynth.grounding.prompts import Wording
from emosynth.grounding.run import generate_examples
from emosynth.grounding.scale import scale_estimate
from emosynth.models.lm import LanguageModel
from emosynth.models.lm.labels import LabelScorer
from emosynth.params import Generator, Grounding
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.store import RowStore
from emosynth.taxonomy import Resolver, Taxonomies, Taxonomy
from emosynth.text import words

_TABLES = {
    "examples": ("Examples", "Examples as planned and written: context, utterance and context-less text of each, with prompts and seeds."),
    "rows": ("Rows", "One row per text that a classifier may learn from, accepted or not, with verdicts and soft labels."),
    "named": ("Free labels", "What the generators call the emotion of some rows in their own words, and the label of the taxonomy that it resolves to."),
    "confusion": ("Free labels, counted", "Distinct names that the generators gave, where they went, and how often."),
    "pairs": ("Minimal pairs", "One utterance in two contexts that were asked to give reason for opposite emotions; from stories that no example uses."),
    "diversity": ("Diversity", "Diversity of every arm by kind of text and emotion, at equal numbers of tokens; neutral by plain and by topical prompts."),
    "diversity_differences": ("Differences in diversity", "Grounded minus ungrounded arms, with intervals over draws."),
    "generators": ("Generators", "What is accepted of each generator, how explicit, how well read, how diverse."),
    "scale": ("Scale", "What the published number of rows would cost; arithmetic on stated assumptions."),
}  # fmt: skip

_COLUMNS = {
    "row_id": "example_id and kind",
    "example_id": "arm and index",
    "arm": "grounding.arms",
    "grounded": "whether passage and character were given",
    "kind": "contextual: an utterance, to be read with its context; contextless: a text to be read alone",
    "emotions": "labels asked for",
    "text": "the utterance, or the context-less text",
    "context": "the situation, written first",
    "character": "who speaks; empty if ungrounded",
    "passage_id": "passage shown; see the narratives step",
    "story_id": "story of the passage; empty if ungrounded",
    "utterance": "what a context-less text is a rewriting of; of a pair, what is said in both contexts",
    "generator": "backend and model",
    "accepted": "no check failed",
    "reason": "first check that failed",
    "explicit": "names one of its emotions",
    "kept": "accepted and not set aside as one explicit row too many",
    "context_overlap": "share of the context's word 4-grams that its passage holds",
    "scored": "calibrated probability of each label of the taxonomy, as a language model reads the text",
    "soft": "soft label: what was asked for, mixed with scored",
    "intended_rank": "best rank of a label asked for by scored, from 1",
    "agreement": "whether the first label by scored was asked for",
    "raw": "name as it came, in lower case",
    "label": "label of the taxonomy; missing if none is near enough",
    "how": "label, synonym, neighbour, rejected or empty; see emosynth.taxonomy",
    "emotion_a": "what context_a was asked to give reason for",
    "emotion_b": "likewise",
    "explicit_a": "context_a names emotion_a",
    "explicit_b": "likewise",
    "ok": "contexts complete and unlike each other, utterance complete and without either emotion's name",
    "shift": "nats by which the scorer reads more of a, less of b in context_a than in context_b; chance is above 0 in half of the pairs",
    "distinct_2": "distinct word pairs over all word pairs, at equal numbers of tokens",
    "explicit_share": "of the accepted rows",
    "basis": "where the numbers come from",
}

_LIMITS = [
    "Emotions are those asked for; nobody has checked that the texts express them.",
    "The scorer is a language model as well, and a weak one if it is small; where it disagrees, either may be wrong.",
    "Prompts quote passages of third parties; texts may repeat words of them, and may offend.",
]


def build_grounding(
    params: Grounding,
    passages: pd.DataFrame,
    characters: pd.DataFrame,
    taxonomies: Taxonomies,
    catalog: Catalog,
    paths: Paths,
    *,
    embed: Embed,
    open_model: Callable[[Generator], LanguageModel],
    scorer: Scorer | None = None,
    pairs: int | None = None,
    progress: Callable[[str], None] = say,
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Generate, verify, label softly, name, pair and measure; write all with cards into ``paths.grounding``.

    Parameters
    ----------
    passages, characters
        From `emosynth.narratives.load_passages`. A tenth of the stories (`emosynth.grounding.pairs.held_out_stories`) is kept for
        minimal pairs, and no example is grounded in it.
    taxonomies
        The file of taxonomies; ``params.taxonomy`` names the one used.
    catalog
        Opens the scorer.
    embed
        Texts -> L2-normalised vectors, shape (texts, dimensions).
    open_model
        Opens a generator.
    scorer
        Scores labels after prompts; None: the model of ``params.labels``.
    pairs
        Minimal pairs; None: ``params.pairs``.
    progress
        Called with one plain line at a time.

    Returns
    -------
    tables
        ``examples``, ``rows``, ``named``, ``confusion``, ``pairs``, ``diversity``, ``diversity_differences``, ``generators``, ``scale``
        (empty if it cannot be estimated).
    account
        What `emosynth.grounding.run.generate_examples` accounts for; taxonomy and its labels in the order of ``scored`` and ``soft``;
        ``held_out_stories``, ``copy_overlap`` and, if there is no scale, ``scale_missing``.

    Raises
    ------
    UserError
        If there are no passages for the arms or pairs, the taxonomy or a model is missing, or an emotion is unknown.
    """
    taxonomy = taxonomies.get(params.taxonomy)
    wording = Wording(taxonomy.phrases, taxonomy.adjectives, taxonomy.neutral)
    names = lexicon(taxonomy.phrases, taxonomy.adjectives, taxonomy.synonyms)
    texts = dict(zip(passages["passage_id"], passages["text"], strict=True))
    held = held_out_stories(passages, HELD_OUT, params.random_seed)
    open_passages = passages[~passages["story_id"].isin(held)]
    plan = [
        example
        for arm in params.arms
        for example in plan_examples(params, taxonomy.labels, taxonomy.neutral, open_passages, characters, arm)
    ]
    cast = held_out_cast(passages, characters, held)
    planned_pairs = plan_pairs(params, taxonomy, cast, params.pairs if pairs is None else pairs)
    scorer = scorer or LabelScorer.open(params.labels.model, catalog)
    progress(f"grounding: {len(plan)} examples of {len(params.arms)} arms, {len(planned_pairs)} minimal pairs")

    with RowStore(paths.cache / "rows" / "grounding.jsonl") as store:
        examples, account = generate_examples(plan, params, texts, open_model, store, wording=wording)
        paired = write_pairs(planned_pairs, params, texts, names, open_model, store, wording=wording)
        verified = _explicit(verify(rows(examples), params, texts), params, names, texts)
        stories = dict(zip(passages["passage_id"], passages["story_id"], strict=True))
        verified["story_id"] = verified["passage_id"].map(stories).fillna("")
        progress(f"grounding: {int(verified['accepted'].sum())} of {len(verified)} rows accepted; labels in free words")
        writers = {example.example_id: example.generator for example in plan}
        resolver = Resolver(taxonomy, embed, params.labels.similarity)
        named, confused = name_labels(verified, writers, params, resolver, open_model, store)
    progress("grounding: soft labels")
    labelled = soft_labels(verified, scorer, taxonomy, params, progress)
    paired = paired.assign(shift=shifts(paired, scorer, taxonomy))
    progress("grounding: diversity")
    table, differences = _diversity(examples, params, texts, embed)
    account |= {
        "taxonomy": taxonomy.name,
        "labels": list(taxonomy.labels),
        "held_out_stories": len(held),
        "copy_overlap": params.copy_overlap,
    }
    tables = {
        "examples": examples,
        "rows": labelled,
        "named": named,
        "confusion": confused,
        "pairs": paired,
        "diversity": table,
        "diversity_differences": differences,
        "generators": summary(labelled),
        "scale": _scale(labelled, account),
    }
    _write(tables, account, params, taxonomy, passages, paths.grounding)
    progress(f"grounding: {int(labelled['kept'].sum())} rows kept, {int(paired['ok'].sum())} of {len(paired)} pairs sound")
    return tables, account


def load_rows(folder: Path) -> pd.DataFrame:
    """Return the rows that this step wrote into its folder, emotions as lists.

    Raises
    ------
    UserError
        If they have not been made.
    """
    frame = read_table(folder / "rows.parquet", stage="grounding")
    frame["emotions"] = frame["emotions"].map(list)
    return frame


def _explicit(verified: pd.DataFrame, params: Grounding, names: Mapping[str, set[str]], texts: Mapping[str, str]) -> pd.DataFrame:
    out = verified.assign(explicit=explicit_share(verified["text"].tolist(), verified["emotions"].tolist(), names))
    stays = balance(out, params.explicit, params.random_seed)
    near = [
        overlap(words(context), [words(texts[passage])]) if passage else 0.0
        for context, passage in zip(out["context"], out["passage_id"], strict=True)
    ]
    return out.assign(kept=out["accepted"] & stays, context_overlap=near)


def _diversity(examples: pd.DataFrame, params: Grounding, texts: Mapping[str, str], embed: Embed) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare arms that ask for all emotions with each other, and those that ask for some with the rows of all arms with the same emotions.

    A small arm would otherwise cut down the number of tokens at which the large ones are compared.
    """
    some = {label for arm in params.arms.values() for label in arm.emotions or []}
    whole = examples["arm"].map(lambda arm: params.arms[arm].emotions is None)
    like = examples["emotions"].map(lambda labels: set(labels) <= some)
    parts = []
    if whole.any():
        tables = diversity(examples[whole], texts, embed, seed=params.random_seed)
        parts.append([table[~table["emotion"].isin(some)] for table in tables])
    if some:
        tables = diversity(examples[like], texts, embed, seed=params.random_seed)
        # Without arms that ask for all emotions, all of what these ask for is what there is to compare.
        parts.append([table[(table["emotion"] != ALL) | (not whole.any())] for table in tables])
    table, differences = (pd.concat([part[place] for part in parts], ignore_index=True) for place in range(2))
    return table, differences


def summary(labelled: pd.DataFrame) -> pd.DataFrame:
    """Return what became of each generator's rows, by kind.

    Parameters
    ----------
    labelled
        Rows with verdicts and soft labels.

    Returns
    -------
    pandas.DataFrame
        generator, kind, rows, accepted (share), explicit_share (of accepted rows), agreement and mrr (mean of 1/intended_rank; both of
        accepted rows), tokens (compared), distinct_2 of the first so many tokens of accepted rows, by arm and index.
    """
    out = []
    for kind, part in labelled.groupby("kind", sort=False):
        tokens = {
            generator: [words(text) for text in own.loc[own["accepted"], "text"]]
            for generator, own in part.groupby("generator", sort=False)
        }
        budget = min((size for texts in tokens.values() if (size := sum(map(len, texts)))), default=0)
        for generator, own in part.groupby("generator", sort=False):
            good = own[own["accepted"]]
            out.append(
                {
                    "generator": generator,
                    "kind": kind,
                    "rows": len(own),
                    "accepted": own["accepted"].mean(),
                    "explicit_share": good["explicit"].mean() if len(good) else math.nan,
                    "agreement": good["agreement"].mean() if len(good) else math.nan,
                    "mrr": (1 / good["intended_rank"]).mean() if len(good) else math.nan,
                    "tokens": budget,
                    "distinct_2": distinct_n(_first(tokens[generator], budget), 2),
                }
            )
    return pd.DataFrame(out)


def _first(texts: list[list[str]], budget: int) -> list[list[str]]:
    """Return the first texts until they have ``budget`` tokens; the last is cut."""
    out = []
    for text in texts:
        out.append(text[:budget])
        budget -= len(out[-1])
    return out


def _scale(labelled: pd.DataFrame, account: dict[str, Any]) -> pd.DataFrame:
    acceptance = {str(kind): float(share) for kind, share in labelled.groupby("kind")["kept"].mean().items()}
    try:
        return scale_estimate(account, acceptance=acceptance)
    except UserError as error:
        # A table on the side is no reason to lose the step: a server that counts no tokens, a handful of rows of which none is kept.
        account["scale_missing"] = error.what
        return pd.DataFrame(columns=["setting"])


def _write(
    tables: Mapping[str, pd.DataFrame],
    account: Mapping[str, Any],
    params: Grounding,
    taxonomy: Taxonomy,
    passages: pd.DataFrame,
    folder: Path,
) -> None:
    labelled = tables["rows"]
    counts = {
        str(arm): {
            "examples": part["example_id"].nunique(),
            "rows": len(part),
            "accepted": int(part["accepted"].sum()),
            "kept": int(part["kept"].sum()),
        }
        for arm, part in labelled.groupby("arm", sort=False)
    }
    made = (
        f"Step grounding. Taxonomy {taxonomy.name}; generators {', '.join(account['generators'])}; decoding "
        f"{', '.join(f'{key} {value:g}' for key, value in params.decoding.model_dump().items())}; seed {params.random_seed}. Labels are scored by "
        f"{Path(params.labels.model).name} and calibrated by the batch; soft = {params.labels.intended:g} of what was asked for and "
        f"{1 - params.labels.intended:g} of what was scored. {account['held_out_stories']} of {passages['story_id'].nunique()} stories are kept "
        "for minimal pairs."
    )
    for name, frame in tables.items():
        title, what = _TABLES[name]
        card = Card(
            title=f"Grounding: {title}",
            what=what,
            made=made,
            sources=[Source(name=source) for source in passages["source"].unique()] if "source" in passages else [],
            columns=_COLUMNS,
            counts=counts if name in ("examples", "rows") else {"rows": len(frame)},
            limits=_LIMITS,
            tags=["emotions", "synthetic", "narratives"],
            citation=taxonomy.citation,
        )
        write_table(frame, folder / f"{name}.parquet", card)
    write_json(folder / "account.json", account)
    write_json(folder / "generators.json", {"generators": account["generators"], "deterministic": account["deterministic"]})
