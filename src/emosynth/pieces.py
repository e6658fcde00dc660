"""The registry of pieces: every choice that an arm, a learner list or a report can name is one registered class in one file.

A piece brings along what others need to know of it: typed settings, a name for figures, a citation. Nothing else lists pieces: a room
(``emosynth.guides``, ``emosynth.checks``, …) is read as a folder, and a user's own pieces come from the entry point
``emosynth.pieces`` or from files that the parameter ``pieces`` names.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from emosynth.errors import UserError

ROOMS: Mapping[str, str] = {
    "guide": "emosynth.guides",
    "check": "emosynth.checks",
    "labeller": "emosynth.labellers",
    "learner": "emosynth.learners",
    "figure": "emosynth.report.figures",
}
"""Package in which the pieces of a kind live."""

OWN = "emosynth_pieces_"
"""How the module of a user's file is called, before its stem and its hash."""

ENTRY_POINT = "emosynth.pieces"
"""Entry point group under which an installed package names modules with pieces."""


class Settings(BaseModel):
    """Settings of a piece: unknown names are errors, values are frozen, types are strict."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Piece:
    """Something that the parameters can name.

    Attributes
    ----------
    kind
        One of `ROOMS`; set by the base class of a room.
    name
        How parameters name it. A class that sets it is registered.
    label
        How figures and tables name it; empty: ``name``.
    citation
        Where the method is from: BibTeX, or empty.
    Settings
        Its typed settings.
    main
        The setting that a bare value sets: with ``main = "count"``, ``{shap-tokens: 4}`` is ``{shap-tokens: {count: 4}}``.
    """

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    Settings: ClassVar[type[BaseModel]] = Settings
    main: ClassVar[str | None] = None

    def __init__(self, settings: Any = None) -> None:
        self.settings: Any = self.Settings() if settings is None else settings

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "name" in cls.__dict__ and cls.name:
            _register(cls)

    @classmethod
    def shown_name(cls) -> str:
        """Return the name for readers."""
        return cls.label or cls.name

    @classmethod
    def must(cls) -> tuple[str, ...]:
        """Return the methods that a piece of its kind has to bring along, since the room's base class has none to inherit."""
        return ()

    def identity(self) -> dict[str, Any]:
        """Return name and settings, as cache keys hold them."""
        return {"piece": self.name, **self.settings.model_dump(mode="json")}


_REGISTRY: dict[str, dict[str, type[Piece]]] = {}
_FOUND: set[str] = set()
_LOADED: set[str] = set()
"""Hashes of the users' files that are loaded: a copy of one brings nothing new."""


def _register(cls: type[Piece]) -> None:
    known = _REGISTRY.setdefault(cls.kind, {})
    other = known.get(cls.name)
    # A module that is loaded again (a notebook's autoreload, a test) replaces its own pieces and nobody else's.
    if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise UserError(
            f"Two pieces have the name {cls.name}.",
            where=f"{cls.kind}: {other.__module__} and {cls.__module__}",
            remedy="Rename one of them.",
        )
    known[cls.name] = cls


def discover(kind: str) -> None:
    """Import every module of a kind's room, and what installed packages offer; each once."""
    if kind in _FOUND:
        return
    _FOUND.add(kind)
    room = importlib.import_module(ROOMS[kind])
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        importlib.import_module(module.name)
    if "" not in _FOUND:
        _FOUND.add("")
        before = _all()
        for point in entry_points(group=ENTRY_POINT):
            try:
                point.load()
            except Exception as error:
                raise UserError(
                    f"The pieces of an installed package cannot be loaded: {type(error).__name__}: {error}",
                    where=f"entry point {point.name} = {point.value}",
                    remedy="Mend or uninstall that package.",
                ) from error
        _whole(_all() - before)


def load_files(files: Iterable[Path]) -> None:
    """Import a user's own files with pieces.

    Raises
    ------
    UserError
        If a file does not exist or fails; it names file and line.
    """
    for file in files:
        path = file.resolve()
        name = f"{OWN}{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise UserError("There is no such file with pieces.", where=str(file), remedy="Correct the parameter pieces.")
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        if content in _LOADED:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            line = next((frame.lineno for frame in reversed(inspect.getinnerframes(error.__traceback__)) if frame.filename == str(path)), 0)  # type: ignore[arg-type]
            if isinstance(error, SyntaxError) and error.filename == str(path):  # nothing of the file ran, so no frame is of it
                line = error.lineno or line
            raise UserError(
                f"The file with pieces fails: {type(error).__name__}: {error}", where=f"{file}, line {line}", remedy="Mend it."
            ) from error
        try:
            _whole(cls for cls in _all() if cls.__module__ == name)
        except UserError:
            del sys.modules[name]  # so that it is told again by whoever looks next in this process
            for known in _REGISTRY.values():
                for lame in [key for key, cls in known.items() if cls.__module__ == name]:
                    del known[lame]
            raise
        _LOADED.add(content)


def _all() -> set[type[Piece]]:
    return {cls for known in _REGISTRY.values() for cls in known.values()}


def _whole(found: Iterable[type[Piece]]) -> None:
    """Look whether pieces bring along what their kind calls; what a base class only declares would fail in the middle of a run."""
    for cls in sorted(found, key=lambda one: (one.__module__, one.__qualname__)):
        for method in cls.must():
            owner = next(base for base in cls.__mro__ if method in base.__dict__)
            if "must" not in owner.__dict__:
                continue
            close = difflib.get_close_matches(method, [key for key, value in cls.__dict__.items() if callable(value)], n=1)
            hint = f"Rename {close[0]} to {method}" if close else f"Define {method}{inspect.signature(getattr(owner, method))}"
            raise UserError(
                f"The {cls.kind} {cls.name} has no {method}.", where=f"{place_of(cls)}, class {cls.__name__}",
                remedy=f"{hint}; {owner.__module__} says what it returns.",
            )  # fmt: skip


def registered(kind: str) -> dict[str, type[Piece]]:
    """Return the pieces of a kind by name, in order of name."""
    discover(kind)
    return dict(sorted(_REGISTRY.get(kind, {}).items()))


def find(kind: str, name: str, where: str = "") -> type[Piece]:
    """Return a piece by name; an unknown name is answered with the nearest known one.

    Raises
    ------
    UserError
        If there is no such piece.
    """
    known = registered(kind)
    if name in known:
        return known[name]
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}? " if close else ""
    raise UserError(f"There is no {kind} called {name!r}.", where=where, remedy=f"{hint}There are: {', '.join(known)}.")


def build(kind: str, name: str, value: Any = None, where: str = "") -> Piece:
    """Return a piece with its settings.

    Parameters
    ----------
    value
        None or an empty mapping: the defaults; a mapping: settings by name; anything else: the value of the piece's ``main`` setting.

    Raises
    ------
    UserError
        For an unknown name, or settings that are not valid.
    """
    cls = find(kind, name, where)
    if value is None or value is True:
        value = {}
    if not isinstance(value, Mapping):
        if cls.main is None:
            fields = ", ".join(cls.Settings.model_fields) or "none"
            raise UserError(f"{name} takes no bare value.", where=where, remedy=f"Name the setting; it has: {fields}.")
        value = {cls.main: value}
    try:
        return cls(cls.Settings.model_validate(dict(value)))
    except ValidationError as error:
        lines = []
        for item in findings(error, cls.Settings):
            key = ".".join(str(part) for part in item["loc"]) or "(all)"
            close = difflib.get_close_matches(key, list(cls.Settings.model_fields), n=1)
            extra = f"; did you mean {close[0]}?" if item["type"] == "extra_forbidden" and close else ""
            what = "no such setting" if item["type"] == "extra_forbidden" else item["msg"]
            lines.append(f"{name}.{key}: {what}{extra}")
        raise UserError("Settings are not valid: " + "; ".join(lines) + ".", where=where, remedy=f"See {place_of(cls)}.") from None


def place_of(cls: type[Piece]) -> str:
    """Return where a reader finds a piece: its module, or the user's own file."""
    return inspect.getfile(cls) if cls.__module__.startswith(OWN) else cls.__module__


def _bare(declared: Any) -> Any:
    """Return a type without notes and without None."""
    while get_origin(declared) is Annotated:
        declared = get_args(declared)[0]
    if get_origin(declared) in (Union, UnionType):
        members = [member for member in get_args(declared) if member is not type(None)]
        return _bare(members[0]) if len(members) == 1 else declared
    return declared


def plain_key(place: Sequence[int | str], model: type[BaseModel]) -> tuple[int | str, ...]:
    """Return the place of a value as a file spells it: pydantic names the alternative of a type too (``sizes.list[int].0`` is ``sizes.0``)."""
    out: list[int | str] = []
    at: Any = model
    for part in place:
        fields = getattr(at, "model_fields", {})
        if get_origin(at) in (Union, UnionType):
            kind = str(part).partition("[")[0]
            at = next((one for one in map(_bare, get_args(at)) if kind == getattr(get_origin(one) or one, "__name__", "")), None)
            continue
        if part == "[key]":
            continue
        out.append(part)
        inner = fields[part].annotation if part in fields else (get_args(at) or [None])[-1] if get_origin(at) in (dict, list) else None
        at = _bare(inner)
    return tuple(out)


def findings(error: ValidationError, model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return what pydantic found, each at its plain key; what the alternatives of one value would have been stands in one sentence."""
    out: list[dict[str, Any]] = []
    should = "Input should be "
    for item in error.errors():
        found: dict[str, Any] = {**item, "loc": plain_key(item["loc"], model)}
        last: dict[str, Any] = out[-1] if out else {"loc": None, "msg": ""}
        if found["loc"] == last["loc"] and found["msg"].startswith(should) and last["msg"].startswith(should):
            last["msg"] += f" or {found['msg'].removeprefix(should)}"
        else:
            out.append(found)
    return out


def module_of(kind: str, name: str) -> str:
    """Return the module that a piece lives in: what the pipeline tracks."""
    return find(kind, name).__module__


def file_of(kind: str, name: str) -> Path:
    """Return the file that a piece lives in."""
    return Path(inspect.getfile(find(kind, name)))
