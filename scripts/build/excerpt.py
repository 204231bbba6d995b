# SPDX-License-Identifier: MIT
"""
Lines of the sources for the book, found by name or by text, never by a typed line number:

    {{ arch/x86/fpu/core/regs.c: switch_fpu_prepare }}                a function, struct or macro
    {{ arch/x86/fpu/core/regs.c: switch_fpu_prepare with comment }}   and the comment above it
    {{ boot/entry32.S: /2. PAE, the tables/ .. /PG, WP, PE/ }}            from a text to another

What is not found, or found twice, is Drifted, in one line. In the tree of a lab students rename and
remove, so what is not found is only noted there.
"""
import html
import os
import re

STARTER_TREE = "lab.json"


class Drifted(Exception):
    """An anchor that no longer fits its source."""


class Excerpt:
    """Lines as (number in the file, text)."""

    def __init__(self, path, lines):
        self.path, self.lines = path, lines

    def where(self):
        first, last = self.lines[0][0], self.lines[-1][0]
        return f"{self.path}, line {first}" if first == last else \
            f"{self.path}, lines {first} to {last}"


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        raise Drifted(f"there is no file {path}") from None


# --- By name ---

def end_of(lines, start, closing):
    for index in range(start, len(lines)):
        if re.match(closing, lines[index]):
            return index
    return len(lines) - 1


def function_body(lines, start):
    """Index of the opening brace of what looks like a function at @start, or None."""
    for index in range(start, min(start + 6, len(lines))):
        text = lines[index]
        if text == "{":
            return index
        if text.rstrip().endswith((";", "}")) or not text:
            return None
    return None


def definitions(lines, name):
    """(first, last) index of each definition of @name."""
    word = re.escape(name)
    call = re.compile(rf"[A-Za-z_].*\b{word}\(")
    block = re.compile(rf"(?:typedef |static |const )*(?:struct|union|enum) [^;=]*\b{word} {{$"
                       rf"|[A-Za-z_].*\b{word}(?:\[[^]]*\])* = {{$")
    for index, text in enumerate(lines):
        if re.match(rf"#define {word}\b", text):
            last = index
            while lines[last].endswith("\\"):
                last += 1
            yield index, last
        elif block.match(text):
            yield index, end_of(lines, index + 1, r"\}")
        elif text.rstrip() == name + ":" or text.startswith(name + ":\t"):      # in assembly
            yield index, end_of(lines, index, r"\s*\.cfi_endproc")
        elif call.match(text) and not text.startswith(("#", "return")) and \
                (brace := function_body(lines, index)) is not None:
            yield index, end_of(lines, brace, r"\}")


def with_comment(lines, first):
    """Index where the comment right above @first begins."""
    if first and lines[first - 1].rstrip().endswith("*/"):
        first -= 1
        while first and "/*" not in lines[first]:
            first -= 1
    return first


def by_name(lines, path, name, comment):
    found = list(definitions(lines, name))
    if len(found) != 1:
        raise Drifted(f'{path} has {len(found) or "no"} definition{"s" * (len(found) > 1)} '
                      f'of "{name}"')
    first, last = found[0]
    return with_comment(lines, first) if comment else first, last


# --- By text ---

def the_line(lines, text, path):
    found = [index for index, line in enumerate(lines) if text in line]
    if len(found) != 1:
        raise Drifted(f'"{text}" stands {len(found)} times in {path}, not once')
    return found[0]


def by_text(lines, path, begin, end):
    first, last = the_line(lines, begin, path), the_line(lines, end, path)
    if last < first:
        raise Drifted(f'in {path}, "{end}" comes before "{begin}"')
    return first, last


def place(lines, path, what):
    """The first and the last index in @lines of what an anchor names behind its colon."""
    if text := re.fullmatch(r"/(.+)/ \.\. /(.+)/", what):
        return by_text(lines, path, text[1], text[2])
    name, comment = re.fullmatch(r"(.*?)( with comment)?", what).groups()
    if not re.fullmatch(r"\w+", name):
        raise Drifted(f'"{what}" is neither a name nor /text/ .. /text/')
    return by_name(lines, path, name, bool(comment))


def find(anchor):
    """The Excerpts that an anchor, the text between the braces, names."""
    path, _, what = (part.strip() for part in anchor.partition(": "))
    lines, excerpts = read(path).rstrip("\n").split("\n"), []
    names = [what] if what.startswith("/") else what.removesuffix(" with comment").split(", ")
    comment = " with comment" * (what.endswith(" with comment") and not what.startswith("/"))
    for name in names:
        first, last = place(lines, path, name + comment)
        excerpts.append(Excerpt(path, list(enumerate(lines, 1))[first:last + 1]))
    return excerpts


def tree_is_a_labs():
    return os.path.exists(STARTER_TREE)


# --- As HTML ---

KEYWORDS = ("auto bool break case char const continue default do double else enum extern for goto "
            "if inline int long return short signed sizeof static struct switch typedef union "
            "unsigned void volatile while u8 u16 u32 u64 size_t pid_t NULL true false").split()
TOKEN = re.compile(r'(?P<comment>/\*.*?(?:\*/|$)|//.*)|(?P<string>"(?:[^"\\]|\\.)*")'
                   r"|(?P<macro>^#\s*\w+)|(?P<word>\b(?:" + "|".join(KEYWORDS) + r")\b)"
                   r"|(?P<directive>^\t\.\w+)|(?P<label>^\w+:)")


def coloured(text, in_comment):
    """(HTML of one line, does a comment go on after it?)"""
    out, at = [], 0

    def put(kind, part):
        part = html.escape(part, quote=False)
        out.append(f'<i class="{kind}">{part}</i>' if kind else part)

    if in_comment:
        at = text.find("*/") + 2 if "*/" in text else len(text)
        put("comment", text[:at])
        in_comment = "*/" not in text
    for token in TOKEN.finditer(text, at):
        put("", text[at:token.start()])
        put(token.lastgroup, token[0])
        at = token.end()
        in_comment = token.lastgroup == "comment" and token[0].startswith("/*") and \
            not token[0].endswith("*/")
    put("", text[at:])
    return "".join(out), in_comment


def as_html(excerpts):
    """Figures: the file and its lines above, each line with its number."""
    parts = []
    for excerpt in excerpts:
        lines, in_comment = [], False
        for number, text in excerpt.lines:
            line, in_comment = coloured(text, in_comment)
            lines.append(f'<span class="line" data-n="{number}">{line}\n</span>')
        parts.append(f'<figure class="source"><figcaption>{html.escape(excerpt.where())}'
                     f'</figcaption><pre tabindex="0"><code>{"".join(lines)}</code></pre></figure>')
    return "".join(parts)
