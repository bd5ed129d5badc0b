// What a series keeps, and the path that is drawn of it.
import assert from "node:assert/strict";
import test from "node:test";
import { POINTS, Series, around, fromZero, sparkPath, step } from "../../src/page/spark.js";

const series = (...points) => {
  const made = new Series();
  for (const [time, value] of points) made.add(time, value);
  return made;
};
const times = ({ points }) => points.map(({ time }) => time);
const box = { width: 290, height: 106, domain: [0, 100] };

test("a series keeps the newest thirty points", () => {
  const made = series(...Array.from({ length: 100 }, (_, index) => [index * 2000, index]));
  assert.equal(made.points.length, POINTS);
  assert.deepEqual(made.points[0], { time: 70 * 2000, value: 70 });
  assert.deepEqual(made.range, { low: 70, high: 99, over: "last\u00a058\u00a0s".replace("\u00a0", " ") });
});

test("history told again after a reconnect is not repeated", () => {
  const made = series([1, 10], [2, 20], [3, 30], [2, 20], [3, 30], [4, 40]);
  assert.deepEqual(times(made), [1, 2, 3, 4]);
});

test("a clock that was set back does not stop the line", () => {
  assert.deepEqual(times(series([100, 1], [200, 2], [50, 3], [60, 4])), [50, 60]);
});

test("what is no number leaves a gap and no current value", () => {
  const made = series([1, 10], [2, null]);
  assert.deepEqual(times(made), [1]);
  assert.ok(Number.isNaN(made.value));
  assert.equal(series().range, null);
  assert.equal(series([1, "7"]).range, null);
});

test("the usual step is the median, whatever one gap is", () => {
  assert.equal(step(series([0, 1], [2, 1], [4, 1], [500, 1], [502, 1]).points), 2);
  assert.equal(step([]), 0);
  assert.equal(step(series([5, 1]).points), 0);
});

test("the newest point is at the right edge, a step of the grid for each", () => {
  const { line, area, dot } = sparkPath(series([0, 0], [2, 50], [4, 100]).points, box);
  assert.equal(line, "M270 103L280 53L290 3h0");
  assert.equal(area, "M270 106L270 103L280 53L290 3V106Z");
  assert.equal(dot, "M290 3h0");
});

test("a full series reaches from edge to edge", () => {
  const made = series(...Array.from({ length: POINTS }, (_, index) => [index, 0]));
  assert.match(sparkPath(made.points, box).line, /^M0 103L10 103L.*L290 103h0$/);
});

test("missing points break the line, and one alone is a dot", () => {
  const made = series([0, 0], [2, 0], [4, 0], [60, 100], [100, 50], [102, 50], [104, 50]);
  assert.equal(sparkPath(made.points, box).line, "M230 103L240 103L250 103h0M260 3h0M270 53L280 53L290 53h0");
});

test("one point, none, and a flat scale are drawn without a NaN", () => {
  assert.deepEqual(sparkPath([], box), { line: "", area: "", dot: "" });
  const one = sparkPath(series([0, 5]).points, { ...box, domain: [5, 5] });
  assert.equal(one.line, "M290 103h0");
  assert.doesNotMatch(JSON.stringify(one), /NaN|Infinity/);
});

test("scales leave room for what there is", () => {
  assert.deepEqual(fromZero(10)({ low: 1, high: 0 }), [0, 10]);
  assert.deepEqual(fromZero(10)({ low: 1, high: 26.1 }), [0, 30]);
  assert.deepEqual(fromZero(10)({ low: 1, high: 100 }), [0, 100]);
  assert.deepEqual(around(4)({ low: 50, high: 51 }), [48.5, 52.5]);
  assert.deepEqual(around(4)({ low: 40, high: 51 }), [40, 51]);
});
