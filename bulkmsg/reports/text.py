"""Plans, standings and the sandbox's tickets as a support lead reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bulkmsg.message import Mode
from bulkmsg.outcome import State
from bulkmsg.plan import Costs, Plan
from bulkmsg.reports.words import count, listing, people, rate_words, shortened, standing, visible
from bulkmsg.share import ALL, Share
from bulkmsg.source import Json

_TYPE_WORDS = {"incoming": ("incoming", ""), "outgoing": ("outgoing", ""), "internal-note": ("internal note", "s")}
_SENDERS_SHOWN = 3

NOBODY_IS_MAILED = "0 messages will be sent by this batch: every public message carries sent_datetime"
MAY_REACT = (
    "The account's own rules, surveys and auto-merge may still react to imported messages: what the helpdesk does is "
    "not documented. Look under Settings > Rules in the helpdesk; new tickets are marked `imported: true`."
)


def by_type(counts: Mapping[str, int]) -> str:
    """`80 incoming, 30 outgoing, 1 internal note`."""
    told = [
        f"{number:,} {_TYPE_WORDS[kind][0]}{_TYPE_WORDS[kind][1] if number != 1 else ''}"
        for kind, number in counts.items()
        if number
    ]
    return listing(told) or "none"


def through(senders: Sequence[str]) -> str:
    """Through which addresses messages go: `support@acme.com`, the first few of many."""
    shown = [visible(sender) for sender in senders[:_SENDERS_SHOWN]]
    more = len(senders) - len(shown)
    return listing([*shown, f"{more:,} more"] if more > 0 else shown)


def mailing(sends: int, recipients: int, senders: Sequence[str]) -> str:
    """Who gets what: `800 people will get 800 messages through support@acme.com`."""
    by = f" through {through(senders)}" if senders else ""
    return f"{people(recipients)} will get {count(sends, 'message')}{by}"


def about(time: str) -> str:
    """`about 6 min 30 s`, `less than a second`."""
    return "less than a second" if time == "0 s" else f"about {time}"


_COST_WORDS = {
    "account": "for the account and its user",
    "preflight": "to hold the batch against the account",
    "lost_log": "to see whether it ran before",
    "named_tickets": "to find tickets by their external_id",
    "in_doubt": "to look for what is in doubt",
    "uploads": "to upload files",
    "new_tickets": "for new tickets with their messages",
    "messages": "for single messages",
    "updates": "to update tickets",
}
_WORTH_SAYING = 60.0  # seconds: of a shorter run nobody asks what would be faster


def plan(
    planned: Plan, spoken: Callable[[float], str], until: str, senders: Sequence[str], before: Mapping[State, int]
) -> str:
    """What a run would do.

    Args:
        spoken: a duration in words. until: when it would end if it began now.
        before: how many messages stand where by the progress log; empty for a first run.
    """
    time = f"{about(spoken(planned.seconds))} at {rate_words(planned.rate)}{part(planned.share)}"
    rows = {
        "messages": f"{planned.messages:,}: {by_type(planned.by_type)}",
        "tickets": _tickets(planned),
        "before": _before(planned, before),
        "requests": _requests(planned.costs),
        "mailed": _mailed(planned, senders),
        "time": f"{time}; begun now, it ends {until}" if planned.seconds >= 1 else time,
        "faster": _faster(planned, spoken) if planned.seconds >= _WORTH_SAYING else "",
    }
    head = f"{visible(planned.batch)} ({planned.mode} mode)"
    return "\n".join([head, *(f"  {name:<9} {value}" for name, value in rows.items() if value)])


def part(share: Share) -> str:
    """That not all of the limit is ours, empty where it is."""
    return "" if share == ALL else f", of which our share is {share}"


def _tickets(planned: Plan) -> str:
    existing = planned.tickets - planned.new_tickets
    parts = [
        count(planned.new_tickets, "new ticket") if planned.new_tickets else "",
        count(existing, "existing ticket") if existing else "",
    ]
    return listing(part for part in parts if part) or "none"


def _before(planned: Plan, before: Mapping[State, int]) -> str:
    if not before:
        return ""
    known = {state.value: number for state, number in before.items() if state is not State.PENDING}
    return f"{standing(known) if any(known.values()) else 'nothing was sent'}; {count(planned.to_do, 'message')} to do"


def _requests(costs: Costs) -> str:
    parts = [f"{number:,} {_COST_WORDS[name]}" for name, number in costs.parts.items() if number]
    return f"{costs.total:,}{': ' if parts else ''}{', '.join(parts)}"


def _mailed(planned: Plan, senders: Sequence[str]) -> str:
    if planned.mode == Mode.IMPORT:
        return NOBODY_IS_MAILED
    if not planned.sends:
        return "nobody: the batch holds no outgoing message"
    return mailing(planned.sends, planned.recipients, senders)


def _faster(planned: Plan, spoken: Callable[[float], str]) -> str:
    return "; ".join(f"{spoken(seconds)} {how}" for how, _, seconds in planned.faster())


@dataclass(frozen=True, slots=True)
class Trouble:
    """A message that did not arrive, for the summary."""

    key: str
    place: str
    outcome: str
    error: str


def troubles(found: Sequence[Trouble], total: int) -> Iterator[str]:
    """The first messages that were rejected or failed, one a line."""
    for each in found:
        error = shortened(each.error, 160) or "no reason was given"
        yield f"  {shortened(each.key, 60)} ({visible(each.place)}) {each.outcome.replace('_', ' ')}: {error}"
    if total > len(found):
        yield f"  and {total - len(found):,} more"


def duplicates(found: Sequence[tuple[str, Sequence[int]]]) -> Iterator[str]:
    """Messages that stand in the helpdesk more than once."""
    if not found:
        return
    yield f"{count(len(found), 'message stands', 'messages stand')} in the helpdesk more than once:"
    for key, ids in found[:10]:
        yield f"  {shortened(key, 60)}: messages {listing(map(str, ids))}"
    if len(found) > 10:
        yield f"  and {len(found) - 10:,} more"


def uploads(number: int, size: int) -> str:
    """`12 files, 3.4 MB, each uploaded before the first message that carries it, in a request of its own`."""
    megabytes = f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"
    told = "each uploaded before the first message that carries it, in a request of its own"
    return f"{count(number, 'file')}, {megabytes}, {told}"


def counts_line(batch: str, total: int, counts: Mapping[str, int]) -> str:
    """`spring-recall: 118 created, 2 rejected of 120 messages`."""
    return f"{visible(batch)}: {standing(counts)} of {count(total, 'message')}"


def sandbox(seen: Mapping[str, Json]) -> Iterator[str]:
    """What a run made in the sandbox: tickets with their messages, and who would have been mailed."""
    tickets, outbox = seen["tickets"], seen["outbox"]
    totals = seen["counts"]
    yield (
        f"in the sandbox now: {count(totals['tickets'], 'ticket')}, {count(totals['messages'], 'message')} "
        "(nothing left this machine)"
    )
    for ticket in tickets:
        yield f"  ticket {ticket['id']} · {ticket['status']} · {shortened(ticket.get('subject') or '(no subject)', 60)}"
        for message in ticket["messages"]:
            yield f"    {_sandbox_message(message)}"
        if (more := ticket["more"]) > 0:
            yield f"    and {count(more, 'more message', 'more messages')}"
    if totals["tickets"] > len(tickets):
        yield f"  and {count(totals['tickets'] - len(tickets), 'more ticket', 'more tickets')}"
    yield from _outbox(outbox, totals["outbox"])


def _sandbox_message(message: Mapping[str, Json]) -> str:
    kind = "note" if message["channel"] == "internal-note" else "outgoing" if message["from_agent"] else "incoming"
    when = str(message["created_datetime"])[:16].replace("T", " ")
    said = " ".join(message["text"].split())
    return f"{visible(when)}  {kind:<8}  {shortened(message['who'], 40)}: {shortened(said, 60)}"


def _outbox(outbox: Sequence[Mapping[str, Json]], total: int) -> Iterator[str]:
    if not total:
        yield "  nobody would have been e-mailed"
        return
    yield f"  {count(total, 'message')} would have been e-mailed to:"
    for entry in outbox:
        listed = [*entry["to"], *entry["cc"], *entry["bcc"]]
        subject = shortened(entry.get("subject") or "(no subject)", 60)
        yield f"    {shortened(', '.join(map(str, listed)), 80)}: {subject}"
    if total > len(outbox):
        yield f"    and {total - len(outbox):,} more"
