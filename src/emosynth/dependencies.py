"""The files that a stage depends on: code by following imports, because DVC does not; pieces that a profile names; files of the user's own.

A piece that no arm names is followed nowhere: a room is read as a folder, and its ``__init__`` and base import no piece.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from emosynth import pieces
from emosynth.params import Params, Section, section_types
from emosynth.paths import Paths

if TYPE_CHECKING:
    from emosynth.pipeline import Stage

# Modules that cannot change a result: places, progress and the runner itself. Declarations of parameters are added section by section.
_NEUTRAL = {
    "emosynth",
    "emosynth.cli",
    "emosynth.dependencies",
    "emosynth.doctor",
    "emosynth.params.design",
    "emosynth.display",
    "emosynth.errors",
    "emosynth.params",
    "emosynth.params.base",
    "emosynth.locks",
    "emosynth.paths",
    "emosynth.pipeline",
    "emosynth.progress",
    "emosynth.secrets",
    "emosynth.session",
}


def _statements(block: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a block and in the blocks within, and no expression: they hold no imports, and are nearly all of a tree."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for node in getattr(block, name, ()):
            yield node
            yield from _statements(node)


@cache
def _imports(source: str, package: str) -> frozenset[str]:
    """Return the emosynth modules that a source imports, possibly with names of attributes among them.

    Kept, since every stage is checked before it runs, and most modules are reached from many notebooks.
    """
    found: set[str] = set()
    for node in _statements(ast.parse(source)):
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


def module_files(root: Path, sources: Iterable[str], modules: Iterable[str] = (), skip: str = "") -> list[str]:
    """Return the package files that sources and modules reach by imports, relative to the root, sorted.

    Parameters
    ----------
    sources
        Python source text.
    modules
        Names of modules to start from as well.
    skip
        A package that is not followed.
    """
    base = root / "src"
    files: dict[str, Path] = {}

    pending: set[str] = set(modules).union(*(_imports(source, "") for source in sources))
    while pending:
        module = pending.pop()
        path = _located(base, module)
        if path is None or module in files or module in _NEUTRAL or module.startswith(("emosynth.runner", skip or "\0")):
            continue
        files[module] = path
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        # A module of parameters is tracked for the sections that a stage declares, not wherever a type is imported.
        pending |= {name for name in _imports(_text(path), package) if not name.startswith("emosynth.params.")}
        parent = module.rpartition(".")[0]
        if parent:
            pending.add(parent)
    found = {str(path.relative_to(root)) for path in files.values()}
    # Templates and other files of a step belong to the step.
    for folder in {str(path.parent) for module, path in files.items() if module == "emosynth.report"}:
        found.update(str(p.relative_to(root)) for p in Path(folder).rglob("*") if p.suffix in {".j2", ".css", ".js"})
    return sorted(found)


@cache
def _located(base: Path, module: str) -> Path | None:
    path = base / Path(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def notebook_source(path: Path) -> str:
    """Return the code of a notebook as one module, magics left out."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return "\n".join(line for cell in code for line in cell.splitlines() if not line.lstrip().startswith(("%", "!")))


def named_pieces(params: Params, item: Stage) -> list[tuple[str, str]]:
    """Return the pieces that a profile names and a stage runs: kind and name. Figures are not among them: all are drawn."""
    from emosynth.design.arms import changed_arms, resolve_arm, resolve_arms

    arms = [made for arm in resolve_arms(params).values() for made in (arm, *changed_arms(arm))]
    if "sweeps" in item.sections:
        swept = [(arm, dotted, value) for arm, axes in params.sweeps.items() for dotted, values in axes.items() for value in values]
        arms += [resolve_arm(params, arm, overrides={dotted: value}) for arm, dotted, value in swept]
    found = {("guide", guide.name) for arm in arms if arm.origin is not None for guide in arm.origin.guides}
    found |= {("check", check.name) for arm in arms for check in arm.checks}
    found |= {("labeller", labeller.name) for arm in arms for labeller, _ in arm.labellers}
    found |= {("learner", name) for name in params.learners}
    return sorted(piece for piece in found if piece[0] in item.runs)


def code_files(root: Path, params: Params, item: Stage) -> list[str]:
    """Return the files of code that a stage depends on: what its notebook imports, its pieces, the declarations of its sections."""
    source = notebook_source(root / "notebooks" / f"{item.name}.ipynb")
    named = named_pieces(params, item)
    modules = [pieces.module_of(kind, name) for kind, name in named]
    foreign = {pieces.file_of(kind, name) for kind, name in named if not pieces.module_of(kind, name).startswith("emosynth.")}
    if "figure" in item.runs:  # listed and not imported, which would load matplotlib into every stage's process
        room = pieces.ROOMS["figure"]
        modules += [f"{room}.{module.name}" for module in pkgutil.iter_modules([str(root / "src" / Path(*room.split(".")))])]
        specs = [importlib.util.find_spec(point.module) for point in entry_points(group=pieces.ENTRY_POINT)]
        foreign |= {Path(spec.origin) for spec in specs if spec is not None and spec.origin is not None}
    # Figures are shown on the way, but only the report depends on how they are drawn.
    found = module_files(root, [source, *map(_text, sorted(foreign))], modules, skip="emosynth.report" if item.makes else "")
    declared = {_declaring(name) for name in item.sections} - {""}
    return sorted({*found, *(f"src/{module.replace('.', '/')}.py" for module in declared), *(_from_root(root, path) for path in foreign)})


def _declaring(section: str) -> str:
    """Return the module that declares a section's defaults; empty: a section of plain values has none."""
    pending, types = [section_types()[section]], []
    while pending:
        at = pending.pop()
        pending += get_args(at)
        types += [at] if isinstance(at, type) and issubclass(at, Section) else []
    return types[0].__module__ if types else ""


# --- files of the user's own ----------------------------------------------------------------------------


def path_patterns(model: type[BaseModel] = Params, dotted: str = "") -> list[str]:
    """Return the parameters that may be a path (those of type `emosynth.params.base.Named`), as dotted names with ``*`` for any key or place.

    There, any name that exists is a path. Elsewhere (settings of pieces) it must look like one.
    """
    found: list[str] = []
    for name, field in model.model_fields.items():
        found += _patterns(field.annotation, f"{dotted}{name}", [*field.metadata, field])
    return found


def _patterns(at: Any, dotted: str, about: Iterable[Any] = ()) -> list[str]:
    if any(isinstance(item, FieldInfo) and item.json_schema_extra == {"may_be_path": True} for item in about):
        return [dotted]
    if isinstance(at, type) and issubclass(at, BaseModel):
        return path_patterns(at, f"{dotted}.")
    kind, inner = get_origin(at), get_args(at)
    if kind is Annotated:
        return _patterns(inner[0], dotted, inner[1:])
    if kind in (dict, list, tuple):
        return _patterns(inner[-1 if kind is dict else 0], f"{dotted}.*")
    return list(dict.fromkeys(found for part in inner for found in _patterns(part, dotted)))


def own_files(root: Path, values: Mapping[str, Any], item: Stage) -> list[str]:
    """Return the user's own files that the parameters name and the stage reads, if they exist: relative to the root, or absolute.

    Corpora and stories are read by the stages that make tables of them, and the report reads nothing but what stages wrote and its pieces.
    """
    sections = [name for name in item.sections if name not in ("corpora", "narratives") or item.makes == name] if item.makes else ["pieces"]
    places, found = Paths(root, ""), set()
    for name in sections:
        for dotted, text in _leaves(name, values.get(name)):
            if name == "models" and item.model_fields is not None and dotted.split(".")[1] not in item.model_fields:
                continue
            if name == "arms" and item.arm_fields is not None and dotted.split(".")[2] not in item.arm_fields:
                continue
            if not text or len(text) > 400 or "\n" in text:
                continue
            path = places.own(_before_wildcards(text) if "*" in text else text)
            if (_is_path(dotted) or "/" in text or path.suffix) and path.exists() and path.resolve() != root.resolve():
                found.add(_from_root(root, path))
    return sorted(found)


def _before_wildcards(text: str) -> str:
    """Return the folder that holds all that a pattern can stand for."""
    return text.partition("*")[0].rpartition("/")[0] or "."


def _from_root(root: Path, path: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _leaves(dotted: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(dotted, value)]
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    return [leaf for key, inner in items for leaf in _leaves(f"{dotted}.{key}", inner)]


def _is_path(dotted: str) -> bool:
    return any(pattern.fullmatch(dotted) for pattern in _PATHS)


# One thing may stand where several by name may: its name is left out then.
_PATHS = [re.compile(re.escape(pattern).replace(r"\.\*", r"(?:\.[^.]+)?")) for pattern in path_patterns()]
