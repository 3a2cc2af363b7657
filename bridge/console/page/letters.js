// Unknown outcomes and dead letters: why, each attempt, and what to do about them.
import { $, el, ago, fill, number, plural, status, when } from "./dom.js";
import { ask } from "./ask.js";
import { explain } from "./story.js";

const page = 50;
let held = -1, wanted = page, loading = false, again = false, shown = null, soon = 0, latest = 0;

/** countLetters remembers how many there are. The list is read again when that changes, but rarely if reading it is much work. */
export function countLetters(count) {
  if (count.new === 0 && count.held === held) return;
  held = count.held;
  clearTimeout(soon);
  soon = setTimeout(loadLetters, Math.max(0, latest + (held > 1000 ? 30_000 : 2_000) - Date.now()));
}

/** loadLetters asks for the list, once at a time: who asks meanwhile asks for another look afterwards. */
export async function loadLetters() {
  if (loading) { again = true; return; }
  loading = true;
  latest = Date.now();
  do {
    again = false;
    try {
      const [unknown, all] = await Promise.all([ask("dead.list", { statuses: ["unknown"], limit: wanted }), ask("dead.list", { limit: wanted })]);
      show(unknown, all);
    } catch (problem) {
      $("#letters-note").textContent = `the list could not be read: ${problem.message}`;
    }
  } while (again);
  loading = false;
}

function show(unknown, all) {
  const seen = new Set(unknown.letters.map((l) => l.sequence));
  const letters = [...unknown.letters, ...all.letters.filter((l) => !seen.has(l.sequence))];
  const total = held >= 0 ? held : letters.length;
  $("#letters-note").textContent = total === 0 ? "" : `${plural(total, "dead letter")}, ${seen.size === 0 ? "none" : number(seen.size) + (unknown.next ? " or more" : "")} with an unknown outcome`;
  $("#more-letters").hidden = !unknown.next && !all.next;
  fill($("#letters"), letters.length ? letters.map(item) : [el("li", { className: "none" }, "Nothing. What cannot be done or understood is kept here, whole, until you decide.")]);
}

const kindOf = (l) => (l.command_id ? l.subject.split(".").slice(-2).join(".") : "webhook");

function item(l) {
  const act = (text, does, name, className = "") => el("button", {
    type: "button", className, onclick: does, "aria-label": `${name} dead letter ${l.sequence}`, "data-focus": `${name} ${l.sequence}`,
  }, text);
  const li = el("li", { className: l.status === "unknown" ? "unknown" : "" },
    el("p", { className: "what" }, l.status ? status(l.status) : status("invalid"), el("b", {}, kindOf(l)), el("span", {}, l.reason),
      el("span", { className: "soft" }, `letter ${l.sequence}, `, ago(l.failed_at), `, ${plural(l.attempts, "call")}`)),
    el("p", {}, l.damage || l.detail || ""),
    el("p", { className: "actions" }, act("History", () => open(l), "History of", "quiet"),
      l.command_id ? act("Replay…", () => replay(l), "Replay") : null, act("Drop…", () => drop(l), "Drop", "quiet")));
  li.dataset.key = String(l.sequence);
  return li;
}

async function open(l) {
  shown = l;
  $("#letter-title").textContent = `Dead letter ${l.sequence}: ${kindOf(l)}`;
  $("#letter-body").replaceChildren(el("p", {}, "Looking…"));
  $("#letter-content").hidden = false;
  $("#letter-story").hidden = !l.command_id;
  $("#letter").showModal();
  await content(false);
}

async function content(body) {
  const at = shown;
  try {
    const d = await ask("dead.show", { sequence: at.sequence, body });
    if (at !== shown) return;
    const facts = [["status", d.status], ["reason", d.reason], ["detail", d.detail], ["failed", when(d.failed_at)], ["calls", String(d.attempts)], ["command", d.command_id],
      ["subject", d.original_subject]].filter(([, value]) => value);
    const calls = d.history.map((a) => el("li", {}, el("time", { dateTime: a.time }, when(a.time)), el("span", {}, a.status ? `answered ${a.status}` : "no answer"),
      el("b", {}, a.reason), el("span", {}, a.detail)));
    $("#letter-body").replaceChildren(
      el("dl", { className: "keys" }, facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      el("h3", {}, "Calls"), calls.length ? el("ol", { className: "timeline" }, calls) : el("p", {}, "The API was not called."),
      ...(body ? [el("h3", {}, "Message"), el("pre", {}, d.body ?? `${d.body_base64 ?? ""}`)] : []));
    $("#letter-content").hidden = body;
  } catch (problem) {
    $("#letter-body").replaceChildren(el("p", { className: "bad" }, `That did not work: ${problem.message}.`));
  }
}

async function replay(l) {
  const risk = l.status === "unknown"
    ? " Whether it was carried out the first time is not known: look into the conversation first. If it was, it is done twice."
    : " It becomes a new command with an id of its own, and is carried out as any other.";
  const yes = await question({ title: `Replay dead letter ${l.sequence}?`, yes: "Replay", text: `${kindOf(l)}, command ${l.command_id}: ${l.reason}.${risk}` });
  if (yes === null) return;
  await act("dead.replay", l, (row) => `Dead letter ${l.sequence} was replayed as command ${row.replay_id}.`, (row) => row.replay_id);
}

async function drop(l) {
  const yes = await question({ title: `Drop dead letter ${l.sequence}?`, yes: "Drop", text: `${kindOf(l)}${l.command_id ? `, command ${l.command_id}` : ""}: ${l.reason}. It is deleted for good.` });
  if (yes === null) return;
  await act("dead.drop", l, () => `Dead letter ${l.sequence} was dropped.`);
}

async function act(query, l, done, id = () => "") {
  try {
    const [row] = (await ask(query, { sequences: [l.sequence] })).letters;
    if (row.error && !id(row)) throw new Error(row.error);
    told(row.error ? `${done(row)} But: ${row.error}.` : done(row), false, id(row));
  } catch (problem) {
    told(`That did not work: ${problem.message}.`, true);
  }
  await loadLetters();
}

/** told says what came of an action, and offers the story of the new command. */
export function told(text, bad = false, id = "") {
  const p = $("#done");
  p.hidden = false;
  p.className = bad ? "toast bad" : "toast";
  p.replaceChildren(text, ...(id ? [" ", el("button", { type: "button", className: "link", onclick: () => explain(id) }, "Show its story")] : []));
  $("#decide").focus();
}

/** question asks before something changes. It returns the reason, which may be empty, or null for no. */
export function question({ title, text, yes, reason = false }) {
  const dialog = $("#question");
  $("#question-title").textContent = title;
  $("#question-text").textContent = text;
  $("#question-yes").textContent = yes;
  $("#question-reason").hidden = !reason;
  $("#reason").value = "";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? $("#reason").value : null), { once: true });
  });
}

$("#more-letters").addEventListener("click", () => { wanted = Math.min(1000, wanted * 2); loadLetters(); });
$("#letter-content").addEventListener("click", () => content(true));
$("#letter-story").addEventListener("click", () => { $("#letter").close(); explain(shown.command_id); });
