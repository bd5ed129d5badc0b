// Wires the page: config, connections, views, and one tick a second.
// Owns: what the header, the footer and the tab's title say.
// Never: draws for each message, but once a frame.

import { Connection, decode, feedUrl, socketDoor } from "./connection.js";
import { streamDoor } from "./sse.js";
import { POINTS, step } from "./spark.js";
import { SystemView } from "./view-system.js";
import { GenericView } from "./view-generic.js";
import { AlertLog, AlertsView } from "./alerts.js";
import { ago, capital, isNumber, percent, put } from "./format.js";

const STALE = 10_000; // ms: older figures are dimmed, older alerts not announced
const STALE_STEPS = 4; // of the feed's usual ones: figures may be that old too
const ALERTS = 100; // messages of history, so that one that started long ago is found
const UPSTREAM = { stale: "Source not answering", fallback: "From the fallback source" };

const id = (name) => document.getElementById(name);
const config = JSON.parse(id("config").textContent);
const system = new SystemView(document);
const generic = new GenericView(id("generic"));
const log = new AlertLog();
const alerts = new AlertsView(document, log);
let shift = 0; // ms that this clock is ahead by
let count = 0;
let frame = 0;
let view = config.feed && config.name === "system" ? "system" : "waiting";

const serverNow = () => Date.now() - shift;
const drawSoon = () => (frame ||= requestAnimationFrame(draw));

function take(text, hint, use) {
	const { type, data, time, system: own, upstream } = decode(text, hint);
	if (own) {
		if (isNumber(time)) shift = Date.now() - time;
		if (upstream) put(id("upstream"), UPSTREAM[upstream] ?? "");
		return;
	}
	use(type, data, isNumber(time) ? time : serverNow());
	drawSoon();
}

function takeValue(type, data, time) {
	count += 1;
	if (type === "system_stats") {
		view = "system";
		system.take(data, time);
	} else {
		if (!system.current) view = "generic";
		generic.take(type, data, time);
	}
}

function takeAlert(path, type, data, time) {
	if (!/^alert(_cleared)?$/.test(type)) return;
	const entry = log.take(path, type, data, time);
	if (entry && serverNow() - time < STALE) alerts.announce(entry);
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
	const old = Math.max(STALE, STALE_STEPS * step(current?.points ?? []));
	document.body.classList.toggle("stale", age > old || status === "disconnected");
	put(id("title"), name);
	put(id("age"), current ? `Updated ${ago(age)}` : "No values yet");
	put(id("count"), `${count.toLocaleString("en")} message${count === 1 ? "" : "s"}`);
	const wait = retryAt && Math.ceil((retryAt - performance.now()) / 1000);
	put(id("countdown"), wait > 0 ? `${status === "disconnected" ? "next try " : ""}in ${wait}\u00a0s` : "");
	alerts.draw(serverNow(), alertLinks.some((one) => one.state.status !== "connected"));
	const first = status === "connected" ? current?.cpu && `${percent(current.cpu)} % CPU` : capital(status);
	document.title = [log.active.length && `(${log.active.length})`, first, name].filter(Boolean).join(" · ");
}

function showLink({ status, transport, reason }) {
	id("link").dataset.status = status;
	put(id("status"), capital(status));
	id("status").title = reason;
	put(id("transport"), transport ?? "not connected");
	const up = status === "connected";
	// A focused button that vanishes loses the keyboard's place.
	if (up && document.activeElement === id("reconnect")) id("status").focus();
	id("reconnect").hidden = up || status === "connecting";
	if (up) put(id("upstream"), "");
	tick();
}

function connect(path, last, resume, use, onChange) {
	const token = config.private.includes(path) ? config.token : null;
	const url = (scheme) => feedUrl(path, location.href, last, scheme, token);
	return new Connection({
		doors: { WebSocket: socketDoor(url("ws")), SSE: streamDoor(url("http"), resume) },
		onMessage: (text, hint) => take(text, hint, use),
		onChange,
		online: () => navigator.onLine,
	});
}

const link = connect(config.feed ?? "", POINTS, true, takeValue, showLink);
const alertLinks = config.alerts.map((path) => {
	const change = ({ status }) => {
		if (status === "connected") log.open(path);
		drawSoon();
	};
	return connect(path, ALERTS, false, takeAlert.bind(null, path), change);
});
const links = config.feed ? [link, ...alertLinks] : alertLinks;
const wake = () => links.forEach((one) => one.wake());

put(id("version"), config.version);
put(id("feed"), config.feed ?? config.name);
id("link").hidden = !config.feed;
if (!config.feed) put(id("waiting"), "No route serves this feed.");
document.body.classList.toggle("with-alerts", alertLinks.length > 0);
id("reconnect").onclick = () => links.forEach((one) => one.now());
addEventListener("online", wake);
addEventListener("offline", wake);
document.addEventListener("visibilitychange", () => document.hidden || wake());
setInterval(tick, 1000);
draw();
links.forEach((one) => one.now());
