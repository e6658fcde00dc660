"""Members copied out of archives that nobody has to trust."""

from __future__ import annotations

import contextlib
import difflib
import io
import lzma
import posixpath
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from emosynth.errors import UserError

LIMIT = 2 << 30
"""Bytes that one entry may unpack to; more is taken for a decompression bomb."""

_CHUNK = 1 << 20


def steps(member: str) -> list[str]:
    """Return the parts of ``a -> b``: the archive inside, and the member of it."""
    return [part.strip() for part in member.split("->")]


def base(member: str) -> str:
    """Return the name under which a member is copied out."""
    return PurePosixPath(steps(member)[-1]).name


def check_member(name: str, where: str) -> None:
    """Raise a `UserError` if a member's path leads out of its folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or ".." in parts or re.match(r"^[A-Za-z]:", name) or "\0" in name:
        raise UserError(
            f"Unsafe path in an archive: {name!r}",
            where=where,
            remedy="Do not use this archive; its members must be relative paths without '..'.",
        )


def unpack(archive: Path, members: Sequence[str], target: Path, limit: int = LIMIT) -> list[Path]:
    """Copy members out of a zip, wheel or tar archive, and nothing else.

    Parameters
    ----------
    archive
        The file.
    members
        ``path``; ``path/`` for all below a folder; ``inner.tar.gz -> path`` for a member of an archive inside.
    target
        Folder that gets each member under its base name.
    limit
        Bytes that all members together may come to, counted while they are read and not as the archive claims.

    Raises
    ------
    UserError
        For a missing member, one that is there twice, a link or special file in its place, an unsafe path, an archive that is damaged or too big.
    """
    budget = _Budget(limit, str(archive))
    made = []
    for member in members:
        *outer, last = steps(member)
        with contextlib.ExitStack() as stack:
            current = stack.enter_context(_Archive.open(archive.open("rb"), str(archive)))
            for inner in outer:
                # the nested archive is read whole: tar and zip both need to seek
                buffer = io.BytesIO()
                with current.read(inner) as stream:
                    budget.copy(stream, buffer)
                buffer.seek(0)
                current = stack.enter_context(_Archive.open(buffer, f"{archive} -> {inner}"))
            place = target / base(member)
            if last.endswith("/"):
                names = [name for name in current.names() if name.startswith(last) and not name.endswith("/")]
                if not names:
                    raise current.missing(last)
                for name in names:
                    check_member(name, current.where)
                    inside = place / posixpath.relpath(name, last)
                    inside.parent.mkdir(parents=True, exist_ok=True)
                    with current.read(name) as stream, inside.open("xb") as sink:
                        budget.copy(stream, sink)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                with current.read(last) as stream, place.open("xb") as sink:
                    budget.copy(stream, sink)
            made.append(place)
    return made


@dataclass
class _Budget:
    left: int
    where: str

    def copy(self, stream: IO[bytes], sink: IO[bytes]) -> None:
        while chunk := stream.read(_CHUNK):
            self.left -= len(chunk)
            if self.left < 0:
                raise UserError("The archive unpacks to more than the bound allows.", where=self.where, remedy="Do not use this archive.")
            sink.write(chunk)


class _Archive:
    """A zip or tar archive, read member by member."""

    def __init__(self, handle: zipfile.ZipFile | tarfile.TarFile, where: str) -> None:
        self.handle, self.where = handle, where

    @classmethod
    @contextlib.contextmanager
    def open(cls, stream: IO[bytes], where: str) -> Iterator[_Archive]:
        with stream:
            try:
                if zipfile.is_zipfile(stream):
                    with zipfile.ZipFile(stream) as handle:
                        yield cls(handle, where)
                else:
                    stream.seek(0)
                    with tarfile.open(fileobj=stream) as tar:
                        yield cls(tar, where)
            except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError) as error:
                raise UserError(f"The archive is damaged: {error}", where=where, remedy="Delete it and fetch it again.") from error

    def names(self) -> list[str]:
        """Return the names of all files."""
        if isinstance(self.handle, zipfile.ZipFile):
            return self.handle.namelist()
        return [info.name for info in self.handle.getmembers() if not info.isdir()]

    def missing(self, name: str) -> UserError:
        """Return the error for a member that is not there."""
        close = difflib.get_close_matches(name, self.names(), n=1)
        hint = f"; the nearest is {close[0]}" if close else ""
        return UserError(
            f"The archive has no member {name}{hint}", where=self.where, remedy="Correct the file of the entry in data/catalog.yaml."
        )

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        """Yield the bytes of a regular file."""
        check_member(name, self.where)
        if self.names().count(name) > 1:
            # which of the two is meant depends on who reads the archive
            raise UserError(f"The archive has {name} twice.", where=self.where, remedy="Do not use this archive.")
        special = UserError(f"{name} is a link or a special file.", where=self.where, remedy="Do not use this archive.")
        if isinstance(self.handle, zipfile.ZipFile):
            try:
                info = self.handle.getinfo(name)
            except KeyError:
                raise self.missing(name) from None
            mode = info.external_attr >> 16
            if info.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
                raise special
            with self.handle.open(info) as stream:
                yield stream
        else:
            try:
                member = self.handle.getmember(name)
            except KeyError:
                raise self.missing(name) from None
            # extractfile would follow a link to another member
            found = self.handle.extractfile(member) if member.isfile() else None
            if found is None:
                raise special
            with found:
                yield found
