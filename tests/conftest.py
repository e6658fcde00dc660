"""Who runs side by side: ``make test`` has two workers, one for runs of the whole pipeline, one for everything else."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long pipeline tests into a group of their own, first."""
    items.sort(key=lambda item: item.get_closest_marker("pipeline") is None)
    for item in items:
        item.add_marker(pytest.mark.xdist_group("pipeline" if item.get_closest_marker("pipeline") else "rest"))
