"""Optimizes bits.c through `whittle mcp` with the official client, as a coding agent would.

usage: client.py FOLDER COMMAND [ARGUMENT ...]

Starts the server COMMAND in FOLDER and prints what came of it as JSON.
"""

import asyncio
import json
import os
import re
import sys

from mcp import Client, StdioServerParameters

RIGHT = """\
A set bit is counted by one instruction on most machines.

```c
static unsigned ones(unsigned bits) {
    return (unsigned)__builtin_popcount(bits);
}
```
"""

WRONG = """\
<<<<<<< SEARCH
    return count;
=======
    return 1;
>>>>>>> REPLACE
"""


class Agent:
    """Calls tools, and keeps what they said."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.progress: list[str] = []

    async def heard(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append(message or "")

    async def call(self, tool: str, **arguments: object) -> str:
        result = await self.client.call_tool(tool, arguments, progress_callback=self.heard)
        text = result.content[0].text
        if result.is_error:
            raise RuntimeError(f"{tool}: {text}")
        return text

    async def submit(self, edit: str, change: str) -> tuple[int, str]:
        answer = await self.call("submit_candidate", candidate=0, level="source", edit=edit, change=change)
        number = re.match(r"Candidate #(\d+): ", answer)
        assert number, answer
        return int(number[1]), answer


async def optimize(folder: str, command: list[str]) -> dict[str, object]:
    server = StdioServerParameters(command=command[0], args=command[1:], cwd=folder, env=dict(os.environ))
    async with Client(server) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        agent = Agent(client)
        opened = await agent.call("open_program", paths=["bits.c"], tests="tests", budget_seconds=40)
        hottest = (await agent.call("profile")).splitlines()[0]
        text = await agent.call("show_level", candidate=0, level="source", function="ones")
        wrong, rejected = await agent.submit(WRONG, "guess")
        right, timed = await agent.submit(RIGHT, "count bits at once")
        verdict = await agent.call("verdict", candidate=right)
        try:
            await agent.call("verdict", candidate=1000)
            missing = ""
        except RuntimeError as error:
            missing = str(error)
        result = await agent.call("export")
    return {
        "tools": tools,
        "opened": opened,
        "hottest": hottest,
        "text": text,
        "rejected": rejected,
        "numbers": [wrong, right],
        "timed": timed,
        "verdict": verdict,
        "missing": missing,
        "result": result,
        "progress": agent.progress,
    }


if __name__ == "__main__":
    json.dump(asyncio.run(optimize(sys.argv[1], sys.argv[2:])), sys.stdout)
