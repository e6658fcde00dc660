"""Step 09 from files: what the context of grounded texts is worth, minimal pairs, labels in free words, and the reader of labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from emosynth.cards import Card, Source, write_table
from emosynth.catalog import Catalog
from emosynth.context import dialogues as human
from emosynth.context import inputs
from emosynth.context import pairs as pairing
from emosynth.context.pairs import lexicon
from emosynth.context.rows import READER, Contextual, load_contextual, read_real, soft_targets, taxonomy_of
from emosynth.learners.base import Resources
from emosynth.models.lm import LanguageModel, Request
from emosynth.narratives import load_passages
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.store import RowStore
from emosynth.taxonomy import Resolver, Taxonomies
from emosynth.writers import decoding_of, generator_of, is_tuned, open_writer

if TYPE_CHECKING:
    from emosynth.generation.narrative_prompts import Style
    from emosynth.labellers.reading import LanguageReader
    from emosynth.models.embeddings import EmbeddingCache

_TABLES = {
    "context": ("Context", "Models that read context and utterance, the utterance, the context, or another row's context, on rows of held-out stories and on pairs."),
    "pairs": ("Minimal pairs", "One utterance in two contexts that were asked to give reason for different labels; from stories that no row uses."),
    "names": ("Labels in free words", "What the writer calls the emotion of some rows in its own words, and the label that it resolves to."),
    "reader": ("Reader of labels", "How well the language model that reads labels off written rows reads real ones, beside a ranking by frequency."),
    "dialogues": ("Context on human labels", "Models that read context and utterance, the utterance, or the context, scored on utterances that people labelled within their dialogue."),
    "dialogue_predictions": ("Predictions on dialogues", "Predicted labels of every such model, as places among the labels, row by row as in dialogue_rows."),
    "dialogue_rows": ("Test utterances", "Ids, dialogues and labels of the test utterances in the order of the predictions; no text."),
}  # fmt: skip
_COLUMNS = {
    "input": "what models read; or a difference, taken row by row", "repeat": "seed of the model; -1: mean over them",
    "stories": "stories that the rows or pairs come from", "label_a": "what context_a was asked to give reason for", "label_b": "likewise",
    "explicit_a": "context_a names label_a", "explicit_b": "likewise",
    "ok": "contexts complete and unlike each other, utterance complete and without either label's name",
    "shift": "nats by which the reader reads more of a, less of b in context_a than in context_b; chance is above 0 in half of the pairs",
    "raw": "name as it came, in lower case", "label": "label; missing if none is near enough",
    "how": "label, synonym, neighbour, rejected or empty; see emosynth.taxonomy", "basis": "where the numbers come from",
    "first": "arm whose contextual rows were learnt before the seed; empty: none", "p": "of a difference: two-sided, by the same t",
    "n_first": "rows learnt first", "size": "real utterances learnt", "predicted": "places of labels", "turns": "utterances before it",
    "top1": "rows whose first label is right", "frequency_top1": "the same of the most frequent label",
}  # fmt: skip
_LIMITS = [
    "Labels are those asked for; nobody has checked that contexts and utterances express them.",
    "A context was written for the label that is then to be found: a gain over the utterance alone counts only beside what the context alone gives.",
]
_HUMAN = [
    "People labelled each utterance with its dialogue before them, and with sound and picture, which no model here has.",
    "Training utterances may equal test utterances (“What?”): dialogues are disjoint, and what is said twice is where context counts.",
    "Intervals are over dialogues, drawn whole, and repeats, with Student's t for as few repeats as there are; those of single repeats over dialogues alone.",
]
_EMPTY = {
    "context": inputs.COLUMNS, "pairs": [*pairing.COLUMNS, "shift"], "names": pairing.NAMED, "reader": READER,
    "dialogues": human.COLUMNS, "dialogue_predictions": human.PREDICTIONS, "dialogue_rows": human.ROWS,
}  # fmt: skip


def build_context(params: Params, catalog: Catalog, paths: Paths) -> dict[str, pd.DataFrame]:
    """Measure what context is worth, and write all tables of the step with their cards.

    Returns
    -------
    dict
        By name. A table that cannot be made is empty; its card and a line of progress say why.

    Raises
    ------
    UserError
        If an earlier step has not been run, or a model cannot be opened.
    """
    tables = {name: pd.DataFrame(columns=columns) for name, columns in _EMPTY.items()}
    why: dict[str, str] = {}
    step = _Step(params, catalog, paths)
    if params.context.reader_rows:
        tables["reader"] = read_real(params, paths, step.taxonomies, step.reader)
    else:
        why["reader"] = "No row was to be read (context.reader_rows: 0)."
    given = load_contextual(params, paths, step.taxonomies)
    if given is None or given.rows.empty:
        said = "No arm writes utterances from a narrative." if given is None else f"No contextual row of {given.arm.name} is accepted."
        why |= dict.fromkeys(("context", "pairs", "names"), said)
    else:
        say(f"context: {len(given.rows)} contextual rows of {given.arm.name}")
        with RowStore(paths.cache / "rows" / "generation.sqlite") as store:
            for name, made in (("pairs", step.pairs(given, store)), ("names", step.names(given, store))):
                _take(tables, why, name, made)
        _take(tables, why, "context", step.context(given, tables["pairs"]))
    measured = step.dialogues(given)
    for name in ("dialogues", "dialogue_predictions", "dialogue_rows"):
        _take(tables, why, name, measured if isinstance(measured, str) else measured[name])
    for name, frame in tables.items():
        if name in why:
            say(f"context: no table of {name}: {why[name]}")
        write_table(frame, paths.context / f"{name}.parquet", _card(name, frame, why.get(name, ""), given, params))
    return tables


def _take(tables: dict[str, pd.DataFrame], why: dict[str, str], name: str, made: pd.DataFrame | str) -> None:
    if isinstance(made, str):
        why[name] = made
    else:
        tables[name] = made


class _Step:
    """Opens what the parts of the step share, each once and only if it is needed."""

    def __init__(self, params: Params, catalog: Catalog, paths: Paths) -> None:
        self.params, self.catalog, self.paths = params, catalog, paths
        self.taxonomies = Taxonomies.load(paths.taxonomies)

    @cached_property
    def reader(self) -> LanguageReader:
        from emosynth.labellers.reading import LanguageReader

        return LanguageReader.open(self.params.models.local, self.catalog)

    @cached_property
    def embeddings(self) -> EmbeddingCache:
        from emosynth.models.embeddings import embedding_cache

        return embedding_cache(self.catalog.model(self.params.models.encoder), self.paths.cache)

    @property
    def style(self) -> Style:
        return "chat" if self.params.generation.style == "chat" else "completion"

    def asker(self, given: Contextual, store: RowStore, what: str, tokens: int | None = None) -> pairing.Ask:
        """Return how the arm's plain writer is asked."""
        name, params = plain_writer(self.params, given), self.params
        decoding = decoding_of(params, name)
        if tokens is not None:
            decoding = decoding.model_copy(update={"max_new_tokens": min(tokens, decoding.max_new_tokens)})

        def ask(requests: Sequence[Request]) -> list[tuple[str, bool]]:
            from emosynth.generation.fill import ask as through

            model: LanguageModel = open_writer(params, name, self.catalog, self.paths)
            try:
                answers = through(model, decoding, generator_of(params, name).batch, f"context: {what}", requests, store)
            finally:
                model.close()
            return [(str(answer["text"]), answer["finish"] == "stop") for answer in answers]

        return ask

    def pairs(self, given: Contextual, store: RowStore) -> pd.DataFrame | str:
        if not self.params.context.pairs:
            return "None were to be written (context.pairs: 0)."
        passages, characters = load_passages(self.paths.narratives)
        used = set(given.candidates["story_id"].fillna("").astype(str))
        cast = pairing.cast_of_pairs(passages, characters, used)
        plan = pairing.plan_pairs(given.space, cast, self.params.context.pairs, self.params.narratives.random_seed)
        if not plan:
            return "There are no two groups of labels, or no story is left that no row is grounded in."
        words = taxonomy_of(given.space, self.taxonomies)
        known = lexicon(given.space.phrases, given.space.adjectives, words.synonyms)
        name = plain_writer(self.params, given)
        made = pairing.write_pairs(plan, given.space, self.style, self.asker(given, store, "minimal pairs"), known, name)
        return made.assign(shift=pairing.shifts(made, self.reader.scorer, given.space))

    def names(self, given: Contextual, store: RowStore) -> pd.DataFrame | str:
        own = self.params.context
        if not own.free_form:
            return "None were asked for (context.free_form: 0)."
        resolver = Resolver(taxonomy_of(given.space, self.taxonomies), self.embeddings.embed, own.similarity)
        ask = self.asker(given, store, "labels in free words", pairing.TOKENS)
        chosen = pairing.rows_to_name(given.rows, own.free_form)
        return pairing.name_labels(chosen, self.style, self.params.narratives.random_seed, ask, resolver)

    def context(self, given: Contextual, pairs: pd.DataFrame) -> pd.DataFrame | str:
        own, rows = self.params.context, given.rows
        targets = soft_targets(self.params, given, rows, self.paths)
        data = inputs.split(rows, targets, pairs, given.space, self.params.corpora.near_duplicate)
        if isinstance(data, str):
            return data
        linear = inputs.linear_model(self.embeddings.embed)
        learners: list[tuple[str, inputs.Predict, int, Any]] = [("embedding", linear, 1, self._identity())]
        if own.encoder_repeats:
            folder = self.catalog.model(self.params.models.encoder)
            settings = own.model_dump(mode="json", include={"layers", "steps", "batch", "learning_rate", "max_tokens"})
            model = inputs.encoder_model(own, folder, given.space.labels)
            learners.append(("encoder", model, own.encoder_repeats, [self._identity(), settings]))
        return inputs.run_context(data, given.space, learners, self.paths.cache, self.params.evidence.confidence)

    def dialogues(self, given: Contextual | None) -> dict[str, pd.DataFrame] | str:
        own, name = self.params.context, self.params.context.dialogues
        if name is None:
            return "Not tested: no corpus of dialogues that people labelled is named (context.dialogues)."
        loaded = human.read_dialogues(name, self.catalog)
        if isinstance(loaded, str):
            return loaded
        say(f"context: {len(loaded.rows)} utterances of {name}")
        material = human.Material.of(name, loaded, own, self.params.cells.random_seed, self.taxonomies)
        encoder = self.embeddings.encoder
        resources = Resources(human.paired(self.embeddings.embed), encoder.folder, encoder.hash, self.paths.cache / "learners")
        return human.run_dialogues(material, self._written(given), own, self.taxonomies, resources, self.params.evidence)

    def _written(self, given: Contextual | None) -> human.Written | None:
        if given is None or given.rows.empty:
            return None
        rows = given.rows
        soft = soft_targets(self.params, given, rows, self.paths)
        return human.Written(given.arm.name, inputs.Texts.of(rows), soft, [int(repeat) for repeat in rows["repeat"]], given.space)

    def _identity(self) -> str:
        return str(self.embeddings.encoder.hash)


def plain_writer(params: Params, given: Contextual) -> str:
    """Return the first untuned writer of an arm, or the plain one."""
    writers = given.arm.origin.writers if given.arm.origin is not None else ()
    return next((name for name, _ in writers if not is_tuned(params, name)), "plain")


def _card(name: str, frame: pd.DataFrame, why: str, given: Contextual | None, params: Params) -> Card:
    title, what = _TABLES[name]
    arm = f" Arm {given.arm.name}." if given is not None else ""
    return Card(
        title=title, what=f"{what} Empty: {why}" if why else what,
        made=f"Step 09 (context).{arm} Encoder {params.models.encoder}; labels are read by {params.models.local.rpartition('/')[2]}.",
        sources=[Source(name=corpus) for corpus in params.corpora.names],
        columns={column: meaning for column, meaning in _COLUMNS.items() if column in frame.columns}, counts={"rows": len(frame)},
        limits=_HUMAN if name.startswith("dialogue") else _LIMITS if name != "reader" else [], tags=["emotions", "context"],
    )  # fmt: skip
