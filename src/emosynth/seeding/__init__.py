"""Step 01: nested seeds, the few real rows that we pretend are all there is, and the pool of the others."""

from emosynth.seeding.seeds import (
    Seed,
    balanced_pool_rows,
    build_orders,
    describe_seeds,
    load_order,
    load_seed,
    pool_rows,
    primary_labels,
    seed_rows,
    stratified_order,
)

__all__ = [
    "Seed",
    "balanced_pool_rows",
    "build_orders",
    "describe_seeds",
    "load_order",
    "load_seed",
    "pool_rows",
    "primary_labels",
    "seed_rows",
    "stratified_order",
]
