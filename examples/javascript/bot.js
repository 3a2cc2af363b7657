// Answers customers of Sangoma CX over NATS, and hands over to a human agent on the word "agent".
import { connect, headers } from "@nats-io/transport-node";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";

const name = "javascript-bot"; // of the durable consumers, and the beginning of every command id

const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222", name, maxReconnectAttempts: -1 });
const js = jetstream(nc);
const jsm = await jetstreamManager(nc);

// Takes messages one by one, in order. The server knows how far this bot came: what was not acknowledged comes again.
async function consume(stream, durable, subject, handle) {
  await jsm.consumers.add(stream, {
    durable_name: durable,
    filter_subject: subject,
    deliver_policy: DeliverPolicy.New,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 1,
  });
  const consumer = await js.consumers.get(stream, durable);
  for await (const m of await consumer.consume()) {
    try {
      await handle(m);
      m.ack(); // if this gets lost, the message comes again, and its command is already known
    } catch (err) {
      console.error(err);
      if (err instanceof SyntaxError || err instanceof TypeError) m.term("not a message"); // it will not get better
      else m.nak(1000);
    }
  }
}

// Turns a message of a customer into a command.
async function answer(m) {
  if (m.headers.get("Cx-Origin") !== "customer" || m.headers.get("Cx-Loop") === "true") {
    return; // an agent, the system or a bot wrote it, perhaps this one; or two bots keep answering each other
  }
  const event = m.json();
  if (event.conversation?.status === "open") return; // a human agent has it
  const content = String(event.content ?? ""); // a picture has none
  const id = m.headers.get("Cx-Message-Id");
  const command = { conversation_id: m.headers.get("Cx-Conversation-Id") };
  if (content.trim().toLowerCase() === "agent") {
    await send(m, "conversation.handoff", `${name}-handoff-${id}`, command);
  } else {
    await send(m, "message.send", `${name}-answer-${id}`, { ...command, content: `You wrote: ${content}` });
  }
}

// Publishes a command. Its id is derived from the event: sent twice, done once.
function send(event, kind, msgID, command) {
  const h = headers();
  if (event.headers.has("traceparent")) h.set("traceparent", event.headers.get("traceparent")); // traces lead from the event to the command
  return js.publish(`cx.cmd.${kind}`, JSON.stringify(command), { msgID, headers: h });
}

// Tells how a command of this bot ended.
function showResult(m) {
  const id = m.headers.get("Cx-Command-Id");
  if (id.startsWith(`${name}-`)) console.log(id, m.headers.get("Cx-Status"));
}

await Promise.all([
  consume("CX_RESULTS", `${name}-results`, "cx.result.>", showResult),
  consume("CX_EVENTS", name, "cx.message.created", answer),
]);
