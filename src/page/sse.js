// Server-sent events over `fetch`: a parser, and the door of a feed that uses it.
// `EventSource` hears only names it was told beforehand, and hides the comments that tell silence from death.
// Never: reconnects; it only says again the last id it saw.

const MAX_EVENT = 4 * 1024 * 1024; // characters: well over a feed's largest message

/** Takes a stream in pieces cut anywhere; gives the events that are complete. */
export class SseParser {
	lastId = "";
	#rest = "";
	#event = "";
	#data = [];
	#size = 0;

	/** `[{ type, data }]`. Throws where one event is over the bound. */
	push(text) {
		const events = [];
		// A CR at the end may be half of a CRLF: it waits for the next piece.
		const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
		this.#rest = lines.pop();
		for (const line of lines) {
			if (line !== "") this.#field(line);
			else {
				if (this.#data.length > 0) events.push({ type: this.#event || "message", data: this.#data.join("\n") });
				this.#event = "";
				this.#data = [];
				this.#size = 0;
			}
		}
		if (this.#rest.length + this.#size > MAX_EVENT) throw new RangeError("an event is too large");
		return events;
	}

	#field(line) {
		const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
		if (name === "data") {
			this.#data.push(value);
			this.#size += value.length;
		} else if (name === "event") {
			this.#event = value;
		} else if (name === "id" && !value.includes("\0")) {
			this.lastId = value;
		}
	}
}

/** The SSE door of the feed at `url` (see `socketDoor`). Without `resume` each stream starts anew. */
export function streamDoor(url, resume = true) {
	let lastId = "";
	return (to) => {
		const abort = new AbortController();
		const read = async () => {
			const headers = { Accept: "text/event-stream" };
			if (resume && lastId) headers["Last-Event-ID"] = lastId;
			const response = await fetch(url, { headers, signal: abort.signal, cache: "no-store" });
			const kind = response.headers.get("content-type") ?? "";
			if (!response.ok || !kind.startsWith("text/event-stream")) throw new Error(`no stream, status ${response.status}`);
			to.opened();
			const parser = new SseParser();
			const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
			for (;;) {
				const { done, value } = await reader.read();
				if (done) return "the stream ended";
				to.alive();
				for (const { type, data } of parser.push(value)) to.message(data, type);
				lastId = parser.lastId || lastId;
			}
		};
		read()
			.catch((error) => String(error.message ?? error))
			.then((reason) => to.closed(reason));
		return { close: () => abort.abort() };
	};
}
