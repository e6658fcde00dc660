"""The row cache: nothing that was committed is ever lost, nothing half-written is ever seen."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emosynth.errors import UserError
from emosynth.store import RowStore

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
units = st.lists(st.dictionaries(st.text(max_size=6), json_values, min_size=1, max_size=3), max_size=4)


def rows_of(path: Path) -> dict[str, Any]:
    with RowStore(path) as store:
        return {key: store.get(key) for key in store}


def write(path: Path, work: list[dict[str, Any]]) -> list[int]:
    """Commit the units and return the file's size after each, starting with 0."""
    sizes = [0]
    with RowStore(path) as store:
        for unit in work:
            store.commit(unit)
            sizes.append(path.stat().st_size)
    return sizes


@given(units)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rows_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, work: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("store") / "rows.jsonl"
    write(path, work)
    expected: dict[str, Any] = {}
    for unit in work:
        expected.update(unit)
    assert rows_of(path) == expected


@given(units, st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_truncation_at_any_byte_keeps_exactly_the_complete_units(
    tmp_path_factory: pytest.TempPathFactory, work: list[dict[str, Any]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("store") / "rows.jsonl"
    sizes = write(path, work)
    cut = data.draw(st.integers(0, sizes[-1]))
    os.truncate(path, cut)
    complete = sum(size <= cut for size in sizes) - 1
    expected: dict[str, Any] = {}
    for unit in work[:complete]:
        expected.update(unit)
    with RowStore(path, read_only=True) as store:
        assert {key: store.get(key) for key in store} == expected
    assert rows_of(path) == expected
    assert path.stat().st_size == sizes[complete]
    with RowStore(path) as store:  # and work goes on from there
        store.commit({"next": 1})
    assert rows_of(path) == {**expected, "next": 1}


def test_every_byte_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    sizes = write(path, [{"a": 'ein Text\n{"end": 1'}, {"b": [1, 2.5, None], "ü": {"x": "\u2028"}}])
    content = path.read_bytes()
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        assert len(rows_of(path)) == (0 if cut < sizes[1] else 1 if cut < sizes[2] else 3)


def test_a_later_row_replaces_an_earlier_one_and_empty_units_write_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "rows.jsonl"
    with RowStore(path) as store:
        store.commit({})
        assert path.stat().st_size == 0
        store.commit({"a": (1, 2)})
        assert "a" in store and store.get("a") == [1, 2] and store.get("b", 7) == 7
        store.commit({"a": 3})
    assert rows_of(path) == {"a": 3}


def test_values_that_are_not_json_leave_the_store_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with RowStore(path) as store:
        store.commit({"a": 1})
        for bad in ({"b": 1, "c": {1, 2}}, {"b": float("nan")}, {5: 1}):
            with pytest.raises(TypeError):
                store.commit(bad)  # type: ignore[arg-type]
        assert list(store) == ["a"]
    assert rows_of(path) == {"a": 1}


def test_damage_in_the_middle_costs_its_unit_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, [{"a": "one"}, {"b": "two", "c": "two"}, {"d": "three"}])
    path.write_bytes(path.read_bytes().replace(b'"b", "value": "two"', b'"b", "value": "tvo"'))
    with caplog.at_level("WARNING"):
        assert rows_of(path) == {"a": "one", "d": "three"}
    assert "damaged" in caplog.text


def test_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with RowStore(path) as store:
        store.commit({"a": 1})
        with pytest.raises(UserError, match=f"process {os.getpid()}"):
            RowStore(path)
        code = f"from emosynth.store import RowStore\nRowStore({str(path)!r})"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert other.returncode != 0 and f"process {os.getpid()}" in other.stderr
        with RowStore(path, read_only=True) as reader:
            assert reader.get("a") == 1
            with pytest.raises(ValueError, match="read-only"):
                reader.commit({"b": 1})
    assert rows_of(path) == {"a": 1}


def test_killed_while_writing(tmp_path: Path) -> None:
    """SIGKILL between two writes of one unit: that unit is gone, the one before is there, the lock is free."""
    path = tmp_path / "rows.jsonl"
    code = textwrap.dedent(
        f"""
        import os, signal
        from emosynth.store import RowStore
        store = RowStore({str(path)!r})
        store.commit({{"a": 1}})
        write = os.write
        def torn(handle, data):
            write(handle, bytes(data)[:40])
            os.kill(os.getpid(), signal.SIGKILL)
        os.write = torn
        store.commit({{"b": "x" * 100, "c": 2}})
        """
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    torn = path.stat().st_size
    assert rows_of(path) == {"a": 1}
    assert path.stat().st_size == torn - 40


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    real = os.write
    calls = []

    def full(handle: int, data: Any) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, bytes(data)[:10])

    with RowStore(path) as store:
        store.commit({"a": 1})
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(UserError, match="disk is full"):
                store.commit({"b": 2})
        assert len(calls) == 2
        assert "b" not in store and store.get("a") == 1
        store.commit({"c": 3})
    assert rows_of(path) == {"a": 1, "c": 3}


def test_full_disk_that_cannot_even_take_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    real = os.write

    def fail(*_: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")

    def half(handle: int, data: Any) -> int:
        real(handle, bytes(data)[:15])
        raise OSError(errno.EIO, "Input/output error")

    with RowStore(path) as store:
        store.commit({"a": 1})
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            patch.setattr(os, "ftruncate", fail)
            with pytest.raises(UserError, match="Input/output error"):
                store.commit({"b": 2})
        store.commit({"c": 3})
    assert rows_of(path) == {"a": 1, "c": 3}


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be opened"):
        RowStore(tmp_path / "file" / "rows.jsonl")


def test_closed(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "rows.jsonl")
    store.commit({"a": 1})
    store.close()
    store.close()
    assert store.get("a") == 1
    with pytest.raises(ValueError, match="closed"):
        store.commit({"b": 1})
