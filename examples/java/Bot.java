import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.nats.client.Connection;
import io.nats.client.ConsumerContext;
import io.nats.client.JetStream;
import io.nats.client.JetStreamApiException;
import io.nats.client.Message;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.PublishOptions;
import io.nats.client.api.AckPolicy;
import io.nats.client.api.ConsumerConfiguration;
import io.nats.client.api.DeliverPolicy;
import io.nats.client.impl.Headers;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.Executors;

/** Answers customers of Sangoma CX over NATS, and hands over to a human agent on the word "agent". */
public class Bot {
    /** Of the durable consumers, and the beginning of every command id. */
    static final String NAME = "java-bot";

    interface Handler {
        void handle(JetStream js, Message m) throws IOException, JetStreamApiException;
    }

    public static void main(String[] args) throws Exception {
        String url = System.getenv().getOrDefault("NATS_URL", "nats://127.0.0.1:4222");
        Connection nc = Nats.connect(new Options.Builder().server(url).connectionName(NAME).maxReconnects(-1)
            .pingInterval(Duration.ofSeconds(5)).build()); // a connection that hangs after a restart of NATS is noticed soon
        var tasks = new ExecutorCompletionService<Void>(Executors.newCachedThreadPool());
        tasks.submit(() -> consume(nc, "CX_RESULTS", NAME + "-results", "cx.result.>", Bot::showResult));
        tasks.submit(() -> consume(nc, "CX_EVENTS", NAME, "cx.message.created", Bot::answer));
        System.err.println(tasks.take()); // a task ends only when it fails
        System.exit(1);
    }

    /** Takes messages one by one, in order. The server knows how far this bot came: what was not acknowledged comes again. */
    static Void consume(Connection nc, String stream, String durable, String subject, Handler handler) throws Exception {
        JetStream js = nc.jetStream();
        ConsumerConfiguration config = ConsumerConfiguration.builder().durable(durable).filterSubject(subject)
            .deliverPolicy(DeliverPolicy.New).ackPolicy(AckPolicy.Explicit).maxAckPending(1).build();
        ConsumerContext consumer = nc.getStreamContext(stream).createOrUpdateConsumer(config);
        while (true) {
            Message m = consumer.next(Duration.ofSeconds(10)); // a request is forgotten when NATS restarts, so keep it short
            if (m == null) continue; // nothing came, or the bus is away
            try {
                handler.handle(js, m);
                m.ack(); // if this gets lost, the message comes again, and its command is already known
            } catch (RuntimeException e) {
                System.err.println(e);
                m.term(); // it will not get better
            } catch (IOException | JetStreamApiException e) {
                System.err.println(e);
                m.nakWithDelay(Duration.ofSeconds(1));
            }
        }
    }

    /** Turns a message of a customer into a command. */
    static void answer(JetStream js, Message m) throws IOException, JetStreamApiException {
        if (!"customer".equals(header(m, "Cx-Origin")) || "true".equals(header(m, "Cx-Loop"))) {
            return; // an agent, the system or a bot wrote it, perhaps this one; or two bots keep answering each other
        }
        JsonObject event = JsonParser.parseString(new String(m.getData(), StandardCharsets.UTF_8)).getAsJsonObject();
        if (event.getAsJsonObject("conversation").get("status").getAsString().equals("open")) {
            return; // a human agent has it
        }
        String content = event.get("content").isJsonNull() ? "" : event.get("content").getAsString(); // a picture has none
        JsonObject command = new JsonObject();
        command.addProperty("conversation_id", header(m, "Cx-Conversation-Id"));
        if (content.strip().equalsIgnoreCase("agent")) {
            send(js, m, "conversation.handoff", NAME + "-handoff-" + header(m, "Cx-Message-Id"), command);
        } else {
            command.addProperty("content", "You wrote: " + content);
            send(js, m, "message.send", NAME + "-answer-" + header(m, "Cx-Message-Id"), command);
        }
    }

    /** Publishes a command. Its id is derived from the event: sent twice, done once. Traces lead from the event to the command. */
    static void send(JetStream js, Message event, String kind, String id, JsonObject command) throws IOException, JetStreamApiException {
        Headers trace = new Headers().put("traceparent", event.getHeaders().get("traceparent"));
        js.publish("cx.cmd." + kind, trace, command.toString().getBytes(StandardCharsets.UTF_8), PublishOptions.builder().messageId(id).build());
    }

    /** Tells how a command of this bot ended. */
    static void showResult(JetStream js, Message m) {
        if (header(m, "Cx-Command-Id").startsWith(NAME + "-")) {
            System.out.println(header(m, "Cx-Command-Id") + " " + header(m, "Cx-Status"));
        }
    }

    static String header(Message m, String name) {
        return m.getHeaders().containsKey(name) ? m.getHeaders().getFirst(name) : "";
    }
}
