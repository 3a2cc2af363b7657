"""Answers customers of Sangoma CX with what takes its time, such as a language model, many customers at once."""

import asyncio
import json
import logging
import os
from datetime import UTC, datetime, timedelta
from urllib.request import urlopen

import nats
from nats.errors import Error, TimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

NAME = "python-llm-bot"  # of the durable consumers, and the beginning of every command id
AT_ONCE = 100  # messages that are worked on at the same time
ACK_WAIT = 30  # seconds after which a message comes again, unless the server hears that it is being worked on
GOOD_FOR = timedelta(minutes=10)  # an older answer is of no use
thinking = {}  # conversation: the task that thinks about its last message


async def think(prompt):
    """Stands for the language model: LLM_URL is asked, if it is set."""
    if url := os.environ.get("LLM_URL"):
        return await asyncio.to_thread(lambda: urlopen(url, prompt.encode()).read().decode())
    await asyncio.sleep(5)
    return f"I thought about this: {prompt}"


async def answer(js, m):
    """Thinks about a message of a customer, until the customer or an agent writes something newer."""
    event, conversation = json.loads(m.data), m.headers.get("Cx-Conversation-Id")
    if m.headers["Cx-Origin"] in ("customer", "agent") and conversation in thinking:
        thinking.pop(conversation).cancel()
    if m.headers["Cx-Origin"] != "customer" or m.headers.get("Cx-Loop") == "true":
        return
    until = datetime.fromisoformat(m.headers["Cx-Received-At"]) + GOOD_FOR
    if event["conversation"].get("status") == "open" or not event["content"] or datetime.now(UTC) > until:
        return
    thinking[conversation] = asyncio.current_task()
    content = await think(event["content"])
    if thinking.get(conversation) is asyncio.current_task():
        del thinking[conversation]
    headers = {
        "Nats-Msg-Id": f"{NAME}-answer-{m.headers['Cx-Message-Id']}",  # the id of the command: sent twice, done once
        "Cx-Expires-At": until.isoformat(),
        "Cx-Only-If": "still-with-bot, no-newer-customer-message",  # when the answer's turn comes, which may be later
        **{name: value for name, value in m.headers.items() if name == "traceparent"},
    }
    command = {"conversation_id": conversation, "content": content}
    await js.publish("cx.cmd.message.send", json.dumps(command).encode(), headers=headers)


async def show_result(js, m):
    """Tells how a command of this bot ended."""
    if m.headers["Cx-Command-Id"].startswith(NAME + "-"):
        print(m.headers["Cx-Command-Id"], m.headers["Cx-Status"], flush=True)


async def work(js, m, handle):
    """Handles a message, and tells the server all the while that it is being worked on."""
    task = asyncio.create_task(handle(js, m))
    try:
        while not (await asyncio.wait([task], timeout=ACK_WAIT / 3))[0]:
            await m.in_progress()
        if not task.cancelled():
            task.result()
        await m.ack()
    except (AttributeError, LookupError, TypeError, ValueError):
        logging.exception("not understood: %s", m.data)
        await m.term()  # it will not get better
    except Exception:  # whatever it was, the other customers must not suffer from it
        logging.exception("the message comes again")


async def consume(js, stream, durable, subject, handle):
    """Takes messages as they come, as many at once as the server lets wait for their acknowledgement."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.NEW, ack_policy=AckPolicy.EXPLICIT, max_ack_pending=AT_ONCE, ack_wait=ACK_WAIT
    )
    messages = await js.pull_subscribe(subject, durable, stream, config)
    async with asyncio.TaskGroup() as tasks:
        while True:
            try:
                for m in await messages.fetch(1, timeout=10):
                    tasks.create_task(work(js, m, handle))
            except TimeoutError:
                pass  # nothing came, or the bus is away
            except Error as e:
                logging.warning("%s", e)
                await asyncio.sleep(1)


async def main():
    async with await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), name=NAME, max_reconnect_attempts=-1) as nc:
        results = consume(nc.jetstream(), "CX_RESULTS", NAME + "-results", "cx.result.>", show_result)
        await asyncio.gather(results, consume(nc.jetstream(), "CX_EVENTS", NAME, "cx.message.created", answer))


asyncio.run(main())
