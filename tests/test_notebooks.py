"""Notebook sources: thin, clean, without outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from emosynth.pipeline import STAGES, notebook_source

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_is_one_notebook_a_stage():
    assert [path.stem for path in NOTEBOOKS] == [stage.name for stage in STAGES]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_sources_carry_no_outputs(path):
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs") and not cell.get("execution_count")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_sources_are_thin(path):
    tree = ast.parse(notebook_source(path))
    defined = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert not defined, "logic belongs in src/"
    for cell in json.loads(path.read_text())["cells"]:
        assert len("".join(cell["source"]).splitlines()) <= 45


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_cells_that_show_corpus_text_are_tagged(path):
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and ('"examples"]' in source or "text_plot" in source) and "display" in source:
            assert "corpus-text" in cell["metadata"].get("tags", []), source
