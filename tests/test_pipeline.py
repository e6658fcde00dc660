"""The declared pipeline, the notebooks, and the order of the house."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml

from emosynth.params import section_models
from emosynth.pipeline import STAGES, module_files, notebook_source, own_files, pipeline_file, pipeline_text, profiles

ROOT = Path(__file__).parent.parent
STEPS = [
    "corpora", "seeding", "guidance", "tuning", "generation", "verification", "learning", "distillation", "authenticity", "narratives",
    "grounding", "transfer", "evidence", "report",
]  # fmt: skip


@pytest.mark.parametrize("profile", profiles(ROOT))
def test_dvc_files_are_up_to_date(profile):
    assert pipeline_file(ROOT, profile).read_text() == pipeline_text(ROOT, profile), "run: python -m emosynth pipeline"


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_notebook_model_and_dvc_declare_the_same_parameters(stage):
    notebook = json.loads((ROOT / "notebooks" / f"{stage.name}.ipynb").read_text())
    (cell,) = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    declared = {t.id for n in ast.parse("".join(cell["source"])).body if isinstance(n, ast.Assign) for t in n.targets}
    assert declared == {"profile", *stage.sections}
    assert set(stage.sections) <= set(section_models())
    dvc = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage.name]
    assert dvc["params"] == list(stage.sections)


def test_stages_read_only_what_stages_before_them_made():
    made: set[str] = set()
    for stage in STAGES:
        assert set(stage.reads) <= made
        made.add(stage.makes)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
    return {m for m in found if m.startswith("emosynth.")}


@pytest.mark.parametrize("step", STEPS)
def test_steps_import_only_from_the_foundation_and_from_steps_before(step):
    later = STEPS[STEPS.index(step) + 1 :]
    for path in (ROOT / "src" / "emosynth" / step).rglob("*.py"):
        for module in imports(path):
            assert module.split(".")[1] not in [*later, "runner", "cli"], f"{path.name} imports {module}"


def test_foundation_imports_no_step():
    package = ROOT / "src" / "emosynth"
    foundation = [*package.glob("*.py"), *(package / "models").rglob("*.py")]
    for path in foundation:
        if path.name in {"cli.py", "__main__.py"}:
            continue
        assert not {m.split(".")[1] for m in imports(path)} & set(STEPS), path


def test_dependencies_follow_imports():
    files = module_files(ROOT, [notebook_source(ROOT / "notebooks" / "01_seeding.ipynb")])
    assert "src/emosynth/seeding/seeds.py" in files and "src/emosynth/corpora/build.py" in files
    assert not [f for f in files if "/report/" in f or "/learning/" in f]


def test_own_files_are_dependencies(tmp_path):
    (tmp_path / "mine.csv").write_text("text,label\n")
    values = {"corpora": {"custom": {"path": "mine.csv"}}, "generation": {"generator": {"model": "smollm2-135m-instruct"}}}
    assert own_files(tmp_path, values, STAGES[0]) == ["mine.csv"]
    assert own_files(tmp_path, values, STAGES[3]) == []


def test_only_the_report_depends_on_the_figure_style():
    dvc = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert [name for name, stage in dvc.items() if "figures" in stage["params"]] == ["12_figures"]
