"""Notebook sources: thin, clean, without outputs, and silent about corpus text."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from emosynth import pieces
from emosynth.pipeline import STAGES

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXT = {"text", "prompt", "examples", "exemplars", "names", "pairs"}
"""Columns and tables that hold text of corpora, of narratives, or text that may repeat these."""


def cells(path: Path, kind: str = "code") -> list[tuple[str, list[str]]]:
    loaded = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [("".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in loaded if cell["cell_type"] == kind]


each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def test_there_is_one_notebook_a_stage():
    assert [path.stem for path in NOTEBOOKS] == [stage.name for stage in STAGES]


@each
def test_sources_carry_no_outputs_and_stable_ids(path):
    loaded = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert [cell["id"] for cell in loaded] == [f"cell-{place:02d}" for place in range(len(loaded))]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in loaded)


@each
def test_sources_are_thin(path):
    tree = ast.parse("\n".join(source for source, _ in cells(path)))
    defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.While | ast.Try)]
    assert not defined, "logic belongs in src/"
    lines = [line for source, tags in cells(path) if "parameters" not in tags for line in source.splitlines() if line.strip()]
    assert len(lines) <= 75


@each
def test_each_stage_makes_one_call_to_its_room(path):
    source = "\n".join(source for source, _ in cells(path))
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    built = [node.func.id for node in calls if getattr(node.func, "id", "").startswith(("build_", "run_"))]
    assert len(built) == 1
    (call,) = [node for node in calls if getattr(node.func, "id", "") == built[0]]
    given = [ast.unparse(argument) for argument in call.args]
    wanted = ["session.params", "session.catalog", "session.paths"]
    assert given == [name for name in wanted if name != "session.catalog" or built[0] != "build_orders"]


def test_figures_that_are_shown_are_there():
    shown = {name for path in NOTEBOOKS for source, _ in cells(path) for name in re.findall(r'show\("([^"]+)"', source)}
    assert len(shown) > 8 and shown <= set(pieces.registered("figure"))


@each
def test_cells_that_show_text_are_tagged(path):
    for source, tags in cells(path):
        words = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        words |= {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
        shows = "display(" in source or "print(" in source
        if shows and words & TEXT:
            assert "corpus-text" in tags, source


@each
def test_what_is_shown_is_introduced(path):
    loaded = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert loaded[0]["cell_type"] == "markdown" and len("".join(loaded[0]["source"]).split()) > 15
    shown = [
        place for place, cell in enumerate(loaded) if "display(" in "".join(cell["source"]) and "import" not in "".join(cell["source"])
    ]
    for place in shown:
        assert any(loaded[before]["cell_type"] == "markdown" for before in (place - 1, place - 2)), loaded[place]["source"]
