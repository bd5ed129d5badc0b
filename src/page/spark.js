// Sparklines: the last points of one number, kept, measured and drawn as SVG.
// Never: invents a point. Where some are missing the line is broken.

export const POINTS = 30;
const GAP = 3.5; // usual steps without a point, then the line is broken
const PAD = 3; // kept free above and below, so that the line is never cut

/** The newest points of one number, in order of time. */
export class Series {
	points = [];
	value = NaN; // of the newest message: NaN where it had none

	/** What is there from that time (ms) on goes first: history told again is not repeated, a clock set back no harm. */
	add(time, value) {
		while (this.points.at(-1)?.time >= time) this.points.pop();
		this.value = Number.isFinite(value) ? value : NaN;
		if (Number.isFinite(value)) this.points.push({ time, value });
		if (this.points.length > POINTS) this.points.shift();
	}

	/** `{ low, high, over }`, the last in words; null before the first point. */
	get range() {
		if (this.points.length === 0) return null;
		const values = this.points.map((point) => point.value);
		const seconds = Math.round((this.points.at(-1).time - this.points[0].time) / 1000);
		const over = seconds < 1 ? "now" : seconds < 120 ? `last ${seconds}\u00a0s` : `last ${Math.round(seconds / 60)}\u00a0min`;
		return { low: Math.min(...values), high: Math.max(...values), over };
	}
}

/** The usual step between points in ms, 0 without any: the median, which a gap does not move. */
export function step(points) {
	const steps = points.slice(1).map(({ time }, index) => time - points[index].time);
	return steps.sort((a, b) => a - b)[steps.length >> 1] ?? 0;
}

/** A scale from nothing to the next whole `unit`. */
export const fromZero = (unit) => ({ high }) => [0, Math.max(1, Math.ceil(high / unit)) * unit];

/** A scale around what there is, never so narrow that a tremor looks like a quake. */
export const around = (least) => ({ low, high }) => {
	const spare = Math.max(0, least - (high - low)) / 2;
	return [low - spare, high + spare];
};

/** Path data: the newest point at the right edge, a step of the grid for each. */
export function sparkPath(points, { width, height, domain: [low, high] }) {
	const round = (value) => Math.round(value * 100) / 100;
	const x = (index) => round(width - ((points.length - 1 - index) * width) / (POINTS - 1));
	const y = (value) => round(height - PAD - ((value - low) / (high - low || 1)) * (height - 2 * PAD));
	const most = step(points) * GAP;
	const runs = [];
	points.forEach(({ time, value }, index) => {
		if (index === 0 || time - points[index - 1].time > most) runs.push([]);
		runs.at(-1).push(`${x(index)} ${y(value)}`);
	});
	// `h0` and a round cap make a dot of a point that stands alone.
	const line = runs.map((run) => `M${run.join("L")}h0`).join("");
	const area = runs.map((run) => `M${run[0].split(" ")[0]} ${height}L${run.join("L")}V${height}Z`).join("");
	const dot = runs.length > 0 ? `M${runs.at(-1).at(-1)}h0` : "";
	return { line, area, dot };
}

/** One sparkline in `host`; `say(value)` writes a value with its unit, for those who hear the page. */
export class Spark {
	#options;
	#svg = node("svg");
	#paths = {};

	constructor(host, { name, say, domain, width = 240, height = 72 }) {
		this.#options = { name, say, domain, width, height };
		set(this.#svg, { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": name });
		for (const part of ["area", "line", "dot"]) {
			this.#paths[part] = this.#svg.appendChild(node("path"));
			set(this.#paths[part], { class: part });
		}
		host.append(this.#svg);
	}

	draw({ points, range, value }) {
		if (range === null) return;
		const { name, say, domain, ...size } = this.#options;
		const data = sparkPath(points, { ...size, domain: domain(range) });
		for (const part in data) set(this.#paths[part], { d: data[part] });
		const label = `${name}, ${range.over}: lowest ${say(range.low)}, highest ${say(range.high)}, now ${say(value)}`;
		set(this.#svg, { "aria-label": label });
	}
}

function set(element, attributes) {
	for (const name in attributes) element.setAttribute(name, attributes[name]);
}

const node = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
