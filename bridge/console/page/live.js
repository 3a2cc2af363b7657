// What flows. Rows are bounded here, too: what is kept for the filter, and what is shown.
import { $, el, badge, clock, number, span, status } from "./dom.js";
import { conversation, explain } from "./story.js";

const keptRows = 600, shownRows = 80, memory = 4000;
let kept = [], held = false, looks = [], problem = "";

const words = { event: "event", command: "command", result: "result", dead: "dead letter" };

const keyOf = (r) => `${r.kind} ${r.sequence}`;

export function setRows(rows) {
  kept = rows;
  looks = [];
  render();
}

export function addNews(news) {
  problem = news.problem ?? "";
  looks.push({ at: Date.now(), ms: news.ms, counts: news.counts });
  looks = looks.filter((l) => Date.now() - l.at < memory);
  const there = new Set(kept.map(keyOf)); // a page that comes late is told some rows twice
  kept = kept.concat(news.rows.filter((r) => !there.has(keyOf(r)))).slice(-keptRows);
  if (!held) {
    if (news.rows.length) render();
    tell();
  }
}

/** tell says how much of it is shown. */
function tell() {
  const ms = looks.reduce((n, l) => n + l.ms, 0) || 1;
  let fresh = 0, shown = 0, sampled = false;
  for (const c of looks.flatMap((l) => l.counts)) {
    fresh += c.new;
    shown += Math.min(c.shown, c.new);
    sampled ||= c.new > c.shown;
  }
  const perSecond = (n) => number(Math.round((n * 10_000) / ms) / 10);
  const text = problem ? `the bus does not answer: ${problem}`
    : fresh === 0 ? "nothing flows at the moment"
    : sampled ? `a sample: showing ${perSecond(shown)} of ${perSecond(fresh)} a second`
    : `showing all: ${perSecond(fresh)} a second`;
  $("#sample").textContent = filtered() ? `${text}; filtered` : text;
}

const inputs = { kind: $("#f-kind"), subject: $("#f-subject"), conversation: $("#f-conversation"), status: $("#f-status") };
const filtered = () => Object.values(inputs).some((i) => i.value.trim() !== "");

/** matcher takes a part of a subject, or wildcards as NATS has them. */
function matcher(text) {
  if (!/[*>]/.test(text)) return (subject) => subject.includes(text);
  const want = text.split(".");
  return (subject) => {
    const have = subject.split(".");
    for (let i = 0; i < want.length; i++) {
      if (want[i] === ">" && i === want.length - 1) return have.length > i;
      if (i >= have.length || (want[i] !== "*" && want[i] !== have[i])) return false;
    }
    return have.length === want.length;
  };
}

function render() {
  const subject = matcher(inputs.subject.value.trim()), of = inputs.conversation.value.trim();
  const rows = [];
  for (let i = kept.length - 1; i >= 0 && rows.length < shownRows; i--) {
    const r = kept[i];
    if (inputs.kind.value && r.kind !== inputs.kind.value) continue;
    if (!subject(r.subject) || (of && r.conversation !== of)) continue;
    if (inputs.status.value && r.status !== inputs.status.value && r.origin !== inputs.status.value) continue;
    rows.push(r);
  }
  exchange($("#rows"), rows);
}

/** exchange keeps the elements of rows that stay, so that the focus stays, too. */
function exchange(list, rows) {
  const there = new Map([...list.children].map((li) => [li.dataset.key, li]));
  const next = rows.map((r) => there.get(keyOf(r)) ?? item(r));
  const stays = new Set(next);
  for (const li of [...list.children]) if (!stays.has(li)) li.remove();
  next.forEach((li, i) => { if (list.children[i] !== li) list.insertBefore(li, list.children[i] ?? null); });
  if (!rows.length) list.replaceChildren(el("li", { className: "none" }, filtered() ? "Nothing of what was read matches the filter." : "Nothing so far."));
}

function item(r) {
  const more = [];
  if (r.origin) more.push(badge(r.origin, "calm"));
  if (r.echo_of) more.push(badge("echo", "calm"));
  if (r.status) more.push(status(r.status));
  if (r.reason) more.push(el("span", {}, r.reason));
  if (r.took_ms) more.push(el("span", { className: "soft" }, `after ${span(r.took_ms)}`));
  if (r.attempts > 1) more.push(el("span", { className: "soft" }, `${r.attempts} calls`));
  const li = el("li", { className: r.kind },
    el("time", { dateTime: r.time }, clock(r.time)), badge(words[r.kind], r.kind), el("code", { className: "subject" }, r.subject),
    r.conversation ? el("button", { type: "button", className: "link", onclick: () => conversation(r.conversation), "aria-label": `#${r.conversation}, story of the conversation` }, `#${r.conversation}`) : el("span"),
    el("span", { className: "more" }, ...more),
    r.id ? el("button", { type: "button", className: "link id", title: r.id, onclick: () => explain(r.id), "aria-label": `explain ${r.id}` }, "explain") : el("span"));
  li.dataset.key = keyOf(r);
  return li;
}

for (const input of Object.values(inputs)) input.addEventListener("input", () => { render(); tell(); });
$("#filter").addEventListener("submit", (e) => e.preventDefault());
$("#hold").addEventListener("click", () => {
  held = !held;
  $("#hold").setAttribute("aria-pressed", String(held));
  $("#sample").textContent = "held: what comes meanwhile is shown when you let go";
  if (!held) { render(); tell(); }
});
