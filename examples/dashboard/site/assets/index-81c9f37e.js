const show = (id, text) => { document.getElementById(id).textContent = text };

async function figures() {
  const answer = await fetch("/api/figures");
  show("notes", (await answer.json()).notes);
}

function open() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws`);
  socket.onopen = () => show("socket", "open");
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    show("count", message.count);
    show("notes", message.notes);
  };
  socket.onclose = () => {
    show("socket", "closed");
    setTimeout(open, 1000);
  };
}

document.getElementById("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = new FormData(event.target).get("text");
  await fetch("/api/notes", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text }),
  });
  event.target.reset();
  await figures();
});

show("page", location.pathname);
figures();
open();
