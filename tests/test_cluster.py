"""How work is given to a Ray cluster, on a stand-in for Ray; tests/test_ray.py does it on a real one."""

from __future__ import annotations

import builtins
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emosynth import cluster
from emosynth.errors import UserError
from emosynth.parallel import as_done, in_order, remote, rooms, threads_of, use_engine
from emosynth.params import Compute, Decoding
from emosynth.params.compute import Compute as Declared
from emosynth.pipeline import STAGES
from fake_ray import fake


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made: Any = fake()
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.setitem(sys.modules, "ray.util", made.util)
    for name in ("EMOSYNTH_THREADS", "HF_HUB_OFFLINE", "RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("EMOSYNTH_API_KEY", "a-key-of-nobody")
    use_engine(Compute(engine="ray"))
    yield made
    use_engine(Compute())


_begun: list[Any] = []


def _begin(*settings: Any) -> None:
    _begun.append(settings)


def _twice(task: int, _progress: Callable[[int], None]) -> int:
    return 2 * task


def _fails(task: int, _progress: Callable[[int], None]) -> int:
    if task == 2:
        raise UserError("It failed.", where="task 2", remedy="Mend it.")
    return task


def _dies_once(task: Path, _progress: Callable[[int], None]) -> str:
    if not task.exists():
        task.touch()
        raise SystemExit
    return task.name


def _dies(_task: int, _progress: Callable[[int], None]) -> int:
    raise SystemExit


def test_results_come_in_order_from_workers_that_begin_once(ray: Any) -> None:
    assert remote() and rooms() == 2 and threads_of(2) == 1
    _begun.clear()
    assert list(in_order(_twice, range(50), 2, print, _begin, (7, "x"))) == list(range(0, 100, 2))
    assert _begun == [(7, "x")] * 2 and ray.log == ["hired"] * 2 + ["killed"] * 2
    assert ray.options == [{"num_cpus": 1, "num_gpus": 0.0, "max_restarts": 0, "scheduling_strategy": "SPREAD"}]
    assert max(ray.given) <= 4, "two tasks a worker"
    assert "EMOSYNTH_API_KEY" not in os.environ, "a worker forgets it"
    assert sorted(as_done(_twice, iter(range(9)), 1)) == list(range(0, 18, 2))
    assert list(in_order(_twice, [1], 0, print)) == [2] and len(ray.log) == 6, "no worker: here"


def test_an_error_is_the_one_that_was_raised_and_what_came_before_is_kept(ray: Any) -> None:
    kept = []
    with pytest.raises(UserError, match=r"It failed\.") as error:
        for result in in_order(_fails, [0, 1, 2, 3], 2, print):
            kept.append(result)
    assert kept == [0, 1] and error.value.where == "task 2" and error.value.remedy == "Mend it."
    assert ray.log.count("killed") == 2


def test_a_worker_that_dies_costs_its_units_in_flight_and_nothing_else(ray: Any, tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(12)]
    for name in names:
        if name not in ("03", "08"):
            (tmp_path / name).touch()
    assert list(in_order(_dies_once, [tmp_path / name for name in names], 2, print)) == names
    assert ray.log.count("hired") == 4


def test_work_that_kills_every_worker_ends_with_a_remedy(ray: Any) -> None:
    with pytest.raises(UserError, match="lost with its worker 3 times") as error:
        list(in_order(_dies, [1, 2], 2, print))
    assert "memory" in error.value.remedy and "kept" in error.value.remedy
    with pytest.raises(UserError, match="before they could begin") as error:
        list(in_order(_twice, [1], 1, print, sys.exit, (9,)))
    assert "memory" in error.value.remedy and ray.log.count("hired") <= 20


def test_tasks_do_not_pile_up(ray: Any) -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(60):
            taken.append(number)
            yield number

    for number, result in enumerate(in_order(_twice, tasks(), 2, print)):
        assert result == 2 * number and len(taken) <= number + 1 + 16


def test_a_worker_that_lacks_a_file_or_has_another_library_says_so(ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from functools import partial

    class Held:
        def __init__(self) -> None:
            self.folder, self.parts = tmp_path, [tmp_path / "none", "x"]

        def work(self) -> None: ...

    assert cluster._paths((1, partial(Held().work), None)) == {str(tmp_path)} and cluster._paths(("x", 2.5, np.zeros(3))) == set()
    monkeypatch.setattr(cluster, "_paths", lambda settings: {str(tmp_path / "elsewhere")})
    with pytest.raises(UserError, match="does not find 1 of the files") as error:
        list(in_order(_twice, [1], 1, print))
    assert "EMOSYNTH_CACHE" in error.value.remedy and "elsewhere" in error.value.where and "192.0.2.7" in error.value.where
    answers = iter([cluster._fingerprint() | {"numpy": "0.1"}, cluster._fingerprint()])
    monkeypatch.setattr(cluster, "_fingerprint", lambda: next(answers))
    with pytest.raises(UserError, match=r"another numpy \(.* instead of 0\.1\)"):
        list(in_order(_twice, [1], 1, print))


def test_workers_are_as_many_as_the_nodes_hold(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", fake(nodes=3, cpus=4, memory=3 * 10**9))
    assert rooms() == 12 and rooms(10**9) == 9 and rooms(10**12) == 1
    use_engine(Compute(engine="ray", cpus_per_worker=3))
    assert rooms() == 3 and threads_of(3) == 3
    use_engine(Compute(engine="ray", workers=5))
    assert rooms(10**12) == 5
    for short in ({"cpus_per_worker": 5}, {"gpus_per_worker": 1.0}):
        use_engine(Compute(engine="ray", **short))
        with pytest.raises(UserError, match="No node of the cluster has room"):
            rooms()


def test_without_ray_or_a_cluster_there_is_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *rest: exec("raise ImportError") if name == "ray" else original(name, *rest))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    use_engine(Compute(engine="ray"))
    try:
        with pytest.raises(UserError, match="needs the package ray") as error:
            rooms()
        assert "[ray]" in error.value.remedy
        made: Any = fake()
        made.is_initialized = lambda: False

        def init(**given: Any) -> None:
            assert "EMOSYNTH_API_KEY" not in os.environ and not given["log_to_driver"]
            raise ConnectionError("Could not find any running Ray instance.\nMore.")

        made.init = init
        monkeypatch.undo()
        monkeypatch.setitem(sys.modules, "ray", made)
        monkeypatch.setenv("EMOSYNTH_API_KEY", "a-key-of-nobody")
        with pytest.raises(UserError, match="cannot be reached: Could not find any running Ray instance") as error:
            rooms()
        assert "ray start --head" in error.value.remedy and os.environ["EMOSYNTH_API_KEY"] == "a-key-of-nobody"
    finally:
        use_engine(Compute())


def test_no_stage_sees_where_work_is_done_and_local_needs_no_ray() -> None:
    assert not any("compute" in item.sections for item in STAGES)
    assert Declared().engine == "local" and not remote() and "ray" not in sys.modules
    with pytest.raises(ValueError, match="address"):
        Declared(address="http://me:secret@host")


# --- what goes to a cluster -----------------------------------------------------------------------------


def test_a_unit_of_texts_is_written_by_a_worker_that_holds_the_model(ray: Any, tmp_path: Path) -> None:
    from emosynth.generation.fill import ask
    from emosynth.models.lm import Movable, Portable, Request
    from emosynth.models.lm.local import TransformersModel
    from emosynth.store import RowStore
    from lm_files import make_tiny_model

    folder = make_tiny_model(tmp_path / "m")
    requests = [Request(f"I am so {word}", row) for row, word in enumerate(["sad", "glad", "mad", "bad", "had"])]

    def answers(name: str, load: bool) -> list[Any]:
        model = TransformersModel(folder, "0" * 64, load=load)
        assert isinstance(model, Movable) and not isinstance(model, Portable) and (model.model is None) == (not load)
        with RowStore(tmp_path / name) as store:
            made = ask(model, Decoding(max_new_tokens=6), 2, "test", requests, store)
        assert (model.model is None) == (not load), "it was loaded by the workers"
        return made

    far = answers("far.sqlite", False)
    assert ray.log == ["hired", "hired", "killed", "killed"]
    use_engine(Compute())
    assert far == answers("near.sqlite", True) and len(ray.log) == 4


def test_what_cannot_be_sent_is_written_here(ray: Any, tmp_path: Path) -> None:
    from emosynth.generation.fill import ask
    from emosynth.models.lm import Completion, Request
    from emosynth.store import RowStore

    class Here:
        identity, deterministic = {"backend": "here"}, True

        def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
            return [Completion(f"a text {request.row_seed}", "stop", 1, 1) for request in requests]

        def close(self) -> None: ...

    with RowStore(tmp_path / "s") as store:
        assert len(ask(Here(), Decoding(), 2, "test", [Request("x", row) for row in range(5)], store)) == 5  # type: ignore[arg-type]
    assert ray.log == []


def test_scores_and_embeddings_are_those_of_one_machine(ray: Any, tmp_path: Path) -> None:
    from emosynth.models.ahead import embed_ahead
    from emosynth.models.embeddings import EmbeddingCache, Encoder
    from emosynth.models.lm.labels import LabelScorer, row_prompt
    from emosynth.models.lm.perplexity import ReferenceModel
    from emosynth.store import RowStore
    from encoder_files import make_tiny_encoder
    from lm_files import make_tiny_model

    folder, encoder = make_tiny_model(tmp_path / "m"), make_tiny_encoder(tmp_path / "e")
    texts = [f"so {'very ' * (row % 4)}{word}" for row, word in enumerate(["sad", "glad", "mad", "bad", "had", "fad", "dad"])]

    def made(name: str) -> list[bytes]:
        found = LabelScorer(folder, tmp_path / name, head="", unit=2).score([row_prompt(text) for text in texts], [" sad", " glad"])
        perplexity, tokens = ReferenceModel(folder, tmp_path / name, unit=2).score(texts)
        with RowStore(tmp_path / f"{name}.sqlite") as store:
            cache = EmbeddingCache(Encoder(encoder), store, unit=2)
            embed_ahead(cache, [*texts, texts[0]])
            return [found.tobytes(), perplexity.tobytes(), tokens.tobytes(), cache.embed(texts).tobytes()]

    far, log = made("far"), list(ray.log)
    assert log.count("hired") == 6, "three pieces of work, two workers each"
    use_engine(Compute())
    assert far == made("near") and ray.log == log


def test_a_scorer_is_sent_without_its_model(tmp_path: Path) -> None:
    from emosynth.models.lm.labels import LabelScorer
    from lm_files import make_tiny_model

    scorer = LabelScorer(make_tiny_model(tmp_path / "m"), tmp_path, head="", unit=2)
    scorer.score(["They feel"], [" sad"])
    sent = pickle.loads(pickle.dumps(scorer))
    assert scorer._loaded is not None and sent._loaded is None and sent.identity == scorer.identity


class _Fragile:
    """Fails at lists with an odd prompt in them; its texts name the list that they were written in."""

    identity, deterministic = {"backend": "fragile"}, True

    def __init__(self, error: Exception) -> None:
        self.error, self.calls = error, 0

    def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Any]:
        from emosynth.models.lm import Completion

        self.calls += 1
        if any(request.prompt == "odd" for request in requests):
            raise self.error
        return [Completion(f"text {request.row_seed} of {len(requests)}", "stop", 1, 1) for request in requests]

    def close(self) -> None: ...


def _asked(model: Any, path: Path, odd: set[int], batch: int = 64) -> list[Any]:
    from emosynth.generation.fill import ask
    from emosynth.models.lm import Request
    from emosynth.store import RowStore

    with RowStore(path) as store:
        return ask(model, Decoding(), batch, "test", [Request("odd" if row in odd else "even", row) for row in range(64)], store)


def test_a_row_that_fails_fails_alone_and_its_error_is_kept(tmp_path: Path) -> None:
    model = _Fragile(ValueError("no such  letter"))
    made = _asked(model, tmp_path / "s", {5, 40})
    assert [row for row, value in enumerate(made) if value["finish"] == "refused"] == [5, 40]
    assert made[5] == {"text": "", "finish": "refused", "prompt_tokens": 0, "new_tokens": 0, "error": "ValueError: no such letter"}
    assert all(made[row]["text"] == f"text {row} of 62" for row in range(64) if row not in (5, 40)), "the unit without them, not its pieces"
    assert model.calls < 30
    model.calls = 0
    assert _asked(model, tmp_path / "s", {5, 40}) == made and model.calls == 0, "it is not asked again"


def test_a_unit_that_fails_for_no_row_of_its_own_ends_the_run(tmp_path: Path) -> None:
    for place, error in enumerate([MemoryError(), UserError("No chat template.")]):
        model = _Fragile(error)
        with pytest.raises(type(error)):
            _asked(model, tmp_path / f"{place}", {5})
        assert model.calls == 1
    model = _Fragile(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        _asked(model, tmp_path / "all", set(range(64)))
    assert model.calls < 10, "a broken model is not asked for every row"
    with pytest.raises(ValueError, match="broken"):
        _asked(model, tmp_path / "one", {63}, 1)


def test_a_prompt_that_is_too_long_fails_alone_on_both_engines(ray: Any, tmp_path: Path) -> None:
    from emosynth.generation.fill import ask
    from emosynth.models.lm import Request
    from emosynth.models.lm.local import TransformersModel
    from emosynth.store import RowStore
    from lm_files import make_tiny_model

    folder = make_tiny_model(tmp_path / "m")
    requests = [Request(f"I am so {word}", row) for row, word in enumerate(["sad", "glad", "long " * 40, "", "had", "bad"])]
    requests[3] = Request("", 3)

    def answers(name: str) -> list[Any]:
        with RowStore(tmp_path / name) as store:
            return ask(TransformersModel(folder, "0" * 64), Decoding(max_new_tokens=6), 6, "test", requests, store)

    far = answers("far.sqlite")
    assert [value.get("error", "")[:19] for value in far] == ["", "", "A prompt of 208 tok", "A prompt is empty.", "", ""]
    use_engine(Compute())
    assert far == answers("near.sqlite")


@pytest.mark.parametrize("learner", ["tfidf", "embedding", "trees", "encoder"])
def test_trials_are_those_of_one_machine_though_arrays_arrive_read_only(ray: Any, tmp_path: Path, learner: str) -> None:
    from ray_trials import trained

    far = trained(tmp_path / "far", learner, 3)
    assert "hired" in ray.log
    use_engine(Compute())
    assert far == trained(tmp_path / "near", learner, 3) and len(far) == 3
