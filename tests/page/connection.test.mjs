// The state machine of a connection, with doors, time and chance made up.
import assert from "node:assert/strict";
import test from "node:test";
import { Connection, LIMITS, backoff, decode, feedUrl } from "../../src/page/connection.js";

/** A clock that moves when told, and runs what is due in order. */
class FakeClock {
  time = 1000;
  #due = new Map();
  #next = 1;
  now = () => this.time;
  after = (run, ms) => {
    this.#due.set(this.#next, { at: this.time + ms, run });
    return this.#next++;
  };
  cancel = (timer) => this.#due.delete(timer);
  get pending() {
    return this.#due.size;
  }
  pass(ms) {
    const end = this.time + ms;
    for (;;) {
      const [first] = [...this.#due].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0]);
      if (!first) break;
      this.#due.delete(first[0]);
      this.time = Math.max(this.time, first[1].at);
      first[1].run();
    }
    this.time = end;
  }
}

/** A connection to nothing: `tries` are its doors in order, `states` and `heard` what it said. */
function setUp({ random = () => 1, online = true } = {}) {
  const it = { clock: new FakeClock(), tries: [], states: [], heard: [], online };
  const door = (kind) => (to) => {
    const made = { kind, to, closed: false, asked: 0, at: it.clock.time };
    it.tries.push(made);
    return { close: () => (made.closed = true), ...(kind === "WebSocket" && { ask: () => (made.asked += 1) }) };
  };
  it.connection = new Connection({
    doors: { WebSocket: door("WebSocket"), SSE: door("SSE") },
    onMessage: (text, type) => it.heard.push([text, type]),
    onChange: (state) => it.states.push(state),
    clock: it.clock,
    random,
    online: () => it.online,
  });
  Object.defineProperties(it, {
    last: { get: () => it.tries.at(-1) },
    state: { get: () => it.connection.state },
    wait: { get: () => it.state.retryAt - it.clock.time },
    kinds: { get: () => it.tries.map(({ kind }) => kind) },
  });
  it.connection.now();
  return it;
}

/** Fails the door in use, and passes the wait, `count` times. */
function fail(it, count) {
  for (let time = 0; time < count; time += 1) {
    const before = it.tries.length;
    it.last.to.closed("", 1006);
    if (it.tries.length === before) it.clock.pass(it.wait);
  }
}

test("the back-off stays between nothing and a ceiling that doubles up to the cap", () => {
  const ceilings = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000];
  ceilings.forEach((ceiling, attempt) => {
    assert.equal(backoff(attempt, () => 0), 0);
    assert.equal(backoff(attempt, () => 1), ceiling);
    assert.equal(backoff(attempt, () => 0.5), ceiling / 2);
  });
  assert.equal(backoff(5000, () => 1), LIMITS.cap);
});

test("a first connection goes from connecting to connected", () => {
  const it = setUp();
  assert.deepEqual(it.states.map(({ status }) => status), ["connecting"]);
  it.last.to.opened();
  assert.equal(it.state.status, "connected");
  assert.equal(it.state.transport, "WebSocket");
  it.last.to.message("hello");
  assert.deepEqual(it.heard, [["hello", undefined]]);
});

test("a lost connection is tried again after a wait that grows with each failure", () => {
  const it = setUp();
  it.last.to.opened();
  it.clock.pass(1000);
  for (const wait of [500, 1000, 2000, 4000]) {
    it.last.to.closed("", 1006);
    assert.equal(it.state.status, "reconnecting");
    assert.equal(it.wait, wait);
    it.clock.pass(wait - 1);
    assert.equal(it.state.retryAt - it.clock.time, 1);
    it.clock.pass(1);
    assert.equal(it.state.retryAt, null);
    it.last.to.opened();
  }
});

test("the back-off starts over only once a connection has held", () => {
  const it = setUp();
  fail(it, 1);
  it.last.to.opened();
  it.clock.pass(LIMITS.held - 1);
  it.last.to.closed("", 1006);
  assert.equal(it.wait, 1000);
  it.clock.pass(1000);
  it.last.to.opened();
  it.clock.pass(LIMITS.held);
  it.last.to.closed("", 1006);
  assert.equal(it.wait, 500);
});

test("a server that restarts is no failure", () => {
  const it = setUp();
  fail(it, 7);
  it.last.to.opened();
  it.last.to.closed("bye", 1012);
  assert.equal(it.wait, 500);
  assert.equal(it.state.status, "reconnecting");
  assert.equal(it.state.reason, "server restarting");
});

test("two sockets that never opened lead to SSE in the same try", () => {
  const it = setUp();
  it.last.to.closed("", 1006);
  assert.deepEqual(it.kinds, ["WebSocket"]);
  it.clock.pass(500);
  it.last.to.closed("", 1006);
  assert.deepEqual(it.kinds, ["WebSocket", "WebSocket", "SSE"]);
  it.last.to.opened();
  assert.equal(it.state.transport, "SSE");
  it.last.to.message("{}", "tick");
  assert.deepEqual(it.heard, [["{}", "tick"]]);
});

test("each reconnect tries the socket before SSE, and forgets SSE once one opens", () => {
  const it = setUp();
  fail(it, 2);
  it.last.to.opened();
  it.last.to.closed("the stream ended");
  it.clock.pass(it.wait);
  assert.equal(it.last.kind, "WebSocket");
  it.last.to.closed("", 1006);
  assert.equal(it.last.kind, "SSE");
  it.last.to.closed("no stream");
  it.clock.pass(it.wait);
  assert.equal(it.last.kind, "WebSocket");
  it.last.to.opened();
  it.last.to.closed("", 1006);
  it.clock.pass(it.wait);
  it.last.to.closed("", 1006);
  assert.equal(it.tries.at(-1).kind, "WebSocket");
  assert.equal(it.state.retryAt !== null, true);
});

test("a door that never opens is given up, and closed", () => {
  const it = setUp();
  it.clock.pass(LIMITS.open - 1);
  assert.equal(it.state.status, "connecting");
  it.clock.pass(1);
  assert.equal(it.state.status, "reconnecting");
  assert.equal(it.tries[0].closed, true);
});

test("silence is first asked about, then taken for death", () => {
  const it = setUp();
  it.last.to.opened();
  it.clock.pass(LIMITS.ask - 1);
  assert.equal(it.last.asked, 0);
  it.clock.pass(1);
  assert.equal(it.last.asked, 1);
  it.clock.pass(LIMITS.silence - LIMITS.ask - 1);
  assert.equal(it.state.status, "connected");
  it.clock.pass(1);
  assert.equal(it.state.status, "reconnecting");
  assert.equal(it.tries[0].closed, true);
});

test("anything heard puts the silence off, over SSE too", () => {
  for (const sound of ["message", "alive"]) {
    const it = setUp();
    fail(it, sound === "alive" ? 2 : 0);
    it.last.to.opened();
    for (let beat = 0; beat < 20; beat += 1) {
      it.clock.pass(LIMITS.silence - 1);
      assert.equal(it.state.status, "connected", `${sound} ${beat}`);
      it.last.to[sound]("{}");
    }
    it.clock.pass(LIMITS.silence);
    assert.equal(it.state.status, "reconnecting");
  }
});

test("ten failures in a row show as disconnected, and trying goes on", () => {
  const it = setUp();
  const statuses = [];
  while (statuses.length < 12) {
    it.last.to.closed("", 1006);
    if (it.state.retryAt === null) continue;
    statuses.push(it.state.status);
    it.clock.pass(it.wait);
  }
  assert.deepEqual(statuses, [...Array(9).fill("reconnecting"), ...Array(3).fill("disconnected")]);
  it.last.to.opened();
  assert.equal(it.state.status, "connected");
});

test("a failure without a network shows as disconnected at once", () => {
  const it = setUp();
  it.last.to.opened();
  it.online = false;
  it.last.to.closed("", 1006);
  assert.equal(it.state.status, "disconnected");
});

test("the button ends a wait and a try that hangs, and leaves a connection alone", () => {
  const it = setUp();
  it.last.to.closed("", 1006);
  it.connection.now();
  assert.equal(it.tries.length, 2);
  assert.equal(it.state.retryAt, null);
  it.connection.now();
  assert.equal(it.tries.length, 3);
  assert.equal(it.tries[1].closed, true);
  it.last.to.opened();
  it.connection.now();
  assert.equal(it.tries.length, 3);
  assert.equal(it.clock.pending, 1);
});

test("what a door says after it was left is heard by nobody", () => {
  const it = setUp();
  const [old] = it.tries;
  it.connection.now();
  it.last.to.opened();
  old.to.opened();
  old.to.message("late");
  old.to.closed("late", 1000);
  assert.equal(it.state.status, "connected");
  assert.deepEqual(it.states.map(({ status }) => status), ["connecting", "connecting", "connected"]);
  assert.deepEqual(it.heard, []);
});

test("waking ends a wait at once", () => {
  const it = setUp();
  it.last.to.closed("", 1006);
  it.connection.wake();
  assert.equal(it.tries.length, 2);
  it.connection.wake();
  assert.equal(it.tries.length, 2);
});

test("waking makes an open socket prove itself", () => {
  const it = setUp();
  it.last.to.opened();
  it.connection.wake();
  assert.equal(it.last.asked, 1);
  it.clock.pass(LIMITS.doubt - 1);
  it.last.to.message("{}");
  it.clock.pass(LIMITS.doubt + 1);
  assert.equal(it.state.status, "connected");
  it.connection.wake();
  it.clock.pass(LIMITS.doubt - 1);
  assert.equal(it.state.status, "connected");
  it.clock.pass(1);
  assert.equal(it.state.status, "reconnecting");
});

test("a door that cannot be made is a failure and no error", () => {
  const clock = new FakeClock();
  let throws = true;
  const doors = {
    WebSocket: () => {
      if (throws) throw new Error("refused");
      return { close() {}, ask() {} };
    },
  };
  const connection = new Connection({ doors, onMessage() {}, onChange() {}, clock, random: () => 1 });
  connection.now();
  assert.equal(connection.state.status, "reconnecting");
  assert.equal(connection.state.reason, "refused");
  throws = false;
  clock.pass(500);
  assert.equal(connection.state.retryAt, null);
});

test("never more than one timer is pending", () => {
  const it = setUp();
  const quiet = () => assert.equal(it.clock.pending, 1);
  quiet();
  it.last.to.opened();
  quiet();
  it.clock.pass(LIMITS.ask);
  quiet();
  it.connection.wake();
  quiet();
  it.last.to.closed("", 1006);
  quiet();
  it.connection.now();
  quiet();
});

test("a feed's address follows the page's, and asks for history", () => {
  const check = (path, page, scheme, expected) => assert.equal(feedUrl(path, page, 30, scheme), expected);
  check("/ws", "https://host:8443/live?x=1#y", "ws", "wss://host:8443/ws?last=30");
  check("/ws", "http://127.0.0.1:8080/", "ws", "ws://127.0.0.1:8080/ws?last=30");
  check("/ws/a b", "https://host/", "http", "https://host/ws/a%20b?last=30");
});

test("a page's own token goes to a feed that asks for it, and to no other", () => {
  const page = "https://host/live?jwt=a%2Bb&x=1";
  assert.equal(feedUrl("/ws", page, 30, "ws", "jwt"), "wss://host/ws?last=30&jwt=a%2Bb");
  assert.equal(feedUrl("/ws", page, 30, "ws", "token"), "wss://host/ws?last=30");
  assert.equal(feedUrl("/ws", page, 30, "ws"), "wss://host/ws?last=30");
});

test("a message is read in whatever shape the route gives it", () => {
  const time = Date.parse("2026-01-02T03:04:05.678Z");
  const check = (text, expected, hint) => assert.deepEqual({ ...decode(text, hint) }, expected);
  const stamp = '"timestamp":"2026-01-02T03:04:05.678Z"';
  check(`{"type":"a","data":{"b":1},${stamp}}`, { type: "a", data: { b: 1 }, time, system: false, upstream: undefined });
  check(`{"type":"a","data":null,${stamp}}`, { type: "a", data: null, time, system: false, upstream: undefined });
  check('{"type":"a","b":1}', { type: "a", data: { b: 1 }, time: NaN, system: false, upstream: undefined });
  check(`{"type":"keepalive","data":null,"upstream":"stale",${stamp}}`, {
    type: "keepalive",
    data: null,
    time,
    system: true,
    upstream: "stale",
  });
  check('{"b":1}', { type: "tick", data: { b: 1 }, time: NaN, system: false }, "tick");
  check("[1,2]", { type: "message", data: [1, 2], time: NaN, system: false });
  check("null", { type: "message", data: null, time: NaN, system: false });
  check("plain text", { type: "message", data: "plain text", time: NaN, system: false });
  check('"text"', { type: "message", data: "text", time: NaN, system: false });
});
