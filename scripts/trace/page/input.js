// SPDX-License-Identifier: MIT
// What mouse and keyboard do to the timeline, and the details of what they point at.
"use strict";

const CLOSEST = 20;             // instructions in the closest view
const panel = document.getElementById("panel");
let pinned = null, hot = null;  // items
let dragging = null;

// --- Moving ---

function setView(from, to) {
    const low = Math.min(...data.runs.map(run => run.first - shift(run)));
    const high = Math.max(...data.runs.map(run => run.last - shift(run)));
    const span = Math.min(Math.max(to - from, CLOSEST), high - low);

    view.from = Math.min(Math.max(from, low), high - span);
    view.to = view.from + span;
    draw();
}

function zoom(factor, at = (view.from + view.to) / 2) {
    setView(at - (at - view.from) / factor, at + (view.to - at) / factor);
}

function pan(part) {
    const by = (view.to - view.from) * part;

    setView(view.from + by, view.to + by);
}

function choose(wanted) {
    shown.clear();              // only the rows that this view needs
    view.fork = wanted.fork;
    Object.assign(view, { from: wanted.from, to: wanted.to });
    keyRow = -1;
    draw();
    if (pinned)
        describe(pinned);
    else
        show(hot);
}

// --- Details: what is under the mouse, or pinned ---

function describe(item) {
    const lane = data.lanes.find(l => l.id === item.lane);
    const row = lane.rows.find(r => r.id === item.row);
    const start = item.start - shift(item.run), end = endOf(item) - shift(item.run);

    panel.replaceChildren();
    if (item === pinned)
        html("button", "Unpin", panel).addEventListener("click", () => {
            pin(null);
            chart.focus();
        });
    html("h3", item.number ? `Report ${item.number}: ${item.label}` : item.label, panel);
    const task = lane.note ? `${lane.title} (${lane.note})` : lane.title;
    html("p", `${item.run.title}, ${task}: ${row.title}`, panel);
    html("p", isMark(item) ? `at ${count(start)}` : `${count(start)} to ` +
        `${count(end)}, ${count(end - start)} instructions${sharedWith(item)}`, panel);
    if (item.text)
        html("p", item.text, panel);
    if (item.report)
        html("pre", item.report.join("\n"), panel).tabIndex = 0;
}

// How much of an interval other CPUs executed, by the marks in its lane.
function sharedWith(item) {
    const still = item.run.rows.get(rowName(item.lane, "still")) || [];
    const others = item.kind === "still" ? 0 : still.reduce((sum, other) => sum +
        Math.max(0, Math.min(other.end, item.end) - Math.max(other.start, item.start)), 0);

    return others ? `; at least ${count(others)} of them executed by another CPU` : "";
}

// Nothing is pointed at: the first report in view.
function showHelp() {
    const first = data.runs.flatMap(run => run.items).find(i => i.report && inView(i));

    if (first)
        describe(first);
    else
        panel.replaceChildren();
    const help = "Point at anything in the timeline to read what it is; click to keep it here.";
    panel.prepend(html("p", help));
}

function show(item) {
    if (hot)
        hot.node.classList.remove("hot");
    hot = item;
    if (hot)
        hot.node.classList.add("hot");
    if (pinned)
        return;
    if (item)
        describe(item);
    else
        showHelp();
}

function pin(item) {
    if (pinned)
        pinned.node.classList.remove("pinned");
    pinned = item;
    panel.classList.toggle("pinned", Boolean(item));
    if (item) {
        item.node.classList.add("pinned");
        describe(item);
    } else {
        show(hot);
    }
}

// The narrowest item of the row under the point, or the nearest within a few pixels.
function itemAt(x, y) {
    const row = placed.find(r => y >= r.y && y < r.y + ROW);
    let best = null, bestCost = 7;

    for (const item of row ? row.items : []) {
        const left = xOf(item.run, item.start), right = xOf(item.run, endOf(item));
        const off = Math.max(left - x, x - right, 0);
        const cost = off > 0 ? off + 1 : Math.min((right - left) / width, 1);
        if (cost < bestCost && inView(item))
            [best, bestCost] = [item, cost];
    }
    return best;
}

// --- Mouse ---

function pointOf(event) {
    const box = chart.getBoundingClientRect();

    return {
        x: (event.clientX - box.left) * width / box.width,
        y: (event.clientY - box.top) * height / box.height,
    };
}

function onMove(event) {
    const { x, y } = pointOf(event);

    cursorX = x;
    if (dragging && event.buttons === 0)
        dragging = null;        // let go where we could not see it
    if (dragging) {
        const by = (dragging.x - x) / scale();
        dragging.moved = dragging.moved || Math.abs(dragging.x - x) > 4;
        if (dragging.moved)
            setView(dragging.from + by, dragging.to + by);
        return;
    }
    drawCursor();
    show(itemAt(x, y));
}

function onUp(event) {
    const { x, y } = pointOf(event);

    if (dragging && !dragging.moved)
        pin(itemAt(x, y));
    dragging = null;
}

function onWheel(event) {
    if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoom(event.deltaY < 0 ? 1.25 : 0.8, timeAt(pointOf(event).x));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        pan(Math.sign(event.deltaX || event.deltaY) / 12);
    }
}

// --- Keyboard ---

function chooseRow(by) {
    keyRow = Math.min(Math.max(keyRow + by, 0), placed.length - 1);
    drawRowCursor();
    chooseItem(0);
}

// The item after or before the one shown (@by: 1, -1), or the first in view (0).
function chooseItem(by) {
    const row = placed[Math.max(keyRow, 0)], at = row.items.indexOf(hot);
    const item = at >= 0 && by ? row.items[at + by] : row.items.find(i => inView(i));

    if (!item)
        return;
    if (!inView(item)) {
        const middle = item.start - shift(row.run), span = view.to - view.from;
        setView(middle - span / 2, middle + span / 2);
        keyRow = placed.findIndex(r => r.items.includes(item));
        drawRowCursor();
    }
    show(item);
    if (pinned)
        pin(item);
}

const KEYS = {
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5),
    ArrowLeft: () => pan(-0.1), ArrowRight: () => pan(0.1),
    Home: () => choose(data.views.at(-1)),
    ArrowUp: () => chooseRow(-1), ArrowDown: () => chooseRow(1),
    n: () => chooseItem(1), p: () => chooseItem(-1),
    Enter: () => pin(hot), Escape: () => pin(null),
};

function onKey(event) {
    const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];

    if (!action || event.ctrlKey || event.altKey || event.metaKey)
        return;
    event.preventDefault();
    action();
}

