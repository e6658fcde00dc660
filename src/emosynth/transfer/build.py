"""The step from files: synthetic rows, pairs and corpora in; tables, cards and the pre-trained encoder out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from emosynth.cards import Card, Source, read_table, render_card, write_table, write_text
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus, load_corpus
from emosynth.grounding.labels import Scorer
from emosynth.models.embeddings import embedding_cache
from emosynth.models.multilabel import EncoderState, MultiLabelEncoder
from emosynth.params import Transfer
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.taxonomy import Taxonomies
from emosynth.transfer import explain, probe
from emosynth.transfer.context import run_context
from emosynth.transfer.explain import explain_rows
from emosynth.transfer.learners import Encoder
from emosynth.transfer.probe import run_probe
from emosynth.transfer.rows import COLUMNS, as_synthetic, build_target, synthetic_rows
from emosynth.transfer.run import NEAR_DUPLICATE, run_transfer
from emosynth.transfer.scorer import run_scorer

_WHAT = {
    "scores": "Scores on the untouched test split of every target, learner, regime, arm, seed size and repeat.",
    "per_class": "Precision, recall and F1 of each label, for models of the seed alone and of two stages.",
    "context": "Models that read context and utterance against models that read either alone: on rows of held-out stories, and on pairs of "
    "contexts for one utterance.",
    "probe": "Linear probes on the emotion embeddings and on the base encoder's embeddings, fitted on seeds of the targets.",
    "scorer": "How the language model that labels synthetic rows reads validation rows of the targets, in their own taxonomies.",
    "explanations": "SHAP values of the words of some generated texts for their two most probable labels.",
}
_COLUMNS = {
    "scores": {
        "regime": "target: seed alone; target-long: seed alone, as many steps as two stages; two-stage: synthetic rows, then the seed; "
        "joint: both at once; zero-shot: synthetic rows alone; "
        "leave-one-out: training rows of the other corpora",
        "arm": "arm of the synthetic rows; seed or other corpora where there are none",
        "size": "rows of the target's seed; 0 without one",
        "c": "inverse regularisation strength chosen on validation",
        "thresholds": "argmax: most probable label; validation: chosen on validation rows; none: 0.5",
        "lrap": "label-ranking average precision",
        "accuracy": "share of rows whose set of labels is exactly right",
        "ece": "expected calibration error over all cells",
        "brier": "mean squared distance over all cells",
    },
    "context": {
        "input": "what the model reads; a − b: the difference of two, row by row",
        "repeat": "-1: mean over repeats",
        "measure": "lrap, top_1, macro_average_precision against the emotions asked for; flips: share of pairs whose label moves "
        "the right way with the context (0.5: chance)",
    },
    "probe": {"representation": "base: the base encoder's own; emotion: after pre-training on synthetic rows"},
    "scorer": {
        "mrr": "mean of 1/rank of a row's best-placed label",
        "top1": "share of rows with a label of theirs in the first place; top5: among the first five",
        "frequency_top1": "the same of one ranking for all rows, by frequency among training rows; likewise the others",
    },
    "explanations": {"value": "contribution to the label's log-probability", "token": "lower-case; generated text"},
}
_LIMITS = [
    "Settings and thresholds are chosen on the validation split: labels that a poor seed could not afford, for every regime alike.",
    "The encoder is pre-trained once for each arm: intervals over repeats do not hold the chance of pre-training.",
    "Contexts were written for the emotion asked for, so that a context may give it away without the utterance.",
]


def _load(paths: Paths, names: Sequence[str]) -> dict[str, Corpus]:
    return {name: load_corpus(paths, name) for name in names}


def build_transfer(
    transfer: Transfer,
    *,
    catalog: Catalog,
    paths: Paths,
    source: str = "goemotions",
    others: Sequence[str] = (),
    scorer: Scorer | None = None,
    near_duplicate: float = NEAR_DUPLICATE,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> dict[str, pd.DataFrame]:
    """Train, score and write everything of the step; return the tables.

    Writes ``scores``, ``per_class``, ``context``, ``probe``, ``explanations`` and ``scorer`` with cards, and the encoder of the headline arm
    as ``encoder.safetensors`` with a card that says how to load it. Without the learner ``encoder`` there is no such file,
    and ``probe`` and ``explanations`` are empty.

    Parameters
    ----------
    source
        Taxonomy of the synthetic rows (``grounding.taxonomy``).
    others
        Corpora besides the targets that leave-one-out may train on.
    scorer
        What labelled the synthetic rows, to be measured on real ones; None: not measured.
    near_duplicate
        Similarity from which a row repeats a held-out text (``corpora.near_duplicate``).
    confidence, resamples
        Of the intervals of ``context``.

    Raises
    ------
    UserError
        If a table or corpus has not been made, or does not fit.
    """
    rows = read_table(paths.grounding / "rows.parquet", COLUMNS, stage="grounding")
    pairs_file = paths.grounding / "pairs.parquet"
    pairs = read_table(pairs_file, stage="grounding") if pairs_file.is_file() else None
    corpora = _load(paths, list(dict.fromkeys([*transfer.targets, *others])))
    taxonomies = Taxonomies.load(paths.taxonomies)
    taxonomy = taxonomies.get(source)
    needed = any(name != "tfidf" for name in transfer.learners)
    folder = catalog.fetch(transfer.base_encoder) if needed else None
    cached = None if folder is None else embedding_cache(folder, paths.cache)
    embed, encoder_hash = (None, "") if cached is None else (cached.embed, cached.encoder.hash)
    tables = run_transfer(
        transfer, corpora, taxonomies, rows, cache=paths.cache, source=source, embed=embed, encoder_folder=folder,
        encoder_hash=encoder_hash, near_duplicate=near_duplicate,
    )  # fmt: skip
    if embed is not None:
        tables["context"] = run_context(
            transfer, rows, pairs, taxonomy, cache=paths.cache, embed=embed, encoder_folder=folder, encoder_hash=encoder_hash,
            resamples=resamples, confidence=confidence,
        )  # fmt: skip
    tables |= {"probe": pd.DataFrame(columns=probe.COLUMNS), "explanations": pd.DataFrame(columns=explain.COLUMNS)}
    if folder is not None and embed is not None and "encoder" in transfer.learners:
        targets = [build_target(corpora[name], taxonomies, transfer.seeding) for name in transfer.targets]
        drawn = synthetic_rows(rows, taxonomy, targets, transfer, near_duplicate)[transfer.arm]
        encoder = Encoder(transfer.encoder, folder, encoder_hash, taxonomy.labels, paths.cache / "transfer")
        state = encoder.pretrained(as_synthetic(drawn))  # already in the cache
        tables["probe"] = run_probe(transfer, corpora, taxonomies, state, folder, embed, encoder_hash, paths.cache, source=source)
        model = MultiLabelEncoder(folder, state.settings, state.labels).load_state(state)
        tables["explanations"] = explain_rows(model, drawn, transfer.explanations)
        _write_encoder(state, transfer, len(drawn), paths)
    if scorer is not None and transfer.scorer_rows:
        tables["scorer"] = run_scorer(transfer.targets, corpora, taxonomies, scorer, transfer.scorer_rows, say)
    for name, frame in tables.items():
        write_table(frame, paths.transfer / f"{name}.parquet", _card(name, transfer, corpora))
    return tables


def _write_encoder(state: EncoderState, transfer: Transfer, n: int, paths: Paths) -> None:
    state.save(paths.transfer / "encoder.safetensors")
    card = Card(
        title=f"Emotion encoder, pre-trained on {transfer.arm} rows",
        what=(
            f"A multi-label encoder of {len(state.labels)} emotions, trained on synthetic text alone. The token embeddings are not in the "
            f"file: they stay in the folder of the base encoder, {transfer.base_encoder}, whose hash the file names.\n\n"
            "```python\n"
            "from emosynth.models.multilabel import EncoderState, MultiLabelEncoder\n"
            "from emosynth.transfer import emotion_embeddings\n\n"
            'state = EncoderState.read("encoder.safetensors")\n'
            "encoder = MultiLabelEncoder(base_folder, state.settings, state.labels).load_state(state)\n"
            "probabilities = encoder.predict_proba(texts)  # (n, k); a text is an utterance, or (context, utterance)\n"
            "features = emotion_embeddings(state, base_folder, texts)  # (n, d), for other models\n"
            "```"
        ),
        made=f"Step transfer: {state.settings.steps} steps on {n:,} synthetic rows, utterances without their contexts, with soft labels.",
        sources=[Source(name=transfer.base_encoder, hash=state.base)],
        counts={"labels": len(state.labels), "synthetic rows": n},
        limits=[
            "Trained on generated text with labels that a language model gave: no human has checked them.",
            "Probabilities are those of the synthetic rows, where emotions are drawn evenly; use thresholds chosen on rows of your own.",
        ],
        tags=["emotion", "multi-label", "synthetic"],
    )
    labels = pd.DataFrame({"label": list(state.labels)})
    write_text(paths.transfer / "encoder.md", render_card(card, labels, "encoder.safetensors"))


def _card(name: str, transfer: Transfer, corpora: dict[str, Corpus]) -> Card:
    used = list(corpora.values())
    return Card(
        title=f"Transfer: {name}",
        what=_WHAT[name],
        made=f"Step transfer. Arm {transfer.arm}{f' against {transfer.against}' if transfer.against else ''}; targets {', '.join(transfer.targets)}; "
        f"learners {', '.join(transfer.learners)}; test scored once a model.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in used],
        columns=_COLUMNS.get(name, {}),
        limits=_LIMITS,
        tags=["evaluation", "transfer"],
    )
