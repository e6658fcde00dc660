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
    full["synthesis"]["generation"].pop("generator")
    used = {"none": (), "random_exemplars": ("exemplars",), "shap_tokens": ("tokens",), "shap_exemplars": ("exemplars",),
            "shap_both": ("tokens", "exemplars"), "shap_bias": ("bias",)}  # fmt: skip
    for arm in [*full["generation"]["arms"].values(), *full["synthesis"]["generation"]["arms"].values()]:
        for name in {"tokens", "exemplars", "bias"} - set(used[arm["guidance"]]):
            arm.pop(name)
        if arm["tuned"]:
            arm.pop("guidance")  # none is all there is for it
    of_kind = {"top_blocks": "blocks", "lora": "rank", "all": ""}
    for part in full["tuning"]["kinds"].values():
        for name in {"blocks", "rank"} - {of_kind[part["trainable"]]}:
            part.pop(name)
    full["synthesis"]["generation"].pop("prompts_per_class")  # no arm of it is guided by draws
    full["synthesis"]["verification"].pop("agreement")  # the teacher is asked instead
    for generator in full["grounding"]["generators"].values():
        generator.pop("generator")
    for arm in full["grounding"]["arms"].values():
        if arm["neutral"] == "plain":
            arm.pop("neutral")
    spelled(given, full)


def test_deep_merge_replaces_lists_and_merges_mappings():
    assert deep_merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}}


def test_null_takes_an_arm_away_and_nothing_else():
    assert deep_merge({"arms": {"x": {"g": 1}, "y": {}}, "size": 3}, {"arms": {"x": None}, "size": None}) == {
        "arms": {"y": {}},
        "size": None,
    }


# --- tuning, synthesis, distillation --------------------------------------------------------------------


def arm(name: str = "tuned", **change):
    return lambda v: v["synthesis"]["generation"]["arms"].setdefault(name, {}).update(change)


def tuning(**change):
    return lambda v: v["tuning"].update(change)


def kind(name: str = "top-blocks", **change):
    return lambda v: v["tuning"]["kinds"][name].update(change)


def perplexity(**change):
    return lambda v: v["synthesis"]["verification"]["perplexity"].update(change)


def both(*changes):
    return lambda v: [change(v) for change in changes]


def small(folder: Path, change) -> Path:
    """Write parameters with one size, one kind and two arms, whatever the demo has, and a change."""

    def fixed(v):
        v["corpora"].update(target="vader-tweets", also=["vader-films"])
        v["tuning"].update(corpus="vader-films", seeding={"sizes": [200], "repeats": 3}, held_out=0.1, model="m")
        v["tuning"]["kinds"] = {"top-blocks": {"trainable": "top_blocks"}}
        v["synthesis"]["generation"]["generator"] = {"backend": "openvino", "model": "m"}
        v["synthesis"]["generation"]["arms"] = {"naive": {"guidance": "none"}, "tuned": {"tuned": "top-blocks"}}
        v["synthesis"]["verification"]["perplexity"] = {"bound": "quantile", "low": 0.01, "high": 0.99}
        v["distillation"].update(arm="tuned")

    return copy(folder, both(fixed, change))


TWO_SIZES = tuning(seeding={"sizes": [100, 200], "repeats": 3})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (tuning(corpus="sst2"), ["tuning.corpus: sst2 is not built", "corpora.also", "vader-films"]),
        (arm(tuned="lora"), ["synthesis.generation.arms.tuned.tuned", "no kind lora", "top-blocks"]),
        (arm(guidance="shap_both"), ["synthesis.generation.arms.tuned", "guidance must be none"]),
        (lambda v: v["synthesis"]["generation"]["generator"].update(backend="server"), ["arms.tuned.tuned", "a server cannot be handed"]),
        (lambda v: v["synthesis"]["generation"]["generator"].update(model="other"), ["arms.tuned.tuned", "must be tuning.model"]),
        (tuning(model="other"), ["must be tuning.model"]),
        (both(TWO_SIZES, kind(sizes=[200])), ["synthesis.generation.arms.tuned.sizes", "not tuned on size 100", "kinds.top-blocks.sizes"]),
        (both(TWO_SIZES, kind(sizes=[100]), arm(sizes=[200])), ["not tuned on size 200"]),
        (kind(repeats=2), ["synthesis.generation.arms.tuned.repeats", "tuned on 2 repeats only", "kinds.top-blocks.repeats"]),
        (both(kind(repeats=1), arm(repeats=2)), ["tuned on 1 repeats only"]),
        (kind(sizes=[50]), ["tuning.kinds.top-blocks.sizes", "50", "tuning.seeding.sizes"]),
        (arm(sizes=[50]), ["synthesis.generation.arms.tuned.sizes", "50", "tuning.seeding.sizes"]),
        (tuning(seeding={"sizes": [14, 200], "repeats": 3}), ["tuning.held_out: 1 of 14", "at least 2"]),
        (tuning(held_out=0.005), ["tuning.held_out: 1 of 200"]),
        (tuning(held_out=0.5), ["tuning.held_out", "less than 0.5"]),
        (tuning(prefix="A {noun}:"), ["tuning", "prefix must hold {label}"]),
        (tuning(prefix="{label} {mood}:"), ["prefix may hold {label} and {noun}"]),
        (tuning(prefix="{label} {}:"), ["prefix may hold {label} and {noun}"]),
        (tuning(prefix="{label} {noun:"), ["prefix may hold {label} and {noun}"]),
        (tuning(kinds={}), ["tuning.kinds", "at least 1"]),
        (kind(trainable="head"), ["tuning.kinds.top-blocks.trainable", "top_blocks"]),
        (perplexity(low=0.99, high=0.5), ["synthesis.verification.perplexity", "low must be below high"]),
        (perplexity(low=0.5, high=0.5), ["low must be below high"]),
        (perplexity(high=1.5), ["both quantiles within 0 to 1"]),
        (perplexity(bound="absolute", low=300.0, high=20.0), ["low must be below high"]),
        (lambda v: v["distillation"].update(arm="tuend"), ["distillation.arm: there is no arm tuend", "naive, tuned"]),
        (lambda v: v["distillation"].update(students={}), ["distillation.students", "at least 1"]),
        (lambda v: v["distillation"]["students"].update(giant={}), ["distillation.students.giant", "tiny"]),
        (lambda v: v["distillation"].update(beta=0.0), ["distillation.beta", "greater than 0"]),
        (lambda v: v["distillation"].update(alpha=1.5), ["distillation.alpha", "less than or equal to 1"]),
        (lambda v: v["distillation"].update(c_grid=[]), ["distillation.c_grid", "at least 1"]),
        (arm("real-ish", guidance="none"), ["synthesis.generation.arms.real-ish", "belong to real text"]),
        (arm("a:b", guidance="none"), ["synthesis.generation.arms.a:b", "colon"]),
        (arm("bias", guidance="shap_bias"), ["synthesis.generation.arms.bias", "bias_generator.backend: transformers"]),
        (arm(growth=0.0), ["synthesis.generation.arms.tuned.growth", "greater than 0"]),
        (arm(oversample=0.5), ["synthesis.generation.arms.tuned.oversample", "greater than or equal to 1"]),
        (
            lambda v: v["generation"]["arms"].update(x={"tuned": "top-blocks"}),
            ["generation.arms.x.tuned", "tuned generators are for synthesis.generation.arms"],
        ),
    ],
)
def test_bad_parameters_of_the_second_system_are_named(tmp_path, change, words):
    with pytest.raises(UserError) as error:
        load_params(small(tmp_path, change), "demo")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        both(TWO_SIZES, kind(sizes=[200], repeats=1), arm(sizes=[200], repeats=1)),
        both(tuning(kinds={"top-blocks": {"trainable": "lora"}, "unused": {"trainable": "all"}})),
        tuning(prefix="{noun} of {label} –"),
        tuning(prefix="{label}:"),
        tuning(seeding={"sizes": [15], "repeats": 1}),  # round(1.5) is 2
        perplexity(bound="absolute", low=5.0, high=900.0),
        perplexity(low=0.0, high=1.0),
        lambda v: v["synthesis"]["verification"].update(perplexity=None),
        lambda v: v["synthesis"]["generation"]["generator"].update(backend="transformers"),
        both(
            lambda v: v["synthesis"]["generation"]["generator"].update(backend="server"),
            lambda v: v["synthesis"]["generation"]["arms"].pop("tuned"),
            lambda v: v["distillation"].update(arm="naive", students={"tfidf": {}}),
        ),
        both(
            lambda v: v["corpora"].update(custom={"path": "mine.csv", "name": "mine"}),
            tuning(corpus="mine"),
        ),
        tuning(corpus="vader-tweets"),
    ],
)
def test_what_the_second_system_allows(tmp_path, change):
    assert isinstance(load_params(small(tmp_path, change), "demo"), Params)


def test_repeats_beyond_those_there_are_are_not_said_to_be_none(tmp_path):
    try:
        load_params(small(tmp_path, arm(repeats=5)), "demo")
    except UserError as error:
        assert "None" not in str(error)
