"""A forest for each claim on scores: where it is judged, and every other cell that holds the same comparison."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.numbers import known, some
from emosynth.params import Figures
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, bare, dot_interval, limits_of, rows_of, zero_line
from emosynth.report.figures.claims import look
from emosynth.report.tables import Tables
from emosynth.style import new_figure


class Forest(Figure):
    """A panel a claim: the first row decides, the others are replications."""

    name = "forest"
    label = "Each claim, wherever it can be tested"
    page = "claims"
    order = 20
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return effect and interval in points of F1 by claim and cell."""
        rows = []
        for claim in tables.claims:
            if claim.declared.kind != "scores":
                continue
            if known(claim.finding.effect):
                found = claim.finding
                rows.append(
                    [claim.declared.id, True, claim.corpus, claim.learner, claim.size, found.effect, found.low, found.high, claim.outcome]
                )
            rows += [[claim.declared.id, False, *(row[key] for key in ("corpus", "learner", "size", "effect", "low", "high", "outcome"))]
                     for row in claim.replications if known(row["effect"])]  # fmt: skip
        if not rows:
            raise Missing("No claim on scores was tested in this profile.")
        return pd.DataFrame(rows, columns=["id", "judged", "corpus", "learner", "size", "effect", "low", "high", "outcome"])

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw panels below each other, each with its own scale."""
        verdicts = {claim.declared.id: claim.verdict for claim in tables.claims}
        ids = list(dict.fromkeys(frame["id"]))
        counts = [int((frame["id"] == name).sum()) for name in ids]
        fig = new_figure(figures, 0.75 * len(ids) + 0.2 * sum(counts))
        panels = fig.subplots(len(ids), 1, squeeze=False, height_ratios=[count + 1.5 for count in counts])[:, 0]
        for axes, name in zip(panels, ids, strict=True):
            own = frame[frame["id"] == name]
            axes.set_xlim(limits_of(own, "effect"))
            zero_line(axes)
            for y, row in enumerate(rows_of(own)):
                dot_interval(axes, row.effect, y, (row.low, row.high), look(verdicts[name] if row.judged else "not tested"), size=7.0)
            several = own["corpus"].nunique() > 1
            bare(
                axes, [f"{f'{row.corpus}, ' if several else ''}{tables.looks.learner(row.learner)}, n = {row.size}" for row in rows_of(own)]
            )
            axes.set_title(f"{name}: {verdicts[name]}")
            axes.tick_params(labelsize=0.8 * figures.font_size)
        panels[-1].set_xlabel("effect (F1 points)")
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Count cells, and those of the replications that agree with the one that decides."""
        judged = frame[frame["judged"]].set_index("id")["effect"]
        others = frame[~frame["judged"] & frame["id"].isin(judged.index)]
        same = int((others["effect"] * others["id"].map(judged) > 0).sum())
        title = f"{some(frame['id'].nunique(), 'claim')} in {some(len(frame), 'cell')}"
        title += f": {same} of {some(len(others), 'replication')} have the sign of the cell that decides" if len(others) else ""
        reading = "Large marker: where the claim is judged; dots: the same comparison with other classifiers, corpora and seed sizes."
        limits = (
            "Replications share seeds and test rows with each other and are not corrected: their agreement is not independent evidence."
        )
        return Words(title, reading, limits, "Forests of effects with intervals, one panel a claim, the deciding cell first.")
