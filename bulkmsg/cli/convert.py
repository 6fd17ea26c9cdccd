"""`bulkmsg convert`: another helpdesk's export becomes a batch. Opens no socket."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkmsg.cli.options import DELIMITER, ENVIRONMENT, option
from bulkmsg.cli.terminal import Terminal
from bulkmsg.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulkmsg.app.convert import Conversion
    from bulkmsg.converters.options import Options
    from bulkmsg.converters.tally import Tally

_LISTED = 20  # agents, reasons


@dataclass(frozen=True)
class ConvertArgs:
    """What was typed; `given` are the flags by their names."""

    source: str
    files: tuple[str, ...]
    output: str
    given: dict[str, Any]


@click.command("convert", epilog=ENVIRONMENT)
@click.argument("source", required=False)
@click.argument("files", metavar="FILE...", nargs=-1)
@option("-o", "--output", metavar="DIR", help="The folder that the batch is written to; made if need be.")
@option("--list", "listing", is_flag=True, help="Say what each source reads, and how sure we are of its format.")
@option("--name", metavar="NAME", help="The batch's name.  [default: the source's, with -import]")
@option("--mapping", metavar="FILE", help="For the source generic: what each field means.")
@option(
    "--agent-map",
    multiple=True,
    metavar="OLD=NEW|FILE.csv",
    help="Agents (id, address or name there) to users here (address or number). May be given again.",
)
@option("--default-agent", metavar="USER", help="Who stands in for every agent that is not mapped.")
@option("--mailbox", metavar="ADDRESS", help="The support address of messages for which the export names none.")
@option(
    "--missing-email",
    type=click.Choice(["error", "skip", "placeholder"]),
    default="error",
    show_default=True,
    help="People without an address: a finding, a skip, or a stand-in that can never be mailed.",
)
@option(
    "--bots",
    type=click.Choice(["outgoing", "note", "skip"]),
    default="outgoing",
    show_default=True,
    help="What bots and automations wrote.",
)
@option("--requester-wins", is_flag=True, help="Staff who asked for help themselves count as customers there.")
@option("--descriptions", is_flag=True, help="One message of a ticket whose conversation is not in the export.")
@option("--encoding", metavar="NAME", default="utf-8", help="For files that are not UTF-8, such as windows-1252.")
@option("--delimiter", type=DELIMITER, metavar="CHAR", default=",", help="Between the cells of a CSV: ';' or tab.")
@option("--since", metavar="DATE", help="Leave out messages sent before: 2023-01-31, or a time with its zone.")
@option("--until", metavar="DATE", help="Leave out messages sent at or after it.")
@option("--only-tickets", metavar="IDS|FILE", help="These tickets only: ids with commas between, or a file of them.")
@option("--ticket", metavar="ID", help="The ticket of comments that do not say to which they belong.")
@option(
    "--attachments",
    type=click.Choice(["link", "download", "drop"]),
    default="link",
    show_default=True,
    help="Keep links, or leave attachments out. Nothing is downloaded yet.",
)
@option("--status-map", multiple=True, metavar="OLD=open|closed", help="Other statuses than those that are known.")
@option("--type-map", multiple=True, metavar="TYPE=TYPE", help="What records become whose type leaves a choice.")
@option("--field-map", multiple=True, metavar="OLD=NUMBER", help="Custom fields there to the numbers of fields here.")
@option(
    "--own",
    "--own-address",
    "--own-domain",
    "own",
    multiple=True,
    metavar="ADDRESS|DOMAIN",
    help="For mails: whose mails went out. May be given again; --mailbox is one of them.",
)
@option("--reply-to", is_flag=True, help="For mails from your own address: Reply-To or X-Original-From wrote them.")
@option("--skip-label", multiple=True, metavar="NAME", help="For mails of Gmail: leave out what has this label.")
@option("--person-names", is_flag=True, help="Write customers' names too. They replace names that are known here.")
@option("--author-line", is_flag=True, help="Name the person whom the default agent stands in for in the first line.")
@option("--anonymise", is_flag=True, help="Replace people and texts by stand-ins of the same shape.")
@click.pass_context
def command(
    ctx: click.Context, /, source: str | None, files: tuple[str, ...], output: str | None, listing: bool, **given: Any
) -> int:
    """Make a batch of another helpdesk's export.

    SOURCE is zendesk or another one that --list names; FILEs are its exports: files, folders, .gz and .zip, tickets,
    comments and users in any order. Writes batch.yaml, tickets.jsonl and a report to DIR. Exit code 1: some records
    could not become messages; the report lists them.
    """
    if listing:
        return list_sources(source, ctx.obj)
    if source is None or not files or output is None:
        hint = "write it like: bulkmsg convert zendesk tickets.json users.json -o zendesk"
        raise UsageError("a source, its files and an output folder are needed", hint)
    return convert(ConvertArgs(source, files, output, given), ctx.obj)


def list_sources(name: str | None, terminal: Terminal) -> ExitCode:
    """What can be converted, or what one source reads.

    Raises:
        UsageError: there is no source of that name.
    """
    from bulkmsg.converters import registry

    for each in [registry.source(name)] if name else registry.sources():
        terminal.answer(f"{each.name}: {each.about.title}")
        terminal.answer(*(f"  reads {line}" for line in each.about.reads))
        terminal.answer(*(f"  known from {sure.value}: {what}" for sure, what in each.about.sure))
    return ExitCode.OK


def convert(args: ConvertArgs, terminal: Terminal) -> ExitCode:
    """Convert, list agents who are not mapped, put the batch in place and say what became of the records.

    Raises:
        InvalidBatch: a file cannot be read, or nothing in it becomes a message.
        UsageError: the command line is wrong.
    """
    from bulkmsg.app.convert import Converted
    from bulkmsg.reports.words import count

    with Converted(conversion_of(args)) as converted:
        _tell_agents(converted.tally, terminal)
        written = converted.publish()
    tally = converted.tally
    folder = Path(args.output)
    terminal.answer(
        f"{count(tally.records, 'record')}: {count(tally.messages, 'message')} in "
        f"{count(tally.tickets_written, 'ticket')}, {count(tally.skipped, 'skip')}, {count(tally.found, 'finding')}"
    )
    _tell_reasons(tally, terminal)
    terminal.answer(*(f"wrote {folder / name}" for name in written))
    if "batch.yaml" not in written:
        terminal.say(f"{folder / 'batch.yaml'} is as it was: the keys stay, and a run adds what is new")
    terminal.say(f"next: {shlex.join(['bulkmsg', 'validate', str(folder / 'batch.yaml')])}")
    return ExitCode.FINDINGS if tally.found else ExitCode.OK


def _tell_agents(tally: Tally, terminal: Terminal) -> None:
    """Who wrote there and is not mapped, before anything is written."""
    from bulkmsg.reports.words import count

    unmapped = tally.unmapped
    if not unmapped:
        return
    told = {
        "own": "keeps this address: it must be a user's here (bulkmsg account agents lists them)",
        "default": "the default agent stands in",
        "missing": "has no address: map this agent, or give a --default-agent",
    }
    many = count(len(unmapped), "agent")
    terminal.say(f"{many} not mapped; agent-map.csv lists all, to be filled in and given as --agent-map:")
    for agent, messages in unmapped[:_LISTED]:
        person = agent.person
        name = " ".join(filter(None, (person.name, person.email))) or "(unnamed)"
        terminal.say(f"  {person.id}  {name}  {count(messages, 'message')}  {told[agent.how]}")
    if len(unmapped) > _LISTED:
        terminal.say(f"  and {len(unmapped) - _LISTED:,} more")


def _tell_reasons(tally: Tally, terminal: Terminal) -> None:
    for title, reasons in (("skip", tally.skips), ("finding", tally.findings), ("note", tally.notes)):
        for name, reason in sorted(reasons.items(), key=lambda each: -each[1].count)[:_LISTED]:
            place = next((f" ({file}:{line})" for file, line in reason.places), "")
            terminal.answer(f"  {title} {reason.count:,}: {reason.message or name}{place}")
            if title == "finding" and reason.hint:
                terminal.answer(f"    {reason.hint}")


# From flags to a value.


def conversion_of(args: ConvertArgs) -> Conversion:
    """
    Raises:
        UsageError: a flag says what cannot be.
    """
    from bulkmsg.app.convert import Conversion
    from bulkmsg.app.mapping import read_mapping
    from bulkmsg.converters import options as made
    from bulkmsg.converters import registry
    from bulkmsg.converters.words import Input, Reading

    source, given = registry.source(args.source), args.given
    if bool(given["mapping"]) != (source.name == "generic"):
        hint = "write it like: bulkmsg convert generic FILE --mapping map.yaml -o DIR"
        raise UsageError("--mapping belongs to the source generic, and generic needs it", hint)
    mapping = read_mapping(given["mapping"]) if given["mapping"] else None
    prefix = mapping.get("source", source.name) if mapping else source.name
    reading = Reading(
        requester_wins=given["requester_wins"],
        descriptions=given["descriptions"],
        bots=given["bots"],
        ticket=given["ticket"] or "",
        own=made.own((*given["own"], *filter(None, [given["mailbox"]]))),
        reply_to=given["reply_to"],
        skip_labels=given["skip_label"],
        mapping=mapping,
        types=made.types(made.pairs(given["type_map"], "--type-map"), source.about.types),
    )
    return Conversion(
        source,
        [Path(name) for name in args.files],
        Path(args.output),
        options_of(prefix, given, source.about.input is Input.MAIL),
        reading,
        given["encoding"],
        given["delimiter"],
        given["name"] or f"{prefix}-import",
    )


def options_of(prefix: str, given: dict[str, Any], in_hand: bool = False) -> Options:
    """`in_hand`: the export holds its attachments.

    Raises:
        UsageError: a flag says what cannot be.
    """
    from bulkmsg.app.convert import now
    from bulkmsg.converters import options as made

    if given["attachments"] == "download" and not in_hand:
        raise UsageError(
            "convert opens no connection, so it downloads nothing",
            "keep the links, --attachments link, and run soon: the report says which of them expire",
        )
    if given["default_agent"]:
        made.check_agent(given["default_agent"], "--default-agent ")
    if given["mailbox"]:
        made.check_mailbox(given["mailbox"])
    return made.Options(
        prefix,
        agents=made.agents(_pairs(given["agent_map"], "--agent-map")),
        default_agent=given["default_agent"] or "",
        mailbox=given["mailbox"] or "",
        missing_email=given["missing_email"],
        since=made.moment(given["since"]) if given["since"] else "",
        until=made.moment(given["until"]) if given["until"] else "",
        only_tickets=made.ids(_text_or_file(given["only_tickets"])) if given["only_tickets"] else frozenset(),
        attachments=given["attachments"],
        statuses=made.statuses(made.pairs(given["status_map"], "--status-map")),
        fields=made.fields(made.pairs(given["field_map"], "--field-map")),
        person_names=given["person_names"],
        author_line=given["author_line"],
        anonymise=given["anonymise"],
        now=now(),
    )


def _pairs(words: tuple[str, ...], flag: str) -> dict[str, str]:
    from bulkmsg.converters import options as made

    found: dict[str, str] = {}
    for word in words:
        if "=" in word:
            found |= made.pairs((word,), flag)
        else:
            found |= made.rows(_read(word, flag), flag, word)
    return found


def _text_or_file(word: str) -> str:
    return _read(word, "--only-tickets") if Path(word).is_file() else word


def _read(name: str, flag: str) -> str:
    try:
        return Path(name).read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"{flag}: {name} cannot be read: {reason}", "write old=new, or name a file") from None
