"""The authenticity panel and its parts; invented texts, a tiny stand-in for the tagger."""

from __future__ import annotations

import io
import math
import pickle
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lexicalrichness import LexicalRichness

from emosynth.authenticity import build_panel, detect, resampling, richness, tokens
from emosynth.authenticity.build import pooled_diversity
from emosynth.authenticity.diversity import MEASURES as DIVERSITY
from emosynth.authenticity.diversity import diversity, spread
from emosynth.authenticity.panel import MEASURES, OTHER, PANEL_COLUMNS, REAL, authenticity_panel
from emosynth.authenticity.sample import ALL, Sample, real_halves, sample_of
from emosynth.authenticity.temporal import count_temporal, find_temporal
from emosynth.authenticity.tokens import PronounCounts, count_pronouns, count_tenses
from emosynth.cards import Card, read_table, write_table
from emosynth.corpora import Corpus
from emosynth.design.arms import ResolvedArm, cells_of_arm, resolve_arms
from emosynth.design.cells import stable_seed
from emosynth.errors import UserError
from emosynth.evidence import text_claims
from emosynth.files import write_json
from emosynth.generation import candidates_of
from emosynth.models.tagger import Tag, load_tagger, read_weights
from emosynth.params import Authenticity, Params
from emosynth.paths import Paths
from emosynth.stats import Nest, percentile_interval
from emosynth.store import RowStore
from emosynth.text import normalise

TAGS = {
    "was": "VBD",
    "saw": "VBD",
    "is": "VBZ",
    "'m": "VBP",
    "like": "VBP",
    "will": "MD",
    "eat": "VB",
    "eating": "VBG",
    "have": "VBP",
    "seen": "VBN",
}


def fake_tag(tagged: Sequence[str]) -> list[tuple[str, str]]:
    """Tag a few verbs; everything else is a noun."""
    return [(token, TAGS.get(token.lower(), "NN")) for token in tagged]


@pytest.fixture(scope="session")
def real_tag(tmp_path_factory: pytest.TempPathFactory) -> Tag:
    """The tagger itself, from the package that the catalogue names."""
    from emosynth.catalog import Catalog
    from emosynth.paths import Paths, repository_root

    catalog = Catalog.load(Paths(repository_root(Path(__file__).parent), "smoke"))
    return load_tagger(catalog.fetch("aptagger"), tmp_path_factory.mktemp("nltk"))


# --- tokens -----------------------------------------------------------------------------------------


def test_counted_words() -> None:
    text = "@you Look: https://t.co/abc #happy I'm 2 😂 !!!"
    assert tokens.counted(tokens.cased(text)) == ["look", "#happy", "i'm", "2"]
    assert tokens.counted(tokens.cased("😂 ... !")) == []


def test_tokens_for_tagging() -> None:
    text = "@you I'm sure u don't, we'd've gone im #sad it’s https://x.org/y"
    cut = ["John", "I", "'m", "sure", "you", "do", "n't", ",", "we", "'d", "'ve", "gone", "I", "'m", "sad", "it", "'s"]
    assert tokens.for_tagging(tokens.cased(text)) == cut


# --- pronouns ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I gave my book to you", (2, 0, 1, 0)),
        ("I’m sure she's told them we'll come", (1, 1, 0, 2)),
        ("im sad, u and ur friends left me", (2, 0, 2, 0)),
        ("Let's go, they've seen us", (0, 2, 0, 1)),
        ("The US and the U.S. are one country", (0, 0, 0, 0)),
        ("THEY LEFT US HERE", (0, 1, 0, 1)),
        ("ill be there, id say", (2, 0, 0, 0)),
        ("he fell ill and lost his id", (0, 0, 0, 2)),
        ("we were well", (0, 1, 0, 0)),
        ("it is raining in its way", (0, 0, 0, 0)),
        ("@me #you hello", (0, 0, 0, 0)),
        ("the cat's hat", (0, 0, 0, 0)),
        ("y'all should see yourselves", (0, 0, 2, 0)),
        ("", (0, 0, 0, 0)),
    ],
)
def test_pronouns(text: str, expected: tuple[int, ...]) -> None:
    assert count_pronouns(tokens.cased(text)) == PronounCounts(*expected)


# --- time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See you tonight or tomorrow morning", ["DEIXIS", "DEIXIS"]),
        ("two days ago I slept all day", ["DEIXIS", "DURATION"]),
        ("every morning and twice a week", ["SET", "SET"]),
        ("on Friday, June 3rd, 2016", ["DATE", "DATE"]),
        ("at 7:30 or 8 pm or noon", ["CLOCK", "CLOCK", "CLOCK"]),
        ("since Monday", ["DATE"]),
        ("since you asked, and while I wait", []),
        ("it took a while", ["DURATION"]),
        ("you may march on the second try", []),
        ("she is 5 years old", []),
        ("see you in May.", ["DATE"]),
        ("last minute goals", []),
        ("the 90s were fun, 2016 pieces", ["DATE"]),
        ("#monday @today", []),
        ("ratio 3:2, score 10-4, version 1.2", []),
        ("now that you say it", []),
        ("right now", ["DEIXIS"]),
        ("", []),
    ],
)
def test_temporal(text: str, expected: list[str]) -> None:
    assert [kind for kind, _ in find_temporal(text)] == expected


def test_temporal_counts() -> None:
    counts = count_temporal("today at noon, every day for hours since 1999")
    assert (counts.deixis, counts.clock, counts.set, counts.duration, counts.date, counts.total) == (1, 1, 1, 1, 1, 5)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.text(max_size=80))
def test_temporal_takes_any_text(text: str) -> None:
    normal = normalise(text)
    assert count_temporal(normal).total == len(find_temporal(normal))


# --- tense ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tagged", "counts", "forms"),
    [
        ("I/PRP saw/VBD it/PRP", (1, 0, 0, 0), ("past simple",)),
        ("he/PRP was/VBD not/RB eating/VBG", (1, 0, 0, 0), ("past progressive",)),
        ("I/PRP have/VBP never/RB seen/VBN it/PRP", (0, 1, 0, 0), ("present perfect",)),
        ("she/PRP 's/VBZ been/VBN eating/VBG", (0, 1, 0, 0), ("present perfect progressive",)),
        ("we/PRP will/MD eat/VB", (0, 0, 1, 0), ("future simple",)),
        ("we/PRP 'll/MD be/VB eating/VBG", (0, 0, 1, 0), ("future progressive",)),
        ("I/PRP 'm/VBP going/VBG to/TO eat/VB", (0, 0, 1, 0), ("future simple",)),
        ("I/PRP 'm/VBP going/VBG to/TO Rome/NNP", (0, 1, 0, 0), ("present progressive",)),
        ("you/PRP could/MD eat/VB", (0, 0, 0, 1), ()),
        ("eat/VB !/.", (0, 0, 0, 0), ()),
    ],
)
def test_tense(tagged: str, counts: tuple[int, ...], forms: tuple[str, ...]) -> None:
    found = count_tenses([(pair.rsplit("/", 1)[0], pair.rsplit("/", 1)[1]) for pair in tagged.split()])
    assert (found.past, found.present, found.future, found.modal) == counts
    assert found.forms == forms


# --- tagger -----------------------------------------------------------------------------------------


def test_weights_are_data() -> None:
    with pytest.raises(UserError, match="only plain data"):
        read_weights(io.BytesIO(pickle.dumps(print)))
    for damaged in (b"", b"\x80\x02garbage", pickle.dumps([1, 2]), pickle.dumps(({}, [], {"a"}))):
        with pytest.raises(UserError):
            read_weights(io.BytesIO(damaged))
    weights, tagdict, classes = read_weights(io.BytesIO(pickle.dumps(({"bias": {"NN": 1.0}}, {"the": "DT"}, {"NN", "DT"}), protocol=2)))
    assert (weights, tagdict, classes) == ({"bias": {"NN": 1.0}}, {"the": "DT"}, ["DT", "NN"])


def test_tagger_from_tiny_weights(tmp_path: Path) -> None:
    path = tmp_path / "tiny.pickle"
    path.write_bytes(pickle.dumps(({"bias": {"NN": 1.0}}, {"the": "DT"}, {"NN", "DT"}), protocol=2))
    tag = load_tagger(path, tmp_path / "cache")
    assert tag(["the", "cat"]) == [("the", "DT"), ("cat", "NN")]
    assert tag([]) == []
    path.unlink()
    assert load_tagger(path, tmp_path / "cache")(["the"]) == [("the", "DT")]


def test_tagger_without_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be prepared"):
        load_tagger(tmp_path / "none.pickle", tmp_path / "cache")


@pytest.mark.model
def test_real_tagger(real_tag: Tag) -> None:
    def tense(text: str) -> tuple[str, ...]:
        return count_tenses(real_tag(tokens.for_tagging(tokens.cased(text)))).forms

    assert tense("She walked home yesterday") == ("past simple",)
    assert tense("They’re eating my cake") == ("present progressive",)
    assert tense("We will visit Rome") == ("future simple",)


# --- richness ---------------------------------------------------------------------------------------

TOKENS = st.lists(st.sampled_from("abcdefghijklmnop"), min_size=60, max_size=200)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(TOKENS, st.randoms(use_true_random=False))
def test_hdd_equals_lexicalrichness_in_any_order(words: list[str], shuffler: random.Random) -> None:
    expected = LexicalRichness(list(words), preprocessor=None, tokenizer=None).hdd(draws=42)
    shuffled = list(words)
    shuffler.shuffle(shuffled)
    assert richness.hdd(words) == pytest.approx(expected, abs=1e-6)
    assert richness.hdd(shuffled) == richness.hdd(words)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=150), min_size=1, max_size=4))
def test_rows_equal_single_sequences(rows: list[list[int]]) -> None:
    lengths = np.array([len(row) for row in rows])
    matrix = np.full((len(rows), lengths.max()), -1, dtype=np.int32)
    for index, row in enumerate(rows):
        matrix[index, : len(row)] = row
    found = richness.all_measures(matrix, lengths)
    for index, row in enumerate(rows):
        words = [str(number) for number in row]
        expected = [richness.ttr(words), richness.hdd(words), richness.mattr(words), richness.mtld(words)]
        assert found[index] == pytest.approx(expected, nan_ok=True, abs=1e-9)


def test_richness_of_little() -> None:
    assert math.isnan(richness.ttr([])) and math.isnan(richness.hdd(["a"])) and math.isnan(richness.mattr(["a"] * 49))
    assert math.isnan(richness.mtld([])) and richness.mtld(["a"]) == 1
    assert richness.hdd(["a"] * 42) == pytest.approx(1 / 42)
    assert richness.hdd([str(number) for number in range(42)]) == pytest.approx(1)


def test_ttr_falls_with_size_and_hdd_does_not() -> None:
    generator = np.random.default_rng(3)
    vocabulary = [str(number) for number in generator.zipf(1.6, 20_000) % 3_000]
    small, large = vocabulary[:500], vocabulary
    assert richness.ttr(large) < 0.6 * richness.ttr(small)
    assert richness.hdd(large) == pytest.approx(richness.hdd(small), rel=0.08)


# --- repetition and detection -------------------------------------------------------------------------


def test_self_repetition_by_hand() -> None:
    sets = [np.array([1, 2, 3], np.int32), np.array([3, 4], np.int32), np.array([5], np.int32)]
    assert richness.self_repetition(sets) == pytest.approx(2 / 6)
    assert math.isnan(richness.self_repetition([]))


def test_novelty_by_hand() -> None:
    known = richness.seed_grams([["a", "b", "c", "d"]])
    assert richness.count_novel(["a", "b", "c", "e"], known) == (1, 2)
    assert richness.count_novel(["a", "b"], known) == (0, 0)


def test_gzip_ratio() -> None:
    assert richness.gzip_ratio(b"ab" * 1_000) > 20
    assert richness.gzip_ratio(bytes(np.random.default_rng(0).integers(0, 256, 2_000, dtype=np.uint8))) < 1.01
    assert math.isnan(richness.gzip_ratio(b""))


NOUNS, VERBS, EXTRAS = map(
    str.split,
    (
        "river lamp winter table friend garden window letter stone bread market boat train song tiger island coat mirror",
        "was saw is like will eat eating have seen runs sings paints breaks finds keeps",
        "today yesterday me you they my we every day all night again quietly alone with without near under",
    ),
)


def invented(count: int, seed: int, extra: str = "") -> list[str]:
    """Return word salads of 4 to 14 words from one small vocabulary."""
    chooser = random.Random(seed)
    texts = []
    for _ in range(count):
        words = [chooser.choice(chooser.choice((NOUNS, VERBS, EXTRAS))) for _ in range(chooser.randint(4, 14))]
        texts.append(" ".join(words) + extra)
    return texts


def test_detection() -> None:
    same = detect.detect(invented(80, 1), invented(80, 2), permutations=199, seed=1)
    assert 0.35 < same.auc < 0.65 and same.p > 0.01 and same.n == 80
    marked = detect.detect(invented(80, 1, " zzz"), invented(80, 2), permutations=199, seed=1)
    assert marked.auc > 0.95 and marked.p < 0.001
    assert marked == detect.detect(invented(80, 1, " zzz"), invented(80, 2), permutations=199, seed=1)


def test_detection_of_copies_is_chance() -> None:
    texts = invented(60, 5)
    assert detect.detect(texts, texts, permutations=99).auc == pytest.approx(0.5, abs=0.02)


def test_detection_of_little() -> None:
    for generated in ([], ["a"], ["", "😂"] * 20, ["same"] * 50):
        assert math.isnan(detect.detect(generated, ["same"] * 50, permutations=19).auc)


# --- resampling ---------------------------------------------------------------------------------------


def test_permuted_labels_keep_strata() -> None:
    labels = np.array([True] * 30 + [False] * 50)
    strata = resampling.length_strata(np.arange(80) % 17)
    rows = resampling.permuted_labels(labels, strata, 50, np.random.default_rng(1))
    assert (rows[0] == labels).all()
    assert len(np.unique(rows, axis=0)) == 51
    for stratum in np.unique(strata):
        assert (rows[:, strata == stratum].sum(axis=1) == labels[strata == stratum].sum()).all()


def prompted(
    generator: np.random.Generator, prompts: int = 12, each: int = 20, between: float = 0.06
) -> tuple[np.ndarray, np.ndarray, Nest]:
    """Return pronouns and words of texts whose rate depends on their prompt; three repeats of ``prompts`` / 3."""
    rates = np.clip(0.2 + generator.normal(0, between, prompts), 0.01, 0.9)
    below = generator.integers(8, 16, prompts * each)
    above = generator.binomial(below, np.repeat(rates, each))
    owner = np.repeat(np.arange(prompts), each)
    nest = Nest.of((owner // (prompts // 3)).tolist(), owner.tolist(), [""] * owner.size)
    return above[:, None].astype(float), below[:, None].astype(float), nest


def coverage(between: float, flat: bool) -> float:
    """Return how often the 90 % interval of a rate holds its true value."""
    hits = 0
    for trial in range(100):
        generator = np.random.default_rng(trial)
        above, below, nest = prompted(generator, between=between)
        drawn = resampling.half_ratios(above, below, Nest.flat(len(above)) if flat else nest, 120, generator)
        hits += 0.2 in percentile_interval(drawn[:, 0], 0.9)
    return hits / 100


def test_half_samples_cover_what_prompts_have_in_common() -> None:
    assert coverage(0.0, flat=True) == pytest.approx(0.9, abs=0.07)
    assert coverage(0.0, flat=False) >= 0.75, "three repeats say little of their spread"
    assert coverage(0.06, flat=False) > coverage(0.06, flat=True) + 0.15
    assert coverage(0.06, flat=True) < 0.65, "texts are not independent"


def test_variance_of_independent_ratios() -> None:
    generator = np.random.default_rng(4)
    above, below, _ = prompted(generator, between=0.0)
    drawn = resampling.half_ratios(above, below, Nest.flat(len(above)), 2000, generator)
    assert resampling.ratio_variances(above, below)[0] == pytest.approx(drawn.var(), rel=0.15)


def test_widening() -> None:
    assert resampling.widening(4.0, 1.0, 0.0) == 2 and resampling.widening(0.5, 1.0, 0.0) == 1
    assert resampling.widening(4.0, 1.0, 2.0) == pytest.approx(math.sqrt(2))
    assert resampling.widening(math.nan, 1.0, 1.0) == 1 and resampling.widening(1.0, 0.0, 0.0) == 1
    null = np.array([5.0, *np.linspace(-4, 4, 99)])
    assert resampling.p_of_rows(null)[0] == pytest.approx(1 / 100)
    assert resampling.p_of_rows(null, 2.0)[0] > 0.3


# --- panel --------------------------------------------------------------------------------------------

QUICK = Authenticity(size=None, tokens=400, subsamples=10, orders=4, permutations=199, confidence=0.95, random_seed=3)


def row_of(panel: pd.DataFrame, arm: str, measure: str, verified: bool = False) -> pd.Series:
    found = panel[(panel.arm == arm) & (panel.verified == verified) & (panel.measure == measure)]
    assert len(found) == 1
    return found.iloc[0]


def narrow(count: int) -> list[str]:
    """Return texts of 4 to 14 words that say much the same."""
    words = ["I", "saw", "my", "lamp", "and", "I", "was", "{}", "again", "and", "I", "saw", "my", "cat"]
    return [" ".join(words[: 4 + index % 11]).format(NOUNS[index % len(NOUNS)]) for index in range(count)]


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    arms = {
        ("narrow", False): Sample.flat(narrow(140)),
        ("narrow", True): Sample.flat(narrow(70)),
        ("same", False): Sample.flat(invented(150, 30)),
        ("empty", False): Sample.flat([]),
        ("emoji", True): Sample.flat(["😂😂", "!!!"]),
        ("few", False): Sample.flat(["one", "two words"]),
    }
    return authenticity_panel(invented(150, 10), invented(150, 20), arms, QUICK, fake_tag, invented(60, 40))


def test_panel_shape(panel: pd.DataFrame) -> None:
    assert tuple(panel.columns) == PANEL_COLUMNS[1:]
    assert len(panel) == 8 * len(MEASURES)
    assert list(dict.fromkeys(zip(panel.arm, panel.verified, strict=True)))[:2] == [(REAL, False), (OTHER, False)]
    assert not panel.duplicated(["arm", "verified", "measure"]).any()
    assert panel[panel.arm == REAL].p.isna().all()
    tested = panel[panel.p.notna()]
    assert (tested.p_holm >= tested.p).all()
    known = panel[panel.low.notna() & ~panel.measure.isin(["ttr", "hdd", "mattr", "mtld"])]
    assert ((known.low <= known.value + 1e-9) & (known.value <= known.high + 1e-9)).all()


def test_planted_differences_are_found(panel: pd.DataFrame) -> None:
    for measure in ("ttr", "hdd", "mattr", "mtld", "first_person_rate", "past_share", "gzip_ratio", "self_repetition", "detectability"):
        row = row_of(panel, "narrow", measure)
        assert row.p < 0.01, measure
        assert row.p_holm < 0.05, measure
    assert row_of(panel, "narrow", "hdd").effect < 1
    assert row_of(panel, "narrow", "first_person_rate").effect > 1
    assert row_of(panel, "narrow", "first_person_share").value == 1


def test_no_difference_is_found_among_alike(panel: pd.DataFrame) -> None:
    for arm in (OTHER, "same"):
        rows = panel[(panel.arm == arm) & panel.p_holm.notna()]
        assert len(rows) >= 15
        assert (rows.p_holm > 0.01).all(), rows[rows.p_holm <= 0.01]


def test_rates_over_nothing_are_missing(panel: pd.DataFrame) -> None:
    for arm, verified in (("empty", False), ("emoji", True)):
        rows = panel[(panel.arm == arm) & (panel.verified == verified)]
        assert rows[["value", "low", "high", "effect", "p", "p_holm"]].isna().all().all()
        assert (rows.note == "no words in this arm").all()
    few = panel[panel.arm == "few"]
    assert few.p.isna().all() and few.low.isna().all() and (few.note != "").all()
    assert row_of(panel, "few", "words_per_text").value == 1.5
    assert math.isnan(row_of(panel, "few", "share_date").value)


def test_reference_row_holds_its_own_values(panel: pd.DataFrame) -> None:
    rows = panel[(panel.arm == REAL) & (panel.measure != "detectability")]
    assert (rows.value.fillna(-1) == rows.reference.fillna(-1)).all()
    assert rows.effect.isna().all()
    assert row_of(panel, OTHER, "temporal_rate").reference == row_of(panel, REAL, "temporal_rate").value


NUMBERS = ["value", "low", "high", "reference", "effect", "p"]


def numbers(frame: pd.DataFrame, arm: str) -> pd.DataFrame:
    return frame.loc[frame.arm == arm, NUMBERS].reset_index(drop=True)


def test_arms_do_not_influence_each_other(panel: pd.DataFrame) -> None:
    arms = {("same", False): Sample.flat(invented(150, 30))}
    again = authenticity_panel(invented(150, 10), invented(150, 20), arms, QUICK, fake_tag, invented(60, 40))
    pd.testing.assert_frame_equal(numbers(again, "same"), numbers(panel, "same"))


def test_the_panel_is_the_same_from_one_process_and_from_two(monkeypatch: pytest.MonkeyPatch) -> None:
    arms = {(f"arm {number}", False): Sample.flat(invented(20, 50 + number)) for number in range(7)}
    quick = QUICK.model_copy(update={"permutations": 99})
    made = []
    for processes in (1, 2):
        monkeypatch.setattr("emosynth.authenticity.panel.rooms", lambda each, processes=processes: processes)
        made.append(authenticity_panel(invented(20, 10), invented(20, 20), arms, quick, fake_tag, invented(20, 40)))
    pd.testing.assert_frame_equal(*made, check_exact=True)


def test_arms_of_one_origin_are_one_measurement_and_one_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = QUICK.model_copy(update={"permutations": 19, "subsamples": 5, "orders": 1})
    sample = Sample.flat(narrow(60))

    def made(arms: dict[tuple[str, bool], Sample], store: RowStore | None = None) -> pd.DataFrame:
        return authenticity_panel(invented(60, 10), invented(60, 20), arms, quick, fake_tag, None, store=store)

    alone = made({("one", False): sample})
    with RowStore(tmp_path / "a.sqlite") as store:
        two = made({("one", False): sample, ("two", False): Sample.flat(narrow(60))}, store)
        assert len(store) == 3, "real, the other half, and one sample for both arms"
        monkeypatch.setattr("emosynth.authenticity.panel._measure", None)
        pd.testing.assert_frame_equal(made({("one", False): sample, ("two", False): sample}, store), two)
    for arm in ("one", "two"):
        pd.testing.assert_frame_equal(numbers(two, arm), numbers(alone, "one"))
        assert (two.loc[two.arm == arm, "p_holm"].dropna().to_numpy() == alone.loc[alone.arm == "one", "p_holm"].dropna().to_numpy()).all()


def test_texts_of_few_prompts_are_weak_evidence() -> None:
    generator = np.random.default_rng(8)
    texts, prompts = [], []
    for prompt in range(6):
        for text in invented(25, 100 + prompt):
            texts.append(text + (" I" if generator.random() < 0.06 * prompt else ""))
            prompts.append(prompt)
    nest = Nest.of([0] * len(texts), prompts, [""] * len(texts))
    arms = {("flat", False): Sample.flat(texts), ("nested", False): Sample(texts, nest, [""] * len(texts))}
    frame = authenticity_panel(invented(150, 10), invented(150, 20), arms, QUICK, fake_tag, None)
    flat, nested = (row_of(frame, arm, "first_person_rate") for arm in ("flat", "nested"))
    assert flat.value == nested.value and flat.p < nested.p
    assert nested.high - nested.low > 1.1 * (flat.high - flat.low)
    lengths = [row_of(frame, arm, "words_per_text") for arm in ("flat", "nested")]
    assert lengths[0].p <= lengths[1].p


def test_other_languages_leave_out_what_is_english() -> None:
    quick = QUICK.model_copy(update={"permutations": 19, "subsamples": 5})
    frame = authenticity_panel(invented(20, 1), invented(20, 2), {}, quick, fake_tag, None, language="de")
    left_out = frame[frame.family.isin(["pronouns", "time", "tense"])]
    assert left_out.value.isna().all() and left_out.note.str.contains("English alone, and the corpus is in de").all()
    assert frame[frame.family == "richness"].note.ne("").all() and not math.isnan(row_of(frame, OTHER, "words_per_text").value)


def test_hostile_texts() -> None:
    hostile = [
        *("", "a", "😂", "你好 世界 今天", "Привет, как дела сегодня", "\ud83d lone"),
        *("x " * 30_000, "&amp;" * 50, "<script>", "a" * 30_000, "\x00"),
    ]
    quick = QUICK.model_copy(update={"permutations": 19, "subsamples": 5})
    frame = authenticity_panel(hostile, hostile, {("hostile", False): Sample.flat(hostile * 2)}, quick, fake_tag, hostile)
    assert len(frame) == 3 * len(MEASURES)
    nothing = authenticity_panel([], [], {("a", False): Sample.flat(["hello there"])}, quick, None, None)
    assert nothing.p.isna().all()


def test_missing_tagger_and_seed() -> None:
    quick = QUICK.model_copy(update={"permutations": 19, "subsamples": 5})
    frame = authenticity_panel(invented(20, 1), invented(20, 2), {}, quick, None, None)
    assert (frame[frame.family == "tense"].note == "no part-of-speech tagger").all()
    assert row_of(frame, OTHER, "novelty").note == "no seed texts"


def test_lengths_apart_are_not_tested() -> None:
    long = Sample.flat([" ".join(NOUNS) + f" {word}" for word in VERBS * 3])
    frame = authenticity_panel(invented(60, 1), invented(60, 2), {("long", False): long}, QUICK, fake_tag, None)
    assert row_of(frame, "long", "words_per_text").p < 0.001
    rate = row_of(frame, "long", "first_person_rate")
    assert math.isnan(rate.p) and "not testable apart from length" in rate.note


# --- which texts --------------------------------------------------------------------------------------


def test_real_halves_are_balanced_disjoint_and_outside_the_seeds() -> None:
    rows = [{"id": f"r{i}", "text": f"text {i}", "labels": ["a" if i % 4 else "b"], "split": "train", "corpus": "c"} for i in range(80)]
    corpus = Corpus("c", pd.DataFrame(rows), ["a", "b"], "single", "note", {"a": "a", "b": "b"})
    seeds = {f"r{i}" for i in range(8)}
    one, other = real_halves(corpus, seeds, 500, 3)
    of_b = {f"text {i}" for i in range(80) if i % 4 == 0}
    assert not set(one) & set(other)
    assert not (set(one) | set(other)) & {f"text {i}" for i in range(8)}
    for half in (one, other):
        assert len(half) == 18 and len(of_b & set(half)) == 9, "the rarest class bounds a balanced half"
    assert real_halves(corpus, seeds, 500, 3) == (one, other)


def candidates(arm: str = "x", labels: str = "ab", count: int = 4, repeats: int = 2, **more: object) -> pd.DataFrame:
    """Return candidates by the contract's columns, as far as they are read."""
    rows = [
        {
            "candidate_id": f"{arm}/{label}/{index}/{repeat}", "label": label, "index": index, "repeat": repeat,
            "text": "" if index == 0 else f"{label}{index}{repeat}", "prompt": f"p{label}{index % 2}", "story_id": "", "kind": "",
            "context": "", "accepted": index > 1, **more,
        }
        for label in labels for index in range(count) for repeat in range(repeats)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_samples_take_turns_and_leave_out_empty_texts() -> None:
    rows = candidates()
    drawn = sample_of(rows, ["a", "b"], 4)
    assert drawn.texts == ["a10", "b10", "a11", "b11"] and drawn.labels == ["a", "b", "a", "b"]
    assert sample_of(rows[rows["accepted"]], ["a", "b"], 4).texts == ["a20", "b20", "a21", "b21"]
    assert drawn.nest.repeats.tolist() == [0, 0, 1, 1] and drawn.nest.clusters.tolist() == [0, 1, 0, 1]
    assert sample_of(rows, ["a", "b"], 99).of_label("a").texts == ["a10", "a11", "a20", "a21", "a30", "a31"]


def test_starved_class_bounds_a_balanced_sample_only() -> None:
    rows = candidates(count=10)
    rows = rows[(rows["label"] == "a") | (rows["index"] < 2)]
    assert len(sample_of(rows, ["a", "b", "none"], 99).texts) == 4
    assert len(sample_of(rows, ["a", "b", "none"], 99, balanced=False).texts) == 20


# --- diversity ----------------------------------------------------------------------------------------


def of_words(count: int, vocabulary: int, seed: int, prefix: str) -> Sample:
    """Return texts of twelve words from a vocabulary, of labels a and b, each from one of eight stories."""
    generator = np.random.default_rng(seed)
    texts = [" ".join(f"{prefix}{number}" for number in generator.integers(0, vocabulary, 12)) for _ in range(count)]
    labels = ["ab"[place % 2] for place in range(count)]
    return Sample(texts, Nest.of([0] * count, [place % 8 for place in range(count)], labels), labels)


def embed(texts: Sequence[str]) -> np.ndarray:
    """Return vectors that depend on the text alone; texts of "n" words point one way."""
    rows = []
    for text in texts:
        vector = np.random.default_rng(sum(map(ord, text))).normal(size=6)
        rows.append(vector + (8 if text.startswith("n") else 0))
    return np.asarray(rows, dtype=np.float32).reshape(-1, 6)


def test_spread_by_hand() -> None:
    assert spread(np.array([[1.0, 0], [0, 1], [1, 0]])) == pytest.approx((1 + 0 + 1) / 3)
    assert math.isnan(spread(np.zeros((1, 3))))


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    samples = {
        ("wide", False, "utterance"): of_words(400, 300, 1, "w"),
        ("narrow", False, "utterance"): of_words(90, 40, 2, "n"),
        ("other", False, "text"): of_words(50, 300, 3, "o"),
    }
    return diversity(samples, [("wide", "narrow")], embed, tokens=2000)


def found(measured: pd.DataFrame, arm: str, against: str, measure: str, label: str = ALL) -> pd.Series:
    rows = measured[(measured.arm == arm) & (measured.against == against) & (measured.measure == measure) & (measured.label == label)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_arms_are_compared_on_equally_many_tokens_and_vectors(measured: pd.DataFrame) -> None:
    alike = measured[(measured.kind == "utterance") & (measured.label == ALL)]
    assert set(alike.tokens) == {90 * 12 // 2} and set(alike.vectors) == {45}
    assert set(measured.loc[measured.kind == "text", "tokens"]) == {50 * 12 // 2, 25 * 12 // 2}
    assert tuple(dict.fromkeys(measured.measure)) == DIVERSITY
    for measure in ("distinct_1", "distinct_2", "spread"):
        gap = found(measured, "wide", "narrow", measure)
        assert gap.value > 0 and gap.low > 0, measure
    assert found(measured, "wide", "narrow", "spread", "a").low > 0


def test_a_label_called_all_is_not_all_labels() -> None:
    sample = of_words(60, 40, 1, "w")
    named = replace(sample, labels=["all" if place % 3 == 0 else "joy" for place in range(len(sample.texts))])
    made = diversity({("one", True, "text"): named}, [], embed)
    assert {label: set(part.n_texts) for label, part in made.groupby("label")} == {ALL: {60}, "all": {20}, "joy": {40}}
    assert len(named.of_label("all").texts) == 20 and len(named.of_label(ALL).texts) == 60
    shown = pooled_diversity(made.assign(corpus="c"))
    assert len(shown) == 1 and shown["distinct_1"].iloc[0] == found(made, "one", "", "distinct_1").value
    assert text_claims.ALL == ALL, "as the claim on diversity looks for it"


def test_interval_of_the_spread_is_not_that_of_a_few_vectors(measured: pd.DataFrame) -> None:
    """The old interval came from draws of 29 vectors for one arm and 249 for the other."""
    sample = of_words(400, 300, 1, "w")
    vectors = embed(sample.texts).astype(float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    generator = np.random.default_rng(3)
    few = [spread(vectors[generator.permutation(400)[:8]]) for _ in range(200)]
    row = found(measured, "wide", "", "spread")
    assert row.high - row.low < 0.6 * np.ptp(np.quantile(few, [0.025, 0.975]))
    assert row.low <= spread(vectors) <= row.high


def test_one_missing_draw_voids_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(10**6))
    monkeypatch.setattr("emosynth.authenticity.diversity.spread", lambda vectors: math.nan if next(calls) % 5 == 0 else 0.5)
    frame = diversity({("wide", False, "text"): of_words(60, 300, 1, "w")}, [], embed)
    assert (frame.loc[frame.measure == "spread", "value"] == 0.5).all()


def test_small_groups_neither_count_nor_cut_others(measured: pd.DataFrame) -> None:
    tiny = of_words(3, 40, 5, "t")
    frame = diversity({("wide", False, "text"): of_words(60, 300, 1, "w"), ("tiny", False, "text"): tiny}, [("wide", "tiny")], embed)
    assert found(frame, "wide", "", "distinct_2").tokens == 60 * 12 // 2
    assert frame[frame.arm == "tiny"].value.isna().all() and found(frame, "wide", "tiny", "spread").isna()["value"]
    assert diversity({}, [], embed).empty


def test_punctuation_is_no_word() -> None:
    plain, marked = Sample.flat(["a b c d e f"] * 6), Sample.flat(["a, b! c? d... e; f :"] * 6)
    frames = [diversity({("x", False, "text"): sample}, [], embed) for sample in (plain, marked)]
    assert found(frames[0], "x", "", "distinct_1").value == found(frames[1], "x", "", "distinct_1").value


# --- the step -----------------------------------------------------------------------------------------


def design(**arms: object) -> Params:
    """Return a design of three origins; two arms share one."""
    given = {
        "naive": {"checks": {}},
        "naive-again": {"checks": {"length": {}}},
        "told": {"guide": "narrative", "space": "goemotions", "rows": 40, "checks": "none"},
        "loose": {"guide": [{"narrative": {"grounded": False}}], "space": "goemotions", "rows": 40, "checks": "none"},
        "real": {"add": "real"},
    }
    return Params.model_validate(
        {
            "corpora": {"target": "toy", "also": ["fremd"]},
            "cells": {"sizes": [10, 20], "repeats": 2, "per": {"fremd": {"sizes": [10], "repeats": 1}}},
            "generation": {"oversample": 2.0},
            "checks": {"basic": {}},
            "learners": {"tfidf": {}},
            "arms": given | arms,
            "authenticity": {"texts": 60, "tokens": 100, "subsamples": 5, "orders": 2, "permutations": 19},
        }
    )


def step(root: Path, given: Params) -> Paths:
    """Write what earlier steps would have written: two corpora, seeds, candidates, verdicts."""
    paths, card = Paths(root, "demo"), Card(title="t", what="w", made="m")
    paths.taxonomies.parent.mkdir(parents=True, exist_ok=True)
    paths.taxonomies.write_bytes((Path(__file__).parent.parent / "data" / "taxonomies.yaml").read_bytes())
    orders = []
    for number, name in enumerate(given.corpora.names):
        texts = invented(120, 7 + number)
        rows = [
            {"id": f"{name}{i:03d}", "text": f"{text} {i}", "labels": [("joy", "sadness")[i % 2]], "corpus": name,
             "split": "train" if i < 60 else ("validation", "test")[i % 2]} for i, text in enumerate(texts)
        ]  # fmt: skip
        for row in rows[60:]:
            row["labels"] = [("joy", "sadness")[int(str(row["id"])[-2:]) // 2 % 2]]
        write_table(pd.DataFrame(rows), paths.corpora / f"{name}.parquet", card)
        note = {
            "name": name, "classes": ["joy", "sadness"], "task": "single", "register_noun": "note", "class_phrases": {"joy": "joy", "sadness": "sadness"},
            "licence": "mit", "citation": "", "languages": ["en"] if number == 0 else ["de"], "source": "", "hash": "h", "counts": {}, "duplicates": {},
        }  # fmt: skip
        write_json(paths.corpora / f"{name}.json", note)
        orders += [
            {"corpus": name, "repeat": repeat, "rank": rank, "id": f"{name}{(rank + 20 * repeat) % 60:03d}", "label": "joy"}
            for repeat in range(given.cells.repeats_of(name)) for rank in range(60)
        ]  # fmt: skip
    write_table(pd.DataFrame(orders), paths.seeds / "order.parquet", card)
    arms = resolve_arms(given)
    rows = [written(arms[name], given, texts) for name, texts in (("naive", 60), ("told", 40), ("loose", 40))]
    table = pd.concat(rows, ignore_index=True)
    write_table(table, paths.candidates / "candidates.parquet", card)
    verdicts = []
    for arm in (item for item in arms.values() if item.written):
        for cell in cells_of_arm(given, arm):
            for place, row in enumerate(candidates_of(table, given, arm, cell).itertuples()):
                verdicts.append((arm.name, cell.corpus, cell.size, cell.repeat, row.candidate_id, place % 3 > 0 or arm.name == "naive"))
    columns = ["arm", "corpus", "size", "repeat", "candidate_id", "accepted"]
    write_table(pd.DataFrame(verdicts, columns=columns), paths.verdicts / "verdicts.parquet", card)
    return paths


def written(arm: ResolvedArm, given: Params, count: int) -> pd.DataFrame:
    """Return candidates of an arm's origin as step 05 numbers them."""
    assert arm.origin is not None
    narrative = arm.origin.narrative is not None
    out = []
    for corpus, repeats in [("", [0, 1])] if narrative else [("toy", [0, 1]), ("fremd", [0])]:
        for repeat in repeats:
            texts = invented(2 * count, stable_seed(arm.origin.name, corpus, repeat))
            for i in range(count):
                label = ("joy", "fear", "anger")[i % 3] if narrative else ("joy", "sadness")[i % 2]
                index = i if narrative else i // 2
                kinds = ("contextual", "contextless") if narrative else ("",)
                for kind in kinds:
                    out.append(
                        {
                            "candidate_id": f"{arm.origin.name}/{corpus}/-1/{repeat}/{label}/{index:05d}/{kind}", "origin": arm.origin.name,
                            "writer": "plain", "space": arm.origin.space, "corpus": corpus, "size": -1, "repeat": repeat, "index": index,
                            "label": label, "labels": [label], "kind": kind, "text": texts[i], "context": texts[count + i] if narrative else "",
                            "character": "", "passage_id": "", "story_id": f"s{i % 5}" if arm.name == "told" else "", "prompt": f"{label}",
                            "row_seed": 1, "generator": "g", "finish": "stop", "complete": True, "prompt_tokens": 9, "new_tokens": 9,
                        }
                    )  # fmt: skip
    return pd.DataFrame(out)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root, given = tmp_path_factory.mktemp("step"), design()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOSYNTH_CACHE", str(root / "cache"))
        patch.setenv("EMOSYNTH_PROGRESS", str(root / "progress.txt"))
        paths = step(root, given)
        tables = build_panel(given, None, paths, tag=fake_tag, embed=embed)  # type: ignore[arg-type]
        yield SimpleNamespace(tables=tables, paths=paths, given=given)


def test_every_written_arm_is_measured_on_every_corpus(made: Any) -> None:
    panel = made.tables["panel"]
    assert tuple(panel.columns) == PANEL_COLUMNS and list(dict.fromkeys(panel.corpus)) == ["toy", "fremd"]
    assert not panel.duplicated(["corpus", "arm", "verified", "measure"]).any()
    for corpus in ("toy", "fremd"):
        found = set(map(tuple, panel.loc[panel.corpus == corpus, ["arm", "verified"]].drop_duplicates().to_numpy()))
        arms = {(arm, verified) for arm in ("naive", "naive-again", "told", "loose") for verified in (True, False)}
        assert found == arms | {("real", False), ("real-other", False)}
    english = panel[panel.family.isin(["pronouns", "time", "tense"])].groupby("corpus")["value"].count()
    assert english["toy"] > 0 and english["fremd"] == 0


def test_arms_of_one_origin_share_what_was_written(made: Any) -> None:
    panel = made.tables["panel"]
    panel = panel[panel.corpus == "toy"]
    for verified in (False, True):
        first, second = (
            panel.loc[(panel.arm == arm) & (panel.verified == verified), [*NUMBERS, "n_texts"]].reset_index(drop=True)
            for arm in ("naive", "naive-again")
        )
        assert first.equals(second) != verified
    assert row_of(panel, "naive-again", "hdd", True).n_texts < row_of(panel, "naive-again", "hdd").n_texts


def test_real_text_is_none_that_an_arm_was_shown(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = SimpleNamespace(frame=pd.DataFrame(read_table(made.paths.corpora / "toy.parquet")), classes=["joy", "sadness"])
    order = read_table(made.paths.seeds / "order.parquet")
    seeds = set(order.loc[(order["corpus"] == "toy") & (order["rank"] < 20), "id"])
    assert len(seeds) == 40
    halves = real_halves(corpus, seeds, 60, made.given.authenticity.random_seed)  # type: ignore[arg-type]
    assert row_of(made.tables["panel"][made.tables["panel"].corpus == "toy"], REAL, "hdd").n_texts == len(halves[0]) > 0
    assert not seeds & set(corpus.frame.loc[corpus.frame["text"].isin([*halves[0], *halves[1]]), "id"])


def test_grounded_arms_stand_against_ungrounded_ones(made: Any) -> None:
    table = made.tables["diversity"]
    pairs = table[table.against != ""]
    assert set(zip(pairs.arm, pairs.against, strict=True)) == {("told", "loose")}
    assert set(pairs.kind) == {"utterance", "context", "contextless"} and set(table.kind) == {*pairs.kind, "text"}
    assert {ALL, "joy", "fear", "anger"} == set(pairs.label) and set(pairs.verified) == {True, False}
    assert pairs.loc[pairs.label == ALL, "value"].notna().all()


def test_tables_are_equal_to_the_byte_from_the_cache(made: Any) -> None:
    before = {path.name: path.read_bytes() for path in sorted(made.paths.authenticity.iterdir())}
    assert set(before) == {f"{name}.{kind}" for name in ("panel", "diversity", "coverage") for kind in ("parquet", "md")}
    build_panel(made.given, None, made.paths, tag=fake_tag, embed=embed)  # type: ignore[arg-type]
    assert {path.name: path.read_bytes() for path in sorted(made.paths.authenticity.iterdir())} == before
    assert "below 0.05" in before["panel.md"].decode(), "1 / 20 is the least p of 19 permutations"


def test_coverage_is_that_of_its_definition() -> None:
    """Against the definitions, ball by ball."""
    from emosynth.authenticity.reach import prdc

    rng = np.random.default_rng(1)
    real, made = rng.normal(size=(30, 4)), rng.normal(0.5, 0.6, size=(25, 4))

    def radius(points: Any, place: int) -> float:
        return float(np.sort(np.linalg.norm(points - points[place], axis=1))[3])

    inside = np.array([[np.linalg.norm(r - m) < radius(real, i) for m in made] for i, r in enumerate(real)])
    within = np.array([[np.linalg.norm(r - m) < radius(made, j) for j, m in enumerate(made)] for r in real])
    wanted = inside.any(axis=0).mean(), within.any(axis=1).mean(), inside.sum() / (3 * 25), inside.any(axis=1).mean()
    assert prdc(real, made, 3) == pytest.approx(wanted)
    assert prdc(real, real.copy() + 1e-9, 3)[0] == 1.0 and prdc(real, made + 99.0, 3) == (0.0, 0.0, 0.0, 0.0)


def test_real_text_is_the_control_of_coverage(made: Any) -> None:
    table = made.tables["coverage"]
    assert set(table.measure) == {"precision", "recall", "density", "coverage"} and "real-other" in set(table.arm)
    assert set(table.space) == {"sentences", "words"}
    assert (
        table.groupby("corpus")["vectors"].nunique().eq(1).all() and (table.low <= table.value).all() and (table.value <= table.high).all()
    )


def test_the_space_of_words_knows_no_filter() -> None:
    """Texts of the same words are near one another whatever an encoder makes of them; half of real text reaches the other."""
    from emosynth.authenticity.reach import coverage, word_space

    rng = np.random.default_rng(0)
    themes = [[f"{theme}{number}" for number in range(12)] for theme in ("sea", "bus", "tax", "dog", "jam")]

    def wrote(count: int, among: int) -> list[str]:
        return [" ".join(rng.choice(themes[place % among], 6)) for place in range(count)]

    embed = word_space(wrote(300, 5))
    assert embed is not None
    vectors = embed(["SEA1 sea2", "sea2 sea1", "sea1 sea1 sea2", "tax1 tax2", "nothing known"])
    assert vectors[0] == pytest.approx(vectors[1]) and vectors[0] @ vectors[2] > 0.9 > 0.3 > abs(vectors[0] @ vectors[3])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 0])
    samples = {(name, True): Sample.flat(wrote(200, among)) for name, among in (("all", 5), ("two", 2))}
    found = coverage(wrote(200, 5), samples, embed, lambda digest: np.random.default_rng(len(digest)), 0.95)
    held = found.set_index(["arm", "measure"])["value"]
    assert held["all", "coverage"] > 0.9 and held["two", "coverage"] < 0.6 and held["two", "precision"] > 0.8
    assert word_space(["one", "two three"]) is None and word_space([]) is None


def test_an_arm_of_which_nothing_is_written_has_no_rows(made: Any) -> None:
    given = design(starved={"guide": "random-exemplars", "checks": {}})
    tables = build_panel(given, None, made.paths, tag=fake_tag, embed=embed)  # type: ignore[arg-type]
    for name, frame in tables.items():
        assert "starved" not in set(frame.arm), name
