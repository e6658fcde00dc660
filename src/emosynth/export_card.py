"""What an exported data set says of itself: its card, and its description in Croissant; both follow what made its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from emosynth.cards import licence_address, licence_fields, rows_licence, size_category
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.design.arms import ResolvedArm, arm_title
from emosynth.design.space import Space
from emosynth.escape import markdown, printable
from emosynth.params import Params
from emosynth.progress import counted
from emosynth.responsible.personal import kinds_in

SHARED = 6
"""Words in a row that a text may not share with a real one."""

_COLUMNS = {
    "id": "unique; the texts of one situation share what stands before the last slash",
    "text": "the text",
    "labels": "what it is labelled with, as class labels",
    "soft_labels": "a share or probability for each class label, in their order",
    "asked": "the labels that its prompt asked for; of an edited row, those of the row that it was made of",
    "context": "the situation in which it is said, written too (rows of narratives only)",
    "character": "who says it (rows of narratives only)",
    "arm": "how the rows were made and chosen",
    "origin": "guide, writer and label space",
    "writer": "which of the writers",
    "generator": "backend and model",
    "corpus": "corpus whose labels and seeds were used",
    "size": "rows of the seed whose verdicts it passed",
    "repeat": "number of that seed",
    "index": "place among the candidates of its label",
    "prompt_sha256": "hash of its prompt, which may hold text of the corpus and is left out",
    "row_seed": "random seed of its sampling",
}


@dataclass(frozen=True)
class Exported:
    """Rows ready to be written."""

    frame: pd.DataFrame
    space: Space
    corpus: Corpus
    left_out: int
    grown: str = ""
    masked: bool = False


def about_of(params: Params, arm: ResolvedArm, made: Exported, catalog: Catalog) -> dict[str, Any]:
    """Return what card and Croissant file tell of an arm's rows; ``edits``: what was done to real texts, None where a language model wrote."""
    editing = None if arm.origin is None else arm.origin.edits
    licences = {} if editing else {name: catalog.entry(name).licence for name in (params.models.writer.model,) if name in catalog}
    choices = {
        "guide": ", ".join(guide.shown_name() for guide in (arm.origin.guides if arm.origin is not None else ())) or "the class alone",
        "writer": "none, no language model" if editing else ", ".join(sorted({str(name) for name in made.frame["generator"]})),
        "checks": ", ".join(check.shown_name() for check in arm.checks) if arm.verified else "none, but that no text is empty",
        "labels": ", ".join(f"{labeller.shown_name()} ({share:g})" for labeller, share in arm.labellers if share > 0),
    }
    title = f"{'Edited' if editing else 'Synthetic'} {made.corpus.register_noun} texts, {arm_title(params, arm.name)}"
    return {
        "name": title, "arm": arm.name, "choices": choices, "corpus": made.corpus.name, "languages": made.corpus.languages,
        "labels": list(made.space.labels), "single": made.space.single, "left_out": made.left_out, "models": licences,
        "rows": len(made.frame), "personal": _personal(made), "unwritten": _unwritten(made), "corpus_licence": made.corpus.licence.strip() or "unknown",
        "edits": editing and (editing.changes or "see its guide"), "real": [_real(made)] if editing else [], "checked": arm.verified,
    }  # fmt: skip


def _unwritten(made: Exported) -> list[str]:
    """Return the sentence that names the classes of which there is no row; none where each has one."""
    lost = [label for label in made.space.labels if label not in set(made.frame["labels"].explode())]
    return [f"No row is of these classes: {', '.join(lost)}. Whoever trains on these rows alone cannot learn them."] if lost else []


def _real(made: Exported) -> str:
    still = (
        "what is personal in them is still there, but for what is masked" if made.masked else "everything personal in them is still there"
    )
    return f"These are real texts of the seed, slightly changed: {still}. Hand them on only as you may hand on the corpus itself."


def _what(about: Mapping[str, Any]) -> str:
    """Return what the rows are, by what made them."""
    if about["edits"] is None:
        return f"{counted(about['rows'], 'text')} that a language model wrote for the classes of {about['corpus']}"
    return f"{counted(about['rows'], 'real text')} of the corpus {about['corpus']}, slightly changed ({about['edits']})"


def _withheld(about: Mapping[str, Any]) -> str:
    """Return how many rows are withheld, and that what was measured holds for all."""
    many = about["left_out"]
    said = f"{counted(many, 'row')} that {'shares' if many == 1 else 'share'} {SHARED} words in a row with a real text of the corpus"
    return f"{said}; scores of this arm were measured with {'it' if many == 1 else 'them'}, not with what is left here" if many else said


def _personal(made: Exported) -> str:
    found = sum(any(flags) for flags in zip(*kinds_in(made.frame["text"].tolist()).values(), strict=True))
    if made.masked:
        return "Mentions, addresses and numbers of people that patterns find were replaced by words in brackets; names were not."
    return f"{found:,} texts hold what looks like a mention, address or number of a person (by patterns; names were not looked for). They are not masked."


def _limits(about: Mapping[str, Any]) -> list[str]:
    """Return what the rows cannot be taken for, by what made them and whether they were checked."""
    edited, judged = about["edits"] is not None, "; checks and soft labels are those of small models" if about["checked"] else ""
    said = "A changed text has the labels of the one that it was made of, whether or not it still expresses them. It may offend."
    synthetic = "All texts are synthetic and not to be taken for what people say. They may offend."
    return [
        *about["unwritten"], f"Nobody has checked that the texts express their labels{judged}.", said if edited else synthetic, *about["real"],
        "There is a train split only: measure on real text.",
    ]  # fmt: skip


def _biases(about: Mapping[str, Any]) -> list[str]:
    """Return what leans which way, by what made the rows."""
    model = "The language model's training text decides whose way of speaking is heard; no group was asked or balanced."
    people = "Whoever wrote the corpus decides whose way of speaking is heard; one text may be there several times, changed each time."
    checks = "Checks are models that learnt from few texts: what they misread is missing, and nobody knows what that is."
    shares = "Classes are asked for equally often, not as often as people express them."
    return [model if about["edits"] is None else people, shares, *([checks] if about["checked"] else [])]


def readme(made: Exported, about: Mapping[str, Any]) -> str:
    """Return the data set's card: Markdown with YAML front matter."""
    head = {
        "pretty_name": printable(about["name"]), "language": about["languages"], **licence_fields(about["corpus_licence"]), "task_categories": ["text-classification"],
        "tags": ["emotions", "synthetic" if about["edits"] is None else "edited", "soft-labels", *([] if about["single"] else ["multi-label"])],
        "size_categories": [size_category(about["rows"])],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train.parquet"}]}],
    }  # fmt: skip
    counts = made.frame["labels"].explode().value_counts()
    meaning = {column: _COLUMNS.get(column) or f"score of the check {column.removeprefix('score_')}" for column in made.frame.columns}
    return "\n".join(
        [
            "---", yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000).rstrip(), "---", "", f"# {markdown(about['name'])}", "",
            f"{markdown(_what(about))}; {'they passed every check' if about['checked'] else 'no check judged them'}.", "",
            "## How they were made", "", *([f"- picked: {markdown(about['picked'])}"] if about["picked"] else []), *(f"- {choice}: {markdown(what)}" for choice, what in about["choices"].items()),
            *(f"- licence of the model {markdown(name)}: {markdown(licence)}" for name, licence in about["models"].items()),
            f"- grown from: {made.grown}",
            f"- left out: {_withheld(about)}", "",
            "## Columns", "", "| column | meaning |", "|---|---|", *(f"| {markdown(column)} | {markdown(what)} |" for column, what in meaning.items()), "",
            f"Class labels, in order: {markdown(', '.join(about['labels']))}.", "", "| label | rows |", "|---|---|",
            *(f"| {markdown(label)} | {int(counts.get(label, 0)):,} |" for label in about["labels"]), "",
            "`train.csv` and `train.jsonl` hold the same rows. In the CSV file lists have bars between their items, and one apostrophe more stands "
            "before what a spreadsheet would take for a formula: a cell, or the name of a column, that begins with =, +, -, @, a tab or the end of a line, "
            "or with apostrophes before one of these.", "",
            "## Limits", "", *(f"- {markdown(limit)}" for limit in (*_limits(about), *_biases(about), about["personal"])), "",
            "## Licence", "", rows_licence(about["corpus"], about["corpus_licence"], model=about["edits"] is None), "",
            "## Use", "", "```python", "import datasets", "", 'rows = datasets.load_dataset("path/to/this/folder", split="train")', "```", "",
        ]
    )  # fmt: skip


_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field", "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject", "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField",
    "path": "cr:path", "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip


def _responsible(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the RAI vocabulary (http://mlcommons.org/croissant/RAI/1.0): synthetic, made how, biases, limits."""
    choices, models = about["choices"], ", ".join(f"{name} ({licence})" for name, licence in about["models"].items())
    written, checks = about["edits"] is None, choices["checks"]
    made = (
        f"Written by a language model: {choices['writer']}{f'; licence: {models}' if models else ''}. Shown in its prompts: {choices['guide']}."
        if written
        else f"{_what(about)}. No language model."
    )
    return {
        "rai:hasSyntheticData": written, "rai:dataCollectionType": "Synthetic" if written else "Secondary Data Analysis",
        "rai:dataCollection": f"{made} Classes and seeds are those of the corpus {about['corpus']} (licence: {about['corpus_licence']})"
        f"{'; no text of it is in the data set' if written else ''}.",
        "rai:dataPreprocessingProtocol": f"{'Kept is what passes these checks' if about['checked'] else 'Checks'}: {checks}. Left out: {_withheld(about)}.",
        "rai:dataAnnotationProtocol": f"No person labelled the texts{'' if written else ' as they stand now'}. Labels: {choices['labels']}.", "rai:machineAnnotationTools": choices["labels"],
        "rai:annotationsPerItem": "0 by people", "rai:personalSensitiveInformation": " ".join([*about["real"], about["personal"]]), "rai:dataBiases": _biases(about), "rai:dataLimitations": _limits(about),
        "rai:dataUseCases": "Training of text classifiers for these classes beside labelled real text. Not for testing, not for statements about people.",
        "rai:dataSocialImpact": "Emotion read from text is uncertain, and may be wrong of a person: do not decide about people by it.",
    }  # fmt: skip


def croissant(frame: pd.DataFrame, about: Mapping[str, Any], parquet: Path) -> dict[str, Any]:
    """Return the description of a data set in Croissant 1.0 (http://mlcommons.org/croissant/1.0), a JSON-LD vocabulary."""
    fields = []
    for column in frame.columns:
        first = frame[column].iloc[0]
        item = first[0] if isinstance(first, list) and first else first
        kind = "sc:Integer" if isinstance(item, int | np.integer) else "sc:Float" if isinstance(item, float | np.floating) else "sc:Text"
        fields.append(
            {
                "@type": "cr:Field", "@id": f"rows/{column}", "name": column,
                "description": _COLUMNS.get(column) or f"score of the check {column.removeprefix('score_')}",
                "dataType": "sc:Integer" if column == "labels" else kind, **({"repeated": True} if isinstance(first, list) else {}),
                "source": {"fileObject": {"@id": "train.parquet"}, "extract": {"column": column}},
            }
        )  # fmt: skip
    return {
        "@context": _CONTEXT, "@type": "sc:Dataset", "name": about["name"],
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"], **_responsible(about),
        "description": f"{_what(about)}. Classes: {', '.join(about['labels'])}. With provenance.",
        **({"license": licence} if (licence := licence_address(about["corpus_licence"])) else {}), "inLanguage": about["languages"], "version": "1.0.0",
        "distribution": [{
            "@type": "cr:FileObject", "@id": "train.parquet", "name": "train.parquet", "contentUrl": "data/train.parquet",
            "encodingFormat": "application/x-parquet", "sha256": hashlib.sha256(parquet.read_bytes()).hexdigest(),
        }],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": fields}],
    }  # fmt: skip
