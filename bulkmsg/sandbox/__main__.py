"""Run the sandbox by itself: `python -m bulkmsg.sandbox --port 8089 --limit 400 --window 2 --seed 7`."""

import asyncio
import signal
import sys
from collections.abc import Sequence

from bulkmsg.sandbox.cli import parse
from bulkmsg.sandbox.faults import FaultError
from bulkmsg.sandbox.server import serve
from bulkmsg.sandbox.settings import SandboxSettings, SettingsError


def announce(url: str) -> None:
    print(url, flush=True)


async def run(settings: SandboxSettings) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, announce, stop)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 when told to stop, 1 when the port cannot be had, 2 for settings that make no sense."""
    try:
        asyncio.run(run(parse(arguments)))
    except (SettingsError, FaultError) as problem:
        print(f"sandbox: {problem}", file=sys.stderr)
        return 2
    except OSError as problem:
        print(f"sandbox: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
