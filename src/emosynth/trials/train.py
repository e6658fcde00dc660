"""One model trained and asked about the test rows; many of them in processes of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from emosynth import pieces
from emosynth.learners.base import Learner, Resources, Task
from emosynth.models.transformer import one_thread
from emosynth.parallel import as_done, remote, rooms
from emosynth.store import RowStore
from emosynth.trials.rows import Built

if TYPE_CHECKING:
    from emosynth.models.embeddings import EmbeddingCache

FloatArray = npt.NDArray[np.float64]

ALONE = 0
"""Of a learner that uses all cores itself: never beside another."""


@dataclass(frozen=True)
class Job:
    """One model to be trained; ``key`` names what comes out of it."""

    key: str
    learner: Learner
    built: Built
    task: Task
    test: Sequence[str]


@dataclass(frozen=True)
class Outcome:
    """What is kept of a model.

    Attributes
    ----------
    p
        (n, k) float32 probabilities of the test rows.
    mixed
        (m, k) of written rows that a flaw put among them.
    chosen
        Settings that were chosen.
    """

    p: npt.NDArray[np.float32]
    mixed: npt.NDArray[np.float32]
    chosen: dict[str, float]

    def pack(self) -> bytes:
        """Return it as the row cache keeps it: a line of JSON, then numbers."""
        head = {"chosen": self.chosen, "n": len(self.p), "k": int(self.p.shape[1])}
        return json.dumps(head, sort_keys=True).encode("ascii") + b"\n" + np.vstack([self.p, self.mixed]).astype("<f4").tobytes()

    @classmethod
    def unpack(cls, value: bytes) -> Outcome:
        """Return what `pack` was given."""
        line, _, body = value.partition(b"\n")
        head = json.loads(line)
        p = np.frombuffer(body, dtype="<f4").reshape(-1, head["k"])
        return cls(p[: head["n"]], p[head["n"] :], head["chosen"])


def per_worker(learner: Learner) -> int:
    """Return from how many models of a learner another process pays for its start, which for gradient steps is as dear as a model; `ALONE`: never."""
    return ALONE if learner.own_cores else 2 if learner.stepped else 32


def train(job: Job, resources: Resources) -> Outcome:
    """Train a model and predict; but for learners that use all cores, on one thread."""
    mixed = list(job.built.mixed[0]) if job.built.mixed else []
    texts = [*job.test, *mixed]
    guess = _without_training(job, len(texts))
    if guess is not None:
        p, chosen = guess, {}
    else:
        with nullcontext() if job.learner.own_cores else one_thread():
            fitted = job.learner.fit(job.built.stages, job.task, resources)
            p = np.asarray(fitted.predict_proba(texts), dtype=np.float64)
            chosen = {name: round(float(value), 10) for name, value in fitted.chosen.items()}
    if p.shape != (len(texts), len(job.task.space.labels)) or not np.isfinite(p).all():
        raise ValueError(f"{job.learner.name} predicts shape {p.shape} for {len(texts)} texts, or numbers that are not finite")
    out = p.astype(np.float32)
    return Outcome(out[: len(job.test)], out[len(job.test) :], chosen)


def _without_training(job: Job, n: int) -> FloatArray | None:
    """Return predictions where there is nothing to be learnt: no rows, or rows of one label; a starved arm is a finding, not an error."""
    rows, space = job.built.stages[-1].rows, job.task.space
    mass = rows.weights @ rows.targets if len(rows) else np.zeros(rows.targets.shape[1])
    if job.built.seed_rows or int((mass > 0).sum()) > 1:
        return None
    label_map = job.built.stages[-1].to_next
    share = mass / mass.sum() if mass.sum() > 0 else np.zeros(len(mass))
    moved = share if label_map is None else label_map.project(share[None])[0]
    if space.single:
        moved = moved / moved.sum() if moved.sum() > 0 else np.full(len(space.labels), 1 / len(space.labels))
    return np.tile(moved, (n, 1))


# --- processes ------------------------------------------------------------------------------------------


class _Borrowed(RowStore):
    """A cache that another process writes: what is made here is not kept."""

    def commit(self, rows: Mapping[str, Any]) -> None:
        """Keep nothing."""


_worker: list[Resources] = []


def _start(encoder: Path, cache: Path, embeddings: Path | tuple[list[str], npt.NDArray[np.float32]], files: Sequence[Path]) -> None:
    from emosynth.models.embeddings import EmbeddingCache, Encoder

    pieces.load_files(files)  # learners of the user's own are sent by name
    made = EmbeddingCache(Encoder(encoder), _Borrowed(embeddings, read_only=True) if isinstance(embeddings, Path) else None)
    if not isinstance(embeddings, Path):
        made._memory.update(zip(*embeddings, strict=True))
    _worker[:] = [Resources(made.embed, encoder, made.encoder.hash, cache)]


def _work(job: Job, _progress: Callable[[int], None]) -> tuple[str, bytes]:
    return job.key, train(job, _worker[0]).pack()


def train_all(
    jobs: Iterable[Job], enough: int, resources: Resources, embeddings: EmbeddingCache, files: Sequence[Path]
) -> Iterator[tuple[str, bytes]]:
    """Train models on the cores that there are, and yield their keys and what is kept of them as they are done.

    Parameters
    ----------
    jobs
        Made one by one, as they are needed: rows of all of them would not fit into memory.
    enough
        Processes that they pay for.
    embeddings
        What the models are trained on: other processes only read its file, and a cluster, where a database cannot be shared, is sent what it holds
        in memory.
    files
        Files with pieces of the user's own.
    """
    workers = min(rooms(), enough) if enough else 0
    if workers < (1 if remote() else 2):
        for job in jobs:
            yield job.key, train(job, resources).pack()
        return
    assert embeddings.store is not None  # it was opened on a file
    known = embeddings._memory
    given = (list(known), np.stack([*known.values()]) if known else np.zeros((0, 0), np.float32)) if remote() else embeddings.store.path
    yield from as_done(_work, jobs, workers, _start, (resources.encoder, resources.cache, given, tuple(files)))
