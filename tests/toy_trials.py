"""A profile of invented text up to step 06, small enough to train on within a second; used by the tests of trials and export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosynth.cards import Card, write_table
from emosynth.design.arms import list_origins, resolve_arm, resolve_arms
from emosynth.design.cells import Cell, list_cells
from emosynth.design.space import space_of_taxonomy
from emosynth.files import write_json
from emosynth.generation.read import COLUMNS
from emosynth.generation.slots import cell_of
from emosynth.params import Params, validate
from emosynth.paths import Paths
from emosynth.seeding import build_orders, load_order, seed_rows
from emosynth.taxonomy import Taxonomies
from emosynth.verification.accept import ScoreTable, SoftLabels, judge_name, labeller_name, place_of, place_of_labels

ROOT = Path(__file__).parents[1]
CARD = Card(title="toy", what="toy", made="toy")
WORDS = {
    "joy": ["cheer", "smile", "treat", "bloom"],
    "sadness": ["grief", "tears", "loss", "gloom"],
    "fear": ["dread", "panic", "alarm", "fright"],
}
CORPORA: dict[str, tuple[list[str], str]] = {
    "toy": (["joy", "sadness"], "single"),
    "notes": (["sadness", "joy"], "single"),
    "several": (["joy", "sadness", "fear"], "multi"),
}


def params(**changed: Any) -> Params:
    """Return the parameters; ``changed`` replaces whole sections."""
    values: dict[str, Any] = {
        "corpora": {"target": "toy", "also": ["notes"]},
        "cells": {"sizes": [8, 16], "repeats": 2},
        "generation": {"growth": 1.0, "oversample": 2.0},
        "checks": {"basic": {"length": {"min": 3}}, "sure": {"extends": "basic", "confidence": 0.5}},
        "arms": {
            "real+1x": {"add": "real"},
            "naive": {"checks": "sure"},
            "taught": {"checks": "sure", "labels": {"teacher": 0.8}, "mix": {"weight": 0.3, "temperature": 2.0}},
        },
        "learners": {"tfidf": {"c_grid": [1.0]}},
        "training": {"unverified": False, "folds": 2},
    }
    return validate(values | changed, "test")


def sentence(label: str, number: int) -> str:
    """Return a sentence of a label; no two share three words."""
    rng = np.random.default_rng([number, sum(map(ord, label))])
    return " ".join([f"w{number}", *rng.choice(WORDS.get(label, WORDS["fear"]), 2), f"v{rng.integers(10**9)}"])


def write_corpora(made: Params, paths: Paths) -> None:
    """Write the corpora: 120 rows each, 70 to train, 20 to validate, 30 to test."""
    for offset, name in enumerate(made.corpora.names):
        classes, task = CORPORA[name]
        rows = []
        for number in range(120):
            label = classes[number % len(classes)]
            labels = [label, classes[(number + 1) % len(classes)]] if task == "multi" and number % 4 == 0 else [label]
            split = "train" if number < 70 else "validation" if number < 90 else "test"
            text = " ".join(sentence(each, 1000 * offset + number) for each in labels)
            rows.append({"id": f"{name}-{number:03d}", "text": text, "labels": labels, "split": split, "corpus": name})
        write_table(pd.DataFrame(rows).sort_values(["split", "id"]), paths.corpora / f"{name}.parquet", CARD)
        note = {
            "name": name, "classes": classes, "task": task, "register_noun": "note", "class_phrases": {label: label for label in classes},
            "licence": "mit", "citation": "", "languages": ["en"], "source": "invented", "hash": "h", "counts": {}, "duplicates": {},
        }  # fmt: skip
        write_json(paths.corpora / f"{name}.json", note)


def candidates(made: Params, paths: Paths) -> pd.DataFrame:
    """Return candidates of every origin: plenty of each label; the first of each is empty, the second too short."""
    taxonomies = Taxonomies.load(paths.taxonomies)
    places: dict[tuple[str, Cell], tuple[Any, list[str]]] = {}
    for origin in list_origins(made).values():
        for cell in list_cells(made):
            labels = CORPORA[cell.corpus][0] if origin.space == "target" else list(space_of_taxonomy(taxonomies.get(origin.space)).labels)
            places.setdefault((origin.name, cell_of(origin, cell)), (origin, labels))
    rows = []
    for number, ((name, place), (origin, labels)) in enumerate(sorted(places.items(), key=lambda item: str(item[0]))):
        for label in labels:
            for index in range(16):
                text = ["", "no"][index] if index < 2 else sentence(label, 10_000 + 100 * number + index)
                rows.append({
                    "candidate_id": f"{name}/{place}/{label}/{index:05d}", "origin": name, "writer": "plain", "space": origin.space,
                    "corpus": place.corpus, "size": place.size, "repeat": place.repeat, "index": index, "label": label, "labels": [label],
                    "kind": "", "text": text, "context": "", "character": "", "passage_id": "", "story_id": "", "prompt": f"a {label} note:",
                    "row_seed": index, "generator": "toy", "finish": "stop", "complete": True, "prompt_tokens": 3, "new_tokens": 5,
                })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def confidence(candidate_id: str) -> float:
    """Return what the toy teacher gives to what was asked for: .9 or, for every third candidate, .2."""
    return 0.2 if int(candidate_id[-5:]) % 3 == 2 else 0.9


def verdicts(made: Params, paths: Paths, table: pd.DataFrame) -> None:
    """Write judgements and soft labels of all candidates, as step 06 does."""
    order, scores, soft = load_order(paths), ScoreTable(), SoftLabels()
    arms = [arm for arm in resolve_arms(made).values() if arm.origin is not None]
    arms += [
        resolve_arm(made, name, overrides={key: value})
        for name, axes in made.sweeps.items()
        for key, tried in axes.items()
        for value in tried
    ]
    for cell in list_cells(made):
        classes = CORPORA[cell.corpus][0]
        for arm in arms:
            place = cell_of(arm.origin, cell)
            rows = table[
                (table["origin"] == arm.origin.name)
                & (table["corpus"] == place.corpus)
                & (table["size"] == place.size)
                & (table["repeat"] == place.repeat)
            ]
            ids = rows["candidate_id"].tolist()
            for check in arm.checks:
                key = (judge_name(check), place_of(check, cell))
                counted = {"nonempty": rows["text"].ne("").astype(float), "length": rows["text"].str.split().str.len().astype(float)}
                values = counted.get(check.name, pd.Series([confidence(row) for row in ids])).to_numpy(dtype=float)
                if key not in scores._found or ids[0] not in scores._found[key][0]:
                    scores.add(*key, ids, values)
            for labeller, _ in arm.labellers:
                if labeller.name != "teacher":
                    continue
                where = place_of_labels(labeller, cell)
                seed = seed_rows(order, cell)
                known = [*zip(ids, rows["label"], strict=True), *zip(seed["id"], seed["label"], strict=True)]
                p = np.array([[0.8 if label == own else 0.2 / (len(classes) - 1) for label in classes] for _, own in known])
                full = f"{labeller_name(labeller)} in {cell.corpus}"
                if (full, where) not in soft._found or ids[0] not in soft._found[full, where][0]:
                    soft.label(labeller_name(labeller), where, [row for row, _ in known], np.log(p), cell.corpus)
    write_table(scores.frame(), paths.verdicts / "judgements.parquet", CARD)
    write_table(soft.frame(), paths.verdicts / "soft.parquet", CARD)


def write_profile(root: Path, made: Params, change: Any = None) -> Paths:
    """Write everything that step 07 reads; ``change`` may alter the candidates before they are judged."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    (root / "data" / "taxonomies.yaml").write_bytes((ROOT / "data" / "taxonomies.yaml").read_bytes())
    paths = Paths(root, "test")
    write_corpora(made, paths)
    build_orders(made, paths)
    table = candidates(made, paths)
    table = table if change is None else change(table)
    write_table(table, paths.candidates / "candidates.parquet", CARD)
    verdicts(made, paths, table)
    return paths
