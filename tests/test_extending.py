"""The page on pieces of one's own: its code runs as it stands, and nothing but one file and one line is needed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from emosynth import pieces
from emosynth.checks.base import Judged
from emosynth.design.arms import learners_of, resolve_arm
from emosynth.design.cells import Cell
from emosynth.design.rows import Stage, hard_rows
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.guides.base import Draw, Tables
from emosynth.labellers.base import Labelled
from emosynth.learners.base import Resources, Task
from emosynth.params import deep_merge, read_file, validate
from emosynth.params.design import check_design

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SPACE = Space("toy", ("joy", "anger"), True, {"joy": "joy", "anger": "anger"}, {"joy": "joyful", "anger": "angry"})


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "my_pieces.py"
    path.write_text("from __future__ import annotations\n\n" + "\n\n".join(blocks("python")), encoding="utf-8")
    pieces.load_files([path])
    return path


@pytest.fixture(scope="module")
def params(mine: Path):
    overlay = yaml.safe_load(blocks("yaml")[1])
    values = deep_merge(read_file(ROOT / "params.yaml"), {**overlay, "pieces": [str(mine)]})
    made = validate(values, "the page")
    check_design(made, ROOT, "the page")
    return made


def test_an_arm_of_own_pieces_is_one_line(params) -> None:
    arm = resolve_arm(params, "mine")
    assert arm.origin is not None and arm.origin.name == "rare-words(3)@plain"
    assert "no-shouting" in [check.name for check in arm.checks]
    assert [(labeller.name, share) for labeller, share in arm.labellers] == [("asked", 0.8), ("hedged", 0.2)]
    assert learners_of(params)["nearest"].settings.neighbours == 5


def test_the_guide_shows_words_of_the_class(params) -> None:
    guide = resolve_arm(params, "mine").origin.guides[0]
    materials = Tables({("joy", "tfidf"): [("happy", 2.0), ("birthday", 1.0), ("ok", 0.5), ("sad", -1.0)]})
    shown = guide.show(Draw(("joy",), SPACE, materials, np.random.default_rng(0)))
    assert set(shown.tokens) == {"birthday", "happy", "ok"} and not shown.exemplars


def test_the_check_scores_once_and_passes_by_its_threshold(params) -> None:
    check = next(check for check in resolve_arm(params, "mine").checks if check.name == "no-shouting")
    rows = Judged(pd.DataFrame({"text": ["I AM HERE", "I am here"]}), Cell("toy", 0, 10), [], SPACE, "tweet", None, np.eye(2))  # type: ignore[arg-type]
    scores = check.score(rows)
    assert check.passes(scores).tolist() == [False, True]
    assert "share" not in check.judge(), "a threshold is no part of what makes a score"
    swept = resolve_arm(params, "mine", overrides={"checks.no-shouting": 1.0})
    assert next(c for c in swept.checks if c.name == "no-shouting").passes(scores).all()


def test_the_labeller_smooths(params) -> None:
    labeller = resolve_arm(params, "mine").labellers[1][0]
    made = labeller.log_p(Labelled(pd.DataFrame({"text": ["a"]}), Cell("toy", 0, 10), SPACE, SPACE, np.eye(2)[:1], np.eye(2)[:1], None))  # type: ignore[arg-type]
    assert np.allclose(np.exp(made), 0.5)


def test_the_learner_learns(params) -> None:
    places = {"good": 0, "great": 0, "bad": 1, "awful": 1}

    def embed(texts):
        return np.array([np.eye(2)[places[text]] for text in texts], dtype=np.float32)

    rows = hard_rows(list(places), [["joy"], ["joy"], ["anger"], ["anger"]], SPACE)
    learner = learners_of(params)["nearest"].__class__(learners_of(params)["nearest"].Settings(neighbours=2))
    fitted = learner.fit([Stage(rows, SPACE)], Task(SPACE, 4, None, 2, 0), Resources(embed, Path(), "", Path()))
    assert fitted.predict_proba(["good", "bad"]).argmax(axis=1).tolist() == [0, 1]


def test_a_name_taken_twice_and_an_unknown_name_are_errors(mine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(mine.read_text(encoding="utf-8"), encoding="utf-8")
    pieces.load_files([other])  # a mere copy brings nothing new
    other = tmp_path / "changed.py"
    other.write_text(mine.read_text(encoding="utf-8") + "# changed", encoding="utf-8")
    with pytest.raises(UserError, match="Two pieces have the name"):
        pieces.load_files([other])
    with pytest.raises(UserError, match="Did you mean no-shouting"):
        pieces.find("check", "no-shoutin", "arms.mine")


def test_a_broken_file_names_its_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("x = 1\n\nraise RuntimeError('no')\n", encoding="utf-8")
    with pytest.raises(UserError, match="no") as caught:
        pieces.load_files([broken])
    assert "line 3" in caught.value.where
    with pytest.raises(UserError, match="no such file"):
        pieces.load_files([tmp_path / "absent.py"])


@pytest.mark.parametrize("kind", sorted(pieces.ROOMS))
def test_every_piece_of_the_house_is_one_file_that_nobody_imports(kind: str) -> None:
    """A registered piece is found by its room: no other module names its class."""
    imported: dict[str, list[str]] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    imported.setdefault(f"{node.module}.{alias.name}", []).append(str(path))
    own = [cls for cls in pieces.registered(kind).values() if cls.__module__.startswith("emosynth.")]
    assert own
    for cls in own:
        assert not imported.get(f"{cls.__module__}.{cls.__name__}"), (
            f"{cls.name} is imported by {imported[f'{cls.__module__}.{cls.__name__}']}"
        )
        assert cls.__doc__ and cls.shown_name()


def test_pieces_are_looked_up_without_heavy_imports() -> None:
    """Parameters are checked by importing pieces: that must stay a matter of a second."""
    code = "import sys; from emosynth.params import load_params; load_params('.', 'demo'); print([m for m in ('torch', 'transformers', 'shap', 'xgboost', 'openvino', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
