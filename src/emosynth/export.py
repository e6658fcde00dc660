"""A data set to take away: an arm's accepted rows for the Hugging Face hub, as CSV, as JSON lines, and described in Croissant."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from emosynth.cards import licence_address, licence_fields, rows_licence, size_category
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.design.arms import ResolvedArm, arm_title, resolve_arm, unknown
from emosynth.design.cells import Cell, list_cells
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.escape import csv_cell, json_text, markdown, printable
from emosynth.files import atomic, plain, write_text
from emosynth.languages import spaced
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import counted, say, warn
from emosynth.responsible.personal import kinds_in, mask
from emosynth.text import ngrams, words
from emosynth.trials.labels import label_rows
from emosynth.trials.sources import Sources

BEST = "best"
SHARED = 6
"""Words in a row that a text may not share with a real one."""

_WRITTEN = ("text", "context", "character")
"""Columns that hold written text."""

_COLUMNS = {
    "id": "unique; the texts of one situation share what stands before the last slash",
    "text": "the text",
    "labels": "what it is labelled with, as class labels",
    "soft_labels": "a share or probability for each class label, in their order",
    "asked": "the labels that its prompt asked for",
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
class _Exported:
    """Rows ready to be written."""

    frame: pd.DataFrame
    space: Space
    corpus: Corpus
    left_out: int
    grown: str = ""
    masked: bool = False


def best_arm(params: Params, paths: Paths) -> tuple[str, str]:
    """Return the arm that the report's first page picks for the target's largest seeds (`emosynth.evidence.contrasts.answers`), and what it is.

    Raises
    ------
    UserError
        If no written arm was trained beside the labels alone.
    """
    from emosynth.evidence.numbers import chance, told
    from emosynth.report.tables import Tables

    tables = Tables(paths, params)
    head = tables.headline
    if head is None:
        raise UserError("No written arm was trained beside the labels alone.", where="trials", remedy="Name the arm to be exported.")
    where = f"on {head.corpus} with {head.size:,} labels and {tables.looks.learner(head.learner)}"
    if head.row.shown:
        gained = told(head.row.gain, head.row.low, head.row.high)
        return head.arm, f"the best way {where}: shown to help, {gained} points of macro-F1, as the report's first page says"
    return head.arm, f"a best guess, as on the report's first page: nothing is shown to help {where} ({chance(head.row.p_better)})"


def export_best(params: Params, paths: Paths, catalog: Catalog) -> Path:
    """Export the best arm to ``data/<profile>/export``, as a run ends; where nothing can be handed on, the folder says why."""
    folder = paths.data / "export"
    try:
        return export_dataset(params, paths, BEST, folder, catalog)
    except UserError as error:
        say(f"export: {error.what}")
        write_text(folder / "README.md", f"{markdown(error.what)} {markdown(error.remedy)}\n")
        return folder


def export_dataset(params: Params, paths: Paths, arm: str, folder: Path, catalog: Catalog, *, masked: bool = False) -> Path:
    """Write an arm's accepted rows into a folder that ``datasets.load_dataset(folder)`` opens.

    Writes ``data/train.parquet``, ``train.csv``, ``train.jsonl``, ``README.md`` and ``croissant.json``.

    Parameters
    ----------
    arm
        Name of a written arm, or `BEST`: see `best_arm`; the card and a line of progress say what it was picked by.
    catalog
        Names what models are and where they are from.
    masked
        Replace personal data that patterns find by words in brackets (`emosynth.responsible.personal.mask`).

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        If the profile has not been run, there is no such arm, nobody wrote its rows, or none was accepted.
    """
    if not paths.verdicts.is_dir():
        raise UserError(
            f"The profile {paths.profile} has not been run.", where=str(paths.data), remedy=f"Run: make reproduce PROFILE={paths.profile}"
        )
    name, picked = best_arm(params, paths) if arm == BEST else (arm, "")
    if name not in params.arms:
        raise unknown("arm", name, "export", [BEST, *params.arms])
    resolved = resolve_arm(params, name)
    if not resolved.written:
        raise UserError(
            f"The arm {name} holds real text, which is not the compendium's to give away.", where="export", remedy="Name a written arm."
        )
    made = _rows(Sources.load(params, paths), resolved)
    if masked:
        made = replace(
            made, frame=made.frame.assign(**{name: made.frame[name].map(mask) for name in _WRITTEN if name in made.frame}), masked=True
        )
    parquet = folder / "data" / "train.parquet"
    _write_parquet(made, parquet)
    write_text(folder / "train.csv", _csv(made.frame))
    lines = [json_text(plain(row)) for row in made.frame.to_dict("records")]
    write_text(folder / "train.jsonl", "".join(f"{line}\n" for line in lines))
    about = _about(params, resolved, made, catalog) | {"picked": picked}
    write_text(folder / "README.md", _readme(made, about))
    write_text(folder / "croissant.json", json_text(croissant(made.frame, about, parquet), indent=2) + "\n")
    say(
        f"export: {counted(len(made.frame), 'row')} of {name} to {folder}; left out for {SHARED} words in a row with real text: {made.left_out:,}"
    )
    say(f"export: they grow from {made.grown}")
    for line in about["unwritten"]:
        warn(f"export: {name}: {line}")
    if picked:
        say(f"export: {name} is {picked}")
    return folder


# --- rows -----------------------------------------------------------------------------------------------


def _rows(sources: Sources, arm: ResolvedArm) -> _Exported:
    params, target = sources.params, sources.params.corpora.target
    sizes = [size for size in params.cells.sizes_of(target) if arm.runs_on(Cell(target, 0, size))]
    cells = [cell for cell in list_cells(params, target) if sizes and cell.size == sizes[-1] and arm.runs_on(cell)]
    parts, space = [], sources.spaces[target]
    for cell in cells:
        rows = sources.written(arm, cell)
        rows = rows[sources.accepted(arm, cell)]
        if rows.empty:
            continue
        labels = label_rows(sources, arm, cell, rows, 0.0, moved=False)
        space = labels.space
        parts.append(_columns(rows, arm, cell, labels.targets, space) | sources.scores(arm, rows, cell))
    if not parts:
        raise UserError(f"No row of {arm.name} was accepted.", where="verdicts", remedy="Look at why rows are rejected (column reason).")
    frame = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True).drop_duplicates("id", ignore_index=True)
    frame = frame.loc[:, [column for column in frame.columns if column not in ("context", "character") or frame[column].ne("").any()]]
    shared = shares_words(frame["text"].tolist(), sources.corpora[target].frame["text"].tolist())
    if shared.all():
        raise UserError(f"Every row of {arm.name} shares {SHARED} words with real text.", where="export", remedy="Export another arm.")
    return _Exported(frame[~shared].reset_index(drop=True), space, sources.corpora[target], int(shared.sum()), _grown(sources, cells))


def _grown(sources: Sources, cells: Sequence[Cell]) -> str:
    """Return which labelled rows the seeds hold that an arm's rows were made for and chosen by."""
    order = sources.order
    train = order.loc[order["corpus"] == cells[0].corpus, "id"].nunique()
    held = len({row for cell in cells for row in sources.seed(cell).ids})
    drawn = (
        f"{len(cells)} seeds of {cells[0].size:,} labelled rows each" if len(cells) > 1 else f"a seed of {cells[0].size:,} labelled rows"
    )
    together = (
        f"{'together they hold' if len(cells) > 1 else 'it holds'} {'all' if held == train else f'{held:,} of the'} {train:,} training rows"
    )
    return f"{drawn}; {together}"


def _columns(rows: pd.DataFrame, arm: ResolvedArm, cell: Cell, targets: np.ndarray, space: Space) -> dict[str, Any]:
    if space.single:
        hard = [[space.labels[place]] for place in targets.argmax(axis=1)]
    else:
        # Asked labels that the soft labels bear out, and at least the likeliest.
        hard = [
            [label for label, p in zip(space.labels, row, strict=True) if p >= 0.5] or [space.labels[int(row.argmax())]] for row in targets
        ]
    known = {name: rows[name].fillna("").tolist() for name in ("context", "character", "origin", "writer", "generator")}
    return {
        "id": rows["candidate_id"].tolist(), "text": rows["text"].tolist(), "labels": hard, "soft_labels": targets.round(6).tolist(),
        "asked": [list(labels) for labels in rows["labels"]], **known, "arm": [arm.name] * len(rows), "corpus": [cell.corpus] * len(rows),
        "size": [cell.size] * len(rows), "repeat": [cell.repeat] * len(rows), "index": rows["index"].tolist(),
        "prompt_sha256": [hashlib.sha256(str(prompt).encode("utf-8", "replace")).hexdigest() for prompt in rows["prompt"]],
        "row_seed": rows["row_seed"].tolist(),
    }  # fmt: skip


def shares_words(texts: Sequence[str], real: Sequence[str], count: int = SHARED) -> np.ndarray:
    """Return which texts share ``count`` words in a row with a real text; a shorter real text counts if a text is that text."""
    known = {gram for text in real for gram in _grams(text, count)}
    return np.array([not known.isdisjoint(_grams(text, count)) for text in texts], dtype=bool)


def _grams(text: str, count: int) -> list[tuple[str, ...]]:
    tokens = [token for token in words(spaced(text)) if any(char.isalnum() for char in token)]
    return ngrams(tokens, count) or [tuple(tokens)]


# --- files ----------------------------------------------------------------------------------------------


def _write_parquet(made: _Exported, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import ClassLabel, Features, List, Value

    names = list(made.space.labels)
    kinds: dict[str, Any] = {"labels": List(ClassLabel(names=names)), "soft_labels": List(Value("float32")), "asked": List(Value("string"))}
    kinds |= dict.fromkeys(("size", "repeat", "index", "row_seed"), Value("int64"))
    data: dict[str, list[Any]] = {column: made.frame[column].tolist() for column in made.frame.columns}
    data["labels"] = [[names.index(label) for label in labels] for labels in data["labels"]]
    kinds |= {column: Value("float64") for column in data if column.startswith("score_")}
    # The schema carries the class names, so that the library reads labels as labels.
    schema = Features({column: kinds.get(column, Value("string")) for column in data}).arrow_schema
    with atomic(path) as temporary:
        pq.write_table(pa.table(data, schema=schema), temporary, compression="zstd")


def _csv(frame: pd.DataFrame) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_cell(str(column)) for column in frame.columns])
    writer.writerows([[_cell(value) for value in row] for row in frame.itertuples(index=False)])
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet takes for a formula; lists with bars between their items."""
    if isinstance(value, list):
        value = "|".join(str(item) for item in value)
    if isinstance(value, float) and np.isnan(value):
        return ""
    return csv_cell(value)


def _about(params: Params, arm: ResolvedArm, made: _Exported, catalog: Catalog) -> dict[str, Any]:
    generators = sorted({str(name) for name in made.frame["generator"]})
    licences = {name: catalog.entry(name).licence for name in (params.models.writer.model,) if name in catalog}
    choices = {
        "guide": ", ".join(guide.shown_name() for guide in (arm.origin.guides if arm.origin is not None else ())) or "the class alone",
        "writer": ", ".join(generators),
        "checks": ", ".join(check.shown_name() for check in arm.checks),
        "labels": ", ".join(f"{labeller.shown_name()} ({share:g})" for labeller, share in arm.labellers if share > 0),
    }
    title = f"Synthetic {made.corpus.register_noun} texts, {arm_title(params, arm.name)}"
    return {
        "name": title, "arm": arm.name, "choices": choices, "corpus": made.corpus.name, "languages": made.corpus.languages,
        "labels": list(made.space.labels), "single": made.space.single, "left_out": made.left_out, "models": licences,
        "rows": len(made.frame), "personal": _personal(made), "unwritten": _unwritten(made), "corpus_licence": made.corpus.licence.strip() or "unknown",
    }  # fmt: skip


def _unwritten(made: _Exported) -> list[str]:
    """Return the sentence that names the classes of which there is no row; none where each has one."""
    lost = [label for label in made.space.labels if label not in set(made.frame["labels"].explode())]
    return [f"No row is of these classes: {', '.join(lost)}. Whoever trains on these rows alone cannot learn them."] if lost else []


def _personal(made: _Exported) -> str:
    found = sum(any(flags) for flags in zip(*kinds_in(made.frame["text"].tolist()).values(), strict=True))
    if made.masked:
        return "Mentions, addresses and numbers of people that patterns find were replaced by words in brackets; names were not."
    return f"{found:,} texts hold what looks like a mention, address or number of a person (by patterns; names were not looked for). They are not masked."


_LIMITS = (
    "Nobody has checked that the texts express their labels; checks and soft labels are those of small models.",
    "All texts are synthetic and not to be taken for what people say. They may offend.",
    "There is a train split only: measure on real text.",
)
_BIASES = (
    "The language model's training text decides whose way of speaking is heard; no group was asked or balanced.",
    "Classes are asked for equally often, not as often as people express them.",
    "Checks are models that learnt from few texts: what they misread is missing, and nobody knows what that is.",
)


def _readme(made: _Exported, about: Mapping[str, Any]) -> str:
    head = {
        "pretty_name": printable(about["name"]), "language": about["languages"], **licence_fields(about["corpus_licence"]), "task_categories": ["text-classification"],
        "tags": ["emotions", "synthetic", "soft-labels", *([] if about["single"] else ["multi-label"])],
        "size_categories": [size_category(about["rows"])],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train.parquet"}]}],
    }  # fmt: skip
    counts = made.frame["labels"].explode().value_counts()
    meaning = {column: _COLUMNS.get(column) or f"score of the check {column.removeprefix('score_')}" for column in made.frame.columns}
    return "\n".join(
        [
            "---", yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000).rstrip(), "---", "", f"# {markdown(about['name'])}", "",
            f"{counted(about['rows'], 'text')} that a language model wrote for the classes of {markdown(about['corpus'])}, and that passed every check.", "",
            "## How they were made", "", *([f"- picked: {markdown(about['picked'])}"] if about["picked"] else []), *(f"- {choice}: {markdown(what)}" for choice, what in about["choices"].items()),
            *(f"- licence of the model {markdown(name)}: {markdown(licence)}" for name, licence in about["models"].items()),
            f"- grown from: {made.grown}",
            f"- left out: {counted(about['left_out'], 'row')} that {'shares' if about['left_out'] == 1 else 'share'} {SHARED} words in a row with a real text of the corpus", "",
            "## Columns", "", "| column | meaning |", "|---|---|", *(f"| {markdown(column)} | {markdown(what)} |" for column, what in meaning.items()), "",
            f"Class labels, in order: {markdown(', '.join(about['labels']))}.", "", "| label | rows |", "|---|---|",
            *(f"| {markdown(label)} | {int(counts.get(label, 0)):,} |" for label in about["labels"]), "",
            "`train.csv` and `train.jsonl` hold the same rows. In the CSV file lists have bars between their items, and one apostrophe more stands "
            "before what a spreadsheet would take for a formula: a cell, or the name of a column, that begins with =, +, -, @, a tab or the end of a line, "
            "or with apostrophes before one of these.", "",
            "## Limits", "", *(f"- {markdown(limit)}" for limit in (*about["unwritten"], *_LIMITS, *_BIASES, about["personal"])), "",
            "## Licence", "", rows_licence(about["corpus"], about["corpus_licence"]), "",
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
    return {
        "rai:hasSyntheticData": True, "rai:dataCollectionType": "Synthetic",
        "rai:dataCollection": f"Written by a language model: {choices['writer']}{f'; licence: {models}' if models else ''}. Shown in its prompts: {choices['guide']}. "
        f"Classes and seeds are those of the corpus {about['corpus']} (licence: {about['corpus_licence']}); no text of it is in the data set.",
        "rai:dataPreprocessingProtocol": f"Kept is what passes these checks: {choices['checks']}. Left out: {counted(about['left_out'], 'row')} that {'shares' if about['left_out'] == 1 else 'share'} {SHARED} words in a row "
        "with a real text of the corpus.",
        "rai:dataAnnotationProtocol": f"No person labelled the texts. Labels: {choices['labels']}.", "rai:machineAnnotationTools": choices["labels"],
        "rai:annotationsPerItem": "0 by people", "rai:personalSensitiveInformation": about["personal"], "rai:dataBiases": list(_BIASES), "rai:dataLimitations": [*about["unwritten"], *_LIMITS],
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
        "description": f"{about['rows']} texts written by a language model for the classes {', '.join(about['labels'])}, with provenance.",
        **({"license": licence} if (licence := licence_address(about["corpus_licence"])) else {}), "inLanguage": about["languages"], "version": "1.0.0",
        "distribution": [{
            "@type": "cr:FileObject", "@id": "train.parquet", "name": "train.parquet", "contentUrl": "data/train.parquet",
            "encodingFormat": "application/x-parquet", "sha256": hashlib.sha256(parquet.read_bytes()).hexdigest(),
        }],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": fields}],
    }  # fmt: skip
