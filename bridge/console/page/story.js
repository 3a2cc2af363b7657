// Everything known of a conversation, a command, a message or an event.
import { $, el, badge, status, when } from "./dom.js";
import { ask } from "./ask.js";

let about = null;

export function conversation(id) { open({ conversation: id }); }
export function explain(id) { open({ id }); }

function open(what) {
  about = what;
  $("#story-title").textContent = what.id ? `Everything known of ${what.id}` : `Conversation ${what.conversation}`;
  $("#story-span").hidden = Boolean(what.id);
  if (!$("#story").open) $("#story").showModal();
  load();
}

async function load() {
  const at = about;
  $("#story-body").replaceChildren(el("p", {}, "Reading the streams…"));
  try {
    const request = at.id ? { id: at.id } : { conversation_id: at.conversation, newer_than: $("#story-newer").value };
    const account = await ask("explain", request);
    if (at === about) show(account);
  } catch (problem) {
    if (at === about) $("#story-body").replaceChildren(el("p", { className: "bad" }, problem.message));
  }
}

const words = { dead_letter: "dead letter" };

function show(a) {
  const link = (id) => el("button", { type: "button", className: "link", onclick: () => explain(id) }, id);
  const commands = a.commands.map((c) => el("li", {}, status(c.state), el("b", {}, c.command ?? ""), link(c.command_id), el("span", {}, c.text)));
  const entries = a.entries.map((e) => el("li", { className: e.what }, el("time", { dateTime: e.time }, when(e.time)), badge(words[e.what] ?? e.what, kind(e.what)), el("span", {}, e.text),
    e.stream ? el("small", { className: "soft" }, `${e.stream} ${e.sequence}`) : null));
  $("#story-body").replaceChildren(
    ...a.remarks.map((r) => el("p", { className: "remark" }, r)),
    ...(commands.length ? [el("h3", {}, "Commands"), el("ul", { className: "commands" }, commands)] : []),
    el("h3", {}, "In order of time"), el("ol", { className: "timeline" }, entries));
}

const kind = (what) => ({ event: "event", published: "command", scheduled: "command", replayed: "command", result: "result", dead_letter: "dead" })[what] ?? "calm";

$("#story-newer").addEventListener("change", load);
