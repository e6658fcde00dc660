"""Guides that show what step 02 found in a seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosynth import pieces
from emosynth.design.cells import stable_seed
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.guides.base import Draw, Guide, Materials, Shown, Tables

LABELS = ("glad", "cross")
SPACE = Space("toy", LABELS, False, {"glad": "gladness", "cross": "anger"}, {"glad": "glad", "cross": "angry"})
GLAD = [("cake", 0.8), ("song", 0.4), ("dance", 0.3), ("warm", 0.2), ("bright", 0.1), ("the", 0.0)]
CROSS = [("kettle", 0.5), ("song", 0.45), ("bus", 0.1)]
FOUND = Tables(
    {("glad", "shap"): GLAD, ("cross", "shap"): CROSS, ("glad", "tfidf"): GLAD[::-1], ("cross", "tfidf"): []},
    {(label, by): [f"{label}-{by}-{i}" for i in range(6)] for label in LABELS for by in ("shap", "tfidf", "random")},
)


def guide(name: str, value: object = None) -> Guide:
    made = pieces.build("guide", name, value)
    assert isinstance(made, Guide)
    return made


def draw(*labels: str, seed: int = 0, found: Materials | None = FOUND) -> Draw:
    return Draw(labels, SPACE, found, np.random.default_rng(seed))


def drawn(items: list[str], count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Draw as the first edition did."""
    chosen = rng.permutation(len(items))[:count]
    return tuple(items[i] for i in sorted(chosen))


def test_draws_of_the_first_edition_are_kept() -> None:
    """Tokens first, then exemplars, from one generator: prompts stay equal byte for byte."""
    seed = stable_seed("prompt", "shap", 60, 1, "glad", 2)
    rng = np.random.default_rng(seed)
    tokens = drawn([token for token, score in GLAD if score > 0], 4, rng)
    exemplars = drawn([f"glad-shap-{i}" for i in range(6)], 3, rng)
    asked = draw("glad", seed=seed)
    assert guide("shap-tokens").show(asked) | guide("shap-exemplars").show(asked) == Shown(tokens, exemplars)


@pytest.mark.parametrize(("name", "by"), [("shap-exemplars", "shap"), ("tfidf-exemplars", "tfidf"), ("random-exemplars", "random")])
def test_exemplars_are_those_of_the_guide(name: str, by: str) -> None:
    shown = guide(name, 2).show(draw("cross"))
    assert len(shown.exemplars) == 2 and shown.tokens == shown.bias == ()
    assert all(item.startswith(f"cross-{by}-") for item in shown.exemplars)


def test_tokens_that_do_not_speak_for_the_class_are_not_shown() -> None:
    assert guide("shap-tokens", 9).show(draw("glad")).tokens == ("cake", "song", "dance", "warm", "bright")
    assert guide("tfidf-tokens", 9).show(draw("glad")).tokens == ("bright", "warm", "dance", "song", "cake")
    assert guide("tfidf-tokens").show(draw("cross")).tokens == (), "a class without tokens is not filled up from elsewhere"


def test_two_labels_share_the_tokens() -> None:
    for seed in range(20):
        tokens = guide("shap-tokens", 3).show(draw("glad", "cross", seed=seed)).tokens
        assert len(tokens) == len(set(tokens)) and 2 <= len(tokens) <= 3  # song may be drawn twice
        assert set(tokens) & {token for token, _ in CROSS}
    assert len(guide("shap-tokens", 1).show(draw("glad", "cross")).tokens) == 1
    exemplars = guide("shap-exemplars", 3).show(draw("glad", "cross")).exemplars
    assert [item.split("-")[0] for item in exemplars] == ["glad", "glad", "cross"]


def test_bias_is_a_share_of_the_strength() -> None:
    assert guide("shap-bias").show(draw("glad")).bias == (("cake", 2.0), ("song", 1.0), ("dance", 0.75), ("warm", 0.5), ("bright", 0.25))
    both = dict(guide("shap-bias", 1.0).show(draw("glad", "cross")).bias)
    assert both["cake"] == both["kettle"] == 1.0 and both["song"] == 0.9
    assert guide("shap-bias").show(draw("glad", found=Tables())).bias == ()


def test_hint_shows_the_tokens_of_the_text_first() -> None:
    asked = guide("shap-tokens", 3)
    for seed in range(10):
        tokens = asked.hint("A WARM cake, and no kettle", draw("glad", seed=seed)).tokens
        assert {"cake", "warm"} <= set(tokens) and len(tokens) == 3 and "kettle" not in tokens
        assert list(tokens) == [token for token, _ in GLAD if token in tokens], "in rank order, as a prompt has them"
    assert asked.hint("cake song dance warm bright", draw("glad")).tokens == ("cake", "song", "dance")
    assert asked.hint("nothing of it", draw("cross")).tokens == ("kettle", "song", "bus")


@given(
    st.text(alphabet="cakesongbuwrmdt ", max_size=30),
    st.integers(1, 8),
    st.integers(0, 99),
    st.sampled_from([("glad",), ("cross", "glad")]),
)
def test_a_tuned_writer_sees_the_form_of_the_prompts(text: str, count: int, seed: int, labels: tuple[str, ...]) -> None:
    asked = guide("shap-tokens", count)
    tokens = asked.hint(text, draw(*labels, seed=seed)).tokens
    assert tokens == asked.hint(text, draw(*labels, seed=seed)).tokens
    allowed = {token for label in labels for token, score in FOUND.tokens(label, "shap") if score > 0}
    assert len(tokens) == len(set(tokens)) <= count and set(tokens) <= allowed
    if len(labels) == 1:
        assert len(tokens) == len(asked.show(draw(*labels, seed=seed)).tokens)


def test_what_guides_say_of_themselves() -> None:
    known = {name: cls for name, cls in pieces.registered("guide").items() if cls.__module__.startswith("emosynth.guides")}
    seeded = {"shap-tokens", "shap-exemplars", "tfidf-tokens", "tfidf-exemplars", "random-exemplars", "shap-bias"}
    assert seeded <= set(known)
    for name in seeded:
        made = guide(name)
        assert made.needs_seed and made.label and made.tunable == name.endswith("-tokens")
        assert made.needs_bias == (not made.drawn) == (name == "shap-bias")
        assert made.citation.count("{") == made.citation.count("}")
        with pytest.raises(ValueError, match=name):
            made.show(draw("glad", found=None))
    assert guide("shap-tokens", 2).identity() == {"piece": "shap-tokens", "count": 2}
    with pytest.raises(UserError, match=r"shap-tokens\.count"):
        guide("shap-tokens", 0)
    with pytest.raises(UserError, match="did you mean count"):
        guide("shap-tokens", {"counts": 3})
