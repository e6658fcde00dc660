"""The kept rows as a data set folder for the Hugging Face hub: two configurations, a README, no text of third parties."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from emosynth.cards import atomic, size_category, write_text
from emosynth.errors import UserError
from emosynth.taxonomy import Taxonomy

KINDS = ("contextual", "contextless")

_COLUMNS = {
    "id": "arm, index and kind; the two kinds of one example share what stands before the last slash",
    "text": "contextual: what the character says; contextless: the same, told so that it needs no context",
    "context": "the situation in which it is said (contextual only)",
    "character": "who says it; empty if the row is not grounded in a narrative (contextual only)",
    "emotions": "the one or two emotions that were asked for, as class labels",
    "soft_labels": "one share per emotion, in the order of the class labels; sums to 1",
    "arm": "how it was asked for",
    "generator": "backend and model",
    "narrative": "id of the passage of a narrative that the situation is grounded in; empty if there is none. Its text is not included",
}


def export_dataset(rows: pd.DataFrame, taxonomy: Taxonomy, account: Mapping[str, Any], folder: Path, *, licence: str = "mit") -> Path:
    """Write ``contextual/train.parquet``, ``contextless/train.parquet`` and ``README.md`` into a folder that the hub takes as it is.

    Parameters
    ----------
    rows
        From `emosynth.grounding.build.load_rows`. Kept ones are exported; of contextual ones those whose context is not mostly copied
        from its passage (``context_overlap`` below the account's ``copy_overlap``).
    account
        Of the step: generators, copy_overlap.
    licence
        Identifier of the hub.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        If a kind has no row to export, or rows and taxonomy do not fit.
    """
    from datasets import ClassLabel, Features, List, Value

    kept = rows[rows["kept"]]
    parts = {kind: kept[kept["kind"] == kind] for kind in KINDS}
    parts["contextual"] = parts["contextual"][parts["contextual"]["context_overlap"] < account.get("copy_overlap", 1.0)]
    for kind, part in parts.items():
        if part.empty:
            raise UserError(
                f"There are no {kind} rows to export.", where="grounding rows", remedy="Look at why rows are rejected (column reason)."
            )
        if len(part["soft"].iloc[0]) != len(taxonomy.labels):
            raise UserError(
                f"Soft labels have {len(part['soft'].iloc[0])} shares, the taxonomy {taxonomy.name} {len(taxonomy.labels)} labels.",
                where="grounding rows",
                remedy="Export with the taxonomy that the rows were made with.",
            )
        kinds = {
            "emotions": List(ClassLabel(names=list(taxonomy.labels))),
            "soft_labels": List(Value("float32")),
        }
        data = _columns(part, kind, taxonomy)
        # The schema carries the class names, so that the library reads labels as labels.
        schema = Features({name: kinds.get(name, Value("string")) for name in data}).arrow_schema
        target = folder / kind / "train.parquet"
        with atomic(target) as temporary:
            pq.write_table(pa.table(data, schema=schema), temporary, compression="zstd")
    write_text(folder / "README.md", _readme({kind: len(part) for kind, part in parts.items()}, taxonomy, account, licence))
    return folder


def _columns(part: pd.DataFrame, kind: str, taxonomy: Taxonomy) -> dict[str, list[Any]]:
    data: dict[str, list[Any]] = {"id": part["row_id"].tolist(), "text": part["text"].tolist()}
    if kind == "contextual":
        data |= {"context": part["context"].tolist(), "character": part["character"].tolist()}
    return data | {
        "emotions": [[taxonomy.labels.index(label) for label in labels] for labels in part["emotions"]],
        "soft_labels": [list(shares) for shares in part["soft"]],
        "arm": part["arm"].tolist(),
        "generator": part["generator"].tolist(),
        "narrative": part["passage_id"].tolist(),
    }


def _readme(counts: Mapping[str, int], taxonomy: Taxonomy, account: Mapping[str, Any], licence: str) -> str:
    head = {
        "pretty_name": f"Grounded synthetic emotions ({taxonomy.name})",
        "language": ["en"],
        "license": licence,
        "task_categories": ["text-classification"],
        "tags": ["emotions", "synthetic", "multi-label", "soft-labels"],
        "size_categories": [size_category(sum(counts.values()))],
        "configs": [
            {
                "config_name": kind,
                "data_files": [{"split": "train", "path": f"{kind}/train.parquet"}],
                **({"default": True} if not place else {}),
            }
            for place, kind in enumerate(KINDS)
        ],
    }
    generators = ", ".join(account.get("generators", {})) or "see the column generator"
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000).rstrip(),
        "---",
        "",
        f"# {head['pretty_name']}",
        "",
        f"Texts that a language model wrote to express emotions of {taxonomy.title}: {counts['contextual']:,} utterances with their situation "
        f"(`contextual`) and {counts['contextless']:,} that are understood without one (`contextless`), each with the emotions asked for and with soft labels.",
        "",
        "## How it was made",
        "",
        f"Written by {generators}, after the method of Shvets (2025, arXiv:2504.16856): from a passage of a narrative and one of its characters, a "
        "situation; from that, an utterance; from both, a text that needs no situation. Some rows are written without a narrative for comparison (column "
        "`arm`). Kept are rows that are complete, of fair length, no copies of their passage or prompt, and no near-duplicates. Soft labels mix what "
        "was asked for with what a language model reads in the text.",
        "",
        "## Columns",
        "",
        "| column | meaning |",
        "|---|---|",
        *(f"| {name} | {meaning} |" for name, meaning in _COLUMNS.items()),
        "",
        f"Class labels, in order: {', '.join(taxonomy.labels)}.",
        "",
        "## Limits",
        "",
        "- Nobody has checked that the texts express the emotions; a small generator often misses them.",
        "- All texts are synthetic and not to be taken for what people say. They may offend.",
        "- The passages of narratives are third parties' text and not part of this data set; names of their characters occur.",
        "- There is a train split only: measure on real text.",
        "",
        "## Use",
        "",
        "```python",
        "import datasets",
        "",
        'rows = datasets.load_dataset("path/to/this/folder", "contextual", split="train")',
        "```",
        "",
        "To publish it under your own name: `huggingface-cli upload YOUR-NAME/YOUR-DATASET path/to/this/folder --repo-type dataset`.",
        "",
        "## Taxonomy",
        "",
        "```bibtex",
        taxonomy.citation.strip(),
        "```",
        "",
    ]
    return "\n".join(lines)
