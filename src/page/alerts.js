// The alerts of a feed: what is over its threshold now, and what lately was.
// Owns: which alert a message speaks of, and how many are kept.

import { capital, clock, duration, number, put } from "./format.js";

export const MAX_ALERTS = 20;

/** `feed` is any name of the connection a message came by; times are the server's, in ms. */
export class AlertLog {
	entries = []; // newest first

	get active() {
		return this.entries.filter((entry) => entry.active);
	}

	/** A new connection tells its history from the start: what it does not tell is true no more. */
	open(feed) {
		this.entries = this.entries.filter((entry) => entry.feed !== feed);
	}

	/** Takes `alert` or `alert_cleared`; gives the entry that it starts or ends, else null. */
	take(feed, type, data, time) {
		const active = type === "alert";
		const { rule, key, since } = Object(data);
		const id = JSON.stringify([feed, rule, key]);
		const mine = this.entries.filter((entry) => entry.id === id);
		let entry = mine.find((one) => one.data.since === since) ?? mine.find((one) => one.active);
		const changed = entry?.active !== active;
		if (!entry) {
			entry = { id, feed, started: Date.parse(since) || time };
			this.entries.unshift(entry);
		}
		Object.assign(entry, { active, data: Object(data), ended: active ? NaN : time });
		// Past the bound the oldest that is over goes, or the oldest of all.
		if (this.entries.length > MAX_ALERTS) this.entries.splice(this.entries.findLastIndex((one) => !one.active), 1);
		return changed ? entry : null;
	}
}

export function describe({ at = "alert", key, value, above }, active) {
	const what = String(at).replace(/^\/data\//, "").replace(/[/_]+/g, " ").replace(/^cpu\b/, "CPU");
	const text = active ? `${number(value)}, above ${number(above)}` : `back to ${number(value)}`;
	return { title: capital(what.trim()) + (key ? ` of ${key}` : ""), text };
}

const severity = ({ active, data }) => (!active ? "normal" : /crit|err|fatal/i.test(data.level) ? "critical" : "high");
const label = ({ active, data }) => (active ? capital(String(data.level ?? "alert").slice(0, 24)) : "Cleared");

export class AlertsView {
	#log;
	#id;

	constructor(root, log) {
		this.#log = log;
		this.#id = (id) => root.getElementById(id);
	}

	/** Said once, to those who hear the page. */
	announce(entry) {
		const { title, text } = describe(entry.data, entry.active);
		put(this.#id("announce"), `${label(entry)}: ${title} ${text}`);
	}

	/** `now` is the server's time; `down` tells that no alert can arrive at the moment. */
	draw(now, down) {
		const { active, entries } = this.#log;
		const count = active.length > 0 ? `${active.length} active` : "";
		put(this.#id("alerts-state"), down ? "not connected" : count);
		put(this.#id("active"), count && `${count} alert${active.length === 1 ? "" : "s"}`);
		this.#id("active").dataset.level = active.map(severity).sort()[0];
		this.#id("alerts-none").hidden = entries.length > 0;
		const list = this.#id("alerts-list");
		const ordered = [...active, ...entries.filter((entry) => !entry.active)];
		while (list.children.length > ordered.length) list.lastChild.remove();
		while (list.children.length < ordered.length) list.append(this.#id("alert").content.cloneNode(true));
		ordered.forEach((entry, index) => drawItem(list.children[index].children, entry, now));
	}
}

function drawItem([badge, title, text, when], entry, now) {
	const { active, started, ended, data } = entry;
	const said = describe(data, active);
	badge.dataset.level = severity(entry);
	put(badge, label(entry));
	put(title, said.title);
	put(text, said.text);
	const length = duration(((active ? now : ended) - started) / 1000);
	put(when, active ? `since ${clock(started, now)}, ${length}` : `${clock(started, now)}, for ${length}`);
}
