// Streams and consumers, and the configuration in force.
import { $, el, ago, badge, bytes, fill, number, plural } from "./dom.js";
import { ask } from "./ask.js";

let loading = false;

export async function loadStreams() {
  if (loading) return;
  loading = true;
  try {
    fill($("#streams"), (await ask("streams")).streams.map(stream));
    $("#streams-note").textContent = "";
  } catch (problem) {
    $("#streams-note").textContent = `could not be read: ${problem.message}`;
  }
  loading = false;
}

function stream(s) {
  const consumers = s.consumers.map((c) => el("li", {}, el("code", {}, c.name), c.filter ? el("code", { className: "soft" }, c.filter) : null,
    badge(c.pending ? `${number(c.pending)} behind` : "up to date", c.pending ? "warn" : "good"),
    c.unanswered ? badge(`${number(c.unanswered)} not acknowledged`, "calm") : null, c.redelivered ? badge(`${number(c.redelivered)} repeated`, "warn") : null));
  const last = s.last_time && s.messages ? [", the last ", ago(s.last_time)] : [];
  return el("li", {}, el("h3", {}, s.name), el("p", { className: "soft" }, s.about),
    s.problem ? el("p", { className: "bad" }, s.problem) : null,
    el("p", {}, el("b", {}, plural(s.messages, "message")), ` in ${bytes(s.bytes)}`, ...last, s.replicas > 1 ? `, ${s.replicas} replicas` : ""),
    consumers.length ? el("ul", {}, consumers) : el("p", { className: "soft" }, "no consumer"));
}

async function loadConfig() {
  try {
    const { keys } = await ask("config");
    const all = $("#config-all").checked, rows = keys.filter((k) => all || !k.default);
    $("#keys").replaceChildren(...rows.flatMap((k) => [el("dt", {}, k.key), el("dd", {},
      k.secret ? badge(k.value === "set" ? "a secret, set" : "not set", "calm") : el("code", {}, k.value || "–"),
      k.live ? badge("can change while running", "calm") : null)]));
  } catch (problem) {
    $("#keys").replaceChildren(el("dt", {}, "could not be read"), el("dd", {}, problem.message));
  }
}

$("#config").addEventListener("toggle", () => { if ($("#config").open) loadConfig(); });
$("#config-all").addEventListener("change", loadConfig);
