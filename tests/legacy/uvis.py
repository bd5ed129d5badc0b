"""A dispatch board's backend, faults and all: the first of the two field reports that steadfeed answers.

Faults kept on purpose: a placeholder of another shape comes first, statistics carry no type and a time without a zone,
`connected` and `keepalive` carry no data, and a keepalive comes only every 30 seconds. The environment shortens the
intervals for tests: UVIS_STATS, UVIS_KEEPALIVE and UVIS_SLOW (how long the first statistics take), in seconds.
"""

import asyncio
import os
from datetime import datetime

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

STATS = float(os.environ.get("UVIS_STATS", "5"))
KEEPALIVE = float(os.environ.get("UVIS_KEEPALIVE", "30"))
SLOW = float(os.environ.get("UVIS_SLOW", "0.2"))

app = FastAPI()
opened = {"dashboard": 0, "alerts": 0}
open_now = {"dashboard": 0, "alerts": 0}
subscribers: set[asyncio.Queue] = set()
board = {"pending": 3}


def now() -> str:
    """Local time that names no zone."""
    return datetime.now().isoformat()


def figures() -> dict:
    return {
        "total_orders": 12,
        "pending_orders": board["pending"],
        "active_dispatches": 2,
        "completed_today": 7,
        "available_vehicles": 46,
        "active_vehicles": 5,
        "revenue_today": 1250.0,
        "revenue_month": 48200.50,
        "timestamp": now(),
        "loading": False,
    }


class Counted:
    """One open socket more, for as long as the block lasts."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self):
        opened[self.name] += 1
        open_now[self.name] += 1

    def __exit__(self, *_):
        open_now[self.name] -= 1


async def until_gone(socket: WebSocket):
    """Reads, as an endpoint must that wants to know when its client leaves."""
    while True:
        await socket.receive_text()


async def serve(socket: WebSocket, name: str, say):
    await socket.accept()
    with Counted(name):
        tasks = [asyncio.create_task(say(socket)), asyncio.create_task(until_gone(socket))]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        for task in done:
            error = task.exception()
            if error and not isinstance(error, (WebSocketDisconnect, RuntimeError)):
                raise error


@app.websocket("/api/v1/dispatches/ws/dashboard")
async def dashboard(socket: WebSocket):
    async def say(socket: WebSocket):
        await socket.send_json({"loading": True, "message": "Collecting statistics", "progress": 0})
        await asyncio.sleep(SLOW)
        while True:
            await socket.send_json(figures())
            await asyncio.sleep(STATS)

    await serve(socket, "dashboard", say)


@app.websocket("/api/v1/dispatches/ws/alerts")
async def alerts(socket: WebSocket):
    async def say(socket: WebSocket):
        queue: asyncio.Queue = asyncio.Queue()
        subscribers.add(queue)
        try:
            await socket.send_json({"type": "connected", "message": "Listening for alerts", "timestamp": now()})
            while True:
                try:
                    await socket.send_json(await asyncio.wait_for(queue.get(), KEEPALIVE))
                except asyncio.TimeoutError:
                    await socket.send_json({"type": "keepalive", "timestamp": now()})
        finally:
            subscribers.discard(queue)

    await serve(socket, "alerts", say)


@app.get("/api/v1/health")
def health():
    return {"status": "healthy", "service": "uvis-backend"}


@app.post("/debug/alerts")
async def alert(request: Request):
    """Says an alert to every socket of alerts."""
    text = (await request.json())["message"]
    for queue in subscribers:
        queue.put_nowait({"type": "alert", "data": {"level": "warning", "message": text}, "timestamp": now()})
    return {"told": len(subscribers)}


@app.post("/debug/pending")
async def pending(request: Request):
    """Sets a figure, so that a test can tell one value from the next."""
    board["pending"] = (await request.json())["pending"]
    return board


@app.get("/debug/sockets")
def sockets():
    """How many sockets are open, and were ever opened in this process."""
    return {"open": open_now, "opened": opened, "pid": os.getpid()}
