// What both dashboards' hooks stand on: a tiny stand-in for a framework's state, and counters that tests read.
//
// `window.seen` tells of the page's whole life: sockets dialled, opened and closed, and every value that state was set to.

"use strict";

window.seen = { dialled: [], opens: 0, closes: [], errors: 0, states: [], messages: [] };

/** As a framework's hook: the value now, and what sets it, upon which everything is rendered anew. */
function useState(initial, render) {
  let value = initial;
  const set = (next) => {
    value = typeof next === "function" ? next(value) : next;
    window.seen.states.push(JSON.parse(JSON.stringify(value ?? null)));
    render(value);
  };
  return [() => value, set];
}

/** A socket whose life is counted. */
function dial(url) {
  window.seen.dialled.push(url);
  const socket = new WebSocket(url);
  socket.addEventListener("open", () => (window.seen.opens += 1));
  socket.addEventListener("error", () => (window.seen.errors += 1));
  socket.addEventListener("close", (event) => window.seen.closes.push(event.code));
  socket.addEventListener("message", (event) => {
    window.seen.messages.push(JSON.parse(event.data));
    if (window.seen.messages.length > 1000) window.seen.messages.shift();
  });
  return socket;
}

/** Where `path` is dialled: at the page's own server, or at the one that `?at=` names. */
function at(path) {
  const server = new URLSearchParams(location.search).get("at") ?? location.host;
  return `${location.protocol === "https:" ? "wss" : "ws"}://${server}${path}`;
}

function show(id, text) {
  document.getElementById(id).textContent = text;
}
