"""Scores of version 0.1.0 beside those of this pipeline, where the protocol is unchanged; writes ``benchmarks/frozen.json``.

Unchanged are models of real rows alone whose settings are chosen on validation rows: the same seeds, rows of the pool, features, loss, strengths to
choose from and test rows. Of several labels only the label-ranking average precision is compared: thresholds were chosen for each label, and are not
now. Where a score of TweetEval differs, the model is fitted once more as version 0.1.0 did, by scikit-learn's solver at its own tolerance.

Of written texts version 0.1.0 published a few of each arm. Those of the naive arm, whose prompts and seeds are unchanged, are written again. (The
draws of what guided prompts show are salted by guides now, and were by the name of the arm: their prompts are others.)

    EMOSYNTH_MIRROR=path nice -n 15 python benchmarks/frozen.py --texts        # about four minutes of one core; needs the history of git
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from emosynth.catalog import Catalog
from emosynth.corpora import build_corpora, load_corpus
from emosynth.design.cells import Cell, stable_seed
from emosynth.design.rows import class_balance
from emosynth.design.space import space_of_corpus
from emosynth.generation.prompts import build_prompt, clean_completion
from emosynth.models.embeddings import embedding_cache
from emosynth.models.features import EmbeddingFeatures, TfidfFeatures, one_thread
from emosynth.models.lm import Request, open_language_model
from emosynth.models.metrics import macro_f1
from emosynth.params import Decoding, Generator, Params, validate
from emosynth.paths import Paths
from emosynth.seeding import balanced_pool_rows, load_order, pool_rows, seed_rows
from emosynth.taxonomy import Taxonomies

ROOT = Path(__file__).resolve().parents[1]
COMMIT = "02d56af8"
TOLERANCE = 0.2
ENCODER = "all-minilm-l6-v2"
STEPS = {
    "corpora": "build_corpora",
    "seeding": "build_orders",
    "generation": "build_candidates",
    "verification": "build_verdicts",
    "trials": "run_trials",
}
REAL: dict[str, dict[str, Any]] = {f"real+{k}x": {"add": "real", "growth": float(k)} for k in (1, 2)}
REAL["real-balanced+1x"] = {"add": "real-balanced", "growth": 1.0}
WIDE, NARROW = {"c_grid": [0.3, 3.0, 30.0]}, {"c_grid": [0.3, 1.0, 3.0, 10.0]}
RUNS: dict[str, dict[str, Any]] = {
    "tweeteval-emotion": {
        "frozen": "training",
        "order": "seeds",
        "cells": {"sizes": [100, 200, 400, 800], "repeats": 5},
        "arms": ["real+1x", "real+2x", "real-balanced+1x"],
        "learners": {"tfidf": NARROW, "embedding": NARROW},
    },
    "goemotions": {
        "frozen": "transfer",
        "cells": {"sizes": [200], "repeats": 3, "min_per_class": 1},
        "arms": [],
        "learners": {"tfidf": WIDE},
    },
}
SMALLEST: dict[str, Any] = {
    "cells": {"sizes": [50], "repeats": 1},
    "checks": {},
    "arms": {"nothing": {"add": "none"}},
    "learners": {"tfidf": {}},
}
KEYS = ["learner", "arm", "size", "repeat"]


def parameters(corpus: str) -> Params:
    """Return the parameters of a run: the seed and real expansions, settings chosen on validation rows."""
    run = RUNS[corpus]
    return validate(
        {
            "corpora": {"target": corpus},
            "models": {"encoder": ENCODER},
            "cells": run["cells"],
            "checks": {"basic": {"length": {}}},
            "arms": {name: REAL[name] for name in run["arms"]} or {"nothing": {"add": "none"}},  # the seed alone is always among the arms
            "learners": run["learners"],
            "training": {"choose_on": "validation"},
        },
        f"benchmarks/frozen.py: {corpus}",
    )


def paths_of(corpus: str) -> Paths:
    """Return where a run keeps what it makes; nothing of it enters git."""
    return Paths(ROOT, f"frozen-{corpus}")


def frozen(name: str) -> pd.DataFrame:
    """Return a table of the results of version 0.1.0."""
    blob = subprocess.run(["git", "show", f"{COMMIT}:reports/paper/results/{name}.parquet"], cwd=ROOT, check=True, capture_output=True)
    return pd.read_parquet(io.BytesIO(blob.stdout))


def old_scores(corpus: str) -> pd.DataFrame:
    """Return the published scores of a corpus: `KEYS`, c, score."""
    table = frozen(f"{RUNS[corpus]['frozen']}/scores")
    table = table[table["n_synthetic"] == 0]
    if corpus == "goemotions":
        table = table[(table["target"] == corpus) & (table["regime"] == "target") & (table["thresholds"] == "none")]
    return table.rename(columns={"lrap" if corpus == "goemotions" else "macro_f1": "score"})[[*KEYS, "c", "score"]]


def new_scores(corpus: str) -> pd.DataFrame:
    """Run the pipeline's steps, and return the scores of a corpus: `KEYS`, c, score."""
    params, paths = parameters(corpus), paths_of(corpus)
    catalog = Catalog.load(paths)
    made: dict[str, Any] = {}
    for room, build in STEPS.items():
        step = getattr(importlib.import_module(f"emosynth.{room}"), build)
        made[room] = step(params, paths) if room == "seeding" else step(params, catalog, paths)
    trials = made["trials"]["trials"]
    c = [json.loads(chosen)["c"] for chosen in trials["chosen"]]
    return trials.assign(c=c, score=trials["lrap" if corpus == "goemotions" else "macro_f1"])[[*KEYS, "c", "score"]]


def same_seeds(corpus: str) -> bool | None:
    """Return whether the order of the training rows is the published one; None: it was not published."""
    if "order" not in RUNS[corpus]:
        return None
    columns = ["repeat", "rank", "id", "label"]
    old, new = frozen(f"{RUNS[corpus]['order']}/order"), load_order(paths_of(corpus))
    return len(old) == len(new) and bool((old[columns].to_numpy() == new[columns].to_numpy()).all())


def old_solver(corpus: str, learner: str, arm: str, size: int, repeat: int) -> float:
    """Return macro-F1 of a model of one label a row, fitted and chosen as in version 0.1.0."""
    paths, cell = paths_of(corpus), Cell(corpus, repeat, size)
    loaded, order = load_corpus(paths, corpus), load_order(paths)
    rows = seed_rows(order, cell)
    if arm in REAL:
        draw = balanced_pool_rows if REAL[arm]["add"] == "real-balanced" else pool_rows
        rows = pd.concat([rows, draw(order, cell, round(REAL[arm]["growth"] * size))])
    texts = loaded.frame.set_index("id")["text"]
    parts = [texts[rows["id"]], *(loaded.split(split)["text"] for split in ("validation", "test"))]
    labels = [rows["label"], *(loaded.split(split)["labels"].str[0] for split in ("validation", "test"))]
    y, validation, test = (np.array([[label == name for name in loaded.classes] for label in part], dtype=float) for part in labels)
    embed = embedding_cache(Catalog.load(paths).model(ENCODER), paths.cache).embed
    features: Any = TfidfFeatures((1, 2)) if learner == "tfidf" else EmbeddingFeatures(embed)
    x = [features.fit_transform(list(parts[0])), *(features.transform(list(part)) for part in parts[1:])]
    best, score = -1.0, float("nan")
    for c in RUNS[corpus]["learners"][learner]["c_grid"]:
        with one_thread():
            model = LogisticRegression(C=c, max_iter=1000, tol=1e-4).fit(
                x[0], y.argmax(axis=1), sample_weight=class_balance(y, np.ones(len(y)))
            )
        found = macro_f1(model.predict_proba(x[1]), validation)
        if found > best:
            best, score = found, macro_f1(model.predict_proba(x[2]), test)
    return score


def compare(corpus: str) -> dict[str, Any]:
    """Return the comparison of a corpus: cells, and single models that differ by more than the tolerance."""
    both = old_scores(corpus).merge(new_scores(corpus), on=KEYS, suffixes=("_old", "_new"), validate="one_to_one")
    both["difference"] = 100 * (both["score_new"] - both["score_old"])
    both["same_c"] = np.isclose(both["c_old"], both["c_new"])
    cells = both.groupby(KEYS[:-1], sort=False).agg(
        models=("score_old", "size"), old=("score_old", "mean"), new=("score_new", "mean"), difference=("difference", "mean"),
        largest=("difference", lambda values: values.abs().max()), same_c=("same_c", "sum"),
    )  # fmt: skip
    beyond = both[both["difference"].abs() > TOLERANCE]
    if corpus == "tweeteval-emotion":
        beyond = beyond.assign(old_solver=[old_solver(corpus, *key) for key in beyond[KEYS].itertuples(index=False)])
    print(corpus, f"{len(beyond)} of {len(both)} models", cells.round(4).to_string(), beyond.round(4).to_string(), sep="\n")
    return {
        "measure": "lrap" if corpus == "goemotions" else "macro_f1",
        "same_seeds": same_seeds(corpus),
        "models": len(both),
        "cells": json.loads(cells.reset_index().round(4).to_json(orient="records")),
        "models_beyond": json.loads(beyond.round(4).to_json(orient="records")),
    }


def compare_texts() -> dict[str, int]:
    """Return how many published texts of the naive arm there are, and how many are written again byte for byte."""
    corpus = "tweeteval-emotion"
    paths = paths_of(corpus)
    catalog = Catalog.load(paths)
    build_corpora(validate({"corpora": {"target": corpus}, **SMALLEST}, corpus), catalog, paths)
    loaded = load_corpus(paths, corpus)
    space = space_of_corpus(loaded, Taxonomies.load(paths.taxonomies))
    rows = frozen("candidates/candidates")
    rows = rows[(rows["arm"] == "naive") & (rows["text"].fillna("") != "")]
    requests = [
        Request(
            build_prompt("list", loaded.register_noun, space.phrases[str(row.label)]), stable_seed("row", row.repeat, row.label, row.index)
        )
        for row in rows.itertuples()
    ]
    model = open_language_model(Generator(backend="openvino", model="smollm2-135m-instruct", batch=512), catalog)
    made = model.generate(requests, Decoding(temperature=0.8, top_p=0.95, top_k=0, repetition_penalty=1.0, max_new_tokens=40))
    model.close()
    texts = [clean_completion("list", completion.text)[0] for completion in made]
    return {"published": len(rows), "equal": sum(old == new for old, new in zip(rows["text"], texts, strict=True))}


def main() -> None:
    """Compare, print, write; corpora that are not asked for stay in the file as they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "frozen.json")
    parser.add_argument("--corpora", nargs="*", default=list(RUNS), choices=list(RUNS), help="whose scores are compared")
    parser.add_argument("--texts", action="store_true", help="write texts again, too")
    args = parser.parse_args()
    found = json.loads(args.out.read_text(encoding="utf-8")) if args.out.is_file() else {}
    found |= {"commit": COMMIT, "tolerance in points": TOLERANCE, **{corpus: compare(corpus) for corpus in args.corpora}}
    if args.texts:
        found["texts"] = compare_texts()
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
