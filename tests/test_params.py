"""Parameters: complete, typed, checked; errors say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from emosynth.errors import UserError
from emosynth.params import Params, deep_merge, load_params
from emosynth.pipeline import profiles

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("profile", profiles(ROOT))
def test_profiles_are_valid(profile):
    assert isinstance(load_params(ROOT, profile), Params)


def written(tmp_path: Path, change) -> Path:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    change(values)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["cells"].update(repaets=3), ["cells.repaets", "did you mean repeats"]),
        (lambda v: v["cells"].update(repeats="three"), ["cells.repeats", "integer", "three"]),
        (lambda v: v["cells"].update(sizes=[80, 40]), ["cells.sizes", "ascending"]),
        (lambda v: v["cells"].pop("sizes"), ["cells.sizes", "required"]),
        (lambda v: v["cells"].update(per={"films": {}}), ["cells.per", "films is not built"]),
        (lambda v: v["models"]["writer"].update(backend="magic"), ["models.writer.backend", "openvino"]),
        (lambda v: v["models"]["writer"].update(backend="server", url="http://x/v1"), ["models.reader"]),
        (lambda v: v["corpora"].update(fractions=[0.5, 0.5, 0.5]), ["sum to 1"]),
        (lambda v: v["corpora"].update(also=["sst2", "sst2"]), ["corpora.also", "twice"]),
        (lambda v: v["corpora"].update(custom={"path": "x.csv", "name": "mine"}), ["corpora.custom.name", "mine"]),
        (lambda v: v["tuning"].update(prefix="A {noun}:"), ["tuning.prefix", "{label}"]),
        (lambda v: v["tuning"].update(prefix="{label} {mood}:"), ["no other braces"]),
        (lambda v: v["tuning"].update(epochs="5e-4"), ["tuning.epochs", "5e-4"]),
        (lambda v: v["narratives"].update(min_words=90, max_words=40), ["narratives.min_words"]),
        (lambda v: v["arms"].update(x={"add": "real", "guide": "shap"}), ["arms.x", "guide: says something of written rows"]),
        (lambda v: v["arms"].update({"A b": {}}), ["arms.A b", "lower-case"]),
        (lambda v: v["arms"].update(x={"guide": "shpa"}), ["guide called shpa", "Did you mean shap", "arms.x.guide"]),
        (lambda v: v["arms"].update(x={"corpora": ["nowhere"]}), ["arms.x.corpora", "nowhere is not built"]),
        (lambda v: v["learners"].update(tfid={}), ["learner called 'tfid'", "Did you mean tfidf"]),
        (lambda v: v["learners"].update(tfidf={"arms": ["sead"]}), ["learners.tfidf.arms", "Did you mean seed"]),
        (lambda v: v["learners"].update(tfidf={"sizes": [7]}), ["learners.tfidf.sizes", "7 is not the size of a seed"]),
        (lambda v: v.update(authenticity={"size": 77}), ["authenticity.size", "77"]),
        (lambda v: v.update(arms={}), ["arms", "at least 1"]),
        (lambda v: v.update(pieces=["none.py"]), ["no such file with pieces", "none.py"]),
        (lambda v: v.update(celsl={}), ["celsl", "did you mean cells"]),
    ],
)
def test_bad_parameters_are_named(tmp_path, change, words):
    with pytest.raises(UserError) as error:
        load_params(written(tmp_path, change), "demo")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["corpora"].update(target="mine", also=[], custom={"path": "mine.csv"}),
        lambda v: v["models"]["writer"].update(backend="transformers"),
        lambda v: v["arms"].update(x={"writer": {"plain": 1.0, "biasable": 2.0}, "checks": "none", "labels": {"reader": 1.0}}),
        lambda v: v["arms"].update(x={"guide": [{"narrative": {"grounded": False}}], "space": "goemotions", "rows": 9}),
        lambda v: v["tuning"].update(prefix="{noun} of {label} –"),
    ],
)
def test_what_is_allowed(tmp_path, change):
    assert isinstance(load_params(written(tmp_path, change), "demo"), Params)


def test_another_target_or_writer_is_one_line(tmp_path):
    """Naming another target or another writer changes every arm; nothing else need be touched."""

    def change(v):
        v["corpora"]["target"] = "sst2"
        v["models"]["writer"]["model"] = "another"

    params = load_params(written(tmp_path, change), "demo")
    assert params.corpora.names[0] == "sst2" and params.models.local == "another"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "not valid YAML"),
        ("cells: {sizes: [2]}\ncells: {}\n", "the key 'cells' stands twice"),
        ("[]", "must hold sections"),
        (b"a: \xff", "not UTF-8"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, words):
    (tmp_path / "params.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=words):
        load_params(tmp_path, "demo")


def test_unknown_profile():
    with pytest.raises(UserError, match="no such parameter file"):
        load_params(ROOT, "nightly")


def test_deep_merge_replaces_lists_and_merges_mappings():
    assert deep_merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}}


def test_null_takes_an_arm_away_and_nothing_else():
    assert deep_merge({"arms": {"x": {"g": 1}, "y": {}}, "size": 3}, {"arms": {"x": None}, "size": None}) == {
        "arms": {"y": {}},
        "size": None,
    }
