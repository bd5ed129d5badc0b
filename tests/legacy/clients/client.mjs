// Node's `ws` as a client: prints each message on a line until its stdin ends, and then leaves.
//
// Exits with 1, and says the code, where the server closes first.

import { createRequire } from "node:module";
import process from "node:process";

// It is installed beside what is built, not beside this file.
const { WebSocket } = createRequire(new URL("../../../target/node/here.js", import.meta.url))("ws");

let leaving = false;
const socket = new WebSocket(process.argv[2]);
socket.on("message", (message) => console.log(message.toString()));
socket.on("error", (error) => console.log(`error: ${error.message}`));
socket.on("close", (code) => {
  if (!leaving) console.log(`closed: ${code}`);
  process.exitCode = leaving && code === 1000 ? 0 : 1;
  process.stdin.destroy();
});
process.stdin.resume();
process.stdin.on("end", () => {
  leaving = true;
  socket.close(1000);
});
