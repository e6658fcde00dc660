"""Step 09: inputs compared, minimal pairs, labels in free words, the reader on real rows; models answer by rule."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from emosynth.cards import Card, read_table, write_table
from emosynth.context import build, build_context, inputs
from emosynth.context import dialogues as human
from emosynth.context.inputs import ALL_REPEATS, BOTH, CONTEXT_ONLY, DIFFERENCES, INPUTS, SHUFFLED, UTTERANCE, Texts, flips, held_out, split
from emosynth.context.pairs import (
    cast_of_pairs,
    explicit_share,
    groups_of,
    lexicon,
    naming_prompt,
    parse_names,
    plan_pairs,
    rows_to_name,
    shifts,
    write_pairs,
)
from emosynth.context.rows import Contextual, chosen_arm, soft_targets, taxonomy_of
from emosynth.corpora.files import Loaded, Row
from emosynth.design.arms import resolve_arm
from emosynth.design.cells import stable_seed
from emosynth.design.space import Space, space_map, space_of_taxonomy
from emosynth.errors import UserError
from emosynth.files import write_json
from emosynth.generation.slots import SENTIMENT
from emosynth.learners.base import Resources
from emosynth.models.lm import Completion
from emosynth.models.lm.labels import row_prompt
from emosynth.params import Context, Evidence, Params
from emosynth.paths import Paths
from emosynth.stats import Nest, halves_interval, nested_halves
from emosynth.taxonomy import Taxonomies
from encoder_files import make_tiny_encoder

ROOT = Path(__file__).parent.parent
TAXONOMIES = Taxonomies.load(ROOT / "data" / "taxonomies.yaml")
GOEMOTIONS = space_of_taxonomy(TAXONOMIES.get("goemotions"))
TINY = Space(
    "tiny", ("joy", "anger", "neutral"), False, {"joy": "joy", "anger": "anger", "neutral": "no emotion"},
    {"joy": "joyful", "anger": "angry", "neutral": "neutral"}, "neutral",
)  # fmt: skip
PLACES = ["lake", "rain", "song", "cake", "door", "mild", "loud", "the", "a", "is"]


def passages(stories: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two passages of each story, each with a name of its own and a role."""
    rows, people = [], []
    for story in range(stories):
        for place in range(2):
            name = f"s{story}/{place}"
            rows.append((name, f"s{story}", "made-up", f"The lamp {story} in hall {place} was green. Ann{story} and the miller saw it."))
            people += [(name, 1, f"Ann{story}", "name"), (name, 2, "the miller", "role")]
    return (
        pd.DataFrame(rows, columns=["passage_id", "story_id", "source", "text"]),
        pd.DataFrame(people, columns=["passage_id", "rank", "character", "kind"]),
    )


def embed(texts: Any) -> np.ndarray:
    """Return a bag of words: each word has a direction."""
    vectors = [
        np.sum([np.random.default_rng(stable_seed(word)).normal(size=24) for word in text.split()] or [np.zeros(24)], axis=0)
        for text in texts
    ]
    out = np.asarray(vectors, dtype=np.float32).reshape(-1, 24)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


def told(stories: int = 8) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Return contextual rows whose label the context alone tells, their soft labels, and pairs."""
    rows = [
        {
            "candidate_id": f"c{n:03d}", "labels": [("joy", "anger")[n % 2]], "label": ("joy", "anger")[n % 2], "repeat": 0, "index": n,
            "text": f"the {PLACES[n // 2 % 10]} {PLACES[n // 4 % 10]}", "context": f"{('sun', 'storm')[n % 2]} {PLACES[n // 3 % 10]} {n}",
            "character": "she", "story_id": f"s{n // 8}",
        }
        for n in range(8 * stories)
    ]  # fmt: skip
    soft = np.array([[0.02 + 0.9 * (name == row["label"]) for name in TINY.labels] for row in rows])
    pairs = pd.DataFrame(
        {
            "pair_id": [f"q{n}" for n in range(6)], "label_a": "joy", "label_b": "anger", "story_id": [f"p{n // 2}" for n in range(6)],
            "context_a": [f"sun hill {n}" for n in range(900, 906)], "context_b": [f"storm hill {n}" for n in range(900, 906)],
            "utterance": [f"the {place}" for place in PLACES[:6]], "character": "she", "ok": [True] * 5 + [False],
        }
    )  # fmt: skip
    return pd.DataFrame(rows), soft, pairs


# --- dialogues that people labelled -----------------------------------------------------------------------


def spoken(dialogues: int = 60, turns: int = 6) -> Loaded:
    """Return dialogues in which half of the utterances tell their label, and of the others what was said before does."""
    rows = []
    for part, start in (("train", 0), ("validation", 1000), ("test", 2000)):
        for dialogue in range(start, start + dialogues):
            said: list[str] = []
            for turn in range(turns):
                label = ("joy", "anger")[stable_seed("said", dialogue, turn) % 2]
                other = ("joy", "anger")[stable_seed("else", dialogue, turn) % 2]
                hidden = turn % 2 == 0
                before = f"Ann: {('sun', 'storm')[(label if hidden else other) == 'anger']} {PLACES[turn]}"
                text = f"the {PLACES[3 + turn % 3]} {'is' if hidden else {'joy': 'cake', 'anger': 'rage'}[label]}"
                name = f"{part}-{dialogue:04d}"
                rows.append(Row(f"{name}-{turn:02d}", text, (label,), part, "", dialogue=name, context=(*said, before)))
                said.append(f"Bo: {text}")
    return Loaded(rows, ["joy", "anger"], "single", "", {})


def measured(tmp_path: Path, own: Context, written: human.Written | None = None) -> dict[str, pd.DataFrame]:
    material = human.Material.of("made-up", spoken(), own, 5, TAXONOMIES)
    resources = Resources(human.paired(embed), tmp_path, "h", tmp_path / "cache" / "learners")
    return human.run_dialogues(material, written, own, TAXONOMIES, resources, Evidence(resamples=300))


def row_of(table: pd.DataFrame, **wanted: Any) -> Any:
    for name, value in wanted.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


def test_context_is_measured_on_labels_that_people_gave(tmp_path: Path) -> None:
    own = Context(dialogues="meld", dialogue_size=80, dialogue_repeats=2, turns=1, encoder_repeats=0)
    tables = measured(tmp_path, own)
    scores, means = tables["dialogues"], {"learner": "embedding", "first": "", "repeat": ALL_REPEATS}
    assert list(scores.columns) == human.COLUMNS and set(scores["n"]) == {360} and set(scores["dialogues"]) == {60}
    both, utterance, context = (row_of(scores, input=kind, **means)["value"] for kind in human.INPUTS)
    assert both > 0.85 and 0.6 < utterance < 0.85 and 0.6 < context < 0.85, (both, utterance, context)
    for other, value in ((UTTERANCE, utterance), (CONTEXT_ONLY, context)):
        row = row_of(scores, input=f"{BOTH} − {other}", **means)
        assert row["value"] == pytest.approx(both - value) and row["low"] < row["value"] < row["high"] and 0 < row["p"] < 1
        assert (row["low"] > 0) == (row["p"] < 0.05), "interval and p say the same"
    rows, made = tables["dialogue_rows"], tables["dialogue_predictions"]
    assert list(rows.columns) == human.ROWS and list(made.columns) == human.PREDICTIONS and "text" not in rows
    truth = rows["label"].eq("anger").astype(int).to_numpy()
    for one in made.to_dict("records"):
        assert one["macro_f1"] == pytest.approx(f1_score(truth, one["predicted"], average="macro"))
    again = measured(tmp_path, own)
    assert all(again[name].equals(frame) for name, frame in tables.items())


def test_context_that_says_nothing_is_not_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Texts, "inputs", lambda self, kind: list(self.utterances) if kind != CONTEXT_ONLY else ["."] * len(self.utterances))
    own = Context(dialogues="meld", dialogue_size=80, dialogue_repeats=2, turns=1, encoder_repeats=0)
    scores = measured(tmp_path, own)["dialogues"]
    row = row_of(scores, input=f"{BOTH} − {UTTERANCE}", learner="embedding", first="", repeat=ALL_REPEATS)
    assert (row["value"], row["low"], row["high"], row["p"]) == (0, 0, 0, 1)


def test_written_rows_are_learnt_first_each_repeat_its_own(encoder: Path, tmp_path: Path) -> None:
    told_rows, soft, _ = told()
    written = human.Written("told", Texts.of(told_rows), soft, [n % 2 for n in range(len(told_rows))], TINY)
    own = Context(
        dialogues="meld", dialogue_size=16, dialogue_repeats=2, turns=2, encoder_repeats=1, layers=1, steps=3, batch=8, max_tokens=24
    )
    material = human.Material.of("made-up", spoken(), own, 5, TAXONOMIES)
    plans = [human._Plan("embedding", "told", BOTH, repeat) for repeat in (0, 1)]
    to_own = space_map(TINY, material.space, TAXONOMIES)
    one, two = (human._stages(plan, material, written, to_own, own) for plan in plans)
    assert [len(stage.rows) for stage in one] == [32, 16] and not set(one[0].rows.texts) & set(two[0].rows.texts)
    assert one[0].space is TINY and one[1].to_next is None and one[0].rows.synthetic.all() and not one[1].rows.synthetic.any()
    assert set(one[1].rows.texts) != set(two[1].rows.texts), "a seed of its own"
    resources = Resources(human.paired(embed), encoder, "h", tmp_path / "cache" / "learners")
    tables = human.run_dialogues(material, written, own, TAXONOMIES, resources, Evidence(resamples=100))
    made = tables["dialogue_predictions"]
    assert len(made) == 2 * 2 * 3 * 2 and set(made.loc[made["first"] == "told", "n_first"]) == {32} and set(made["size"]) == {16}
    gains = tables["dialogues"][tables["dialogues"]["first"] == "told − nothing"]
    assert len(gains) == 6 and gains["p"].notna().all()


def test_macro_f1_on_resampled_dialogues_by_hand() -> None:
    rng = np.random.default_rng(4)
    truth, guess, clusters = rng.integers(3, size=40), rng.integers(3, size=(2, 40)), np.repeat(np.arange(8), 5)
    points, draws = human.macro_f1_draws(truth, guess, clusters, 3, 50, 9)
    assert points == pytest.approx([f1_score(truth, one, average="macro") for one in guess]) and draws.shape == (50, 2)
    counts = np.random.default_rng(9).multinomial(8, np.full(8, 1 / 8), 50)
    chosen = np.repeat(np.arange(40), counts[7][clusters])
    wanted = [f1_score(truth[chosen], one[chosen], average="macro", labels=[0, 1, 2], zero_division=0) for one in guess]
    assert draws[7] == pytest.approx(wanted)


def test_utterances_of_a_dialogue_are_not_independent() -> None:
    truth = np.repeat(np.arange(20) % 2, 10)
    guess = np.where(np.repeat(np.arange(20) % 3 == 0, 10), 1 - truth, truth)[None]  # right or wrong a dialogue at a time
    widths = [np.ptp(np.quantile(human.macro_f1_draws(truth, guess, units, 2, 2000, 1)[1], [0.025, 0.975])) for units in
              (np.repeat(np.arange(20), 10), np.arange(200))]  # fmt: skip
    assert widths[0] > 2 * widths[1]


def test_empty_context_is_zeros_and_pairs_stand_side_by_side() -> None:
    features = human.paired(embed)
    both = features([("", "the lake"), ("sun", "the rain")])  # type: ignore[list-item]
    assert both.shape == (2, 48) and not both[0, :24].any() and np.array_equal(both[:, 24:], embed(["the lake", "the rain"]))
    assert np.array_equal(features(["sun", ""])[0], embed(["sun"])[0]) and not features(["sun", ""])[1].any()


def test_dialogues_that_are_not_here_are_a_sentence() -> None:
    def nowhere(name: str) -> Path:
        raise UserError("It could not be fetched.", remedy="Set EMOSYNTH_MIRROR.")

    layout = SimpleNamespace(corpus=SimpleNamespace(layout="meld"))
    assert human.read_dialogues("meld", SimpleNamespace(entry=lambda _: layout, fetch=nowhere)) == (  # type: ignore[arg-type]
        "Not tested: meld is not here. It could not be fetched. Set EMOSYNTH_MIRROR."
    )
    tweets: Any = SimpleNamespace(entry=lambda _: SimpleNamespace(corpus=SimpleNamespace(layout="vader")))
    with pytest.raises(UserError, match="no corpus of dialogues"):
        human.read_dialogues("tweets", tweets)


# --- inputs -------------------------------------------------------------------------------------------


def test_flips_by_hand() -> None:
    first, second = np.array([[0.8, 0.1], [0.3, 0.2], [0.4, 0.4]]), np.array([[0.5, 0.4], [0.9, 0.2], [0.1, 0.1]])
    np.testing.assert_array_equal(flips(first, second, np.array([[0, 1]] * 3)), [1, 0, 0.5])
    assert flips(first, first, np.array([[0, 1]] * 3)).mean() == 0.5


def test_no_row_keeps_its_context() -> None:
    texts = Texts([f"c{n}" for n in range(30)], [f"u{n}" for n in range(30)])
    shuffled = texts.shuffled(3)
    assert sorted(shuffled.contexts) == sorted(texts.contexts) and shuffled.utterances == texts.utterances
    assert all(one != other for one, other in zip(texts.contexts, shuffled.contexts, strict=True))
    assert [texts.inputs(kind)[0] for kind in INPUTS] == [("c0", "u0"), "u0", "c0", ("c0", "u0")]


def test_stories_are_held_out_whole() -> None:
    rows, soft, pairs = told()
    pairs.loc[0, "context_a"] = rows["context"].iloc[0]
    data = split(rows, soft, pairs, TINY, 0.8)
    assert not isinstance(data, str)
    held = held_out(rows["story_id"].tolist())
    mine = {f"{row.context} she:" for row in rows.itertuples() if row.story_id in held}
    assert set(data.test.contexts) == mine and not mine & set(data.train.contexts) and set(data.stories) == held
    assert f"{rows['context'].iloc[0]} she:" not in data.train.contexts, "it stands in a pair"
    assert len(data.wanted) == 5 and data.pair_stories == ["p0", "p0", "p1", "p1", "p2"]
    assert data.fold.any() and not data.fold.all() and len(data.soft) == len(data.train.utterances)
    assert len(held_out([f"s{n}" for n in range(10)] * 3)) == 2


def test_too_few_stories_are_a_sentence() -> None:
    rows, soft, pairs = told()
    few = rows["story_id"].isin(["s0", "s1"]).to_numpy()
    assert "2 stories" in str(split(rows[few].reset_index(drop=True), soft[few], pairs, TINY, 0.8))
    assert "from none" in str(split(rows.assign(story_id=""), soft, pairs, TINY, 0.8))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def test_context_alone_stands_beside_context_and_utterance(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, soft, pairs = told()
    data = split(rows, soft, pairs, TINY, 0.8)
    assert not isinstance(data, str)
    settings = Context(steps=3, layers=1, batch=8, max_tokens=24)
    learners = [
        ("embedding", inputs.linear_model(embed), 1, "h"),
        ("encoder", inputs.encoder_model(settings, encoder, TINY.labels), 2, "h"),
    ]
    table = inputs.run_context(data, TINY, learners, tmp_path, 0.95)
    cell = table.set_index(["learner", "input", "test", "repeat", "measure"])
    value = cell["value"]
    for kind in (BOTH, CONTEXT_ONLY):
        assert value["embedding", kind, "pairs", 0, "flips"] == 1.0 and value["embedding", kind, "rows", 0, "top_1"] == 1.0
    for learner in ("embedding", "encoder"):
        for repeat in (0, ALL_REPEATS):
            assert value[learner, UTTERANCE, "pairs", repeat, "flips"] == 0.5, "exactly"
    gains = [cell.loc["embedding", name, "rows", ALL_REPEATS, "lrap"] for name in DIFFERENCES]
    assert gains[0]["low"] > 0 and gains[2]["low"] > 0, "over the utterance and over another row's context"
    assert gains[1]["low"] <= 0 <= gains[1]["high"], "but not over the context alone"
    mean = [value["encoder", BOTH, "rows", r, "lrap"] - value["encoder", SHUFFLED, "rows", r, "lrap"] for r in (0, 1)]
    assert value["encoder", f"{BOTH} − {SHUFFLED}", "rows", ALL_REPEATS, "lrap"] == pytest.approx(np.mean(mean))
    assert set(table["input"]) == {*INPUTS, *DIFFERENCES} and (table["low"] <= table["high"]).all()
    assert set(table.loc[table["test"] == "pairs", "n"]) == {5} and set(table.loc[table["test"] == "pairs", "stories"]) == {3}
    for model in ("encoder.FineTunedEncoder", "linear.OneVsRest"):
        monkeypatch.setattr(f"emosynth.models.{model}.fit", None)
    pd.testing.assert_frame_equal(inputs.run_context(data, TINY, learners, tmp_path, 0.95), table)


def test_rows_of_few_stories_are_weak_evidence() -> None:
    stories = [f"s{n // 20}" for n in range(80)]
    values = np.array([float(n // 20 % 2) for n in range(80)])
    nests = [Nest.of([0] * 80, stories, [0] * 80), Nest.flat(80)]
    by_story, by_row = (halves_interval(values, nested_halves(nest, 400, 1), 0.95, 1)[1] for nest in nests)
    assert by_story.high - by_story.low > 2 * (by_row.high - by_row.low)


# --- which rows, which labels ----------------------------------------------------------------------------


def params(**sections: Any) -> Params:
    base: dict[str, Any] = {
        "corpora": {"target": "toy"},
        "cells": {"sizes": [10, 20], "repeats": 2},
        "checks": {"basic": {}},
        "learners": {"tfidf": {}},
        "arms": {
            "naive": {},
            "loose": {"guide": [{"narrative": {"grounded": False}}], "space": "goemotions", "rows": 8},
            "told": {"guide": "narrative", "space": "goemotions", "labels": {"reader": 0.5}, "rows": 400, "checks": "none"},
            "own": {"guide": "narrative", "labels": {"reader": 0.25, "teacher": 0.25}},
        },
        "context": {
            "pairs": 6,
            "steps": 4,
            "layers": 1,
            "batch": 8,
            "max_tokens": 24,
            "free_form": 5,
            "reader_rows": 6,
            "similarity": 0.999,
        },
    }
    return Params.model_validate(base | sections)


def test_first_arm_that_is_grounded_is_chosen() -> None:
    assert chosen_arm(params()).name == "told"  # type: ignore[union-attr]
    assert chosen_arm(params(context={"arm": "own"})).name == "own"  # type: ignore[union-attr]
    assert chosen_arm(params(arms={"naive": {}})) is None


class Soft:
    """Remembers what it was asked for; gives a label's place by labeller."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    def log_p(self, labeller: Any, ids: list[str], cell: Any) -> np.ndarray:
        self.asked.append((labeller.name, cell.size, cell.repeat))
        first = {"reader": [0.5, 0.25, 0.25], "teacher": [0.0, 0.0, 1.0]}[labeller.name]
        with np.errstate(divide="ignore"):
            return np.log(np.tile(first, (len(ids), 1)))


def test_labels_are_mixed_as_the_arm_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    soft = Soft()
    monkeypatch.setattr("emosynth.verification.load_soft", lambda paths: soft)
    given, rows = params(), pd.DataFrame({"candidate_id": ["a", "b"], "labels": [["joy", "anger"], ["joy"]], "repeat": [1, 0]})

    def mixed(name: str) -> np.ndarray:
        return soft_targets(given, Contextual(resolve_arm(given, name), "toy", TINY, rows), rows, Paths(tmp_path, "demo"))

    np.testing.assert_allclose(mixed("told"), [[0.5, 0.375, 0.125], [0.75, 0.125, 0.125]])
    assert soft.asked == [("reader", 20, 1), ("reader", 20, 0)]
    np.testing.assert_allclose(mixed("own"), [[0.375, 0.3125, 0.3125], [0.625, 0.0625, 0.3125]])
    assert ("teacher", 20, 1) in soft.asked
    soft.asked.clear()
    np.testing.assert_allclose(mixed("loose"), [[0.5, 0.5, 0], [1, 0, 0]])
    assert not soft.asked


def test_space_without_a_taxonomy_has_its_own_words() -> None:
    assert taxonomy_of(GOEMOTIONS, TAXONOMIES).name == "goemotions"
    made = taxonomy_of(TINY, TAXONOMIES)
    assert made.labels == TINY.labels and made.own_words("joy") == ("joy", "joyful", "joy") and made.synonyms["joy"] == ()


# --- pairs --------------------------------------------------------------------------------------------


def test_names_of_other_stories_are_left_out_of_pairs_roles_are_not() -> None:
    texts, people = passages(3)
    cast = cast_of_pairs(texts, people, {"s1", "s2"})
    assert set(cast["character"]) == {"Ann0", "the miller"} and set(cast["story_id"]) == {"s0"}
    shared = people.replace({"character": {"Ann1": "ANN0"}})
    assert set(cast_of_pairs(texts, shared, {"s1", "s2"})["character"]) == {"the miller"}


def test_plan_of_pairs_is_balanced_and_opposed() -> None:
    cast = cast_of_pairs(*passages(12), set())
    plan = plan_pairs(GOEMOTIONS, cast, 132, 3)
    firsts = Counter(SENTIMENT[pair.labels[0]] for pair in plan)
    assert all({SENTIMENT[label] for label in pair.labels} == {"positive", "negative"} for pair in plan)
    assert min(firsts.values()) > 40 and all(len(set(pair.row_seeds)) == 3 for pair in plan)
    counts = Counter(label for pair in plan for label in pair.labels)
    assert counts == {label: 11 if SENTIMENT[label] == "positive" else 12 for label in SENTIMENT}
    assert len({(pair.passage_id, pair.character) for pair in plan[:48]}) == 48
    assert plan_pairs(GOEMOTIONS, cast, 7, 3) == plan[:7] and plan_pairs(GOEMOTIONS, cast, 0, 3) == []
    assert plan_pairs(GOEMOTIONS, cast.iloc[:0], 5, 3) == []


def test_labels_without_sentiment_are_groups_of_their_own() -> None:
    assert set(groups_of(GOEMOTIONS)) == {"positive", "negative"}
    assert groups_of(TINY) == {"positive": ["joy"], "negative": ["anger"]}
    plain = Space("x", ("red", "blue", "none"), True, {}, {}, "none")
    assert groups_of(plain) == {"red": ["red"], "blue": ["blue"]}
    assert plan_pairs(Space("x", ("red", "none"), True, {}, {}, "none"), cast_of_pairs(*passages(3), set()), 3, 1) == []


def test_pairs_are_in_order_or_not() -> None:
    plan = plan_pairs(TINY, cast_of_pairs(*passages(3), set()), 4, 1)
    same = "gone to the market because of the rain in the hall."
    contexts = [
        ("won a prize at the fair.", "lost a bag on the tram."),
        (same, same),
        ("seen it.", "no end here and no"),
        ("a cat.", "two dogs run."),
    ]
    said = ["I will go home now.", "I will go home now.", "I will go home now.", "I feel so joyful now."]
    answers = [(text, False) for (a, b), c in zip(contexts, said, strict=True) for text in (a, b, c)]
    table = write_pairs(plan, TINY, "completion", lambda requests: answers, lexicon(TINY.phrases, TINY.adjectives), "plain")
    assert table["ok"].tolist() == [True, False, False, False], "sound; alike; unfinished; names its label"
    assert table["complete_b"].tolist() == [True, True, False, True] and set(table["generator"]) == {"plain"}
    assert write_pairs([], TINY, "chat", lambda requests: [], {}, "plain").empty


def test_explicit_texts() -> None:
    names = lexicon({"joy": "full of joy"}, {"joy": "joyful"}, {"joy": ("glad",)})
    assert names["joy"] == {"joy", "joyful", "glad"}
    assert explicit_share(["I am gladly here", "it rains", "what a joy"], [["joy"], ["joy"], ["anger"]], names).tolist() == [
        True,
        False,
        False,
    ]


class TableScorer:
    """Gives log-likelihoods by prompt; rows that are not in the table are even."""

    def __init__(self, table: dict[str, list[float]] | None = None) -> None:
        self.table = table or {}

    def score(self, prompts: Any, labels: Any, progress: Any = None) -> np.ndarray:
        return np.log([self.table.get(prompt, np.ones(len(labels)) / len(labels)) for prompt in prompts])

    def prior(self, content_free: Any, labels: Any) -> np.ndarray:
        return np.log(np.exp(self.score(content_free, labels)).mean(axis=0))


def test_shift_is_free_of_what_words_are_worth() -> None:
    pairs = pd.DataFrame(
        {"utterance": "So.", "context_a": ["Gift."], "context_b": ["Loss."], "character": "Ann", "label_a": "joy", "label_b": "anger"}
    )
    table = {row_prompt("So.", "Gift.", "Ann"): [0.3, 0.6, 0.1], row_prompt("So.", "Loss.", "Ann"): [0.1, 0.8, 0.1]}
    assert shifts(pairs, TableScorer(table), TINY).tolist() == pytest.approx([np.log(0.3 / 0.6) - np.log(0.1 / 0.8)])
    assert shifts(pairs.iloc[:0], TableScorer(), TINY).empty


# --- names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("Sadness", ["sadness"]),
        ('anger"', ["anger"]),
        ('"anger" is what', ["anger"]),
        ("Joy, pride, and relief.", ["joy", "pride"]),
        ("hope/fear", ["hope", "fear"]),
        ("He is very annoyed and a bit sad. It", ["annoyed", "sad"]),
        ("a sense of loss or grief\nUtterance:", ["loss", "grief"]),
        ("Ferocity, brandy", ["ferocity", "brandy"]),
        ("“Schadenfreude”", ["schadenfreude"]),
        ("  \n", []),
        ('".', []),
    ],
)
def test_names_are_read_off_answers(answer: str, names: list[str]) -> None:
    assert parse_names(answer) == names


def test_naming_prompts() -> None:
    found = naming_prompt("completion", 'No "way".', "Rain.", "the miller")
    assert found == 'Rain.\nThe miller says: "No \'way\'."\nThe name of the emotion that the miller feels is "'
    chat = naming_prompt("chat", "No.")
    assert "Situation" not in chat and chat.endswith('Character: a person\nUtterance: "No."')


def test_rows_to_name_go_round_the_labels() -> None:
    rows = pd.DataFrame({"repeat": 0, "index": range(5), "label": ["joy", "joy", "joy", "fear", "anger"]})
    assert rows_to_name(rows, 4)["index"].tolist() == [0, 3, 4, 1]


# --- the step -----------------------------------------------------------------------------------------


class RuleModel:
    """Names emotions when asked to; otherwise writes a text that its seed tells apart."""

    deterministic = True
    identity = {"backend": "rule"}  # noqa: RUF012

    def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
        out = []
        for request in requests:
            drawn = " ".join(f"word{number}" for number in np.random.default_rng(request.row_seed).integers(400, size=9))
            naming = "name of the emotion" in request.prompt
            out.append(Completion('Sadness, zorbly"' if naming else f' {drawn}. And then no more."', "length", 20, 10))
        return out

    def close(self) -> None:
        pass


def prepared(root: Path, given: Params) -> Paths:
    """Write what earlier steps would have written."""
    paths = Paths(root, "demo")
    paths.taxonomies.parent.mkdir(parents=True, exist_ok=True)
    paths.taxonomies.write_bytes((ROOT / "data" / "taxonomies.yaml").read_bytes())
    card = Card(title="t", what="w", made="m")
    corpus = [
        {"id": f"r{n}", "text": f"{PLACES[n % 10]} {n}", "labels": [("joy", "sadness")[n % 2]], "split": ("train", "validation", "test")[n % 3],
         "corpus": "toy"} for n in range(40)
    ]  # fmt: skip
    write_table(pd.DataFrame(corpus), paths.corpora / "toy.parquet", card)
    note = {
        "name": "toy", "classes": ["joy", "sadness"], "task": "single", "register_noun": "note", "class_phrases": {"joy": "joy", "sadness": "sadness"},
        "licence": "mit", "citation": "", "languages": ["en"], "source": "", "hash": "h", "counts": {}, "duplicates": {},
    }  # fmt: skip
    write_json(paths.corpora / "toy.json", note)
    texts, people = passages(10)
    write_table(texts, paths.narratives / "passages.parquet", card)
    write_table(people, paths.narratives / "characters.parquet", card)
    rows, _, _ = told()
    origin = resolve_arm(given, "told").origin
    assert origin is not None
    candidates = rows.assign(
        origin=origin.name, writer="plain", space="goemotions", corpus="", size=-1, repeat=[n // 32 for n in range(64)],
        index=[n % 32 for n in range(64)], kind="contextual", passage_id="", prompt=[f"p{n}" for n in range(64)], row_seed=1, generator="g",
        finish="stop", complete=True, prompt_tokens=30, new_tokens=12,
    )  # fmt: skip
    write_table(candidates, paths.candidates / "candidates.parquet", card)
    verdicts = candidates[["candidate_id", "repeat"]].assign(arm="told", corpus="toy", size=20, accepted=[n != 5 for n in range(64)])
    write_table(verdicts, paths.verdicts / "verdicts.parquet", card)
    return paths


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Any:
    root, given = tmp_path_factory.mktemp("step"), params()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOSYNTH_CACHE", str(root / "cache"))
        patch.setenv("EMOSYNTH_PROGRESS", str(root / "progress.txt"))
        patch.setattr(build, "open_writer", lambda *_: RuleModel())
        patch.setattr("emosynth.models.lm.labels.LabelScorer.open", lambda *_: TableScorer())
        patch.setattr(
            "emosynth.models.embeddings.embedding_cache", lambda *_: SimpleNamespace(embed=embed, encoder=SimpleNamespace(hash="h"))
        )
        even = np.log(np.full(28, 1 / 28))
        soft = SimpleNamespace(log_p=lambda labeller, ids, cell: np.tile(even, (len(ids), 1)))
        patch.setattr("emosynth.verification.load_soft", lambda paths: soft)
        paths = prepared(root, given)
        catalog: Any = SimpleNamespace(fetch=lambda name: encoder, model=lambda name: encoder)
        tables = build_context(given, catalog, paths)
        yield SimpleNamespace(tables=tables, paths=paths, catalog=catalog, said=root / "progress.txt")


def test_all_tables_are_written_with_cards(made: Any) -> None:
    people = ["dialogues", "dialogue_predictions", "dialogue_rows"]
    assert list(made.tables) == ["context", "pairs", "names", "reader", *people]
    for name in people:
        assert made.tables[name].empty and "Not tested: no corpus of dialogues" in (made.paths.context / f"{name}.md").read_text()
    for name, frame in list(made.tables.items())[:4]:
        assert len(read_table(made.paths.context / f"{name}.parquet")) == len(frame) > 0, name
        assert "Empty:" not in (made.paths.context / f"{name}.md").read_text(), name
    assert set(made.tables["context"]["learner"]) == {"embedding", "encoder"}
    assert {"rows", "pairs"} == set(made.tables["context"]["test"])


def test_pairs_come_from_stories_that_no_row_is_grounded_in(made: Any) -> None:
    pairs = made.tables["pairs"]
    assert len(pairs) == 6 and set(pairs["story_id"]) <= {"s8", "s9"} and pairs["ok"].all()
    assert (pairs["shift"] == 0).all(), "a reader for whom all is even"


def test_names_resolve_to_labels(made: Any) -> None:
    names = made.tables["names"]
    assert len(names) == 10 and names["candidate_id"].nunique() == 5 and "c005" not in set(names["candidate_id"])
    assert names.loc[names["raw"] == "sadness", "label"].eq("sadness").all() and names.loc[names["raw"] == "zorbly", "label"].isna().all()


def test_reader_is_measured_on_validation_rows_beside_frequencies(made: Any) -> None:
    row = made.tables["reader"].iloc[0]
    assert (row["corpus"], row["labels"], row["n"], row["top5"]) == ("toy", 2, 6, 1.0)
    assert 0 < row["frequency_top1"] < 1 and not math.isnan(row["mrr"])


def test_a_second_run_is_the_same_to_the_byte(made: Any) -> None:
    before = {path.name: path.read_bytes() for path in sorted(made.paths.context.iterdir())}
    build_context(params(), made.catalog, made.paths)
    assert {path.name: path.read_bytes() for path in sorted(made.paths.context.iterdir())} == before


def test_without_narratives_there_is_a_sentence(made: Any) -> None:
    tables = build_context(params(arms={"naive": {}}), made.catalog, made.paths)
    assert all(tables[name].empty for name in ("context", "pairs", "names")) and len(tables["reader"]) == 1
    assert "Empty: No arm writes utterances from a narrative." in (made.paths.context / "context.md").read_text()
    assert "no table of pairs: No arm" in made.said.read_text()
    assert {"input", "learner", "value"} <= set(read_table(made.paths.context / "context.parquet").columns)
