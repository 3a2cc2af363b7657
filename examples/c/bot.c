// Answers customers of Sangoma CX over NATS, and hands over to a human agent on the word "agent".
#define _GNU_SOURCE
#include <cjson/cJSON.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "c-bot" // of the durable consumers, and the beginning of every command id

struct consumer {
    jsCtx *js;
    const char *stream, *durable, *subject;
    natsStatus (*handle)(jsCtx *js, natsMsg *m);
};

static const char *header(natsMsg *m, const char *name) {
    const char *value = "";
    return natsMsgHeader_Get(m, name, &value) == NATS_OK ? value : "";
}

// Publishes a command, which it frees. The id is derived from the event: sent twice, done once. Traces lead from the event to the command.
static natsStatus send_command(jsCtx *js, const char *subject, const char *verb, natsMsg *event, cJSON *command) {
    char id[256], *body = cJSON_PrintUnformatted(command);
    snprintf(id, sizeof id, NAME "-%s-%s", verb, header(event, "Cx-Message-Id"));
    natsMsg *m = NULL;
    natsStatus s = natsMsg_Create(&m, subject, NULL, body, (int)strlen(body));
    if (s == NATS_OK && *header(event, "traceparent")) s = natsMsgHeader_Set(m, "traceparent", header(event, "traceparent"));
    if (s == NATS_OK) s = js_PublishMsg(NULL, js, m, &(jsPubOptions){.MsgId = id}, NULL);
    natsMsg_Destroy(m);
    free(body);
    cJSON_Delete(command);
    return s;
}

// Turns a message of a customer into a command.
static natsStatus answer(jsCtx *js, natsMsg *m) {
    if (strcmp(header(m, "Cx-Origin"), "customer") != 0 || strcmp(header(m, "Cx-Loop"), "true") == 0)
        return NATS_OK; // an agent, the system or a bot wrote it, perhaps this one; or two bots keep answering each other
    cJSON *event = cJSON_ParseWithLength(natsMsg_GetData(m), natsMsg_GetDataLength(m)), *command = cJSON_CreateObject();
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(event, "content"));
    const char *status = cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(event, "conversation"), "status"));
    cJSON_AddStringToObject(command, "conversation_id", header(m, "Cx-Conversation-Id"));
    natsStatus s = NATS_OK;
    if (text == NULL || (status != NULL && strcmp(status, "open") == 0)) {
        cJSON_Delete(command); // a picture without text, or a human agent has the conversation
    } else if (strcasecmp(text, "agent") == 0) {
        s = send_command(js, "cx.cmd.conversation.handoff", "handoff", m, command);
    } else {
        char *content;
        if (asprintf(&content, "You wrote: %s", text) < 0) abort();
        cJSON_AddStringToObject(command, "content", content);
        s = send_command(js, "cx.cmd.message.send", "answer", m, command);
        free(content);
    }
    cJSON_Delete(event);
    return s;
}

// Tells how a command of this bot ended.
static natsStatus show_result(__attribute__((unused)) jsCtx *js, natsMsg *m) {
    const char *id = header(m, "Cx-Command-Id");
    if (strncmp(id, NAME "-", strlen(NAME "-")) == 0) printf("%s %s\n", id, header(m, "Cx-Status"));
    return fflush(stdout) == 0 ? NATS_OK : NATS_IO_ERROR;
}

// Takes messages one by one, in order. The server knows how far this bot came: what was not acknowledged comes again.
static void *consume(void *consumer) {
    struct consumer *c = consumer;
    jsSubOptions options = {.Stream = c->stream, .Config = {.DeliverPolicy = js_DeliverNew, .AckPolicy = js_AckExplicit, .MaxAckPending = 1}};
    natsSubscription *sub;
    natsStatus s = js_PullSubscribe(&sub, c->js, c->subject, c->durable, NULL, &options, NULL);
    for (natsMsgList list; s == NATS_OK; natsMsgList_Destroy(&list)) {
        if (natsSubscription_Fetch(&list, sub, 1, 10000, NULL) != NATS_OK) {
            nats_Sleep(100); // nothing came, or the bus is away and the client is looking for it
        } else if (c->handle(c->js, list.Msgs[0]) == NATS_OK) {
            natsMsg_Ack(list.Msgs[0], NULL); // if this gets lost, the message comes again, and its command is already known
        }
    }
    fprintf(stderr, "%s: %s\n", c->durable, natsStatus_GetText(s));
    exit(1);
}

int main(void) {
    natsOptions *options = NULL;
    natsConnection *nc;
    struct consumer events = {NULL, "CX_EVENTS", NAME, "cx.message.created", answer};
    struct consumer results = {NULL, "CX_RESULTS", NAME "-results", "cx.result.>", show_result};
    natsStatus s = natsOptions_Create(&options);
    if (s == NATS_OK) s = natsOptions_SetURL(options, getenv("NATS_URL") ? getenv("NATS_URL") : NATS_DEFAULT_URL);
    if (s == NATS_OK) s = natsOptions_SetMaxReconnect(options, -1);
    if (s == NATS_OK) s = natsConnection_Connect(&nc, options);
    if (s == NATS_OK) s = natsConnection_JetStream(&events.js, nc, NULL);
    results.js = events.js;
    pthread_t thread;
    if (s == NATS_OK && pthread_create(&thread, NULL, consume, &results) == 0) consume(&events);
    return fprintf(stderr, "%s\n", natsStatus_GetText(s));
}
