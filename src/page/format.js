// Turns values into the figures and words people read, and puts text into the document.
// Never: markup from data; what comes from a feed goes in as text.

export const NONE = "–";
const NBSP = "\u00a0";
const BINARY = ["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"];
const SPANS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

export const isNumber = Number.isFinite;
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A percentage without its sign: one decimal, none from 99.95 on. */
export function percent(value) {
	if (!isNumber(value)) return NONE;
	return value.toFixed(value >= 99.95 ? 0 : 1);
}

/** Bytes a second as `[figure, unit]`: three digits, and a unit that keeps it so. */
export function rate(value) {
	if (!isNumber(value)) return [NONE, BINARY[0]];
	let size = Math.max(0, value);
	let unit = 0;
	for (; size >= 999.5 && unit < BINARY.length - 1; unit += 1) size /= 1024;
	const digits = unit === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
	return [size.toFixed(digits), BINARY[unit]];
}

/** `used of total`, both given in GiB. */
export function capacity(used, total) {
	if (!isNumber(used) || !isNumber(total)) return NONE;
	const [scale, unit] = total >= 1024 ? [1024, "TiB"] : [1, "GiB"];
	return `${(used / scale).toFixed(2)} of ${(total / scale).toFixed(2)}${NBSP}${unit}`;
}

/** A length of time in seconds, in its largest unit and the next. */
export function duration(seconds) {
	if (!(seconds >= 0)) return NONE;
	const first = SPANS.findIndex(([size]) => seconds >= size);
	if (first === -1) return `0${NBSP}s`;
	const [[large, name], [small, other] = [large]] = SPANS.slice(first);
	const rest = Math.floor((seconds % large) / small);
	return `${Math.floor(seconds / large)}${NBSP}${name}${rest > 0 ? ` ${rest}${NBSP}${other}` : ""}`;
}

/** How long ago, given an age in ms: in its largest unit alone. */
export function ago(age) {
	return age < 1000 ? "just now" : `${duration(age / 1000).split(" ")[0]} ago`;
}

/** Local wall-clock time, with the date where it is not that of `now`. */
export function clock(time, now) {
	if (!isNumber(time)) return NONE;
	const at = new Date(time);
	const text = at.toLocaleTimeString("en-GB"); // 24 hours; "sv" is ISO 8601
	return at.toDateString() === new Date(now).toDateString() ? text : `${at.toLocaleDateString("sv")} ${text}`;
}

/** Any number: grouped thousands, and as many decimals as still say something. */
export function number(value) {
	if (!isNumber(value)) return NONE;
	const size = Math.abs(value);
	if (size > 0 && (size < 0.001 || size >= 1e15)) return value.toExponential(2);
	const maximumFractionDigits = size >= 1e4 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;
	return value.toLocaleString("en", { maximumFractionDigits });
}

/** Sets an element's text, and leaves the document alone where nothing changed. */
export function put(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

/** A new element of a class, with text. */
export function make(tag, className = "", text = "") {
	return Object.assign(document.createElement(tag), { className, textContent: text });
}
