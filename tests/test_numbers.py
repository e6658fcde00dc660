"""Every number that a reader meets comes from a file: in README and docs by declaration, on the report's pages by what the committed tables hold."""

from __future__ import annotations

import ast
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from emosynth.evidence.declared import VERDICTS
from page_numbers import GROUP, KINDS, NUMBER, TABLES, Held, units

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from quoted import Quoted, main  # noqa: E402

DEMO = ROOT / "reports" / "demo"
PAGES = sorted(path.stem for path in DEMO.glob("*.html"))
CODE = [*sorted((ROOT / "src/emosynth/report").rglob("*.py")), *sorted((ROOT / "src/emosynth/evidence").glob("*.py"))]
TEMPLATES = sorted((ROOT / "src/emosynth/report/templates").glob("*.j2"))


# --- README and docs ----------------------------------------------------------------------------------------


def test_every_number_of_readme_and_docs_is_that_of_its_file() -> None:
    """After a new run: `python tools/quoted.py`."""
    assert main(ROOT, check=True) == []


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with two numbers in its README, one of them out of date."""
    declared = {
        "tables": {"runs": {"file": "runs.csv", "where": {"size": 100}}}, "measured": {"minutes": {"value": 3, "how": "by hand"}}, "kinds": {"years": r"\((19|20)\d\d\)"},
        "pages": {"README.md": [{"text": "it gains {gain} in {time} minutes.", "gain": {"table": "runs", "where": {"arm": "naive"}, "show": "gain"}, "time": {"measured": "minutes"}}]},
    }  # fmt: skip
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "numbers.yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    (tmp_path / "runs.csv").write_text("arm,size,gain,low,high\nnaive,100,0.0347,-0.01,0.05\nnaive,50,0.9,0.9,0.9\n", encoding="utf-8")
    (tmp_path / "README.md").write_text(
        "Tried (2014), it gains +9.9 (+1.0\nto +2.0) in\n3 minutes. See `a 12` or [b](c/7).\n", encoding="utf-8"
    )
    return tmp_path


def test_a_number_that_is_out_of_date_is_found_and_written_again(small: Path) -> None:
    (problem,) = main(small, check=True)
    assert "+3.5 (−1.0 to +5.0)" in problem and "+9.9" in (small / "README.md").read_text(encoding="utf-8")
    main(small)
    assert (small / "README.md").read_text(encoding="utf-8").startswith("Tried (2014), it gains +3.5 (−1.0 to +5.0) in\n3 minutes.")
    assert main(small, check=True) == []


@pytest.mark.parametrize(
    ("words", "found"),
    [("It gains 12.3 points.", True), ("It took 4 minutes.", True), ("As `x=4` does.", False), ("So (2013) says.", False)],
)
def test_a_number_that_comes_from_no_file_is_found(small: Path, words: str, found: bool) -> None:
    main(small)
    with (small / "README.md").open("a", encoding="utf-8") as file:
        file.write(words)
    assert bool(main(small, check=True)) == found


def test_a_passage_that_is_gone_and_a_row_that_is_not_there_are_said(small: Path) -> None:
    (small / "README.md").write_text("Nothing.", encoding="utf-8")
    assert "0 times" in main(small, check=True)[0]
    (small / "runs.csv").write_text("arm,size,gain,low,high\n", encoding="utf-8")
    with pytest.raises(ValueError, match="0 rows"):
        Quoted(small).number({"table": "runs", "where": {"arm": "naive"}, "show": "gain"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mean rank 7.1", "mean rank 7.2"),
        ("+4.2 on ISEAR", "+4.1 on ISEAR"),
        ("1,482 models", "1,422 models"),
        ("(3.6 points", "(3.7 points"),
    ],
)
def test_what_a_search_picked_is_counted_from_its_tries_again(old: str, new: str) -> None:
    content = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    written, said, _ = Quoted(ROOT).problems("docs/recipe.md", content.replace(old, new))
    assert old in content and written == content and len(said) == 1


def test_every_exception_is_needed() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for kind, pattern in yaml.safe_load((ROOT / "docs" / "numbers.yaml").read_text(encoding="utf-8"))["kinds"].items():
        assert re.search(pattern, readme), kind


# --- pages of the report ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held() -> Held:
    return Held(ROOT)


@pytest.mark.parametrize("page", PAGES)
def test_every_number_on_the_committed_pages_is_in_a_committed_file(held: Held, page: str) -> None:
    assert page in TABLES
    assert held.strange(page, units((DEMO / f"{page}.html").read_text(encoding="utf-8"))) == []


def test_a_number_that_is_in_no_file_is_found_on_a_page(held: Held) -> None:
    for page, text in (
        ("index", "It adds +7.77 points (95\u00a0% interval +1.23\u00a0to\u00a0+9.99)."),
        ("training", "naïve adds 61.83 points"),
        ("writing", "123\u202f457 candidates"),
        ("training", "+3.5 (+1.8\u00a0to\u00a0+5.2)"),  # each of the three is somewhere, but in no row together
    ):
        assert len(held.strange(page, [text])) >= 1, text
    assert held.strange("index", ["Shvets (2025), arXiv:2504.16856, of 100 labels"]) == []


def test_numbers_of_dialogues_are_known_by_the_page_on_context() -> None:
    """The scan of the demo's pages meets none: the profile has no dialogues."""
    paper = Held(ROOT, "paper")
    row = next(paper.table("context/dialogues").query("repeat == -1").itertuples())
    shown = f"{100 * row.value:.1f} ({100 * row.low:.1f}\u00a0to\u00a0{100 * row.high:.1f})"
    assert paper.strange("context", [shown, f"{row.n:,} utterances of {row.dialogues} dialogues"]) == []
    assert len(paper.strange("context", ["26.37 (11.93\u00a0to\u00a091.77)", "123,457 utterances"])) == 2


@pytest.mark.parametrize("profile", sorted(path.parent.name for path in DEMO.parent.glob("*/claims.json")))
def test_first_pages_tell_the_verdicts_that_each_profile_has(profile: str) -> None:
    """A first page shows the verdicts of other profiles too, as they were when it was made."""
    page = (DEMO.parent / profile / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r'class="claims-of">([\w-]+): ([^<]*)</p>\s*(?:<ul[^>]*>(.*?)</ul>)?', page, flags=re.DOTALL)
    assert {name for name, *_ in shown} >= {profile}
    for name, counts, badges in shown:
        claims = json.loads((DEMO.parent / name / "claims.json").read_text(encoding="utf-8"))["claims"]
        held = {claim["id"]: claim["verdict"] for claim in claims}
        told = {one: verdict.replace("-", " ") for verdict, one in re.findall(r'<li class="badge ([\w-]+)"[^>]*>(\w+)<', badges)}
        assert told == {one: held[one] for one in told}, f"make reports/{profile} again: reports/{name} has other verdicts"
        if told:
            assert counts == ", ".join(f"{n} {verdict}" for verdict in VERDICTS if (n := list(told.values()).count(verdict)))


def test_the_scan_would_find_most_numbers_that_were_changed(held: Held) -> None:
    """A scan that finds everything somewhere would be no scan: of units whose numbers get other digits, most are found out."""
    rng, found, tried = random.Random(5), {True: 0, False: 0}, {True: 0, False: 0}
    for page in ("authenticity", "claims", "training", "index"):
        texts = [
            text for text in units((DEMO / f"{page}.html").read_text(encoding="utf-8")) if not re.search("|".join(KINDS.values()), text)
        ]
        for text in rng.sample(texts, 30):
            changed = NUMBER.sub(
                lambda match: re.sub(r"\d", lambda digit: str((int(digit.group()) + rng.randint(1, 9)) % 10), match.group()), text
            )
            grouped = GROUP.search(changed) is not None
            tried[grouped] += 1
            found[grouped] += bool(held.strange(page, [changed]))
    assert found[True] >= 0.8 * tried[True] > 0 and found[False] >= 0.5 * tried[False] > 0, (found, tried)


# --- words of the code --------------------------------------------------------------------------------------


def phrases(source: str) -> Iterator[str]:
    """Yield the constant texts of a module that hold words: no docstrings, no formats."""
    tree = ast.parse(source)
    hidden: set[ast.AST] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        hidden |= {item.value for item in body if isinstance(item, ast.Expr)} if isinstance(body, list) else set()
        hidden |= set(ast.walk(node.format_spec)) if isinstance(node, ast.FormattedValue) and node.format_spec is not None else set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node not in hidden
            and re.search(r"[A-Za-z]{2}\S* \S| [A-Za-z]{2}", node.value)
        ):
            yield node.value


def test_no_sentence_of_the_report_has_a_number_in_the_code() -> None:
    """What is not written in the code can only come from tables and parameters."""
    texts = [(path, text) for path in CODE for text in phrases(path.read_text(encoding="utf-8"))]
    for path in TEMPLATES:
        content = re.sub(r"(?s)\{[{%#].*?[}%#]\}", "", path.read_text(encoding="utf-8"))
        texts.append((path, re.sub(r"(?s)<(style|script|svg)\b.*?</\1>|<[^>]*>", " ", content)))
    assert len(texts) > 200
    kinds = "|".join(KINDS.values())
    strange = [f"{path.name}: {text.strip()[:100]}" for path, text in texts if NUMBER.search(re.sub(kinds, " ", text))]
    assert strange == []


def test_a_number_in_a_sentence_of_the_code_is_found() -> None:
    source = '"""It gains 3."""\nx = f"It gains 3.5 points over {name}."\ny = f"{value:.1f} points"\nz = "n4 of F1"'
    assert [text for text in phrases(source) if NUMBER.search(text)] == ["It gains 3.5 points over "]
