"""Answers customers of Sangoma CX over NATS, and hands over to a human agent on the word "agent"."""

import asyncio
import json
import logging
import os

import nats
from nats.errors import Error, TimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

NAME = "python-bot"  # of the durable consumers, and the beginning of every command id


async def consume(js, stream, durable, subject, handle):
    """Takes messages one by one, in order. The server knows how far this bot came: what was not acknowledged comes again."""
    config = ConsumerConfig(deliver_policy=DeliverPolicy.NEW, ack_policy=AckPolicy.EXPLICIT, max_ack_pending=1)
    messages = await js.pull_subscribe(subject, durable, stream, config)
    while True:
        try:
            for m in await messages.fetch(1, timeout=10):
                try:
                    await handle(js, m)
                    await m.ack()  # if this gets lost, the message comes again, and its command is already known
                except (AttributeError, LookupError, TypeError, ValueError):
                    logging.exception("not understood: %s", m.data)
                    await m.term()  # it will not get better
        except TimeoutError:
            pass  # nothing came, or the bus is away; a request for messages is forgotten when NATS restarts, so keep it short
        except Error as e:
            logging.warning("%s; the message comes again", e)
            await asyncio.sleep(1)


async def answer(js, m):
    """Turns a message of a customer into a command."""
    if m.headers["Cx-Origin"] != "customer" or m.headers.get("Cx-Loop") == "true":
        return  # an agent, the system or a bot wrote it, perhaps this one; or two bots keep answering each other
    event = json.loads(m.data)
    if event["conversation"].get("status") == "open":
        return  # a human agent has it
    content = event["content"] or ""  # a picture has none
    command = {"conversation_id": m.headers["Cx-Conversation-Id"]}
    if content.strip().lower() == "agent":
        kind, id = "conversation.handoff", f"{NAME}-handoff-{m.headers['Cx-Message-Id']}"
    else:
        kind, id = "message.send", f"{NAME}-answer-{m.headers['Cx-Message-Id']}"
        command["content"] = f"You wrote: {content}"
    headers = {"Nats-Msg-Id": id}  # the id of the command: sent twice, done once
    if "traceparent" in m.headers:
        headers["traceparent"] = m.headers["traceparent"]  # so that traces lead from the event to what came of it
    await js.publish(f"cx.cmd.{kind}", json.dumps(command).encode(), headers=headers)


async def show_result(js, m):
    """Tells how a command of this bot ended."""
    if m.headers["Cx-Command-Id"].startswith(NAME + "-"):
        print(m.headers["Cx-Command-Id"], m.headers["Cx-Status"], flush=True)


async def main():
    url = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
    async with await nats.connect(url, name=NAME, max_reconnect_attempts=-1) as nc:
        js = nc.jetstream()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(consume(js, "CX_RESULTS", NAME + "-results", "cx.result.>", show_result))
            tasks.create_task(consume(js, "CX_EVENTS", NAME, "cx.message.created", answer))


asyncio.run(main())
