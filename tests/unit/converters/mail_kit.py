"""Mails and mbox files, made up, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping

OWN, CUSTOMER = "anna@acme.example", "jane@example.com"
DATE = "Fri, 01 Mar 2024 10:00:00 +0000"


def mail(
    id: str = "1@example.com",
    *,
    by: str = f"Jane Doe <{CUSTOMER}>",
    to: str = "support@acme.example",
    date: str = DATE,
    subject: str = "Order",
    body: str = "Where is it?\n",
    headers: Mapping[str, str] | None = None,
) -> str:
    """A mail as text; an empty `id` or `date` gives none."""
    lines = {"From": by, "To": to, "Subject": subject, "Date": date, "Message-ID": f"<{id}>" if id else ""}
    lines |= headers or {}
    return "".join(f"{name}: {value}\n" for name, value in lines.items() if value) + f"\n{body}"


def mbox(*mails: str | bytes, line: str = "From jane@example.com Fri Mar  1 10:00:00 2024") -> bytes:
    """An mbox; lines that begin with "From " are quoted, as mboxrd does."""
    made = b""
    for each in mails:
        data = each.encode() if isinstance(each, str) else each
        quoted = data.replace(b"\n>From ", b"\n>>From ").replace(b"\nFrom ", b"\n>From ")
        made += line.encode() + b"\n" + quoted + b"\n"
    return made


def multipart(kind: str, *parts: str, more: str = "") -> tuple[dict[str, str], str]:
    """The headers and the body of a mail of several parts."""
    body = "".join(f"--=bound\n{part}\n" for part in parts) + "--=bound--\n"
    return {"MIME-Version": "1.0", "Content-Type": f'multipart/{kind}; boundary="=bound"{more}'}, body


def text_part(text: str, kind: str = "plain", more: str = "") -> str:
    return f"Content-Type: text/{kind}; charset=utf-8\n{more}\n{text}"


def file_part(name: str, data: str = "content", kind: str = "application/pdf", more: str = "") -> str:
    return f'Content-Type: {kind}\nContent-Disposition: attachment; filename="{name}"\n{more}\n{data}'
