#!/usr/bin/env bash
# Answers customers of Sangoma CX with the nats command line and jq, and hands over to a human agent on the word "agent".
set -uo pipefail
export NATS_URL=${NATS_URL:-nats://127.0.0.1:4222}
name=shell-bot # of the durable consumer, and the beginning of every command id

# The server pushes events one by one, in order, to a subject of this bot. What was not acknowledged comes again.
nats consumer add CX_EVENTS "$name" --filter cx.message.created --deliver new --ack explicit --max-pending 1 \
  --target "$name.events" --defaults >/dev/null || exit

# command KIND ID BODY TRACE asks the bridge, and waits for the result. The id is derived from the event: sent twice, done once.
command() {
  local result headers=(--header "Nats-Msg-Id:$2")
  [ "$4" = - ] || headers+=(--header "traceparent:$4") # so that traces lead from the event to what came of it
  result=$(nats request "cx.rpc.$1" "$3" "${headers[@]}" --no-templates --raw) &&
    jq --exit-status --raw-output '"\(.command_id) \(.status)"' <<<"$result"
}

# answer EVENT turns a message of a customer into a command.
answer() {
  local origin loop conversation id trace status content
  IFS=$'\t' read -r origin loop conversation id trace < <(
    jq --raw-output '[.Header["Cx-Origin", "Cx-Loop", "Cx-Conversation-Id", "Cx-Message-Id", "traceparent"] | .[0] // "-"] | @tsv' <<<"$1")
  [ "$origin" = customer ] && [ "$loop" != true ] || return 0 # an agent, the system or a bot wrote it; or bots answer each other
  status=$(jq --raw-output '.Data | @base64d | fromjson | .conversation.status' <<<"$1")
  [ "$status" != open ] || return 0 # a human agent has it
  content=$(jq --raw-output '.Data | @base64d | fromjson | .content // ""' <<<"$1")
  if [ "${content,,}" = agent ]; then
    command conversation.handoff "$name-handoff-$id" "$(jq --null-input --arg c "$conversation" '{conversation_id: $c}')" "$trace"
  else
    command message.send "$name-answer-$id" \
      "$(jq --null-input --arg c "$conversation" --arg text "You wrote: $content" '{conversation_id: $c, content: $text}')" "$trace"
  fi
}

while true; do
  nats subscribe "$name.events" --dump=- | while IFS= read -r -d '' event; do
    if answer "$event"; then
      nats request "$(jq --raw-output .Reply <<<"$event")" '' >/dev/null 2>&1 # acknowledges it, and waits until the server has heard that
    fi
  done
  sleep 1 # the bus is away
done
