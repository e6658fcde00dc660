"""GoEmotions through every step at the smallest settings: a corpus of 28 labels whose rows may have several."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from corpus_text import find_corpus_text
from emosynth.cards import read_table
from emosynth.catalog import Catalog
from emosynth.files import read_json
from emosynth.params import load_params
from emosynth.paths import Paths
from emosynth.pipeline import PAGES
from test_end_to_end import share_assets

pytestmark = [pytest.mark.mirror, pytest.mark.long, pytest.mark.model, pytest.mark.timeout(3000)]

ROOT = Path(__file__).parent.parent
STEPS = {
    "corpora": "build_corpora", "seeding": "build_orders", "explain": "build_materials", "narratives": "build_narratives",
    "writers": "build_tuned", "generation": "build_candidates", "verification": "build_verdicts", "trials": "run_trials",
    "authenticity": "build_panel", "context": "build_context", "report": "build_report",
}  # fmt: skip
SETTINGS = """
corpora: {target: goemotions}
models: {writer: {backend: openvino, model: smollm2-135m-instruct, batch: 64}, encoder: all-minilm-l6-v2}
cells: {sizes: [60], repeats: 1, min_per_class: 1}
shap: {tokens: 6, exemplars: 3, compare: false}
narratives: {sources: [orange3-narratives], passages: 40}
tuning: {epochs: 1, batch: 8, max_tokens: 24}
writers: {tuned: {tune: top_blocks, blocks: 1, learning_rate: 3.0e-3}}
generation: {decoding: {temperature: 0.8, top_p: 0.95, max_new_tokens: 12}, growth: 0.5, oversample: 1.5, prompts_per_class: 1}
checks:
  basic: {length: {}, original: 0.6, distinct: 0.8}
  taught: {extends: basic, agreement: {}, confidence: 0.01}
teacher: {kind: tfidf, folds: 2}
arms:
  shap: {guide: [{shap-tokens: 2}, {shap-exemplars: 1}]}
  sentisynth: {writer: tuned, checks: taught, labels: {teacher: 0.8}, mix: {weight: 0.3, temperature: 2.0}}
  emo-pillars: {guide: narrative, space: goemotions, labels: {reader: 0.5}, mix: {order: first}, rows: 40}
learners: {tfidf: {c_grid: [3.0]}}
training: {folds: 2}
authenticity: {texts: 20, tokens: 100, subsamples: 5, orders: 2, permutations: 19}
context: {pairs: 4, steps: 1, layers: 1, batch: 4, encoder_repeats: 0, reader_rows: 2}
evidence: {resamples: 100}
figures: {formats: [svg]}
"""

Made = tuple[Paths, dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The tables of every step, made one after the other in this process."""
    folder = tmp_path_factory.mktemp("several")
    cache, root = share_assets(folder / "cache"), folder / "root"
    (root / "data").mkdir(parents=True)
    for name in ("catalog", "taxonomies", "claims"):
        shutil.copy2(ROOT / "data" / f"{name}.yaml", root / "data")
    (root / "params.yaml").write_text(SETTINGS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOSYNTH_CACHE", str(cache))
        patch.setattr("emosynth.models.lm.openvino.STANDSTILL", 1800.0)  # on a busy machine it would end the tests without a word
        params, paths = load_params(root, "demo"), Paths(root, "demo")
        catalog = Catalog.load(paths)
        tables = {}
        for room, build in STEPS.items():
            step = getattr(import_module(f"emosynth.{room}"), build)
            tables[room] = step(params, paths) if room == "seeding" else step(params, catalog, paths)
        yield paths, tables


def test_every_step_leaves_its_tables(made: Made) -> None:
    paths, _ = made
    for folder, names in {
        "corpora": ["goemotions"], "seeds": ["order"], "materials": ["materials", "tokens"], "narratives": ["stories", "passages", "characters"],
        "tuning": ["history", "tuned"], "candidates": ["candidates"], "verdicts": ["judgements", "verdicts", "soft", "teachers"],
        "trials": ["trials", "predictions", "test_rows", "per_class"], "authenticity": ["panel", "diversity"], "context": ["context", "pairs"],
    }.items():  # fmt: skip
        for name in names:
            assert len(read_table(getattr(paths, folder) / f"{name}.parquet")), f"{folder}/{name} is empty"
            assert (getattr(paths, folder) / f"{name}.md").is_file()


def test_some_prompts_ask_for_two_labels(made: Made) -> None:
    candidates = read_table(made[0].candidates / "candidates.parquet")
    for origin, rows in candidates.groupby("origin"):
        two = rows[[len(labels) == 2 for labels in rows["labels"]]]
        assert 0.1 < len(two) / len(rows) < 0.4, f"{origin}: {len(two)} of {len(rows)} texts express two labels"
        assert all(first == labels[0] and len(set(labels)) == 2 for first, labels in zip(two["label"], two["labels"], strict=True))
    plain = candidates[candidates["origin"].str.startswith("shap") & candidates["labels"].map(lambda labels: len(labels) == 2)]
    names = [[label.lower() in prompt.lower() for label in labels] for labels, prompt in zip(plain["labels"], plain["prompt"], strict=True)]
    assert len(names) and np.all(names), "a prompt names both labels"


def test_soft_labels_are_of_28_emotions_each_on_its_own(made: Made) -> None:
    paths, _ = made
    soft = read_table(paths.verdicts / "soft.parquet")
    assert {json.loads(labeller)["labeller"] for labeller in soft["labeller"]} == {"asked", "teacher", "reader"}
    p = np.exp(np.vstack(soft["log_p"].to_list()))
    assert p.shape == (len(soft), 28) and np.isfinite(p).all() and ((p >= 0) & (p <= 1 + 1e-9)).all()
    seeds = soft[~soft["row_id"].str.contains("/")]
    assert len(seeds) >= 60, "rows of the seed have labels of the teacher too"


def test_scores_are_those_of_rows_with_several_labels(made: Made) -> None:
    paths, _ = made
    trials, test = read_table(paths.trials / "trials.parquet"), read_table(paths.trials / "test_rows.parquet")
    assert {"seed", "shap", "sentisynth", "emo-pillars"} <= set(trials["arm"])
    for name in ("macro_f1", "micro_f1", "lrap"):
        assert np.isfinite(trials[name]).all() and trials[name].between(0.001, 0.999).all(), name
    assert trials["threshold"].between(0, 1).all()
    classes = read_json(paths.corpora / "goemotions.json")["classes"]
    assert len(classes) == 28 and Counter(len(labels) > 1 for labels in test["labels"])[True] > 100
    per_class = read_table(paths.trials / "per_class.parquet")
    for trial in trials.itertuples():
        mean = per_class.loc[per_class["trial_id"] == trial.trial_id, "f1"]
        assert len(mean) == 28 and mean.mean() == pytest.approx(trial.macro_f1), "macro-F1 is the mean of all 28 labels"
    p = read_table(paths.trials / "predictions.parquet")["p"]
    assert all(len(one) == 28 * len(test) for one in p)


def test_the_report_has_all_its_pages_and_no_corpus_text(made: Made) -> None:
    paths, _ = made
    for page in PAGES:
        text = (paths.report / page).read_text(encoding="utf-8")
        assert "goemotions" in text.lower() or page == "context.html", f"{page} does not name the corpus"
    texts = pd.concat([read_table(paths.corpora / "goemotions.parquet")["text"], read_table(paths.narratives / "passages.parquet")["text"]])
    assert find_corpus_text(paths.report, texts) == []
