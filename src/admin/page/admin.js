// Asks the admin listener every two seconds and shows what it says.
//
// Owns: the token that was typed in, in memory alone. Never: writes HTML from what it was told; all of it is text.

const EVERY = 2000;
const PAGE = 200;
// How long one answer is waited for.
const PATIENCE = 5000;

const at = (id) => document.getElementById(id);
let token = "";
let after = "";
let last = null;
let before = null;
let timer = 0;

function ask(path, options = {}) {
	const headers = { ...options.headers };
	if (token) headers.Authorization = `Bearer ${token}`;
	return fetch(path, { ...options, headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
}

async function read(path) {
	const response = await ask(path);
	if (response.status === 401) throw new Locked();
	if (!response.ok) throw new Error(`${path}: ${response.status}`);
	return response;
}

class Locked extends Error {}

function cell(text, name = "") {
	const td = document.createElement("td");
	td.textContent = text ?? "–";
	td.className = name;
	return td;
}

function row(...cells) {
	const tr = document.createElement("tr");
	tr.append(...cells);
	return tr;
}

function fill(id, rows) {
	const empty = row(cell("none", "soft"));
	at(id).replaceChildren(...(rows.length ? rows : [empty]));
}

// The text of /metrics, summed over labels: a name, and what its labels must hold.
export function sum(text, name, label = "") {
	let total = 0;
	for (const line of text.split("\n")) {
		const rest = line.startsWith(name) ? line.slice(name.length) : "";
		if ((rest[0] === "{" || rest[0] === " ") && rest.includes(label)) total += Number(line.slice(line.lastIndexOf(" ")));
	}
	return total;
}

// So much more a second than the time before.
export function rate(now, then, seconds) {
	if (then === undefined || seconds <= 0 || now < then) return "–";
	const value = (now - then) / seconds;
	return value < 10 ? value.toFixed(1) : String(Math.round(value));
}

export function since(time, now) {
	const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
	if (seconds < 60) return `${seconds} s`;
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
	if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
	return `${Math.floor(seconds / 86400)} d`;
}

function showRates(metrics, seconds) {
	const counts = {
		"Requests/s": sum(metrics, "steadfeed_requests_total"),
		"Messages in/s": sum(metrics, "steadfeed_messages_total", 'direction="in"'),
		"Messages out/s": sum(metrics, "steadfeed_messages_total", 'direction="out"'),
		"Refused/s": sum(metrics, "steadfeed_denied_total"),
	};
	const figures = [
		["Connections", sum(metrics, "steadfeed_connections_open")],
		["WebSockets", sum(metrics, "steadfeed_websocket_open")],
		...Object.entries(counts).map(([name, count]) => [name, rate(count, before?.counts[name], seconds)]),
	];
	at("rates").replaceChildren(...figures.map(([name, value]) => {
		const [box, dt, dd] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
		dt.textContent = name;
		dd.textContent = value;
		box.append(dt, dd);
		return box;
	}));
	return counts;
}

function showFeeds(feeds, seconds, now) {
	fill("feeds", feeds.map((feed) => {
		const then = before?.feeds.get(feed.name);
		const sources = feed.sources.map((source) => `${source.name} ${source.up ? "up" : "down"}`).join(", ");
		return row(
			cell(feed.name),
			cell(feed.standing, feed.standing === "live" ? "good" : feed.standing ? "bad" : "soft"),
			cell(sources || null, feed.sources.every((source) => source.up) ? "wide" : "wide bad"),
			cell(feed.viewers, "n"),
			cell(feed.branches, "n"),
			cell(rate(feed.messages_in, then?.messages_in, seconds), "n"),
			cell(rate(feed.messages_out, then?.messages_out, seconds), "n"),
			cell(feed.last_message && `${since(feed.last_message, now)} ago`),
		);
	}));
}

function showUpstreams(upstreams) {
	fill("upstreams", upstreams.flatMap(({ name, servers }) => servers.map(({ server, state, load }) =>
		row(cell(name, "wide"), cell(server, "wide"), cell(state, state === "up" ? "good" : "bad"), cell(load, "n")))));
}

function showConnections(connections, now) {
	fill("connections", connections.map((one) => {
		const button = document.createElement("button");
		button.type = "button";
		button.textContent = "Close";
		button.setAttribute("aria-label", `Close ${one.id}`);
		button.dataset.id = one.id;
		const last = cell("");
		last.append(button);
		return row(
			cell(one.id), cell(one.client), cell(one.mode), cell(one.route, "wide"), cell(one.path, "wide"),
			cell(one.subject, "wide"), cell(since(one.since, now)), last,
		);
	}));
}

async function refresh() {
	clearTimeout(timer);
	try {
		const page = `/api/connections?limit=${PAGE}${after && `&after=${after}`}`;
		const [metrics, feeds, upstreams, connections] =
			await Promise.all([read("/metrics"), read("/api/feeds"), read("/api/upstreams"), read(page)]);
		const more = connections.headers.has("link");
		const [text, feedRows, upstreamRows, rows] =
			await Promise.all([metrics.text(), feeds.json(), upstreams.json(), connections.json()]);
		const now = Date.now();
		const seconds = before ? (now - before.at) / 1000 : 0;
		const counts = showRates(text, seconds);
		showFeeds(feedRows, seconds, now);
		showUpstreams(upstreamRows);
		// A button that has the focus, or is being pressed, is not taken away.
		if (!at("connections").matches(":focus-within, :active")) showConnections(rows, now);
		before = { at: now, counts, feeds: new Map(feedRows.map((feed) => [feed.name, feed])) };
		last = rows.at(-1)?.id ?? null;
		at("more").hidden = !more && !after;
		at("next").disabled = !more;
		at("entry").hidden = true;
		at("status").textContent = `Asked at ${new Date(now).toLocaleTimeString()}`;
	} catch (error) {
		if (error instanceof Locked) at("entry").hidden = false;
		at("status").textContent = error instanceof Locked ? (token ? "The token is not right" : "A token is needed") : "No answer";
	}
	timer = setTimeout(refresh, EVERY);
}

async function close(button) {
	button.disabled = true;
	const path = `/api/connections/${encodeURIComponent(button.dataset.id)}`;
	try {
		const response = await ask(path, { method: "DELETE", headers: { "Content-Type": "application/json" } });
		button.textContent = response.ok ? "Closed" : response.status === 404 ? "Gone" : "Failed";
	} catch {
		button.textContent = "Failed";
	}
	button.blur();
}

if (globalThis.document) {
	at("entry").addEventListener("submit", (event) => {
		event.preventDefault();
		token = at("token").value.trim();
		at("token").value = "";
		refresh();
	});
	at("connections").addEventListener("click", ({ target }) => {
		if (target.dataset.id) close(target);
	});
	at("first").addEventListener("click", () => { after = ""; refresh(); });
	at("next").addEventListener("click", () => { after = last ?? after; refresh(); });
	refresh();
}
