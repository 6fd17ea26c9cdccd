"""The way to the helpdesk: the account's own, or a sandbox that lives as long as the run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

from bulkmsg.app.access import Access
from bulkmsg.app.prepare import Errand, Prepared
from bulkmsg.budget import SharedBudget
from bulkmsg.credentials import token_file
from bulkmsg.ports import Budget, Helpdesk
from bulkmsg.settings import API_KEY_RATE, Credentials, Rate, check_base_url
from bulkmsg.tokens import helpdesk_folder


@dataclass(frozen=True)
class Reached:
    """The helpdesk's door, the rate to begin with, the sandbox that stands behind it, if one does, what renews the
    access to it, where that runs out, and where the runs of the account meet; None for a helpdesk of one run alone."""

    helpdesk: Helpdesk
    assumed: Rate
    sandbox: Any = None
    renewal: Access | None = None
    budget: Budget | None = None


Reach = Callable[[Errand], AbstractAsyncContextManager[Reached]]


@asynccontextmanager
async def over_http(errand: Errand) -> AsyncIterator[Reached]:
    """The helpdesk through a client that lives as long as the errand."""
    from bulkmsg.gorgias.client import GorgiasClient  # here: commands without a network never load it

    async with (
        _target(errand) as (base, credentials, assumed, sandbox),
        GorgiasClient(base, credentials, errand.options.timeout) as client,
    ):
        app = credentials.app
        tokens = token_file(os.environ, errand.account, app) if app else None
        renewal = Access(client, app, tokens, credentials.token) if app and tokens else None
        with closing(_budget(errand)) as budget:
            yield Reached(client, assumed, sandbox, renewal, None if sandbox else budget)


def _budget(errand: Errand) -> SharedBudget:
    """What all runs share that reach the same helpdesk from this machine; no file is made before it is used."""
    try:
        return SharedBudget(helpdesk_folder(os.environ, errand.account, errand.options.base_url or ""))
    except RuntimeError:
        return SharedBudget(None)


@asynccontextmanager
async def _target(errand: Errand) -> AsyncIterator[tuple[str, Credentials, Rate, Any]]:
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
    mailboxes = errand.mailboxes if isinstance(errand, Prepared) else ()
    settings = SandboxSettings(limit=rate.limit, window=rate.window, mailboxes=mailboxes or None, named_tickets=True)
    sandbox = Sandbox(settings)
    await sandbox.start()
    try:
        yield sandbox.url, Credentials(email="sandbox@example.com", api_key="sandbox"), rate, sandbox
    finally:
        await sandbox.stop()
