# SPDX-License-Identifier: MIT
"""
A little SVG, to stand inside of a page: its colours are the page's, so that light and dark both
work (docs/book.css names them). Coordinates are pixels of a page 760 wide.
"""
import html

WIDTH = 760


class Picture:
    def __init__(self, alt, height, width=WIDTH):
        self.alt, self.width, self.height, self.parts = alt, width, height, []

    def box(self, x, y, width, height, kind="plain", round_by=4):
        self.parts.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" '
                          f'height="{height:g}" rx="{round_by}"/>')

    def text(self, x, y, text, kind="", anchor="start"):
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">'
                          f"{html.escape(str(text), quote=False)}</text>")

    def lines(self, x, y, texts, kind="", anchor="start", step=17):
        for number, text in enumerate(texts):
            self.text(x, y + number * step, text, kind, anchor)

    def labelled(self, x, y, width, height, texts, kind="plain", text_kind=""):
        """A box with lines of text in its middle."""
        self.box(x, y, width, height, kind)
        texts = [texts] if isinstance(texts, str) else texts
        self.lines(x + width / 2, y + height / 2 + 5 - 8.5 * (len(texts) - 1), texts, text_kind,
                   "middle")

    def line(self, points, kind="stroke"):
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.parts.append(f'<polyline class="{kind}" points="{path}"/>')

    def arrow(self, points, kind="stroke"):
        """A line with a head at its end, which points along its last part."""
        self.line(points, kind)
        (x0, y0), (x, y) = points[-2:]
        length = ((x - x0) ** 2 + (y - y0) ** 2) ** .5 or 1
        dx, dy = (x - x0) / length, (y - y0) / length
        self.parts.append(
            f'<polygon class="{kind} head" points="{x:g},{y:g} '
            f'{x - 9 * dx - 4 * dy:g},{y - 9 * dy + 4 * dx:g} '
            f'{x - 9 * dx + 4 * dy:g},{y - 9 * dy - 4 * dx:g}"/>')

    def html(self):
        alt = html.escape(self.alt)
        return (f'<figure class="picture"><svg role="img" aria-label="{alt}" '
                f'viewBox="0 0 {self.width} {self.height}" '
                f'style="max-width:{self.width}px"><title>{alt}</title>'
                f'{"".join(self.parts)}</svg><figcaption>{alt}</figcaption></figure>')
