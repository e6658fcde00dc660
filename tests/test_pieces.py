"""The registry of pieces: found by folder, by file and by entry point; settings typed; unknown names answered."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import Field

from emosynth import pieces
from emosynth.errors import UserError
from emosynth.pieces import Piece, Settings, build, file_of, find, load_files, registered


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> str:
    """A kind of its own, so that no room changes."""
    for room in ("guide", "check", "labeller", "learner"):
        registered(room)  # a module registers its pieces once: they must be in what is put back
    monkeypatch.setattr(pieces, "_REGISTRY", {name: dict(known) for name, known in pieces._REGISTRY.items()})
    monkeypatch.setattr(pieces, "_FOUND", pieces._FOUND | {"toy"})

    class Spin(Piece):
        kind, name, label, main = "toy", "spin", "spinning", "turns"

        class Settings(Settings):
            turns: int = Field(1, ge=1)
            share: float = 0.5

    class Still(Piece):
        kind, name = "toy", "stands-still"

    return "toy"


def test_values_become_settings() -> None:
    assert build("toy", "spin").settings.turns == 1
    assert build("toy", "spin", 4).settings.turns == 4
    assert build("toy", "spin", {"share": 1}).identity() == {"piece": "spin", "turns": 1, "share": 1.0}
    assert find("toy", "spin").shown_name() == "spinning" and find("toy", "stands-still").shown_name() == "stands-still"
    assert list(registered("toy")) == ["spin", "stands-still"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("spni", None, ["no toy called 'spni'", "Did you mean spin?", "arms.x"]),
        ("spin", {"turn": 2}, ["spin.turn: no such setting", "did you mean turns"]),
        ("spin", 0, ["spin.turns", "greater than or equal to 1"]),
        ("spin", "two", ["spin.turns", "integer"]),
        ("stands-still", 3, ["stands-still takes no bare value", "it has: none"]),
    ],
)
def test_what_is_wrong_is_named(name: str, value: object, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        build("toy", name, value, "arms.x")
    for word in words:
        assert word in str(error.value)


def test_a_name_stands_for_one_piece() -> None:
    with pytest.raises(UserError, match="Two pieces have the name spin"):

        class Other(Piece):
            kind, name = "toy", "spin"


def test_a_file_of_ones_own_is_loaded_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from emosynth.pieces import Piece\n\nclass Mine(Piece):\n    kind = 'toy'\n    name = 'mine'\n")
    load_files([file, file])
    assert file_of("toy", "mine") == file and not pieces.module_of("toy", "mine").startswith("emosynth.")
    load_files([file])


def test_a_file_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("x = 1\nraise ValueError('no')\n")
    with pytest.raises(UserError, match=r"ValueError: no[\s\S]*broken.py, line 2"):
        load_files([file])
    with pytest.raises(UserError, match="no such file with pieces"):
        load_files([tmp_path / "none.py"])


def test_a_file_that_cannot_be_parsed_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "torn.py"
    file.write_text("x = 1\n\ndef f(:\n    pass\n")
    with pytest.raises(UserError, match=r"SyntaxError[\s\S]*torn.py, line 3\n"):
        load_files([file])


OWN = """
from pydantic import Field
from emosynth.{module}.base import {base}
from emosynth.pieces import Settings


class Mine({base}):
    name = "mine-own"
    {more} = True

    class Settings({base}.Settings):
        size: int = Field(1, ge=1)

    def {method}(self, *given):
        return None
"""


@pytest.mark.parametrize(
    ("room", "base", "method", "right", "more"),
    [
        ("guide", "Guide", "shows", "show", "x"), ("guide", "Guide", "show", "edit", "edits"), ("guide", "Guide", "show", "hint", "tunable"),
        ("check", "Check", "scores", "score", "x"), ("labeller", "Labeller", "label", "log_p", "x"), ("learner", "Learner", "fitt", "fit", "x"),
    ],
)  # fmt: skip
def test_a_piece_of_ones_own_without_its_main_method_is_told_of(
    tmp_path: Path, room: str, base: str, method: str, right: str, more: str
) -> None:
    """It inherited what the base class only declares, and failed in the middle of a run."""
    file = tmp_path / "own.py"
    file.write_text(OWN.format(module=f"{room}s", base=base, method=method, more=more))
    for _ in range(2):  # whoever looks next in this process is told too
        with pytest.raises(UserError, match=f"The {room} mine-own has no {right}[.]") as raised:
            load_files([file])
        assert (
            f"{file}, class Mine" in str(raised.value) and right in raised.value.remedy and f"emosynth.{room}s.base" in raised.value.remedy
        )
    assert "mine-own" not in registered(room)
    if right not in ("edit", "hint"):
        whole = tmp_path / "whole.py"
        whole.write_text(OWN.format(module=f"{room}s", base=base, method=right, more=more))
        load_files([whole])
        with pytest.raises(UserError, match=r"mine-own.size[\s\S]*See .*whole[.]py[.]"):
            build(room, "mine-own", {"size": 0}, "arms.x")


def test_installed_packages_bring_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "emo_extra.py").write_text(
        "from emosynth.pieces import Piece\n\nclass Extra(Piece):\n    kind = 'guide'\n    name = 'extra'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    point = importlib.metadata.EntryPoint("extra", "emo_extra", pieces.ENTRY_POINT)
    monkeypatch.setattr(pieces, "entry_points", lambda group: [point] if group == pieces.ENTRY_POINT else [])
    monkeypatch.setattr(pieces, "_FOUND", {"toy"})
    assert "extra" in registered("guide")
    bad = importlib.metadata.EntryPoint("bad", "emo_not_there", pieces.ENTRY_POINT)
    monkeypatch.setattr(pieces, "entry_points", lambda group: [bad])
    monkeypatch.setattr(pieces, "_FOUND", {"toy"})
    with pytest.raises(UserError, match="entry point bad = emo_not_there"):
        registered("guide")


@pytest.mark.parametrize("room", ["guide", "check", "labeller", "learner"])
def test_rooms_are_read_without_heavy_libraries(room: str) -> None:
    code = f"""
import sys
from emosynth.pieces import registered
found = registered({room!r})
print([name for name in ("torch", "transformers", "datasets", "shap", "xgboost", "openvino", "matplotlib") if name in sys.modules])
assert found and all(name == cls.name for name, cls in found.items())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
