"""What all sections share, and how parameter files are read and their faults explained."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError

from emosynth.errors import UserError
from emosynth.pieces import Settings, findings
from emosynth.secrets import exposed

Named = Annotated[str, Field(json_schema_extra={"may_be_path": True})]
"""Text that may be a path: relative to the repository or to ``profiles/``, absolute, or from ``~``. What is there is a dependency of the stages that
read it."""

Sizes = list[int] | Literal["largest"]
"""Seed sizes: some by number, or the largest of each corpus."""


class Section(Settings):
    """Base of all sections: unknown names are errors, values are frozen, types are strict."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2 (core schema), as DVC reads the same files, so that ``5e-4`` is a number and ``no`` a word; a key may stand once."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}  # type: ignore[misc]


_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
)
for _kind, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})\\Z"), list(_first))


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


def load_yaml(text: str) -> Any:
    """Return what YAML says, by the rules of all files here: YAML 1.2, a key stands once, nothing holds itself.

    Raises
    ------
    yaml.YAMLError
        If it is not such YAML.
    """
    try:
        loaded = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        raise yaml.YAMLError(str(error).replace('in "<unicode string>", ', "in ")) from None
    try:
        json.dumps(loaded, default=str)
    except (ValueError, RecursionError):
        raise yaml.YAMLError("a value holds itself") from None
    except TypeError:
        raise yaml.YAMLError("a key must be a word") from None
    return loaded


def read_file(path: Path) -> dict[str, Any]:
    """Read a file of parameters without checking its values.

    Raises
    ------
    UserError
        If there is no such file, it is not UTF-8 or not YAML, a key stands twice, or it holds no sections.
    """
    try:
        loaded = load_yaml(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        others = [other.name for other in path.parent.glob(f"{path.stem}.*")]
        names = [other.stem for other in sorted(path.parent.glob("*.yaml"))]
        close = difflib.get_close_matches(path.stem, names, n=1)
        hint = f"Rename {others[0]} to {path.name}. " if others else f"Did you mean {close[0]}? " if close else ""
        raise UserError(
            "There is no such parameter file.",
            where=str(path),
            remedy=f"{hint}Write it, or use demo or another of the profiles under profiles/.",
        ) from None
    except IsADirectoryError:
        raise UserError("This is a folder and no parameter file.", where=str(path), remedy="Give it another name.") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"The parameter file is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}.",
            where=str(path),
            remedy="Save it as UTF-8.",
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"The parameter file is not valid YAML: {error}", where=str(path), remedy="Mend the line named above.") from None
    if not isinstance(loaded, dict):
        raise UserError("A parameter file must hold sections.", where=str(path), remedy="See params.yaml.")
    return loaded


def deep_merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``overlay`` laid over it; mappings merge, null takes a mapping (an arm, a learner) away, everything else is replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        if value is None and isinstance(merged.get(key), Mapping):
            del merged[key]
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = deep_merge(merged[key], value)
        else:
            merged[key] = value
    return merged


_SECRET = re.compile(r"\.extra\.(?:.*[._-])?(?:api[_-]?key|key|secret|passw\w*|authorization|token)$", re.IGNORECASE)


def addresses(values: Any, dotted: str = "") -> Iterator[tuple[str, str]]:
    """Yield the keys whose value gives away who asks: an address, or a field that is sent to a server; and what it gives away."""
    if isinstance(values, Mapping):
        for key, inner in values.items():
            yield from addresses(inner, f"{dotted}.{key}".lstrip("."))
    elif isinstance(values, list):
        for place, inner in enumerate(values):
            yield from addresses(inner, f"{dotted}.{place}")
    elif isinstance(values, str):
        found, base = exposed(values), re.search(r"\.urls?(\.\d+)?$", dotted) is not None
        if not found and values and _SECRET.search(dotted):
            found = "a key"
        if not found and base and "@" in values:
            found = "a user name or a password"
        if not found and base and ("?" in values or "#" in values):
            found = "more than a base address (what stands behind ? or #)"
        if found:
            yield dotted, found


def explain(
    error: ValidationError, where: str, model: type[BaseModel], what: str = "Parameters are not valid:", models: Collection[str] = ()
) -> UserError:
    """Turn pydantic's findings into one error that names every offending key and its remedy.

    Parameters
    ----------
    model
        What the values were to be.
    what
        The error's first line.
    models
        Names of language models, of which the nearest is proposed where one is named out of place.
    """
    lines = []
    for item in findings(error, model):
        key = ".".join(str(part) for part in item["loc"]) or "(whole file)"
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: no such parameter{_nearest(item['loc'], model)}")
        elif item["type"] == "value_error":
            lines.append(
                item["msg"].removeprefix("Value error, ") if not item["loc"] else f"{key}: {item['msg'].removeprefix('Value error, ')}"
            )
        elif item["type"] in ("model_type", "dict_type") and not isinstance(item["input"], dict):
            lines.append(f"{key}: must be a mapping (found {item['input']!r}){_form(item['loc'], item['input'], model, models)}")
        elif isinstance(item["input"], dict):
            lines.append(f"{key}: {item['msg']}")
        else:
            hint = "; it stands in quotation marks: leave them out" if _quoted_number(item["input"]) else ""
            if item["type"] == "string_type" and isinstance(item["input"], bool | int | float):
                hint = "; put it into quotation marks if it is a name"
            lines.append(f"{key}: {item['msg']} (found {item['input']!r}{hint})")
    return UserError(
        what,
        lines=lines,
        where=where,
        remedy="Correct the keys named; src/emosynth/params/ declares each with its type and range.",
    )


def _quoted_number(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _at(loc: Iterable[int | str], model: type[BaseModel]) -> Any:
    """Return what is declared at a place; None: nothing known."""
    at: Any = model
    for part in loc:
        fields = getattr(at, "model_fields", {})
        if part in fields:
            at = fields[part].annotation
            # of "a section, or None" the section is what keys are looked for in
            at = next((one for one in get_args(at) if hasattr(one, "model_fields")), at) if get_origin(at) in (Union, UnionType) else at
        elif get_origin(at) is dict:
            at = get_args(at)[1]
        else:
            return None
    return at


def _nearest(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    close = difflib.get_close_matches(str(loc[-1]), list(getattr(_at(loc[:-1], model), "model_fields", {})), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _form(loc: tuple[int | str, ...], given: Any, model: type[BaseModel], models: Collection[str]) -> str:
    """Return how a section is written whose place holds something else: what is given is taken for the one thing that it names."""
    fields = getattr(_at(loc, model), "model_fields", {})
    first = next((name for name in ("model", "path") if name in fields), "")
    if not first or not isinstance(given, str):
        return f"; it has {', '.join(fields)}" if fields else ""
    # a name may lack all that follows the family: smollm3 is near to smollm2-135m-instruct
    starts = {name[: len(given)]: name for name in models} if first == "model" and given not in models else {}
    close = difflib.get_close_matches(given, starts, n=1)
    said = f"; write {loc[-1]}: {{{first}: {given}}}"
    return f"{said}, or did you mean {{{first}: {starts[close[0]]}}}?" if close else said
