"""What all sections share, and how parameter files are read and their faults explained."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ValidationError

from emosynth.errors import UserError
from emosynth.pieces import Settings

Sizes = list[int] | Literal["largest"]
"""Seed sizes: some by number, or the largest of each corpus."""


class Section(Settings):
    """Base of all sections: unknown names are errors, values are frozen, types are strict."""


class _Loader(yaml.SafeLoader):
    """YAML with one rule more: a key may stand once."""


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_file(path: Path) -> dict[str, Any]:
    """Read a file of parameters without checking its values.

    Raises
    ------
    UserError
        If there is no such file, it is not UTF-8 or not YAML, a key stands twice, or it holds no sections.
    """
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise UserError(
            "There is no such parameter file.", where=str(path), remedy="Use one of the profiles under profiles/, or demo."
        ) from None
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


def explain(error: ValidationError, where: str, model: type[BaseModel]) -> UserError:
    """Turn pydantic's findings into one error that names every offending key and its remedy."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "(whole file)"
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: no such parameter{_nearest(item['loc'], model)}")
        elif item["type"] == "value_error":
            lines.append(
                item["msg"].removeprefix("Value error, ") if not item["loc"] else f"{key}: {item['msg'].removeprefix('Value error, ')}"
            )
        elif isinstance(item["input"], dict):
            lines.append(f"{key}: {item['msg']}")
        else:
            hint = "; YAML reads it as text: write a decimal point, 5.0e-4" if _unread_number(item["input"]) else ""
            lines.append(f"{key}: {item['msg']} (found {item['input']!r}{hint})")
    return UserError(
        "Parameters are not valid:\n    " + "\n    ".join(lines),
        where=where,
        remedy="Correct the keys named; src/emosynth/params/ declares each with its type and range.",
    )


def _unread_number(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _nearest(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    at: Any = model
    for part in loc[:-1]:
        fields = getattr(at, "model_fields", {})
        if part in fields:
            at = fields[part].annotation
        elif getattr(at, "__origin__", None) is dict:
            at = at.__args__[1]
        else:
            return ""
    close = difflib.get_close_matches(str(loc[-1]), list(getattr(at, "model_fields", {})), n=1)
    return f"; did you mean {close[0]}?" if close else ""
