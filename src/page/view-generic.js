// The view of any other message: for each type a table of the members of `data`, numbers with a sparkline.
// Owns: which members are shown, and how many: a feed may say anything.
// Never: guesses what a member means.

import { POINTS, Series, Spark, around } from "./spark.js";
import { isNumber, make, number, put } from "./format.js";

const MAX_TYPES = 12; // tables; further types are not shown
const MAX_ROWS = 60; // a table
const MAX_NAMES = 240; // of members, in all the messages of a type
const MAX_DEPTH = 3; // objects within objects
const MAX_TEXT = 240; // characters of a name or value

const isObject = (value) => Object(value) === value && !Array.isArray(value);
const cut = (text) => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);

/** The members of `data` as rows of `[name, value]`, nested ones named `outer › inner`. */
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

/** A value in words: lists of plain values written out, anything deeper as JSON. */
export function write(value) {
	if (isNumber(value)) return number(value);
	if (typeof value === "string") return cut(value);
	const plain = Array.isArray(value) && value.length > 0 && value.every((item) => Object(item) !== item);
	return cut(plain ? value.slice(0, MAX_TEXT).map(write).join(", ") : JSON.stringify(value));
}

export class GenericView {
	/** The type heard of last, or null. */
	current = null;
	#host;
	#types = new Map();

	constructor(host) {
		this.#host = host;
	}

	/** Takes a message and its time in ms; draws nothing. */
	take(type, data, time) {
		if (!this.#types.has(type)) {
			if (this.#types.size >= MAX_TYPES) return;
			this.#types.set(type, { points: [], rows: [], places: new Map(), body: null });
		}
		const kind = this.#types.get(type);
		this.current = kind;
		kind.time = time;
		kind.points = [...kind.points, { time }].slice(-POINTS);
		kind.rows = flatten(data).filter(([name]) => kind.places.has(name) || kind.places.size < MAX_NAMES);
		for (const [name, value] of kind.rows) {
			if (!kind.places.has(name)) kind.places.set(name, { series: new Series() });
			kind.places.get(name).series.add(time, value);
		}
	}

	draw() {
		this.#host.hidden = this.#types.size === 0;
		for (const [type, kind] of this.#types) {
			kind.body ??= this.#layTable(cut(type));
			const lines = kind.rows.map(([name, value]) => drawRow(kind.places.get(name), name, value));
			const same = lines.length === kind.body.children.length && lines.every((line) => line.parentNode);
			if (!same) kind.body.replaceChildren(...lines);
		}
	}

	#layTable(type) {
		const section = make("section", "card");
		const table = make("table");
		table.ariaLabel = type;
		const body = table.createTBody();
		section.append(make("h2", "", type), table);
		this.#host.append(section);
		return body;
	}
}

function drawRow(place, name, value) {
	if (!place.line) {
		place.line = make("tr");
		const head = Object.assign(make("th", "", cut(name)), { scope: "row" });
		place.value = make("td", "value");
		place.trend = make("td", "spark");
		place.line.append(head, place.value, place.trend);
	}
	const drawn = isNumber(value);
	put(place.value, write(value));
	place.value.colSpan = drawn ? 1 : 2;
	place.trend.hidden = !drawn;
	if (!drawn) return place.line;
	// A scale of its own for each: a fiftieth of the value at least.
	const domain = (range) => around(Math.abs(range.high) / 50 || 1)(range);
	place.spark ??= new Spark(place.trend, { name, say: number, domain, height: 28 });
	place.spark.draw(place.series);
	return place.line;
}
