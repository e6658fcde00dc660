"""What is needed of each origin: on which seeds its candidates are used, and by how many rows; and which tuned writers that takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emosynth.design.arms import Origin, ResolvedArm, cells_of_arm, oversample_of, own_rows, resolve_arms, wanted_rows, writer_spec
from emosynth.design.cells import Cell, in_sizes
from emosynth.design.space import TARGET
from emosynth.errors import UserError
from emosynth.params import Params


@dataclass(frozen=True)
class Use:
    """An arm whose candidates are used on a seed, by itself or by an arm that is trained after it or takes it in.

    Attributes
    ----------
    candidates
        How many are to be written at least: wanted rows times oversampling, rounded up.
    """

    arm: ResolvedArm
    origin: Origin
    cell: Cell
    candidates: int


def list_uses(params: Params) -> list[Use]:
    """Return all uses of written candidates, arm by arm and cell by cell."""
    arms = resolve_arms(params)
    uses = []
    for name, arm in arms.items():
        parts = [name, *arm.spec.plus, *([arm.spec.after] if arm.spec.after is not None else [])]
        for part in dict.fromkeys(parts):
            other = arms[part]
            if other.origin is None:
                continue
            for cell in cells_of_arm(params, arm):
                wanted = own_rows(params, other, cell)
                if part in arm.spec.plus:
                    wanted = max(wanted, math.ceil(wanted_rows(params, arm, cell) / (1 + len(arm.spec.plus))))
                uses.append(Use(other, other.origin, cell, math.ceil(wanted * oversample_of(params, other))))
    return uses


def list_tuned(params: Params) -> list[tuple[Cell, str, Origin]]:
    """Return seed, writer and origin of every tuned model that an arm needs, each salt of guides once.

    Raises
    ------
    UserError
        If an arm runs on seeds that its writer is not tuned on, or asks a tuned writer for labels other than its corpus's.
    """
    found: dict[tuple[Cell, str, str], Origin] = {}
    for use in list_uses(params):
        for name, _ in use.origin.writers:
            spec = writer_spec(params, name)
            if spec.tune is None:
                continue
            if use.origin.space != TARGET:
                raise UserError(
                    f"The writer {name} is tuned on the labels of the corpus and knows none of {use.origin.space}.",
                    where=f"arms.{use.arm.name}.space",
                    remedy="Leave out space, or use an untuned writer.",
                )
            if not in_sizes(params, spec.sizes, use.cell):
                raise UserError(
                    f"The writer {name} is not tuned on seeds of {use.cell.size} rows, and the arm {use.arm.name} needs them.",
                    where=f"writers.{name}.sizes",
                    remedy=f"Add {use.cell.size}, or restrict the arm by arms.{use.arm.name}.sizes.",
                )
            found.setdefault((use.cell, name, use.origin.salt), use.origin)
    return [(cell, name, origin) for (cell, name, _), origin in found.items()]
