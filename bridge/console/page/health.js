// Is it well, who is active, what is held up.
import { $, el, badge, bytes, fill, number, plural, span } from "./dom.js";
import { ask } from "./ask.js";
import { question, told } from "./letters.js";
import { conversation } from "./story.js";

let now = null;

export function showState(state) {
  if (state.status) showStatus(state.status);
  if (state.lanes) showLanes(state.lanes.lanes);
  if (state.problem && !state.status) verdict("bad", "Not known", [state.problem]);
}

function verdict(mood, word, lines) {
  fill($("#verdict"), [el("strong", { className: `verdict ${mood}` }, word), el("ul", {}, lines.map((line) => el("li", {}, line)))]);
}

function showStatus(s) {
  now = s;
  $("#tenant").textContent = s.tenant;
  $("#build").textContent = `cxbridge ${s.version}, ${s.bridge}`;
  const problems = s.problems.map((p) => `${p.check}: ${p.problem}`), remarks = [...(s.remarks ?? [])];
  if (s.circuit && s.circuit !== "closed") remarks.push(`the API fails: the circuit breaker is ${s.circuit}, and no command is begun until it answers again`);
  if (s.hold_until && Date.parse(s.hold_until) > Date.now()) remarks.push(`the API asked for a pause of all calls, for another ${span(Date.parse(s.hold_until) - Date.now())}`);
  if (s.events_spooled > 0) remarks.push(`${plural(s.events_spooled, "event")} wait on the local disk for the bus`);
  if (problems.length) verdict("bad", "Not ready", [...problems, ...remarks]);
  else if (remarks.length) verdict("warn", "Ready, but", remarks);
  else verdict("good", "Ready", ["bus, streams, commands and spool were proven to work"]);
  tiles(s);
  const pause = $("#pause");
  pause.hidden = false;
  pause.textContent = s.paused ? "Resume commands" : "Pause commands";
}

function tiles(s) {
  const rate = s.circuit === "" ? "none" : s.calls_per_second === null ? "no limit" : `${number(s.calls_per_second)} a second`;
  const all = [
    ["Commands", s.paused ? "paused" : s.active ? "carried out here" : s.active_bridge ? "standby" : "nobody", s.paused ? "warn" : s.active || s.active_bridge ? "good" : "bad",
      s.active ? `epoch ${s.epoch}` : s.active_bridge ? `active: ${s.active_bridge}` : "no bridge is active"],
    ["API", s.circuit ? `circuit ${s.circuit}` : "not used", !s.circuit || s.circuit === "closed" ? "good" : "bad", `calls: ${rate}`],
    ["Held", plural(s.commands_held, "command"), "", `in ${plural(s.lanes, "lane")}, ${number(s.commands_running)} at work`],
    ["Bus", s.bus_connected ? "connected" : "away", s.bus_connected ? "good" : "bad", ""],
    ["Spool", !s.spool ? "not needed" : s.events_spooled ? plural(s.events_spooled, "event") : "empty", s.events_spooled ? "warn" : "good",
      s.spool ? bytes(s.spool_bytes) : "the bus is on the local disk"],
  ];
  fill($("#tiles"), all.map(([name, value, mood, more]) => el("div", {}, el("dt", {}, name), el("dd", { className: mood }, value), el("dd", { className: "note" }, more))));
}

/** obstacle is what all lanes wait for, if there is such a thing: it wakes them sooner than their own pause ends. */
function obstacle() {
  if (now?.paused) return "waits for the pause to end";
  if (now?.circuit && now.circuit !== "closed") return "waits for the API";
  return now?.hold_until && Date.parse(now.hold_until) > Date.now() ? "waits as the API asked" : "";
}

function showLanes(lanes) {
  const rows = lanes.map((l) => {
    const waited = Date.now() - Date.parse(l.since), left = l.until ? Date.parse(l.until) - Date.now() : 0;
    const state = l.state === "running" ? "at work" : obstacle() || (left > 0 ? `tried again in ${span(left)}` : "its turn is next");
    const name = l.conversation_id
      ? el("button", { type: "button", className: "link", onclick: () => conversation(l.conversation_id), "data-focus": `lane ${l.conversation_id}` }, `conversation ${l.conversation_id}`)
      : el("span", {}, `a ${l.lane}`);
    return el("li", {}, name, el("span", {}, plural(l.commands, "command")), el("span", { className: waited > 5000 ? "bad" : "" }, `for ${span(waited)}`), badge(state, "calm"));
  });
  fill($("#lanes"), rows.length ? rows : [el("li", { className: "none" }, "Nothing waits.")]);
}

$("#pause").addEventListener("click", async () => {
  const resume = now?.paused;
  const reason = await question({
    title: resume ? "Resume commands?" : "Pause commands?", yes: resume ? "Resume" : "Pause", reason: true,
    text: resume ? "All bridges go on with the commands that wait." : "All bridges begin no more calls at the API until somebody resumes. Webhooks go on, and commands wait on the bus.",
  });
  if (reason === null) return;
  try {
    const state = await ask(resume ? "resume" : "pause", { by: "console", reason });
    told(state.paused ? "Commands are paused." : "Commands go on.");
  } catch (problem) {
    told(`That did not work: ${problem.message}.`, true);
  }
});
