"""A recipe is picked on validation rows alone: what is scored, what may be picked, by which rule; and the profile that searches."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest
import yaml

import toy_trials as toy
from emosynth.catalog import Catalog
from emosynth.cli import main
from emosynth.design.arms import learners_of, list_origins, resolve_arm
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.evidence import Found, Group, Scored, judge
from emosynth.evidence.recipe import frozen, left_out, pick_recipe, ranking, tries, write_recipe
from emosynth.files import read_json
from emosynth.generation.read import candidates_of, load_candidates
from emosynth.generation.slots import needs_of
from emosynth.params import Params, load_params
from emosynth.report.figures.base import figure_names
from emosynth.report.pages import render_pages
from emosynth.report.tables import Tables
from emosynth.trials import plan_trials, run_trials
from emosynth.trials.sources import Sources
from emosynth.writers import list_uses
from fake_results import ROOT, fake_params, write_fake_results
from test_evidence import BASE, declared, scored
from test_trials import Shelf

SEARCH = {"scored_on": "validation", "unverified": False, "folds": 2}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))


# --- rows that are scored ---------------------------------------------------------------------------------


def test_validation_rows_are_scored_and_say_so(tmp_path):
    sections = {"corpora": {"target": "toy"}, "cells": {"sizes": [8], "repeats": 1}, "arms": {"naive": {"checks": "sure"}}}
    made = toy.params(**sections, training=SEARCH)
    paths = toy.write_profile(tmp_path / "root", made)
    found = run_trials(made, Shelf(tmp_path / "encoder"), paths)
    frame = Sources.load(made, paths).corpora["toy"].frame.set_index("id")
    assert set(frame.loc[found["test_rows"]["row_id"], "split"]) == {"validation"} and len(found["test_rows"]) == 20
    assert [p.size for p in found["predictions"]["p"]] == [40, 40]
    assert set(found["trials"]["scored_on"]) == set(found["test_rows"]["scored_on"]) == {"validation"}
    on_test = run_trials(toy.params(**sections), Shelf(tmp_path / "encoder"), paths)
    assert set(on_test["trials"]["scored_on"]) == {"test"} and [p.size for p in on_test["predictions"]["p"]] == [60, 60], (
        "the cache keeps them apart"
    )


def test_training_rows_may_not_repeat_rows_that_are_scored(tmp_path):
    made = toy.params(training=SEARCH)
    sources = Sources.load(made, toy.write_profile(tmp_path, made))
    sources.check_real()
    frame = sources.corpora["toy"].frame
    frame.loc[frame.index[frame["split"] == "validation"][0], "text"] = frame.loc[frame.index[frame["split"] == "train"][0], "text"].upper()
    with pytest.raises(UserError, match="repeat test or validation rows"):
        sources.check_real()
    sources.params = toy.params()
    sources.check_real()


def test_settings_are_not_chosen_on_the_rows_that_are_scored():
    with pytest.raises(UserError, match="chosen on the rows that models are scored on"):
        toy.params(training={**SEARCH, "choose_on": "validation"})


def test_scores_of_two_splits_do_not_meet_in_one_table():
    made = scored({("seed", 60): 0.5})
    assert made.scored_on == "test", "tables of earlier versions do not say"
    rows = pd.DataFrame({"corpus": ["c1"], "place": [0], "labels": [["a"]], "scored_on": "test"})
    none = pd.DataFrame({"trial_id": [], "p": []})
    with pytest.raises(UserError, match="test and validation rows stand in one table"):
        Scored(made.trials.assign(scored_on="validation"), none, rows, made.labels, made.evidence)
    mixed = pd.concat([made.trials.assign(scored_on="validation"), made.trials.assign(scored_on="test")])
    with pytest.raises(UserError, match="stand in one table"):
        Scored(mixed, none, rows, made.labels, made.evidence)


def test_no_claim_is_judged_on_validation_rows():
    levels = {**BASE, ("shap:unverified", 120): 0.75}
    given = fake_params(corpora={"target": "c1"}, cells={"sizes": [60, 120], "repeats": 5}, evidence={"resamples": 500})
    made = scored(levels, given=given)
    shares = {"c1": {"a": 0.45, "b": 0.45, "c": 0.1}}
    assert judge([declared()], given, Found(made, None, None, None, shares))[0].verdict == "supported"
    made.scored_on = "validation"
    claim = judge([declared()], given, Found(made, None, None, None, shares))[0]
    assert claim.verdict == "not tested" and "validation rows" in claim.why and not claim.replications


def test_against_real_rows_the_margin_is_a_share_of_what_these_gain():
    given = fake_params(
        arms={"real+5x": {"add": "real", "growth": 5.0}, "mine": {"checks": "basic", "growth": 5.0}}, evidence={"resamples": 300}
    )
    made = scored({("seed", 60): 0.5, ("real+1x", 60): 0.6, ("real+5x", 60): 0.8, ("mine", 60): 0.6}, given=given)
    mine, real = Group("c1", "trees", 60, "mine"), Group("c1", "trees", 60, "real+1x")
    gained = made.compare(real, Group("c1", "trees", 60, "seed"))
    assert gained is not None and made.equivalence(given, mine, real, 0.5).margin == pytest.approx(gained.effect / 2)


def test_every_page_says_that_its_scores_are_for_choosing(tmp_path):
    params = fake_params(figures={"formats": ["svg"], "dpi": 50}, evidence={"resamples": 100})
    paths = write_fake_results(tmp_path, params)
    for name in ("trials", "test_rows"):
        path = paths.trials / f"{name}.parquet"
        pd.read_parquet(path).assign(scored_on="validation").to_parquet(path, index=False)
    render_pages(Tables(paths, params), Catalog.load(paths), dict.fromkeys(figure_names(), "left out"))
    pages = [page.read_text(encoding="utf-8") for page in sorted(paths.report.glob("*.html"))]
    assert len(pages) > 5 and all("are of validation rows, for choosing among arms" in page for page in pages)


# --- the rule ---------------------------------------------------------------------------------------------

ARMS: dict[str, Any] = {
    "steady": {"checks": "sure"},
    "lucky": {"checks": "sure", "growth": 2.0},
    "partial": {"checks": "sure", "growth": 0.5},
    "pseudo": {"add": "unlabelled", "labels": {"teacher": 1.0}},
    "lottery": {"checks": "sure", "mix": {"select": "random"}},
}


def planted(gains: dict[str, list[float]], lacking: tuple[str, str] = ("partial", "notes")) -> pd.DataFrame:
    """Trials with gains by candidate and corpus (toy, notes); ``lacking``: an arm and the corpus that it was not run on."""
    rows = []
    for corpus, own in (("toy", 0.5), ("notes", 0.3)):
        for repeat in range(2):
            for name, gain in {"seed": [0.0, 0.0], **gains}.items():
                arm, _, value = name.partition("?")
                if (arm, corpus) == lacking and repeat:
                    continue
                rows.append({
                    "trial_id": f"{corpus}/{repeat}/{name}", "corpus": corpus, "size": 8, "repeat": repeat, "learner": "tfidf", "arm": arm, "version": "",
                    "budget": "accepted", "sweep": "mix.weight" if value else "", "value": value, "macro_f1": own + 0.1 * repeat + gain[corpus == "notes"],
                    "n_synthetic": 0 if arm == "seed" else 8, "tokens": 80, "scored_on": "validation",
                })  # fmt: skip
    return pd.DataFrame(rows)


def searched(**arms: Any) -> Params:
    return toy.params(arms={**ARMS, **arms}, sweeps={"steady": {"mix.weight": [0.3]}}, training=SEARCH)


def test_one_recipe_is_picked_by_mean_rank_of_those_that_may_be():
    gains = {
        "steady": [0.05, 0.05],
        "steady?0.3": [0.06, 0.06],
        "lucky": [0.04, 0.50],
        "partial": [0.9, 0.9],
        "pseudo": [0.8, 0.8],
        "lottery": [0.7, 0.7],
    }
    found = tries(planted(gains), searched())
    assert found.groupby(["arm", "changed"]).ngroups == 6 and len(found) == 12, "every try is listed"
    why = found.groupby("arm")["why_not"].first().to_dict()
    assert why == {
        "steady": "", "lucky": "", "partial": "not run everywhere", "pseudo": "asks for more than a seed", "lottery": "a control",
    }  # fmt: skip
    assert found.loc[found["why_not"] != "", "rank"].isna().all()
    own = found[(found["arm"] == "steady") & (found["changed"] == "mix.weight = 0.3") & (found["corpus"] == "toy")].iloc[0]
    assert own["gain"] == pytest.approx(0.06) and own["score"] == pytest.approx(0.61) and (own["rank"], own["repeats"]) == (1.0, 2)
    # ranks: steady 2 and 3, its weight 1 and 2, lucky 3 and 1: a gain of half a point of F1 on one corpus decides nothing alone
    assert ranking(found).loc[:2, "rank"].tolist() == [1.5, 2.0, 2.5]
    assert pick_recipe(found) == ("steady", "mix.weight = 0.3")
    assert set(ranking(found)["why_not"].iloc[3:]) == {"not run everywhere", "asks for more than a seed", "a control"}


def test_equal_ranks_go_to_the_larger_gain_and_then_to_the_first_name():
    found = tries(planted({"steady": [0.02, 0.05], "lucky": [0.04, 0.04]}), searched())
    assert ranking(found)["rank"].tolist() == [1.5, 1.5] and pick_recipe(found) == ("lucky", "")
    assert pick_recipe(tries(planted({"steady": [0.04, 0.04], "lucky": [0.04, 0.04]}), searched())) == ("lucky", "")


def test_what_others_pick_is_told_for_each_corpus():
    made = left_out(tries(planted({"steady": [0.02, 0.05], "lucky": [0.04, 0.01]}), searched()))
    assert made[["corpus", "arm"]].to_numpy().tolist() == [["notes", "lucky"], ["toy", "steady"]]
    assert made["gain"].tolist() == pytest.approx([0.01, 0.02]) and made["rank"].tolist() == [2.0, 2.0]


def test_nothing_is_picked_on_test_rows_or_from_arms_that_were_not_run_everywhere():
    rows = planted({"partial": [0.1, 0.1]})
    with pytest.raises(UserError, match="picked on validation rows"):
        tries(rows.assign(scored_on="test"), searched())
    with pytest.raises(UserError, match="No candidate was run in every cell"):
        pick_recipe(tries(rows, searched()))


def test_what_is_picked_is_an_arm_of_another_profile():
    given = searched(both={"checks": "sure", "plus": ["lucky"], "growth": 2.0})
    arms = frozen(given, "both", "mix.weight = 0.3")
    assert arms == {
        "recipe": {"checks": "sure", "plus": ["lucky"], "growth": 2.0, "mix": {"weight": 0.3}, "title": "recipe"},
        "lucky": ARMS["lucky"],
    }
    again = resolve_arm(toy.params(arms=arms), "recipe")
    assert again.spec.mix.weight == 0.3 and again.origin == resolve_arm(given, "both").origin


def test_the_command_lists_every_try_and_prints_the_arm(tmp_path):
    made = toy.params(corpora={"target": "toy"}, cells={"sizes": [8], "repeats": 2}, training=SEARCH)
    paths = toy.write_profile(tmp_path / "root", made)
    with pytest.raises(UserError, match="has not been made yet"):
        write_recipe(made, paths)
    run_trials(made, Shelf(tmp_path / "encoder"), paths)
    path, said = write_recipe(made, paths)
    listed = pd.read_csv(path)
    assert set(listed["arm"]) == {"real+1x", "naive", "taught"} and path.name == "recipe.csv"
    arms = yaml.safe_load(said[said.index("arms:") :])["arms"]
    best = said.partition("Picked: ")[2].partition(".")[0]
    ranks = listed[listed["arm"].isin(["naive", "taught"])].groupby("arm")["rank"].mean()
    assert ranks[best] == ranks.min() and arms["recipe"].items() >= made.arms[best].model_dump(exclude_unset=True).items()
    before = path.read_bytes()
    assert write_recipe(made, paths)[1] == said and path.read_bytes() == before


def test_the_command_says_what_is_lacking(capsys):
    assert main(["--root", str(ROOT), "recipe", "--profile", "no-such"]) == 1
    assert "no-such" in capsys.readouterr().err


# --- arms in equal shares ---------------------------------------------------------------------------------


def test_an_arm_that_shares_its_rows_has_a_right_to_its_share_of_candidates(tmp_path):
    made = toy.params(
        corpora={"target": "toy"}, arms={"part": {"guide": "edits"}, "whole": {"growth": 2.0, "plus": ["part"], "checks": "basic"}}
    )
    own = {use.origin.name: use.candidates for use in list_uses(made) if use.cell == Cell("toy", 0, 8) and use.arm.name == "whole"}
    assert own == {"none@plain": 16}, "half of 16 rows, two candidates each; once it was asked for all 32"
    found = candidates_of(load_candidates(toy.write_profile(tmp_path, made)), made, resolve_arm(made, "whole"), Cell("toy", 0, 8))
    assert len(found) == 16


# --- the profile ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def profiles() -> tuple[Params, Params]:
    return load_params(ROOT, "paper"), load_params(ROOT, "recipe")


def test_the_search_is_on_seeds_prompts_and_texts_of_the_paper_profile(profiles):
    paper, search = profiles
    for section in ("corpora", "models", "narratives", "generation", "guides"):
        assert getattr(search, section) == getattr(paper, section), section
    for section, fields in (("shap", ("explain", "tokens", "exemplars", "diversity", "min_document_frequency", "function_words")),
                            ("cells", ("random_seed", "min_per_class"))):  # fmt: skip
        assert [getattr(getattr(search, section), name) for name in fields] == [getattr(getattr(paper, section), name) for name in fields]
    assert search.training.folds == paper.training.folds and search.teacher == paper.teacher
    for name in search.corpora.names:
        own, theirs = search.cells, paper.cells
        assert own.sizes_of(name)[0] == theirs.sizes_of(name)[0], "the smallest seed's guarantee orders all rows"
        assert own.min_per_class_of(name) == theirs.min_per_class_of(name) and own.repeats_of(name) == theirs.repeats_of(name)
    written = [needs(params) for params in profiles]
    assert written[1] and all(count <= written[0].get(place, 0) for place, count in written[1].items()), (
        "no text that the paper profile does not write"
    )


def needs(params: Params) -> dict[tuple[str, Cell], int]:
    """How many texts of each origin a language model must have written, by place."""
    uses = list_uses(params)
    return {
        (name, place): count
        for name, origin in list_origins(params).items()
        if origin.edits is None
        for place, count in needs_of(params, [use for use in uses if use.origin.name == name]).items()
    }


def test_the_search_is_scored_on_validation_rows_and_short(profiles):
    _, search = profiles
    trials, _ = plan_trials(search, learners_of(search), lambda arm, cell, learner: "")
    assert search.training.scored_on == "validation" and len(trials) <= 1500
    assert f"{len(trials):,} models in all" in (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert all(not learner.stepped for learner in learners_of(search).values())
    seeds = [trial for trial in trials if trial.arm.name == "seed"]
    whole = {key for key in {(trial.arm.name, trial.shown_value) for trial in trials}
             if sum((trial.arm.name, trial.shown_value) == key for trial in trials) == len(seeds)}  # fmt: skip
    lacking = {trial.arm.name for trial in trials} - {name for name, _ in whole}
    assert lacking == {"emo-pillars", "both-after", "naive-5x"}, "all others can be picked"


def test_the_second_search_is_on_the_seeds_and_by_the_rule_of_the_first(profiles):
    _, first = profiles
    second = load_params(ROOT, "quantity")
    for section in ("corpora", "cells", "models", "shap", "narratives", "generation", "guides", "teacher", "training"):
        assert getattr(second, section) == getattr(first, section), section
    trials, _ = plan_trials(second, learners_of(second), lambda arm, cell, learner: "")
    assert f"{len(trials):,} models" in (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert {trial.learner for trial in trials} == {"tfidf", "trees", "embedding"}
    text = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in set(second.arms) - set(first.arms) - set(load_params(ROOT, "paper").arms))


def own_blocks() -> list[dict[str, Any]]:
    """The profiles that the docs tell a reader with a seed to write."""
    own = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8").partition("## Your own seed")[2]
    return [yaml.safe_load(block) for block in re.findall("```yaml\n(.*?)```", own, re.S) if "arms:" in block]


def test_the_recipes_that_are_to_be_pasted_are_those_that_were_judged(tmp_path, profiles):
    paper = profiles[0]
    blocks, titles = own_blocks(), {"quantity": "second recipe: 20 plain rows a label, softened", "recipe": "first recipe: mixed prompts"}
    assert [next(iter(block["arms"])) for block in blocks] == list(titles)
    left = {"title", "sizes", "repeats"}
    for block in blocks:
        (tmp_path / "profiles").mkdir(exist_ok=True)
        (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        (tmp_path / "profiles" / "mine.yaml").write_text(yaml.safe_dump(block), encoding="utf-8")
        made = load_params(tmp_path, "mine")  # the check of a whole design: every piece is found, and they go together
        for name, said in block["arms"].items():
            theirs = yaml.safe_load((ROOT / "profiles" / "paper.yaml").read_text(encoding="utf-8"))["arms"][name]
            assert {key: value for key, value in said.items() if key not in left} == {
                key: value for key, value in theirs.items() if key not in left
            }
            ours, own = (resolve_arm(params, name) for params in (paper, made))
            assert ours.spec.model_dump(exclude=left) == own.spec.model_dump(exclude=left) and ours.origin.name == own.origin.name, name
            assert [check.identity() for check in ours.checks] == [check.identity() for check in own.checks]
            assert titles.get(name, own.spec.title) == own.spec.title
    text = " ".join((ROOT / "docs" / "recipe.md").read_text(encoding="utf-8").split())
    assert all(text.count(f"*{title}*") >= 2 and f"the arm `{name}`" in text for name, title in titles.items())


def test_docs_judge_claims_where_they_were_judged():
    text = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    names = {"isear": "ISEAR", "sst2": "SST-2", "tweeteval-emotion": "TweetEval", "goemotions": "GoEmotions",
             "tfidf": "TF-IDF", "trees": "trees", "embedding": "embeddings", "encoder": "encoder"}  # fmt: skip
    claims = [claim for claim in read_json(ROOT / "reports" / "paper" / "claims.json")["claims"] if claim["id"][0] in "DE"]
    for claim in claims:
        where = f"{names[claim['corpus']]}, {claim['size']} labels, {names[claim['learner']]}"
        assert re.search(rf"^\| {claim['id']}: [^|]+ \| {where} \|", text, re.M), f"{claim['id']} was judged on {where}"
    assert re.findall(r"^\| ([DE]\d+):", text, re.M) == [claim["id"] for claim in claims], "all of them, in their order"


def test_docs_name_the_candidates(profiles):
    text = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    _, search = profiles
    assert all(f"`{name}`" in text for name in search.arms)
