// The view of `system_stats`: figures, meters, sparklines and cores of one host.
//
// Owns: what is kept of each host that the feed speaks of, and which of them is shown.
// Never: shows what was not sent. A missing value is a dash.

import { Series, Spark, around, fromZero } from "./spark.js";
import { NONE, capacity, clock, duration, isNumber, make, percent, put, rate } from "./format.js";

const MAX_HOSTS = 100;
const MAX_CORES = 512;
const FEW_CORES = 16; // up to here each core has its figure
const SHARES = {
  cpu: { name: "CPU", of: (data) => data.cpu?.usage, high: 80, critical: 95, domain: fromZero(10) },
  memory: { name: "Memory", of: (data) => data.memory?.percent, high: 80, critical: 92, domain: around(4) },
  disk: { name: "Disk", of: (data) => data.disk?.percent, high: 85, critical: 95, domain: around(4) },
};
const RATES = {
  rx: { name: "Received", of: (data) => data.network?.rx_bytes_per_s, domain: fromZero(1024) },
  tx: { name: "Sent", of: (data) => data.network?.tx_bytes_per_s, domain: fromZero(1024) },
};
const CORE = { high: 90, critical: Infinity }; // one busy core is no trouble
const signed = (value) => `${percent(value)} %`;
const share = (value) => Math.min(1, Math.max(0, value / 100)) || 0;

/** `normal`, `high` or `critical`, of a share in percent. */
export function level(value, { high, critical }) {
  return value >= critical ? "critical" : value >= high ? "high" : "normal";
}

export class SystemView {
  #id;
  #hosts = new Map();
  #shown = null;
  #sparks = {};
  #bars = [];

  constructor(root) {
    this.#id = (id) => root.getElementById(id);
    const lay = (template, id, { name, domain }, say, height) => {
      const place = this.#id(template).content.firstElementChild.cloneNode(true);
      place.id = id;
      place.querySelector("h2, h3").textContent = name;
      this.#id(template).before(place);
      this.#sparks[id] = new Spark(place.querySelector(".spark"), { name, say, domain, height });
    };
    for (const id in SHARES) lay("share", id, SHARES[id], signed, 72);
    for (const id in RATES) lay("rate", id, RATES[id], (value) => rate(value).join(" "), 56);
    this.#id("host").onchange = ({ target }) => {
      this.#shown = this.#hosts.get(target.value);
      this.draw();
    };
  }

  /** What is shown: `{ name, time, points, cpu }`, or null before the first message. */
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
      this.#id("hosts").hidden = this.#hosts.size < 2;
      this.#id("host").append(new Option(name));
    }
    const host = this.#hosts.get(name);
    this.#shown ??= host;
    host.data = Object(data);
    host.time = time;
    for (const [id, { of }] of Object.entries({ ...SHARES, ...RATES })) host.series[id].add(time, of(host.data));
  }

  draw() {
    if (this.#shown === null) return;
    const { data, series, time } = this.#shown;
    const { cpu, memory, disk, uptime_s: uptime } = data;
    for (const id in SHARES) this.#drawShare(id, series[id]);
    for (const id in RATES) {
      const [figure, unit] = rate(series[id].value);
      put(this.#part(id, "value"), figure);
      put(this.#part(id, "unit"), unit);
    }
    for (const id in series) this.#sparks[id].draw(series[id]);
    const cores = Array.isArray(cpu?.cores) ? cpu.cores : [];
    put(this.#part("cpu", "detail"), cores.length === 1 ? "1 core" : `${cores.length || NONE} cores`);
    put(this.#part("memory", "detail"), capacity(memory?.used_gb, memory?.total_gb));
    put(this.#part("disk", "detail"), capacity(disk?.used_gb, disk?.total_gb));
    [1, 5, 15].forEach((minutes, index) => {
      const load = cpu?.load?.[index];
      put(this.#id(`load-${minutes}`), isNumber(load) ? load.toFixed(2) : NONE);
    });
    put(this.#id("uptime"), duration(uptime));
    put(this.#id("swap"), signed(memory?.swap_percent));
    put(this.#id("sampled"), clock(time, Date.now()));
    this.#drawCores(cores.slice(0, MAX_CORES));
  }

  #part(id, name) {
    return this.#id(id).querySelector(`.${name}`);
  }

  #drawShare(id, { value, range }) {
    const state = level(value, SHARES[id]);
    this.#id(id).dataset.level = state;
    put(this.#part(id, "value"), percent(value));
    put(this.#part(id, "tag"), { normal: "", high: "High", critical: "Critical" }[state]);
    this.#part(id, "bar").style.transform = `scaleX(${share(value)})`;
    if (range === null) return;
    const [low, high] = [signed(range.low), signed(range.high)];
    put(this.#part(id, "over"), range.over);
    put(this.#part(id, "ends"), low === high ? `steady at ${low}` : `${percent(range.low)} – ${high}`);
  }

  /** A row a core where there are few, else a column a core. */
  #drawCores(cores) {
    const place = this.#id("cores");
    const few = cores.length <= FEW_CORES;
    if (this.#bars.length !== cores.length) {
      place.className = few ? "few" : "many";
      place.replaceChildren(...cores.map((_, index) => layCore(few ? String(index) : "")));
      this.#bars = [...place.querySelectorAll(".bar")];
    }
    cores.forEach((value, index) => {
      const bar = this.#bars[index];
      bar.style.transform = `scale${few ? "X" : "Y"}(${share(value)})`;
      bar.parentNode.dataset.level = level(value, CORE);
      if (few) put(place.children[index].lastChild, signed(value));
    });
    const most = cores.length > 0 ? `busiest ${signed(Math.max(...cores))}` : "";
    put(this.#id("busiest"), most);
    const each = few ? cores.map(signed).join(", ") : most;
    place.setAttribute("aria-label", `Use of each of ${cores.length} cores: ${each}`);
  }
}

function layCore(name) {
  const core = make("div", "core");
  const track = make("span", "track");
  track.append(make("i", "bar"));
  core.append(make("span", "soft", name), track, make("span", "value"));
  return core;
}
