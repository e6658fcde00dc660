"""Small invented result files in the format of ``docs/architecture.md``, for tests of the report.

Nothing here is a result. Texts are invented; some are hostile on purpose.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosynth.paths import Paths

CLASSES = ("anger", "joy", "optimism", "sadness")
SHARES = (0.42, 0.22, 0.09, 0.27)
GUIDED = {"naive": 0.010, "random-exemplars": 0.004, "shap-tokens": 0.014, "shap-exemplars": 0.008, "shap": 0.020, "shap-bias": 0.016}
REAL = {"seed": 0.0, "real+1x": 0.034, "real+2x": 0.051, "real-balanced+1x": 0.039}
LEVEL = {"tfidf": 0.36, "embedding": 0.61, "finetuned": 0.60}
CHECKS = ("nonempty", "length", "complete", "meta", "original", "distinct", "agreement")
SCRIPT = "<script>alert('generated')</script> so happy today"
COPIED = "the kettle sang all morning while grandmother hummed an old tune to the cat"
MEASURES = (
    ("words_per_text", "length", 14.2, "cliffs_delta"),
    ("ttr", "richness", 0.43, "ratio"),
    ("hdd", "richness", 0.86, "ratio"),
    ("first_person_rate", "pronouns", 5.1, "ratio"),
    ("first_person_share", "pronouns", 0.47, "cohens_h"),
    ("temporal_rate", "time", 1.2, "ratio"),
    ("share_clock", "time", 0.2, "cohens_h"),
    ("distinct_tenses", "tense", 1.6, "hedges_g"),
    ("self_repetition", "form", 0.14, "cohens_h"),
    ("detectability", "detectability", 0.5, "2auc-1"),
)
DISTILLED = {
    ("seed", False, "hard"): 0.0,
    ("real+1x", False, "hard"): 0.030,
    ("real+2x", False, "hard"): 0.046,
    ("naive", False, "hard"): -0.012,
    ("naive", True, "soft"): 0.006,
    ("tuned", False, "hard"): -0.006,
    ("tuned", True, "hard"): 0.016,
    ("tuned", True, "soft"): 0.028,
}
STUDENT_LEVEL = {"tiny": 0.70, "embedding": 0.74, "tfidf": 0.66}
SWEEPS: dict[str, tuple[float, ...]] = {
    "tau": (0.0, 0.5, 0.7, 0.9),
    "beta": (0.1, 0.3, 0.5, 1.0),
    "alpha": (0.0, 0.5, 0.8, 1.0),
    "temperature": (1.0, 2.0, 4.0),
    "growth": (0.0, 0.5, 1.0, 2.0),
}
DEFECTS = {
    "honest": (0.0, 0.0),
    "oracle teacher": (0.03, 0.03),
    "synthetic in evaluation": (0.09, 0.0),
    "softmax over probabilities": (-0.005, -0.005),
    "weights after batch mean": (-0.002, -0.002),
    "all defects": (0.12, 0.02),
}
KINDS = {"top-blocks": (0.11, 21.0), "lora": (0.04, 23.5), "all": (1.0, 20.2)}
SYNTHETIC_CHECKS = ("nonempty", "length", "complete", "meta", "original", "distinct", "charset", "repetition", "novelty", "agreement", "confidence", "perplexity")  # fmt: skip
EMOTIONS = ("anger", "curiosity", "gratitude", "joy", "neutral", "sadness")
GROUNDED_CHECKS = ("nonempty", "complete", "length", "meta", "original", "rewritten", "distinct")
PASSAGE = "the ferryman counted seven silver coins while the lantern swung above the black water and nobody on the landing spoke a word"
REPEATED = "he saw the lantern swung above the black water and turned away"
"""A generated context that shares a run of words with the passage."""
STORY = "The Ferryman & the <b>Lantern</b>"
ALONE = ("target", "target-long", "leave-one-out")
TRANSFERRED = {"target": 0.0, "target-long": 0.01, "joint": 0.035, "two-stage": 0.05}
TRANSFER_LEVEL = {"tfidf": 0.40, "embedding": 0.55, "encoder": 0.52}
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


def _text(generator: np.random.Generator, label: str) -> str:
    return f"{label} " + " ".join(generator.choice(_WORDS, size=9))


def _save(frame: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)


def write_fake_results(
    root: Path,
    profile: str = "demo",
    repeats: int = 5,
    sizes: Sequence[int] = (60, 240),
    learners: Sequence[str] = ("tfidf", "embedding", "finetuned"),
    distillation: bool = True,
    grounding: bool = True,
) -> Paths:
    """Write every file that the report reads under ``root`` and return its places.

    Without ``distillation`` and ``grounding`` those of the second and of the third system are left out.
    """
    paths = Paths(root, profile)
    generator = np.random.default_rng(3)
    _corpora(paths, generator)
    _candidates(paths, generator, sizes, repeats)
    _scores(paths, generator, sizes, repeats, learners)
    _guidance(paths, generator, sizes, repeats)
    _panel(paths, generator)
    _claims(paths, max(sizes), repeats)
    if distillation:
        _tuning(paths, repeats)
        _synthesis(paths, repeats)
        _students(paths, repeats)
    if grounding:
        _narratives(paths)
        _grounding(paths)
        _transfer(paths, repeats)
        _context(paths)
    return paths


def _corpora(paths: Paths, generator: np.random.Generator) -> None:
    for name, rows in (("vader-tweets", 600), ("vader-films", 200)):
        labels = generator.choice(CLASSES, size=rows, p=SHARES)
        frame = pd.DataFrame(
            {
                "id": [f"{name}-{row:04d}" for row in range(rows)],
                "text": [COPIED if row == 0 else _text(generator, label) for row, label in enumerate(labels)],
                "labels": [[str(label)] for label in labels],
                "split": generator.choice(["train", "validation", "test"], size=rows, p=[0.6, 0.1, 0.3]),
                "corpus": name,
            }
        )
        _save(frame, paths.corpora / f"{name}.parquet")
        about: dict[str, Any] = {
            "classes": list(CLASSES),
            "task": "single",
            "register_noun": "tweet" if "tweets" in name else "film review",
            "counts": {
                split: {"all": len(rows), **{label: int((rows == label).sum()) for label in CLASSES}}
                for split, rows in ((name, labels[frame["split"] == name]) for name in ("train", "validation", "test"))
            },
            "duplicates": {"exact": 3, "near": 7},
            "licence": "MIT",
            "citation": "A. Author and B. Author (2014). An invented corpus <for> tests.",
        }
        (paths.corpora / f"{name}.json").write_text(json.dumps(about), encoding="utf-8")
    order = pd.DataFrame({"repeat": 0, "rank": range(10), "id": [f"vader-tweets-{row:04d}" for row in range(10)], "label": "joy"})
    _save(order, paths.seeds / "order.parquet")


def _candidates(paths: Paths, generator: np.random.Generator, sizes: Sequence[int], repeats: int) -> None:
    rows = []
    for arm in GUIDED:
        for size in sizes:
            for repeat in range(min(repeats, 2)):
                for label in CLASSES:
                    for index in range(size // 8):
                        failed = str(generator.choice(["", "", "", "", "", *CHECKS]))
                        text = SCRIPT if index == 0 else COPIED if failed == "original" else _text(generator, label)
                        verdicts = {f"ok_{check}": check != failed for check in CHECKS}
                        rows.append(
                            {
                                "candidate_id": f"{arm}-{size}-{repeat}-{label}-{index}",
                                "arm": arm,
                                "size": size,
                                "repeat": repeat,
                                "label": label,
                                "index": index,
                                "text": text,
                                "prompt_hash": "0" * 64,
                                "prompt": f"Write a tweet like: {COPIED}",
                                "row_seed": index,
                                "generator": "smollm2-135m-instruct",
                                "finish": "stop",
                                **verdicts,
                                **{f"score_{check}": float("nan") for check in CHECKS},
                                "accepted": failed == "",
                                "reason": failed,
                            }
                        )
    _save(pd.DataFrame(rows), paths.candidates / "candidates.parquet")


def _scores(paths: Paths, generator: np.random.Generator, sizes: Sequence[int], repeats: int, learners: Sequence[str]) -> None:
    scores, classes, bins = [], [], []
    for learner in learners:
        for arm, verified in [*((name, False) for name in REAL), *((name, flag) for name in GUIDED for flag in (True, False))]:
            for size in [max(sizes)] if learner == "finetuned" else sizes:
                for repeat in range(2 if learner == "finetuned" and repeats > 1 else repeats):
                    luck = np.random.default_rng([11, size, repeat]).normal(0, 0.012)  # shared by arms: they share the seed rows
                    gain = REAL.get(arm, GUIDED.get(arm, 0.0)) - (0.015 if arm in GUIDED and not verified else 0.0)
                    f1 = LEVEL[learner] + 0.05 * np.log2(size / 60) + gain + luck + generator.normal(0, 0.008)
                    keys = {"corpus": "vader-tweets", "learner": learner, "arm": arm, "verified": verified, "size": size, "repeat": repeat}
                    wanted = 0 if arm == "seed" else size
                    scores.append(
                        {
                            **keys,
                            "n_real": size,
                            "n_synthetic": wanted if arm in GUIDED else 0,
                            "n_wanted": wanted,
                            "weight": 1.0,
                            "c": 1.0,
                            "macro_f1": f1,
                            "accuracy": f1 + 0.03,
                            "ece": abs(generator.normal(0.09, 0.01)),
                            "brier": 0.5,
                            "nll": 1.0,
                            "validation_macro_f1": f1 + 0.01,
                        }
                    )
                    for label, portion in zip(CLASSES, SHARES, strict=True):
                        extra = 0.05 if label == "optimism" and arm in GUIDED else 0.0
                        value = f1 - 0.1 + portion / 2 + extra + generator.normal(0, 0.01)
                        classes.append(
                            {
                                **keys,
                                "label": label,
                                "precision": value,
                                "recall": value,
                                "f1": value,
                                "support": 50,
                                "n_train": int(size * portion),
                            }
                        )
            for place in range(10):
                confidence = (place + 0.5) / 10
                bins.append(
                    {
                        "learner": learner,
                        "arm": arm,
                        "verified": verified,
                        "bin": place,
                        "confidence": confidence,
                        "accuracy": min(1.0, max(0.0, 0.9 * confidence + generator.normal(0, 0.03))),
                        "count": 0 if place < 2 else 40 * place,
                    }
                )
    _save(pd.DataFrame(scores), paths.training / "scores.parquet")
    _save(pd.DataFrame(classes), paths.training / "per_class.parquet")
    _save(pd.DataFrame(bins), paths.training / "reliability.parquet")


def _guidance(paths: Paths, generator: np.random.Generator, sizes: Sequence[int], repeats: int) -> None:
    agreement, stability = [], []
    for size in sizes:
        for label in CLASSES:
            for repeat in range(repeats):
                agreement.append(
                    {
                        "size": size,
                        "repeat": repeat,
                        "label": label,
                        "n_tokens": 30,
                        "spearman": 0.5 + 0.05 * generator.normal(),
                    }
                )
            for first in range(repeats):
                for second in range(first + 1, repeats):
                    for ranking in ("shap", "tfidf", "both"):
                        value = 0.1 + 0.0015 * size + 0.04 * generator.normal()
                        stability.append(
                            {"size": size, "label": label, "kind": ranking, "repeat_a": first, "repeat_b": second, "spearman": value}
                        )
    _save(pd.DataFrame(agreement), paths.guidance / "agreement.parquet")
    if stability:
        _save(pd.DataFrame(stability), paths.guidance / "stability.parquet")


def _panel(paths: Paths, generator: np.random.Generator) -> None:
    rows = []
    for arm, verified in [("real", False), ("real-other", False), *((name, flag) for name in GUIDED for flag in (True, False))]:
        for measure, family, value, kind in MEASURES:
            untested = measure == "share_clock" or arm == "real"
            effect = 0.0 if arm == "real" else generator.normal(0, 0.03) if arm == "real-other" else np.tanh(generator.normal(-0.4, 0.5))
            rows.append(
                {
                    "arm": arm,
                    "verified": verified,
                    "measure": measure,
                    "family": family,
                    "value": value * (1 + 0.3 * effect),
                    "low": value * (1 + 0.3 * effect) * 0.95,
                    "high": value * (1 + 0.3 * effect) * 1.05,
                    "reference": value,
                    "effect": float(np.exp(effect)) if kind == "ratio" else effect,
                    "effect_kind": kind,
                    "p": float("nan") if untested else 0.6 if abs(effect) < 0.1 else 0.001,
                    "p_holm": float("nan") if untested else 0.9 if abs(effect) < 0.1 else 0.009,
                    "n_texts": 240,
                    "n_tokens": 3200,
                    "note": "",
                }
            )
    _save(pd.DataFrame(rows), paths.authenticity / "panel.parquet")


def _claims(paths: Paths, size: int, repeats: int) -> None:
    verdicts = ("inconclusive", "inconclusive", "supported", "not tested", "supported", "contradicted", "supported")
    statements = (
        "With a sufficient seed, SHAP-guided rows are as good as real rows",
        "SHAP-guided rows beat naïve rows",
        "Under-represented classes gain substantially",
        "Below a threshold of seed size it does not work",
        "Generated text has a poorer vocabulary",
        "Generated text has fewer personal expressions",
        "Generated text has fewer complex temporal expressions",
    )
    claims: list[dict[str, Any]] = []
    for place, (statement, verdict) in enumerate(zip(statements, verdicts, strict=True)):
        tested = verdict != "not tested"
        claims.append(
            {
                "id": f"A{place + 1}",
                "statement": statement,
                "comparison": f"shap − naive, n = {size}",
                "effect": (0.9 - 0.4 * place) / 100 if tested else None,
                "effect_unit": "macro-F1" if place < 4 else "HD-D",
                "interval": [-0.012, 0.028] if tested and repeats > 1 else [None, None],
                "p": 0.21 if tested else None,
                "p_adjusted": 0.6 if tested else None,
                "repeats": repeats,
                "corpus": "vader-tweets",
                "learner": "embedding",
                "verdict": verdict,
                "reading": "An invented reading for tests; <b>not</b> a result.",
                "also": [{"learner": "tfidf", "size": size, "verified": True, "comparison": "shap − naive", "effect": 0.0123456, "p": None}]
                if place < 2
                else [],
            }
        )
    for place, verdict in enumerate(("supported", "supported", "inconclusive")):
        claims.append(
            {
                "id": f"B{place + 1}", "statement": f"An invented claim on grounding, number {place + 1}", "comparison": "two-stage − target", "effect": 0.02,
                "effect_unit": "macro-F1", "interval": [0.004, 0.038] if repeats > 1 else [None, None], "p": 0.01, "p_adjusted": 0.03, "repeats": repeats,
                "corpus": "vader-tweets", "learner": "embedding", "verdict": verdict, "reading": "An invented reading.", "also": [],
            }
        )  # fmt: skip
    for place, verdict in enumerate(("inconclusive", "contradicted", "supported", "inconclusive", "not tested")):
        tested = verdict != "not tested"
        claims.append(
            {
                "id": f"C{place + 1}",
                "statement": f"An invented claim on distillation, number {place + 1}",
                "comparison": "tuned (verified, soft labels) − seed at n = 400",
                "effect": 0.021 if tested else None,
                "effect_unit": "macro-F1" if tested else "",
                "interval": [0.004, 0.038] if tested and repeats > 1 else [None, None],
                "p": 0.03 if tested else None,
                "p_adjusted": 0.12 if tested else None,
                "repeats": repeats,
                "corpus": "vader-films",
                "learner": "embedding" if tested else "",
                "verdict": verdict,
                "reading": "An invented reading.",
                "also": [
                    {"student": "tiny", "size": 400, "comparison": "tuned verified soft − seed", "effect": 0.01, "low": None, "repeats": 2}
                ],
            }
        )
    paths.report.mkdir(parents=True, exist_ok=True)
    (paths.report / "claims.json").write_text(json.dumps({"profile": paths.profile, "claims": claims}), encoding="utf-8")


# --- tuning, synthesis, distillation --------------------------------------------------------------


def _tuning(paths: Paths, repeats: int) -> None:
    generator = np.random.default_rng(21)
    history, tuned = [], []
    for kind, (share, perplexity) in KINDS.items():
        for size in (100, 400) if kind == "top-blocks" else (400,):
            for repeat in range(repeats if kind == "top-blocks" else 1):
                start = 61.0 + generator.normal(0, 2)
                found = [start, *(perplexity * (1 + 0.15 * (3 - epoch)) + generator.normal(0, 0.5) for epoch in (1, 2, 3))]
                best = int(np.argmin(found))
                key = {"kind": kind, "size": size, "repeat": repeat}
                for epoch, value in enumerate(found):
                    loss = float("nan") if epoch == 0 else np.log(value)
                    history.append({**key, "epoch": epoch, "train_loss": loss, "perplexity": value, "best": epoch == best})
                tuned.append(
                    {**key, "sha256": "12" * 32, "trainable": int(134_000_000 * share), "total": 134_000_000, "n_train": round(0.9 * size),
                     "n_held_out": round(0.1 * size), "epochs": 3, "best_epoch": best, "perplexity_before": start, "perplexity": found[best]}
                )  # fmt: skip
    _save(pd.DataFrame(history), paths.tuning / "history.parquet")
    _save(pd.DataFrame(tuned), paths.tuning / "tuned.parquet")


def _synthesis(paths: Paths, repeats: int) -> None:
    generator = np.random.default_rng(22)
    rows = []
    for arm in ("naive", "tuned", "tuned-lora", "tuned-all"):
        for repeat in range(min(repeats, 2)):
            for label in ("negative", "positive"):
                for index in range(60):
                    failed = str(generator.choice(["", "", "", "", "", "", "", "", *SYNTHETIC_CHECKS]))
                    # Some accepted texts repeat a text of the tuning corpus, as a tuned generator does.
                    text = SCRIPT if index == 0 else COPIED if failed == "original" or index == 1 else _text(generator, label)
                    rows.append(
                        {"candidate_id": f"{arm}-{repeat}-{label}-{index}", "arm": arm, "size": 400, "repeat": repeat, "label": label, "index": index,
                         "text": text, **{f"ok_{check}": check != failed for check in SYNTHETIC_CHECKS},
                         **{f"score_{check}": float("nan") for check in SYNTHETIC_CHECKS}, "accepted": failed == "", "reason": failed}
                    )  # fmt: skip
    _save(pd.DataFrame(rows), paths.synthesis / "candidates.parquet")
    calibration, bins, quality = [], [], []
    for teacher in ("seed", "oracle"):
        for size in (100, 400):
            for repeat in range(repeats):
                for kind in ("out-of-fold seed", "test"):
                    key = {"teacher": teacher, "size": size, "repeat": repeat, "rows": kind}
                    calibration.append(
                        {**key, "n": size if kind != "test" else 900, "temperature": 0.6 + generator.normal(0, 0.02),
                         "macro_f1": 0.72 + 0.08 * (teacher == "oracle") + generator.normal(0, 0.01), "accuracy": 0.73, "ece_before": 0.09 + generator.normal(0, 0.005),
                         "ece_after": 0.04 + generator.normal(0, 0.005), "nll_before": 0.61, "nll_after": 0.55 + generator.normal(0, 0.01)}
                    )  # fmt: skip
                    for scaled in (False, True):
                        for place in range(5, 10):
                            confidence = (place + 0.5) / 10
                            slope = 1.0 if scaled else 0.85
                            bins.append(
                                {
                                    **key,
                                    "scaled": scaled,
                                    "bin": place,
                                    "confidence": confidence,
                                    "accuracy": min(1.0, slope * confidence),
                                    "n": 30 * place,
                                }
                            )
    _save(pd.DataFrame(calibration), paths.synthesis / "calibration.parquet")
    _save(pd.DataFrame(bins), paths.synthesis / "reliability.parquet")
    for arm in ("naive", "tuned"):
        for repeat in range(repeats):
            for tau in SWEEPS["tau"]:
                quality.append(
                    {"arm": arm, "size": 400, "repeat": repeat, "tau": tau, "candidates": 1200, "accepted": int(900 * (1 - 0.5 * tau)), "acceptance": 0.75 * (1 - 0.5 * tau),
                     "n_texts": 400, "distinct_1": 0.21 - 0.02 * tau + generator.normal(0, 0.002), "distinct_2": 0.62 - 0.05 * tau + generator.normal(0, 0.002),
                     "soft_label_entropy": 0.55 - 0.4 * tau, "perplexity": 34.0}
                )  # fmt: skip
    _save(pd.DataFrame(quality), paths.synthesis / "quality.parquet")


def _student_row(
    student: str, sweep: str, version: tuple[str, bool, str], size: int, repeat: int, f1: float, **more: Any
) -> dict[str, Any]:
    arm, verified, labels = version
    synthetic = 0 if arm.startswith(("seed", "real")) else 2 * size
    return {
        "corpus": "vader-films", "student": student, "sweep": sweep, "value": float("nan"), "arm": arm, "verified": verified, "labels": labels, "variant": "",
        "size": size, "repeat": repeat, "n_real": size * (1 + (2 if arm == "real+2x" else arm == "real+1x")), "n_synthetic": synthetic,
        "n_wanted": synthetic or size * (2 if arm == "real+2x" else arm == "real+1x"), "n_generated": 2 * synthetic, "tau": 0.7, "beta": 0.3, "alpha": 0.8,
        "temperature": 2.0, "growth": 2.0, "c": 3.0, "validation_macro_f1": f1, "macro_f1": f1, "accuracy": f1 + 0.01, "ece": 0.08, "nll": 0.6,
        "reported_macro_f1": f1, **more,
    }  # fmt: skip


def _students(paths: Paths, repeats: int) -> None:
    generator = np.random.default_rng(23)
    soft = ("tuned", True, "soft")
    rows: list[dict[str, Any]] = []
    classes, gaps = [], []
    for student, level in STUDENT_LEVEL.items():
        for repeat in range(min(2, repeats) if student == "tiny" else repeats):
            luck = np.random.default_rng([31, repeat]).normal(0, 0.012)  # shared by arms: they share the seed rows

            def f1(extra: float = 0.0, base: float = level + luck) -> float:
                return float(base + extra + generator.normal(0, 0.006))

            for version, extra in DISTILLED.items():
                rows.append(_student_row(student, "main", version, 400, repeat, f1(extra)))
                classes.append({"student": student, "sweep": "main", "arm": version[0], "verified": version[1], "labels": version[2], "size": 400,
                                "repeat": repeat, "label": "positive", "precision": 0.7, "recall": 0.7, "f1": 0.7, "support": 400})  # fmt: skip
                for grouping, groups in (("class", ("negative", "positive")), ("coverage", ("all words in the seed", "less than half")),
                                         ("phenomenon", ("negation", "contrast", "short", "none of these"))):  # fmt: skip
                    for place, group in enumerate(groups):
                        value = f1(extra * (1 + place / 2))
                        gaps.append({"student": student, "arm": version[0], "verified": version[1], "labels": version[2], "size": 400, "repeat": repeat,
                                     "grouping": grouping, "group": group, "n": 200 - 40 * place, "accuracy": value, "f1": value, "share": 0.2})  # fmt: skip
            if student == "tiny":
                continue
            for sweep in ("matched_accepted", "matched_generated"):
                for version in (("seed", False, "hard"), ("naive", True, "soft"), soft):
                    rows.append(_student_row(student, sweep, version, 400, repeat, f1(DISTILLED[version])))
            for sweep, values in SWEEPS.items():
                rows.append(
                    _student_row(
                        student, sweep, ("seed", False, "hard"), 400, repeat, f1(), value=0.0 if sweep == "growth" else float("nan")
                    )
                )
                for value in values:
                    if sweep == "growth" and not value:
                        continue
                    had = (
                        {"n_synthetic": round(400 * value)}
                        if sweep == "growth"
                        else {"n_synthetic": 800 - 4 * repeat}
                        if sweep == "tau"
                        else {}
                    )
                    rows.append(_student_row(student, sweep, soft, 400, repeat, f1(0.02 + 0.01 * np.sin(3 * value)), value=value, **had))
            for size in (100, 400):
                for version in (("seed", False, "hard"), ("tuned", False, "hard"), soft):
                    rows.append(
                        _student_row(
                            student, "size", version, size, repeat, f1(DISTILLED[version] * (400 / size) ** 0.3), value=float(size)
                        )
                    )
            for arm in ("tuned", "tuned-lora", "tuned-all"):
                if arm == "tuned" or repeat == 0:
                    rows.append(_student_row(student, "kind", (arm, True, "soft"), 400, repeat, f1(0.02)))
            for variant, (reported, true) in DEFECTS.items():
                row = _student_row(student, "ablation", soft, 400, repeat, f1(0.028 + true), variant=variant)
                rows.append({**row, "reported_macro_f1": row["macro_f1"] + reported - true})
    _save(pd.DataFrame(rows), paths.distillation / "scores.parquet")
    _save(pd.DataFrame(classes), paths.distillation / "per_class.parquet")
    _save(pd.DataFrame(gaps), paths.distillation / "gaps.parquet")


# --- narratives, grounding, transfer ---------------------------------------------------------------


def _narratives(paths: Paths) -> None:
    stories = pd.DataFrame(
        {"story_id": ["tales/0", "tales/1", "more/0"], "title": [STORY, "", "A third tale"], "source": ["tales", "tales", "more: tales"],
         "words": [1200, 800, 2600], "passages": [2, 1, 1]}
    )  # fmt: skip
    _save(stories, paths.narratives / "stories.parquet")
    passages = pd.DataFrame(
        {"passage_id": ["tales/0/0", "tales/0/1"], "story_id": "tales/0", "title": STORY, "source": "tales", "index": [0, 1],
         "text": [PASSAGE, "a second passage of which no generated text repeats anything at all"], "words": [22, 12]}
    )  # fmt: skip
    _save(passages, paths.narratives / "passages.parquet")


def _grounding(paths: Paths) -> None:
    generator = np.random.default_rng(41)
    rows = []
    for arm in ("grounded", "ungrounded", "grounded-topical"):
        grounded = arm != "ungrounded"
        for index in range(24 if arm == "grounded-topical" else 72):
            emotion = "neutral" if arm == "grounded-topical" else EMOTIONS[index % len(EMOTIONS)]
            emotions = [emotion, "joy"] if emotion == "gratitude" and index % 4 == 2 else [emotion]
            for kind in ("contextual", "contextless"):
                failed = str(generator.choice(["", "", "", "", "", "", *GROUNDED_CHECKS]))
                failed = "" if (failed == "rewritten" and kind == "contextual") or index < 2 else failed
                text = SCRIPT if index == 0 else PASSAGE if failed == "original" else _text(generator, emotion)
                rank = int(generator.integers(1, len(EMOTIONS) + 1))
                explicit = bool(generator.random() < (0.2 if grounded else 0.6))
                rows.append(
                    {"row_id": f"{arm}/{index:05d}/{kind}", "example_id": f"{arm}/{index:05d}", "arm": arm, "grounded": grounded, "index": index, "kind": kind,
                     "emotions": emotions, "text": text, "context": REPEATED if index == 1 and grounded else "<i>It rained.</i> " + _text(generator, "rain"),
                     "character": "the ferryman" if grounded else "", "passage_id": "tales/0/0" if grounded else "", "story_id": "tales/0" if grounded else "",
                     "generator": ("openvino:smollm2-135m-instruct", "server:<b>other</b>")[index % 2], "complete": True, "prompt": f"Passage: {PASSAGE}",
                     "utterance": text, **{f"ok_{check}": check != failed for check in GROUNDED_CHECKS}, "accepted": failed == "", "reason": failed,
                     "explicit": explicit, "kept": failed == "" and not explicit, "context_overlap": 0.1, "soft": [1 / 6] * 6, "scored": [1 / 6] * 6,
                     "intended_rank": rank, "agreement": rank == 1}
                )  # fmt: skip
    _save(pd.DataFrame(rows), paths.grounding / "rows.parquet")
    names: list[tuple[str, str | None, str, int, float]] = [
        ("joy", "joy", "label", 40, 1.0),
        ("<script>alert(1)</script>", None, "rejected", 21, 0.12),
        ("$x_{$ ^ & \\frac", None, "rejected", 18, 0.1),
        ("the lantern swung above the black water", None, "rejected", 15, 0.2),
        ("happy", "joy", "synonym", 12, 1.0),
        ("", None, "empty", 9, 0.0),
        ("wonder", "curiosity", "neighbour", 8, 0.71),
        *((f"name {place}", None, "rejected", 2, 0.2) for place in range(30)),
    ]
    _save(pd.DataFrame(names, columns=["raw", "label", "how", "count", "similarity"]), paths.grounding / "confusion.parquet")
    pairs = [
        {"pair_id": f"pairs/{place:05d}", "emotion_a": "joy", "emotion_b": "anger", "context_a": PASSAGE, "context_b": REPEATED, "utterance": "so it is",
         "character": "the ferryman", "explicit_a": False, "explicit_b": False, "ok": place % 4 > 0, "shift": 0.4 if place % 3 else -0.2}
        for place in range(24)
    ]  # fmt: skip
    _save(pd.DataFrame(pairs), paths.grounding / "pairs.parquet")
    differences = []
    for arm, emotions in (("grounded", ("all", *EMOTIONS)), ("grounded-topical", ("all", "neutral"))):
        for kind in ("context", "utterance", "contextless"):
            for measure, value in (("distinct_1", 0.02), ("distinct_2", 0.05), ("self_repetition", -0.06), ("spread", 0.03)):
                for place, emotion in enumerate(emotions):
                    known = emotion != "sadness"  # too few texts
                    gap = (value * (0.3 if emotion == "neutral" else 1 + 0.1 * place)) if known else float("nan")
                    differences.append(
                        {"arm": arm, "against": "ungrounded", "kind": kind, "measure": measure, "emotion": emotion, "difference": gap, "low": gap - 0.01,
                         "high": gap + 0.01}
                    )  # fmt: skip
    _save(pd.DataFrame(differences), paths.grounding / "diversity_differences.parquet")
    nan = float("nan")
    scale = [
        ("one rented GPU <of> seven", 400_000, 1_150_000, 2.1e8, 3.4e7, 3.4e18, 8.6, 0.027, 17.2, "USD", "assumption: invented"),
        ("as the source reports", 400_000, 700_000, nan, nan, nan, 450.0, 2.31, nan, "", "an invented source"),
    ]
    columns = [
        "setting",
        "rows",
        "inferences",
        "prompt_tokens",
        "new_tokens",
        "flop",
        "gpu_hours",
        "seconds_per_inference",
        "money",
        "currency",
        "basis",
    ]
    _save(pd.DataFrame(scale, columns=columns), paths.grounding / "scale.parquet")
    identity = {"generators": {"openvino:smollm2-135m-instruct": {"model": "ab" * 32}}, "deterministic": True}
    (paths.grounding / "generators.json").write_text(json.dumps(identity), encoding="utf-8")


def _transfer(paths: Paths, repeats: int) -> None:
    generator = np.random.default_rng(42)
    scores, probe = [], []
    for target, task, height in (("vader-tweets", "multi", 0.0), ("vader-films", "single", 0.15)):
        for learner, level in TRANSFER_LEVEL.items():
            if learner == "encoder" and target == "vader-films":
                continue

            def row(
                regime: str, arm: str, size: int, repeat: int, f1: float, target: str = target, learner: str = learner, task: str = task
            ) -> list[dict[str, Any]]:
                head = {"target": target, "task": task, "learner": learner, "regime": regime, "arm": arm, "kind": "" if regime in ALONE else "both",
                        "size": size, "repeat": repeat, "n_real": size, "n_synthetic": 0 if regime in ALONE else 120, "c": 3.0}  # fmt: skip
                measures = dict.fromkeys(
                    ("micro_f1", "lrap", "macro_average_precision", "accuracy", "ece", "brier", "validation_macro_f1"), f1
                )
                chosen = [("validation", f1), ("none", f1 - 0.2)] if task == "multi" else [("argmax", f1)]
                return [{**head, "thresholds": name, "macro_f1": value, **measures} for name, value in chosen]

            for arm in ("grounded", "ungrounded"):
                scores += row("zero-shot", arm, 0, 0, level + height - 0.12 - 0.02 * (arm == "ungrounded"))
            scores += row("leave-one-out", "other corpora", 0, 0, level + height - 0.08)
            for size in (50,) if learner == "encoder" else (50, 100):
                for repeat in range(min(2, repeats) if learner == "encoder" else repeats):
                    luck = np.random.default_rng([43, size, repeat]).normal(0, 0.012)  # shared by regimes: they share the seed
                    for regime, extra in TRANSFERRED.items():
                        if regime == "target-long" and learner != "encoder":
                            continue
                        for arm in {"target": ("seed",), "target-long": ("seed",), "joint": ("grounded",)}.get(
                            regime, ("grounded", "ungrounded")
                        ):
                            gain = extra - 0.02 * (arm == "ungrounded")
                            f1 = level + height + 0.04 * np.log2(size / 50) + gain + luck + generator.normal(0, 0.006)
                            scores += row(regime, arm, size, repeat, f1)
        for representation, extra in (("base", 0.0), ("emotion", 0.03)):
            for size in (50, 100):
                for repeat in range(repeats):
                    f1 = 0.5 + height + extra + 0.0005 * size + generator.normal(0, 0.006)
                    probe.append({"representation": representation, "target": target, "size": size, "repeat": repeat, "macro_f1": f1})
    _save(pd.DataFrame(scores), paths.transfer / "scores.parquet")
    _save(pd.DataFrame(probe), paths.transfer / "probe.parquet")
    scorer = {"target": "vader-tweets", "taxonomy": "valence-five", "labels": 5, "n": 100, "mrr": 0.5, "top1": 0.31, "top5": 1.0}
    scorer |= {"frequency_mrr": 0.45, "frequency_top1": 0.27, "frequency_top5": 1.0}
    _save(pd.DataFrame([scorer]), paths.transfer / "scorer.parquet")
    explanations = []
    rows = pd.read_parquet(paths.grounding / "rows.parquet").set_index("row_id")
    for row_id, told in [
        ("grounded/00000/contextual", SCRIPT),
        ("grounded/00002/contextual", "turned out to be PASSAGE"),
        *((name, str(rows.loc[name, "text"])) for name in rows.index[rows["accepted"] & (rows["arm"] == "grounded")][4:8]),
        ("vader-tweets-0000", "a row of a corpus"),
    ]:
        for label, probability in (("joy", 0.41), ("sadness", 0.2)):
            for position, token in enumerate(told.replace("PASSAGE", PASSAGE).split()):
                value = 0.3 * (-1) ** position / (1 + position)
                explanations.append(
                    {"row_id": row_id, "label": label, "probability": probability, "token": token, "position": position, "value": value}
                )
    _save(pd.DataFrame(explanations), paths.transfer / "explanations.parquet")


def _context(paths: Paths) -> None:
    values = {"context": 0.42, "utterance": 0.35, "context only": 0.30, "shuffled context": 0.33}
    rows = []
    for learner, extra in (("embedding", 0.0), ("encoder", 0.04)):
        for test, measures in (("rows", ("lrap", "top_1", "macro_average_precision")), ("pairs", ("flips",))):
            for measure in measures:
                shown = {
                    name: (0.5 if name == "utterance" else 0.64 + extra) if test == "pairs" else value + extra
                    for name, value in values.items()
                }
                for repeat in (0, 1, -1):
                    for name, value in shown.items():
                        if repeat >= 0 or measure != "macro_average_precision":
                            rows.append(
                                [learner, name, test, repeat, 180 if test == "rows" else 18, measure, value, value - 0.05, value + 0.05]
                            )
                if measure != "macro_average_precision":
                    for other in ("utterance", "shuffled context", "context only"):
                        gap = shown["context"] - shown[other]
                        rows.append(
                            [learner, f"context − {other}", test, -1, 180 if test == "rows" else 18, measure, gap, gap - 0.04, gap + 0.04]
                        )
    columns = ["learner", "input", "test", "repeat", "n", "measure", "value", "low", "high"]
    _save(pd.DataFrame(rows, columns=columns), paths.transfer / "context.parquet")


PROVENANCE: dict[str, Any] = {
    "versions": {"emosynth": "0.1.0", "python": "3.11", "matplotlib": "3.11.2"},
    "models": [
        {
            "name": "smollm2-135m-instruct",
            "sha256": "ab" * 32,
            "licence": "Apache-2.0",
            "citation": "C. Author (2025). An invented model.",
            "source": "PyPI",
        },
        {"name": "all-minilm-l6-v2", "sha256": "cd" * 32, "licence": "Apache-2.0", "citation": "D. Author (2020).", "source": "PyPI"},
    ],
    "corpora": [{"name": "vader-tweets", "sha256": "ef" * 32, "licence": "MIT", "citation": "E. Author (2014)."}],
}
NOTEBOOKS = [
    ("00_corpora", "Corpora", "Which corpora there are and how they were cleaned."),
    ("03_generation", "Generation and verification", "What was written, and what was kept."),
]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    write_fake_results(parser.parse_args().root)
