//! Answers customers of Sangoma CX over NATS, and hands over to a human agent on the word "agent".
use async_nats::jetstream::{self, AckKind, Context, Message, consumer, message::PublishMessage};
use async_nats::{ConnectOptions, Error};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;

/// Of the durable consumers, and the beginning of every command id.
const NAME: &str = "rust-bot";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = std::env::var("NATS_URL").unwrap_or("nats://127.0.0.1:4222".into());
    let js = jetstream::new(ConnectOptions::new().name(NAME).max_reconnects(None).connect(url).await?);
    tokio::try_join!(
        consume(&js, "CX_RESULTS", format!("{NAME}-results"), "cx.result.>", show_result),
        consume(&js, "CX_EVENTS", NAME.into(), "cx.message.created", answer),
    )?;
    Ok(())
}

/// Takes messages one by one, in order. The server knows how far this bot came: what was not acknowledged comes again.
async fn consume(
    js: &Context,
    stream: &str,
    durable: String,
    subject: &str,
    handle: impl AsyncFn(&Context, &Message) -> Result<(), Error>,
) -> Result<(), Error> {
    let config = consumer::pull::Config {
        durable_name: Some(durable),
        filter_subject: subject.into(),
        deliver_policy: consumer::DeliverPolicy::New,
        ack_policy: consumer::AckPolicy::Explicit,
        max_ack_pending: 1,
        ..Default::default()
    };
    let mut messages = js.get_stream(stream).await?.create_consumer(config).await?.messages().await?;
    while let Some(next) = messages.next().await {
        let m = match next {
            Ok(m) => m,
            Err(e) => {
                eprintln!("{e}"); // the bus is away; the client reconnects and asks again
                continue;
            }
        };
        let done = match handle(js, &m).await {
            Ok(()) => m.ack().await, // if this gets lost, the message comes again, and its command is already known
            Err(e) => {
                eprintln!("{e}");
                let wait = Some(Duration::from_secs(1));
                m.ack_with(if e.is::<serde_json::Error>() { AckKind::Term } else { AckKind::Nak(wait) }).await
            }
        };
        done.unwrap_or_else(|e| eprintln!("{e}"));
    }
    Err(format!("{stream}: the messages ended").into())
}

/// Turns a message of a customer into a command.
async fn answer(js: &Context, m: &Message) -> Result<(), Error> {
    if header(m, "Cx-Origin") != "customer" || header(m, "Cx-Loop") == "true" {
        return Ok(()); // an agent, the system or a bot wrote it, perhaps this one; or two bots keep answering each other
    }
    let event: Value = serde_json::from_slice(&m.payload)?;
    if event["conversation"]["status"] == "open" {
        return Ok(()); // a human agent has it
    }
    let content = event["content"].as_str().unwrap_or_default(); // a picture has none
    let (conversation, id) = (header(m, "Cx-Conversation-Id"), header(m, "Cx-Message-Id"));
    let (kind, id, command) = if content.trim().eq_ignore_ascii_case("agent") {
        ("conversation.handoff", format!("{NAME}-handoff-{id}"), json!({"conversation_id": conversation}))
    } else {
        let command = json!({"conversation_id": conversation, "content": format!("You wrote: {content}")});
        ("message.send", format!("{NAME}-answer-{id}"), command)
    };
    // The message id is that of the command: sent twice, done once.
    let mut command = PublishMessage::build().message_id(id).payload(command.to_string().into());
    if !header(m, "traceparent").is_empty() {
        command = command.header("traceparent", header(m, "traceparent")); // traces lead from the event to the command
    }
    js.send_publish(format!("cx.cmd.{kind}"), command).await?.await?;
    Ok(())
}

/// Tells how a command of this bot ended.
async fn show_result(_: &Context, m: &Message) -> Result<(), Error> {
    let id = header(m, "Cx-Command-Id");
    if id.starts_with(&format!("{NAME}-")) {
        println!("{id} {}", header(m, "Cx-Status"));
    }
    Ok(())
}

fn header<'a>(m: &'a Message, name: &str) -> &'a str {
    m.headers.as_ref().and_then(|h| h.get(name)).map_or("", |v| v.as_str())
}
