"use strict";
// The visitor's side of the chat. What was written waits in the outbox, with an id of its own, until the gateway took it: it may be sent again
// after a lost connection or a reload, and arrives once. What is shown comes from one stream of server-sent events, which begins with everything
// that there is.
const $ = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const silence = 60000; // milliseconds after which a stream without a sign of life counts as lost

let stream = null;
let heard = 0;
let draining = false;
let summary = { state: "starting" };
let agent = "";
let outbox = stored("outbox", []); // { id, text, status: waiting | posted | failed, why }
const messages = new Map(); // id → message

function stored(name, otherwise) {
  try { return JSON.parse(sessionStorage.getItem("widget-" + name)) ?? otherwise; } catch { return otherwise; }
}

function store(name, value) {
  try { sessionStorage.setItem("widget-" + name, JSON.stringify(value)); } catch { /* it is only for a reload */ }
}

function newID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
}

async function post(path, body = {}) {
  const answer = await fetch("api/" + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  let told = {};
  try { told = await answer.json(); } catch { /* something on the way answered */ }
  return { status: answer.status, told, later: [409, 429].includes(answer.status) || answer.status >= 500 };
}

// insist asks until there is an answer that will not change by asking again.
async function insist(path, body) {
  for (;;) {
    try {
      const got = await post(path, body);
      notice(got.status === 429 ? "One moment, please …" : got.later && got.status !== 409 ? "Not connected at the moment; trying again …" : "");
      if (!got.later) return got;
    } catch {
      notice("You are offline; trying again …");
    }
    await pause(1500);
  }
}

function notice(text) {
  if ($("notice").textContent !== text) $("notice").textContent = text;
  $("notice").hidden = text === "";
  if (summary.state === "starting" && !$("start").hidden) $("start-problem").textContent = text;
}

// ---- what is shown

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function byline(m) {
  const who = m.from === "visitor" ? "" : m.name || { bot: "Assistant", agent: "Agent" }[m.from] || "";
  const time = element("time", "", new Date(m.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = m.at;
  const line = element("span", "by", who ? who + " · " : "");
  line.append(time);
  return line;
}

function draw(m) {
  const item = element("li", m.from);
  item.dataset.id = m.id;
  const previous = [...messages.values()].at(-2);
  if (!previous || previous.from !== m.from || previous.name !== m.name || Date.parse(m.at) - Date.parse(previous.at) > 300000) item.append(byline(m));
  if (m.from === "visitor") item.append(element("span", "hidden", "You:"));
  item.append(element("span", "bubble", m.text));
  atBottom(() => $("messages").append(item));
}

function drawOutbox() {
  atBottom(() => $("outbox").replaceChildren(...outbox.map((o) => {
    const item = element("li", "visitor " + (o.status === "failed" ? "failed" : "waiting"));
    item.append(element("span", "bubble", o.text));
    const line = element("span", "by", o.status === "failed" ? o.why : "Sending …");
    if (o.status === "failed") {
      const again = element("button", "", "Send again");
      again.type = "button";
      again.addEventListener("click", () => { drop(o.id); say(o.text); });
      line.append(again);
    }
    item.append(line);
    return item;
  })));
}

function atBottom(change) {
  const log = $("log");
  const near = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  change();
  if (near) log.scrollTop = log.scrollHeight;
}

const states = {
  starting: () => "Connecting …",
  failed: () => "The chat could not be started",
  bot: () => "You are talking with our assistant",
  waiting: () => "An agent is on the way …",
  agent: () => (agent ? agent + " is with you" : "An agent is with you"),
  finished: () => "Finished",
};

function drawState() {
  const text = (states[summary.state] ?? states.bot)();
  if ($("state").textContent !== text) $("state").textContent = text;
  const over = summary.state === "finished" || summary.state === "failed";
  $("over").hidden = !over;
  $("over").firstElementChild.textContent =
    summary.state === "failed" ? "The chat could not be started. We are sorry." : "This conversation is finished. Thank you!";
  $("write").hidden = over;
}

// ---- what happens

function onMessage(m) {
  const own = m.client || (m.from === "visitor" && outbox.find((o) => o.status === "posted" && o.text === m.text)?.id);
  if (own) drop(own);
  if (m.from === "agent" && m.name) agent = m.name;
  if (messages.has(m.id)) return;
  messages.set(m.id, m);
  draw(m);
  drawState();
}

function onFailure(f) {
  const failed = outbox.find((o) => o.id === f.client);
  if (!failed) return;
  failed.status = "failed";
  failed.why = f.maybe ? "It is not certain that this arrived." : "This was not sent.";
  keep();
}

function drop(id) {
  outbox = outbox.filter((o) => o.id !== id);
  keep();
}

function keep() {
  store("outbox", outbox);
  drawOutbox();
}

function say(text) {
  outbox.push({ id: newID(), text, status: "waiting" });
  keep();
  $("log").scrollTop = $("log").scrollHeight;
  drain();
}

// drain posts what waits, one after the other, so that the order stays.
async function drain() {
  if (draining) return;
  draining = true;
  for (let next; (next = outbox.find((o) => o.status === "waiting"));) {
    const got = await insist("messages", { id: next.id, text: next.text });
    if (got.status === 401) { location.reload(); return; }
    const still = outbox.find((o) => o.id === next.id);
    if (!still) continue;
    still.status = got.status === 202 ? "posted" : "failed";
    if (got.status !== 202) still.why = "Not sent: " + (got.told.error ?? "something went wrong") + ".";
    keep();
  }
  draining = false;
}

// ---- the stream

function listen() {
  stream?.close();
  heard = Date.now();
  stream = new EventSource("api/events");
  const on = (name, act) => stream.addEventListener(name, (event) => { heard = Date.now(); act(JSON.parse(event.data)); });
  on("message", onMessage);
  on("failure", onFailure);
  on("state", (s) => { summary = s; drawState(); });
  on("alive", () => { if ($("notice").dataset.stream) { delete $("notice").dataset.stream; notice(""); } });
  stream.addEventListener("error", () => {
    $("notice").dataset.stream = "lost";
    notice("The connection is lost; trying again …");
    if (stream.readyState === EventSource.CLOSED) { const lost = stream; pause(2000).then(() => { if (lost === stream) begin(); }); }
  });
}

setInterval(() => { if (stream && Date.now() - heard > silence) listen(); }, 5000);
addEventListener("online", () => { if (stream) listen(); });

// begin shows the conversation that there is, or asks for a name.
async function begin() {
  const got = await insist("session");
  $("title").textContent = document.title = got.told.title ?? "Chat";
  $("text").maxLength = got.told.max_text ?? 4000;
  $("start").hidden = Boolean(got.told.started);
  $("chat").hidden = !got.told.started;
  if (!got.told.started) {
    stream?.close();
    stream = null;
    outbox = [];
    keep();
    $("state").textContent = "We are here for you";
    return;
  }
  drawOutbox();
  drawState();
  listen();
  drain();
}

$("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = $("start").querySelector("button");
  button.disabled = true;
  const got = await insist("start", { name: $("name").value });
  button.disabled = false;
  $("start-problem").textContent = got.status === 202 ? "" : got.told.error ?? "That did not work.";
  if (got.status === 401) await insist("session");
  if (got.status !== 202) return;
  await begin();
  $("text").focus();
});

$("write").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  store("draft", "");
  say(text);
});

$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("write").requestSubmit(); }
});
$("text").addEventListener("input", () => store("draft", $("text").value));

$("again").addEventListener("click", async () => {
  await insist("leave");
  try { sessionStorage.clear(); } catch { /* nothing is stored then */ }
  location.reload();
});

$("text").value = stored("draft", "");
begin();
