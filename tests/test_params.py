"""Parameters: complete, typed, checked; errors say what to do."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from emosynth.design.arms import growth_of, resolve_arms, wanted_rows
from emosynth.design.cells import list_cells
from emosynth.errors import UserError
from emosynth.params import Params, deep_merge, load_params
from emosynth.params.base import load_yaml
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
        (lambda v: v["cells"].update(repeats_at={7: 1}), ["cells.repeats_at.7", "one of the sizes"]),
        (lambda v: v["cells"].update(repeats_at={v["cells"]["sizes"][-1]: 99}), ["repeats_at", "1 to 5 repeats"]),
        (lambda v: v["cells"].update(per={"films": {}}), ["cells.per", "films is not built"]),
        (lambda v: v["models"]["writer"].update(backend="magic"), ["models.writer.backend", "openvino"]),
        (lambda v: v["models"]["writer"].update(backend="server", url="http://x/v1"), ["models.reader"]),
        (lambda v: v["corpora"].update(fractions=[0.5, 0.5, 0.5]), ["sum to 1"]),
        (lambda v: v["corpora"].update(also=["sst2", "sst2"]), ["corpora.also", "twice"]),
        (lambda v: v["corpora"].update(custom={"path": "x.csv", "name": "mine"}), ["corpora.custom.mine", "corpora.also"]),
        (lambda v: v["tuning"].update(prefix="A {noun}:"), ["tuning.prefix", "{label}"]),
        (lambda v: v["tuning"].update(prefix="{label} {mood}:"), ["no other braces"]),
        (lambda v: v["tuning"].update(prefix="{label} {noun.upper}:"), ["no other braces"]),
        (lambda v: v["tuning"].update(prefix="{label} {noun:>2000000000}:"), ["no other braces"]),
        (lambda v: v["arms"].update({"a\n": {}}), ["arms.a", "lower-case"]),
        (lambda v: v["corpora"].update(target="m\n", custom={"path": "x.csv"}), ["corpora.custom.m", "lower-case"]),
        (lambda v: v["models"].update(others={"<img>": {}}), ["models.others.<img>", "lower-case"]),
        (lambda v: v["tuning"].update(epochs="5"), ["tuning.epochs", "quotation marks"]),
        (lambda v: v["tuning"].update(epochs=0.0005), ["tuning.epochs", "0.0005"]),
        (
            lambda v: v["corpora"].update(target="mine", custom={"path": "x.csv", "classes": [True, "joy"]}),
            ["classes.0", "quotation marks"],
        ),
        (lambda v: v["corpora"].update(target="mine", custom={"path": "x.csv", "label_separator": ""}), ["label_separator", "at least 1"]),
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
        (lambda v: v["models"].update(writer="x"), ["models.writer: must be a mapping (found 'x'); write writer: {model: x}"]),
        (lambda v: v["models"].update(others={"big": "a/b"}), ["models.others.big", "write big: {model: a/b}"]),
        (lambda v: v.update(cells=40), ["cells: must be a mapping (found 40); it has sizes, repeats"]),
        (lambda v: v.update(arms=["x"]), ["arms: must be a mapping (found ['x'])"]),
        (
            lambda v: v["arms"].update(x={"add": "file", "file": {"path": "x", "lables": "y"}}),
            ["arms.x.file.lables", "did you mean labels"],
        ),
        (
            lambda v: v["arms"].update(x={"sizes": "smallest"}),
            ["  arms.x.sizes: Input should be a valid list or 'largest' (found 'smallest')"],
        ),
        (lambda v: v["arms"].update(x={"sizes": ["a"]}), ["  arms.x.sizes.0: Input should be a valid integer (found 'a')"]),
        (lambda v: v["writers"].update(w={"rows": 0}), ["  writers.w.rows: Input should be greater than or equal to 1 or 'all' (found 0)"]),
        (lambda v: v["cells"].update(per={"vader-tweets": {"repeats_at": {"x": 1}}}), ["  cells.per.vader-tweets.repeats_at.x: Input"]),
        (
            lambda v: v["arms"].update(x={"labels": {"teacher": 1.4}}),
            ["valid: teacher.share: Input should be less than or equal to 1 or 'rest'."],
        ),
        (lambda v: v["arms"].update(x={"add": "none", "growth": 2.0}), ["arms.x: growth", "this arm adds none"]),
        (lambda v: v.update(figures={"formats": []}), ["figures.formats", "at least 1"]),
    ],
)
def test_bad_parameters_are_named(tmp_path, change, words):
    with pytest.raises(UserError) as error:
        load_params(written(tmp_path, change), "demo")
    for word in words:
        assert word in str(error.value)


def test_a_model_in_the_place_of_its_section_is_answered_with_the_nearest_of_the_catalogue(tmp_path):
    written(tmp_path, lambda v: v["models"].update(writer="smollm3"))
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data" / "catalog.yaml", tmp_path / "data")
    with pytest.raises(UserError, match=r"or did you mean {model: smollm2-135m-instruct}\?"):
        load_params(tmp_path, "demo")


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
        ("cells: {sizes: [2]}\ncells: {}\n", "twice in line 2, column 1"),
        ("cells:\n\tsizes: [2]", "start any token in line 2, column 1"),
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


@pytest.mark.parametrize("name", ["my profile", "../demo", "", "-x", "a/b", "a.b", "é", "a\nb"])
def test_names_that_no_profile_can_have(name):
    with pytest.raises(UserError, match="cannot be the name of a profile"):
        load_params(ROOT, name)


def test_a_profile_that_would_not_be_read_is_an_error(tmp_path):
    root = written(tmp_path, lambda v: None)
    (root / "profiles").mkdir()
    mine = root / "profiles" / "mine.yml"
    mine.write_text("cells: {repeats: 1}\n")
    with pytest.raises(UserError, match=r"profiles/mine\.yml[\s\S]*rename it to mine\.yaml"):
        profiles(root)
    with pytest.raises(UserError, match=r"no such parameter file[\s\S]*Rename mine\.yml to mine\.yaml"):
        load_params(root, "mine")
    mine.rename(root / "profiles" / "demo.yaml")
    for act in (profiles, lambda root: load_params(root, "demo")):
        with pytest.raises(UserError, match=r"profiles/demo\.yaml would not be read"):
            act(root)
    (root / "profiles" / "demo.yaml").rename(root / "profiles" / "my own.yaml")
    with pytest.raises(UserError, match=r"'my own' cannot be the name"):
        profiles(root)
    (root / "profiles" / "my own.yaml").rename(root / "profiles" / "mine.yaml")
    for other in (".mine.yaml.swp", "mine.yaml~", "mine.csv", "notes.md"):
        (root / "profiles" / other).touch()
    assert profiles(root) == ["demo", "mine"]
    with pytest.raises(UserError, match="Did you mean mine"):
        load_params(root, "mime")


def test_a_profile_is_read_as_strictly_as_the_demo(tmp_path):
    root = written(tmp_path, lambda v: None)
    (root / "profiles").mkdir()
    (root / "profiles" / "mine.yaml").write_text("corpora: {near_duplicate: 0.9}\ncells: {repeats: 2}\ncorpora: {near_duplicate: 0.7}\n")
    with pytest.raises(UserError, match=r"'corpora' stands twice[\s\S]*mine.yaml"):
        load_params(root, "mine")
    (root / "profiles" / "mine.yaml").write_text(
        "writers: {tuned: {learning_rate: 5e-4}}\nmodels: {others: {no: {revision: 2026-11-01}}}\n"
    )
    params = load_params(root, "mine")
    assert params.writers["tuned"].learning_rate == 0.0005, "a number as DVC and YAML 1.2 read it"
    assert params.models.others["no"].revision == "2026-11-01", "no is a name, a date a text"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [*a]", "holds itself"),
        ("? [1]\n: 2", "a key must be a word"),
        ("a: {b: 1, b: 2}", "'b' stands twice"),
        ("a: 1\n---\nb: 2", "single document"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
    ],
)
def test_yaml_that_is_none(tmp_path, text, words):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        load_params(tmp_path, "demo")


@pytest.mark.parametrize("path", sorted([ROOT / "params.yaml", *(ROOT / "profiles").glob("*.yaml")]), ids=str)
def test_our_own_files_say_the_same_to_dvc(path):
    from ruamel.yaml import YAML

    text = path.read_text(encoding="utf-8")
    assert load_yaml(text) == YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda v, url: v["models"]["writer"].update(backend="server", url=url), "models.writer.url"),
        (lambda v, url: v["models"].update(others={"far": {"backend": "server", "url": url}}), "models.others.far.url"),
        (lambda v, url: v["narratives"].update(sources=[url]), "narratives.sources.0"),
        (lambda v, url: v["models"].update(encoder=url), "models.encoder"),
        (lambda v, url: v["learners"].update(tfidf={"nonsense": url}), "learners.tfidf.nonsense"),
    ],
)
@pytest.mark.parametrize("url", ["http://me:hunter22@host/v1", "https://hunter22@host/v1", "http://h/v1?api_key=hunter22"])
def test_secrets_in_addresses_are_refused_and_not_repeated(tmp_path, change, key, url):
    with pytest.raises(UserError) as error:
        load_params(written(tmp_path, lambda v: change(v, url)), "demo")
    assert f"{key}: the address holds" in str(error.value) and "api_key_env" in str(error.value)
    assert "hunter22" not in str(error.value)


@pytest.mark.parametrize("field", ["api_key", "X-Api-Key", "Authorization", "key", "access_token"])
def test_a_key_among_the_fields_of_a_request_is_refused(tmp_path, field):
    for extra in ({field: "hunter22"}, {"headers": {field: "hunter22"}}):
        with pytest.raises(UserError, match=r"models\.writer\.extra\.\S+: the field holds a key") as error:
            load_params(written(tmp_path, lambda v: v["models"]["writer"].update(extra=extra)), "demo")  # noqa: B023
        assert "hunter22" not in str(error.value)
    kept = written(tmp_path, lambda v: v["models"]["writer"].update(extra={"tokenizer": "auto", "max_tokens": 9, "keyword": "x"}))
    assert load_params(kept, "demo").models.writer.extra["tokenizer"] == "auto"


@pytest.mark.parametrize("url", ["me:hunter22@host/v1", "http://h/v1?x=hunter22", "http://h/v1#hunter22"])
def test_a_base_address_is_nothing_but_that(tmp_path, url):
    with pytest.raises(UserError, match=r"models\.writer\.url: the address holds"):
        load_params(written(tmp_path, lambda v: v["models"]["writer"].update(backend="server", url=url)), "demo")


def test_a_file_that_is_no_yaml_does_not_show_its_secrets(tmp_path):
    (tmp_path / "params.yaml").write_text("models: {writer: {url: http://me:hunter22@host/v1 ]}}")
    with pytest.raises(UserError, match="not valid YAML") as error:
        load_params(tmp_path, "demo")
    assert "hunter22" not in str(error.value)


def test_deep_merge_replaces_lists_and_merges_mappings():
    assert deep_merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}}


def test_null_takes_an_arm_away_and_nothing_else():
    assert deep_merge({"arms": {"x": {"g": 1}, "y": {}}, "size": 3}, {"arms": {"x": None}, "size": None}) == {
        "arms": {"y": {}},
        "size": None,
    }


def laid_over(tmp_path: Path, text: str) -> Path:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "profiles" / "mine.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_preset_runs_where_it_is_switched_on(tmp_path):
    root = laid_over(tmp_path, "arms: {tfidf: {run: true, sizes: largest}}\nsweeps: {tfidf: {mix.weight: [0.5]}}\n")
    assert "tfidf" not in load_params(root, "demo").arms and load_params(root, "mine").arms["tfidf"].guide == "tfidf"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arms: {tfdif: {run: true}}", "arms.tfdif.*Did you mean tfidf"),
        ("arms: {tfdif: {run: true, sizes: largest, repeats: 2}}", "arms.tfdif.*Did you mean tfidf"),
        ("arms: {tfidf: {sizes: largest}}", "tfidf is off .*arms.tfidf counts on it"),
        ("sweeps: {tfidf: {mix.weight: [0.5]}}", "tfidf is off .*sweeps.tfidf counts"),
        ("learners: {encoder: {arms: [seed, 'tfidf:unverified']}}", "tfidf is off .*learners.encoder.arms counts"),
        ("arms: {mine: {guide: shap, checks: agreed, after: tfidf}}", "tfidf is off .*arms.mine.after counts"),
        ("arms: {mine: {guide: shap, checks: agreed, plus: [tfidf]}}", "tfidf is off .*arms.mine.plus counts"),
        ("responsible: {collapse: {arm: shap-tuned, rounds: 1}}", "shap-tuned is off .*responsible.collapse.arm counts"),
        ("arms: {sentisynth: {run: false}}", "sentisynth is off .*sweeps.sentisynth counts"),
    ],
)
def test_an_arm_that_is_off_is_not_said_to_be_unknown(tmp_path, text, words):
    """An arm that is there and off was "no arm called tfidf", and a misspelt preset became an arm of its own."""
    with pytest.raises(UserError) as raised:
        load_params(laid_over(tmp_path, text), "mine")
    assert re.search(words, str(raised.value).replace("\n", " "))


@pytest.mark.parametrize(
    ("other", "fits"),
    [
        ({}, True),
        ({"checks": "agreed"}, False),  # other texts are taken
        ({"sizes": "largest"}, False),  # not in all cells
        ({"repeats": 1}, False),
        ({"guide": "tfidf"}, False),  # other texts are written
        ({"oversample": 1.0}, False),  # fewer to take from
    ],
)
def test_a_sweep_of_growth_goes_as_far_as_texts_are_written(tmp_path, other, fits):
    """An arm that shares texts, checks and cells with a larger one has its texts to grow on: SentiSynth's 40 rows a seed row, claim C5."""
    like = {"checks": "teacher", "oversample": 1.5}
    arms = {"mine": like, "more": like | {"growth": 4.0} | other}
    root = laid_over(tmp_path, yaml.safe_dump({"arms": arms, "sweeps": {"mine": {"growth": [1.0, 4.0]}}}))
    if fits:
        assert load_params(root, "mine").sweeps["mine"]["growth"] == [1.0, 4.0]
    else:
        with pytest.raises(UserError, match="made for 1 rows per seed row"):
            load_params(root, "mine")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "arms: {mine: {guide: narrative, space: goemotion, rows: 9}}",
            "called goemotion.*arms.mine.space.*Did you mean goemotions.*target, ",
        ),
        ("arms: {mine: {add: file, file: {path: a.csv}, space: goemotion}}", "called goemotion.*arms.mine.space"),
        ("arms: {mine: {checks: agreed, repeats: 9}}", "There are 5 repeats, and 9 .*arms.mine.repeats.*Raise cells.repeats"),
        ("cells: {repeats: 2}\nlearners: {trees: {repeats: 3}}", "There are 2 repeats, and 3 .*learners.trees.repeats"),
        ("checks: {mine: {extends: basic, agreemnt: {}}}", "no check called 'agreemnt'.*checks.mine.*Did you mean agreement"),
        ("checks: {none: {length: {}}}", "none is always there.*checks.none"),
        ("guides: {mine: [shap-token]}", "no guide called 'shap-token'.*guides.mine.*Did you mean shap-tokens"),
        ("guides: {mine: [{shap-tokens: 2}, {shap-tokens: 3}]}", "shap-tokens stands 2 times.*guides.mine"),
        (
            "corpora: {target: sst2, custom: {path: a.csv}}",
            "name of an entry of data/catalog.yaml: sst2.*corpora.custom.sst2.*another name",
        ),
    ],
)
def test_what_was_taken_without_a_word_is_told_before_work_starts(tmp_path, text, words):
    with pytest.raises(UserError) as raised:
        load_params(laid_over(tmp_path, text), "mine")
    assert re.search(words, str(raised.value).replace("\n", " "))


def test_repeats_of_the_demo_are_a_limit_for_profiles_of_fewer(tmp_path):
    """The demo gives some arms three repeats: a profile of two runs both, and says nothing of these arms."""
    assert load_params(laid_over(tmp_path, "cells: {repeats: 2}"), "mine").arms["sentisynth"].repeats == 3


def test_as_many_real_rows_are_as_many_whatever_is_wanted(tmp_path):
    """With growth 0.5 claim A1 compared 48 real rows with 24 written ones, and said "contradicted"."""
    params = load_params(laid_over(tmp_path, "generation: {growth: 0.5}"), "mine")
    arms = resolve_arms(params)
    for cell in list_cells(params):
        assert {wanted_rows(params, arms[name], cell) for name in ("real+1x", "real-balanced+1x", "naive", "shap")} == {cell.size // 2}
    assert {growth_of(load_params(ROOT, profile), arms["real+1x"]) for profile in ("demo", "paper", "recipe", "quantity")} == {1.0}


def test_not_all_arms_are_off(tmp_path):
    arms = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["arms"]
    with pytest.raises(UserError, match="run: true"):
        load_params(laid_over(tmp_path, yaml.safe_dump({"arms": {name: {"run": False} for name in arms}, "sweeps": None})), "mine")
