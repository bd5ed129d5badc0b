// What the views decide without a document: alerts, levels, and the rows of any message.
import assert from "node:assert/strict";
import test from "node:test";
import { AlertLog, MAX_ALERTS, describe } from "../../src/page/alerts.js";
import { flatten, write } from "../../src/page/view-generic.js";
import { level } from "../../src/page/view-system.js";

const data = (since = "2026-01-02T03:04:05Z", more = {}) => ({
  rule: "/data/cpu/usage above 90",
  at: "/data/cpu/usage",
  value: 93.4,
  above: 90,
  level: "warning",
  since,
  ...more,
});
const states = (log) => log.entries.map(({ active }) => active);

test("an alert starts, is told again without effect, and ends", () => {
  const log = new AlertLog();
  const started = log.take("/a", "alert", data(), 10);
  assert.equal(started.active, true);
  assert.equal(started.started, Date.parse("2026-01-02T03:04:05Z"));
  assert.equal(log.take("/a", "alert", data(), 10), null);
  const ended = log.take("/a", "alert_cleared", data(undefined, { value: 80 }), 30);
  assert.equal(ended, started);
  assert.deepEqual([ended.active, ended.ended, ended.data.value], [false, 30, 80]);
  assert.equal(log.take("/a", "alert_cleared", data(), 30), null);
  assert.deepEqual(states(log), [false]);
});

test("the same rule over again is another alert, and so are other keys and feeds", () => {
  const log = new AlertLog();
  log.take("/a", "alert", data(), 1);
  log.take("/a", "alert_cleared", data(), 2);
  log.take("/a", "alert", data("2026-01-02T04:00:00Z"), 3);
  log.take("/a", "alert", data(undefined, { key: "web-1" }), 4);
  log.take("/b", "alert", data(), 5);
  assert.deepEqual(states(log), [true, true, true, false]);
});

test("a clear without its beginning is kept as one", () => {
  const log = new AlertLog();
  assert.equal(log.take("/a", "alert_cleared", data(), 5).active, false);
  assert.equal(log.take("/a", "alert", null, 6).started, 6);
});

test("the list is bounded, and what is over goes before what is not", () => {
  const log = new AlertLog();
  const since = (index) => new Date(index * 1000).toISOString();
  log.take("/a", "alert", data(since(0), { rule: "stays" }), 0);
  for (let index = 1; index < 50; index += 1) {
    log.take("/a", "alert", data(since(index)), index);
    log.take("/a", "alert_cleared", data(since(index)), index);
  }
  assert.equal(log.entries.length, MAX_ALERTS);
  assert.equal(log.active[0].data.rule, "stays");
  for (let index = 50; index < 99; index += 1) log.take("/a", "alert", data(since(index), { rule: index }), index);
  assert.equal(log.entries.length, MAX_ALERTS);
  assert.equal(log.entries[0].data.rule, 98);
});

test("a new connection starts its feed's story over, and leaves others alone", () => {
  const log = new AlertLog();
  log.take("/a", "alert", data(), 1);
  log.take("/b", "alert", data(), 2);
  log.open("/a");
  assert.deepEqual(log.active.map(({ feed }) => feed), ["/b"]);
});

test("an alert is described in words", () => {
  assert.deepEqual(describe(data(), true), { title: "CPU usage", text: "93.4, above 90" });
  assert.deepEqual(describe(data(), false), { title: "CPU usage", text: "back to 93.4" });
  const keyed = { at: "/data/network/rx_bytes_per_s", key: "web-1", value: 12345.6, above: 1e4 };
  assert.deepEqual(describe(keyed, true), { title: "Network rx bytes per s of web-1", text: "12,346, above 10,000" });
  assert.deepEqual(describe({}, true), { title: "Alert", text: "–, above –" });
});

test("a share's level rises at its thresholds, and nothing is normal", () => {
  const at = { high: 80, critical: 95 };
  assert.deepEqual([0, 79.9, 80, 94.9, 95, NaN, undefined, null].map((value) => level(value, at)), [
    "normal", "normal", "high", "high", "critical", "normal", "normal", "normal",
  ]);
});

test("members of objects become rows with the way to them", () => {
  const rows = flatten({ a: 1, b: { c: "x", d: { e: null } }, f: [1, 2], g: {} });
  assert.deepEqual(rows, [["a", 1], ["b › c", "x"], ["b › d › e", null], ["f", [1, 2]]]);
  assert.deepEqual(flatten(7), [["value", 7]]);
  assert.deepEqual(flatten(null), [["value", null]]);
  assert.deepEqual(flatten([1]), [["value", [1]]]);
});

test("rows are bounded in number and depth", () => {
  assert.equal(flatten(Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, index]))).length, 60);
  const deep = JSON.parse('{"a":'.repeat(20) + "1" + "}".repeat(20));
  const [[name, value]] = flatten(deep);
  assert.equal(name, "a › a › a › a");
  assert.equal(typeof value, "object");
});

test("values are written in few words", () => {
  const check = (value, expected) => assert.equal(write(value), expected);
  check(1234.5, "1,234.5");
  check("text", "text");
  check(false, "false");
  check(null, "null");
  check([1, "a", null], "1, a, null");
  check([], "[]");
  check([{ id: 1 }], '[{"id":1}]');
  check({ a: 1 }, '{"a":1}');
  check("x".repeat(500), `${"x".repeat(240)}…`);
});
