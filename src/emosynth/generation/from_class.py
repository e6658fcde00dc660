"""Writing from a class: one prompt, one text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emosynth.design.arms import Origin
from emosynth.design.cells import Cell, quotas, stable_seed
from emosynth.design.space import Space
from emosynth.generation.prompts import Style, build_prompt, clean_completion
from emosynth.generation.slots import Ask, Shower, Slot, Written, cycle, share_writers, with_seconds
from emosynth.models.lm import Request
from emosynth.params import UserCorpus
from emosynth.writers import Seeds, is_tuned, label_prefix


@dataclass(frozen=True)
class ClassText:
    """One text of a class to be written."""

    slot: Slot
    request: Request
    style: Style

    steps = ("text",)

    @property
    def exposed(self) -> str:
        """The prompt."""
        return self.request.prompt

    def ask(self, step: str, before: Mapping[str, Written]) -> Ask:
        """Return the request."""
        return Ask(self.request)

    def clean(self, step: str, text: str, opening: str) -> tuple[str, bool]:
        """See `clean_completion`."""
        return clean_completion(self.style, text)

    def rows(self, written: Mapping[str, Written]) -> list[dict[str, Any]]:
        """Return the candidate."""
        none = dict.fromkeys(("context", "character", "passage_id", "story_id"), "")
        return [self.slot.columns() | none | written["text"].columns()]


def plan_class(origin: Origin, cell: Cell, total: int, space: Space, seeds: Seeds) -> list[ClassText]:
    """Plan the candidates of an origin in one cell, label by label.

    Labels have equal shares of ``total``, the first ones the remainder. Writers take turns within each label; second labels are given out
    in rounds of all labels, each in another order. More candidates begin with the very ones of fewer.
    """
    params = seeds.params
    shares = quotas(total, space.labels)
    longest = max(shares.values())
    drawn = cycle(len(space.labels), stable_seed("labels", cell.repeat), "round")
    rounds = [(space.labels[next(drawn)], index) for index in range(longest) for _ in space.labels]
    two = 0.0 if space.single else params.generation.two_labels
    pairs = with_seconds((label for label, _ in rounds), space.labels, space.neutral, two, stable_seed("labels", cell.repeat))
    labels = dict(zip(rounds, pairs, strict=True))
    # Each label begins one turn later than the one before, so that no writer is the first of all.
    writers = share_writers(origin.writers, longest + len(space.labels))
    noun = seeds.corpus(cell.corpus).register_noun if cell.corpus else str(UserCorpus.model_fields["register_noun"].default)
    shower = Shower(origin, cell, space, seeds)
    chat = params.generation.style == "chat"
    planned = []
    same: dict[str, str] = {}  # prompts are few, candidates may be many
    for turn, label in enumerate(space.labels):
        for index in range(shares[label]):
            asked, writer = labels[label, index], writers[index + turn]
            aid = shower.aid(asked, index)
            tuned = is_tuned(params, writer)
            style: Style = "tuned" if tuned else "chat" if chat else "list"
            if tuned:
                prompt = label_prefix(params.tuning.prefix, asked, noun, aid.tokens)
            else:
                prompt = build_prompt(style, noun, " and ".join(space.phrases[each] for each in asked), aid.tokens, aid.exemplars)
            # The row seed leaves out origin and size: arms are compared on common random numbers.
            request = Request(same.setdefault(prompt, prompt), stable_seed("row", cell.repeat, label, index), chat and not tuned, aid.bias)
            planned.append(ClassText(Slot(origin, writer, cell, index, asked), request, style))
    return planned
