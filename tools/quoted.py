"""Write the numbers that README and docs quote again, each from the committed file that `docs/numbers.yaml` names.

    python tools/quoted.py            # rewrite the pages
    python tools/quoted.py --check    # say what is out of date or comes from nowhere; exit status 1 if anything does

Run it after the demo was run again.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from emosynth.evidence.numbers import gain, gain_span, number, p_text, span
from emosynth.evidence.recipe import left_out, ranking
from emosynth.params import load_params
from emosynth.report.first_page import guided_rows

ROOT = Path(__file__).resolve().parents[1]
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER = re.compile(r"(?<!\w)\d+(?:[.,\u202f]\d+)*(?!\w)")
_NAME = re.compile(r"\{(\w+)\}")

OF: Mapping[str, Callable[[list[Any]], Any]] = {
    "len": len, "sum": sum, "max": max, "pairs": lambda values: len(values) // 2, "wrong": lambda values: values.count("wrong"),
    "supported": lambda values: values.count("supported"), "contradicted": lambda values: values.count("contradicted"),
    "undecided": lambda values: values.count("undecided"), "not tested": lambda values: values.count("not tested"),
}  # fmt: skip
"""What is made of several values."""


def _plain(value: Any) -> str:
    return (
        ", ".join(map(_plain, value))
        if isinstance(value, list)
        else f"{value:,}"
        if isinstance(value, int)
        else f"{value:g}".replace("e-0", "e-")
    )


def _and(values: list[Any]) -> str:
    *most, last = map(_plain, values)
    return f"{', '.join(most)} and {last}" if most else last


def _guided(contrasts: pd.DataFrame) -> pd.DataFrame:
    numbers = {name: pd.to_numeric(contrasts[name]) for name in ("gain", "p", "repeats")}  # an empty cell is no number
    found = guided_rows(contrasts.assign(**numbers), load_params(ROOT, "paper"))
    after, before = (found[found["told"].isin(told)] for told in (["corrected"], ["corrected", "uncorrected"]))
    return pd.DataFrame([{
        "all": len(found), "shown_better": (after["gain"] > 0).sum(), "shown_worse": (after["gain"] < 0).sum(),
        "better": (before["gain"] > 0).sum(), "worse": (before["gain"] < 0).sum(),
        "embedding": ((before["gain"] < 0) & (before["learner"] == "embedding")).sum(),
    }])  # fmt: skip


MADE: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "ranking": ranking, "left_out": left_out,
    "untold": lambda rows: rows.assign(told=((rows["low"] > 0) | (rows["high"] < 0)).astype(int)).groupby(["learner", "told"]).size().rename("cells").reset_index(),
    "guided": lambda rows: _guided(rows),
    "corpora": lambda tries: tries.groupby(["arm", "changed", "corpus"], sort=False)["gain"].mean().reset_index(),
    "models": lambda tries: pd.DataFrame(
        {"models": [tries["repeats"].sum() + tries.groupby(["corpus", "size", "learner"])["repeats"].max().sum()]}
    ),
}  # fmt: skip
"""What is made of a table of tries (`emosynth.evidence.recipe`) or of contrasts before a row of it is quoted; ``models`` adds those on the labels alone."""

SHOW: Mapping[str, Callable[[Any], str]] = {
    "plain": _plain,
    "list": lambda values: _and(sorted(values) if isinstance(values, list) else [values]),
    "times": lambda values: f"{_and(values[:-1])}, {_plain(values[-1])} times",
    "word": lambda value: WORDS[int(value)] if int(value) < len(WORDS) else str(int(value)),
    "none": lambda value: "none" if not value else WORDS[int(value)],
    "count": lambda value: f"{value:,.0f}",
    "points": lambda value: f"{100 * value:.1f}",
    "signed": lambda value: gain(value),
    "whole": lambda value: f"{value:.0f}",
    "tenths": lambda value: f"{value:.1f}",
    "hundredths": lambda value: f"{value:.2f}",
    "tens": lambda value: f"{round(value, -1):.0f}",
    "hundredth": lambda value: f"{100 * value:g}",
    "gigabytes": lambda megabytes: f"{megabytes / 1000:.1f}",
    "p": p_text,
    "said": str,
    "tested": lambda claim: (
        f"{number(claim['effect'], sign=True)}{f' ({interval})' if (interval := span(*claim['interval'])) else ''}".replace("\u00a0", " ")
    ),
    "gain": lambda row: f"{gain(float(row['gain']))} ({gain_span(float(row['low']), float(row['high']))})".replace("\u00a0", " "),
    "ahead": lambda row: f"{gain(float(row['more']))} ({gain_span(float(row['low']), float(row['high']))})".replace("\u00a0", " "),
}
"""How a value is written; a gain, what another classifier is ahead, and what a claim found, with its interval, in points."""


class Quoted:
    """Texts with numbers, and the files that these come from.

    Parameters
    ----------
    root
        Repository, with ``docs/numbers.yaml`` and every page and file that it names.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.declared = yaml.safe_load((root / "docs" / "numbers.yaml").read_text(encoding="utf-8"))

    def number(self, source: Mapping[str, Any]) -> str:
        """Return a number as it is to stand in a text.

        Raises
        ------
        ValueError
            If a table has no row, or more than one, for what is asked.
        LookupError
            If a file or the parameters lack the key.
        """
        if "measured" in source:
            return _plain(self.declared["measured"][source["measured"]]["value"])
        show = SHOW[source.get("show", "plain")]
        if "table" in source:
            row = self._row(source["table"], source["where"])
            return show(float(row[source["key"]]) if "key" in source else row)
        if "claim" in source:
            claim = self._claims()[source["claim"]]
            return show(claim[source["key"]] if "key" in source else claim)
        if "claims" in source:  # of one letter
            return show(OF[source["of"]]([claim["verdict"] for name, claim in self._claims().items() if name.startswith(source["claims"])]))
        data = self._params(source["params"]) if "params" in source else self._file(source["file"])
        keys = source["key"] if isinstance(source["key"], list) else [source["key"]]
        values = [value for key in keys for value in _values(data, key.split("."))]
        if "of" in source:
            return show(OF[source["of"]](list(values[0]) if len(values) == 1 and isinstance(values[0], dict | list) else values))
        return show(values[0] if len(values) == 1 else values)

    def _claims(self) -> dict[str, dict[str, Any]]:
        return {claim["id"]: claim for claim in self._file(self.declared["claims"])["claims"]}

    def _row(self, table: str, where: Mapping[str, Any]) -> dict[str, str]:
        declared = self.declared["tables"][table]
        wanted = {key: str(value) for key, value in {**declared["where"], **where}.items()}
        rows = self._made(declared["file"], declared["made"]) if "made" in declared else self._file(declared["file"])
        found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
        if len(found) != 1:
            raise ValueError(f"{declared['file']} has {len(found)} rows for {wanted}")
        return found[0]  # type: ignore[no-any-return]

    @cache  # noqa: B019 - one for a run
    def _params(self, profile: str) -> dict[str, Any]:
        return load_params(self.root, profile).model_dump(mode="json")

    @cache  # noqa: B019
    def _made(self, name: str, made: str) -> list[dict[str, str]]:
        frame = MADE[made](pd.read_csv(self.root / name, keep_default_na=False, na_values={"rank": [""]}))
        return [{str(key): str(value) for key, value in row.items()} for row in frame.to_dict("records")]

    @cache  # noqa: B019
    def _file(self, name: str) -> Any:
        if name.endswith(".parquet"):
            frame = pd.read_parquet(self.root / name)
            return [dict(zip(frame.columns, map(str, row), strict=True)) for row in frame.itertuples(index=False)]
        text = (self.root / name).read_text(encoding="utf-8")
        if name.endswith(".csv"):
            return list(csv.DictReader(text.splitlines()))
        return (
            yaml.safe_load(text)
            if name.endswith(".yaml")
            else json.loads(text[text.index("=") + 1 :].rstrip("; \n") if name.endswith(".js") else text)
        )

    def problems(self, page: str, content: str) -> tuple[str, list[str], list[tuple[int, int]]]:
        """Return a page with its numbers written again, what was out of date or not found, and where the numbers stand in what is returned."""
        said: list[str] = []
        for declared in self.declared["pages"][page]:
            text = declared["text"]
            found = list(re.finditer(_pattern(text), content))
            if len(found) != 1:
                said.append(f"{page}: this passage stands there {len(found)} times: {text}")
                continue
            for name, match in reversed(list(zip(_NAME.findall(text), found[0].regs[1:], strict=True))):
                new = self.number(declared[name])
                if content[slice(*match)] != new:
                    said.append(f"{page}: {name} is {new}, not {content[slice(*match)]}, in: {text}")
                    content = content[: match[0]] + new + content[match[1] :]
        spans = [
            place
            for declared in self.declared["pages"][page]
            for match in re.finditer(_pattern(declared["text"]), content)
            for place in match.regs[1:]
        ]
        return content, said, spans

    def unmapped(self, content: str, spans: list[tuple[int, int]]) -> list[str]:
        """Return the numbers of a page, with the words around them, that neither come from a file nor are of a kind that is not measured."""
        hidden = "".join(f"|{kind}" for kind in self.declared["kinds"].values())
        quiet = [match.span() for match in re.finditer(rf"(?s)```.*?```|`[^`]*`|\]\([^)]*\)|https?://\S+{hidden}", content)]
        loose = [match for match in NUMBER.finditer(content) if not any(low <= match.start() < high for low, high in (*quiet, *spans))]
        return [" ".join(content[max(0, match.start() - 40) : match.end() + 30].split()) for match in loose]


def _pattern(text: str) -> str:
    """Return a text as a pattern: lines may break anywhere, and numbers may be any."""
    parts = _NAME.split(text)
    return "".join(
        r"((?!\s)(?:(?!\n\n)[^|`]){1,40}?)" if place % 2 else r"\s+".join(map(re.escape, re.split(r"\s+", part)))
        for place, part in enumerate(parts)
    )


def _values(data: Any, keys: list[str]) -> list[Any]:
    """Return what lies below dotted keys; ``*`` is every key."""
    if not keys:
        return [data]
    if keys[0] == "*":
        return [value for item in (data.values() if isinstance(data, dict) else data) for value in _values(item, keys[1:])]
    return _values(data[int(keys[0])] if isinstance(data, list) else data[keys[0]], keys[1:])


def main(root: Path = ROOT, *, check: bool = False) -> list[str]:
    """Write the numbers of all pages again, or only look; return what was, or is, not as it should be."""
    quoted, said = Quoted(root), []
    for page in quoted.declared["pages"]:
        path = root / page
        before = path.read_text(encoding="utf-8")
        content, problems, spans = quoted.problems(page, before)
        said += problems
        if page == "README.md":
            said += [f"{page}: a number that comes from no file: … {words} …" for words in quoted.unmapped(content, spans)]
        if not check and content != before:
            path.write_text(content, encoding="utf-8", newline="\n")
    return said


if __name__ == "__main__":
    only_look = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not only_look:
        sys.exit("usage: python tools/quoted.py [--check]")
    told = main(check=only_look)
    print("\n".join(told) or "Every number is that of its file.")
    sys.exit(bool(told) and only_look)
