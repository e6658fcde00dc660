"""Seed rows drawn at random: few-shot prompting without any choice."""

from __future__ import annotations

from emosynth.guides.drawn import ExemplarGuide


class RandomExemplars(ExemplarGuide):
    """Rows of the class as they come from a seeded shuffle."""

    name = "random-exemplars"
    label = "random exemplars"
    by = "random"
