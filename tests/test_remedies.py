"""Every command that an error proposes exists: sub-command and options, DVC's command and stage, make's target."""

from __future__ import annotations

import ast
import codecs
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser

from emosynth import cli
from emosynth.errors import UserError
from emosynth.paths import Paths, repro, work_on
from emosynth.pipeline import STAGES, pipeline_file, pipeline_text, profiles

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "emosynth").rglob("*.py"))
_WORD = r"[A-Za-z0-9@{}<>./:=_'+-]+"
COMMAND = re.compile(
    rf"(?<![\w.-])(?:(?:python -m emosynth|emosynth|dvc)(?: {_WORD})+|make(?: -B)? [a-z]+(?: [A-Z]+={_WORD})*(?=$|[;.,)]| {{2}}|: or)"
    rf"|(?:python|{{}}) -m (?!emosynth)\w+|pip install [^;,]+|iconv -f \S+ -t \S+|git (?:lfs|annex) \w+)"
)
MAKE_ALONE = re.compile(r"\bmake(?=[,.;)]|$)")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings of a source that are no docstrings; what is filled in becomes {}."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if id(node) in inside or id(node) in documentation:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else _filled(part) for part in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _filled(part: ast.expr) -> str:
    """Return what stands for a filled-in part: the command of `repro`, the name of a profile or stage."""
    said = ast.unparse(part)
    called = re.search(r"repro\((.*?)\)", said)
    if called:
        names = re.findall(r"^'(\w+)'", called[1])
        return repro(names[0] if names else "", again="again=True" in called[1])
    return "demo" if "profile" in said else STAGES[0].name if "name" in said or "stage" in said else "{}"


def commands() -> list[tuple[str, str]]:
    found = []
    for path in SOURCES:
        for line, text in texts(path):
            for command in COMMAND.findall(text):
                found.append((f"{path.relative_to(ROOT / 'src' / 'emosynth')}:{line}", command.rstrip(".,;:")))
    return sorted(set(found))


def check(command: str) -> None:
    words = shlex.split(command)
    if words[:3] == ["python", "-m", "emosynth"]:
        words = words[2:]
    if words[0] == "emosynth":
        given = cli.parser().parse_args(words[1:])
        assert given.command != "run" or given.stage in {item.name for item in STAGES}
    elif words[0] == "dvc":
        try:
            given = get_main_parser().parse_args(words[1:])
        except DvcParserError:
            raise SystemExit(command) from None
        for target in getattr(given, "targets", None) or []:
            file, _, name = target.rpartition(":")
            assert (ROOT / (file or "dvc.yaml")).exists() or file.startswith("profiles/mine/")
            assert target.endswith("dvc.yaml") or name in {item.name for item in STAGES}, target
    elif words[0] == "make":
        words = [word for word in words if word != "-B"]
        assert re.search(rf"^{re.escape(words[1])}:", (ROOT / "Makefile").read_text(), re.M), f"make has no target {words[1]}"
        assert words[1] != "setup" or "-B" in command, "make finds its stamp and does nothing"
    elif words[:2] == ["pip", "install"]:
        # the name of this package is anybody's to take on the package index: only the checkout is installed
        assert (found := re.fullmatch(r"pip install -e '\.\[(\w+)\]'\.?", command)), command
        assert found[1] in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"], f"no extra {found[1]}"
    elif "-m" in words:
        assert importlib.util.find_spec(words[-1]) is not None, f"there is no module {words[-1]}"
    elif words[0] == "iconv":
        assert words[2] == "{}" or codecs.lookup(words[2])  # filled in: tests/test_own_reading.py reads what it names
        assert codecs.lookup(words[4])


COMMANDS = commands()


def test_commands_are_found() -> None:
    kinds = {command.split()[0] for _, command in COMMANDS}
    assert {"dvc", "make", "python"} <= kinds and len(COMMANDS) > 15


@pytest.mark.parametrize(("place", "command"), COMMANDS, ids=[f"{place} {command}" for place, command in COMMANDS])
def test_every_command_exists(place: str, command: str, capsys: pytest.CaptureFixture) -> None:
    try:
        check(command)
    except SystemExit:
        pytest.fail(f"{place}: {command}: {capsys.readouterr().err}")


def test_no_text_says_make_alone() -> None:
    """That is a list of targets, and does nothing."""
    for path in SOURCES:
        for line, text in texts(path):
            assert not MAKE_ALONE.search(text), f"{path}:{line}: name the target"


def test_a_wrong_command_is_found(capsys: pytest.CaptureFixture) -> None:
    for wrong in (
        "dvc repro 06_tuning", "python -m emosynth draw x", "make everything", "dvc repo", "emosynth run 4_tuning", "make setup",
        "pip install 'emosynth[ray]'", "pip install -e '.[nowhere]'", "python -m no_such_module",
    ):  # fmt: skip
        assert COMMAND.fullmatch(wrong), f"{wrong}: it would not be found in a text"
        with pytest.raises((SystemExit, AssertionError)):
            check(wrong)


def test_a_stage_is_named_with_the_pipeline_file_of_its_profile() -> None:
    """No text says ``dvc repro`` by itself: that is the demo's pipeline, whatever profile the error is of."""
    for path in SOURCES:
        if path.name != "paths.py":
            for line, text in texts_without_calls(path):
                assert "dvc repro" not in text, f"{path}:{line}: use emosynth.paths.repro"
                assert not re.search(r"\b[Rr]un (step|stage|the \w+ stage again)", text), f"{path}:{line}: use emosynth.paths.repro"


def texts_without_calls(path: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


@pytest.mark.parametrize("profile", profiles(ROOT))
def test_what_is_proposed_is_in_the_pipeline_of_the_profile(profile: str) -> None:
    stages = yaml.safe_load(pipeline_text(ROOT, profile))["stages"]
    for item in STAGES:
        command = repro(item.name, again=True, profile=profile)
        given = get_main_parser().parse_args(command.split()[1:])
        (target,) = given.targets
        file, _, name = target.rpartition(":")
        assert name in stages and (ROOT / (file or "dvc.yaml")) == pipeline_file(ROOT, profile)
        assert given.force and given.single_item, "without -s, DVC would run all that is before it once more"


def test_hints_name_the_profile_that_is_worked_on(tmp_path: Path) -> None:
    from emosynth.files import read_json

    try:
        work_on("mine")
        with pytest.raises(UserError, match=r"dvc repro profiles/mine/dvc\.yaml"):
            read_json(Paths(tmp_path, "mine").corpora / "mine.json", "00_corpora")
        assert repro("04_tuning", again=True) == "dvc repro -s -f profiles/mine/dvc.yaml:04_tuning"
    finally:
        work_on("demo")
    assert repro() == "dvc repro" and repro("04_tuning") == "dvc repro 04_tuning"
