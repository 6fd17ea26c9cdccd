"""The post office: takes what would be sent, puts it into an outbox, and later tells the message's outcome.

Gorgias reference, "Create a message": without sent_datetime Gorgias sends. Created is not yet sent: the answer
shows null, and sent_datetime or failed_datetime come later. An e-mail whose source.from belongs to no
integration is documented as "will not be sent"; simulated as created, then failed.
"""

from dataclasses import dataclass

from bulkmsg.sandbox.clock import Moment
from bulkmsg.sandbox.rules import NOTE, address
from bulkmsg.sandbox.settings import SandboxSettings
from bulkmsg.sandbox.wire import Json

MAIL_CHANNEL = "email"
NO_MAILBOX = "The address in source.from belongs to no active email integration."


def must_deliver(data: Json) -> bool:
    """Whether creating this message sends it: public, outgoing, and no word that it was sent already."""
    return bool(data["from_agent"]) and data["channel"] != NOTE and not data.get("sent_datetime")


@dataclass(slots=True)
class Waiting:
    """A message handed to delivery, and when its outcome will be known."""

    due: Moment
    message: Json
    failure: str | None


class PostOffice:
    """Mailboxes, the outbox, and what waits for its outcome. Nothing ever leaves."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.delay, self.settings = settings.send_delay, settings
        self.outbox: list[Json] = []
        self.waiting: list[Waiting] = []

    @property
    def mailboxes(self) -> list[str]:
        """The addresses of the integrations; none where any address is one."""
        return list({box.lower(): box for box in self.settings.mailboxes or ()}.values())

    def is_mailbox(self, data: Json) -> bool:
        """Whether a message would go out through an existing mailbox. Only e-mail asks for one."""
        if data["channel"] != MAIL_CHANNEL or self.settings.mailboxes is None:
            return True
        off = {*self.settings.switched_off, *self.settings.locked}
        return address(data, "from").lower() in {box.lower() for box in self.mailboxes if box not in off}

    def post(self, message: Json, when: Moment) -> None:
        """Take a stored message: into the outbox, or towards its failure."""
        failure = None if self.is_mailbox(message) else NO_MAILBOX
        if failure is None:
            self.outbox.append(entry(message, when))
        self.waiting.append(Waiting(when.later(self.delay), message, failure))

    def settle(self, when: Moment) -> None:
        """Write the outcome into every message that is due."""
        due = [each for each in self.waiting if each.due.mono <= when.mono]
        self.waiting = [each for each in self.waiting if each.due.mono > when.mono]
        for each in due:
            if each.failure is None:
                each.message["sent_datetime"] = each.due.stamp
            else:
                each.message["failed_datetime"] = each.due.stamp
                each.message["last_sending_error"] = {"error": each.failure}


def entry(data: Json, when: Moment) -> Json:
    """What would have left, and to whom."""
    source = data["source"] or {}
    ends = {end: [each.get("address") for each in source.get(end) or ()] for end in ("to", "cc", "bcc")}
    receiver = (data["receiver"] or {}).get("email")
    return {
        "at": when.stamp,
        "ticket_id": data["ticket_id"],
        "message_id": data["id"],
        "channel": data["channel"],
        "from": address(data, "from") or (data["sender"] or {}).get("email"),
        **ends,
        "to": ends["to"] or ([receiver] if receiver else []),
        "subject": data["subject"],
        "external_id": data["external_id"],
    }
