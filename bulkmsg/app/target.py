"""Where a run's requests go: the account, or a sandbox that lives as long as the run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bulkmsg.app.prepare import Errand
from bulkmsg.ports import Helpdesk
from bulkmsg.settings import API_KEY_RATE, Credentials, Rate, check_base_url


@asynccontextmanager
async def client(base: str, credentials: Credentials, patience: float) -> AsyncIterator[Helpdesk]:
    from bulkmsg.gorgias.client import GorgiasClient  # here: commands without a network never load it

    async with GorgiasClient(base, credentials, patience) as client:
        yield client


@asynccontextmanager
async def target(errand: Errand) -> AsyncIterator[tuple[str, Credentials, Rate, Any]]:
    """Where requests go, as whom, and at which rate to begin; a sandbox lives as long as the run."""
    options = errand.options
    if not options.sandbox:
        credentials = options.credentials or Credentials()
        base = check_base_url(options.base_url) if options.base_url else f"https://{errand.account}.gorgias.com"
        yield base, credentials, credentials.default_rate, None
        return
    from bulkmsg.sandbox.server import Sandbox
    from bulkmsg.sandbox.settings import SandboxSettings

    rate = options.rate or API_KEY_RATE
    sandbox = Sandbox(SandboxSettings(limit=rate.limit, window=rate.window))
    await sandbox.start()
    try:
        yield sandbox.url, Credentials(email="sandbox@example.com", api_key="sandbox"), rate, sandbox
    finally:
        await sandbox.stop()
