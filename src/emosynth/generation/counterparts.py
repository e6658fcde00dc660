"""Arms whose rows are written in another list of labels than a corpus has: which classes have no counterpart there, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from emosynth.design.arms import ResolvedArm
from emosynth.design.space import TARGET, Space, space_map, space_of_taxonomy
from emosynth.taxonomy import Taxonomies

_SHOWN = 12
"""Classes that a warning names."""


@dataclass(frozen=True)
class Lacking:
    """Classes of a corpus that have no counterpart in the list of labels that arms are written in.

    Attributes
    ----------
    arms
        Names of the arms, in their order.
    listed
        Name of that list, a taxonomy.
    classes
        The classes, in the corpus's order.
    every
        Whether these are all its classes.
    """

    arms: tuple[str, ...]
    listed: str
    classes: tuple[str, ...]
    every: bool

    @property
    def named(self) -> str:
        """The classes as a list in words."""
        more = len(self.classes) - _SHOWN
        return ", ".join(self.classes[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")

    @property
    def told(self) -> str:
        """What it means for rows of these arms, as half a sentence."""
        whose = (
            "none of your classes has a counterpart there, and their rows teach no model which class a text has"
            if self.every
            else "classes of yours that have no counterpart there are taught nothing by them"
        )
        return f"{whose}: {self.named}"


def lacking(arms: Mapping[str, ResolvedArm], corpus: Space, taxonomies: Taxonomies) -> list[Lacking]:
    """Return, list by list, the classes of a corpus that have no counterpart in the lists that arms are written in; none where all have."""
    by_list: dict[str, list[str]] = {}
    for name, arm in arms.items():
        spec = arm.spec
        here = spec.corpora is None or corpus.name in spec.corpora
        if here and spec.space != TARGET and (arm.written or spec.add == "file") and not arm.relabelled:
            by_list.setdefault(spec.space, []).append(name)
    out = []
    for listed, names in by_list.items():
        missing = space_map(space_of_taxonomy(taxonomies.get(listed)), corpus, taxonomies).unmapped_target
        if missing:
            out.append(Lacking(tuple(names), listed, missing, len(missing) == len(corpus.labels)))
    return out


def warned(arms: Mapping[str, ResolvedArm], corpus: Space, taxonomies: Taxonomies) -> list[str]:
    """Return what a user is to be warned of before anything is written: a sentence a list, with what can be done."""
    out = []
    for found in lacking(arms, corpus, taxonomies):
        does = (
            f"No class has a counterpart there ({found.named}): regressions leave these arms out, and a fine-tuned encoder starts from their "
            "rows without having met a class"
            if found.every
            else f"These classes have no counterpart there, and such rows teach nothing of them: {found.named}"
        )
        named = json.dumps({found.classes[0]: "…"}, ensure_ascii=False)
        remedy = f"Call classes of your own what that list calls them, where it has a word for them (class_names: {named})"
        if written := [name for name in found.arms if arms[name].written]:
            remedy += (
                f"; or have the arms write in your classes (arms: {{{', '.join(f'{name}: {{space: {TARGET}}}' for name in written)}}})"
            )
        whose = f"The rows of {', '.join(found.arms)} are labelled in another list ({found.listed})"
        out.append(f"{corpus.name}: {whose}. {does}. {remedy}.")
    return out
