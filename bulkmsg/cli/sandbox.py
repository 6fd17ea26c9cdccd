"""`bulkmsg sandbox`: a helpdesk on this machine until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.options import DURATION, RATE, option
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode, UsageError
from bulkmsg.settings import API_KEY_RATE, OAUTH_RATE, Rate, parse_duration

if TYPE_CHECKING:
    from bulkmsg.sandbox.settings import SandboxSettings


def _knob(*names: str, **more: Any) -> Callable[[Any], Any]:
    """A flag whose variable begins with BULKMSG_SANDBOX_, apart from that of a real run."""
    decorated: Callable[[Any], Any] = option(*names, prefix="sandbox-", **more)
    return decorated


@click.command("sandbox")
@_knob(
    "--port",
    type=click.IntRange(0, 65535),
    default=8089,
    show_default=True,
    help="0 chooses a free one.",
)
@_knob("--account", metavar="NAME", default="sandbox", show_default=True, help="What it calls itself.")
@_knob("--rate", type=RATE, metavar="40/20s", help="Its limit; default 40/20s, or 80/20s with --oauth.")
@_knob("--limiter", type=click.Choice(["leaky", "window"]), help="How it counts; default leaky, a bucket.")
@_knob("--neighbour", type=float, metavar="N", help="Requests a second that another application takes away.")
@_knob("--faults", metavar="SPEC", help="Misbehave: such as drop-after=0.05,503=0.02 or 500-after@3, or heavy.")
@_knob("--seed", type=int, help="Same seed, same misbehaviour.")
@_knob("--latency", metavar="LOW:HIGH", help="How long an answer takes, such as 0.1s:0.4s.")
@_knob("--list-lag", type=DURATION, metavar="2s", help="Until something new shows in a listing.")
@_knob("--commit-lag", type=DURATION, metavar="2s", help="By which a write whose answer was lost is late.")
@_knob("--send-delay", type=DURATION, metavar="2s", help="Until a message that is mailed is marked as sent.")
@_knob("--token-life", type=DURATION, metavar="24h", help="Until an access token is refused.")
@_knob("--oauth", is_flag=True, help="Take only access tokens that it gave out; its limit is 80/20s then.")
@_knob("--rotate-refresh-tokens", is_flag=True, help="A refresh token counts once, and brings the next.")
@_knob("--no-consent", is_flag=True, help="Whoever is asked to let an app in refuses.")
@_knob("--revoke-after", type=click.IntRange(min=0), metavar="N", help="Refuse the credentials after N writes.")
@_knob("--quota", type=click.IntRange(min=0), metavar="N", help="Refuse every message after N.")
@_knob("--upload-limit", type=click.IntRange(min=0), metavar="BYTES", help="Refuse larger files (413).")
@_knob("--success-status", type=click.IntRange(200, 299), help="The status of a message created; default 201.")
@_knob("--external-ids", type=click.Choice(["keep", "strip", "cut"]), help="What becomes of external ids.")
@_knob("--named-tickets", is_flag=True, help="Tickets exist for all external ids that messages name.")
@_knob("--strict-integrations", is_flag=True, help="Refuse messages from addresses that are no mailbox.")
@_knob("--reopen", is_flag=True, help="An incoming message opens its closed ticket.")
@_knob("--no-auto-tickets", is_flag=True, help="Only tickets given with --ticket exist; by itself every number does.")
@_knob("--ticket", "tickets", type=int, multiple=True, metavar="ID", help="A ticket that exists. Can be given again.")
@_knob("--deleted", type=int, multiple=True, metavar="ID", help="A ticket that does not. Can be given again.")
@_knob("--merged", multiple=True, metavar="ID:SURVIVOR", help="A ticket merged into another. Can be given again.")
@_knob("--agent", "agents", multiple=True, metavar="EMAIL", help="An agent; else any sender is. Can be given again.")
@_knob(
    "--mailbox",
    "mailboxes",
    multiple=True,
    metavar="EMAIL",
    help="A mailbox; else any address is. Can be given again.",
)
@_knob("--rule", "rules", multiple=True, metavar="NAME=EVENT", help="An automation rule. Can be given again.")
@_knob(
    "--switched-off", multiple=True, metavar="NAME", help="A rule or a mailbox that is deactivated. Can be given again."
)
@_knob("--team", "teams", multiple=True, metavar="NAME", help="A team. Can be given again.")
@_knob("--tag", "tags", multiple=True, metavar="NAME", help="A tag. Can be given again.")
@_knob("--role", metavar="ROLE", help="That of whoever signs in, such as observer-agent; default agent.")
@_knob("--closed", multiple=True, metavar="LIST", help="A list that answers 403, such as rules. Can be given again.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    """Run a helpdesk on this machine, to try things on.

    It answers as Gorgias does, with its limit and its rules; what would be mailed lands in an outbox, and nothing
    leaves this machine. Open its address in a browser to see the tickets. Ctrl-C stops it, and all is forgotten.
    """
    return sandbox(settings_of(given), ctx.obj)


def settings_of(given: dict[str, Any]) -> SandboxSettings:
    """The flags as the sandbox's own settings.

    Raises:
        UsageError: they make no sense together.
    """
    from bulkmsg.sandbox.settings import SandboxSettings, SettingsError

    values = {name: value for name, value in given.items() if value is not None and value != () and value is not False}
    rate: Rate = values.pop("rate", OAUTH_RATE if values.get("oauth") else API_KEY_RATE)
    values["consent"] = not values.pop("no_consent", False)
    values.update(limit=rate.limit, window=rate.window)
    values["auto_tickets"] = not values.pop("no_auto_tickets", False)
    if "latency" in values:
        values["latency"] = _range(values["latency"])
    if "merged" in values:
        values["merged"] = dict(_pair(text) for text in values["merged"])
    if "rules" in values:
        named = (text.partition("=") for text in values["rules"])
        values["rules"] = {name: events or "ticket-message-created" for name, _, events in named}
    if "deleted" in values:
        values["deleted"] = frozenset(values["deleted"])
    try:
        return SandboxSettings(**values)
    except SettingsError as error:
        raise UsageError(str(error), "bulkmsg sandbox --help tells what there is") from None


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    return parse_duration(low), parse_duration(high or low)


def _pair(text: str) -> tuple[int, int]:
    gone, _, survivor = text.partition(":")
    if not (gone.isdecimal() and survivor.isdecimal()):
        raise UsageError(f"--merged {text} is no pair of ticket ids", "write it like 17:18; the second is what is left")
    return int(gone), int(survivor)


_OF_A_KEY = ("export GORGIAS_EMAIL=anna@acme.example", "export GORGIAS_API_KEY=sandbox-key")
_OF_AN_APP = (
    "export GORGIAS_CLIENT_ID=sandbox-app",
    "export GORGIAS_CLIENT_SECRET=sandbox-secret",
    "export GORGIAS_REFRESH_TOKEN=sandbox-refresh",
)


def sandbox(settings: SandboxSettings, terminal: Terminal) -> ExitCode:
    """Serve until SIGINT, SIGTERM or SIGHUP.

    Raises:
        UsageError: the port cannot be had, or the faults cannot be read.
    """
    import asyncio

    from bulkmsg.sandbox.faults import FaultError

    try:
        asyncio.run(_serve(settings, terminal))
    except FaultError as error:
        raise UsageError(f"--faults: {error}", "bulkmsg sandbox --help shows the form") from None
    except OSError as error:
        hint = "is another sandbox running? --port 0 chooses a free one"
        raise UsageError(f"port {settings.port} cannot be had: {error.strerror}", hint) from None
    return ExitCode.OK


async def _serve(settings: SandboxSettings, terminal: Terminal) -> None:
    import asyncio
    import signal

    from bulkmsg.sandbox.server import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)

    def ready(url: str) -> None:
        terminal.answer(f"export GORGIAS_BASE_URL={url}", *(_OF_AN_APP if settings.oauth else _OF_A_KEY))
        terminal.say(
            f"listening: open {url} to see the tickets; Ctrl-C stops it",
            "next, in another terminal, after the exports: bulkmsg run batch.yaml",
        )

    await serve(settings, ready, stop)
    terminal.say("stopped")
