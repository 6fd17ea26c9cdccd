"""The flags of `bulkmsg run`; what they set going is in `running`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import click

from bulkmsg.cli.options import (
    ENVIRONMENT,
    ERRORS,
    MOMENT,
    STRETCH,
    BatchArgs,
    attachments_option,
    batch_options,
    format_option,
    given_flags,
    option,
    rate_option,
    settle_option,
    share_option,
    take_batch,
    takeover_option,
    timeout_option,
    update_tickets_option,
)
from bulkmsg.deadline import Moment, Stretch
from bulkmsg.settings import Rate
from bulkmsg.share import Share
from bulkmsg.stopping import ErrorLimit, OnRejection


@dataclass(frozen=True)
class RunArgs:
    """What a run is asked to do. `flags` are those that were given, as text, for the progress log."""

    batch: BatchArgs
    dry_run: bool
    sandbox: bool
    allow_send: int | None
    yes: bool
    rate: Rate | None
    share: Share
    limit: int | None
    sample: int | None
    settle: float
    in_doubt: str | None
    timeout: float
    concurrency: int | None
    retry_rejected: bool
    allow_changed: bool
    allow_removed: bool
    update_tickets: bool
    max_errors: ErrorLimit | None
    max_duration: Stretch | None
    stop_at: Moment | None
    ignore_rules: bool
    on_rejection: str
    takeover: bool
    rebuild_log: bool
    format: str
    events: str | None
    progress: str
    flags: dict[str, str] = field(default_factory=dict)


@click.command("run", epilog=ENVIRONMENT)
@click.argument("batch", metavar="BATCH")
@option("-n", "--dry-run", is_flag=True, help="Check and plan only; no connection is opened.")
@option("--sandbox", is_flag=True, help="Send to a helpdesk on this machine; needs no account, mails nobody.")
@option(
    "--allow-send",
    type=click.IntRange(min=0),
    metavar="N",
    help="Consent to mailing up to N people, where nobody can be asked.",
)
@option("-y", "--yes", is_flag=True, help="Answer yes to questions. Never consents to mailing: see --allow-send.")
@option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N tickets of the batch.")
@option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only N tickets that show every type, channel and oddity of the batch; the same each time.",
)
@rate_option
@share_option
@option(
    "-j",
    "--concurrency",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Tickets at a time at most. [default: 8, up to 64 where answers are slow]",
)
@option("--retry-rejected", is_flag=True, help="Send rejected messages again although they are as they were.")
@option("--allow-changed", is_flag=True, help="Go on although sent messages were changed; they stay as they were sent.")
@option("--allow-removed", is_flag=True, help="Go on although sent messages were taken out of the batch.")
@update_tickets_option
@option("--rebuild-log", is_flag=True, help="Read a lost or damaged progress log back from the helpdesk, then go on.")
@option(
    "--max-errors",
    type=ERRORS,
    metavar="N|N%",
    help="Stop once more than N messages, or N % of them, were rejected or failed. "
    "[default: 25 in a row, or 5% after the first 200]",
)
@option("--max-duration", type=STRETCH, metavar="2h", help="Start nothing more after this long.")
@option(
    "--stop-at",
    type=MOMENT,
    metavar="18:00",
    help="Start nothing more from then on, by this machine's clock; the next 18:00, or a date: 2026-11-22T18:00.",
)
@option(
    "--on-rejection",
    type=click.Choice([each.value for each in OnRejection]),
    default=OnRejection.HOLD_TICKET.value,
    show_default=True,
    help="What a rejected message means: the rest of its ticket waits, or goes on, or the run stops.",
)
@option("--ignore-rules", is_flag=True, help="Import although active rules of the account may react to it.")
@takeover_option
@option(
    "--in-doubt",
    type=click.Choice(["resend", "hold"]),
    help="What to do with a message that may have arrived and cannot be found.",
)
@settle_option
@timeout_option
@format_option("text", "json")
@option("--events", metavar="PATH|-", help="Write what happens as JSON lines to a file; - is stdout.")
@option(
    "--progress",
    type=click.Choice(["auto", "bar", "plain", "none"]),
    default="auto",
    show_default=True,
    help="How the run is shown while it goes on.",
)
@attachments_option
@batch_options(log=True)
@click.pass_context
def command(ctx: click.Context, /, batch: str, **given: Any) -> int:
    """Send a batch. Running it again goes on where it stopped.

    The whole batch is checked first; with one error nothing is sent. What was sent is kept in a progress log beside
    the batch, so nothing is sent twice. In send mode people are mailed: run says how many, and asks.

    Credentials: GORGIAS_ACCOUNT, GORGIAS_EMAIL and GORGIAS_API_KEY, or GORGIAS_ACCESS_TOKEN, or an OAuth app's; each
    also as ..._FILE. `bulkmsg auth check` tells what they are worth.
    """
    from bulkmsg.cli.running import run

    flags = given_flags(ctx)
    return run(RunArgs(take_batch(ctx, batch, given), flags=flags, **given), ctx.obj)
