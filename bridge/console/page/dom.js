// Elements without any HTML in strings, and how figures are written.

export const $ = (selector) => document.querySelector(selector);

/** el makes an element; properties that begin with "on" are listeners, those with a "-" or named role are attributes. */
export function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") e.setAttribute(name, value);
    else e[name] = value;
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

const svgNS = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const e = document.createElementNS(svgNS, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

const whole = new Intl.NumberFormat("en");

export function number(n) {
  if (n === undefined || n === null) return "–";
  if (n !== 0 && Math.abs(n) < 10) return String(Math.round(n * 100) / 100);
  if (Math.abs(n) < 100) return String(Math.round(n * 10) / 10);
  return whole.format(Math.round(n));
}

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  return `${number(n)} ${units[i]}`;
}

export function plural(n, one, many = `${one}s`) { return `${number(n)} ${n === 1 ? one : many}`; }

/** span writes a duration in milliseconds for people. */
export function span(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = ms / 1000;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 129600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

const distance = (time) => (Date.now() - Date.parse(time) < 1500 ? "just now" : `${span(Date.now() - Date.parse(time))} ago`);

/** ago makes an element that stays true while time passes. */
export const ago = (time) => el("time", { dateTime: time, className: "ago" }, distance(time));
setInterval(() => { for (const e of document.querySelectorAll("time.ago")) e.textContent = distance(e.dateTime); }, 5000);

export function clock(time) {
  const d = new Date(time), two = (n) => String(n).padStart(2, "0");
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, "0")}`;
}

/** when writes a time with its day, if that is not today. */
export function when(time) {
  const d = new Date(time);
  return d.toDateString() === new Date().toDateString() ? clock(time) : `${d.getFullYear()}-${String(d.getMonth() + 1).padStart(2, "0")}-${String(d.getDate()).padStart(2, "0")} ${clock(time)}`;
}

export const badge = (text, kind = "") => el("span", { className: `badge ${kind}` }, text);

/** moods says how statuses look. */
const moods = { done: "good", unknown: "warn", expired: "calm", refused: "bad", invalid: "bad", exhausted: "bad", failed: "bad" };
export const status = (text) => badge(text, moods[text] ?? "calm");

/** fill exchanges the children of an element, but only if they would look different, so that the focus stays where it is. */
export function fill(parent, children) {
  const next = children.map((c) => c.textContent + (c.dataset.key ?? "")).join("\n");
  if (parent.dataset.was === next && parent.childElementCount === children.length) return;
  const focus = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  parent.dataset.was = next;
  parent.replaceChildren(...children);
  if (focus) [...parent.querySelectorAll("[data-focus]")].find((e) => e.dataset.focus === focus)?.focus();
}
