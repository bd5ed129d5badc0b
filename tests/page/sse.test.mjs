// The event stream parser, with the stream cut anywhere, and the door that reads it.
import assert from "node:assert/strict";
import test from "node:test";
import { SseParser, streamDoor } from "../../src/page/sse.js";

const STREAM = [
  ": keepalive\n\n",
  "id: b-1\nevent: system_stats\ndata: {\"a\":1}\n\n",
  "event: never sent\n\n",
  "data:first\ndata: second\ndata\n\n",
  "id: b-2\r\nevent: alert\r\ndata: with: colons\r\n\r\n",
  "id: b-3\rdata: old lines\r\r",
  "unknown: field\nretry: 10\ndata:  two spaces\n\n",
  "data: unfinished\n",
].join("");
const EVENTS = [
  { type: "system_stats", data: '{"a":1}' },
  { type: "message", data: "first\nsecond\n" },
  { type: "alert", data: "with: colons" },
  { type: "message", data: "old lines" },
  { type: "message", data: " two spaces" },
];

test("a whole stream gives its events and its last id", () => {
  const parser = new SseParser();
  assert.deepEqual(parser.push(STREAM), EVENTS);
  assert.equal(parser.lastId, "b-3");
});

test("a stream cut in two anywhere gives the same", () => {
  for (let cut = 0; cut <= STREAM.length; cut += 1) {
    const parser = new SseParser();
    const events = [...parser.push(STREAM.slice(0, cut)), ...parser.push(STREAM.slice(cut))];
    assert.deepEqual(events, EVENTS, `cut at ${cut}`);
    assert.equal(parser.lastId, "b-3");
  }
});

test("a stream in single characters gives the same", () => {
  const parser = new SseParser();
  assert.deepEqual([...STREAM].flatMap((char) => parser.push(char)), EVENTS);
});

test("an id with a NUL is passed over, an empty one forgets", () => {
  const parser = new SseParser();
  parser.push("id: 7\ndata: x\n\nid: a\0b\n");
  assert.equal(parser.lastId, "7");
  parser.push("id\n");
  assert.equal(parser.lastId, "");
});

test("an event over the bound is refused, on one line or on many", () => {
  const parser = new SseParser();
  const mebibyte = "x".repeat(1024 * 1024);
  parser.push("data: ");
  for (let part = 0; part < 3; part += 1) assert.deepEqual(parser.push(mebibyte), []);
  assert.throws(() => parser.push(mebibyte), RangeError);
  const lines = new SseParser();
  for (let part = 0; part < 4; part += 1) lines.push(`data: ${mebibyte}\n`);
  assert.throws(() => lines.push("data: x\n"), RangeError);
});

/** Opens a door onto `response`, and waits until it is closed. Gives what was heard and what was asked for. */
async function through(door, response) {
  const heard = [];
  const real = globalThis.fetch;
  let asked;
  globalThis.fetch = async (url, options) => {
    asked = { url, ...options.headers };
    return response;
  };
  await new Promise((done) => {
    door({
      opened: () => heard.push("opened"),
      alive: () => heard.push("alive"),
      message: (data, type) => heard.push(`${type}: ${data}`),
      closed: (reason) => done(heard.push(`closed: ${reason}`)),
    });
  });
  globalThis.fetch = real;
  return { heard, asked };
}
const stream = (text) => new Response(text, { headers: { "content-type": "text/event-stream; charset=utf-8" } });

test("a door says the last id it saw when it is opened again", async () => {
  const door = streamDoor("http://host/ws?last=30");
  const first = await through(door, stream("id: b-9\nevent: tick\ndata: 1\n\n"));
  assert.deepEqual(first.heard, ["opened", "alive", "tick: 1", "closed: the stream ended"]);
  assert.deepEqual(first.asked, { url: "http://host/ws?last=30", Accept: "text/event-stream" });
  const second = await through(door, stream(": keepalive\n\n"));
  assert.equal(second.asked["Last-Event-ID"], "b-9");
  const third = await through(door, stream(""));
  assert.equal(third.asked["Last-Event-ID"], "b-9");
});

test("a door that does not resume never says an id", async () => {
  const door = streamDoor("http://host/ws", false);
  await through(door, stream("id: b-9\ndata: 1\n\n"));
  assert.equal((await through(door, stream(""))).asked["Last-Event-ID"], undefined);
});

test("an answer that is no stream closes the door before it opened", async () => {
  const page = await through(streamDoor("http://host/ws"), new Response("<html>", { headers: { "content-type": "text/html" } }));
  assert.deepEqual(page.heard, ["closed: no stream, status 200"]);
  const refused = await through(streamDoor("http://host/ws"), new Response("{}", { status: 503 }));
  assert.deepEqual(refused.heard, ["closed: no stream, status 503"]);
});
