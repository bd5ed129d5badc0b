// Wires the page: the config the server wrote into it, the connections, the views, and one tick a second.
//
// Owns: what the header, the footer and the tab's title say.
// Never: draws for each message. They are taken as they come, and drawn once a frame while someone looks.

import { Connection, decode, feedUrl, socketDoor } from "./connection.js";
import { streamDoor } from "./sse.js";
import { POINTS, step } from "./spark.js";
import { SystemView } from "./view-system.js";
import { GenericView } from "./view-generic.js";
import { AlertLog, AlertsView, MAX_ALERTS } from "./alerts.js";
import { ago, isNumber, percent, put } from "./format.js";

const STALE = 10_000; // ms without a value, at least, before the figures are dimmed
const STALE_STEPS = 4; // or this many of the feed's usual steps, where that is longer
const SETTLE = 3_000; // ms in which a new connection has told its alerts' history
const FRESH = 10_000; // ms: an older alert is history, and not announced
const STATUS = { connecting: "Connecting", connected: "Connected", reconnecting: "Reconnecting", disconnected: "Disconnected" };
const UPSTREAM = { stale: "Source not answering", fallback: "From the fallback source" };

const id = (name) => document.getElementById(name);
const config = JSON.parse(id("config").textContent);
const system = new SystemView(document);
const generic = new GenericView(id("generic"));
const log = new AlertLog();
const alerts = new AlertsView(document, log);
let shift = 0; // ms that this clock is ahead of the server's
let count = 0;
let frame = 0;
let view = config.feed === null ? "none" : config.name === "system" ? "system" : "waiting";

const serverNow = () => Date.now() - shift;

/** Takes what steadfeed says for itself, and passes on what the feed says. */
function take(text, hint, use) {
  const { type, data, time, system: own, upstream } = decode(text, hint);
  if (own) {
    if (isNumber(time)) shift = Date.now() - time;
    if (upstream) showUpstream(upstream);
    return;
  }
  use(type, data, isNumber(time) ? time : serverNow());
  frame ||= requestAnimationFrame(draw);
}

function takeValue(type, data, time) {
  count += 1;
  if (type === "system_stats") {
    view = "system";
    system.take(data, time);
  } else {
    if (system.current === null) view = "generic";
    generic.take(type, data, time);
  }
}

function takeAlert(path, type, data, time) {
  if (type !== "alert" && type !== "alert_cleared") return;
  const entry = log.take(path, type, data, time);
  if (entry && serverNow() - time < FRESH) alerts.announce(entry);
}

function showUpstream(upstream) {
  id("upstream").hidden = !UPSTREAM[upstream];
  put(id("upstream"), UPSTREAM[upstream] ?? "");
}

function draw() {
  frame = 0;
  document.body.dataset.view = view;
  system.draw();
  generic.draw();
  tick();
}

/** What changes by time alone. */
function tick() {
  const { status, retryAt } = link.state;
  const current = system.current ?? generic.current;
  const name = current?.name || config.name;
  const age = current ? Math.max(0, serverNow() - current.time) : 0;
  const usual = step(current?.points ?? current?.series.cpu.points ?? []);
  document.body.classList.toggle("stale", age > Math.max(STALE, STALE_STEPS * usual) || status === "disconnected");
  put(id("title"), name);
  put(id("age"), current ? `Updated ${ago(age)}` : "No values yet");
  put(id("count"), `${count.toLocaleString("en")} message${count === 1 ? "" : "s"}`);
  const wait = Math.ceil((retryAt - performance.now()) / 1000);
  put(id("countdown"), retryAt && wait > 0 ? `${status === "disconnected" ? "next try " : ""}in ${wait}\u00a0s` : "");
  alerts.draw(serverNow(), alertLinks.some((one) => one.state.status !== "connected"));
  const cpu = system.current?.series.cpu.value;
  const active = log.active.length > 0 ? `(${log.active.length}) ` : "";
  const first = status === "connected" ? (isNumber(cpu) ? `${percent(cpu)} % CPU · ` : "") : `${STATUS[status]} · `;
  document.title = `${active}${first}${name}`;
}

function showLink({ status, transport, reason }) {
  id("link").dataset.status = status;
  put(id("status"), STATUS[status]);
  id("status").title = reason;
  put(id("transport"), transport ?? "not connected");
  const up = status === "connected";
  // A focused button that vanishes would throw the keyboard back to the top of the page.
  if (up && document.activeElement === id("reconnect")) id("status").focus();
  id("reconnect").hidden = up || status === "connecting";
  if (up) showUpstream("live");
  tick();
}

function connect(path, last, resume, use, onChange) {
  return new Connection({
    doors: {
      WebSocket: socketDoor(feedUrl(path, location.href, last, "ws")),
      SSE: streamDoor(feedUrl(path, location.href, last, "http"), resume),
    },
    onMessage: (text, hint) => take(text, hint, use),
    onChange,
    online: () => navigator.onLine,
  });
}

/** Alerts never resume: each connection tells its history from the start, for `settle` to compare. */
function connectAlerts(path) {
  const connection = connect(path, MAX_ALERTS, false, takeAlert.bind(null, path), ({ status, opened }) => {
    if (status === "connected") {
      log.open(path);
      setTimeout(() => {
        const { state } = connection;
        if (state.opened === opened && state.status === status) log.settle(path);
      }, SETTLE);
    }
    tick();
  });
  return connection;
}

const link = connect(config.feed ?? "", POINTS, true, takeValue, showLink);
const alertLinks = config.feed === null ? [] : config.alerts.map(connectAlerts);
const links = config.feed === null ? [] : [link, ...alertLinks];
const wake = () => links.forEach((one) => one.wake());

put(id("version"), config.version);
put(id("feed"), config.feed ?? "served by no route");
document.body.classList.toggle("with-alerts", alertLinks.length > 0);
id("reconnect").onclick = () => links.forEach((one) => one.now());
addEventListener("online", wake);
addEventListener("offline", wake);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake());
setInterval(tick, 1000);
draw();
links.forEach((one) => one.now());
