// Small charts of the last minutes. The history is the bridge's, and bounded there and here.
import { $, el, number, span, svg } from "./dom.js";

const charts = [
  { title: "Events", unit: "/s", lines: [["events", "taken"]] },
  { title: "Receipt of an event", unit: " ms", lines: [["receipt_p99", "p99"], ["receipt_p50", "p50"]] },
  { title: "Commands", unit: "/s", lines: [["done", "done"], ["not_done", "not done"]], bad: "not_done" },
  { title: "API calls", unit: "/s", lines: [["calls", "answered"], ["calls_failed", "failed"]], bad: "calls_failed" },
  { title: "API call", unit: " ms", lines: [["call_p99", "p99"], ["call_p50", "p50"]] },
  { title: "Held back", unit: "", lines: [["held", "commands in hand"], ["waiting", "on the bus"], ["spooled", "spooled events"]] },
];

const width = 300, height = 64;
let points = [], kept = 120, every = 5000;

export function setPoints(hello) {
  points = hello.points;
  kept = hello.kept;
  every = hello.every_ms;
  $("#span").textContent = `of this bridge, the last ${span(kept * every)}, measured each ${span(every)}`;
  draw();
}

export function addPoint(point) {
  points = [...points, point].slice(-kept);
  draw();
}

function draw() {
  const at = points.length ? points[points.length - 1].at : Date.now();
  $("#charts").replaceChildren(...charts.map((c) => chart(c, at)));
}

function chart(c, end) {
  c = { ...c, lines: c.lines.filter(([key], i) => i === 0 || points.some((p) => p.values[key] !== undefined)) };
  const values = c.lines.flatMap(([key]) => points.map((p) => p.values[key])).filter((v) => v !== undefined);
  const top = ceiling(Math.max(0, ...values)), begin = end - kept * every;
  const image = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { class: "base", x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5 }));
  c.lines.forEach(([key], i) => {
    const d = path(key, begin, top);
    if (i === 0 && c.lines.length === 1) image.append(svg("path", { class: "area", d: area(key, begin, top) }));
    if (key === c.bad && !points.some((p) => p.values[key] > 0)) return; // nothing bad is no line
    image.append(svg("path", { class: key === c.bad ? "line bad" : `line line-${i}`, d }));
  });
  const latest = points.length ? points[points.length - 1].values : {};
  const figures = c.lines.map(([key, name], i) => el("span", { className: key === c.bad ? "key bad" : `key key-${i}` },
    el("b", {}, number(latest[key]) + (latest[key] === undefined ? "" : c.unit)), ` ${name}`));
  return el("figure", {}, el("figcaption", {}, c.title), image, el("p", {}, ...figures, el("span", { className: "top" }, values.length ? `top ${number(top)}${c.unit}` : "nothing yet")));
}

/** ceiling is the next round number, so that the scale does not change with each point. */
function ceiling(v) {
  if (v <= 1) return 1;
  const unit = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 5, 10].map((n) => n * unit).find((n) => n >= v);
}

function place(point, key, begin, top) {
  const x = ((point.at - begin) / (kept * every)) * width, y = height - 2 - (point.values[key] / top) * (height - 6);
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

/** path is broken where there was nothing to measure; a point alone is a dot. */
function path(key, begin, top) {
  let d = "", open = false;
  for (const p of points) {
    if (p.values[key] === undefined) { open = false; continue; }
    d += open ? `L${place(p, key, begin, top)}` : `M${place(p, key, begin, top)}h.1`;
    open = true;
  }
  return d;
}

function area(key, begin, top) {
  const there = points.filter((p) => p.values[key] !== undefined);
  if (there.length < 2) return "";
  const x = (p) => (((p.at - begin) / (kept * every)) * width).toFixed(1);
  return `M${x(there[0])} ${height}${there.map((p) => `L${place(p, key, begin, top)}`).join("")}L${x(there[there.length - 1])} ${height}Z`;
}
