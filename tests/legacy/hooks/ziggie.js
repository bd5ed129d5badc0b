// The control centre's hook: a token chooses the endpoint, and figures are read at the top level of a message.

"use strict";

const POINTS = 30;
const RECONNECTS = 10;
const LONGEST_DELAY = 30000;

/** Dials, hands every message to `onMessage`, and dials again with a delay that doubles. */
function useWebSocket(onMessage) {
  let attempts = 0;
  const connect = () => {
    const token = localStorage.getItem("auth_token");
    const socket = dial(token ? `${at("/api/system/ws")}?token=${token}` : at("/ws"));
    socket.onopen = () => {
      attempts = 0;
      show("status", "Connected");
    };
    socket.onmessage = (event) => onMessage(JSON.parse(event.data));
    socket.onclose = () => {
      show("status", "Disconnected");
      if (attempts < RECONNECTS) {
        setTimeout(connect, Math.min(1000 * 2 ** attempts, LONGEST_DELAY));
        attempts += 1;
      }
    };
  };
  connect();
}

const [, setSystem] = useState({}, (system) => {
  show("cpu", system.cpu.usage);
  show("memory", system.memory.percent);
  show("disk", system.disk.percent);
  show("points", system.cpu.history.length);
});
const longer = (history, value) => [...(history ?? []).slice(1 - POINTS), { value }];

useWebSocket((data) => {
  if (data.type !== "system_stats") return;
  setSystem((before) => {
    const cpu = data.cpu?.usage ?? "missing";
    const memory = data.memory?.percent ?? "missing";
    const disk = data.disk?.percent ?? "missing";
    return {
      cpu: { usage: cpu, history: longer(before.cpu?.history, cpu) },
      memory: { percent: memory, history: longer(before.memory?.history, memory) },
      disk: { percent: disk, history: longer(before.disk?.history, disk) },
    };
  });
});
