#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
unpack.py HANDIN FOLDER FILE...: takes FILEs out of a hand-in, as people pack them, into FOLDER.

HANDIN is a folder, a tar of any compression, a zip, or one of these inside of such an archive, as a
download from a course's site is. The files may be in folders of any name, so far as their paths end
as they must; of several the one that is least deep is taken. Nothing else is written.

It is meant to run confined (confine.py). It stops by itself after so many members, so many bytes
that come out of all compression, and so much memory for a decompressor, so a small file that would
become a large one harms nobody. Exit status 1: the hand-in cannot be read, which is a line; 2: the
machine has run out of something.
"""
import bz2
import errno
import gzip
import io
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib

MEMBERS_MAX = 20000
BYTES_MAX = 256 << 20                   # that come out of all compression together
FILE_MAX = 256 << 10                    # of one file that is taken
MEMORY_MAX = 64 << 20                   # of xz
NOT_HANDED_IN = {"build", ".git"}
DEPTH_MAX = 3                           # archives in archives
PACKED = (".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".lzma", ".zst", ".lz4", ".lz",
          ".z", ".zip")
BY_PROGRAM = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"LZIP": "lzip",
              b"\x1f\x9d": "gzip"}        # as files begin -> who can read them
HOSTS_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO}


class Bad(Exception):
    """The hand-in cannot be read: one line."""


class Counted(io.RawIOBase):
    """A stream that ends with an error when too much has come out of it, or of others before it."""

    def __init__(self, stream, budget):
        super().__init__()
        self.stream, self.budget = stream, budget

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.stream.read(min(len(buffer), 1 << 16))
        self.budget.spend(len(data))
        buffer[:len(data)] = data
        return len(data)


class Budget:
    """What is left of members and bytes, for the whole hand-in."""

    def __init__(self):
        self.members, self.bytes = MEMBERS_MAX, BYTES_MAX

    def spend(self, count):
        self.bytes -= count
        if self.bytes < 0:
            raise Bad(f"more than {BYTES_MAX >> 20} MiB come out of it")

    def member(self):
        self.members -= 1
        if self.members < 0:
            raise Bad(f"it has more than {MEMBERS_MAX} members")


def plain(stream):
    """@stream without its compression, by its first bytes."""
    first = stream.read(6)
    stream.seek(0)
    if first[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=stream)
    if first[:3] == b"BZh":
        return bz2.BZ2File(stream)
    if first == b"\xfd7zXZ\0" or first[:3] == b"\x5d\0\0":
        return Xz(stream)
    for start, program in BY_PROGRAM.items():
        if first.startswith(start):
            return by_program(program, stream)
    return stream


def by_program(program, stream):
    """What Python cannot decompress. The sandbox ends the program with us."""
    if not shutil.which(program):
        raise OSError(errno.EIO, f"it is packed with {program}, which is not here")
    with tempfile.TemporaryFile() as packed:
        shutil.copyfileobj(stream, packed)
        packed.seek(0)
        return subprocess.Popen([program, "-dc"], stdin=packed, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL).stdout


class Xz:
    """lzma.LZMAFile has no limit of memory."""

    def __init__(self, stream):
        self.stream, self.unpacker = stream, lzma.LZMADecompressor(memlimit=MEMORY_MAX)

    def read(self, size):
        while not self.unpacker.eof:
            data = self.stream.read(1 << 14) if self.unpacker.needs_input else b""
            if self.unpacker.needs_input and not data:
                raise EOFError("it ends too early")
            if out := self.unpacker.decompress(data, size):
                return out
        return b""


def folder_members(path, budget):
    for top, folders, names in os.walk(path):
        folders[:] = sorted(one for one in folders if one not in NOT_HANDED_IN and
                            not os.path.islink(os.path.join(top, one)))
        for name in sorted(names):
            budget.member()
            whole = os.path.join(top, name)
            if os.path.isfile(whole) and not os.path.islink(whole):
                yield os.path.relpath(whole, path), lambda whole=whole: open(whole, "rb")


def zip_members(stream, budget):
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            budget.member()
            if not info.is_dir() and info.external_attr >> 28 != 0xa:       # no link
                yield info.filename, lambda info=info: io.BufferedReader(
                    Counted(archive.open(info), budget))


def tar_members(stream, budget):
    with tarfile.open(fileobj=io.BufferedReader(Counted(stream, budget)), mode="r|") as archive:
        for member in archive:
            budget.member()
            if member.isfile():
                yield member.name, lambda member=member: archive.extractfile(member)


def members(stream, budget):
    """(name, opener) of each plain file; the opener must be used before the next one comes."""
    if zipfile.is_zipfile(stream):
        stream.seek(0)
        return zip_members(stream, budget)
    stream.seek(0)
    return tar_members(plain(stream), budget)


def collect(found, these, wanted, budget, depth):
    """The best of what is there for each of @wanted, to @found: name -> (how deep, bytes)."""
    for name, opener in these:
        words = [word for word in name.replace("\\", "/").split("/") if word not in ("", ".")]
        if not NOT_HANDED_IN.isdisjoint(words[:-1]):
            continue                    # somebody has packed the whole folder
        for one in wanted:
            parts = one.split("/")
            deep = depth * 1000 + len(words) - len(parts)
            if words[-len(parts):] == parts and (one not in found or found[one][0] > deep):
                with opener() as file:
                    found[one] = deep, file.read(FILE_MAX + 1)
                break
        else:
            if name.lower().endswith(PACKED) and depth < DEPTH_MAX:
                with opener() as file:
                    inner = io.BytesIO(file.read(BYTES_MAX))
                collect(found, members(inner, budget), wanted, budget, depth + 1)


def unpack(path, wanted):
    """File -> bytes, of those of @wanted that are in the hand-in @path."""
    found, budget = {}, Budget()
    try:
        if os.path.isdir(path):
            collect(found, folder_members(path, budget), wanted, budget, 0)
        else:
            with open(path, "rb") as file:
                collect(found, members(file, budget), wanted, budget, 0)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError,
            NotImplementedError, RuntimeError, UnicodeError, MemoryError) as error:
        raise Bad(f"{type(error).__name__}: {error}") from error
    except OSError as error:
        if error.errno in HOSTS_TROUBLE:
            raise
        raise Bad(str(error)) from error
    for name, (_, data) in found.items():
        if len(data) > FILE_MAX:
            raise Bad(f"{name} is larger than {FILE_MAX >> 10} KiB")
    return {name: data for name, (_, data) in found.items()}


def main(path, folder, *wanted):
    try:
        for name, data in unpack(path, wanted).items():
            target = os.path.join(folder, name)
            os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
            with open(target, "wb") as file:
                file.write(data)
    except Bad as why:
        print(f"it cannot be read: {why}")
        return 1
    except OSError as error:
        print(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
