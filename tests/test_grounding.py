"""Grounded generation: plan, prompts, row cache, checks, explicit rows, diversity and scale, with a model that writes by rule."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosynth.errors import UserError
from emosynth.grounding import (
    Wording,
    balance,
    build_prompt,
    clean,
    diversity,
    explicit_share,
    generate_examples,
    lexicon,
    plan_examples,
    rows,
    scale_estimate,
    verify,
)
from emosynth.grounding.checks import overlap
from emosynth.grounding.diversity import spread
from emosynth.grounding.plan import SENTIMENT, draw_emotions, share_generators, things
from emosynth.grounding.prompts import excerpt, sentences
from emosynth.grounding.topics import TOPICS
from emosynth.models.lm import Completion
from emosynth.params import Generator, Grounding, GroundingArm, WeightedGenerator
from emosynth.store import RowStore

LABELS = ["joy", "anger", "fear", "neutral"]
WORDING = Wording(
    {"joy": "joy", "anger": "anger", "fear": "fear", "neutral": "no particular emotion"},
    {"joy": "joyful", "anger": "angry", "fear": "afraid"},
    "neutral",
)
TEXTS = {
    "t/0": "The pump in the yard was frozen. The old clerk looked at the kettle, and his sister laughed.",
    "t/1": "Nothing came by post that day. A girl named Ida had waited at the gate since the morning.",
}
PASSAGES = pd.DataFrame({"passage_id": list(TEXTS), "story_id": "t", "text": list(TEXTS.values())})
CHARACTERS = pd.DataFrame(
    {
        "passage_id": ["t/0", "t/0", "t/1"],
        "rank": [1, 2, 1],
        "character": ["the old clerk", "the sister", "Ida"],
        "kind": ["role", "role", "name"],
    }
)


class RuleModel:
    """Answers with its row seed; may be told to die after some calls."""

    deterministic = True

    def __init__(self, name: str = "m", dies_at: int | None = None) -> None:
        self.identity = {"backend": "rule", "model": name}
        self.calls: list[int] = []
        self.dies_at = dies_at

    def generate(self, requests, decoding, *, progress=None):
        if self.dies_at is not None and len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append(len(requests))
        return [Completion(f' made {r.row_seed} of it. And {len(r.prompt)} more." he said', "length", 20, 10) for r in requests]

    def close(self) -> None:
        pass


def settings(**more) -> Grounding:
    arms = {"grounded": GroundingArm(), "bare": GroundingArm(grounded=False)}
    generators = {"a": WeightedGenerator(generator=Generator(batch=3))}
    return Grounding(**{"generators": generators, "arms": arms, "examples": 10, **more})


def planned(params: Grounding, arm: str):
    return plan_examples(params, LABELS, "neutral", PASSAGES, CHARACTERS, arm)


def run(params: Grounding, store: RowStore, model: RuleModel):
    plan = [example for arm in params.arms for example in planned(params, arm)]
    return generate_examples(plan, params, TEXTS, lambda generator: model, store, wording=WORDING)


# --- plan -------------------------------------------------------------------------------------------


@given(st.integers(0, 200), st.floats(0, 1), st.integers(0, 50))
def test_emotions_are_balanced_and_two_of_them_compatible(total, share, seed):
    drawn = draw_emotions([*SENTIMENT, "surprise", "neutral"], "neutral", total, share, seed, SENTIMENT)
    first = Counter(labels[0] for labels in drawn)
    assert sum(first.values()) == total
    assert not total or max(first.values()) - min([first.get(label, 0) for label in [*SENTIMENT, "neutral"]]) <= 1
    for labels in drawn:
        assert len(set(labels)) == len(labels) <= 2
        assert len(labels) == 1 or "neutral" not in labels
        assert len(labels) == 1 or labels[0] == "surprise" or labels[1] == "surprise" or SENTIMENT[labels[0]] == SENTIMENT[labels[1]]
    if share < 0.9:
        assert abs(sum(len(labels) == 2 for labels in drawn) - share * total) <= 2


def test_second_emotions_are_balanced_too():
    drawn = draw_emotions(LABELS, "neutral", 400, 0.5, 1, {})
    seconds = Counter(labels[1] for labels in drawn if len(labels) == 2)
    assert sum(seconds.values()) == 200 and max(seconds.values()) - min(seconds.values()) <= 2


def test_arms_share_emotions_seeds_and_generators():
    params = settings(generators={name: WeightedGenerator(generator=Generator(model=name)) for name in "ab"})
    grounded, bare = planned(params, "grounded"), planned(params, "bare")
    for first, second in zip(grounded, bare, strict=True):
        assert (first.emotions, first.row_seeds, first.generator) == (second.emotions, second.row_seeds, second.generator)
        assert first.grounded and not second.grounded and not second.character
    assert len({seed for example in grounded for seed in example.row_seeds}) == 30
    assert grounded[7].example_id == "grounded/00007"
    longer = settings(examples=20, generators=params.generators)
    assert planned(longer, "grounded")[:10] == grounded, "more examples begin with the same ones"


def test_every_pair_is_used_before_any_is_used_twice():
    pairs = [(example.passage_id, example.character) for example in planned(settings(), "grounded")]
    assert all(len(set(pairs[start : start + 3])) == 3 for start in (0, 3, 6))
    assert max(Counter(pairs).values()) == 4
    assert {example.character_kind for example in planned(settings(), "grounded")} == {"role", "name"}


def test_generators_share_by_weight_at_every_length():
    heavy = {
        "a": WeightedGenerator(generator=Generator(), weight=3),
        "b": WeightedGenerator(generator=Generator(), weight=1),
    }
    assert share_generators(heavy, 8) == ["a", "a", "b", "a"] * 2


def test_topics_of_neutral_examples():
    assert things(TEXTS["t/0"]) == ["pump", "yard", "kettle"]
    arms = {"grounded": GroundingArm(neutral="topical"), "bare": GroundingArm(grounded=False, neutral="topical")}
    params = settings(arms=arms, examples=40)
    for arm in arms:
        for example in planned(params, arm):
            assert bool(example.topic) == (example.emotions == ("neutral",))
            if example.topic and arm == "grounded":
                assert example.topic in TEXTS[example.passage_id]
            elif example.topic:
                assert example.topic in TOPICS
    assert len(TOPICS) == len(set(TOPICS)) and 55 <= len(TOPICS) <= 65


def test_plan_errors():
    with pytest.raises(UserError, match="no arm"):
        planned(settings(), "missing")
    with pytest.raises(UserError, match="rage is no emotion"):
        planned(settings(arms={"x": GroundingArm(emotions=["rage"])}), "x")
    with pytest.raises(UserError, match="needs passages"):
        plan_examples(settings(), LABELS, "neutral", PASSAGES, CHARACTERS.iloc[:0], "grounded")


# --- prompts ----------------------------------------------------------------------------------------


def example_of(arm: str, emotions: tuple[str, ...], topic: str = ""):
    return replace(planned(settings(), arm)[0], emotions=emotions, topic=topic, passage_id="t/0", character="the old clerk")


def test_completion_prompts():
    example = example_of("grounded", ("anger", "fear"))
    context = build_prompt("context", "completion", example, WORDING, TEXTS["t/0"])
    assert context.text == (
        "The old clerk looked at the kettle, and his sister laughed.\n\nIt is clear why the old clerk is angry and afraid: the old clerk has"
    )
    assert context.opening == "The old clerk has"
    utterance = build_prompt("utterance", "completion", example, WORDING, context="He waits.")
    assert utterance.text == 'He waits.\nThe old clerk feels anger and fear and says: "'
    told = build_prompt("contextless", "completion", example, WORDING, context="He waits.", utterance="Oh no!")
    assert told.text == 'He waits.\nThe old clerk explains to a stranger: "I am angry and afraid because I' and told.opening == "I"


def test_ungrounded_prompts_give_nobody_away():
    bare = next(example for example in planned(settings(), "bare") if example.emotions == ("fear",))
    assert build_prompt("context", "completion", bare, WORDING).text == "It is clear why a person is afraid: the person has"
    chat = build_prompt("context", "chat", bare, WORDING).text
    assert "passage" not in chat.lower() and "Character: a person" in chat


def test_neutral_prompts():
    plain = build_prompt("utterance", "completion", example_of("grounded", ("neutral",)), WORDING, context="He waits.").text
    assert "feels no particular emotion and says" in plain
    topical = build_prompt("utterance", "completion", example_of("grounded", ("neutral",), "kettle"), WORDING, context="He waits.")
    assert topical.text.endswith('states a plain fact about the kettle: "The kettle') and topical.opening == "The kettle"


def test_chat_prompts_share_their_beginning():
    first = build_prompt("utterance", "chat", example_of("grounded", ("anger",)), WORDING, context="One.").text
    second = build_prompt("utterance", "chat", example_of("grounded", ("fear",)), WORDING, context="Two.").text
    instruction = first.split("\n\n")[0]
    assert second.startswith(instruction) and "Situation: One." in first and "Emotion: anger" in first
    told = build_prompt("contextless", "chat", example_of("grounded", ("fear",)), WORDING, context="Two.", utterance='He said "no".').text
    assert "Utterance: \"He said 'no'.\"" in told


def test_label_without_words_is_an_error():
    with pytest.raises(UserError, match="fear has no phrase"):
        build_prompt("utterance", "completion", example_of("grounded", ("fear",)), Wording({}, {}))


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
    assert excerpt(TEXTS["t/1"], "Ida") == "A girl named Ida had waited at the gate since the morning."
    assert excerpt("One two three. Four five.", "nobody", limit=4) == "One two three."
    assert sentences('"Stop!" he said. 3 dogs.') == ['"Stop!" he said.', "3 dogs."]


# --- run --------------------------------------------------------------------------------------------


def test_killed_run_resumes_to_the_same_result(tmp_path: Path):
    params = settings()
    whole = RuleModel()
    with RowStore(tmp_path / "a.jsonl") as store:
        expected, account = run(params, store, whole)
    killed = RuleModel(dies_at=9)
    with RowStore(tmp_path / "b.jsonl") as store, pytest.raises(KeyboardInterrupt):
        run(params, store, killed)
    resumed = RuleModel()
    with RowStore(tmp_path / "b.jsonl") as store:
        frame, again = run(params, store, resumed)
    assert frame.equals(expected) and again == account
    assert killed.calls + resumed.calls == whole.calls == [3, 3, 3, 1] * 6
    idle = RuleModel()
    with RowStore(tmp_path / "b.jsonl") as store:
        run(params, store, idle)
    assert idle.calls == []


def test_frame_and_account(tmp_path: Path):
    with RowStore(tmp_path / "s.jsonl") as store:
        frame, account = run(settings(), store, RuleModel())
    assert frame["example_id"].tolist() == [f"{arm}/{i:05d}" for arm in ("grounded", "bare") for i in range(10)]
    row = frame.iloc[0]
    assert row["context"].startswith(("The old clerk has made", "The sister has made", "Ida has made"))
    assert row["context"] in row["prompt_utterance"] and row["context"] in row["prompt_contextless"]
    assert row["utterance"].startswith(f"made {row['row_seed_utterance']} of it.") and row["utterance"].endswith("more.")
    assert row["complete_utterance"] and row["new_tokens"] == 30 and row["generator"] == "openvino:smollm2-135m-instruct"
    assert account["steps"]["utterance"] == {"texts": 20, "inferences": 20, "prompt_tokens": 400, "new_tokens": 200}
    assert account["deterministic"] is True and account["generators"][row["generator"]]["backend"] == "rule"


def test_arms_with_equal_prompts_share_texts(tmp_path: Path):
    model = RuleModel()
    arms = {"one": GroundingArm(grounded=False), "two": GroundingArm(grounded=False, neutral="topical")}
    with RowStore(tmp_path / "s.jsonl") as store:
        frame, account = run(settings(arms=arms, examples=12), store, model)
    neutral = sum(labels == ["neutral"] for labels in frame["emotions"]) // 2
    assert neutral == 3 and account["steps"]["context"]["inferences"] == 12 + neutral
    assert sum(model.calls) == sum(step["inferences"] for step in account["steps"].values())


def test_every_generator_writes_its_share(tmp_path: Path):
    generators = {
        "a": WeightedGenerator(generator=Generator(model="one", batch=4)),
        "b": WeightedGenerator(generator=Generator(model="two", batch=4), prompt_style="chat"),
    }
    params = settings(generators=generators)
    models = {"one": RuleModel("one"), "two": RuleModel("two")}
    plan = planned(params, "grounded")
    with RowStore(tmp_path / "s.jsonl") as store:
        frame, account = generate_examples(plan, params, TEXTS, lambda g: models[g.model], store, wording=WORDING)
    assert frame["generator"].value_counts().to_dict() == {"openvino:one": 5, "openvino:two": 5}
    assert set(account["generators"]) == {"openvino:one", "openvino:two"} and models["two"].calls == [4, 1] * 3
    assert frame.loc[frame["generator"] == "openvino:two", "prompt_context"].str.startswith("Write a situation").all()


def test_missing_passage_is_an_error(tmp_path: Path):
    with RowStore(tmp_path / "s.jsonl") as store, pytest.raises(UserError, match="no passage"):
        generate_examples(planned(settings(), "grounded"), settings(), {}, lambda g: RuleModel(), store, wording=WORDING)


# --- checks -----------------------------------------------------------------------------------------


def frame_of(utterances: list[str], contextless: list[str], arm: str = "grounded", passage: str = "t/0") -> pd.DataFrame:
    size = len(utterances)
    return pd.DataFrame(
        {
            "example_id": [f"{arm}/{i:05d}" for i in range(size)],
            "arm": arm,
            "grounded": bool(passage),
            "index": range(size),
            "emotions": [["joy"]] * size,
            "passage_id": passage,
            "character": "the old clerk",
            "generator": "g",
            "context": "The old clerk has come home.",
            "utterance": utterances,
            "contextless": contextless,
            "complete_utterance": True,
            "complete_contextless": True,
            "prompt_utterance": "The old clerk has come home after all these years. He says:",
            "prompt_contextless": [f"He said: {text} He explains:" for text in utterances],
        }
    )


def test_rows_and_verdicts():
    said = [
        "I shall dance in the rain tonight.",
        "I SHALL dance in the rain tonight.",
        "",
        "The pump in the yard was frozen.",
        "No.",
        "has come home after all these years",
        "As an AI language model I am glad.",
        "My brother wrote me a letter.",
    ]
    told = [
        "I came home and now I shall dance.",
        "I SHALL dance in the rain tonight.",
        "My sister gave me her kettle.",
        "The mill burnt down but I got out.",
        "We won.",
        "She asked me to stay here.",
        "They let me go at noon.",
        "My brother, whom I thought dead, wrote.",
    ]
    frame = frame_of(said, told)
    frame.loc[7, "complete_contextless"] = False
    verified = verify(rows(frame), settings(), TEXTS)
    assert len(verified) == 16 and verified["row_id"].tolist()[0] == "grounded/00000/contextual"
    contextual, contextless = verified[verified["kind"] == "contextual"], verified[verified["kind"] == "contextless"]
    assert contextual["reason"].tolist() == ["", "distinct", "nonempty", "original", "length", "original", "meta", ""]
    assert contextless["reason"].tolist() == ["", "rewritten", "", "", "", "", "", "complete"]
    assert (verified["accepted"] == (verified["reason"] == "")).all()
    assert contextual["score_original"].iloc[3] == 1.0 and contextless["text"].tolist() == told
    assert np.isnan(contextual["score_rewritten"]).all()


def test_near_duplicates_are_looked_for_within_an_arm():
    text = ["I shall dance in the rain tonight."]
    both = pd.concat([frame_of(text, text), frame_of(text, text, "bare", "")], ignore_index=True)
    assert verify(rows(both), settings(), TEXTS)["ok_distinct"].all()


def test_overlap():
    assert overlap(["a", "b", "c", "d", "e"], [["x", "a", "b", "c", "d"]]) == 0.5
    assert overlap(["a", "b"], [["x", "a", "b"]]) == 1.0 and overlap([], [["a"]]) == 0.0


# --- explicit ---------------------------------------------------------------------------------------


def test_explicit_texts():
    known = lexicon({"joy": "joyful", "fear": "full of fear", "neutral": "no particular emotion"}, {"fear": ["afraid", "scared to death"]})
    assert known == {"joy": {"joy", "joyful"}, "fear": {"fear", "afraid", "scared to death"}, "neutral": {"neutral"}}
    texts = ["What JOYS we had!", "I was scared to death.", "I was scared of death.", "I feared it.", "I am afraid."]
    emotions = [["joy"], ["fear"], ["fear"], ["joy", "fear"], ["joy"]]
    assert explicit_share(texts, emotions, known).tolist() == [True, True, False, True, False]
    assert explicit_share(["joy"], [["unknown"]], known).tolist() == [False]


def test_balance_sets_explicit_rows_aside():
    table = pd.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(10)],
            "accepted": [True] * 8 + [False] * 2,
            "explicit": [True] * 5 + [False] * 3 + [True, False],
            "emotions": [["joy"]] * 10,
        }
    )
    keep = balance(table, 0.25, 0)
    assert keep.sum() == 6 and keep[5:].all(), "of 3 implicit rows' worth, one explicit row makes a quarter"
    assert balance(table, None, 0).all() and balance(table, 1.0, 0).all()
    assert not balance(table, 0.0, 0)[:5].any()
    assert (balance(table, 0.25, 0) == keep).all()


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sets(st.sampled_from(LABELS), min_size=1, max_size=2)), max_size=40))
def test_balance_keeps_every_emotion_below_the_share(given_rows):
    table = pd.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(len(given_rows))],
            "accepted": pd.Series([row[0] for row in given_rows], dtype=bool),
            "explicit": pd.Series([row[1] for row in given_rows], dtype=bool),
            "emotions": [sorted(row[2]) for row in given_rows],
        }
    )
    stays = balance(table, 0.3, 1)
    assert stays[~(table["accepted"] & table["explicit"]).to_numpy(dtype=bool)].all()
    kept = table[table["accepted"] & stays]
    for label in LABELS:
        part = kept[[label in labels for labels in kept["emotions"]]]
        assert not len(part) or part["explicit"].mean() <= 0.3 + 1e-9


# --- diversity --------------------------------------------------------------------------------------


def test_spread_is_the_mean_over_pairs():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    assert spread(vectors) == pytest.approx(1 - (0 + 0.6 + 0.8) / 3)
    assert np.isnan(spread(vectors[:1]))


def test_diversity_of_varied_and_equal_texts():
    varied = [" ".join(chr(97 + i) + letter * 3 for letter in "vwxyz") for i in range(12)]
    equal = ["one two three four five"] * 12
    frame = pd.concat([frame_of(varied, varied), frame_of(equal, equal, "bare", "")], ignore_index=True)

    def embed(texts):
        return np.array([[1.0, 0.0] if text.startswith("one") else [float(i % 2), float((i + 1) % 2)] for i, text in enumerate(texts)])

    table, differences = diversity(frame, TEXTS, embed, draws=20)
    rows_of = table[(table["kind"] == "utterance") & (table["emotion"] == "all")].set_index("arm")
    assert rows_of.loc["grounded", ["n_texts", "n_tokens", "tokens_compared"]].tolist() == [12, 60, 30]
    assert rows_of.loc["grounded", ["distinct_1", "distinct_2", "self_repetition"]].tolist() == [1.0, 1.0, 0.0]
    # 30 tokens of "bare" are six equal texts: 5 words of 30, 4 pairs of 24, and every gram is another text's too.
    assert rows_of.loc["bare", ["distinct_1", "distinct_2", "self_repetition"]].tolist() == pytest.approx([5 / 30, 4 / 24, 1.0])
    assert rows_of.loc["bare", "spread"] == pytest.approx(0) and rows_of.loc["grounded", "spread"] > 0.4
    assert rows_of.loc["grounded", "novelty"] == 1.0 and np.isnan(rows_of.loc["bare", "novelty"])
    first = differences[
        (differences["kind"] == "utterance") & (differences["measure"] == "distinct_1") & (differences["emotion"] == "all")
    ].iloc[0]
    assert (first["arm"], first["against"]) == ("grounded", "bare")
    assert first["difference"] == first["low"] == first["high"] == pytest.approx(1 - 5 / 30)
    assert set(table["emotion"]) == {"all", "joy"}


def test_small_groups_have_no_diversity():
    frame = pd.concat([frame_of(["a b c d e"] * 2, ["x"] * 2), frame_of(["a b"] * 9, [""] * 9, "bare", "")], ignore_index=True)
    table, _ = diversity(frame, TEXTS, lambda texts: np.ones((len(texts), 2)), draws=3)
    assert table.loc[table["kind"] == "utterance", "distinct_1"].isna().all()
    assert "bare" not in set(table.loc[table["kind"] == "contextless", "arm"])


# --- scale ------------------------------------------------------------------------------------------


def test_scale_estimate_by_hand():
    account = {"steps": {step: {"texts": 10, "prompt_tokens": 1000, "new_tokens": 300} for step in ("context", "utterance", "contextless")}}
    table = scale_estimate(account, rows_wanted=400, acceptance={"contextual": 0.5, "contextless": 0.75}).set_index("setting")
    first = table.iloc[0]
    # 100 contextual rows at 0.5 need 200 examples, 300 context-less ones at 0.75 need 400: contexts and utterances for 400.
    assert first["inferences"] == 1200 and first["prompt_tokens"] == 120_000 and first["new_tokens"] == 36_000
    assert first["flop"] == 2 * 7e9 * 156_000
    assert first["gpu_hours"] == pytest.approx((120_000 / 15_000 + 36_000 / 2_000) / 3600) and first["money"] == pytest.approx(
        2 * first["gpu_hours"]
    )
    assert table.loc["hosted 7B model", "money"] == pytest.approx(0.156 * 0.2)
    assert table.loc["as the source reports", "seconds_per_inference"] == pytest.approx(450 * 3600 / 700_000)


def test_scale_needs_counts_and_acceptance():
    steps = {"context": {"texts": 1, "prompt_tokens": 0, "new_tokens": 3}}
    with pytest.raises(UserError, match="not counted"):
        scale_estimate({"steps": steps})
    with pytest.raises(UserError, match="acceptance"):
        scale_estimate({"steps": steps}, acceptance=0.0)
