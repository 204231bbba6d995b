#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
rules.py PLAN STARTERS FOLDER FILE...: may these files of a student's be built into a kernel that is
graded?

Run in a tree, whose headers they include. FOLDER has the files, and STARTERS has them as handed
out; PLAN is lab.json. What is in a file is taken from clang's tokens and its syntax tree, not from
the text.

A student's file is C that does the lab's work. It names what the starter and the solution name,
what the headers offer that the starter includes (but no way to the machine's own registers and
tables), its own definitions, members of any struct, any type, and what is harmless (COMMON). It
does not say how the machine's code is laid out: no assembly, no attributes, no pragmas. It makes no
pointer out of a number, as far as clang sees it. What is built is what clang sees: conditions ask
for the file's own macros only. Each line printed is "FILE:LINE: why not"; exit status 1 if there is
one.
"""
import ctypes
import json
import os
import re
import sys

sys.path.append("/usr/lib/python3/dist-packages")       # if this python3 is not the system's

try:
    from clang import cindex
    from clang.cindex import CursorKind, TokenKind, TypeKind
except ImportError:
    cindex = None

FLAGS = ("-std=gnu11 -ffreestanding -fno-pic -mcmodel=kernel -mgeneral-regs-only -I. "
         "-Ibuild/include -Wno-everything -Werror=int-conversion "
         "-Werror=incompatible-pointer-types").split()
# Harmless, and of use to somebody who looks for a mistake.
COMMON = set("""
    pr_emerg pr_err pr_warn pr_notice pr_info printk WARN WARN_ON WARN_ONCE
    WARN_ON_ONCE BUG BUG_ON _Static_assert dump_stack panic might_sleep
    likely unlikely READ_ONCE WRITE_ONCE barrier min max swap ARRAY_SIZE offsetof
    container_of BIT BIT_ULL ALIGN_DOWN
    NULL true false bool __unused noinline __always_inline inline __noreturn
    memcpy memset memmove memcmp memchr_inv strcmp strlen
    list_empty list_add list_add_tail list_del list_del_init list_first_entry list_for_each_entry
    list_for_each_entry_safe INIT_LIST_HEAD
    current smp_processor_id preempt_count in_atomic in_hardirq irqs_disabled preempt_rt cpu_relax
    preempt_disable preempt_enable local_irq_save local_irq_restore
    assert_held assert_preempt_off assert_irqs_off jiffies nr_cpus
    ENOMEM EINVAL EFAULT EAGAIN EPERM ENOENT EOPNOTSUPP EINTR ENOSYS EDEADLK EBUSY
    __func__ __FILE__ __LINE__ __builtin_expect __builtin_offsetof
    __builtin_types_compatible_p __builtin_choose_expr __builtin_constant_p __builtin_popcountll
    __builtin_ctzll __builtin_clzll __VA_ARGS__
""".split())
# Headers that offer ways to the machine, to the tests, and to what boots are told: none of their
# names is for everybody who includes them.
NOT_FOR_ALL = ("arch/x86/cpu/", "arch/x86/mm/", "arch/x86/entry/", "kernel/splat/",
               "kernel/mm/pages", "kernel/report/panic", "kernel/vm/", "lib/options",
               "lib/test_site", "tests/")
INNER = () if not cindex else (
    CursorKind.PARM_DECL, CursorKind.LABEL_STMT, CursorKind.FIELD_DECL, CursorKind.TYPEDEF_DECL,
    CursorKind.STRUCT_DECL, CursorKind.ENUM_DECL, CursorKind.VAR_DECL)
DIRECTIVES = set("define undef if ifdef ifndef elif else endif error warning include".split())
LAYOUT = {"asm": "assembly", "__asm": "assembly", "__asm__": "assembly",
          "__attribute__": "an attribute", "__attribute": "an attribute",
          "__declspec": "an attribute", "_Pragma": "a pragma", "__label__": "a local label",
          "__has_include": "__has_include", "__has_embed": "__has_embed",
          "__has_include_next": "__has_include"}


class Unreadable(Exception):
    """The rules cannot be applied, for a reason that is not the student's: one line."""


class File:
    """One student's file, as clang reads it."""

    def __init__(self, path, allowed, casts, conditions=frozenset()):
        self.path, self.allowed, self.casts = path, allowed, casts
        self.conditions = conditions            # that the starter has
        self.wrong = {}                         # line -> why
        self.unit = cindex.Index.create().parse(
            path, args=FLAGS,
            options=cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
        root = self.unit.cursor
        self.handle = ctypes.cast(self.unit.get_file(path).obj, ctypes.c_void_p).value
        whole = cindex.SourceRange.from_locations(
            cindex.SourceLocation.from_offset(self.unit, self.unit.get_file(path), 0),
            cindex.SourceLocation.from_offset(self.unit, self.unit.get_file(path),
                                              os.path.getsize(path)))
        self.tokens = [t for t in self.unit.get_tokens(extent=whole)
                       if t.kind != TokenKind.COMMENT]
        self.at = {token.extent.start.offset: n for n, token in enumerate(self.tokens)}
        self.cursors = [c for top in root.get_children() if self.mine(top)
                        for c in top.walk_preorder()]
        self.macros = {c.spelling for c in self.cursors if c.kind == CursorKind.MACRO_DEFINITION}
        self.own = self.macros | set(self.definitions())
        self.known = {c.spelling for c in root.get_children()
                      if c.kind == CursorKind.MACRO_DEFINITION and not self.mine(c)}
        self.members = {c.spelling for c in self.cursors if c.kind in INNER} - self.foreign(root)

    def mine(self, cursor):
        return cursor.location.file is not None and cursor.location.file.name == self.path

    def refuse(self, line, why):
        """One reason for a line is enough."""
        self.wrong.setdefault(line, why)

    def definitions(self):
        """Functions, variables and numbers of the file's own."""
        for cursor in self.cursors:
            if self.is_own(cursor):
                yield cursor.spelling

    def is_own(self, cursor):
        """Is this declaration the file's own thing, and no other's that it only names?"""
        return self.mine(cursor) and (
            cursor.kind == CursorKind.ENUM_CONSTANT_DECL or
            cursor.kind in (CursorKind.FUNCTION_DECL, CursorKind.VAR_DECL) and
            (cursor.is_definition() or cursor.storage_class == cindex.StorageClass.STATIC))

    def foreign(self, root):
        """What headers call something: no member and no type of the file's own makes it its."""
        return {c.spelling for c in root.get_children() if not self.mine(c)}

    def may_name(self, name):
        return name in self.allowed or name in self.own or name in COMMON

    # --- Tokens: directives, and words that lay things out ---

    def read_tokens(self):
        last_line, directive = 0, []
        for before, token in zip([None, *self.tokens], self.tokens):
            start, end = token.extent.start, token.extent.end
            if start.line != end.line:
                self.refuse(start.line, "a word that goes over two lines")
            if token.spelling == "#" and start.line != last_line:
                directive = []
            elif directive is not None and before is not None and before.spelling == "#" and \
                    before.extent.start.line == start.line and self.first_on_line(before):
                self.read_directive(token)
            if token.spelling in LAYOUT:
                self.refuse(start.line, f"{LAYOUT[token.spelling]} ({token.spelling})")
            if token.spelling in ("##", "%:%:", "%:", "<:"):
                self.refuse(start.line, "a name that is put together (##)"
                            if token.spelling == "##" else f"{token.spelling}: write it plainly")
            if token.spelling == "[" and before is not None and before.spelling == "[" and \
                    before.extent.end.offset == start.offset:
                self.refuse(start.line, "an attribute ([[)")
            last_line = end.line

    def first_on_line(self, token):
        at = self.tokens.index(token) if token in self.tokens else 0
        return at == 0 or self.tokens[at - 1].extent.end.line != token.extent.start.line

    def read_directive(self, token):
        line, name = token.extent.start.line, token.spelling
        rest = [t for t in self.tokens if t.extent.start.line == line]
        rest = rest[[t.extent.start.offset for t in rest].index(token.extent.start.offset) + 1:]
        if name not in DIRECTIVES:
            self.refuse(line, f"#{name}")
        elif name == "include":
            self.read_include(line, "".join(t.spelling for t in rest))
        elif name == "undef" and rest and rest[0].spelling not in self.macros:
            self.refuse(line, f"#undef {rest[0].spelling}, which is not yours")
        elif name in ("if", "ifdef", "ifndef", "elif"):
            self.read_condition(line, rest)

    def read_condition(self, line, rest):
        """gcc and clang define different things themselves: both must see the same code."""
        for token in rest:
            word = token.spelling
            nobodys = word[:1].isalpha() and word not in self.known | {"unix", "linux"}
            if word != "defined" and re.match(r"[A-Za-z_]", word) and not nobodys and \
                    word not in self.macros | self.conditions:
                self.refuse(line, f"a condition on {word}, which is no macro of yours")

    def read_include(self, line, what):
        found = re.fullmatch(r'"([\w./-]+\.h)"', what)
        if not found or not os.path.isfile(found[1]) or ".." in found[1].split("/") or \
                os.path.isabs(found[1]):
            self.refuse(line, f"#include {what}: only headers of the tree, by their path")
        elif found[1].startswith("tests/"):
            self.refuse(line, f"#include {what}: the tests' own")

    # --- The syntax tree ---

    def spelled_here(self, location):
        """
        (line, number of the word there) if it stands in this file: where a macro's argument does,
        or, for what comes from a macro itself, the macro's name.
        """
        file, line, column, offset = (ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_uint(),
                                      ctypes.c_uint())
        cindex.conf.lib.clang_getSpellingLocation(location, ctypes.byref(file), ctypes.byref(line),
                                                  ctypes.byref(column), ctypes.byref(offset))
        if file.value != self.handle:
            return 0, -1
        return line.value, self.at.get(offset.value, -1)

    def read_tree(self):
        for cursor in self.cursors:
            kind, (line, at) = cursor.kind, self.spelled_here(cursor.extent.start)
            word = self.tokens[at].spelling if at >= 0 else ""
            if kind == CursorKind.MACRO_INSTANTIATION:
                self.read_name(cursor, line, word)
            elif kind == CursorKind.MACRO_DEFINITION:
                self.read_macro(cursor)
            elif kind == CursorKind.DECL_REF_EXPR and not self.is_local(cursor):
                self.read_reference(cursor, line, word)
            elif kind == CursorKind.CALL_EXPR and line:
                self.read_call(cursor, line)
            elif kind == CursorKind.CSTYLE_CAST_EXPR and word == "(":
                self.read_cast(cursor, line, at)
            elif kind == CursorKind.UNION_DECL and line:
                self.refuse(line, "a union: a pointer could be made of a number")
            elif kind in (CursorKind.ADDR_LABEL_EXPR, CursorKind.INDIRECT_GOTO_STMT) and line:
                self.refuse(line, "the address of a label")

    def read_name(self, cursor, line, word):
        """A macro's."""
        if word == cursor.spelling and word not in self.macros | self.allowed | COMMON:
            self.refuse(line, f"{word} is not for this lab")

    def read_reference(self, cursor, line, word):
        """By what it stands for: a name of the file's own may be another's at the same time."""
        target = cursor.referenced
        if word == cursor.spelling and not (target is not None and self.is_own(target)) and \
                word not in self.allowed | COMMON:
            self.refuse(line, f"{word} is not for this lab")

    def read_call(self, cursor, line):
        """Code is called by its name, or by a member or a parameter that somebody else filled."""
        callee = cursor.referenced
        if callee is not None and callee.kind == CursorKind.VAR_DECL and self.mine(callee):
            self.refuse(line, "a call through a pointer of your own")
        if callee is not None and callee.spelling in ("memcpy", "memmove", "memset"):
            for argument in cursor.get_arguments():
                if any(self.points_to_pointer(one) for one in argument.walk_preorder()
                       if one.kind != CursorKind.UNEXPOSED_EXPR):
                    self.refuse(line, "a pointer copied as bytes")

    @staticmethod
    def points_to_pointer(cursor):
        kind = cursor.type.get_canonical()
        return kind.kind == TypeKind.POINTER and \
            kind.get_pointee().get_canonical().kind == TypeKind.POINTER

    @staticmethod
    def is_local(cursor):
        target = cursor.referenced
        return target is not None and target.kind in (CursorKind.PARM_DECL, CursorKind.VAR_DECL) \
            and target.semantic_parent.kind == CursorKind.FUNCTION_DECL and \
            target.storage_class != cindex.StorageClass.EXTERN

    def read_macro(self, cursor):
        """Its body may never be used as it stands; what it names must be allowed all the same."""
        body = list(cursor.get_tokens())[1:]
        closing = next((i for i, token in enumerate(body) if token.spelling == ")"), 0)
        names = {token.spelling for token in body[:closing]} if body and \
            body[0].spelling == "(" else set()
        for before, token in zip([None, *body], body):
            if before is not None and before.spelling in (".", "->"):
                continue
            if token.kind == TokenKind.IDENTIFIER and token.spelling not in names and \
                    not self.may_name(token.spelling) and token.spelling not in self.members:
                self.refuse(token.extent.start.line, f"{token.spelling} is not for this lab")
        for one, two in zip(body, body[1:]):
            if (one.spelling, two.spelling) == ("*", ")"):
                self.refuse(one.extent.start.line, "a cast to a pointer, in a macro")

    def read_cast(self, cursor, line, at):
        to = cursor.type.get_canonical()
        operand = list(cursor.get_children())[-1]
        of = operand.type.get_canonical()
        if to.kind != TypeKind.POINTER:
            return
        if of.kind not in (TypeKind.POINTER, TypeKind.CONSTANTARRAY, TypeKind.INCOMPLETEARRAY):
            text = "".join(token.spelling for token in self.tokens[at:at + 8])
            if not CAST.match(text) or CAST.match(text)[0] not in self.casts:
                self.refuse(line, "a pointer made of a number")
        elif to.get_pointee().kind in (TypeKind.FUNCTIONPROTO, TypeKind.FUNCTIONNOPROTO):
            self.refuse(line, "a function's address made of another pointer")
        elif self.points_to_pointer(cursor) != self.points_to_pointer(operand) and \
                of.get_pointee().get_canonical().kind != TypeKind.VOID and \
                to.get_pointee().get_canonical().kind != TypeKind.VOID:
            self.refuse(line, "a pointer's bytes as something else")
        elif self.tokens[at + 1:] and "NULL" in [token.spelling for token in self.tokens[
                at:at + 8 if at >= 0 else 0]][2:6] and self.is_null(operand):
            self.refuse(line, "a pointer made of NULL")

    @staticmethod
    def is_null(operand):
        """The macro's own cast is what it comes to."""
        inner = [operand, *operand.walk_preorder()]
        return any(one.kind == CursorKind.INTEGER_LITERAL for one in inner) and not any(
            one.kind == CursorKind.DECL_REF_EXPR for one in inner)

    def read(self):
        self.read_tokens()
        self.read_tree()
        for said in self.unit.diagnostics:
            if said.severity >= cindex.Diagnostic.Error and said.location.file and \
                    said.location.file.name == self.path:
                self.refuse(said.location.line, said.spelling)
        return [(line, why) for line, why in sorted(self.wrong.items())]


CAST = re.compile(r"\((const|struct)*\w+\*+\)\w+")


def code_of(text):
    """C without comments and strings."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"', " ", text, flags=re.S)


def words_in(text):
    return set(re.findall(r"[A-Za-z_]\w*", code_of(text)))


def casts_in(text):
    """What looks like a pointer that is made of something: those of the lab's own are allowed."""
    return {found[0] for found in CAST.finditer(re.sub(r"\s", "", code_of(text)))}


def offered(path):
    """What the headers offer that the file @path includes itself."""
    with open(path, encoding="utf-8") as file:
        own = set(re.findall(r'^#include "([^"]+)"', file.read(), re.M))
    own = {header for header in own if not header.startswith(NOT_FOR_ALL)}
    unit = cindex.Index.create().parse(
        path, args=FLAGS, options=cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
    found = set()
    for top in unit.cursor.get_children():
        file = top.location.file
        if file is not None and os.path.normpath(file.name) in own:
            for one in [top, *(top.get_children() if top.kind == CursorKind.ENUM_DECL else ())]:
                if one.kind in (CursorKind.FUNCTION_DECL, CursorKind.VAR_DECL,
                                CursorKind.ENUM_CONSTANT_DECL, CursorKind.MACRO_DEFINITION):
                    found.add(one.spelling)
    return {name for name in found if re.fullmatch(r"[A-Za-z_]\w*", name)}


def expect_text(path, name):
    """["FILE:LINE: why not"], if it is no text; clang would not say where."""
    with open(path, "rb") as file:
        for number, line in enumerate(file.read().split(b"\n"), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return [f"{name}:{number}: a byte that is not UTF-8"]
    return []


def refusals(plan, starters, folder, name):
    """["FILE:LINE: why not"] for one file."""
    if not cindex:
        raise Unreadable("no clang for Python; 'scripts/deps.sh libclang' installs it")
    path = os.path.join(folder, name)
    if wrong := expect_text(path, name):
        return wrong
    with open(os.path.join(starters, name), encoding="utf-8") as file:
        starter = file.read()
    allowed = (words_in(starter) | set(plan["names"])) - set(LAYOUT)
    conditions = set(re.findall(r"\w+", " ".join(re.findall(r"^#(?:el)?if(.*)", starter, re.M))))
    try:
        file = File(path, allowed, casts_in(starter) | set(plan["casts"]), conditions)
    except cindex.TranslationUnitLoadError:
        raise Unreadable(f"libclang cannot read {path}") from None
    return [f"{name}:{line}: {why}" for line, why in file.read()]


def main(plan, starters, folder, *names):
    with open(plan, encoding="utf-8") as file:
        plan = json.load(file)
    try:
        wrong = [line for name in names for line in refusals(plan, starters, folder, name)]
    except Unreadable as error:
        print(f"splat: {error}", file=sys.stderr)
        return 2
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
