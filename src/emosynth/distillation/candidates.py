"""Step 07 from files: candidates of every arm, verified by the teacher, with its soft labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from emosynth.cards import Card, Source, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.distillation.quality import quality_table
from emosynth.distillation.teacher import Teachers, build_teachers, calibration_tables, soft_labels
from emosynth.generation import build_candidates, seed_texts
from emosynth.guidance import build_guidance
from emosynth.models.lm.perplexity import ReferenceModel
from emosynth.params import Distillation, Perplexity, Shap, Synthesis, Training, Tuning
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.tuning import tuned_generators
from emosynth.verification import build_verdicts, require_accepted, starved_cells

_TABLES = {
    "logits": "Unscaled logits of every candidate by teacher, and the teacher's temperature: soft labels are softmax(logits / temperature / T).",
    "calibration": "What each teacher's temperature is worth: on out-of-fold rows of the seed, which it was fitted on, and on test, for the record.",
    "reliability": "Confidence and accuracy of each teacher in bins of equal mass, before and after temperature scaling.",
    "quality": "What is accepted at each τ, and how diverse and how certain it is.",
}


def write_guidance(corpus: Corpus, order: pd.DataFrame, shap: Shap, tuning: Tuning, synthesis: Synthesis, paths: Paths) -> bool:
    """Write the guidance of the arms that are guided by SHAP or exemplars; returns whether there are any."""
    if all(arm.guidance == "none" for arm in synthesis.generation.arms.values()):
        return False
    plain = shap.model_copy(update={"tree": False, "encoder_rows": 0})  # what step 02 shows besides is not needed here
    build_guidance(corpus, order, plain, tuning.seeding, paths.synthesis / "guidance")
    return True


def _reference(perplexity: Perplexity | None, catalog: Catalog) -> ReferenceModel | None:
    return None if perplexity is None else ReferenceModel.open(perplexity.model, catalog, rows=perplexity.batch)


def build_synthesis(
    corpus: Corpus,
    order: pd.DataFrame,
    *,
    shap: Shap,
    tuning: Tuning,
    synthesis: Synthesis,
    distillation: Distillation,
    training: Training,
    catalog: Catalog,
    paths: Paths,
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Generate, verify, and label softly; write all tables of the step.

    Returns
    -------
    tables
        ``candidates``, ``logits``, ``calibration``, ``reliability``, ``quality``.
    account
        Identities of the generators.

    Raises
    ------
    UserError
        If checks leave nothing of a class of the headline arm on its largest seed; its text shows acceptance by τ.
    """
    generation, verification = synthesis.generation, synthesis.verification
    guided = write_guidance(corpus, order, shap, tuning, synthesis, paths)
    candidates, account = build_candidates(
        corpus,
        order,
        tuning.seeding,
        generation,
        catalog,
        paths,
        guidance=paths.synthesis / "guidance" if guided else None,
        prefix=tuning.prefix,
        open_tuned=tuned_generators(tuning, generation.generator, catalog, paths.tuning),
    )
    say("synthesis: teachers")
    teachers = build_teachers(
        corpus,
        order,
        tuning.seeding,
        synthesis.teacher,
        training.encoder,
        catalog,
        paths,
        training.finetuning,
        asked=candidates["text"].tolist(),
    )
    seeds = {cell: list(texts.values()) for cell, texts in seed_texts(corpus, order, tuning.seeding).items()}
    reference = _reference(verification.perplexity, catalog)
    verified = build_verdicts(
        candidates,
        account,
        seeds,
        teachers.seed,
        corpus,
        generation,
        verification,
        paths,
        reference=reference,
        folder=paths.synthesis,
        step="Step 07 (synthesis)",
        classifier=synthesis.teacher.kind,
    )
    # Without the headline arm's rows on the largest seed there is nothing to distil; a smaller seed or another arm that yields nothing is a
    # finding, and students are trained on what there is.
    headline = verified[verified["arm"] == distillation.arm]
    require_accepted(headline[headline["size"] == headline["size"].max()], verification)
    for where, _, classes in starved_cells(verified):
        say(f"synthesis: {where}: no candidate of {', '.join(classes)} was accepted")
    say("synthesis: soft labels")
    return {"candidates": verified, **_tables(corpus, verified, teachers, distillation, synthesis, paths)}, account


def _tables(
    corpus: Corpus, verified: pd.DataFrame, teachers: Teachers, distillation: Distillation, synthesis: Synthesis, paths: Paths
) -> dict[str, pd.DataFrame]:
    logits = soft_labels(verified, teachers)
    calibration, reliability = calibration_tables(teachers, teachers.out_of_folds(), corpus)
    tau = synthesis.verification.min_confidence
    taus = sorted({*distillation.sweeps.tau, tau}) if tau > 0 else [0.0]
    made: Mapping[str, pd.DataFrame] = {
        "logits": logits,
        "calibration": calibration,
        "reliability": reliability,
        "quality": quality_table(verified, logits, taus, distillation.temperature),
    }
    for name, frame in made.items():
        card = Card(
            title=f"Synthesis on {corpus.name}: {name}",
            what=_TABLES[name],
            made=f"Step 07 (synthesis). Teacher {synthesis.teacher.kind}, fitted on the seed alone; “oracle” was fitted on the whole training split.",
            sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash)],
            columns={"rows": "out-of-fold seed rows, or test rows (for the record only)"} if name in ("calibration", "reliability") else {},
            counts={"rows": len(frame)},
            limits=["The oracle knows labels that a poor seed does not have."],
            licence=corpus.licence,
            languages=corpus.languages,
            tags=["distillation", "synthetic"],
        )
        write_table(frame, paths.synthesis / f"{name}.parquet", card)
    return dict(made)
