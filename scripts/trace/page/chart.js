// SPDX-License-Identifier: MIT
// The timeline: draws what tracepage.py has found. A view is a span of instructions since a fork
// was entered; each run is shifted so that this fork is at 0 in both. A row appears when the view
// reaches something in it.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const LEFT = 208, RIGHT = 14, AXIS = 24, ROW = 16, LANE_GAP = 5, TITLE = 26, RUN_GAP = 10;
const CHAR = 6.6;               // a character's width, about

const chart = document.getElementById("chart");
const view = { from: 0, to: 1, fork: 0 };
const shown = new Set();        // rows that have appeared: "lane/row"
let width = 1000, height = 0;
let placed = [];                // rows in the chart, from the top
let keyRow = -1;                // the one chosen by keyboard
let cursorX = -1;               // where the mouse is

// --- Small helpers ---

function make(name, attributes, parent, text) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    setAll(node, attributes);
    if (text !== undefined)
        node.textContent = text;
    if (parent)
        parent.append(node);
    return node;
}

function setAll(node, attributes) {
    for (const [key, value] of Object.entries(attributes))
        node.setAttribute(key, value);
}

function html(name, text, parent) {
    const node = document.createElement(name);
    if (text !== undefined)
        node.textContent = text;
    if (parent)
        parent.append(node);
    return node;
}

const count = number => Math.round(number).toLocaleString("en-US").replace("-", "\u2212");
const plotWidth = () => width - LEFT - RIGHT;
const scale = () => plotWidth() / (view.to - view.from);
const shift = run => run.forks[view.fork].at;
const xOf = (run, time) => LEFT + (time - shift(run) - view.from) * scale();
const timeAt = x => view.from + (x - LEFT) / scale();
const isMark = item => item.end === undefined;
const endOf = item => isMark(item) ? item.start : item.end;
const rowName = (lane, row) => `${lane}/${row}`;

function inView(item) {
    const from = view.from + shift(item.run), to = view.to + shift(item.run);

    return endOf(item) >= from && item.start <= to;
}

// --- What stands where ---

// Rows that have something to show, in both runs the same. Returns whether there are new ones.
function discoverRows() {
    const before = shown.size;

    for (const run of data.runs)
        for (const item of run.items)
            if (inView(item))
                shown.add(rowName(item.lane, item.row));
    return shown.size > before;
}

function placeLane(run, lane, rows, y, labels) {
    make("line", { class: "rule", x1: 0, x2: width, y1: y, y2: y }, labels);
    make("text", { class: "lane", x: 8, y: y + 13 }, labels, lane.title);
    if (rows.length > 1)
        make("text", { class: "note", x: 8, y: y + 13 + ROW }, labels, lane.note);
    for (const row of rows) {
        const name = rowName(lane.id, row.id);
        const at = { class: "name", x: LEFT - 8, y: y + LANE_GAP / 2 + 12, "text-anchor": "end" };
        make("text", at, labels, row.title);
        placed.push({ run, name, y: y + LANE_GAP / 2, items: run.rows.get(name) || [] });
        y += ROW;
    }
    return y + LANE_GAP;
}

function layOut() {
    const labels = document.getElementById("labels");
    let y = AXIS;

    labels.replaceChildren();
    placed = [];
    for (const run of data.runs) {
        make("text", { class: "title", x: 8, y: y + 17 }, labels, run.title);
        make("text", { class: "note", x: 68, y: y + 17 }, labels, run.note);
        y += TITLE;
        run.top = y;
        for (const lane of data.lanes) {
            const rows = lane.rows.filter(row => shown.has(rowName(lane.id, row.id)));
            if (rows.length > 0)
                y = placeLane(run, lane, rows, y, labels);
        }
        run.bottom = y;
        y += RUN_GAP;
    }
    height = y + AXIS - RUN_GAP;
    for (const run of data.runs)
        for (const group of run.groups.values())
            group.setAttribute("display", "none");
    for (const row of placed)
        if (row.run.groups.has(row.name))
            setAll(row.run.groups.get(row.name),
                   { display: "inline", transform: `translate(0 ${row.y})` });
    setAll(chart, { viewBox: `0 0 ${width} ${height}` });
    setAll(document.querySelector("#plot rect"), { x: LEFT, y: 0, width: plotWidth(), height });
}

// --- The nodes: one group an item, made once ---

const SHAPES = {
    splat: "M0 0 L9 15 L-9 15 Z", step: "M-4 3 L4 3 L0 13 Z", save: "M-5 4 L5 4 L0 13 Z",
    restore: "M-5 12 L5 12 L0 3 Z", irq: "M-1 1 h2 v14 h-2 Z",
};

function makeItem(item, parent) {
    const node = make("g", { class: `item ${item.kind}${isMark(item) ? " mark" : ""}` }, parent);
    const { lane, row, kind, start, end, label } = item;

    Object.assign(node.dataset, { run: item.run.name, lane, row, kind, start, label });
    if (!isMark(item)) {
        node.dataset.end = end;
        item.bar = make("rect", { y: 1, height: ROW - 2, rx: 1.5 }, node);
    } else {
        if (kind === "splat")
            item.line = make("line", {}, node);
        make("path", { d: SHAPES[kind] }, node);
        if (kind === "splat")
            make("text", { class: "bang", x: 0, y: 13.5, "text-anchor": "middle" }, node, "!");
    }
    item.words = make("text", { y: 12 }, node);
    item.node = node;
}

// What is hatched is so in two colours: of the page, or of memory, and its own.
function makePatterns(defs) {
    for (const name of ["wait", "both", "places", "still"]) {
        const pattern = make("pattern", { id: `hatch-${name}`, width: 6, height: 6,
            patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, defs);
        make("rect", { class: `ground-${name}`, width: 6, height: 6 }, pattern);
        const across = { x1: 0, x2: 0, y1: 0, y2: 6, "stroke-width": 6 };
        make("line", { class: `line-${name}`, ...across }, pattern);
    }
    make("rect", {}, make("clipPath", { id: "plot" }, defs));
}

function makeNodes() {
    makePatterns(make("defs", {}, chart));
    make("g", { id: "grid" }, chart);
    make("g", { id: "labels" }, chart);
    const plot = make("g", { "clip-path": "url(#plot)" }, chart);
    for (const run of data.runs) {
        const marks = new Map();
        run.rows = new Map();
        run.groups = new Map();
        for (const item of run.items) {
            const name = rowName(item.lane, item.row);
            if (!run.rows.has(name)) {
                run.rows.set(name, []);
                run.groups.set(name, make("g", {}, plot));
            }
            run.rows.get(name).push(item);
            item.run = run;
            makeItem(item, run.groups.get(name));
            if (isMark(item)) {
                if (marks.has(name))
                    marks.get(name).next = item;
                marks.set(name, item);
            }
        }
    }
    make("rect", { id: "row-cursor", x: LEFT, height: ROW, display: "none" }, chart);
    make("line", { id: "cursor", display: "none" }, chart);
    make("text", { id: "cursor-time", class: "tick", display: "none" }, chart);
}

// --- Drawing a view ---

function drawGrid() {
    const grid = document.getElementById("grid");
    const rough = (view.to - view.from) / Math.max(2, plotWidth() / 110);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].map(n => n * power).find(n => n >= rough));

    grid.replaceChildren();
    placed.forEach((row, index) => {
        const box = { x: LEFT, y: row.y, width: plotWidth(), height: ROW };
        if (index % 2)
            make("rect", { class: "stripe", ...box }, grid);
    });
    for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
        const x = LEFT + (t - view.from) * scale();
        make("line", { class: t === 0 ? "enter" : "line", x1: x, x2: x, y1: AXIS - 6,
            y2: height - AXIS + 6 }, grid);
        for (const y of [AXIS - 10, height - AXIS + 17])
            make("text", { class: "tick", x, y, "text-anchor": "middle" }, grid,
                 t === 0 ? "fork() entered" : count(t));
    }
    make("text", { class: "tick", x: 8, y: AXIS - 10 }, grid, "instructions since fork()");
}

function fit(text, room) {
    const letters = Math.floor(room / CHAR);

    if (text.length <= letters)
        return text;
    return letters > 5 ? text.slice(0, letters - 1) + "\u2026" : "";
}

// A bar's label is inside it, as much as fits.
function drawBar(item) {
    const left = Math.max(xOf(item.run, item.start), LEFT - 5);
    const right = Math.min(xOf(item.run, item.end), width);
    const inside = Math.max(left, LEFT);

    setAll(item.bar, { x: left, width: Math.max(right - left, 1) });
    item.words.setAttribute("x", inside + 4);
    item.words.textContent = fit(item.label, right - inside - 8);
}

// A mark's is beside it, up to the next mark; in the FPU's row a bar has its own there.
function drawMark(item, row) {
    const x = xOf(item.run, item.start), gap = item.kind === "splat" ? 12 : 6;
    const next = item.next ? xOf(item.run, item.next.start) - gap : width;
    const text = item.number ? `${item.number}. ${item.label}` : item.label;

    item.node.setAttribute("transform", `translate(${x} 0)`);
    item.words.setAttribute("x", gap);
    item.words.textContent = item.row === "fpu" ? "" :
        fit(text, Math.min(next, width - RIGHT) - x - gap);
    if (item.line)
        setAll(item.line, { y1: item.run.top - row.y, y2: item.run.bottom - row.y });
}

function drawRowCursor() {
    const row = placed[keyRow];

    setAll(document.getElementById("row-cursor"),
           { display: row ? "inline" : "none", width: plotWidth(), y: row ? row.y : 0 });
}

function drawCursor() {
    const x = cursorX, text = document.getElementById("cursor-time");
    const display = x >= LEFT && x <= width - RIGHT ? "inline" : "none";

    setAll(document.getElementById("cursor"),
           { display, x1: x, x2: x, y1: AXIS - 4, y2: height - AXIS });
    setAll(text, { display, x: x + 4, y: AXIS + 8 });
    text.textContent = count(timeAt(x));
}

function draw() {
    if (discoverRows())
        layOut();
    drawGrid();
    for (const row of placed)
        for (const item of row.items) {
            const visible = inView(item);
            item.node.setAttribute("display", visible ? "inline" : "none");
            if (visible && item.bar)
                drawBar(item);
            else if (visible)
                drawMark(item, row);
        }
    drawRowCursor();
    drawCursor();
    document.getElementById("range").textContent =
        `${count(view.from)} to ${count(view.to)}, ${count(view.to - view.from)} instructions`;
    const { from, to, fork } = view;
    Object.assign(chart.dataset, { from: Math.round(from), to: Math.round(to), fork });
    for (const button of document.querySelectorAll("#views [data-view]")) {
        const its = data.views[button.dataset.view];
        const pressed = its.fork === fork && its.from === from && its.to === to;
        button.setAttribute("aria-pressed", pressed);
    }
}
