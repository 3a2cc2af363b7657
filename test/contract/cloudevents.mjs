// Reads messages from standard input, a JSON array of {headers, body}, as CloudEvents in binary mode with the official SDK, and prints the
// events that it makes of them. Headers of NATS are those of HTTP here: the SDK has no binding for NATS.
import { text } from 'node:stream/consumers';
import { HTTP } from 'cloudevents';

const events = JSON.parse(await text(process.stdin)).map(({ headers, body }) => {
  const event = HTTP.toEvent({ headers, body });
  event.validate();
  return event.toJSON();
});
console.log(JSON.stringify(events));
