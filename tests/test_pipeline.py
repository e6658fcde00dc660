"""The declared pipeline, what makes a stage run again, and the order of the house."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from emosynth import dependencies, pieces
from emosynth.dependencies import code_files, module_files, named_pieces, notebook_source, own_files, path_patterns
from emosynth.params import Arm, Params, deep_merge, load_params, read_file, section_types, validate
from emosynth.params.base import Named, Section
from emosynth.params.design import check_design
from emosynth.pipeline import (
    NOT_COMPARED,
    STAGES,
    build_pipeline,
    fit_dvc,
    folded,
    parameter_keys,
    pipeline_file,
    pipeline_text,
    profiles,
    stage,
)

ROOT = Path(__file__).parent.parent
FOUNDATION = {
    "errors", "progress", "paths", "files", "cards", "text", "stats", "store", "display", "session", "pipeline", "dependencies", "style", "pieces", "params",
    "catalog", "taxonomy",
}  # fmt: skip
ROOMS = [
    "corpora", "seeding", "explain", "narratives", "guides", "writers", "generation", "checks", "labellers", "verification", "learners", "trials",
    "authenticity", "context", "evidence", "report",
]  # fmt: skip
INTERFACES = {f"emosynth.{room}.base" for room in ("guides", "checks", "labellers", "learners")}
"""What a piece is, which anyone may know."""
each_stage = pytest.mark.parametrize("item", STAGES, ids=lambda s: s.name)


# --- declarations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", profiles(ROOT))
def test_dvc_files_are_up_to_date(profile):
    assert pipeline_file(ROOT, profile).read_text(encoding="utf-8") == pipeline_text(ROOT, profile), "run: python -m emosynth pipeline"


@each_stage
def test_notebook_and_stage_declare_the_same_parameters(item):
    notebook = json.loads((ROOT / "notebooks" / f"{item.name}.ipynb").read_text(encoding="utf-8"))
    (cell,) = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    declared = [t.id for n in ast.parse("".join(cell["source"])).body if isinstance(n, ast.Assign) for t in n.targets]
    assert declared == ["profile", *item.sections]
    code = "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
    (opened,) = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "open_session"]
    assert [keyword.arg for keyword in opened.keywords] == list(item.sections), "and passes them on"
    assert set(item.sections) <= set(section_types())
    assert item.arm_fields is None or ("arms" in item.sections and set(item.arm_fields) <= set(Arm.model_fields))


def test_stages_read_only_what_stages_before_them_made():
    made: set[str] = set()
    for item in STAGES:
        assert set(item.reads) <= made
        made.add(item.makes)


def test_learners_and_sweeps_make_nothing_run_again_but_training_and_report():
    for section in ("sweeps", "learners", "training"):
        assert [item.name for item in STAGES if section in item.sections] == ["07_training", "11_figures"]
    assert [item.name for item in STAGES if "figures" in item.sections] == ["11_figures"]


@pytest.mark.parametrize(
    ("room", "stages"),
    [
        ("corpora", ["00_corpora"]), ("seeding", ["01_seeding"]), ("explain", ["02_shap"]), ("narratives", ["03_narratives"]),
        ("writers", ["04_tuning", "05_generation"]), ("generation", ["05_generation"]), ("verification", ["06_verification"]),
        ("trials", ["07_training"]), ("authenticity", ["08_authenticity"]), ("context", ["09_context"]), ("responsible", ["10_responsible"]),
    ],
)  # fmt: skip
def test_rooms_read_the_sections_that_their_stage_declares(room, stages):
    read = re.compile(r"\bparams\.(\w+)(?:\.(\w+))?")
    for path in (ROOT / "src" / "emosynth" / room).rglob("*.py"):
        for section, field in read.findall(path.read_text(encoding="utf-8")):
            for item in map(stage, stages) if section in section_types() else ():
                assert section in item.sections, f"{path.name} reads {section}"
                if section == "models" and item.model_fields is not None:
                    needed = {"reader", "writer"} if field == "local" else {field}
                    assert needed <= set(item.model_fields), f"{path.name} reads models.{field}"


# --- parameters that DVC tracks ---------------------------------------------------------------------


def lookup(values: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        values = values[part]
    return values


@pytest.mark.parametrize("profile", profiles(ROOT))
@each_stage
def test_tracked_keys_are_in_their_file_and_cover_what_is_set(profile, item):
    base = read_file(ROOT / "params.yaml")
    overlay = {} if profile == "demo" else read_file(ROOT / "profiles" / f"{profile}.yaml")
    arms = load_params(ROOT, profile).arms
    for written in (base, overlay):
        keys = parameter_keys(item, written, arms)
        for key in keys:
            assert lookup(written, key) is not None
        for name in set(written) & set(item.sections):
            assert any(key.split(".")[0] == name for key in keys) or name in ("arms", "models")
        for arm, field in ((arm, field) for arm, fields in written.get("arms", {}).items() if arm in arms for field in fields):
            tracked = "arms" in keys or f"arms.{arm}.{field}" in keys
            assert tracked == ("arms" in item.sections and (item.arm_fields is None or field in item.arm_fields))


def changed_stages(change: dict[str, Any]) -> list[str]:
    """Return the stages whose tracked parameters a change of params.yaml touches."""
    before = read_file(ROOT / "params.yaml")
    after = deep_merge(before, change)
    found = []
    for item in STAGES:
        keys = [parameter_keys(item, values, values["arms"]) for values in (before, after)]
        if keys[0] != keys[1] or any(lookup(before, key) != lookup(after, key) for key in keys[0]):
            found.append(item.name)
    return found


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"arms": {"sentisynth": {"mix": {"weight": 0.5}}}}, ["07_training", "11_figures"]),
        ({"sweeps": {"sentisynth": {"mix.weight": [0.2]}}}, ["07_training", "11_figures"]),
        ({"learners": {"tfidf": {"sizes": [60]}}}, ["07_training", "11_figures"]),
        (
            {"arms": {"shap": {"checks": "basic"}}},
            ["06_verification", "07_training", "08_authenticity", "09_context", "10_responsible", "11_figures"],
        ),
        (
            {"checks": {"basic": {"original": 0.5}}},
            ["06_verification", "07_training", "08_authenticity", "09_context", "10_responsible", "11_figures"],
        ),
        (
            {"models": {"encoder": "another"}},
            ["02_shap", "06_verification", "07_training", "08_authenticity", "09_context", "10_responsible", "11_figures"],
        ),
        (
            {"models": {"writer": {"model": "x"}}},
            ["04_tuning", "05_generation", "06_verification", "07_training", "09_context", "10_responsible", "11_figures"],
        ),
        ({"figures": {"formats": ["svg"]}}, ["11_figures"]),
        ({"shap": {"tokens": 3}}, ["02_shap", "11_figures"]),
    ],
)
def test_what_a_change_of_parameters_makes_run_again(change, first):
    assert changed_stages(change) == first


def test_an_arm_of_which_a_stage_sees_no_field_is_in_its_command():
    stages = yaml.safe_load(pipeline_text(ROOT, "demo"))["stages"]
    params = load_params(ROOT, "demo")
    for item in STAGES:
        entry = stages[item.name]
        if "arms" not in item.sections or item.arm_fields is None:
            assert "#" not in entry["cmd"]
            continue
        for arm in params.arms:
            assert any(str(key).startswith(f"arms.{arm}.") for key in entry["params"]) != (
                f" {arm} " in f"{entry['cmd'].partition('#')[2]} "
            )


# --- code -------------------------------------------------------------------------------------------


def test_folders_stand_for_the_files_that_they_hold_and_for_no_other(tmp_path: Path) -> None:
    room = tmp_path / "src" / "emosynth" / "room"
    for name in ("a.py", "inner/b.py", "inner/c.py", "__pycache__/a.pyc", ".a.py.swp"):
        (room / name).parent.mkdir(parents=True, exist_ok=True)
        (room / name).touch()
    base = "src/emosynth/room"
    files = [f"{base}/{name}" for name in ("a.py", "inner/b.py", "inner/c.py")]
    assert folded(tmp_path, ["x", *files, "data/demo", "x"]) == ["x", base, "data/demo"]
    assert folded(tmp_path, files[1:]) == [f"{base}/inner"]
    assert folded(tmp_path, [files[0], files[2]]) == [files[0], files[2]]
    (room / "d.py").touch()
    assert folded(tmp_path, files) == [files[0], f"{base}/inner"], "a new file that no stage needs is no part of what it depends on"


def test_what_dvc_sees_of_a_folder_is_what_stands_for_it() -> None:
    from dvc.repo import Repo

    item = stage("11_figures")
    files = code_files(ROOT, load_params(ROOT, "demo"), item)
    folders = [name for name in folded(ROOT, files) if (ROOT / name).is_dir()]
    assert folders
    with Repo(str(ROOT)) as repo:
        walks = [walk for name in folders for walk in repo.dvcignore.walk(repo.fs, str(ROOT / name))]
    seen = {(Path(folder) / name).relative_to(ROOT).as_posix() for folder, _, names in walks for name in names}
    assert seen == {name for name in files if any(name.startswith(f"{folder}/") for folder in folders)}


def params_with(**change: Any) -> Params:
    made = validate(deep_merge(read_file(ROOT / "params.yaml"), change), "test")
    check_design(made, ROOT, "test")
    return made


def test_imports_are_found_wherever_a_statement_can_stand():
    """Only statements are looked through: an import is one, and no expression holds one."""
    for path in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        seen = {node for node in dependencies._statements(tree) if isinstance(node, ast.Import | ast.ImportFrom)}
        assert seen == {node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)}, path


def test_dependencies_follow_imports():
    files = module_files(ROOT, [notebook_source(ROOT / "notebooks" / "01_seeding.ipynb")])
    assert "src/emosynth/seeding/seeds.py" in files and "src/emosynth/corpora/build.py" in files
    assert not [name for name in files if "/report/" in name or "/trials/" in name]


@each_stage
def test_stages_depend_on_the_pieces_that_they_run_and_on_no_others(item):
    params = load_params(ROOT, "demo")
    files = code_files(ROOT, params, item)
    named = {(kind, name) for kind, name in named_pieces(params, item)}
    for kind in ("guide", "check", "labeller", "learner"):
        for name in pieces.registered(kind):
            path = pieces.file_of(kind, name)
            if path.is_relative_to(ROOT) and (kind, name) in named:
                assert str(path.relative_to(ROOT)) in files
    if item.makes:
        assert not [name for name in files if "/report/" in name], "only the report depends on how figures are drawn"
    assert not [name for name in files if name.endswith(("session.py", "pipeline.py", "dependencies.py", "progress.py"))]


def test_a_piece_that_no_arm_names_is_no_dependency():
    arms = dict.fromkeys(load_params(ROOT, "demo").arms)
    few = params_with(
        arms={**arms, "naive": {"guide": [], "checks": "none"}},
        sweeps={"sentisynth": None},
        learners={"trees": None, "encoder": None, "zero-shot": None},
    )
    training, generation = code_files(ROOT, few, stage("07_training")), code_files(ROOT, few, stage("05_generation"))
    assert named_pieces(few, stage("07_training")) == [
        ("check", "nonempty"), ("labeller", "asked"), ("learner", "embedding"), ("learner", "tfidf"),
    ]  # fmt: skip
    assert "src/emosynth/learners/tfidf.py" in training and "src/emosynth/learners/trees.py" not in training
    assert "src/emosynth/guides/shap_tokens.py" not in generation
    more = params_with(arms={"naive": {"guide": "shap-tokens"}})
    assert "src/emosynth/guides/shap_tokens.py" in code_files(ROOT, more, stage("05_generation"))


def test_the_report_depends_on_every_figure_and_makes_every_page():
    files = code_files(ROOT, load_params(ROOT, "demo"), stage("11_figures"))
    figures = {str(path.relative_to(ROOT)) for path in (ROOT / "src/emosynth/report/figures").glob("*.py")}
    assert len(figures) > 5 and figures <= set(files)
    from emosynth.report.pages import PAGES

    assert {"index.html", *(f"{page.name}.html" for page in PAGES)} == {
        name for name in stage("11_figures").report if name.endswith(".html")
    }


def test_defaults_are_dependencies_of_the_stages_that_declare_their_section():
    params = load_params(ROOT, "demo")
    assert "src/emosynth/params/analysis.py" in code_files(ROOT, params, stage("08_authenticity"))
    assert "src/emosynth/params/analysis.py" not in code_files(ROOT, params, stage("05_generation"))


def test_pieces_of_ones_own_are_dependencies_of_the_stages_that_run_them(tmp_path):
    file = tmp_path / "pipeline_own.py"
    file.write_text(
        "from emosynth.checks.base import Check\n\n\nclass Loud(Check):\n    name = 'pipeline-loud'\n\n    def score(self, rows): ...\n"
    )
    params = params_with(pieces=[str(file)], arms={"mine": {"checks": {"pipeline-loud": {}}}})
    try:
        assert str(file) in code_files(ROOT, params, stage("06_verification"))
        assert str(file) not in code_files(ROOT, params, stage("05_generation"))
        assert str(file) in own_files(ROOT, {"pieces": [str(file)]}, stage("05_generation"))
    finally:
        pieces._REGISTRY["check"].pop("pipeline-loud")


# --- files of the user's own ------------------------------------------------------------------------


def text_fields(annotation: Any, dotted: str) -> Iterator[tuple[str, str]]:
    """Yield every field of text in the parameters with its description."""
    for inner in [annotation, *get_args(annotation)]:
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            for name, field in inner.model_fields.items():
                yield f"{dotted}.{name}".lstrip("."), field.description or ""
                yield from text_fields(field.annotation, f"{dotted}.{name}".lstrip("."))
        elif inner is not annotation and get_args(inner):
            yield from text_fields(inner, dotted)


def test_every_parameter_that_may_be_a_path_is_of_that_type():
    """What its description calls a path is followed: the type says so, and no list has to be kept."""
    says = re.compile(r"\b(path|folder)s?\b|^(Python )?files?\b", re.IGNORECASE)
    found = {name for name, what in text_fields(Params, "") if says.search(what)}
    known = {pattern.replace(".*", "") for pattern in path_patterns()}
    assert {"pieces", "corpora.custom.path", "models.writer.model", "models.encoder", "narratives.sources"} <= found
    assert found - {"corpora.custom.text", "arms.file.hub"} <= known, (
        "a parameter that may be a path is of type str: make it emosynth.params.base.Named"
    )
    assert {pattern.split(".")[0] for pattern in path_patterns()} <= set(section_types())


def test_a_new_path_is_found_wherever_it_stands():
    class Inner(Section):
        file: Named | None = None
        other: str = ""

    class Outer(Section):
        one: Inner | None = None
        by_name: dict[str, Inner]
        several: list[Named]
        named: dict[str, list[Named]]

    assert path_patterns(Outer) == ["one.file", "by_name.*.file", "several.*", "named.*.*"]


def nested(pattern: str, value: str) -> dict[str, Any]:
    first, *rest = pattern.split(".")
    if not rest:
        return {first: value}
    if rest == ["*"]:
        return {first: [value]}
    inner = nested(".".join(rest), value)
    return {first: {"any": inner["*"]} if rest[0] == "*" else inner}


@pytest.mark.parametrize("pattern", [*path_patterns(), "corpora.custom.path"])
@pytest.mark.parametrize("how", ["relative", "absolute", "home", "beside"])
def test_own_files_are_dependencies_wherever_they_lie(tmp_path, monkeypatch, pattern, how):
    root, home = tmp_path / "root", tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    for folder in (root, home):
        folder.mkdir()
        (folder / "mine").write_text("x")
    (root / "profiles").mkdir()
    (root / "profiles" / "near").write_text("x")
    written, expected = {
        "relative": ("mine", "mine"),
        "absolute": (str(home / "mine"),) * 2,
        "home": ("~/mine", str(home / "mine")),
        "beside": ("near", "profiles/near"),
    }[how]
    values = nested(pattern, written)
    seen = [item.name for item in STAGES if own_files(root, values, item)]
    assert seen, pattern
    for name in seen:
        assert own_files(root, values, stage(name)) == [expected]
    assert not any(own_files(root, nested(pattern, "nowhere"), item) for item in STAGES)
    assert {"corpora": ["00_corpora"], "narratives": ["03_narratives"]}.get(pattern.split(".")[0], seen) == seen


def test_of_a_pattern_the_folder_is_a_dependency(tmp_path):
    (tmp_path / "rows" / "deep").mkdir(parents=True)
    values = {"narratives": {"sources": ["rows/deep/*.txt"]}}
    assert own_files(tmp_path, values, stage("03_narratives")) == ["rows/deep"]
    assert own_files(tmp_path, {"narratives": {"sources": ["*.txt"]}}, stage("03_narratives")) == [], "not the whole repository"


def test_settings_of_pieces_may_name_files_too(tmp_path):
    (tmp_path / "words.txt").write_text("x")
    (tmp_path / "plain").write_text("x")
    values = {"checks": {"mine": {"lexicon": "words.txt", "mode": "plain"}}}
    assert own_files(tmp_path, values, stage("06_verification")) == ["words.txt"]
    assert own_files(tmp_path, values, stage("05_generation")) == []


# --- places -----------------------------------------------------------------------------------------


def test_dvc_shows_numbers_that_a_fresh_clone_has():
    """``dvc metrics show`` and ``dvc plots show`` fail on files that are not there: smoke's report is not in git."""
    for profile in profiles(ROOT):
        content = build_pipeline(ROOT, profile)
        shown = {name for entry in content["stages"].values() for metric in entry.get("metrics", []) for name in metric}
        shown |= {name.removeprefix("../../") for plot in content.get("plots", []) for one in plot.values() for name in one["x"]}
        assert bool(shown) == (profile not in NOT_COMPARED)
        assert all((ROOT / name).is_file() for name in shown)
        made = {name for entry in content["stages"].values() for out in entry["outs"] if isinstance(out, dict) for name in out}
        assert f"reports/{profile}/metrics.json" in made | shown


def test_a_copy_without_git_runs_and_one_with_git_looks_for_it(tmp_path):
    root = tmp_path / "unpacked"
    (root / ".dvc").mkdir(parents=True)
    local = root / ".dvc" / "config.local"
    local.write_text("[cache]\n    dir = /elsewhere\n")
    assert fit_dvc(root) and not fit_dvc(root)
    assert "no_scm = true" in local.read_text() and "/elsewhere" in local.read_text()
    (root / ".git").mkdir()
    assert fit_dvc(root) and not fit_dvc(root)
    assert "no_scm" not in local.read_text() and "/elsewhere" in local.read_text()
    (tmp_path / "bare").mkdir()
    assert not fit_dvc(tmp_path / "bare")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs git")
def test_own_files_and_own_reports_are_ignored_and_published_ones_are_not():
    def ignored(*names: str) -> set[str]:
        done = subprocess.run(["git", "check-ignore", "--no-index", *names], cwd=ROOT, capture_output=True, text=True, check=False)
        return set(done.stdout.split())

    own = ["mine.csv", "rows.jsonl", "mine.parquet", "model.gguf", "profiles/mine.tsv", "mine.txt", "rows.html", "my-rows/train.csv", "profiles/mine.txt", "reports/mine/index.html", "reports/smoke/index.html",
           "data/mine/corpora/mine.parquet"]  # fmt: skip
    ours = ["params.yaml", "profiles/mine.yaml", "profiles/mine/dvc.yaml", "reports/demo/index.html", "reports/paper/claims.json", "data/claims.yaml", "data/identity.yaml",
            "benchmarks/labels.json", "reports/demo/figures/answer.csv", ".devcontainer/devcontainer.json"]  # fmt: skip
    assert ignored(*own, *ours) == set(own)


def test_the_container_has_a_python_that_fits_and_the_setup_of_the_makefile():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    first, last = (3, 11), (3, 14)
    found = re.fullmatch(r"python:(\d+)\.(\d+)-\w+", container["image"])
    assert found and first <= (int(found[1]), int(found[2])) <= last
    assert container["postCreateCommand"] == "make setup"


def test_another_profile_that_is_not_valid_is_warned_of_in_one_line(tmp_path, monkeypatch):
    from emosynth import pipeline
    from emosynth.errors import UserError

    def text(root, profile):
        if profile == "bad":
            raise UserError("Parameters are not valid:", lines=["cells.a: no such parameter", "cells.b: no such parameter"])
        return "stages:\n"

    said = []
    monkeypatch.setattr(pipeline, "profiles", lambda root: ["demo", "bad"])
    monkeypatch.setattr(pipeline, "pipeline_text", text)
    monkeypatch.setattr(pipeline, "warn", said.append)
    pipeline.write_pipelines(tmp_path)
    told = "cells.a: no such parameter cells.b: no such parameter. Its pipeline file is left as it is."
    assert said == [f"profile bad: Parameters are not valid: {told}"]


# --- the order of the house -------------------------------------------------------------------------


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "emosynth")
        elif isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
    return {module for module in found if module.startswith("emosynth.")} - INTERFACES


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_from_the_foundation_and_from_rooms_before(room):
    later = ROOMS[ROOMS.index(room) + 1 :]
    for path in (ROOT / "src" / "emosynth" / room).rglob("*.py"):
        for module in imports(path):
            assert module.split(".")[1] not in [*later, "runner", "cli", "export", "session"], f"{path.name} imports {module}"


def test_the_foundation_imports_no_room():
    package = ROOT / "src" / "emosynth"
    for path in [*package.glob("*.py"), *(package / "models").rglob("*.py"), *(package / "catalog").glob("*.py")]:
        if path.name not in {"cli.py", "__main__.py", "export.py", "export_card.py", "crate.py"}:
            assert not {module.split(".")[1] for module in imports(path)} & set(ROOMS), path


def test_every_folder_is_known():
    folders = {path.name for path in (ROOT / "src" / "emosynth").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert folders == {*ROOMS, *(FOUNDATION & folders), "models", "design", "runner", "trying", "responsible"}


def test_modules_are_short_and_functions_take_few_arguments():
    for path in (ROOT / "src" / "emosynth").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert len(source.splitlines()) <= 400, path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                count = (
                    len(node.args.args) + len(node.args.kwonlyargs) - (bool(node.args.args) and node.args.args[0].arg in ("self", "cls"))
                )
                assert count <= 8, f"{path}: {node.name} takes {count} arguments"


def test_an_interrupted_report_finds_all_that_it_replaces() -> None:
    """DVC deleted the export and the last notebook's page before the step that makes them, and a stopped one left dead links."""
    made = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["11_figures"]
    outs = [*made["outs"], *made["metrics"]]
    assert len(outs) > 10 and all(isinstance(out, dict) and next(iter(out.values()))["persist"] for out in outs)
