"use strict";
// The human agent's side of the simulated platform: it shows GET /_sim/state and acts by POST /_sim/agent.
const $ = (id) => document.getElementById(id);
let chosen = null; // "tenant id"
let shown = "";

const key = (tenant, conversation) => tenant + " " + conversation.id;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function describe(c) {
  if (c.status === "resolved") return "finished";
  if (c.assignee) return "with " + c.assignee;
  return c.with_human ? "waits for an agent" : "with the bot";
}

function author(c, m) {
  if (m.message_type === "incoming") return c.contact.name || "Visitor";
  if (m.private) return "Private note";
  return { User: "Agent", AgentBot: "Bot" }[m.sender_type] || "System";
}

function drawList(all) {
  $("none").hidden = all.length > 0;
  $("list").replaceChildren(...all.map(({ tenant, c }) => {
    const button = element("button", c.contact.name || "Visitor " + c.contact.id);
    button.type = "button";
    button.append(element("small", "#" + c.id + " · " + describe(c)));
    const last = c.messages.at(-1);
    if (last) button.append(element("small", last.content));
    button.setAttribute("aria-current", String(key(tenant, c) === chosen));
    button.addEventListener("click", () => { chosen = key(tenant, c); shown = ""; refresh(); });
    const item = element("li");
    item.append(button);
    return item;
  }));
}

function drawOne(found) {
  $("one").hidden = !found;
  if (!found) return;
  const { c } = found;
  $("title").textContent = "#" + c.id + " " + (c.contact.name || "Visitor");
  $("status").textContent = describe(c);
  drawMessages(c);
}

// drawMessages leaves alone what is shown already, so that only what is new is read out.
function drawMessages(c) {
  const list = $("messages");
  if (list.dataset.of !== chosen) { list.replaceChildren(); list.dataset.of = chosen; }
  c.messages.forEach((m, i) => {
    const known = list.children[i];
    if (known?.dataset.id === String(m.id) && known.dataset.content === m.content) return;
    const item = element("li", undefined, m.message_type + (m.private ? " private" : m.sender_type === "User" ? " agent" : ""));
    item.dataset.id = m.id;
    item.dataset.content = m.content;
    if (m.message_type !== "activity") item.append(element("b", author(c, m)));
    item.append(m.content);
    if (known) known.replaceWith(item); else list.append(item);
    list.scrollTop = list.scrollHeight;
  });
}

async function refresh() {
  try {
    const answer = await fetch("state");
    const text = await answer.text();
    $("state").textContent = "";
    if (text === shown) return;
    shown = text;
    const state = JSON.parse(text);
    const all = state.tenants.flatMap((t) => t.conversations.map((c) => ({ tenant: t.tenant, c })))
      .sort((a, b) => b.c.last_activity_at.localeCompare(a.c.last_activity_at)).slice(0, 100);
    if (!chosen && all.length) chosen = key(all[0].tenant, all[0].c);
    const focused = document.activeElement && $("list").contains(document.activeElement);
    drawList(all);
    if (focused) $("list").querySelector("[aria-current=true]")?.focus();
    drawOne(all.find(({ tenant, c }) => key(tenant, c) === chosen));
  } catch {
    $("state").textContent = "The simulator does not answer.";
  }
}

async function act(action, text) {
  const cut = chosen.lastIndexOf(" ");
  const answer = await fetch("agent", {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ tenant: chosen.slice(0, cut), conversation_id: Number(chosen.slice(cut + 1)), action, text }),
  });
  $("problem").textContent = answer.ok ? "" : (await answer.json()).error;
  if (answer.ok && text) $("text").value = "";
  await refresh();
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); act("say", $("text").value); });
$("note").addEventListener("click", () => { if ($("form").reportValidity()) act("note", $("text").value); });
for (const action of ["pick-up", "return", "resolve"]) $(action).addEventListener("click", () => act(action));
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("form").requestSubmit(); }
});
setInterval(refresh, 1000);
refresh();
