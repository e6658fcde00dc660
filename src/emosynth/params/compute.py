"""Where the work is done: on this machine's cores, or on a Ray cluster. No result and no key of a cache depends on it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emosynth.params.base import Section


class Compute(Section):
    """Who works; no stage declares this section, so a change of it makes nothing again."""

    engine: Literal["local", "ray"] = Field(
        "local", description="local: processes of this machine; ray: workers on a cluster (extra [ray])"
    )
    address: str = Field(
        "auto",
        pattern=r"^(auto|local|[A-Za-z0-9.-]+:[0-9]{1,5}|\[[0-9A-Fa-f:]+\]:[0-9]{1,5})$",
        description="ray only: auto: the cluster that this machine is a node of; local: a cluster of this machine, started and ended with the run; "
        "or host:port of a cluster's head",
    )
    workers: int | None = Field(None, ge=1, description="ray only: workers at once; None: as many as the cluster has room for")
    cpus_per_worker: int = Field(1, ge=1, description="ray only: cores that a worker is given, and threads that it uses")
    gpus_per_worker: float = Field(0.0, ge=0, description="ray only: accelerators that a worker is given; 0.5: two workers share one")
