// Who looks, and the one stream of news from the bridge.
import { $ } from "./dom.js";
import { login, logout, session } from "./ask.js";
import { showState } from "./health.js";
import { addPoint, setPoints } from "./charts.js";
import { addNews, setRows } from "./live.js";
import { countLetters, loadLetters } from "./letters.js";
import { loadStreams } from "./system.js";
import "./story.js";

let source = null, away = 0, hidden = 0, slow = 0;

function connection(text, mood) {
  const pill = $("#connection");
  if (pill.textContent === text) return;
  pill.textContent = text;
  pill.className = `pill ${mood}`;
}

function connect() {
  clearTimeout(away);
  source?.close();
  source = new EventSource("/console/events");
  const on = (name, handler) => source.addEventListener(name, (e) => handler(JSON.parse(e.data)));
  on("hello", (hello) => {
    connection("live", "good");
    $("#logout").hidden = !hello.login;
    setPoints(hello);
    setRows(hello.rows, hello.most_rows);
    loadLetters();
    loadStreams();
  });
  on("point", addPoint);
  on("state", showState);
  on("feed", (news) => {
    addNews(news);
    for (const c of news.counts) if (c.kind === "dead") countLetters(c);
    if (Date.now() - slow > 10_000) connection("live", "good");
  });
  on("missed", (n) => { slow = Date.now(); connection(`live, ${n} looks missed`, "warn"); });
  source.onerror = () => {
    connection("not connected", "bad");
    if (source.readyState === EventSource.CLOSED) away = setTimeout(start, 3000); // refused: find out why
  };
}

function stranger() {
  source?.close();
  source = null;
  connection("logged out", "calm");
  $("#console").hidden = true;
  $("#pause").hidden = $("#logout").hidden = true;
  $("#login").hidden = false;
  $("#token").focus();
}

async function start() {
  clearTimeout(away);
  try {
    const { known } = await session();
    if (!known) return stranger();
  } catch {
    connection("not connected", "bad");
    away = setTimeout(start, 3000);
    return;
  }
  $("#login").hidden = true;
  $("#console").hidden = false;
  connect();
}

$("#login").addEventListener("submit", async (e) => {
  e.preventDefault();
  $("#login-problem").textContent = "";
  try {
    await login($("#token").value);
    $("#token").value = "";
    start();
  } catch (problem) {
    $("#login-problem").textContent = `Not logged in: ${problem.message}.`;
  }
});
$("#logout").addEventListener("click", () => logout().then(stranger, stranger));
document.addEventListener("stranger", stranger);

for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());

// A page that nobody sees costs nothing.
document.addEventListener("visibilitychange", () => {
  clearTimeout(hidden);
  if (document.hidden) hidden = setTimeout(() => { source?.close(); source = null; connection("asleep", "calm"); }, 60_000);
  else if (source === null && $("#login").hidden) start();
});
setInterval(() => { if (source && !document.hidden) loadStreams(); }, 10_000);
start();
