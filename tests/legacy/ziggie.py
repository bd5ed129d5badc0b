"""A control centre's backend, faults and all: the second of the two field reports that steadfeed answers.

Faults kept on purpose: each connection samples the host for itself, with a call that blocks the whole event loop for
100 ms; figures stand at the top level; times name no zone; a bad token is told only after the socket was accepted.
ZIGGIE_EVERY sets the seconds between two messages, JWT_SECRET the secret of the tokens.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from datetime import datetime

import psutil
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

EVERY = float(os.environ.get("ZIGGIE_EVERY", "2"))
SECRET = os.environ.get("JWT_SECRET", "")
GIB = 1024**3

app = FastAPI()
opened = {"public": 0, "private": 0}
open_now = {"public": 0, "private": 0}


def statistics() -> dict:
    """Blocks everything for a tenth of a second: that is how long psutil counts."""
    usage = psutil.cpu_percent(interval=0.1)
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage("/")
    return {
        "type": "system_stats",
        "timestamp": datetime.now().isoformat(),
        "cpu": {"usage": round(usage, 2)},
        "memory": {
            "percent": round(memory.percent, 2),
            "used_gb": round(memory.used / GIB, 2),
            "total_gb": round(memory.total / GIB, 2),
        },
        "disk": {
            "percent": round(disk.percent, 2),
            "used_gb": round(disk.used / GIB, 2),
            "total_gb": round(disk.total / GIB, 2),
        },
    }


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def is_good(token: str) -> bool:
    """Whether it is a JWT of ours (HS256) that has not expired."""
    try:
        head, body, signature = token.split(".")
        expected = hmac.new(SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
        return (
            SECRET != ""
            and json.loads(decoded(head))["alg"] == "HS256"
            and hmac.compare_digest(expected, decoded(signature))
            and json.loads(decoded(body))["exp"] > time.time()
        )
    except (ValueError, KeyError, TypeError):
        return False


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@app.post("/api/auth/login")
def login():
    """A token for whoever asks; whether they may is another story."""
    head = encoded(b'{"alg":"HS256","typ":"JWT"}')
    body = encoded(json.dumps({"sub": "operator", "exp": int(time.time()) + 3600}).encode())
    signature = hmac.new(SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return {"token": f"{head}.{body}.{encoded(signature)}"}


async def stream(socket: WebSocket, name: str):
    opened[name] += 1
    open_now[name] += 1
    try:
        while True:
            await socket.send_json(statistics())
            await asyncio.sleep(EVERY)
    except (WebSocketDisconnect, RuntimeError):
        pass
    finally:
        open_now[name] -= 1


@app.websocket("/ws")
async def public(socket: WebSocket):
    await socket.accept()
    await stream(socket, "public")


@app.websocket("/api/system/ws")
async def private(socket: WebSocket, token: str = ""):
    await socket.accept()
    if not is_good(token):
        await socket.close(code=1008, reason="invalid token")
        return
    await stream(socket, "private")


@app.get("/health")
def health():
    return {"status": "healthy"}


@app.get("/debug/sockets")
def sockets():
    """How many sockets are open, and were ever opened in this process."""
    return {"open": open_now, "opened": opened, "pid": os.getpid()}
