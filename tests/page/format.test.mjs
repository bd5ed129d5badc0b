// Units, rounding, and what stands for what is not there.
import assert from "node:assert/strict";
import test from "node:test";
import { ago, capacity, capital, clock, duration, number, percent, rate } from "../../src/page/format.js";

const plain = (value) => JSON.parse(JSON.stringify(value).replaceAll("\u00a0", " "));
const table = (name, format, rows) =>
  test(name, () => {
    for (const [input, expected] of rows) {
      assert.deepEqual(plain(format(...[input].flat())), expected, `of ${JSON.stringify(input)}`);
    }
  });

table("a percentage has one decimal, and none where it is full", percent, [
  [0, "0.0"],
  [32.54, "32.5"],
  [99.94, "99.9"],
  [99.95, "100"],
  [100, "100"],
  [null, "–"],
  [undefined, "–"],
  [NaN, "–"],
  ["32", "–"],
]);

table("a rate keeps three digits and the unit that fits them", rate, [
  [0, ["0", "B/s"]],
  [999, ["999", "B/s"]],
  [1000, ["0.98", "KiB/s"]],
  [1024, ["1.00", "KiB/s"]],
  [10 * 1024, ["10.0", "KiB/s"]],
  [128 * 1024, ["128", "KiB/s"]],
  [1024 ** 2 * 1.5, ["1.50", "MiB/s"]],
  [1024 ** 2 * 9.999, ["10.0", "MiB/s"]],
  [1024 ** 2 * 99.99, ["100", "MiB/s"]],
  [1024 ** 5 * 7, ["7168", "TiB/s"]],
  [-5, ["0", "B/s"]],
  [null, ["–", "B/s"]],
]);

table("a capacity is written in GiB, and in TiB where the total is that large", (used, total) => capacity(used, total), [
  [[15.5, 32], "15.50 of 32.00 GiB"],
  [[512, 2048], "0.50 of 2.00 TiB"],
  [[undefined, 32], "–"],
  [[1, null], "–"],
]);

table("a length of time is told in its two largest units", duration, [
  [0, "0 s"],
  [0.4, "0 s"],
  [59.9, "59 s"],
  [60, "1 min"],
  [61, "1 min 1 s"],
  [3600, "1 h"],
  [3605, "1 h"],
  [4 * 3600 + 12 * 60, "4 h 12 min"],
  [86399, "23 h 59 min"],
  [12 * 86400 + 2 * 3600 + 61, "12 d 2 h"],
  [86400 + 61, "1 d"],
  [-1, "–"],
  [NaN, "–"],
  [undefined, "–"],
]);

table("an age is told in its largest unit alone", ago, [
  [0, "just now"],
  [999, "just now"],
  [2000, "2 s ago"],
  [119_000, "1 min ago"],
  [2 * 3600_000 + 5000, "2 h ago"],
  [3 * 86400_000, "3 d ago"],
]);

table("a number keeps the decimals that still say something", number, [
  [0, "0"],
  [12, "12"],
  [1234567, "1,234,567"],
  [12345.678, "12,346"],
  [198.24, "198.2"],
  [1.2345, "1.23"],
  [0.12345, "0.1235"],
  [0.0001, "1.00e-4"],
  [-3.5, "-3.5"],
  [1e18, "1.00e+18"],
  [Infinity, "–"],
  [null, "–"],
]);

test("a time has its date only where that is not today's", () => {
  const now = new Date(2026, 0, 2, 14, 3, 5).getTime();
  assert.equal(clock(now, now), "14:03:05");
  assert.equal(clock(new Date(2026, 0, 2, 0, 0, 9).getTime(), now), "00:00:09");
  assert.equal(clock(new Date(2025, 11, 31, 23, 59, 1).getTime(), now), "2025-12-31 23:59:01");
  assert.equal(clock(NaN, now), "–");
});

test("a capital is the first letter's alone", () => {
  assert.equal(capital("web-1 is up"), "Web-1 is up");
  assert.equal(capital(""), "");
});
