"""Candidates that no model writes: edits of seed rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from emosynth.design.arms import list_origins
from emosynth.design.cells import quotas, stable_seed
from emosynth.generation.slots import Slot, needs_of
from emosynth.params import Params
from emosynth.seeding import primary_labels
from emosynth.writers import Seeds, list_uses


def edited_rows(params: Params, seeds: Seeds) -> Iterator[dict[str, Any]]:
    """Yield the candidates of every origin that edits: label by label, the label's seed rows in turn.

    A label has equal shares of the candidates, as elsewhere; a row with several labels stands for its rarest and keeps them all. An edit
    depends on origin, repeat, row and turn alone: more candidates begin with the very ones of fewer.
    """
    uses = list_uses(params)
    for origin in list_origins(params).values():
        guide = origin.edits
        if guide is None:
            continue
        for cell, total in needs_of(params, [use for use in uses if use.origin.name == origin.name]).items():
            seed, space = seeds.seed(cell), seeds.space(cell.corpus)
            primary = primary_labels(pd.DataFrame({"labels": seed.labels}), space.labels)
            for label, count in quotas(total, space.labels).items():
                own = [place for place, each in enumerate(primary) if each == label]
                for index in range(count if own else 0):
                    place, turn = own[index % len(own)], index // len(own)
                    row_seed = stable_seed("edit", origin.salt, cell.repeat, seed.ids[place], turn)
                    text = guide.edit(seed.texts[place], np.random.default_rng(row_seed))
                    slot = Slot(origin, "none", cell, index, (label, *(each for each in seed.labels[place] if each != label)))
                    yield slot.columns() | dict.fromkeys(("context", "character", "passage_id", "story_id", "prompt", "error"), "") | {
                        "text": text, "row_seed": row_seed, "generator": guide.name, "finish": "stop", "complete": True,
                        "prompt_tokens": 0, "new_tokens": 0,
                    }  # fmt: skip
