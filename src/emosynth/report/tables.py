"""Everything the report reads, from files only.

A file that is not there gives ``None``, so that a half-finished or smaller run still makes a report
that says what is missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from emosynth.errors import UserError
from emosynth.params import Evidence, Params
from emosynth.paths import Paths
from emosynth.report.checks import Texts
from emosynth.style import is_real, is_shap, order_arms

__all__ = ["STUDENTS", "Corpus", "Pillars", "Tables"]

STUDENTS = ("tiny", "embedding", "tfidf")
"""Students in reading order."""


@dataclass(frozen=True)
class Corpus:
    """One corpus as step 00 left it: what is known of it, and its texts (none where only published results are at hand)."""

    name: str
    about: dict[str, Any]
    texts: tuple[str, ...] = ()

    @property
    def classes(self) -> list[str]:
        """Classes in the corpus's own order."""
        return list(self.about.get("classes", []))

    def sizes(self) -> dict[str, int]:
        """Rows by split, in reading order."""
        return {split: int(self.about["counts"][split]["all"]) for split in ("train", "validation", "test")}

    def shares(self, split: str = "train") -> dict[str, float]:
        """Share of the rows of a split that carry each class."""
        counts = self.about["counts"][split]
        return {label: counts[label] / max(counts["all"], 1) for label in self.classes}


@dataclass(frozen=True)
class Pillars:
    """Results of the third system (narratives, grounding, transfer); ``None`` where a file is missing.

    ``passages`` are the texts that generation was grounded in: they are looked for in what is shown, and never shown.
    """

    stories: pd.DataFrame | None = None
    passages: tuple[str, ...] = ()
    rows: pd.DataFrame | None = None
    confusion: pd.DataFrame | None = None
    pairs: pd.DataFrame | None = None
    differences: pd.DataFrame | None = None
    scale: pd.DataFrame | None = None
    scores: pd.DataFrame | None = None
    context: pd.DataFrame | None = None
    probe: pd.DataFrame | None = None
    explanations: pd.DataFrame | None = None
    scorer: pd.DataFrame | None = None

    @classmethod
    def load(cls, paths: Paths) -> Pillars:
        """Read the results of a profile."""
        passages = _parquet(paths.narratives / "passages.parquet")
        return cls(
            stories=_parquet(paths.narratives / "stories.parquet"),
            passages=() if passages is None else tuple(passages["text"]),
            rows=_parquet(paths.grounding / "rows.parquet"),
            confusion=_parquet(paths.grounding / "confusion.parquet"),
            pairs=_parquet(paths.grounding / "pairs.parquet"),
            differences=_parquet(paths.grounding / "diversity_differences.parquet"),
            scale=_parquet(paths.grounding / "scale.parquet"),
            scores=_parquet(paths.transfer / "scores.parquet"),
            context=_parquet(paths.transfer / "context.parquet"),
            probe=_parquet(paths.transfer / "probe.parquet"),
            explanations=_parquet(paths.transfer / "explanations.parquet"),
            scorer=_parquet(paths.transfer / "scorer.parquet"),
        )

    @property
    def found(self) -> bool:
        """Whether the run holds anything of the third system: a grounded row, or a score of a model that learnt from such rows."""
        return any(table is not None and len(table) for table in (self.rows, self.scores))

    @property
    def guarded(self) -> bool:
        """Whether generated text may be shown: the passages are at hand, or the rows are published ones, guarded when they were."""
        return bool(self.passages) or (self.rows is not None and "passage_id" not in self.rows)


@dataclass(frozen=True)
class Tables:
    """Results of one profile; ``None`` where a file is missing.

    Columns are those of the contract of the steps (``docs/architecture.md``).
    """

    evidence: Evidence
    target: str
    corpora: dict[str, Corpus] = field(default_factory=dict)
    order: pd.DataFrame | None = None
    tokens: pd.DataFrame | None = None
    agreement: pd.DataFrame | None = None
    stability: pd.DataFrame | None = None
    candidates: pd.DataFrame | None = None
    scores: pd.DataFrame | None = None
    per_class: pd.DataFrame | None = None
    reliability: pd.DataFrame | None = None
    panel: pd.DataFrame | None = None
    claims: list[dict[str, Any]] | None = None
    params: Params | None = None
    tuning_history: pd.DataFrame | None = None
    tuned: pd.DataFrame | None = None
    synthetic: pd.DataFrame | None = None
    quality: pd.DataFrame | None = None
    teacher_calibration: pd.DataFrame | None = None
    teacher_reliability: pd.DataFrame | None = None
    students: pd.DataFrame | None = None
    student_classes: pd.DataFrame | None = None
    gaps: pd.DataFrame | None = None
    pillars: Pillars = field(default_factory=Pillars)

    @classmethod
    def load(cls, paths: Paths, params: Params) -> Tables:
        """Read the results of a profile.

        Parameters
        ----------
        paths
            Places of the profile.
        params
            All parameters: level of intervals and margins, the corpus whose test scores the figures show
            (``corpora.target``), and the designs of distillation and transfer.

        Raises
        ------
        UserError
            If a file is there but cannot be read.
        """
        corpora = {}
        for about in sorted(paths.corpora.glob("*.json")):
            rows = _parquet(about.with_suffix(".parquet"))
            corpora[about.stem] = Corpus(about.stem, _json(about) or {}, () if rows is None else tuple(rows["text"]))
        claims = _json(paths.report / "claims.json")
        target = params.corpora.target
        return cls(
            evidence=params.evidence,
            target=target,
            corpora=corpora,
            order=_parquet(paths.seeds / "order.parquet"),
            tokens=_parquet(paths.guidance / "tokens.parquet"),
            agreement=_parquet(paths.guidance / "agreement.parquet"),
            stability=_parquet(paths.guidance / "stability.parquet"),
            candidates=_parquet(paths.candidates / "candidates.parquet"),
            scores=_of_target(_parquet(paths.training / "scores.parquet"), target),
            per_class=_of_target(_parquet(paths.training / "per_class.parquet"), target),
            reliability=_of_target(_parquet(paths.training / "reliability.parquet"), target),
            panel=_parquet(paths.authenticity / "panel.parquet"),
            claims=None if claims is None else list(claims.get("claims", [])),
            params=params,
            tuning_history=_parquet(paths.tuning / "history.parquet"),
            tuned=_parquet(paths.tuning / "tuned.parquet"),
            synthetic=_parquet(paths.synthesis / "candidates.parquet"),
            quality=_parquet(paths.synthesis / "quality.parquet"),
            teacher_calibration=_parquet(paths.synthesis / "calibration.parquet"),
            teacher_reliability=_parquet(paths.synthesis / "reliability.parquet"),
            students=_parquet(paths.distillation / "scores.parquet"),
            student_classes=_parquet(paths.distillation / "per_class.parquet"),
            gaps=_parquet(paths.distillation / "gaps.parquet"),
            pillars=Pillars.load(paths),
        )

    @cached_property
    def corpus_texts(self) -> Texts:
        """Every text of every corpus, and every passage of the narratives, to be looked for in what is shown."""
        return Texts(text for texts in (*(corpus.texts for corpus in self.corpora.values()), self.pillars.passages) for text in texts)

    @cached_property
    def learners(self) -> list[str]:
        """Learners with scores, the one that stands for the headline first."""
        found = [] if self.scores is None else sorted(set(self.scores["learner"]))
        claimed = [claim.get("learner") for claim in self.claims or [] if not str(claim.get("id", "")).startswith(("B", "C"))]
        preferred = [name for name in claimed if name in found] + ["embedding", "tfidf", "finetuned"]
        return sorted(found, key=lambda name: preferred.index(name) if name in preferred else len(preferred))

    @property
    def learner(self) -> str | None:
        """Learner that headline sentences speak of: that of the claims, else the embedding learner, else the first."""
        return self.learners[0] if self.learners else None

    @cached_property
    def arms(self) -> list[str]:
        """Arms with scores, in display order."""
        return [] if self.scores is None else order_arms(self.scores["arm"])

    @property
    def generating(self) -> list[str]:
        """Generating arms, in display order."""
        found = set(self.arms) if self.candidates is None else set(self.arms) | set(self.candidates["arm"])
        return [arm for arm in order_arms(found) if not is_real(arm)]

    @property
    def shap(self) -> str | None:
        """The SHAP-guided arm of headline figures: ``shap``, else the first of its family."""
        family = [arm for arm in self.generating if is_shap(arm)]
        return "shap" if "shap" in family else next(iter(family), None)

    def headline_arms(self) -> list[str]:
        """Arms of the learning curves: seed, real expansions by one seed size, naïve and SHAP-guided."""
        wanted = {"seed", "real+1x", "real-balanced+1x", "naive", self.shap}
        return [arm for arm in self.arms if arm in wanted]

    def largest_size(self, learner: str | None) -> int | None:
        """Return the largest seed size a learner was run on."""
        if self.scores is None or learner is None:
            return None
        sizes = self.scores.loc[self.scores["learner"] == learner, "size"]
        return int(sizes.max()) if len(sizes) else None

    def verified(self, arm: str) -> bool:
        """Return which version of an arm headline comparisons use: text as generated, like the claims, in the full number of rows.

        The verified version, of which there can be fewer rows, only where a run has no other.
        """
        if self.scores is None or is_real(arm):
            return False
        return bool(self.scores.loc[self.scores["arm"] == arm, "verified"].all())

    # --- distillation

    @property
    def distilled(self) -> bool:
        """Whether the run holds anything of the second system: a tuned generator, its text, or a student."""
        return any(table is not None and len(table) for table in (self.tuned, self.synthetic, self.students))

    @cached_property
    def student_names(self) -> list[str]:
        """Students with scores, the one that the claims are judged on first."""
        found = set() if self.students is None else set(self.students["student"])
        claimed = [str(claim.get("learner")) for claim in self.claims or [] if claim.get("id") == "C1"]
        return [name for name in dict.fromkeys([*claimed, *STUDENTS]) if name in found]

    @property
    def grown(self) -> str:
        """The generating arm that sweeps, ablation and claims grow seeds with."""
        return self.params.distillation.arm if self.params is not None else "tuned"

    def kind_of(self, arm: str) -> str | None:
        """Return the kind of tuned generator that writes an arm; None: none does."""
        planned = self.params.synthesis.generation.arms.get(arm) if self.params is not None else None
        return planned.tuned if planned is not None else None


def _parquet(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"The table cannot be read: {error}", where=path.name, remedy="Make it again by running its step.") from None


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"The file is not valid JSON: {error}", where=path.name, remedy="Make it again by running its step.") from None
    return loaded if isinstance(loaded, dict) else None


def _of_target(frame: pd.DataFrame | None, target: str) -> pd.DataFrame | None:
    """Return the rows scored on the target corpus; tables without that column are of the target."""
    if frame is None or "corpus" not in frame:
        return frame
    return frame[frame["corpus"] == target].reset_index(drop=True)
