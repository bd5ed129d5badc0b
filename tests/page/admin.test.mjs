// Rates and sums of the operators' page.
import assert from "node:assert/strict";
import test from "node:test";
import { rate, since, sum } from "../../src/admin/page/admin.js";

const METRICS = `# HELP steadfeed_messages_total Messages
steadfeed_messages_total{feed="a",direction="in"} 3
steadfeed_messages_total{feed="a",direction="out"} 40
steadfeed_messages_total{feed="b",direction="out"} 2
steadfeed_messages_total_other{direction="out"} 9
steadfeed_connections_open 7
`;

test("a metric is summed over its labels", () => {
  assert.equal(sum(METRICS, "steadfeed_messages_total", 'direction="out"'), 42);
  assert.equal(sum(METRICS, "steadfeed_messages_total"), 45);
  assert.equal(sum(METRICS, "steadfeed_connections_open"), 7);
  assert.equal(sum(METRICS, "steadfeed_nothing"), 0);
});

test("a rate needs two counts, the second not below the first", () => {
  assert.equal(rate(30, 10, 4), "5.0");
  assert.equal(rate(100, 0, 2), "50");
  for (const [now, then, seconds] of [[1, undefined, 2], [1, 0, 0], [1, 5, 2]]) assert.equal(rate(now, then, seconds), "–");
});

test("an age has one unit", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  for (const [time, expected] of [
    ["2026-01-01T23:59:30Z", "30 s"],
    ["2026-01-01T23:00:01Z", "59 min"],
    ["2026-01-01T01:00:00Z", "23 h"],
    ["2025-12-31T00:00:00Z", "2 d"],
    ["2026-01-02T00:00:09Z", "0 s"],
  ]) assert.equal(since(time, now), expected);
});
