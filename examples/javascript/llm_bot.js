// Answers customers of Sangoma CX with what takes its time, such as a language model, many customers at once.
import { connect, headers, nanos } from "@nats-io/transport-node";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { setTimeout as sleep } from "node:timers/promises";

const name = "javascript-llm-bot"; // of the durable consumers, and the beginning of every command id
const atOnce = 100; // messages that are worked on at the same time
const ackWait = 30_000; // ms after which a message comes again, unless the server hears that it is being worked on
const goodFor = 10 * 60_000; // ms; an older answer is of no use

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222", name, maxReconnectAttempts: -1 });
const js = jetstream(nc);
const jsm = await jetstreamManager(nc);

const thinking = new Map(); // conversation: what stops thinking about its last message

// Stands for the language model: LLM_URL is asked, if it is set.
async function think(prompt, signal) {
  if (process.env.LLM_URL) return (await fetch(process.env.LLM_URL, { method: "POST", body: prompt, signal })).text();
  await sleep(5000, undefined, { signal });
  return `I thought about this: ${prompt}`;
}

// Thinks about a message of a customer, until the customer or an agent writes something newer.
async function answer(m) {
  const origin = m.headers.get("Cx-Origin");
  const conversation = m.headers.get("Cx-Conversation-Id");
  if (origin === "customer" || origin === "agent") thinking.get(conversation)?.abort();
  if (origin !== "customer" || m.headers.get("Cx-Loop") === "true") return;
  const event = m.json();
  const until = Date.parse(m.headers.get("Cx-Received-At")) + goodFor;
  if (event.conversation?.status === "open" || !event.content || Date.now() > until) return;

  const stop = new AbortController();
  thinking.set(conversation, stop);
  let content;
  try {
    content = await think(event.content, stop.signal);
  } catch (err) {
    if (stop.signal.aborted) return;
    throw err;
  } finally {
    if (thinking.get(conversation) === stop) thinking.delete(conversation);
  }
  const h = headers();
  h.set("Cx-Expires-At", new Date(until).toISOString());
  h.set("Cx-Only-If", "still-with-bot, no-newer-customer-message"); // when the answer's turn comes, which may be later
  if (m.headers.has("traceparent")) h.set("traceparent", m.headers.get("traceparent"));
  const msgID = `${name}-answer-${m.headers.get("Cx-Message-Id")}`; // the id of the command: sent twice, done once
  await js.publish("cx.cmd.message.send", JSON.stringify({ conversation_id: conversation, content }), { msgID, headers: h });
}

// Tells how a command of this bot ended.
async function showResult(m) {
  const id = m.headers.get("Cx-Command-Id");
  if (id.startsWith(`${name}-`)) console.log(id, m.headers.get("Cx-Status"));
}

// Handles a message, and tells the server all the while that it is being worked on.
async function work(m, handle) {
  const working = setInterval(() => m.working(), ackWait / 3);
  try {
    await handle(m);
    m.ack();
  } catch (err) {
    console.error(err);
    if (err instanceof SyntaxError) m.term("not a message"); // it will not get better
    else m.nak(5000); // whatever it was, the other customers must not suffer from it
  } finally {
    clearInterval(working);
  }
}

// Takes messages as they come, as many at once as the server lets wait for their acknowledgement.
async function consume(stream, durable, subject, handle) {
  await jsm.consumers.add(stream, {
    durable_name: durable,
    filter_subject: subject,
    deliver_policy: DeliverPolicy.New,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ackWait),
    max_ack_pending: atOnce,
  });
  const consumer = await js.consumers.get(stream, durable);
  for await (const m of await consumer.consume()) work(m, handle);
}

await Promise.all([
  consume("CX_RESULTS", `${name}-results`, "cx.result.>", showResult),
  consume("CX_EVENTS", name, "cx.message.created", answer),
]);
