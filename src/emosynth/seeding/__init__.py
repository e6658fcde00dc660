"""Step 01: nested seeds, the few real rows that we pretend are all there is, and the pool of the others."""

from emosynth.seeding.seeds import (
    balanced_pool_rows,
    describe_seeds,
    load_order,
    pool_rows,
    primary_labels,
    seed_rows,
    stratified_order,
    write_seeds,
)

__all__ = [
    "balanced_pool_rows",
    "describe_seeds",
    "load_order",
    "pool_rows",
    "primary_labels",
    "seed_rows",
    "stratified_order",
    "write_seeds",
]
