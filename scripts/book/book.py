#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
book.py FOLDER: docs/ as a site of plain files, for any browser, without network or server.

docs/index.md lists the pages in their order; each is Markdown, and three things more:

    {{ kernel/fork.c: kernel_clone }}               source lines, as they are now (excerpt.py)
    {{ picture: preempt-count | what it shows }}    drawn from the code (pictures.py)
    {{ table: labs }}                               the labs, with their steps and points
    ```console                                      commands and their output (tests/host/book.py)

An anchor that has drifted, a page that is not listed and a link to nothing end the build with one
line. Markdown is read by markdown_py, of Debian's package python3-markdown.
"""
import concurrent.futures
import glob
import html
import json
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../build"))

import excerpt                          # noqa: E402
import pictures                         # noqa: E402

DOCS, INDEX = "docs", "index"
TITLE = "The Splat book"
TOOL = ["markdown_py", "-x", "tables", "-x", "footnotes", "-x", "fenced_code", "-x", "toc",
        "-x", "sane_lists",
        "-x", "def_list"]
PLACEHOLDER = re.compile(r"&lt;(TIME|ADDR|OFF|LINE|PID|N)&gt;")


class Wrong(Exception):
    """What is wrong with a page: one line."""


class Page:
    """A file of docs/, and what becomes of it."""

    def __init__(self, name):
        self.name, self.path = name, f"{DOCS}/{name}.md"
        self.figures = []
        with open(self.path, encoding="utf-8") as file:
            self.text = file.read()
        heading = re.match(r"# (.+)\n", self.text)
        if not heading:
            raise Wrong(f"{self.path}:1: it must begin with its title")
        self.title = heading[1].strip()
        self.html, self.sections = "", []

    def wrong(self, number, why):
        return Wrong(f"{self.path}:{number}: {why}")


# --- From Markdown to HTML ---

def table_of_labs():
    rows = []
    for path in sorted(glob.glob("labs/*/lab.json")):
        with open(path, encoding="utf-8") as file:
            lab = json.load(file)
        steps = [f"{html.escape(step['name'])} ({sum(c['points'] for c in step['checks'])})"
                 for step in lab["steps"]]
        rows.append(f"<tr><td>{lab['lab']}</td><td>{html.escape(lab['title'])}</td>"
                    f"<td>{'<br>'.join(steps)}</td></tr>")
    if not rows:
        raise excerpt.Drifted("there are no labs here")
    return ("<table><thead><tr><th>lab</th><th>title</th><th>steps (points)</th></tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>")


def made(inside):
    """The HTML of what stands between double braces."""
    kind, _, rest = (part.strip() for part in inside.partition(":"))
    if kind == "table" and rest == "labs":
        return table_of_labs()
    if kind == "picture":
        name, _, alt = (part.strip() for part in rest.partition("|"))
        if not alt:
            raise excerpt.Drifted("the picture's text is missing")
        return pictures.draw(name, alt)
    return excerpt.as_html(excerpt.find(inside))


def figure(page, number, inside):
    """The same; a lab's tree may lack it, this one not."""
    try:
        return made(inside)
    except (excerpt.Drifted, LookupError, ValueError) as error:
        if excerpt.tree_is_a_labs():
            return f'<p class="gone">Not in this tree: {html.escape(inside)}</p>'
        raise page.wrong(number, f"{{{{ {inside} }}}}: {error}") from None


def with_figures(page):
    """The text, with a paragraph that stands for each figure."""
    lines, fenced = [], False
    for number, line in enumerate(page.text.split("\n"), 1):
        fenced ^= line.startswith("```")
        anchor = None if fenced else re.fullmatch(r"\{\{ (.+) \}\}", line)
        if anchor:
            page.figures.append(figure(page, number, anchor[1]))
            line = f"\nFIGURE{len(page.figures) - 1}HERE\n"
        elif "{{" in line and not fenced and "`{{" not in line:
            raise page.wrong(number, "{{ }} must stand on a line of its own")
        lines.append(line)
    return "\n".join(lines)


def convert(page):
    """Fills in page.html and page.sections."""
    done = subprocess.run(TOOL, input=with_figures(page), capture_output=True, text=True,
                          encoding="utf-8", check=False)
    if done.returncode or done.stderr:
        raise Wrong(f"{page.path}: {TOOL[0]}: {(done.stderr or 'fails').splitlines()[-1]}")
    text = re.sub(r"<p>FIGURE(\d+)HERE</p>", lambda m: page.figures[int(m[1])], done.stdout)
    if excerpt.tree_is_a_labs():        # without what is not for students
        text = re.sub(r'<a href="([\w-]+)\.md[^>]*>(.*?)</a>',
                      lambda m: m[0] if os.path.isfile(f"{DOCS}/{m[1]}.md") else m[2], text)
    text = re.sub(r'href="([\w-]+)\.md(#[\w-]+)?"', r'href="\1.html\2"', text)
    text = PLACEHOLDER.sub(r"<var>\1</var>", text)
    text = text.replace("<table>", '<div class="wide"><table>').replace(
        "</table>", "</table></div>").replace("<pre><code", '<pre tabindex="0"><code')
    page.html = text
    page.sections = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', text)


# --- The site ---

def names():
    """The pages in the order in which the index lists them."""
    with open(f"{DOCS}/{INDEX}.md", encoding="utf-8") as file:
        listed = list(dict.fromkeys(re.findall(r"\]\(([\w-]+)\.md\)", file.read())))
    there = sorted(name[:-3] for name in os.listdir(DOCS) if name.endswith(".md"))
    for name in there:
        if name != INDEX and name not in listed:
            raise Wrong(f"{DOCS}/{name}.md is not listed in {DOCS}/{INDEX}.md")
    for name in listed:
        if name not in there and not excerpt.tree_is_a_labs():
            raise Wrong(f"{DOCS}/{INDEX}.md lists {name}.md, which is not there")
    return [INDEX, *(name for name in listed if name in there)]


def sidebar(pages, page):
    rows = []
    for other in pages:
        here = ' aria-current="page"' if other is page else ""
        rows.append(f'<li><a href="{other.name}.html"{here}>{html.escape(other.title)}</a>')
        if other is page and other.sections:
            rows.append("<ul>" + "".join(f'<li><a href="#{anchor}">{title}</a></li>'
                                         for anchor, title in other.sections) + "</ul>")
        rows.append("</li>")
    return f'<nav class="contents" aria-label="Contents"><ul>{"".join(rows)}</ul></nav>'


def turner(pages, page):
    """Links to the page before and the one after."""
    at = pages.index(page)
    links = []
    for rel, step in (("prev", -1), ("next", 1)):
        if 0 <= at + step < len(pages):
            other = pages[at + step]
            arrow = "&larr; {}" if step < 0 else "{} &rarr;"
            links.append(f'<a rel="{rel}" href="{other.name}.html">'
                         f"{arrow.format(html.escape(other.title))}</a>")
        else:
            links.append("<span></span>")
    return f'<nav class="turn" aria-label="Pages">{"".join(links)}</nav>'


def whole(pages, page):
    title = TITLE if page.name == INDEX else f"{page.title} - {TITLE}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="stylesheet" href="book.css">
</head>
<body>
{sidebar(pages, page)}
<main>
{turner(pages, page)}
{page.html}
{turner(pages, page)}
</main>
</body>
</html>
"""


def check_links(pages):
    """Each link within the book leads somewhere."""
    ids = {page.name: set(re.findall(r'\bid="([^"]+)"', page.html)) for page in pages}
    for page in pages:
        for target in re.findall(r'(?:href|src)="([^"]+)"', page.html):
            if re.match(r"https?://", target):
                continue
            file, _, anchor = target.partition("#")
            name = file.removesuffix(".html") if file else page.name
            if name not in ids and not os.path.isfile(f"{DOCS}/{file}"):
                raise Wrong(f"{page.path}: a link to {target}, which is not there")
            if anchor and anchor not in ids.get(name, ()):
                raise Wrong(f"{page.path}: a link to {target}: there is no such place")


def build(folder):
    pages = [Page(name) for name in names()]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(convert, pages))
    check_links(pages)
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):         # pages that were renamed
        if name.endswith(".html"):
            os.remove(f"{folder}/{name}")
    for page in pages:
        with open(f"{folder}/{page.name}.html", "w", encoding="utf-8") as file:
            file.write(whole(pages, page))
    for name in os.listdir(DOCS):
        if name.endswith((".css", ".png")):
            shutil.copy(f"{DOCS}/{name}", folder)


def main(words):
    if len(words) != 1:
        return "splat: book.py FOLDER"
    try:
        return build(words[0])
    except (Wrong, OSError) as error:
        return f"splat: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
