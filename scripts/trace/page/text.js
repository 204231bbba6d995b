// SPDX-License-Identifier: MIT
// Around the timeline: buttons, legend, reports, and the same events as text.
"use strict";

function makeViews() {
    const nav = document.getElementById("views");
    let group = null, name = null;

    data.views.forEach((wanted, index) => {
        if (wanted.group !== name) {
            group = html("span", undefined, nav);
            name = wanted.group;
            html("b", name, group);
        }
        const button = html("button", wanted.label, group);
        button.dataset.view = index;
        button.addEventListener("click", () => choose(wanted));
    });
    group = html("span", undefined, nav);
    for (const [text, label, action] of [
        ["\u2212", "zoom out", () => zoom(1 / 1.5)], ["+", "zoom in", () => zoom(1.5)],
        ["\u2190", "pan left", () => pan(-0.2)], ["\u2192", "pan right", () => pan(0.2)]]) {
        const button = html("button", text, group);
        button.setAttribute("aria-label", label);
        button.addEventListener("click", action);
    }
}

const LEGEND = [
    ["runs", "runs on a CPU"], ["still", "stands still: another CPU\u2019s turn"],
    ["ready", "woken, waits for a CPU"], ["call", "system call"],
    ["irq", "interrupt, exception"], ["preempt", "preemption off (idle left out)"],
    ["irqs", "interrupts off"], ["fpregs", "fpregs_lock held"], ["held", "lock held"],
    ["wait", "lock waited for"], ["ask", "asked for, where it may not be taken"],
    ["both", "a lock that may sleep, inside fpregs_lock: the bug"],
    ["registers", "FPU state in a CPU\u2019s registers only"],
    ["both-places", "in registers and memory"], ["memory", "in memory only"],
    ["save", "registers saved to memory"], ["restore", "loaded from memory"],
    ["splat", "report (a splat)"],
];

function makeLegend() {
    const list = document.getElementById("legend");

    for (const [kind, text] of LEGEND) {
        const entry = html("li", undefined, list);
        const picture = make("svg", { viewBox: "-13 0 26 16", "aria-hidden": "true" }, entry);
        picture.classList.add("item", kind);
        if (kind in SHAPES && kind !== "irq") {
            make("path", { d: SHAPES[kind] }, picture);
            picture.classList.add("mark");
        } else {
            make("rect", { x: -12, y: 2, width: 24, height: 13 }, picture);
        }
        entry.append(text);
    }
}

function makeReports() {
    const box = document.getElementById("reports");

    for (const run of data.runs) {
        const splats = run.items.filter(item => item.report);
        if (splats.length === 0)
            html("p", `${run.title}: none.`, box);
        for (const item of splats) {
            const details = html("details", undefined, box);
            html("summary", `${run.title}, report ${item.number}: ${item.label}, ` +
                 `${count(item.start)} after the first fork`, details);
            html("pre", item.report.join("\n"), details);
        }
    }
    addEventListener("beforeprint", () => {
        for (const details of box.querySelectorAll("details"))
            details.open = true;
    });
}

const COLUMNS = ["time", "CPU", "task", "preempt_count", "interrupts", "event", "values"];

// Thousands of rows: made when they are asked for.
function makeTable(run, details) {
    const box = html("div", undefined, details);
    const table = html("table", undefined, box);
    box.className = "table-box";
    box.tabIndex = 0;           // it scrolls
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", `Events of the run ${run.title}`);
    const head = html("tr", undefined, html("thead", undefined, table));
    for (const name of COLUMNS)
        html("th", name, head).scope = "col";
    const body = html("tbody", undefined, table);
    for (const event of run.events) {
        const row = html("tr", undefined, body);
        for (const value of event)
            html("td", value, row);
    }
}

function makeTables() {
    const box = document.getElementById("events");

    for (const run of data.runs) {
        const details = html("details", undefined, box);
        const lost = run.lost ? `, ${run.lost} before them lost` : "";
        details.dataset.run = run.name;
        html("summary", `${run.title}: ${run.events.length} events${lost}`, details);
        details.addEventListener("toggle", () => makeTable(run, details), { once: true });
    }
}

function main() {
    makeNodes();
    makeViews();
    makeLegend();
    makeReports();
    makeTables();
    chart.addEventListener("pointermove", onMove);
    chart.addEventListener("pointerdown", event => {
        if (event.button === 0)
            dragging = { ...pointOf(event), from: view.from, to: view.to, moved: false };
    });
    addEventListener("pointerup", onUp);
    chart.addEventListener("pointerleave", () => {
        cursorX = -1;
        drawCursor();
        show(null);
    });
    chart.addEventListener("dblclick", event => zoom(2, timeAt(pointOf(event).x)));
    chart.addEventListener("wheel", onWheel, { passive: false });
    chart.addEventListener("keydown", onKey);
    new ResizeObserver(() => {
        if (chart.clientWidth > 300 && chart.clientWidth !== width) {
            width = chart.clientWidth;
            layOut();
            draw();
        }
    }).observe(chart);
    choose(data.views[0]);
}

main();
