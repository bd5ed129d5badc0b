// The view of any other message: a table of the members of `data` for each type, numbers with their sparkline.
//
// Owns: which members are shown; how many is bounded, as a feed may say anything.
// Never: guesses what a member means.

import { POINTS, Series, Spark, around } from "./spark.js";
import { isNumber, make, number, put } from "./format.js";

const MAX_TYPES = 12; // tables; further types are not shown
const MAX_ROWS = 60; // a table
const MAX_DEPTH = 3; // objects within objects
const MAX_TEXT = 240; // characters of a name or value

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const cut = (text) => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);

/** The members of `data` as rows of `[name, value]`, those of an object under `its name › theirs`. */
export function flatten(data) {
  const rows = [];
  const visit = (value, name, depth) => {
    if (rows.length >= MAX_ROWS) return;
    if (!isObject(value) || depth > MAX_DEPTH) return rows.push([name || "value", value]);
    for (const [key, member] of Object.entries(value)) visit(member, name ? `${name} › ${key}` : key, depth + 1);
  };
  visit(data, "", 0);
  return rows;
}

/** A value in words: long ones cut, lists of plain values written out, anything deeper as JSON. */
export function write(value) {
  if (isNumber(value)) return number(value);
  if (typeof value === "string") return cut(value);
  const plain = Array.isArray(value) && value.every((item) => Object(item) !== item);
  return cut(plain && value.length > 0 ? value.map(write).join(", ") : String(JSON.stringify(value)));
}

export class GenericView {
  #host;
  #types = new Map();

  constructor(host) {
    this.#host = host;
  }

  /** Of the type heard of last: `{ time, points }`, or null. */
  current = null;

  /** Takes a message and its time in ms; draws nothing. */
  take(type, data, time) {
    if (!this.#types.has(type)) {
      if (this.#types.size >= MAX_TYPES) return;
      this.#types.set(type, { points: [], rows: [], places: new Map(), body: null });
    }
    const kind = this.#types.get(type);
    this.current = kind;
    kind.time = time;
    kind.points.push({ time });
    if (kind.points.length > POINTS) kind.points.shift();
    kind.rows = flatten(data);
    for (const [name, value] of kind.rows) {
      if (kind.places.size < 4 * MAX_ROWS && !kind.places.has(name)) kind.places.set(name, { series: new Series() });
      kind.places.get(name)?.series.add(time, value);
    }
  }

  draw() {
    this.#host.hidden = this.#types.size === 0;
    for (const [type, kind] of this.#types) {
      kind.body ??= this.#layTable(cut(type));
      const shown = kind.rows.filter(([name]) => kind.places.has(name));
      const lines = shown.map(([name, value]) => drawRow(kind.places.get(name), name, value));
      const same = lines.length === kind.body.children.length && lines.every((line) => line.parentNode);
      if (!same) kind.body.replaceChildren(...lines);
    }
  }

  #layTable(type) {
    const section = make("section", "card");
    const table = make("table");
    table.setAttribute("aria-label", type);
    const body = make("tbody");
    table.append(body);
    section.append(make("h2", "", type), table);
    this.#host.append(section);
    return body;
  }
}

function drawRow(place, name, value) {
  if (!place.line) {
    place.line = make("tr");
    place.name = make("th", "", cut(name));
    place.name.scope = "row";
    place.value = make("td", "value");
    place.trend = make("td", "spark");
    place.line.append(place.name, place.value, place.trend);
  }
  const range = isNumber(value) ? place.series.range : null;
  put(place.value, write(value));
  place.value.colSpan = range ? 1 : 2;
  place.trend.hidden = !range;
  if (!range) return place.line;
  // A scale of its own for each: a fiftieth of the value at least.
  const domain = ({ low, high }) => around(Math.abs(high) / 50 || 1)({ low, high });
  place.spark ??= new Spark(place.trend, { name, say: number, domain, height: 28 });
  place.spark.draw(place.series);
  return place.line;
}
