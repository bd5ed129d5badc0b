// Keeps one feed connected: WebSocket first, SSE where no socket opens.
// Owns: when to try, and when to give a connection up. Clock, chance and doors are arguments.
// Never: the document, or what a message means.

export const LIMITS = {
	open: 10_000, // ms to open a door
	ask: 10_000, // ms of silence, then a socket is asked to answer
	silence: 15_000, // ms of silence, then the connection is dead: keepalives come every 5 s
	doubt: 5_000, // ms to answer, once the network may have changed
	held: 10_000, // ms to stand, for the back-off to start over
	base: 500, // ms, the back-off's first ceiling
	cap: 30_000, // ms, its last
	failures: 10, // in a row, then it is `disconnected`; trying goes on
	unopened: 2, // sockets in a row that never opened, then SSE is tried too
};

const SYSTEM = ["connected", "keepalive", "error", "pong", "subscribed", "auth"];
const RESTARTING = 1012; // close code: the server is back soon

/** Full jitter, in ms: anything up to a ceiling that doubles with each try. */
export function backoff(attempt, random) {
	return random() * Math.min(LIMITS.cap, LIMITS.base * 2 ** attempt);
}

/** The address of a path beside the page by `http` or `ws`, with TLS where the page has it, and with the page's own `token` parameter where one is named. */
export function feedUrl(path, page, last, scheme, token = null) {
	const url = new URL(path, page);
	const shown = token === null ? null : new URL(page).searchParams.get(token);
	url.protocol = url.protocol.replace("http", scheme);
	url.searchParams.set("last", last);
	if (shown !== null) url.searchParams.set(token, shown);
	return url.href;
}

/** A message's text in any shape a route gives it; `time` is in ms or NaN, `hint` the type where the text has none. */
export function decode(text, hint = "message") {
	let value = text;
	try {
		value = JSON.parse(text);
	} catch {
		// Text that is no JSON is shown as it is.
	}
	const { type, data, timestamp, ...rest } = Object(value);
	const time = Date.parse(timestamp);
	if (typeof type !== "string") return { type: hint, data: value, time, system: false };
	return { type, data: data === undefined ? rest : data, time, system: SYSTEM.includes(type), upstream: rest.upstream };
}

/**
 * The WebSocket door of the feed at `url`. A door starts to open when called, tells what happens by
 * `{ opened(), alive(), message(text, type), closed(reason, code) }`, and gives `{ close(), ask() }`; SSE cannot ask.
 */
export function socketDoor(url) {
	return (to) => {
		const socket = new WebSocket(url);
		socket.onopen = () => to.opened();
		socket.onmessage = ({ data }) => (typeof data === "string" ? to.message(data) : to.alive());
		socket.onclose = ({ code, reason }) => to.closed(reason, code);
		return { close: () => socket.close(), ask: () => socket.send('{"type":"ping"}') };
	};
}

const realClock = {
	now: () => performance.now(),
	after: (run, ms) => setTimeout(run, ms),
	cancel: (timer) => clearTimeout(timer),
};

/**
 * Calls `onMessage(text, type)` and `onChange(state)`. `status` is `connecting` until the first try has ended, then
 * `connected`, `reconnecting` or `disconnected`; `retryAt` is in the clock's ms, null while there is no wait.
 */
export class Connection {
	state = { status: "connecting", transport: null, retryAt: null, reason: "" };
	#with;
	#clock;
	#link = null; // the door in use: what any other still says is heard by nobody
	#timer; // the retry, or the watch over the link
	#tries = 0;
	#unopened = 0;

	constructor({ doors, onMessage, onChange, clock = realClock, random = Math.random, online = () => true }) {
		this.#with = { doors, onMessage, onChange, random, online };
		this.#clock = clock;
	}

	/** Tries at once, unless it is connected. */
	now() {
		if (!this.#link?.open) this.#try("WebSocket");
	}

	/** The network may have changed, or somebody looks again: a wait ends, a socket has to prove itself. */
	wake() {
		const link = this.#link;
		if (link === null) return this.now();
		if (!link.open || !link.door.ask) return;
		link.seen = Math.min(link.seen, this.#clock.now() - LIMITS.silence + LIMITS.doubt);
		this.#watch(link);
	}

	#try(transport) {
		this.#drop();
		const link = { transport, open: false, seen: this.#clock.now(), since: 0, door: null };
		this.#link = link;
		this.#set({ status: this.#status(this.state.status), transport: null, retryAt: null });
		const mine = (run) => (...said) => {
			if (this.#link !== link) return;
			link.seen = this.#clock.now();
			run(...said);
		};
		try {
			link.door = this.#with.doors[transport]({
				opened: mine(() => this.#opened(link)),
				alive: mine(() => {}),
				message: mine(this.#with.onMessage),
				closed: mine((reason, code) => this.#lost(reason, code)),
			});
			this.#watch(link);
		} catch (error) {
			this.#lost(String(error.message ?? error));
		}
	}

	#opened(link) {
		link.open = true;
		link.since = link.seen;
		if (link.transport === "WebSocket") this.#unopened = 0;
		this.#watch(link);
		this.#set({ status: "connected", transport: link.transport, reason: "" });
	}

	/** One timer that looks how long the silence is, not one a message. */
	#watch(link) {
		const silent = this.#clock.now() - link.seen;
		if (silent >= (link.open ? LIMITS.silence : LIMITS.open)) return this.#lost("no answer");
		const asks = link.open && silent >= LIMITS.ask;
		this.#wait(() => this.#watch(link), (asks ? LIMITS.silence : LIMITS.ask) - silent);
		if (asks) link.door.ask?.();
	}

	#lost(reason, code) {
		const { open, since, transport } = this.#link;
		const now = this.#clock.now();
		if (!open && transport === "WebSocket") {
			this.#unopened += 1;
			if (this.#unopened >= LIMITS.unopened) return this.#try("SSE");
		}
		this.#drop();
		// A server that says it restarts is no failure, whatever went before.
		const restarts = code === RESTARTING;
		if (restarts || (open && now - since >= LIMITS.held)) this.#tries = 0;
		const wait = backoff(this.#tries, this.#with.random);
		this.#tries += 1;
		this.#wait(() => this.#try("WebSocket"), wait);
		const why = restarts ? "server restarting" : reason;
		this.#set({ status: this.#status("reconnecting"), transport: null, retryAt: now + wait, reason: why });
	}

	#status(usual) {
		const down = this.#tries >= LIMITS.failures || (this.#tries > 0 && !this.#with.online());
		return down ? "disconnected" : usual === "connecting" ? usual : "reconnecting";
	}

	#set(change) {
		this.state = { ...this.state, ...change };
		this.#with.onChange(this.state);
	}

	#wait(run, ms) {
		this.#clock.cancel(this.#timer);
		this.#timer = this.#clock.after(run, ms);
	}

	#drop() {
		this.#clock.cancel(this.#timer);
		const link = this.#link;
		this.#link = null;
		link?.door?.close();
	}
}
