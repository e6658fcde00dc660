"""Numbers on pages of a report, and whether the committed files hold them as they stand there.

A number in a group, a value with its interval or its effect, must stand with the others in one row of one table. A number alone must stand in a
file of its page. What is counted or summed for a page is counted and summed here again, by the columns of the table.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from emosynth.params import load_params
from emosynth.report.figures.base import figures
from emosynth.report.ranges import within_range

_N = r"[+−×]?\d+(?:[.,\u202f]\d+)*"
NUMBER = re.compile(rf"(?<![\w.,-]){_N}(?!\w)")
GROUP = re.compile(
    rf"(?<![\w.,-])({_N})[^\d()]{{0,40}}\((?:\d+\u00a0% interval )?({_N})(?:\u00a0to\u00a0({_N}))?\)|({_N})\u00a0to\u00a0({_N})"
)
_HIDDEN = re.compile(r"<(style|script|head|dl|code|pre|bdi|nav)\b.*?</\1>", re.S)
"""Parameters (``dl``) are those of the profile, ``bdi`` holds written texts."""
_BLOCK = re.compile(r"</?(?:td|th|tr|li|p|h\d|div|section|summary|article|small)\b[^>]*>")

KINDS: Mapping[str, str] = {
    "identifiers of papers": r"arXiv:\d{4}\.\d{4,5}",
    "years of sources": r"(?<=[\w.’'] )\(?(19|20)\d\d[a-z]?\)?(?=[,.;) ]|$)",
    "dates of declarations": r"\d{4}-\d\d-\d\d",
    "versions": r"\b\d+\.\d+\.\d+\S*|==\S+|version \S+",
    "ends of a scale": r"P > 0\.99|P < 0\.01|100 points are perfect|100 being perfect|by chance, 50 %|ratios, 1 being alike; the others are 0|between 0 and 1|0: untuned",
    "names with a number": r"[A-Za-z]+[- ]\d+(?= GB|-)|GPT-\d|4-grams|A100 80 GB|16-bit|2 AUC − 1",
}
"""What comes from no file of results, by kind."""

_RESPONSIBLE = tuple(
    f"responsible/{name}"
    for name in ("canaries", "cost", "forecast", "identity", "label_noise", "membership", "memorisation", "personal", "toxicity")
)

TABLES: Mapping[str, tuple[str, ...]] = {
    "index": ("answers", "rivals", "context/reader", "contrasts:gain"),
    "responsible": ("costs", *_RESPONSIBLE),
    "guidance": ("materials/learners",),
    "writing": ("tuning/history",),
    "training": ("answers", "alone", "contrasts:n_synthetic,n_wanted,tokens,gain,size"),
    "authenticity": ("authenticity/panel:value,reference,n_texts", "authenticity/coverage:value,n_texts"),
    "context": ("context/reader", "context/pairs", "context/context:value,n", "context/dialogues:value,n,dialogues"),
    "claims": ("contrasts:size", "authenticity/panel:value,n_texts", "authenticity/diversity:n_texts,tokens", "context/context:n"),
    "data": (),
    "reading": (),
}
"""Page -> tables of results whose numbers may stand there alone, with the columns, where not all."""


def units(page: str) -> Iterator[str]:
    """Yield the texts of cells, paragraphs and items that hold a number; spaces that do not break are kept."""
    for block in _BLOCK.split(_HIDDEN.sub(" ", page.split('id="references-head"')[0] + page.partition("</main>")[2])):
        text = re.sub(r"[ \n\t]+", " ", html.unescape(re.sub(r"<[^>]+>", " ", block))).strip()
        if NUMBER.search(text):
            yield text


def spellings(value: float) -> frozenset[str]:
    """Return every way in which a value may stand on a page: as it is or in hundredths, rounded."""
    found = set()
    for factor, digits in ((1, range(4)), (100, range(2))):
        for places in digits:
            rounded = round(float(factor * value), places) + 0.0
            found.add(("−" if rounded < 0 else "") + f"{abs(rounded):.{places}f}")
    return frozenset(found)


def bare(number: str) -> str:
    """Return a number without marks of thousands, and without a sign that says no more than that it is one."""
    return re.sub(r"[\u202f,]", "", number).lstrip("+×")


class Held:
    """What the committed files of a profile hold.

    Parameters
    ----------
    root, profile
        Repository, and the profile whose report is in it.
    """

    def __init__(self, root: Path, profile: str = "demo") -> None:
        self.folder = root / "reports" / profile
        self.params = load_params(root, profile).model_dump(mode="json")

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of results; empty if it is not there."""
        for path, read in (
            (self.folder / "results" / f"{name}.parquet", pd.read_parquet),
            (self.folder / "results" / f"{name}.csv", pd.read_csv),
        ):
            if path.is_file():
                return read(path)  # type: ignore[no-any-return, operator]
        return pd.DataFrame()

    @cached_property
    def rows(self) -> list[frozenset[str]]:
        """Rows of tables that compare, of the figures' tables and of the claims, as spellings."""
        names = (
            "contrasts",
            "answers",
            "rivals",
            "alone",
            "authenticity/panel",
            "authenticity/coverage",
            "authenticity/diversity",
            "context/context",
            "context/dialogues",
            "costs",
            *_RESPONSIBLE,
        )
        tables = {name: self.table(name) for name in names}
        cut = [within_range(tables[name]) for name in ("authenticity/panel", "authenticity/coverage") if len(tables[name])]
        frames = [*tables.values(), *cut, *map(pd.read_csv, sorted((self.folder / "figures").glob("*.csv")))]
        made = [list(row) for frame in frames for row in frame.select_dtypes("number").to_numpy(dtype=float)]
        made += [[number for value in item.values() for number in _numbers(value)] for item in _mappings(self._json("claims.json"))]
        return [frozenset().union(*(spellings(value) for value in row if math.isfinite(value))) for row in made]

    def alone(self, page: str) -> set[str]:
        """Return the numbers that may stand on a page by themselves, as spellings."""
        values: list[float] = [*_numbers(self.params), *_numbers(self._json("metrics.json"))]
        for name in TABLES[page]:
            table, _, columns = name.partition(":")
            frame = self.table(table)
            numeric = frame.select_dtypes("number")
            values += [number for column in numeric if not columns or column in columns.split(",") for number in numeric[column]]
        for figure in figures():
            path = self.folder / "figures" / f"{figure.name}.csv"
            if figure.page == page and path.is_file():
                frame = pd.read_csv(path)
                values += [*frame.select_dtypes("number").to_numpy(dtype=float).ravel().tolist(), *_counted(frame)]
        about = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((self.folder / "results" / "corpora").glob("*.json"))]
        values += [
            *_numbers(about),
            *(count / item["counts"]["train"]["all"] for item in about for count in item["counts"]["train"].values()),
        ]
        values += self._derived(page)
        return set().union(*(spellings(value) for value in values if math.isfinite(value)))

    def _derived(self, page: str) -> list[float]:
        """Return what a page counts, sums or takes the mean of, computed here again."""
        found: list[float] = []
        teachers, contrasts = self.table("verdicts/teachers"), self.table("contrasts")
        if page == "responsible":
            found.append(float(self.table("responsible/identity")["p_holm"].notna().sum()))
            found += _written(" ".join(self.table("responsible/forecast").get("basis", pd.Series(dtype=str)).astype(str)))
        if page in ("index", "writing") and len(teachers):
            found += teachers.groupby(["corpus", "size"])["macro_f1"].mean().tolist()
        if page == "index" and len(contrasts):
            main = contrasts[(contrasts["budget"] == "accepted") & contrasts["sweep"].isna()]
            found += main.groupby(["corpus", "learner", "size", "against"]).size().tolist()
            found += main[main["version"].isna()].groupby(["corpus", "learner", "size", "against"])["arm"].nunique().tolist()
        if page == "training" and (curves := self.folder / "figures" / "learning_curves.csv").is_file():
            own = pd.read_csv(curves).query("arm == 'seed'").sort_values("size").groupby("learner")["mean"]
            found += (own.last() - own.first()).tolist()
        if page == "writing":
            stories, history, bins = (self.table(name) for name in ("narratives/stories", "tuning/history", "verdicts/reliability"))
            found += [len(stories), *stories.select_dtypes("number").sum().tolist()]
            found += _counted(self.table("verdicts/verdicts")[["corpus", "arm", "size", "reason", "accepted"]])
            for _, own in history.groupby(["corpus", "size"]):
                found += [own.loc[kept, "perplexity"].mean() for kept in (own["epoch"] == 0, own["best"].astype(bool))]
            for _, own in bins[bins["count"] > 0].groupby(["corpus", "size", "rows", "scaled"]):
                sums = own.assign(off=(own["confidence"] - own["accuracy"]) * own["count"]).groupby("bin")["off"].sum()
                found.append(float(sums.abs().sum() / own["count"].sum()))
        if page in ("index", "claims"):  # how many of a claim's replications there are, and how many fell so
            for claim in self._json("claims.json")["claims"]:
                found += _counted(pd.DataFrame(claim["replications"]))
        if page == "claims":  # what the sources state, as it was declared
            found += [
                *_numbers(self._json("claims.json")),
                *_written((self.folder.parents[1] / "data" / "claims.yaml").read_text(encoding="utf-8")),
            ]
        return found

    def _json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def strange(self, page: str, texts: Iterable[str]) -> list[str]:
        """Return the numbers of a page, with what they stand in, that the files do not hold."""
        alone, found = self.alone(page), []
        for text in texts:
            rest = re.sub("|".join(f"(?:{kind})" for kind in KINDS.values()), " ", text)
            for match in GROUP.finditer(rest):
                wanted = {bare(item) for item in match.groups() if item}
                if not any(wanted <= row for row in self.rows):
                    found.append(f"{page}: {match.group()!r} in {text[:160]!r}")
            rest = GROUP.sub(" ", rest)
            found += [f"{page}: {match.group()} in {text[:160]!r}" for match in NUMBER.finditer(rest) if bare(match.group()) not in alone]
        return found


def _counted(frame: pd.DataFrame) -> list[float]:
    """Return how many rows there are, and how many of each value, and pair of values, of the columns that name something; shares of those accepted."""
    keys = [
        str(name)
        for name in frame
        if str(name) in ("corpus", "arm", "size", "reason", "measure", "learner", "against", "frontier", "id", "outcome", "verdict")
    ]
    found = [float(len(frame)), *(float(frame[key].nunique()) for key in keys)]
    for chosen in [combination for n in (1, 2, 3) for combination in combinations(keys, n)]:
        groups = frame.groupby(list(chosen))
        found += groups.size().astype(float).tolist()
        found += groups["accepted"].mean().astype(float).tolist() if "accepted" in frame else []
    return found


def _written(text: str) -> list[float]:
    """Return the numbers of a text: a table's own words, or those of a declaration."""
    return [float(number.replace(",", "")) for number in re.findall(r"(?<![\w.])\d+(?:[.,]\d+)*(?!\w)", text) if number.count(".") < 2]


def _numbers(value: Any) -> list[float]:
    if isinstance(value, Mapping):
        return [number for item in value.items() for part in item for number in _numbers(part)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in _numbers(item)]
    if isinstance(value, str):
        return [float(value)] if re.fullmatch(r"\d+(\.\d+)?", value) else []
    return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _mappings(item)
