// The view of `system_stats`: figures, meters and sparklines of one host.
// Owns: what is kept of each host in the feed, and which is shown.
// Never: shows what was not sent. A missing value is a dash.

import { Series, Spark, around, fromZero } from "./spark.js";
import { NONE, capacity, capital, clock, duration, isNumber, percent, put, rate } from "./format.js";

const MAX_HOSTS = 100;
const MAX_CORES = 512; // shown
const FEW_CORES = 16; // up to here each core has its figure
const SHARES = {
	cpu: { name: "CPU", at: ["cpu", "usage"], high: 80, critical: 95, domain: fromZero(10) },
	memory: { name: "Memory", at: ["memory", "percent"], high: 80, critical: 92, domain: around(4) },
	disk: { name: "Disk", at: ["disk", "percent"], high: 85, critical: 95, domain: around(4) },
};
const RATES = {
	rx: { name: "Received", at: ["network", "rx_bytes_per_s"], domain: fromZero(1024) },
	tx: { name: "Sent", at: ["network", "tx_bytes_per_s"], domain: fromZero(1024) },
};
const CORE = { high: 90, critical: Infinity }; // one busy core is no trouble
const signed = (value) => `${percent(value)} %`;
const share = (value) => Math.min(1, Math.max(0, value / 100)) || 0;

/** `normal`, `high` or `critical`, of a share in percent. */
export function level(value, { high, critical }) {
	return value >= critical ? "critical" : value >= high ? "high" : "normal";
}

export class SystemView {
	#root;
	#hosts = new Map();
	#shown = null;
	#sparks = {};

	constructor(root) {
		this.#root = root;
		const lay = (template, id, { name, domain }, say, height) => {
			const place = this.#find(template).content.firstElementChild.cloneNode(true);
			place.id = id;
			this.#find(template).before(place);
			this.#say(`${id} .name`, name);
			this.#sparks[id] = new Spark(this.#find(`${id} .spark`), { name, say, domain, height });
		};
		for (const id in SHARES) lay("share", id, SHARES[id], signed, 72);
		for (const id in RATES) lay("rate", id, RATES[id], (value) => rate(value).join(" "), 56);
		this.#find("host").onchange = ({ target }) => {
			this.#shown = this.#hosts.get(target.value);
			this.draw();
		};
	}

	/** What is shown, or null before the first message. */
	get current() {
		if (this.#shown === null) return null;
		const { name, time, series } = this.#shown;
		return { name, time, points: series.cpu.points, cpu: series.cpu.value };
	}

	/** Takes a message's `data` and its time in ms; draws nothing. */
	take(data, time) {
		const { host: name = "" } = Object(data);
		if (!this.#hosts.has(name)) {
			if (this.#hosts.size >= MAX_HOSTS) return;
			const series = {};
			for (const id in this.#sparks) series[id] = new Series();
			this.#hosts.set(name, { name, series });
			this.#find("hosts").hidden = this.#hosts.size < 2;
			this.#find("host").append(new Option(name));
		}
		const host = this.#hosts.get(name);
		this.#shown ??= host;
		host.data = Object(data);
		host.time = time;
		for (const id in host.series) {
			const [outer, inner] = (SHARES[id] ?? RATES[id]).at;
			host.series[id].add(time, host.data[outer]?.[inner]);
		}
	}

	draw() {
		if (this.#shown === null) return;
		const { data, series, time } = this.#shown;
		const { cpu, memory, disk, uptime_s: uptime } = data;
		for (const id in series) this.#sparks[id].draw(series[id]);
		for (const id in SHARES) this.#drawShare(id, series[id]);
		for (const id in RATES) {
			const [figure, unit] = rate(series[id].value);
			this.#say(`${id} .value`, figure);
			this.#say(`${id} .unit`, unit);
		}
		const cores = Array.isArray(cpu?.cores) ? cpu.cores.slice(0, MAX_CORES) : [];
		this.#say("cpu .detail", cores.length === 1 ? "1 core" : `${cores.length || NONE} cores`);
		this.#say("memory .detail", capacity(memory?.used_gb, memory?.total_gb));
		this.#say("disk .detail", capacity(disk?.used_gb, disk?.total_gb));
		[1, 5, 15].forEach((minutes, index) => {
			const load = cpu?.load?.[index];
			this.#say(`load-${minutes}`, isNumber(load) ? load.toFixed(2) : NONE);
		});
		this.#say("uptime", duration(uptime));
		this.#say("swap", signed(memory?.swap_percent));
		this.#say("sampled", clock(time, Date.now()));
		this.#drawCores(cores);
	}

	#find(place) {
		return this.#root.querySelector(`#${place}`);
	}

	#say(place, text) {
		put(this.#find(place), text);
	}

	#drawShare(id, { value, range }) {
		const state = level(value, SHARES[id]);
		this.#find(id).dataset.level = state;
		this.#find(`${id} .bar`).style.transform = `scaleX(${share(value)})`;
		this.#say(`${id} .value`, percent(value));
		this.#say(`${id} .tag`, state === "normal" ? "" : capital(state));
		if (range === null) return;
		const [low, high] = [signed(range.low), signed(range.high)];
		this.#say(`${id} .over`, range.over);
		this.#say(`${id} .ends`, low === high ? `steady at ${low}` : `${percent(range.low)} – ${high}`);
	}

	/** A row each where there are few, else a column. */
	#drawCores(cores) {
		const place = this.#find("cores");
		const few = cores.length <= FEW_CORES;
		if (place.children.length !== cores.length) {
			place.className = few ? "few" : "many";
			place.replaceChildren(...cores.map(() => this.#find("core").content.cloneNode(true)));
		}
		cores.forEach((value, index) => {
			const [name, track, figure] = place.children[index].children;
			track.dataset.level = level(value, CORE);
			track.firstChild.style.transform = `scale${few ? "X" : "Y"}(${share(value)})`;
			put(name, String(index));
			put(figure, signed(value));
		});
		const most = cores.length > 0 ? `busiest ${signed(Math.max(...cores))}` : "";
		this.#say("busiest", most);
		place.setAttribute("aria-label", `Use of each core: ${few ? cores.map(signed).join(", ") : most}`);
	}
}
