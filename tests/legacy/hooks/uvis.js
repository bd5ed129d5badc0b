// The dispatch board's hook, in both its forms. The page says which by `?form=old` or `?form=fixed`, and where it dials by
// `?path=`.

"use strict";

const RECONNECTS = 10;
const RECONNECT_AFTER = 1000;

/** Dials `url` and gives every message that `wants` wants to `setData`; dials again at most ten times when it is closed. */
function useRealtimeData(url, setData, wants) {
  let attempts = 0;
  const connect = () => {
    const socket = dial(url);
    socket.onopen = () => {
      attempts = 0;
      show("socket", "open");
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (wants(message)) setData(message.data || message);
    };
    socket.onclose = () => {
      show("socket", "closed");
      if (attempts < RECONNECTS) {
        attempts += 1;
        setTimeout(connect, RECONNECT_AFTER);
      }
    };
  };
  connect();
}

const asked = new URLSearchParams(location.search);
const forms = {
  // As it was first: whatever comes is the state.
  old: () => true,
  // As it was mended: what the server says of the connection is none.
  fixed: (message) => message.type !== "connected" && message.type !== "keepalive",
};

const [, setData] = useState(null, (data) => {
  // What a card of the board reads; a state of another shape leaves it empty.
  show("vehicles", data?.available_vehicles ?? "?");
  show("pending", data?.pending_orders ?? "?");
  show("loading", data?.loading === true ? "loading" : "");
});
useRealtimeData(at(asked.get("path")), setData, forms[asked.get("form")]);
