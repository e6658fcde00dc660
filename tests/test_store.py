"""The row cache: nothing that was committed is ever lost, nothing half-written is ever seen, nothing is silently wrong."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emosynth.errors import UserError
from emosynth.store import RowStore, check_cache

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
units = st.lists(st.dictionaries(st.text(max_size=6), json_values | st.binary(max_size=9), min_size=1, max_size=3), max_size=4)
slow = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that progress lines go to."""
    monkeypatch.setenv("EMOSYNTH_PROGRESS", str(tmp_path / "said"))
    (tmp_path / "said").touch()
    return tmp_path / "said"


def rows_of(path: Path, **options: Any) -> dict[str, Any]:
    with RowStore(path, **options) as store:
        found = {key: store.get(key) for key in store}
        assert len(store) == len(found)
        return found


def merged(work: list[dict[str, Any]]) -> dict[str, Any]:
    expected: dict[str, Any] = {}
    for unit in work:
        expected.update(unit)
    return expected


def python(code: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, **more)


@given(units)
@slow
def test_rows_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, work: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("store") / "rows.sqlite"
    with RowStore(path) as store:
        for unit in work:
            store.commit(unit)
    assert rows_of(path) == rows_of(path, read_only=True) == merged(work)


@given(units, st.data())
@slow
def test_a_log_torn_at_any_byte_holds_exactly_the_complete_units(
    tmp_path_factory: pytest.TempPathFactory, work: list[dict[str, Any]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("store")
    path, torn = folder / "rows.sqlite", folder / "torn.sqlite"
    log = folder / "rows.sqlite-wal"
    with RowStore(path) as store:  # as a killed process leaves it: nothing was closed
        sizes = [log.stat().st_size]
        for unit in work:
            store.commit(unit)
            sizes.append(log.stat().st_size)
        shutil.copy(path, torn)
        shutil.copy(log, folder / "torn.sqlite-wal")
    cut = data.draw(st.integers(0, sizes[-1]))
    os.truncate(folder / "torn.sqlite-wal", cut)
    complete = max(sum(size <= cut for size in sizes) - 1, 0)
    assert rows_of(torn) == merged(work[:complete])
    with RowStore(torn) as store:  # and work goes on from there
        store.commit({"next": 1})
    assert rows_of(torn) == {**merged(work[:complete]), "next": 1}


def test_a_later_row_replaces_an_earlier_one_and_empty_units_write_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "rows.sqlite"
    with RowStore(path) as store:
        store.commit({})
        assert len(store) == 0 and list(store) == []
        store.commit({"a": (1, 2), "b": b"\x00\xff"})
        assert "a" in store and store.get("a") == [1, 2] and store.get("b") == b"\x00\xff" and store.get("c", 7) == 7
        store.commit({"a": 3})
        assert list(store) == ["a", "b"] and 5 not in store and "\ud800" not in store
    assert rows_of(path) == {"a": 3, "b": b"\x00\xff"}


@pytest.mark.parametrize(
    "bad", [{"b": 1, "c": {1, 2}}, {"b": float("nan")}, {"b": [float("inf")]}, {5: 1}, {"b": 1, "c": [b"nested"]}, {"\ud800": 1}]
)
def test_values_that_are_neither_json_nor_bytes_leave_the_store_alone(tmp_path: Path, bad: Any) -> None:
    path = tmp_path / "rows.sqlite"
    with RowStore(path) as store:
        store.commit({"a": 1})
        with pytest.raises(TypeError):
            store.commit(bad)
        assert list(store) == ["a"]
    assert rows_of(path) == {"a": 1}


def test_many_rows_are_quick_and_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    started = time.monotonic()
    with RowStore(path) as store:
        for start in range(0, 100_000, 10_000):
            store.commit({f"key-{start + i:032d}": {"text": "so glad " * 10, "n": i} for i in range(10_000)})
    assert time.monotonic() - started < 20
    code = f"""
        import resource, time
        from emosynth.store import RowStore
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        store = RowStore({str(path)!r})
        assert store.get(f"key-{{77_777:032d}}")["n"] == 7_777 and len(store) == 100_000
        print(time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    seconds, kilobytes = map(float, python(code).stdout.split())
    assert seconds < 1 and kilobytes < 20_000
    assert sum(1 for _ in RowStore(path, read_only=True)) == 100_000


# --- damage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["value", "key", "crc32"])
def test_a_damaged_value_counts_as_missing_and_is_said(tmp_path: Path, said: Path, column: str) -> None:
    path = tmp_path / "rows.sqlite"
    with RowStore(path) as store:
        store.commit({"a": "one", "b": "two", "c": "three"})
    db = sqlite3.connect(path)
    change = {"value": """'"tvo"'""", "key": "'q'", "crc32": "crc32 + 1"}[column]
    db.execute(f"UPDATE rows SET {column} = {change} WHERE key = 'b'")
    db.commit()
    db.close()
    for options in ({"read_only": True}, {}):
        assert rows_of(path, **options) == {"a": "one", "c": "three"}
        assert "rows.sqlite" in said.read_text() and "damaged" in said.read_text()
        said.write_text("")
    with RowStore(path) as store:
        assert "b" not in store and "q" not in store and store.get("b", 0) == 0
        store.commit({"b": "two"})
        assert store.get("b") == "two"


@given(st.data())
@slow
def test_bits_that_flip_anywhere_never_give_a_wrong_value(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    draw_flips = st.lists(st.integers(0, 10**6), min_size=1, max_size=40)
    flip_and_use(
        tmp_path_factory.mktemp("store") / "rows.sqlite", [(place, data.draw(st.integers(1, 255))) for place in data.draw(draw_flips)]
    )


@pytest.mark.parametrize("place", [*range(8_050, 8_192, 3), *range(22_200, 22_300, 3)])  # the schema; keys that lead to others
def test_a_key_that_misleads_the_search_loses_nothing(tmp_path: Path, place: int) -> None:
    flip_and_use(tmp_path / "rows.sqlite", [(place, 2)])


@pytest.mark.parametrize("mask", [1, 4, 128])
@pytest.mark.parametrize("place", [18, 19])
def test_a_format_that_there_is_not_is_damage(tmp_path: Path, place: int, mask: int) -> None:
    """SQLite reads a file of a later version for writing, and never writes it: the cache took no more rows, though it was whole."""
    flip_and_use(tmp_path / "rows.sqlite", [(place, mask)])


def flip_and_use(path: Path, flips: list[tuple[int, int]]) -> None:
    """Change bytes of a store (place modulo its length, mask), read it, write it again: what is returned is right."""
    whole: dict[str, Any] = {f"key {i}": [i, "text " * (i % 50)] for i in range(300)}
    with RowStore(path) as store:
        store.commit(whole)
    content = bytearray(path.read_bytes())
    for place, mask in flips:
        content[place % len(content)] ^= mask
    path.write_bytes(content)
    for options in ({"read_only": True}, {}):
        with RowStore(path, **options) as store:
            for key in whole:
                assert store.get(key, whole[key]) == whole[key]
            assert all(key in whole for key in store)
    with RowStore(path) as store:
        store.commit(whole)
        assert all(store.get(key) == value for key, value in whole.items())


@pytest.mark.parametrize("how", ["foreign", "torn", "zeros"])
def test_a_damaged_file_is_set_aside_and_work_goes_on(tmp_path: Path, said: Path, how: str) -> None:
    path = tmp_path / "rows.sqlite"
    with RowStore(path) as store:
        store.commit({f"{i}": "x" * 1000 for i in range(100)})
    content = path.read_bytes()
    path.write_bytes({"foreign": b'{"key": 1}\n' * 500, "torn": content[: len(content) // 2], "zeros": bytes(len(content))}[how])
    with RowStore(path, read_only=True) as store:
        assert all(store.get(key) == "x" * 1000 for key in store)
    with RowStore(path) as store:
        store.commit({f"{i}": "y" * 1000 for i in range(100)})
        store.commit({"next": 1})
    assert rows_of(path) == {**{f"{i}": "y" * 1000 for i in range(100)}, "next": 1}
    if (tmp_path / "rows.sqlite.damaged").exists():
        assert "set aside as rows.sqlite.damaged" in said.read_text()
    else:
        assert how == "zeros"  # to SQLite a file of zeros may be a new one


def test_what_can_be_read_of_a_damaged_file_is_taken_over(tmp_path: Path, said: Path) -> None:
    path = tmp_path / "rows.sqlite"
    with RowStore(path) as store:
        store.commit({f"{i:04d}": "x" * 1000 for i in range(400)})
    size = path.stat().st_size
    content = bytearray(path.read_bytes())
    middle = size // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with RowStore(path) as store:
        store.commit({f"{i:04d}": "x" * 1000 for i in range(400)})
    assert "could be read" in said.read_text() or "cannot be read" in said.read_text()
    assert rows_of(path) == {f"{i:04d}": "x" * 1000 for i in range(400)}


# --- writers and readers ----------------------------------------------------------------------------


def test_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    with RowStore(path) as store:
        store.commit({"a": 1})
        with pytest.raises(UserError, match=f"process {os.getpid()}"):
            RowStore(path)
        other = python(f"from emosynth.store import RowStore\nRowStore({str(path)!r})")
        assert other.returncode != 0 and f"process {os.getpid()}" in other.stderr
        with RowStore(path, read_only=True) as reader:
            assert reader.get("a") == 1
            store.commit({"b": 2})
            assert reader.get("b") == 2
            with pytest.raises(ValueError, match="read-only"):
                reader.commit({"b": 1})
    assert rows_of(path) == {"a": 1, "b": 2}


def test_a_store_that_does_not_exist_is_empty_to_a_reader(tmp_path: Path) -> None:
    with RowStore(tmp_path / "none.sqlite", read_only=True) as store:
        assert len(store) == 0 and list(store) == [] and "a" not in store
    assert not (tmp_path / "none.sqlite").exists()


def test_threads_share_a_store(tmp_path: Path) -> None:
    with RowStore(tmp_path / "rows.sqlite") as store:
        threads = [threading.Thread(target=lambda i=i: [store.commit({f"{i}/{j}": j}) for j in range(20)]) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store) == 80 and all(store.get(f"{i}/{j}") == j for i in range(4) for j in range(20))


@pytest.mark.parametrize("steps", [1_000, 20_000, 100_000])
def test_killed_in_the_middle_of_a_commit(tmp_path: Path, steps: int) -> None:
    """SIGKILL after so many steps of SQLite: that unit is gone, the one before is there, the lock is free."""
    path = tmp_path / "rows.sqlite"
    killed = python(
        f"""
        import os, signal
        from emosynth.store import RowStore
        store = RowStore({str(path)!r})
        store.commit({{"a": 1}})
        store._db.execute("PRAGMA cache_size = 10")  # pages of the unit reach the log before it is complete
        store._db.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), {steps})
        store.commit({{f"b{{i}}": "x" * 1000 for i in range(20_000)}})
        """
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert rows_of(path, read_only=True) == {"a": 1}
    assert rows_of(path) == {"a": 1}


def test_killed_at_any_time_keeps_every_unit_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    code = f"""
        from emosynth.store import RowStore
        store = RowStore({str(path)!r})
        for i in range(10**6):
            store.commit({{f"{{i}}/{{j}}": "x" * 300 for j in range(50)}})
            print(i, flush=True)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    process.kill()
    acknowledged = 20 + len(process.stdout.read().split())
    process.wait()
    found = [key.split("/")[0] for key in rows_of(path)]
    whole = {unit: found.count(unit) for unit in dict.fromkeys(found)}
    assert set(whole.values()) == {50}
    assert acknowledged <= len(whole) <= acknowledged + 1


# --- the disk ---------------------------------------------------------------------------------------


def test_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    with RowStore(path) as store:
        store.commit({"a": 1})
        assert store._db is not None
        store._db.execute("PRAGMA max_page_count = 10")
        with pytest.raises(UserError, match="disk is full") as failure:
            store.commit({f"b{i}": "x" * 5000 for i in range(20)})
        assert "EMOSYNTH_CACHE" in str(failure.value) and str(path) in str(failure.value) and "the 1 before" in str(failure.value)
        assert list(store) == ["a"] and store.get("a") == 1
        store.commit({"c": 3})
    assert rows_of(path) == {"a": 1, "c": 3}


def test_a_write_that_the_system_refuses(tmp_path: Path) -> None:
    """A limit on the size of files makes the system itself refuse, in the middle of a unit."""
    path = tmp_path / "rows.sqlite"
    code = f"""
        import signal
        from emosynth.errors import UserError
        from emosynth.store import RowStore
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with RowStore({str(path)!r}) as store:
            store.commit({{"a": 1}})
            try:
                store.commit({{f"b{{i}}": "x" * 5000 for i in range(200)}})
            except UserError as error:
                print(error.where, store.get("a"), list(store))
            store.commit({{"c": 3}})
    """
    limit = 300_000
    done = python(code, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.stdout.split(" ", 1) == [str(path), "1 ['a']\n"], done.stderr
    assert rows_of(path) == {"a": 1, "c": 3}


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be opened"):
        RowStore(tmp_path / "file" / "rows.sqlite")
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(UserError, match="cannot be opened"):
        RowStore(tmp_path / "folder.sqlite")


@pytest.mark.parametrize(
    ("code", "free", "full"),
    [(sqlite3.SQLITE_FULL, 0, True), (sqlite3.SQLITE_IOERR_SHMSIZE, 50_000, True), (sqlite3.SQLITE_IOERR_READ, 10**10, False)],
)
def test_a_full_disk_is_said_when_a_store_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, free: int, full: bool
) -> None:
    def fail(*_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr("emosynth.store._connect", fail)
    monkeypatch.setattr("emosynth.store.shutil.disk_usage", lambda place: SimpleNamespace(free=free))
    with pytest.raises(UserError) as failure:
        RowStore(tmp_path / "rows.sqlite")
    assert ("The disk is full" in failure.value.what, "Make room" in failure.value.remedy) == (full, full)


def test_a_cache_that_cannot_be_used_is_found_before_a_run_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_cache(tmp_path / "new")
    assert not any((tmp_path / "new" / "rows").iterdir())
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be opened"):
        check_cache(tmp_path / "file")
    (tmp_path / "new" / "rows" / "generation.sqlite").touch()
    with monkeypatch.context() as patch, pytest.raises(UserError, match="cannot be opened: Permission denied") as failure:
        patch.setattr("emosynth.store.os.access", lambda path, mode: False)
        check_cache(tmp_path / "new")
    assert failure.value.where.endswith("generation.sqlite")
    code = f"""
        import signal
        from emosynth.errors import UserError
        from emosynth.store import check_cache
        from pathlib import Path
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            check_cache(Path({str(tmp_path)!r}))
        except UserError as error:
            print("told")
    """
    assert python(code, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))).stdout == "told\n"


def test_closed(tmp_path: Path) -> None:
    store = RowStore(tmp_path / "rows.sqlite")
    store.commit({"a": 1})
    store.close()
    store.close()
    assert store.get("a") == 1
    with pytest.raises(ValueError, match="closed"):
        store.commit({"b": 1})
    store.close()
    with RowStore(tmp_path / "rows.sqlite") as again:
        assert again.get("a") == 1
