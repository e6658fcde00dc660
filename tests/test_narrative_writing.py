"""Writing from narratives: plans, prompts, answers, tokens, and shares of repeats; with a model that writes by rule."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from emosynth.cards import Card, write_table
from emosynth.design.arms import resolve_arm
from emosynth.design.cells import NO_SEED, Cell
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.generation import candidates_of
from emosynth.generation.build import check_no_leak, plan_all
from emosynth.generation.narrative import Cast, Example, plan_narrative, things
from emosynth.generation.narrative_prompts import Scene, adjective_phrase, build_prompt, clean, excerpt, sentences
from emosynth.generation.slots import Aid
from emosynth.generation.topics import TOPICS
from emosynth.generation.write import write_all
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.store import RowStore
from writing_fakes import CHARACTERS, MULTI, PASSAGES, SINGLE, STORIES, TEXTS, FakeSeeds, RuleModel, params_of

CAST = Cast.of(PASSAGES, CHARACTERS)
TAXONOMY = {"space": "moods", "rows": 10, "checks": {}}


def design(guide: Any = "narrative", **more: Any) -> Params:
    return params_of(arms={"n": {"guide": guide, "checks": {}, **TAXONOMY}}, models={"writer": {"batch": 3}}, **more)


def planned(params: Params, total: int = 10, cast: Cast = CAST, repeats: int = 2) -> list[Example]:
    origin = resolve_arm(params, "n").origin
    assert origin is not None
    return plan_narrative(origin, {Cell("", r, NO_SEED): total for r in range(repeats)}, {"": MULTI}, cast, FakeSeeds(params, MULTI))


def own(guide: Any, space: Space = SINGLE, **more: Any) -> tuple[Params, list[Example]]:
    """Plan examples in a corpus's own labels, from all arms' needs."""
    params = params_of(arms={"n": {"guide": guide, "checks": {}}}, **more)
    seeds = FakeSeeds(params, space)
    origin = resolve_arm(params, "n").origin
    assert origin is not None
    size = NO_SEED if not origin.needs_seed else 10
    needs = {Cell("toy", r, size): 20 for r in range(2)}
    return params, plan_narrative(origin, needs, {"toy": space}, CAST, seeds)


def drawn(plan: list[Example]) -> list[Any]:
    return [(example.slot.candidate_id(), example.slot.labels, example.scene, example.row_seeds) for example in plan]


# --- plan -----------------------------------------------------------------------------------------------


def test_origins_share_labels_seeds_and_passages():
    grounded, bare = planned(design()), planned(design([{"narrative": {"grounded": False}}]))
    for first, second in zip(grounded, bare, strict=True):
        assert (first.slot.labels, first.row_seeds, first.slot.index) == (second.slot.labels, second.row_seeds, second.slot.index)
        assert first.scene.passage and not second.scene.passage and not second.scene.character and not second.passage_id
    assert len({seed for example in grounded for seed in example.row_seeds}) == 30
    assert drawn(planned(design(), 20)[:10]) == drawn(grounded), "more examples begin with the same ones"


def test_repeats_of_a_taxonomy_are_disjoint_shares_of_one_series():
    plan = planned(design())
    assert [example.slot.index for example in plan] == [i // 2 for i in range(10)]
    assert all({plan[i].slot.cell.repeat, plan[i + 1].slot.cell.repeat} == {0, 1} for i in range(0, 10, 2))
    alone = planned(design(), repeats=1)
    assert drawn(alone) == drawn([example for example in plan if example.slot.cell.repeat == 0]), (
        "a repeat that no arm runs on is not written, and changes no other"
    )
    pairs = Counter(example.slot.cell.repeat for example in planned(design(), 200) if len(example.slot.labels) == 2)
    assert min(pairs.values()) > 15 and len(pairs) == 2, "no repeat has all examples with two labels"
    first = Counter(example.slot.labels[0] for example in planned(design(), 20))
    assert max(first.values()) - min(first.values()) <= 1


def test_every_pair_is_used_before_any_is_used_twice():
    pairs = [(example.passage_id, example.scene.character) for example in planned(design())]
    assert all(len(set(pairs[start : start + 3])) == 3 for start in (0, 3, 6))
    assert max(Counter(pairs).values()) == 4


def test_series_of_a_corpus_are_its_repeats_own():
    _, plan = own("narrative")
    for repeat in range(2):
        mine = [example for example in plan if example.slot.cell.repeat == repeat]
        assert [example.slot.index for example in mine] == list(range(10))
        assert Counter(example.slot.labels for example in mine) == {("sad",): 5, ("glad",): 5}, "one label each: the space is single"
    assert len({example.row_seeds for example in plan}) == 20
    assert plan[0].slot.candidate_id("contextual").startswith("narrative@plain/toy/-1/0/") and plan[0].noun == "note"


def test_examples_beside_seed_dependent_guides_are_those_without(tmp_path: Path):
    _, plain = own("narrative")
    params, guided = own(["narrative", {"shap-tokens": 1}, {"shap-exemplars": 2}])
    for first, second in zip(plain, guided, strict=True):
        assert (first.scene, first.row_seeds, first.slot.labels) == (second.scene, second.row_seeds, second.slot.labels)
        assert second.slot.cell.size == 10 and second.aid is not None and len(second.aid.exemplars) == 2
    assert len({example.aid for example in guided}) > 2, "prompts of a label differ"
    with RowStore(tmp_path / "s.sqlite") as store:
        rows, _ = write_all(guided, params, lambda *_: RuleModel(), store)
    assert all(row["prompt"].startswith("Real notes by different people, all expressing") for row in rows)
    assert all(", with words such as " in row["prompt"].split("\n")[-1] for row in rows)
    with pytest.raises(UserError, match="outside the seed"):
        check_no_leak(guided, list(TEXTS.values()))
    check_no_leak(plain, list(TEXTS.values()))


def test_topics_of_neutral_examples():
    assert things(STORIES["t/0"]) == ["pump", "yard", "kettle"]
    for settings in ({"neutral": "topical"}, {"neutral": "topical", "grounded": False}):
        for example in planned(design([{"narrative": settings}]), 40):
            assert bool(example.scene.topic) == (example.slot.labels == ("neutral",))
            if example.scene.topic and example.passage_id:
                assert example.scene.topic in STORIES[example.passage_id]
            elif example.scene.topic:
                assert example.scene.topic in TOPICS
    assert len(TOPICS) == len(set(TOPICS)) and 55 <= len(TOPICS) <= 65


def test_settings_of_the_guide():
    some = planned(design([{"narrative": {"labels": ["fear", "anger"], "two_labels": 0.0}}]))
    assert Counter(example.slot.labels for example in some) == {("fear",): 5, ("anger",): 5}
    assert any(len(example.slot.labels) == 2 for example in planned(design([{"narrative": {"two_labels": 1.0}}])))
    one = planned(design([{"narrative": {"kinds": ["contextual"]}}]))
    assert len(one) == 20 and one[0].steps == ("context", "utterance"), "an example gives one candidate"
    told = planned(design([{"narrative": {"kinds": ["contextless"]}}]))
    assert told[0].steps == ("context", "contextless")
    chat = planned(design([{"narrative": {"kinds": ["contextless"]}}], generation={"style": "chat"}))
    assert chat[0].steps == ("context", "utterance", "contextless"), "a chat model rewrites the utterance"


def test_plan_errors():
    with pytest.raises(UserError, match="rage is no label"):
        planned(design([{"narrative": {"labels": ["rage"]}}]))
    with pytest.raises(UserError, match="needs passages"):
        planned(design(), cast=Cast([]))
    assert planned(design([{"narrative": {"grounded": False}}]), cast=Cast([]))


def test_stories_kept_for_pairs_are_not_shown(tmp_path: Path):
    params = params_of(arms={"n": {"guide": "narrative", "checks": {}}})
    passages = pd.DataFrame(
        {"passage_id": [f"s{i}/0" for i in range(10)], "story_id": [f"s{i}" for i in range(10)], "text": "A king rode out."}
    )
    characters = pd.DataFrame({"passage_id": passages["passage_id"], "rank": 1, "character": "the king", "kind": "role"})
    paths = Paths(tmp_path, "x")
    for name, frame in (("passages", passages), ("characters", characters)):
        write_table(frame, paths.narratives / f"{name}.parquet", Card(title=name, what="", made=""))
    plan = plan_all(params, FakeSeeds(params), paths)  # type: ignore[arg-type]
    used = {item.story_id for item in plan}  # type: ignore[attr-defined]
    assert len(used) == 9 and {item.passage_id for item in plan} == {f"{story}/0" for story in used}  # type: ignore[attr-defined]


# --- prompts --------------------------------------------------------------------------------------------

CLERK = Scene(("anger", "fear"), "the old clerk", STORIES["t/0"])


def test_completion_prompts():
    context = build_prompt("context", "completion", CLERK, MULTI)
    assert context.text == (
        "The old clerk looked at the kettle, and his sister laughed.\n\nIt is clear why the old clerk is angry and afraid: the old clerk has"
    )
    assert context.opening == "The old clerk has"
    assert build_prompt("context", "completion", CLERK, MULTI, aid=Aid(("rain",), ("x",))) == context, (
        "a situation is shown nothing of a seed"
    )
    utterance = build_prompt("utterance", "completion", CLERK, MULTI, "He waits.")
    assert utterance.text == 'He waits.\nThe old clerk feels anger and fear and says: "'
    told = build_prompt("contextless", "completion", CLERK, MULTI, "He waits.", "Oh no!")
    assert told.text == 'He waits.\nThe old clerk explains to a stranger: "I am angry and afraid because I' and told.opening == "I"


def test_prompts_with_exemplars_and_words():
    aid = Aid(("rain", "mud"), ('he said "no"',))
    shown = build_prompt("utterance", "completion", CLERK, MULTI, "He waits.", "", "note", aid)
    assert shown.text == (
        "Real notes by different people, all expressing anger and fear:\n- \"he said 'no'\"\n\n"
        'He waits.\nThe old clerk feels anger and fear and says, with words such as rain, mud: "'
    )
    told = build_prompt("contextless", "completion", CLERK, MULTI, "He waits.", "", "note", aid).text
    assert 'explains to a stranger, with words such as rain, mud: "I am angry' in told
    chat = build_prompt("utterance", "chat", CLERK, MULTI, "He waits.", "", "note", aid).text
    assert chat.startswith("Examples of real notes that express anger and fear:\n- he said 'no'\n\nWrite what the character")
    assert "with words such as rain, mud. Reply with the utterance alone" in chat


def test_ungrounded_prompts_give_nobody_away():
    bare = Scene(("fear",))
    assert build_prompt("context", "completion", bare, MULTI).text == "It is clear why a person is afraid: the person has"
    chat = build_prompt("context", "chat", bare, MULTI).text
    assert "passage" not in chat.lower() and "Character: a person" in chat


def test_neutral_prompts():
    plain = build_prompt("utterance", "completion", Scene(("neutral",), "Ida"), MULTI, "She waits.").text
    assert "feels no particular emotion and says" in plain
    topical = build_prompt("utterance", "completion", Scene(("neutral",), "Ida", topic="kettle"), MULTI, "She waits.")
    assert topical.text.endswith('states a plain fact about the kettle: "The kettle') and topical.opening == "The kettle"


def test_labels_without_adjectives_are_felt():
    space = Space("own", ("up",), True, {"up": "good news"}, {"up": "good news"})
    assert adjective_phrase(space, ("up",)) is None
    assert build_prompt("context", "completion", Scene(("up",), "Ida"), space).text == "It is clear why a person feels good news: Ida has"


def test_chat_prompts_share_their_beginning():
    first = build_prompt("utterance", "chat", Scene(("anger",), "Ida"), MULTI, "One.").text
    second = build_prompt("utterance", "chat", Scene(("fear",), "Ida"), MULTI, "Two.").text
    assert second.startswith(first.split("\n\n")[0]) and "Situation: One." in first and "Emotion: anger" in first
    told = build_prompt("contextless", "chat", Scene(("fear",), "Ida"), MULTI, "Two.", 'He said "no".').text
    assert "Utterance: \"He said 'no'.\"" in told


def test_label_without_words_is_an_error():
    with pytest.raises(UserError, match="fear has no phrase"):
        build_prompt("utterance", "completion", Scene(("fear",)), Space("x", ("fear",), False, {}, {}))


@pytest.mark.parametrize(
    ("kind", "style", "raw", "opening", "text", "whole"),
    [
        ("utterance", "completion", ' I am lost." he said', "", "I am lost.", True),
        ("utterance", "completion", "I am lost” he said", "", "I am lost", True),
        ("utterance", "completion", "One. Two! Three? Fo", "", "One. Two!", True),
        ("utterance", "completion", "One. Two and then", "", "One.", True),
        ("utterance", "completion", "no end at all", "", "no end at all", False),
        ("utterance", "completion", "", "", "", False),
        ("contextless", "completion", "'m late.", "I", "I'm late.", True),
        ("context", "completion", ' lost "Rex" today. He', "The clerk has", 'The clerk has lost "Rex" today.', True),
        ("context", "completion", " met Mr. Hill. And", "He has", "He has met Mr. Hill.", True),
        ("utterance", "chat", 'The old clerk: "I am lost." He weeps.', "", "I am lost.", True),
        ("utterance", "chat", '"I am lost."', "", "I am lost.", True),
        ("utterance", "chat", 'The clerk says, "I am lost."', "", "I am lost.", True),
        ("utterance", "chat", "I am lost. I am. I am.", "", "I am lost. I am. I am.", False),
        ("context", "chat", "Situation: The clerk waits.", "", "The clerk waits.", False),
    ],
)
def test_clean(kind, style, raw, opening, text, whole):
    assert clean(kind, style, raw, opening) == (text, whole)


def test_excerpt_begins_at_the_character():
    assert excerpt(STORIES["t/1"], "Ida") == "A girl named Ida had waited at the gate since the morning."
    assert excerpt("One two three. Four five.", "nobody", limit=4) == "One two three."
    assert sentences('"Stop!" he said. 3 dogs.') == ['"Stop!" he said.', "3 dogs."]


# --- writing --------------------------------------------------------------------------------------------


def written(params: Params, plan: list[Example], store: RowStore, model: RuleModel) -> tuple[pd.DataFrame, dict[str, Any]]:
    rows, account = write_all(plan, params, lambda *_: model, store)
    return pd.DataFrame(rows), account


def test_killed_run_resumes_to_the_same_result(tmp_path: Path):
    params, whole = design(), RuleModel()
    with RowStore(tmp_path / "a.sqlite") as store:
        expected, account = written(params, planned(params), store, whole)
    killed = RuleModel(dies_at=6)
    with RowStore(tmp_path / "b.sqlite") as store, pytest.raises(KeyboardInterrupt):
        written(params, planned(params), store, killed)
    resumed = RuleModel()
    with RowStore(tmp_path / "b.sqlite") as store:
        frame, again = written(params, planned(params), store, resumed)
    assert frame.equals(expected) and again == account
    assert killed.calls + resumed.calls == whole.calls == [3, 3, 3, 1] * 3


def test_rows_and_account(tmp_path: Path):
    params = design()
    with RowStore(tmp_path / "s.sqlite") as store:
        frame, account = written(params, planned(params), store, RuleModel())
    assert frame["kind"].tolist() == ["contextual", "contextless"] * 10 and frame["candidate_id"].is_unique
    said, told = frame.iloc[0], frame.iloc[1]
    assert said["candidate_id"].rpartition("/")[0] == told["candidate_id"].rpartition("/")[0]
    assert said["context"] == told["context"] and said["context"].startswith(
        ("The old clerk has made", "The sister has made", "Ida has made")
    )
    assert said["context"] in said["prompt"] and said["context"] in told["prompt"]
    assert (
        said["text"].startswith(f"made {said['row_seed']} of it.") and said["text"].endswith("more.") and told["text"].startswith("I made")
    )
    assert said["complete"] and said["finish"] == "length" and said["generator"] == "openvino:smollm2-135m-instruct"
    assert (said["prompt_tokens"], said["new_tokens"]) == (40, 20), "the situation is paid for by the utterance"
    assert (told["prompt_tokens"], told["new_tokens"]) == (20, 10)
    assert account["steps"]["narrative@plain:moods"]["utterance"] == {
        "texts": 10,
        "inferences": 10,
        "prompt_tokens": 200,
        "new_tokens": 100,
    }
    assert frame["new_tokens"].sum() == sum(step["new_tokens"] for step in account["steps"]["narrative@plain:moods"].values())
    alone = design([{"narrative": {"kinds": ["contextless"]}}])
    with RowStore(tmp_path / "s.sqlite") as store:
        frame, _ = written(alone, planned(alone), store, RuleModel())
    assert (frame["new_tokens"] == 20).all(), "without an utterance, the other text pays"


def test_origins_with_equal_prompts_share_texts(tmp_path: Path):
    model, params = RuleModel(), design([{"narrative": {"grounded": False}}])
    topical = design([{"narrative": {"grounded": False, "neutral": "topical"}}])
    with RowStore(tmp_path / "s.sqlite") as store:
        frame, _ = written(params, planned(params, 12), store, model)
        first = sum(model.calls)
        written(topical, planned(topical, 12), store, model)
    assert sum(model.calls) - first == 3 * sum(labels == ["neutral"] for labels in frame["labels"]) // 2 > 0


def test_an_arm_takes_its_first_examples_whole(tmp_path: Path):
    params = design()
    with RowStore(tmp_path / "s.sqlite") as store:
        frame, _ = written(params, planned(params), store, RuleModel())
    arm = resolve_arm(params, "n")
    mine = candidates_of(frame, params, arm, Cell("toy", 1, 20))
    assert len(mine) == 10 and (mine["repeat"] == 1).all() and set(mine["index"]) == set(range(5))
    few = candidates_of(frame, params, arm, Cell("toy", 1, 10), wanted=2)
    assert len(few) == 4 == 2 * few["index"].nunique() and set(few["index"]) == set(range(math.ceil(4 / 2)))
    assert set(mine["candidate_id"]).isdisjoint(candidates_of(frame, params, arm, Cell("toy", 0, 20))["candidate_id"])
