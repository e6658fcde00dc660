"""What README and docs tell people to write and to type: every block of YAML is valid, every command exists, and the example of an own corpus runs."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from corpus_text import find_corpus_text
from emosynth import cli
from emosynth.cards import read_table
from emosynth.design.arms import resolve_arm
from emosynth.files import read_json
from emosynth.params import deep_merge, load_params, read_file
from emosynth.paths import Paths
from test_end_to_end import copy_repository, environment, repro, share_assets

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

THINGS = [
    "harbour",
    "kitchen",
    "letter",
    "garden",
    "train",
    "window",
    "river",
    "lamp",
    "market",
    "bridge",
    "ferry",
    "stairs",
    "orchard",
    "attic",
    "station",
]
ENDINGS = {
    "joy": ["made me laugh all morning", "was the best of the whole week", "is a small delight again", "felt like a birthday to me"],
    "anger": [
        "is broken for the third time now",
        "was handed to someone else",
        "cost us double and nobody cares",
        "makes me want to shout",
    ],
}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield page and text of every fenced block of a language."""
    for page in PAGES:
        opened: str | None = None
        lines: list[str] = []
        for line in page.read_text(encoding="utf-8").splitlines():
            if not line.startswith("```"):
                lines.append(line)
            elif opened is None:
                opened, lines = line[3:].strip(), []
            else:
                if opened == language:
                    yield page.name, "\n".join(lines)
                opened = None


YAML = list(blocks("yaml"))
COMMANDS = [
    (page, line.split("#")[0].strip())
    for page, text in [*blocks(""), *blocks("bash"), *blocks("sh")]
    for line in text.splitlines()
    if re.match(r"(make|dvc|python -m emosynth|emosynth) ", line)
]


def own_corpus(root: Path) -> None:
    rows = [f'"the {thing} {ending}",{label}' for label, endings in ENDINGS.items() for ending in endings for thing in THINGS]
    (root / "mine.csv").write_text("\n".join(["text,emotion", *rows]) + "\n", encoding="utf-8")


def stand_in(root: Path) -> Path:
    """A root with the parameters of this one and the files that examples name."""
    (root / "profiles").mkdir(parents=True)
    (root / "data").mkdir()
    for name in (
        "params.yaml",
        "data/catalog.yaml",
        "data/taxonomies.yaml",
        "data/claims.yaml",
        "data/identity.yaml",
    ):
        (root / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    own_corpus(root)
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.S)
    (root / "my_pieces.py").write_text("from __future__ import annotations\n\n" + "\n\n".join(code), encoding="utf-8")
    return root


@pytest.mark.parametrize(("page", "block"), YAML, ids=[f"{page}-{number}" for number, (page, _) in enumerate(YAML)])
def test_every_block_of_yaml_is_a_profile(page: str, block: str, tmp_path: Path) -> None:
    """Laid over the demo, it passes the check of a whole design."""
    root = stand_in(tmp_path / "root")
    overlay = yaml.safe_load(block)
    if page == "scale.md":  # its further blocks hold what differs from its first
        overlay = deep_merge(yaml.safe_load(next(text for name, text in YAML if name == page)), overlay)
    if page == "extending.md" and "arms" in overlay:  # its arm is made of the pieces of that page
        overlay = {**overlay, "pieces": [str(root / "my_pieces.py")]}
    (root / "profiles" / "mine.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    load_params(root, "mine")


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[line for _, line in COMMANDS])
def test_every_command_exists(page: str, line: str) -> None:
    """Its target, sub-command, pipeline file and parameters are there."""
    words = shlex.split(line)
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for word in words[1:]:
            name, given, value = word.partition("=")
            assert given or re.search(rf"^{re.escape(name)}:", makefile, re.M), f"{page}: make has no target {name}"
            if name == "PROFILE" and value not in ("mine", "NAME"):
                assert value == "demo" or (ROOT / "profiles" / f"{value}.yaml").is_file()
    elif words[0] == "dvc":
        for word in words[1:]:
            if word.endswith("dvc.yaml") and "mine" not in word:
                assert (ROOT / word).is_file(), f"{page}: there is no {word}"
        for place, word in enumerate(words):
            if word == "-S":
                key = words[place + 1].partition("=")[0]
                at = read_file(ROOT / "params.yaml")
                for part in key.split("."):
                    assert isinstance(at, dict) and part in at, f"{page}: params.yaml has no {key}"
                    at = at[part]
    else:
        words = words[3:] if words[0] == "python" else words[1:]
        known = cli.parser()
        known.parse_args([word for word in words if not word.startswith("NAME")])


@pytest.mark.pipeline
@pytest.mark.model
@pytest.mark.timeout(1800)
def test_the_example_of_an_own_corpus_runs_as_it_stands(tmp_path: Path) -> None:
    """Two lines of YAML and a file: every system runs on it (the demo's settings, at the size of the smoke profile)."""
    root = copy_repository(tmp_path / "repo")
    block = next(text for page, text in YAML if page == "README.md" and "custom" in text)
    own_corpus(root)
    small = deep_merge(read_file(root / "params.yaml"), read_file(root / "profiles" / "smoke.yaml"))
    (root / "params.yaml").write_text(yaml.safe_dump(small, sort_keys=False), encoding="utf-8")
    (root / "profiles" / "smoke.yaml").unlink()
    (root / "profiles" / "mine.yaml").write_text(block, encoding="utf-8")
    cache = share_assets(tmp_path / "cache")
    env = environment(root, cache)
    subprocess.run(["python", "-m", "emosynth", "pipeline"], cwd=root, env=env, check=True, capture_output=True)
    repro(root, cache, "profiles/mine/dvc.yaml")
    paths = Paths(root, "mine")
    assert read_json(paths.corpora / "mine.json")["classes"] == ["anger", "joy"]
    trials = read_table(paths.trials / "trials.parquet")
    params = load_params(root, "mine")
    assert set(params.arms) <= set(trials["arm"]), "every arm of every system was trained on the own corpus"
    assert all(resolve_arm(params, arm).origin is None or (trials["arm"] == arm).any() for arm in params.arms)
    assert (paths.report / "index.html").is_file() and (paths.data / "export" / "README.md").is_file()
    assert find_corpus_text(paths.report, list(read_table(paths.corpora / "mine.parquet")["text"])) == []
