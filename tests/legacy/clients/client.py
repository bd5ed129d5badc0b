"""Python's `websockets` as a client: prints each message on a line until its stdin ends, and then leaves.

Exits with 1, and says the code, where the server closes first.
"""

import asyncio
import sys

import websockets


async def main(url: str) -> int:
    async with websockets.connect(url) as socket:
        loop = asyncio.get_running_loop()
        told = loop.run_in_executor(None, sys.stdin.read)

        async def show():
            async for message in socket:
                print(message, flush=True)

        showing = asyncio.create_task(show())
        await asyncio.wait([told, showing], return_when=asyncio.FIRST_COMPLETED)
        if showing.done():
            print(f"closed: {socket.close_code}", flush=True)
            return 1
        await socket.close()
        await asyncio.wait([showing])
        return 0 if socket.close_code == 1000 else 1


sys.exit(asyncio.run(main(sys.argv[1])))
