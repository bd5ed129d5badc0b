"""A small dashboard's backend: a few figures over HTTP, the same over a WebSocket, and notes that are posted to it."""

import asyncio
import itertools

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

app = FastAPI()
notes: list[str] = []


class Note(BaseModel):
    text: str


@app.get("/health")
def health():
    return {"status": "healthy"}


@app.get("/api/figures")
def figures(request: Request):
    return {"notes": len(notes), "client": request.headers.get("x-forwarded-for"), "host": request.headers["host"]}


@app.post("/api/notes", status_code=201)
def add(note: Note):
    notes.append(note.text[:200])
    del notes[:-100]
    return {"notes": len(notes)}


@app.websocket("/ws")
async def stream(socket: WebSocket):
    await socket.accept()
    try:
        for count in itertools.count(1):
            await socket.send_json({"count": count, "notes": len(notes)})
            await asyncio.sleep(1)
    except (WebSocketDisconnect, RuntimeError):
        pass
