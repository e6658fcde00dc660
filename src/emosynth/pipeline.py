"""The pipeline, declared once: stages, the parameters each may see, what each reads and makes.

``dvc.yaml`` (demo) and ``profiles/<profile>/dvc.yaml`` are written from here by ``emosynth pipeline``; a test
holds them equal. Module dependencies are found by following imports, because DVC does not.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from emosynth.errors import UserError
from emosynth.params import deep_merge, read_file

# Modules that cannot change a result: declaration, places, progress and the runner itself. The values
# that params.py declares are tracked as DVC parameters, key by key.
_NEUTRAL = {
    "emosynth",
    "emosynth.errors",
    "emosynth.params",
    "emosynth.paths",
    "emosynth.display",
    "emosynth.progress",
    "emosynth.pipeline",
    "emosynth.session",
}


RENDERER = "src/emosynth/runner"
"""What executes and publishes notebooks: every stage's pages depend on it."""


@dataclass(frozen=True)
class Stage:
    """One notebook of the pipeline.

    Attributes
    ----------
    name
        File name of the notebook without suffix, and name of the stage.
    title
        One line for the report's list of notebooks.
    sections
        Sections of the parameters that the stage may see.
    reads
        Folders under ``data/<profile>/`` made by earlier stages.
    makes
        Folder under ``data/<profile>/``; empty for the report.
    report
        Files and folders under ``reports/<profile>/`` that the stage makes besides its own page.
    files
        Further files it depends on.
    """

    name: str
    title: str
    sections: tuple[str, ...]
    reads: tuple[str, ...]
    makes: str
    report: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


STAGES: tuple[Stage, ...] = (
    Stage("00_corpora", "Corpora: sources, cleaning, splits", ("corpora",), (), "corpora", files=("data/catalog.yaml",)),
    Stage("01_seeding", "Seeding: nested stratified seeds and the pool", ("corpora", "seeding"), ("corpora",), "seeds"),
    Stage(
        "02_shap", "SHAP analysis: which tokens and exemplars carry each class", ("corpora", "seeding", "shap", "training"), ("corpora", "seeds"),
        "guidance", files=("data/catalog.yaml",),
    ),
    Stage(
        "03_generation", "Generation and verification of candidates", ("corpora", "seeding", "generation", "verification", "training"),
        ("corpora", "seeds", "guidance"), "candidates", files=("data/catalog.yaml",),
    ),
    Stage(
        "04_training", "Training: every arm, size, repeat and learner on the untouched test split",
        ("corpora", "seeding", "generation", "training"), ("corpora", "seeds", "candidates"), "training", files=("data/catalog.yaml",),
    ),
    Stage(
        "05_authenticity", "Linguistic authenticity of the synthetic text", ("corpora", "seeding", "authenticity"),
        ("corpora", "seeds", "candidates"), "authenticity", files=("data/catalog.yaml",),
    ),
    Stage(
        "06_tuning", "Tuning: the generator tuned on each seed", ("corpora", "tuning"), ("corpora",), "tuning", files=("data/catalog.yaml",),
    ),
    Stage(
        "07_synthesis", "Synthesis: tuned generators write, the teacher verifies and labels softly",
        ("corpora", "shap", "training", "tuning", "synthesis", "distillation"), ("corpora", "tuning"), "synthesis", files=("data/catalog.yaml",),
    ),
    Stage(
        "08_distillation", "Distillation: students, sweeps, ablation, gaps", ("corpora", "training", "tuning", "synthesis", "distillation"),
        ("corpora", "tuning", "synthesis"), "distillation", files=("data/catalog.yaml",),
    ),
    Stage("09_narratives", "Narratives: stories, passages, characters", ("narratives",), (), "narratives", files=("data/catalog.yaml",)),
    Stage(
        "10_grounding", "Grounding: examples from passage and character, soft labels, diversity", ("grounding", "transfer"),
        ("narratives",), "grounding", files=("data/catalog.yaml", "data/taxonomies.yaml"),
    ),
    Stage(
        "11_transfer", "Transfer: pre-trained on grounded rows, tuned on target seeds", ("corpora", "grounding", "transfer"),
        ("corpora", "narratives", "grounding"), "transfer", files=("data/catalog.yaml", "data/taxonomies.yaml"),
    ),
    Stage(
        "12_figures", "Evidence, figures and report",
        (
            "corpora", "seeding", "shap", "generation", "verification", "training", "authenticity", "tuning", "synthesis", "distillation",
            "narratives", "grounding", "transfer", "evidence", "figures",
        ),
        (
            "corpora", "seeds", "guidance", "candidates", "training", "authenticity", "tuning", "synthesis", "distillation", "narratives",
            "grounding", "transfer",
        ),
        "",
        report=("index.html", "figures", "results", "claims.json", "metrics.json"), files=("data/catalog.yaml",),
    ),
)  # fmt: skip


def profiles(root: Path) -> list[str]:
    """Return the profiles there are: the demo, and one for each ``profiles/<name>.yaml``."""
    return ["demo", *sorted(path.stem for path in (root / "profiles").glob("*.yaml"))]


def stage(name: str) -> Stage:
    """Return a stage by name; raises UserError with the names there are."""
    for candidate in STAGES:
        if candidate.name == name:
            return candidate
    raise UserError(f"There is no stage {name}.", remedy=f"Stages: {', '.join(s.name for s in STAGES)}.")


# --- module dependencies ------------------------------------------------------------------------------


@cache
def _imports(source: str, package: str) -> frozenset[str]:
    """Return the emosynth modules that a source imports, possibly with names of attributes among them.

    Kept, since every stage is checked before it runs, and most modules are reached from many notebooks.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if name.split(".")[0] == "emosynth")


def module_files(root: Path, sources: list[str]) -> list[str]:
    """Return the package files that the given sources reach by imports, relative to the root, sorted."""
    base = root / "src"
    files: dict[str, Path] = {}

    def locate(module: str) -> Path | None:
        path = base / Path(*module.split("."))
        if path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
        return path / "__init__.py" if (path / "__init__.py").is_file() else None

    pending: set[str] = set().union(*(_imports(source, "") for source in sources))
    while pending:
        module = pending.pop()
        path = locate(module)
        if path is None or module in files or module in _NEUTRAL or module.startswith("emosynth.runner"):
            continue
        files[module] = path
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        pending |= _imports(path.read_text(encoding="utf-8"), package)
        parent = module.rpartition(".")[0]
        if parent and parent not in _NEUTRAL:
            pending.add(parent)
    found = {str(path.relative_to(root)) for path in files.values()}
    # Templates and other files of a step belong to the step.
    for folder in {str(Path(name).parent) for name in found if "/report" in name}:
        found.update(str(p.relative_to(root)) for p in (root / folder).rglob("*") if p.suffix in {".j2", ".css", ".js"})
    return sorted(found)


def notebook_source(path: Path) -> str:
    """Return the code of a notebook as one module, magics left out."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return "\n".join(line for cell in code for line in cell.splitlines() if not line.lstrip().startswith(("%", "!")))


# --- dvc.yaml -------------------------------------------------------------------------------------------


def pipeline_file(root: Path, profile: str) -> Path:
    """Return where the pipeline of a profile is declared."""
    return root / "dvc.yaml" if profile == "demo" else root / "profiles" / profile / "dvc.yaml"


def own_files(root: Path, values: Mapping[str, Any], item: Stage) -> list[str]:
    """Return the user's own files that the parameters name and the stage reads: a corpus, models given as paths."""
    generation, training = values.get("generation") or {}, values.get("training") or {}
    synthesis = values.get("synthesis") or {}
    named = {
        "corpora": [((values.get("corpora") or {}).get("custom") or {}).get("path")],
        "generation": [(generation.get(key) or {}).get("model") for key in ("generator", "bias_generator")],
        "training": [training.get("encoder")],
        "tuning": [(values.get("tuning") or {}).get("model")],
        "synthesis": [
            ((synthesis.get("generation") or {}).get("generator") or {}).get("model"),
            ((synthesis.get("verification") or {}).get("perplexity") or {}).get("model"),
        ],
    }
    reads = ["corpora"] if item.makes == "corpora" else ["generation", "training", "tuning", "synthesis"]
    paths = [str(path) for section in reads if section in item.sections for path in named[section] if path]
    return sorted({path for path in paths if (root / path).exists()})


def build_pipeline(root: Path, profile: str) -> dict[str, Any]:
    """Return the content of a profile's ``dvc.yaml``."""
    overlay: dict[str, Any] = {}
    if profile != "demo":
        overlay = read_file(root / "profiles" / f"{profile}.yaml")
    values = deep_merge(read_file(root / "params.yaml"), overlay)
    renderer = sorted(str(path.relative_to(root)) for path in (root / RENDERER).rglob("*") if path.suffix in {".py", ".j2", ".json"})
    up = "" if profile == "demo" else "../../"
    data, report = f"data/{profile}", f"reports/{profile}"
    stages: dict[str, Any] = {}
    for item in STAGES:
        notebook = f"notebooks/{item.name}.ipynb"
        params: list[Any] = list(item.sections)
        changed = [name for name in item.sections if name in overlay]
        if changed:
            params.append({f"profiles/{profile}.yaml": changed})
        outs: list[Any] = [f"{data}/{item.makes}"] if item.makes else []
        outs.append(f"{data}/notebooks/{item.name}.ipynb")
        outs.append({f"{report}/notebooks/{item.name}.html": {"cache": False}})
        metrics: list[Any] = []
        for name in item.report:
            (metrics if name == "metrics.json" else outs).append({f"{report}/{name}": {"cache": False}})
        entry: dict[str, Any] = {
            "desc": item.title,
            "cmd": f"python -m emosynth run {item.name} --profile {profile}",
            **({"wdir": "../.."} if up else {}),
            "deps": [
                notebook,
                *item.files,
                *own_files(root, values, item),
                *renderer,
                *module_files(root, [notebook_source(root / notebook)]),
                *[f"{data}/{name}" for name in item.reads],
            ],
            "params": params,
            "outs": outs,
        }
        if metrics:
            entry["metrics"] = metrics
        stages[item.name] = entry
    curves = f"{up}{report}/figures/learning_curves.csv"
    plots = [
        {
            f"learning-curves-{profile}": {
                "x": {curves: "size"},
                "y": {curves: "mean"},
                "title": f"Macro-F1 on test by seed size ({profile})",
                "x_label": "seed rows",
                "y_label": "macro-F1",
                "template": "scatter",
            }
        }
    ]
    return {"stages": stages, "plots": plots}


_HEAD = "# Written by `emosynth pipeline` from src/emosynth/pipeline.py; change it there.\n"


def pipeline_text(root: Path, profile: str) -> str:
    """Return the text of a profile's ``dvc.yaml``."""
    return _HEAD + yaml.safe_dump(build_pipeline(root, profile), sort_keys=False, allow_unicode=True, width=160)


def write_pipelines(root: Path) -> list[Path]:
    """Write every profile's ``dvc.yaml``; returns those that changed."""
    changed = []
    for profile in profiles(root):
        path = pipeline_file(root, profile)
        text = pipeline_text(root, profile)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def stale_pipelines(root: Path) -> list[Path]:
    """Return the ``dvc.yaml`` files that do not say what this module says."""
    return [
        pipeline_file(root, profile)
        for profile in profiles(root)
        if not pipeline_file(root, profile).exists()
        or pipeline_file(root, profile).read_text(encoding="utf-8") != pipeline_text(root, profile)
    ]
