// The alerts of a feed: what is over its threshold now, and what lately was.
//
// Owns: which alert a message speaks of, and the bound on how many are kept.
// Never: ends an alert because the line was cut; only a server that told its whole story does.

import { clock, duration, isNumber, make, number, put } from "./format.js";

export const MAX_ALERTS = 20;

/** Pure bookkeeping. `feed` is any name of the connection a message came by; times are the server's, in ms. */
export class AlertLog {
  entries = []; // newest first
  #told = new Map(); // feed -> the rules it spoke of since it opened, until it is settled

  get active() {
    return this.entries.filter((entry) => entry.active);
  }

  /** Takes `alert` or `alert_cleared`; gives the entry that it starts or ends, or null where it changed nothing. */
  take(feed, type, data, time) {
    const active = type === "alert";
    const { rule: name, at, since } = Object(data);
    const rule = JSON.stringify([feed, name, at]);
    this.#told.get(feed)?.push(rule);
    const mine = this.entries.filter((entry) => entry.rule === rule);
    let entry = mine.find((one) => one.data.since === since) ?? mine.find((one) => one.active);
    const changed = entry?.active !== active;
    if (!entry) {
      entry = { feed, rule, started: Date.parse(since) || time };
      this.entries.unshift(entry);
    }
    Object.assign(entry, { active, data: Object(data), ended: active ? NaN : time });
    if (this.entries.length > MAX_ALERTS) {
      const over = this.entries.findLastIndex((one) => !one.active);
      this.entries.splice(over, 1);
    }
    return changed ? entry : null;
  }

  /** A new connection begins to tell its history; `settle` compares once it has. */
  open(feed) {
    this.#told.set(feed, []);
  }

  /** What a new connection did not mention is over, unless its history was full and may reach further back. */
  settle(feed) {
    const told = this.#told.get(feed) ?? [];
    this.#told.delete(feed);
    if (told.length >= MAX_ALERTS) return;
    for (const entry of this.active) entry.active = entry.feed !== feed || told.includes(entry.rule);
  }
}

/** What an alert is about and what it says: `{ title, text }`. */
export function describe({ rule, at, value, above }, active) {
  const path = String(at ?? "").replace(/^\/data(?=\/)/, "");
  const what = path.replace(/[/_]+/g, " ").trim().replace(/^cpu\b/, "CPU");
  const named = typeof rule === "string" && rule !== "" && !rule.includes("/");
  const title = named ? rule : what || "Alert";
  const text = [];
  if (named && what) text.push(what);
  if (isNumber(value)) text.push(active ? number(value) : `back to ${number(value)}`);
  if (active && isNumber(above)) text.push(`above ${number(above)}`);
  return { title: title.charAt(0).toUpperCase() + title.slice(1), text: text.join(", ") };
}

const severity = ({ active, data }) => (!active ? "normal" : /crit|err|fatal/i.test(data.level) ? "critical" : "high");
const label = ({ active, data }) => (active ? String(data.level ?? "alert").slice(0, 24) : "cleared");

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
    put(this.#id("alerts-state"), down ? "not connected" : active.length > 0 ? `${active.length} active` : "");
    this.#id("alerts-none").hidden = entries.length > 0;
    const badge = this.#id("active");
    badge.hidden = active.length === 0;
    badge.dataset.level = active.map(severity).sort()[0];
    put(badge, `${active.length} active alert${active.length === 1 ? "" : "s"}`);
    const list = this.#id("alerts-list");
    const ordered = [...active, ...entries.filter((entry) => !entry.active)];
    while (list.children.length < ordered.length) list.append(layItem());
    ordered.forEach((entry, index) => drawItem(list.children[index].children, entry, now));
  }
}

function layItem() {
  const item = make("li");
  item.append(make("span", "badge"), make("strong"), make("span"), make("span", "when soft"));
  return item;
}

function drawItem([badge, title, text, when], entry, now) {
  const { active, started, ended, data } = entry;
  const said = describe(data, active);
  badge.dataset.level = severity(entry);
  put(badge, label(entry));
  put(title, said.title);
  put(text, said.text);
  const length = duration(((active ? now : ended) - started) / 1000);
  put(when, `${active ? "since " : ""}${clock(started, now)}, ${active ? "" : "for "}${length}`);
}
