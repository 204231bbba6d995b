# SPDX-License-Identifier: MIT
"""
What was built: an ELF file's bytes by address, its functions, its tests, and where their checks are.
"""
import bisect
import functools
import re
import struct

PAGE = 4096
NOWHERE = 0, 0, "", ""                  # no function


class Strange(Exception):
    """Something is not as it was built, in one line."""


class Object:
    """An ELF64 file: its sections, and its symbols."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        sections = self.table(0x28, 0x3a, 0x3c, "<IIQQQQIIQQ")
        names = sections[struct.unpack_from("<H", self.data, 0x3e)[0]]
        self.sections = {self.string(names[4] + s[0]): s for s in sections}
        self.symbols, self.functions = {}, []
        self.defined, self.undefined = set(), set()     # of the global ones
        self.read_symbols()

    def table(self, at, size_at, count_at, form):
        """The headers that the file's own header says are there."""
        start, = struct.unpack_from("<Q", self.data, at)
        size, = struct.unpack_from("<H", self.data, size_at)
        count, = struct.unpack_from("<H", self.data, count_at)
        return [struct.unpack_from(form, self.data, start + i * size) for i in range(count)]

    def string(self, offset):
        return self.data[offset:self.data.index(b"\0", offset)].decode(errors="replace")

    def read_symbols(self):
        table, strings = self.sections[".symtab"], self.sections[".strtab"]
        source = ""
        for at in range(table[4], table[4] + table[5], 24):
            name, info, _, index, value, size = struct.unpack_from("<IBBHQQ", self.data, at)
            name = self.string(strings[4] + name)
            if info >> 4 and name:
                (self.defined if index else self.undefined).add(name)
            if info & 15 == 4:                          # a file: its local symbols follow
                source = name
            elif index:
                self.symbols.setdefault(name, value)
                if info & 15 == 2:                      # a function
                    self.functions.append((value, size, name, source if info < 16 else ""))
        self.functions.sort()


class Image(Object):
    """One that runs: bytes by address, functions, tests, and where their checks are."""

    def __init__(self, path):
        super().__init__(path)
        self.segments = [(s[3], s[2], s[5]) for s in self.table(0x20, 0x36, 0x38, "<IIQQQQQQ")
                         if s[0] == 1]

    def function(self, addr):
        """(start, size, name, file) of the function that @addr is in."""
        at = bisect.bisect_right(self.functions, addr, key=lambda function: function[0])
        start, size, *more = self.functions[at - 1] if at else NOWHERE
        return (start, size, *more) if addr < start + size else NOWHERE

    def named(self, addr):
        """@addr, for people."""
        start, _, name, _ = self.function(addr)
        return f"{name}+{addr - start:#x} ({addr:#x})" if name else f"{addr:#x}"

    @functools.cached_property
    def syscalls(self):
        """Where SYSCALL's two bytes are. Some may be in the middle of an instruction: no harm."""
        _, _, _, start, offset, size, *_ = self.sections[".text"]
        code = self.data[offset:offset + size]
        return [start + found.start() for found in re.finditer(b"\x0f\x05", code)]

    def offset(self, addr):
        for start, offset, size in self.segments:
            if start <= addr < start + size:
                return offset + addr - start
        raise Strange(f"{addr:#x} is not in the image")

    def read(self, addr, size):
        at = self.offset(addr)
        return self.data[at:at + size]

    @functools.cached_property
    def fixed(self):
        """[(address, bytes)] of what nobody may change: code and read-only data."""
        return [(start, self.data[offset:offset + size])
                for _, kind, flags, start, offset, size, *_ in self.sections.values()
                if kind == 1 and flags & 3 == 2 and start >= PAGE]

    def tests(self):
        """(suite or "", name, function) of each."""
        if "ktap_tests" in self.sections:
            _, _, _, start, _, size, *_ = self.sections["ktap_tests"]
            for at in range(start, start + size, 24):
                name, _, run = struct.unpack("<QQQ", self.read(at, 24))
                yield "", self.string(self.offset(name)), run
            return
        for at in range(self.symbols["__start_ktests"], self.symbols["__stop_ktests"], 24):
            suite, name, run = struct.unpack("<QQQ", self.read(at, 24))
            yield self.string(self.offset(suite)), self.string(self.offset(name)), run

    @functools.cached_property
    def sites(self):
        """address -> (where, left, operator, right) of each check (lib/test_site.h)."""
        found = {}
        _, _, _, _, at, size, *_ = self.sections.get(".test_sites", (0,) * 10)
        end = at + size
        while at < end:
            addr, = struct.unpack_from("<Q", self.data, at)
            text = self.string(at + 8)
            at += 8 + len(text) + 1
            where, left, operator, right = text.split(" ")
            found[addr] = where, left.lstrip("%"), operator, right.lstrip("%")
        return found
