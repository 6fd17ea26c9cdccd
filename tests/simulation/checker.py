"""Was it exactly once? Looks only at what the helpdesk has and got, and at what the tool says. Knows no record of the
progress log and no state inside the tool."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.simulation.helpdesk import Post, SimHelpdesk
from tests.simulation.tool import Report
from tests.simulation.world import Entry, World

STATES = ("created", "rejected", "failed", "held_back", "in_doubt", "undone", "pending")
ABSENT = ("rejected", "failed", "held_back", "pending")
SIGNALS = (129, 130, 143)


def after_run(
    world: World, desk: SimHelpdesk, report: Report, *, log_failed: bool, refused_log_is_fair: bool
) -> Iterator[str]:
    """What is wrong after a run or a crash, in words. `log_failed`: the disk did not take or keep a record."""
    yield from desk.wrongs
    yield from _nothing_twice(desk)
    yield from _order(world, desk)
    yield from _no_second_post(world, desk)
    yield from _one_ticket_each(world, desk)
    if world.alone and desk.overruns:
        yield "the account's limit was overrun, and nobody else was sending"
    if report.results is None:
        if not refused_log_is_fair:
            yield "the progress log is refused, though the disk kept what it said it had flushed"
        return
    yield from _results(world, desk, report)
    if report.counts is not None:
        yield from _answer(world, report, log_failed)


def _nothing_twice(desk: SimHelpdesk) -> Iterator[str]:
    for text, times in Counter(item.text for item in desk.stored if item.text).items():
        if times > 1:
            yield f"{text!r} is in the helpdesk {times} times"


def _order(world: World, desk: SimHelpdesk) -> Iterator[str]:
    """Of each ticket's messages a beginning stands there, in order: one that did not arrive holds the rest back."""
    wanted: dict[int | str, list[str]] = defaultdict(list)
    for entry in world.entries:
        wanted[entry.ticket].append(entry.text)
    place = {entry.text: entry.ticket for entry in world.entries}
    there: dict[int | str, list[str]] = defaultdict(list)
    for item in desk.stored:
        if item.text:
            there[place[item.text]].append(item.text)
    for ticket, texts in there.items():
        if texts != wanted[ticket][: len(texts)]:
            yield f"ticket {ticket} holds {texts}, and its batch order is {wanted[ticket]}"


def _no_second_post(world: World, desk: SimHelpdesk) -> Iterator[str]:
    by_text: dict[str, list[Post]] = defaultdict(list)
    external_ids: dict[str, set[str]] = defaultdict(set)
    for post in desk.posts:
        for text, external_id in zip(post.texts, post.external_ids, strict=True):
            by_text[text].append(post)
            external_ids[text].add(external_id)
    entries = {entry.text: entry for entry in world.entries}
    for text, posts in by_text.items():
        for earlier in posts[:-1]:
            if not _may_follow(world, entries[text], earlier):
                yield f"{text!r} was posted again after an attempt that was answered: {earlier.told or 'nothing'}"
        if len(external_ids[text]) > 1:
            yield f"{text!r} was posted under several external ids"


def _one_ticket_each(world: World, desk: SimHelpdesk) -> Iterator[str]:
    """The messages of a new ticket stand in one ticket, however they came there."""
    for name, entries in world.threads.items():
        texts = {entry.text for entry in entries}
        homes = {item.ticket for item in desk.stored if item.text in texts}
        if len(homes) > 1:
            yield f"the messages of {name} stand in {len(homes)} tickets"


def _may_follow(world: World, entry: Entry, earlier: Post) -> bool:
    if earlier.told == "created":
        return False
    if earlier.told == "refused" or (earlier.told == "rejected" and world.retry_rejected):
        return True
    return world.resends(entry)


def _results(world: World, desk: SimHelpdesk, report: Report) -> Iterator[str]:
    assert report.results is not None
    there = {item.text: item for item in desk.stored if item.text}
    told = defaultdict(set)
    left: Counter[str] = Counter()
    for post in desk.posts:
        for text in post.texts:
            told[text].add(post.told)
            left[text] += 1
    if set(report.results) != {entry.key for entry in world.entries}:
        yield "the results are not those of the batch's entries"
        return
    for entry in world.entries:
        line = report.results[entry.key]
        state = line["outcome"]
        if state not in STATES:
            yield f"{entry.key} is {state!r}, which is no state"
        if state == "created" and entry.text not in there:
            yield f"{entry.key} is told as created and is not in the helpdesk"
        if state in ABSENT and entry.text in there:
            yield f"{entry.key} is told as {state} and is in the helpdesk"
        if state == "rejected" and "rejected" not in told[entry.text]:
            yield f"{entry.key} is told as rejected, and the helpdesk never rejected it"
        if state == "created" and entry.text in there and line["message_id"] not in (None, there[entry.text].id):
            yield f"{entry.key} is told as message {line['message_id']}, which is another"
        if line["attempts"] < left[entry.text]:
            yield f"{entry.key} was posted {left[entry.text]} times, and {line['attempts']} attempts are told"


def _answer(world: World, report: Report, log_failed: bool) -> Iterator[str]:
    """The answer of the run itself: its sums, its agreement with the results, its exit code."""
    assert report.counts is not None and report.results is not None
    selected = _selected(world, report.limit)
    if sum(report.counts.values()) != len(selected):
        yield f"the states add up to {sum(report.counts.values())}, and {len(selected)} messages were selected"
    told = Counter(report.results[entry.key]["outcome"] for entry in selected)
    if not _agree(report.counts, told, log_failed):
        yield f"the run counts {_some(report.counts)}, and results tell {_some(told)}"
    code = report.exit_code
    if code == 0 and report.counts["created"] != len(selected):
        yield f"exit code 0, and {_some(report.counts)}"
    if log_failed and code not in (7, *SIGNALS):
        yield f"exit code {code}, and the progress log could not be written"
    if code == 70:
        yield f"a bug ended the run: {report.said}"
    if code in (0, 1, 5) and report.counts["in_doubt"]:
        yield f"exit code {code} with messages in doubt"
    if code == 6 and not report.counts["in_doubt"]:
        yield "exit code 6, and nothing is in doubt"
    if code == 1 and not any(report.counts[state] for state in ("rejected", "failed", "held_back")):
        yield "exit code 1, and nothing was rejected, failed or held back"


def _agree(run: dict[str, int], told: Counter[str], log_failed: bool) -> bool:
    """Whether run and results tell the same. Where the log could not be written any more, results show what its file
    says; the run may not rely on what was not flushed, and counts such a message as in doubt, or as it stood before."""
    if not log_failed:
        return all(run[state] == told[state] for state in STATES)
    surer = told["created"] >= run["created"] and told["pending"] + told["held_back"] >= run["pending"]
    return surer and told["in_doubt"] <= run["in_doubt"] and told.total() == sum(run.values())


def _selected(world: World, limit: int | None) -> list[Entry]:
    tickets = list(dict.fromkeys(entry.ticket for entry in world.entries))[:limit]
    return [entry for entry in world.entries if entry.ticket in tickets]


def _some(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items() if number)


def at_the_end(world: World, desk: SimHelpdesk, report: Report) -> Iterator[str]:
    """After calm runs, until nothing changed any more: is everything there that can be?"""
    if report.results is None or report.counts is None:
        return
    there = {item.text for item in desk.stored}
    blocked: set[int | str] = set()
    told = defaultdict(set)
    for post in desk.posts:
        for text in post.texts:
            told[text].add(post.told)
    for entry in world.entries:
        state = report.results[entry.key]["outcome"]
        if state == "created":
            continue
        if state in ("pending", "failed"):
            yield f"{entry.key} is {state} though nothing stands in its way any more"
        if state == "held_back" and entry.ticket not in blocked and not _waits_for_its_thread(world, entry, report):
            yield f"{entry.key} is held back, and no earlier message of its ticket is missing"
        if state == "in_doubt" and not _may_stay_in_doubt(world, entry, there):
            yield f"{entry.key} stays in doubt though looking tells whether it is there"
        blocked.add(entry.ticket)
    if report.exit_code == 0 and any(entry.text not in there for entry in world.entries):
        yield "exit code 0, and messages are missing"
    undisturbed = not (world.strip or world.merge or world.delete) and "rejected" not in set().union(*told.values())
    if undisturbed and report.exit_code != 0 and all(entry.text in there for entry in world.entries):
        yield f"everything is there, and the exit code is {report.exit_code}"


def _waits_for_its_thread(world: World, entry: Entry, report: Report) -> bool:
    """A new ticket is not opened while a later message of it may be there: of the records of one answer a crash may
    have left those of the first messages alone."""
    assert report.results is not None
    thread = world.threads.get(entry.ticket, []) if isinstance(entry.ticket, str) else []
    return any(report.results[each.key]["outcome"] == "in_doubt" for each in thread)


def _may_stay_in_doubt(world: World, entry: Entry, there: set[str]) -> bool:
    """Where external ids do not come back, where the ticket is gone, and where what is absent is held."""
    if world.strip or world.merge or world.delete:
        return True
    if entry.text in there:
        return False
    # A new ticket is not opened again without those of its messages that may not be sent again.
    together = world.threads.get(entry.ticket, [entry]) if isinstance(entry.ticket, str) else [entry]
    return not all(world.resends(each) for each in together)


def twice_and_lost(world: World, desk: SimHelpdesk, last: Report) -> tuple[int, int]:
    """How many messages stand in the helpdesk more than once, and how many are told as created and do not."""
    there = Counter(item.text for item in desk.stored if item.text)
    told = (entry for entry in world.entries if last.results and last.results[entry.key]["outcome"] == "created")
    return sum(1 for times in there.values() if times > 1), sum(1 for entry in told if not there[entry.text])
