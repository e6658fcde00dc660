"""The pipeline, declared once: stages, the parameters each may see, what each reads and makes.

``dvc.yaml`` (demo) and ``profiles/<profile>/dvc.yaml`` are written from here by ``emosynth pipeline``; a test
holds them equal. `emosynth.dependencies` finds the files that a stage depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emosynth.errors import UserError
from emosynth.params import DEMO_IS_ELSEWHERE, Arm, Params, deep_merge, load_params, read_file
from emosynth.paths import PROFILE_NAMES, is_profile
from emosynth.progress import warn

RENDERER = "src/emosynth/runner"
"""What executes and publishes notebooks: every stage's pages depend on it."""
UNSEEN = ("energy.py", "record.py", "stopping.py")
"""What of it leaves no trace in results and pages."""

NOT_COMPARED = ("smoke", "recipe", "quantity")
"""Profiles that ``dvc metrics show`` and ``dvc plots show`` leave out unless their file is named: the numbers of smoke mean nothing, and those of recipe
are of validation rows."""

REPORT = "11_figures"
"""The stage that may read everything."""

PAGES = tuple(
    f"{name}.html"
    for name in ("index", "reading", "guidance", "writing", "training", "authenticity", "context", "responsible", "claims", "data")
)
"""Pages of the report, see `emosynth.report.pages`."""

_WRITTEN = ("add", "guide", "writer", "space", "growth", "oversample", "rows", "plus", "after", "corpora", "sizes", "repeats")
_VERIFIED = (*_WRITTEN, "checks", "labels", "flaws", "changes")
_DESIGN = ("pieces", "corpora", "models", "cells", "writers", "guides", "generation")
"""What it takes to know who writes what for which cell."""
_CATALOG, _TAXONOMIES = "data/catalog.yaml", "data/taxonomies.yaml"


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
    arm_fields
        Fields of an arm that the stage may depend on; None: all, if ``arms`` is among its sections.
    model_fields
        Fields of ``models`` that the stage may depend on; None: all, if ``models`` is among its sections.
    runs
        Kinds of pieces that it runs: those that the profile names are dependencies.
    also
        Further folders under ``data/<profile>/`` that the stage makes.
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
    also: tuple[str, ...] = ()
    arm_fields: tuple[str, ...] | None = None
    model_fields: tuple[str, ...] | None = None
    runs: tuple[str, ...] = ()
    report: tuple[str, ...] = ()
    files: tuple[str, ...] = (_CATALOG, _TAXONOMIES)


STAGES: tuple[Stage, ...] = (
    Stage("00_corpora", "Corpora: sources, cleaning, splits", ("corpora",), (), "corpora", files=(_CATALOG,)),
    Stage("01_seeding", "Seeding: nested stratified seeds and the pool", ("corpora", "cells"), ("corpora",), "seeds", files=()),
    Stage(
        "02_shap", "SHAP analysis: which tokens and exemplars carry each class", ("corpora", "models", "cells", "shap"), ("corpora", "seeds"),
        "materials", model_fields=("encoder",), files=(_CATALOG,),
    ),
    Stage(
        "03_narratives", "Narratives: stories, passages, characters", ("pieces", "narratives", "writers", "guides", "arms"), (), "narratives",
        arm_fields=("add", "guide", "writer", "space"), files=(_CATALOG,),
    ),
    Stage(
        "04_tuning", "Tuning: writers tuned on each seed", (*_DESIGN, "tuning", "arms"), ("corpora", "seeds", "materials"), "tuning",
        arm_fields=_WRITTEN, model_fields=("writer", "others"), runs=("guide",),
    ),
    Stage(
        "05_generation", "Generation: every arm's writer fills every prompt", (*_DESIGN, "narratives", "tuning", "arms"),
        ("corpora", "seeds", "materials", "narratives", "tuning"), "candidates", arm_fields=_WRITTEN, model_fields=("writer", "others"),
        runs=("guide",),
    ),
    Stage(
        "06_verification", "Verification: scores of every check, verdicts, soft labels", (*_DESIGN, "checks", "teacher", "arms"),
        ("corpora", "seeds", "narratives", "candidates"), "verdicts", arm_fields=_VERIFIED, runs=("check", "labeller"),
    ),
    Stage(
        "07_training", "Training: every arm, cell and learner on the untouched test split",
        (*_DESIGN, "checks", "arms", "sweeps", "learners", "training"), ("corpora", "seeds", "candidates", "verdicts"), "trials",
        model_fields=("encoder", "reader", "writer"), runs=("check", "labeller", "learner"),
    ),
    Stage(
        "08_authenticity", "Linguistic authenticity of the synthetic text", (*_DESIGN, "checks", "arms", "authenticity"),
        ("corpora", "seeds", "candidates", "verdicts"), "authenticity", arm_fields=tuple(name for name in Arm.model_fields if name not in ("mix", "changes")),
        model_fields=("encoder",),
    ),
    Stage(
        "09_context", "Context: what the situation of a text is worth", (*_DESIGN, "narratives", "checks", "arms", "context", "evidence"),
        ("corpora", "seeds", "narratives", "candidates", "verdicts"), "context", arm_fields=_VERIFIED, runs=("guide",),
    ),
    Stage(
        "10_responsible", "Responsibility: what is copied, given away and distorted, and what it costs",
        (*_DESIGN, "tuning", "checks", "teacher", "arms", "responsible"), ("corpora", "seeds", "tuning", "candidates", "verdicts"), "responsible",
        arm_fields=_VERIFIED, runs=("check", "labeller"), files=(_CATALOG, _TAXONOMIES, "data/identity.yaml"),
    ),
    Stage(
        REPORT, "Evidence, figures and report", tuple(name for name in Params.model_fields if name != "compute"),  # nothing depends on that
        ("corpora", "seeds", "materials", "narratives", "tuning", "candidates", "verdicts", "trials", "authenticity", "context", "responsible"), "",
        also=("export",), runs=("check", "labeller", "figure"), report=(*PAGES, "figures", "results", "claims.json", "metrics.json"),
        files=(_CATALOG, _TAXONOMIES, "data/claims.yaml"),
    ),
)  # fmt: skip


def profiles(root: Path) -> list[str]:
    """Return the profiles there are: the demo, and one for each ``profiles/<name>.yaml``.

    Raises
    ------
    UserError
        If something lies in ``profiles/`` that looks like a profile and would not be read.
    """
    found = ["demo"]
    for path in sorted((root / "profiles").glob("*")):
        if path.name.startswith(".") or path.name.endswith("~") or path.is_dir():
            continue  # an editor's files; and the folders that hold the pipelines
        if path.suffix.lower() in (".yml", ".yaml", ".json") and path.suffix != ".yaml":
            raise UserError(
                "This file would not be read.",
                where=f"profiles/{path.name}",
                remedy=f"A profile ends in .yaml: rename it to {path.stem}.yaml.",
            )
        if path.suffix != ".yaml":
            continue  # data, notes
        if path.stem == "demo":
            raise UserError(DEMO_IS_ELSEWHERE, where="profiles/demo.yaml", remedy="Move what differs to params.yaml, or rename it.")
        if not is_profile(path.stem):
            raise UserError(
                f"{path.stem!r} cannot be the name of a profile.", where=f"profiles/{path.name}", remedy=f"Rename it: {PROFILE_NAMES}"
            )
        found.append(path.stem)
    return found


def stage(name: str) -> Stage:
    """Return a stage by name; raises UserError with the names there are."""
    for candidate in STAGES:
        if candidate.name == name:
            return candidate
    raise UserError(f"There is no stage {name}.", remedy=f"Stages: {', '.join(s.name for s in STAGES)}.")


# --- dvc.yaml -------------------------------------------------------------------------------------------


def pipeline_file(root: Path, profile: str) -> Path:
    """Return where the pipeline of a profile is declared."""
    return root / "dvc.yaml" if profile == "demo" else root / "profiles" / profile / "dvc.yaml"


def parameter_keys(item: Stage, written: Mapping[str, Any], arms: Iterable[str]) -> list[str]:
    """Return the keys of one parameter file that a stage depends on: DVC fails on keys that a file lacks.

    Parameters
    ----------
    written
        Content of the file.
    arms
        The arms of the profile; what the file says of others was taken away.
    """
    keys: list[str] = []
    for section in item.sections:
        given: Any = written.get(section)
        if section not in written:
            continue
        if section == "models" and item.model_fields is not None:
            keys += [f"models.{name}" for name in item.model_fields if name in given]
        elif section == "arms" and item.arm_fields is not None:
            keys += [f"arms.{arm}.{name}" for arm in given if arm in arms for name in item.arm_fields if name in given[arm]]
        else:
            keys.append(section)
    return keys


def build_pipeline(root: Path, profile: str) -> dict[str, Any]:
    """Return the content of a profile's ``dvc.yaml``."""
    from emosynth.dependencies import code_files, own_files

    base = read_file(root / "params.yaml")
    overlay: dict[str, Any] = {} if profile == "demo" else read_file(root / "profiles" / f"{profile}.yaml")
    values, loaded = deep_merge(base, overlay), load_params(root, profile)
    renderer = sorted(
        str(path.relative_to(root))
        for path in (root / RENDERER).rglob("*")
        if path.suffix in {".py", ".j2", ".json"} and path.name not in UNSEEN
    )
    up = "" if profile == "demo" else "../../"
    data, report = f"data/{profile}", f"reports/{profile}"
    stages: dict[str, Any] = {}
    for item in STAGES:
        notebook = f"notebooks/{item.name}.ipynb"
        params: list[Any] = parameter_keys(item, base, loaded.arms)
        changed = parameter_keys(item, overlay, loaded.arms)
        silent = [arm for arm in loaded.arms if not any(key.startswith(f"arms.{arm}.") for key in [*params, *changed])]
        if changed:
            params.append({f"profiles/{profile}.yaml": changed})
        # DVC deletes what a stage makes before it runs: of the one that makes the report, an interrupted one would leave none. It replaces its
        # files itself.
        kept = {"persist": True} if item.report else {}
        plain = [f"{data}/{name}" for name in (item.makes, *item.also, f"notebooks/{item.name}.ipynb") if name]
        outs: list[Any] = [{path: dict(kept)} if kept else path for path in plain]
        outs.append({f"{report}/notebooks/{item.name}.html": {"cache": False, **kept}})
        metrics: list[Any] = []
        for name in item.report:
            made = {f"{report}/{name}": {"cache": False, **kept}}
            (metrics if name == "metrics.json" and profile not in NOT_COMPARED else outs).append(made)
        # An arm of which a stage sees no field still is one: its name is a part of the command, which DVC compares.
        also = f"  # and the arms {' '.join(silent)}" if item.arm_fields is not None and silent else ""
        entry: dict[str, Any] = {
            "desc": item.title,
            "cmd": f"python -m emosynth run {item.name} --profile {profile}{also}",
            **({"wdir": "../.."} if up else {}),
            "deps": [
                notebook,
                *item.files,
                *own_files(root, values, item),
                *renderer,
                *code_files(root, loaded, item),
                *[f"{data}/{name}" for name in item.reads],
            ],
            **({"params": params} if params else {}),
            "outs": outs,
        }
        entry["deps"] = folded(root, entry["deps"])
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
    return {"stages": stages, **({} if profile in NOT_COMPARED else {"plots": plots})}


def folded(root: Path, files: Iterable[str]) -> list[str]:
    """Return files, each once, with a folder of the code in place of its files where all of them are there: DVC takes a while for each entry.

    What does not count as a file of a folder, DVC passes over too (``.dvcignore``).
    """
    kept, held = dict.fromkeys(files), []
    for path in sorted((root / "src").rglob("*")):
        inner = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in inner.parts):
            held.append(inner.as_posix())
    for folder in sorted({parent.as_posix() for name in kept if name.startswith("src/") for parent in Path(name).parents[:-3]}):
        inside = {name for name in held if name.startswith(f"{folder}/")}
        if len(inside) > 1 and inside <= kept.keys():
            first = next(name for name in kept if name in inside)
            kept = dict.fromkeys(folder if name == first else name for name in kept if name == first or name not in inside)
    return list(kept)


_HEAD = "# Written by `emosynth pipeline` from src/emosynth/pipeline.py; change it there.\n"


def pipeline_text(root: Path, profile: str) -> str:
    """Return the text of a profile's ``dvc.yaml``."""
    return _HEAD + yaml.safe_dump(build_pipeline(root, profile), sort_keys=False, allow_unicode=True, width=160)


def write_pipelines(root: Path, wanted: str = "demo", *, alone: bool = False) -> list[Path]:
    """Write every profile's ``dvc.yaml``, or the wanted one's ``alone``; returns those that changed. One that is not wanted and not valid is said and left as it is."""
    changed = []
    for profile in [wanted] if alone else profiles(root):
        path = pipeline_file(root, profile)
        try:
            text = pipeline_text(root, profile)
        except UserError as error:
            if profile == wanted:
                raise
            what = " ".join(error.what.split()).rstrip(".")  # a warning is one line
            warn(f"profile {profile}: {what}. Its pipeline file is left as it is.")
            continue
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def fit_dvc(root: Path) -> bool:
    """Let DVC run where there is no git repository, as in an unpacked ZIP, by a setting of this copy alone; returns whether it changed.

    The setting (``core.no_scm``) goes again where there is one, since experiments need git.
    """
    import configparser

    path, git = root / ".dvc" / "config.local", any((folder / ".git").exists() for folder in (root, *root.resolve().parents))
    config = configparser.ConfigParser()
    config.read(path, encoding="utf-8")
    given = config.get("core", "no_scm", fallback=None)
    if (given is None) == git or not (root / ".dvc").is_dir():
        return False
    if git:
        config.remove_option("core", "no_scm")
    else:
        config.read_dict({"core": {"no_scm": "true"}})
    with path.open("w", encoding="utf-8") as file:
        config.write(file)
    return True


def stale_pipelines(root: Path, only: str | None = None) -> list[Path]:
    """Return the ``dvc.yaml`` files, or one profile's, that do not say what this module says."""
    return [
        pipeline_file(root, profile)
        for profile in (profiles(root) if only is None else [only])
        if not pipeline_file(root, profile).exists()
        or pipeline_file(root, profile).read_text(encoding="utf-8") != pipeline_text(root, profile)
    ]
