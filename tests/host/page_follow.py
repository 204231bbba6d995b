# SPDX-License-Identifier: MIT
"""
What on the timeline's page must follow when something else changes: the cursor's label, the view;
what a bar says, the other CPU's turns. See host_page.py.
"""
from host import expect, test
from host.page import PAGE, browser, expect_silence, point_at


@test("page-cursor", check=False)
def page_cursor():
    """The cursor stays under the mouse when the view changes below it: its label says the new."""
    with browser() as page:
        page.open(PAGE)
        x, y = point_at(page, ".item.fpregs[data-run=buggy]:not([display=none])")
        told = set()
        for key, *code in (None,), ("Home", 36), ("+", 187, "+"), ("ArrowRight", 39):
            if key:
                page.evaluate("chart.focus()")
                page.key(key, *code)
            page.settle()
            due, text, at = page.evaluate(f"""(() => {{
                const box = chart.getBoundingClientRect();
                const x = ({x} - box.left) * width / box.width;
                return [count(timeAt(x)), document.getElementById("cursor-time").textContent,
                        Math.abs(document.getElementById("cursor").getAttribute("x1") - x) < 1];
            }})()""")
            expect(text == due and at, f"after {key}: {due} is due, the cursor says {text}")
            told.add(text)
        expect(len(told) == 4, f"the cursor says only {told}")
        expect_silence(page)


@test("page-turns", check=False)
def page_turns():
    """What another CPU's turn is part of says so, in instructions; and the page says why."""
    with browser() as page:
        page.open(PAGE)
        expect("in turn" in page.evaluate("document.querySelector('header').textContent"),
               "the page does not say that the CPUs take turns")
        for lane in "cpu1", "cpu0":
            # The longest bar of that CPU, and what of it is another's by the marks in its lane.
            start, end, others = page.evaluate(f"""(() => {{
                const rows = data.runs[0].rows, all = rows.get("{lane}/runs");
                const bar = all.reduce((a, b) => a.end - a.start > b.end - b.start ? a : b);
                pin(bar);
                return [bar.start, bar.end, rows.get("{lane}/still").reduce((sum, i) => sum +
                    Math.max(0, Math.min(i.end, bar.end) - Math.max(i.start, bar.start)), 0)];
            }})()""")
            text = page.evaluate("panel.textContent")
            expect(0 < others < end - start, f"{lane}: {others} of {end - start} are another's")
            expect(f"at least {others:,} of them executed by another CPU" in text,
                   f"{lane}: {others:,} are another CPU's; the page says: {text[:300]}")
        page.evaluate("pin(null)")
        expect_silence(page)
