"""A switchboard in one event loop, without Ray."""

import asyncio

from kdsweep.search.board import Switchboard


def job(key):
    return {"key": key, "kind": "trial", "trial": {}, "weights": ""}


def on_a_board(scenario, **settings):
    """Run ``scenario(board)``; whoever still waits for the board afterwards is left to itself."""

    async def whole():
        return await asyncio.wait_for(scenario(Switchboard(**settings)), 20)

    return asyncio.run(whole())


async def settled(*tasks):
    """Give every task the turns it needs to reach its next wait."""
    for _ in range(20):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]
