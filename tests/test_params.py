"""Parameters: complete, typed, checked; errors say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from emosynth.errors import UserError
from emosynth.params import Params, deep_merge, load_params

ROOT = Path(__file__).parent.parent
PROFILES = ["demo", "smoke", "paper"]


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_are_valid(profile):
    assert isinstance(load_params(ROOT, profile), Params)


def copy(tmp_path: Path, change) -> Path:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    change(values)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["seeding"].update(repaets=3), ["seeding.repaets", "did you mean repeats"]),
        (lambda v: v["seeding"].update(repeats="three"), ["seeding.repeats", "integer", "three"]),
        (lambda v: v["seeding"].update(sizes=[80, 40]), ["ascending"]),
        (lambda v: v["seeding"].pop("sizes"), ["seeding.sizes", "required"]),
        (lambda v: v["generation"]["generator"].update(backend="magic"), ["generation.generator.backend", "openvino"]),
        (lambda v: v["generation"]["arms"].update(x={"guidance": "none", "sizes": [7]}), ["7", "seeding.sizes"]),
        (lambda v: v["generation"].pop("bias_generator"), ["shap_bias", "transformers"]),
        (lambda v: v["corpora"].update(fractions=[0.5, 0.5, 0.5]), ["sum to 1"]),
        (lambda v: v["training"]["learners"]["finetuned"].update(arms=["sead"]), ["sead", "there is no arm"]),
        (lambda v: v["training"]["learners"]["finetuned"].update(sizes=[999]), ["999", "training.learners.finetuned.sizes"]),
        (lambda v: v["authenticity"].update(size=77), ["authenticity.size"]),
        (lambda v: v["generation"]["arms"].update(realistic={"guidance": "none"}), ["realistic", "belong to real text"]),
        (lambda v: v.update(sedding={}), ["sedding", "did you mean seeding"]),
    ],
)
def test_bad_parameters_are_named(tmp_path, change, words):
    with pytest.raises(UserError) as error:
        load_params(copy(tmp_path, change), "demo")
    for word in words:
        assert word in str(error.value)
    assert "params.yaml" in str(error.value)


def test_unknown_profile_and_broken_yaml(tmp_path):
    with pytest.raises(UserError, match="no such parameter file"):
        load_params(ROOT, "nightly")
    (tmp_path / "params.yaml").write_text("a: [1")
    with pytest.raises(UserError, match="not valid YAML"):
        load_params(tmp_path, "demo")


def test_params_file_spells_out_every_parameter_that_is_set():
    """A default that only the code knows would be a parameter that DVC does not track."""

    def spelled(given, full, path=""):
        for key, value in full.items():
            if value is None or value == {} or value == []:
                continue
            assert key in given, f"{path}{key} has the value {value!r} but is not in params.yaml"
            if isinstance(value, dict):
                spelled(given[key], value, f"{path}{key}.")

    given = yaml.safe_load((ROOT / "params.yaml").read_text())
    full = load_params(ROOT, "demo").model_dump()
    for generator in ("generator", "bias_generator"):  # settings of backends that are not used
        full["generation"].pop(generator)
    used = {"none": (), "random_exemplars": ("exemplars",), "shap_tokens": ("tokens",), "shap_exemplars": ("exemplars",),
            "shap_both": ("tokens", "exemplars"), "shap_bias": ("bias",)}  # fmt: skip
    for arm in full["generation"]["arms"].values():
        for name in {"tokens", "exemplars", "bias"} - set(used[arm["guidance"]]):
            arm.pop(name)
    spelled(given, full)


def test_deep_merge_replaces_lists_and_merges_mappings():
    assert deep_merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}}


def test_null_takes_an_arm_away_and_nothing_else():
    assert deep_merge({"arms": {"x": {"g": 1}, "y": {}}, "size": 3}, {"arms": {"x": None}, "size": None}) == {
        "arms": {"y": {}},
        "size": None,
    }
