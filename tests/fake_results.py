"""Small invented result tables by the columns of docs/architecture.md: the whole report is tested without a run.

Nothing here is a result. Texts are invented; some are hostile on purpose.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosynth.authenticity import OTHER, REAL
from emosynth.context.inputs import DIFFERENCES, INPUTS
from emosynth.models.metrics import macro_f1
from emosynth.params import Params, deep_merge, read_file
from emosynth.paths import Paths
from fake_responsible import write_responsible

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("anger", "joy", "optimism", "sadness")
SHARES = (0.42, 0.22, 0.09, 0.27)
GAINS: Mapping[str, float] = {
    "seed": 0.0,
    "real+1x": 0.08,
    "real-balanced+1x": 0.09,
    "naive": 0.03,
    "shap": 0.05,
    "sentisynth": 0.07,
    "emo-pillars": -0.05,
}
"""Arm -> what it adds to the accuracy of the labels alone; other arms add 0.02."""
LEVEL = {"tfidf": 0.45, "trees": 0.42, "embedding": 0.6, "encoder": 0.55, "zero-shot": 0.5}
CHANGES: Mapping[str, dict[str, Any]] = {
    "teacher of all labels": {"flaws": ["oracle-teacher"]},
    "equal epochs": {"mix.steps": "epochs"},
    "written test rows": {"flaws": ["mixed-evaluation"]},
}
"""What the code of an arm does otherwise than its report says; the first adds 0.06 to its accuracy, the last 0.05 to what is reported."""
_ALL = list(CHANGES)
SWEEPS: Mapping[str, tuple[Any, ...]] = {
    "checks.confidence": (0.0, 0.5, 0.7, 0.9), "mix.weight": (0.1, 0.3, 1.0),
    "changes": (*([name] for name in _ALL), _ALL[:2], _ALL, _ALL[1:]),
}  # fmt: skip
SCRIPT = "<script>alert('generated')</script> so happy today"
COPIED = "the kettle sang all morning while grandmother hummed an old tune to the cat"
PASSAGE = "the ferryman counted seven silver coins while the lantern swung above the black water and nobody spoke a word"
REPEATED = "he saw the lantern swung above the black water and turned away"
CHECKS = ("nonempty", "length", "complete", "meta", "original", "distinct", "agreement")
MEASURES = (("hdd", "richness", 0.86, "ratio"), ("first_person_rate", "pronouns", 5.1, "ratio"), ("temporal_rate", "time", 1.2, "ratio"),
            ("words_per_text", "length", 14.0, "cliffs_delta"))  # fmt: skip
TEST_ROWS = 240
_WORDS = [
    "grey",
    "kettle",
    "morning",
    "window",
    "river",
    "lamp",
    "street",
    "garden",
    "quiet",
    "bright",
    "slow",
    "bitter",
    "tender",
    "storm",
    "letter",
    "bread",
    "stone",
    "music",
    "winter",
    "friend",
]


def fake_params(**overlay: Any) -> Params:
    """Return the demo's parameters, smaller; pieces are not asked for."""
    values = deep_merge(
        read_file(ROOT / "params.yaml"),
        {
            "arms": {"sentisynth": {"changes": CHANGES}},
            "responsible": {"collapse": {"rounds": 2}},
            "evidence": {"resamples": 300},
            "figures": {"formats": ["svg", "png"], "dpi": 60},
        },
    )
    return Params.model_validate(deep_merge(values, overlay))


def write_fake_results(root: Path, params: Params, seed: int = 3) -> Paths:
    """Write every file that the report reads under ``root``, a copy of what it reads of the repository included; return its places."""
    paths = Paths(root, "demo")
    (root / "data").mkdir(parents=True, exist_ok=True)
    for name in ("data/claims.yaml", "data/catalog.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, root / name)
    rng = np.random.default_rng(seed)
    labels = {params.corpora.target: _corpora(paths, params, rng, params.corpora.target)}
    _candidates(paths, params, rng)
    labels |= {
        corpus: _corpora(paths, params, np.random.default_rng([seed, place]), corpus) for place, corpus in enumerate(params.corpora.also)
    }
    _tests(paths, labels)
    _trials(paths, params, labels, rng)
    _materials(paths, params, rng)
    _others(paths, params, rng)
    write_responsible(paths, params, CLASSES)
    return paths


def save(frame: pd.DataFrame, paths: Paths, name: str) -> None:
    """Write a table of a step."""
    path = paths.data / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)


def _text(rng: np.random.Generator, label: str) -> str:
    return f"{label} " + " ".join(rng.choice(_WORDS, size=9))


def _corpora(paths: Paths, params: Params, rng: np.random.Generator, corpus: str) -> np.ndarray:
    """Write a corpus; return the classes of its test rows as places."""
    rows = 600
    places = rng.choice(len(CLASSES), size=rows + TEST_ROWS, p=SHARES)
    split = np.array(["train"] * (rows - 60) + ["validation"] * 60 + ["test"] * TEST_ROWS)
    texts = [COPIED if row == 0 else _text(rng, CLASSES[place]) for row, place in enumerate(places)]
    frame = pd.DataFrame(
        {"id": [f"t-{row:04d}" for row in range(len(places))], "text": texts, "labels": [[CLASSES[place]] for place in places], "split": split,
         "corpus": corpus}
    )  # fmt: skip
    save(frame, paths, f"corpora/{corpus}")
    counts = {
        name: {
            "all": int((split == name).sum()),
            **{label: int(((split == name) & (places == place)).sum()) for place, label in enumerate(CLASSES)},
        }
        for name in ("train", "validation", "test")
    }
    about = {
        "name": corpus, "classes": list(CLASSES), "task": "single", "register_noun": "tweet", "counts": counts, "licence": "MIT",
        "source": "invented", "hash": "0" * 64,
        "citation": '@article{a, title = {An invented corpus <for> {Tests}}, author = {M{\\"u}ller, Anna and Roe, Ben}, year = {2014}, journal = "J. Tests"}',
    }  # fmt: skip
    (paths.data / "corpora" / f"{corpus}.json").write_text(json.dumps(about), encoding="utf-8")
    if corpus != params.corpora.target:
        return places[rows:]
    order = [{"corpus": params.corpora.target, "repeat": repeat, "rank": rank, "id": f"t-{rank:04d}", "label": CLASSES[places[rank]]}
             for repeat in range(params.cells.repeats) for rank in range(max(params.cells.sizes))]  # fmt: skip
    save(pd.DataFrame(order), paths, "seeds/order")
    return places[rows:]


def _tests(paths: Paths, labels: Mapping[str, np.ndarray]) -> None:
    """Write the test rows of all corpora."""
    rows = [{"corpus": corpus, "place": place, "row_id": f"t-{600 + place:04d}", "labels": [CLASSES[label]]}
            for corpus, own in labels.items() for place, label in enumerate(own)]  # fmt: skip
    save(pd.DataFrame(rows), paths, "trials/test_rows")


def _candidates(paths: Paths, params: Params, rng: np.random.Generator) -> None:
    candidates, verdicts, soft = [], [], []
    target = params.corpora.target
    for arm, spec in params.arms.items():
        if spec.add != "written":
            continue
        for size in params.cells.sizes:
            for repeat in range(2):
                for label in CLASSES:
                    for index in range(6):
                        key = f"{arm}/{target}/{size}/{repeat}/{label}/{index}"
                        failed = str(rng.choice(["", "", "", "", *CHECKS]))
                        text = SCRIPT if index == 0 else COPIED if failed == "original" else REPEATED if index == 1 else _text(rng, label)
                        where = {
                            "candidate_id": key,
                            "origin": arm,
                            "corpus": target,
                            "size": size,
                            "repeat": repeat,
                            "index": index,
                            "label": label,
                        }
                        candidates.append(
                            {
                                **where,
                                "text": text,
                                "prompt": f"Write a tweet like: {COPIED}",
                                "labels": [label],
                                "prompt_tokens": 30,
                                "new_tokens": 20,
                            }
                        )
                        verdicts.append({"arm": arm, **where, "accepted": failed == "", "reason": failed})
                        read = CLASSES.index(label) if index != 2 else (CLASSES.index(label) + 1) % len(CLASSES)
                        log_p = np.log(np.where(np.arange(len(CLASSES)) == read, 0.7, 0.1)).tolist()
                        soft.append(
                            {
                                "row_id": key,
                                "corpus": target,
                                "size": size,
                                "repeat": repeat,
                                "labeller": '{"piece": "teacher"}',
                                "space": target,
                                "log_p": log_p,
                            }
                        )
    save(pd.DataFrame(candidates), paths, "candidates/candidates")
    save(pd.DataFrame(verdicts), paths, "verdicts/verdicts")
    save(pd.DataFrame(soft), paths, "verdicts/soft")
    (paths.data / "candidates" / "generators.json").write_text(
        json.dumps({"deterministic": True, "generators": {"plain": {"backend": "openvino", "model": "smollm2"}}}), encoding="utf-8"
    )


def sizes_in(params: Params, given: Any, own: list[int] | None = None) -> list[int]:
    """Return seed sizes as a list; ``own``: those of a corpus, None: the target's."""
    own = params.cells.sizes if own is None else own
    return own if given is None else own[-1:] if given == "largest" else list(given)


def runs(params: Params, corpus: str) -> list[dict[str, Any]]:
    """Return the trials of a corpus in the fake run by what names them."""
    found = []
    own, target = params.cells.sizes_of(corpus), corpus == params.corpora.target
    for learner, given in params.learners.items():
        for size in [at for at in own if at in sizes_in(params, given.get("sizes"), own)]:
            repeats = range(params.cells.repeats_of(corpus, size))
            arms = ["seed"] if learner == "zero-shot" else given.get("arms") or ["seed", *params.arms]
            cells = [
                {"learner": learner, "size": size, "repeat": repeat, "budget": "accepted", "sweep": "", "value": ""}
                for repeat in list(repeats)[: given.get("repeats")]
            ]
            for name in arms:
                spec = params.arms.get(name)
                if name == "seed-long" or (spec is not None and size not in sizes_in(params, spec.sizes, own)):
                    continue
                written = spec is not None and spec.add == "written"
                versions = ["", "unverified"] if written else [""]
                found += [{**cell, "arm": name, "version": version} for cell in cells for version in versions]
                if written and target and learner == "embedding" and size == max(own):
                    found += [
                        {**cell, "arm": name, "version": "", "budget": budget} for cell in cells for budget in ("generated", "tokens")
                    ]
            if target and learner in ("tfidf", "embedding") and size == max(own):
                found += [
                    {**cell, "arm": "sentisynth", "version": "", "sweep": sweep, "value": json.dumps(value)}
                    for cell in cells for sweep, values in SWEEPS.items() for value in values
                ]  # fmt: skip
    return found


def _trials(paths: Paths, params: Params, labels: Mapping[str, np.ndarray], rng: np.random.Generator) -> None:
    trials, predictions, classes = [], [], []
    for number, (corpus, run) in enumerate((name, run) for name in labels for run in runs(params, name)):
        truth, hot = labels[corpus], np.eye(len(CLASSES))[labels[corpus]]
        trial, arm = f"trial-{number:04d}", run["arm"]
        luck = np.random.default_rng([11, run["size"], run["repeat"]]).normal(0, 0.01)  # shared by arms: they share the seed rows
        level = LEVEL[run["learner"]] + 0.05 * np.log2(run["size"] / 60) + GAINS.get(arm, 0.02) - (0.03 if run["version"] else 0.0) + luck
        if run["sweep"] == "mix.weight":
            level -= 0.15 * (json.loads(run["value"]) - 0.3) ** 2
        made = json.loads(run["value"]) if run["sweep"] == "changes" else []
        level += 0.06 * (_ALL[0] in made)
        own = np.random.default_rng([17, number]) if run["sweep"] == "changes" else rng  # the others' luck stays as it was
        right = own.random(len(truth)) < level
        said = np.where(right, truth, (truth + own.integers(1, len(CLASSES), len(truth))) % len(CLASSES))
        p = np.where(np.eye(len(CLASSES))[said] > 0, 0.7, 0.1).astype(np.float32)
        score = macro_f1(p, hot)
        written = arm in params.arms and params.arms[arm].add == "written"
        added = 0 if arm == "seed" else run["size"]
        trials.append(
            {"trial_id": trial, "corpus": corpus, **run, "n_real": run["size"] + (0 if written else added), "n_synthetic": added if written else 0,
             "n_wanted": added, "n_generated": 2 * added if written else 0, "tokens": 100 * added if written else 0, "n_dropped": 0, "chosen": "{}",
             "threshold": float("nan"), "macro_f1": score, **dict.fromkeys(("micro_f1", "accuracy", "nll", "brier", "ece", "lrap"), 0.5),
             "reported_macro_f1": score + 0.04 if arm == "shap" and run["version"] else score + 0.05 if _ALL[-1] in made else float("nan")}
        )  # fmt: skip
        predictions.append({"trial_id": trial, "corpus": corpus, "p": p.ravel().tolist()})
        classes += [{"trial_id": trial, "label": label, "precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 50} for label in CLASSES]
    save(pd.DataFrame(trials), paths, "trials/trials")
    save(pd.DataFrame(predictions), paths, "trials/predictions")
    save(pd.DataFrame(classes), paths, "trials/per_class")
    left = [(corpus, "tfidf", arm, "it cannot be trained so") for corpus in labels for arm in ("emo-pillars", "ungrounded")]
    save(pd.DataFrame(left, columns=["corpus", "learner", "arm", "why"]), paths, "trials/not_offered")


def _materials(paths: Paths, params: Params, rng: np.random.Generator) -> None:
    tokens, agreement, stability = [], [], []
    for size in params.cells.sizes:
        for label in CLASSES:
            key = {"corpus": params.corpora.target, "size": size, "label": label}
            for repeat in range(3):
                for rank, token in enumerate(rng.permutation(_WORDS)[:12]):
                    tokens.append(
                        {
                            **key,
                            "repeat": repeat,
                            "token": f"{token}" if rank else "<b>$x</b>",
                            "shap": 1.0 / (rank + 1),
                            "tfidf": 0.1,
                            "rank_shap": rank + 1,
                            "rank_tfidf": rank + 1,
                        }
                    )
                compared = {"n_tokens": 30, "spearman": 0.5, "overlap": 0.7 + 0.01 * repeat, "rbo": 0.4}
                agreement.append({**key, "repeat": repeat, "first": "shap", "second": "tfidf", **compared})
            for a, b in ((0, 1), (0, 2), (1, 2)):
                stability += [{**key, "ranking": ranking, "repeat_a": a, "repeat_b": b, "n_tokens": 30, "spearman": 0.2, "overlap": 0.2 + 0.001 * size, "rbo": 0.1}
                              for ranking in ("shap", "tfidf")]  # fmt: skip
    save(pd.DataFrame(tokens), paths, "materials/tokens")
    save(pd.DataFrame(agreement), paths, "materials/agreement")
    save(pd.DataFrame(stability), paths, "materials/stability")
    learners = [
        {"corpus": params.corpora.target, "size": 120, "repeat": 0, "learner": name, "folds": 3, "macro_f1": 0.4, "sd": 0.03}
        for name in ("lr", "xgboost")
    ]
    save(pd.DataFrame(learners), paths, "materials/learners")


def _others(paths: Paths, params: Params, rng: np.random.Generator) -> None:
    target = params.corpora.target
    key = {"corpus": target, "size": max(params.cells.sizes)}
    history = [{**key, "repeat": repeat, "writer": "tuned", "salt": "none", "epoch": epoch, "train_loss": 3.0, "perplexity": 60.0 - 12 * epoch + repeat, "best": epoch == 2}
               for repeat in range(3) for epoch in range(3)]  # fmt: skip
    save(pd.DataFrame(history), paths, "tuning/history")
    teachers = [
        {
            **key,
            "repeat": repeat,
            "kind": "embedding",
            "temperature": 1.4,
            "n_train": 120,
            "nll_before": 1.2,
            "nll_after": 1.0,
            "macro_f1": 0.52,
        }
        for repeat in range(3)
    ]
    save(pd.DataFrame(teachers), paths, "verdicts/teachers")
    bins = [{**key, "repeat": repeat, "rows": rows, "scaled": scaled, "bin": place, "confidence": (place + 0.5) / 10, "accuracy": (place + 0.5) / 10 * (1.0 if scaled else 0.8),
             "count": 0 if place < 2 else 4 * place} for repeat in range(3) for rows in ("out-of-fold", "test") for scaled in (False, True) for place in range(10)]  # fmt: skip
    save(pd.DataFrame(bins), paths, "verdicts/reliability")
    panel = []
    arms = [name for name, spec in params.arms.items() if spec.add == "written"]
    keys = [(OTHER, False), *((arm, verified) for arm in arms for verified in (True, False))]
    reached = [{"corpus": corpus, "space": space, "arm": arm, "verified": verified, "measure": measure, "value": 0.9 - 0.1 * number - 0.01 * (place if space == "sentences" else len(keys) - place), "low": 0.2, "high": 0.95, "n_texts": 240, "vectors": 60}
               for number, corpus in enumerate(params.corpora.names) for place, (arm, verified) in enumerate(keys)
               for measure in ("precision", "recall", "density", "coverage") for space in ("sentences", "words")]  # fmt: skip
    save(pd.DataFrame(reached), paths, "authenticity/coverage")
    for corpus, (arm, verified) in product(params.corpora.names, [(REAL, False), *keys]):
        for measure, family, value, kind in MEASURES:
            ratio = 1.0 if arm == REAL else 1.01 if arm == OTHER else 0.7
            p = float("nan") if arm == REAL else 0.6 if arm == OTHER else 0.0005
            panel.append({"corpus": corpus, "arm": arm, "verified": verified, "measure": measure, "family": family, "value": value * ratio, "low": value * ratio * 0.95,
                          "high": value * ratio * 1.05, "reference": value, "effect": ratio if kind == "ratio" else ratio - 1, "effect_kind": kind, "adjusted": float("nan"),
                          "p": p, "p_holm": min(1.0, 4 * p), "n_texts": 240, "n_tokens": 3200, "note": ""})  # fmt: skip
    save(pd.DataFrame(panel), paths, "authenticity/panel")
    diverse = [{"corpus": target, "arm": "emo-pillars", "against": against, "verified": True, "kind": kind, "label": label, "measure": measure, "value": 0.03 + 0.001 * place,
                "low": 0.01, "high": 0.05, "n_texts": 80, "n_tokens": 900, "tokens": 450, "vectors": 40}
               for place, (against, kind, label, measure) in enumerate((a, k, lab, m) for a in ("", "ungrounded") for k in ("utterance", "context") for lab in ("", "joy", "anger")
                                                                       for m in ("distinct_1", "distinct_2", "spread"))]  # fmt: skip
    save(pd.DataFrame(diverse), paths, "authenticity/diversity")
    context = []
    for learner in ("encoder", "embedding"):
        for place, name in enumerate([*INPUTS, *DIFFERENCES]):
            for test, measure in (("rows", "lrap"), ("rows", "top_1"), ("pairs", "flips")):
                value = 0.07 if "−" in name else 0.6 - 0.03 * place
                context.append(
                    {
                        "learner": learner,
                        "input": name,
                        "test": test,
                        "repeat": -1,
                        "n": 60,
                        "stories": 8,
                        "measure": measure,
                        "value": value,
                        "low": value - 0.04,
                        "high": value + 0.04,
                    }
                )

    save(pd.DataFrame(context), paths, "context/context")
    save(
        pd.DataFrame(
            [
                {
                    "corpus": target,
                    "labels": 4,
                    "n": 60,
                    "mrr": 0.4,
                    "top1": 0.21,
                    "top5": 0.6,
                    "frequency_mrr": 0.5,
                    "frequency_top1": 0.31,
                    "frequency_top5": 0.7,
                }
            ]
        ),
        paths,
        "context/reader",
    )
    pairs = [
        {
            "pair_id": "a",
            "label_a": "joy",
            "label_b": "anger",
            "context_a": PASSAGE,
            "context_b": "b",
            "utterance": "u",
            "character": "c",
            "ok": True,
            "shift": 0.1,
        }
    ]
    save(pd.DataFrame(pairs), paths, "context/pairs")
    save(pd.DataFrame([{"story_id": "s", "title": "The <b>Ferryman</b>", "words": 1200, "passages": 4}]), paths, "narratives/stories")
    save(pd.DataFrame([{"passage_id": "p", "story_id": "s", "text": PASSAGE}]), paths, "narratives/passages")
