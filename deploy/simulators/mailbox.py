"""Where the mail sink keeps what it accepted: one .eml file per mail, and an index of JSON lines."""

import hashlib
from collections import Counter
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from deploy.simulators.journal import Journal, read_lines


class Mailbox:
    """Mails in `folder/new` (written in `tmp`, then renamed, as in a Maildir) and `folder/index.jsonl`.

    The index is the state: a restart counts from it, and takes up a mail that a kill left outside it.
    """

    def __init__(self, folder: Path) -> None:
        self._index = Journal(folder / "index.jsonl")
        self._tmp, self._new = folder / "tmp", folder / "new"
        for part in (self._tmp, self._new):
            part.mkdir(mode=0o700, exist_ok=True)
        self._copies: Counter[str] = Counter()
        lines = list(read_lines(self._index.path))
        for line in lines:
            self._copies[line["message_id"]] += 1
        self._take_up_unlisted({line["file"] for line in lines})

    def _take_up_unlisted(self, listed: set[str]) -> None:
        for file in sorted(self._new.iterdir()):
            if file.name not in listed:
                self._list(file.name, file.read_bytes(), mail_from=None, rcpt_to=None)

    def keep(self, mail_from: str | None, rcpt_to: list[str], content: bytes) -> dict[str, Any]:
        """Stores one mail as it came and lists it. Gives its line of the index. Raises OSError."""
        name = f"{self._copies.total() + 1:06d}-{hashlib.sha256(content).hexdigest()[:12]}.eml"
        temporary = self._tmp / name
        temporary.write_bytes(content)
        temporary.rename(self._new / name)
        return self._list(name, content, mail_from, rcpt_to)

    def _list(self, name: str, content: bytes, mail_from: str | None, rcpt_to: list[str] | None) -> dict[str, Any]:
        facts = _facts(content)
        line = {
            "n": self._copies.total() + 1,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "file": name,
            "mail_from": mail_from,
            "rcpt_to": rcpt_to,
            **facts,
            "repeat": facts["message_id"] in self._copies,
        }
        self._index.append(line)
        self._copies[facts["message_id"]] += 1
        return line

    def stats(self) -> dict[str, int]:
        """How many mails were kept, how many different ones by Message-ID, and so how many were repeats."""
        mails, different = self._copies.total(), len(self._copies)
        return {"mails": mails, "different": different, "repeats": mails - different}


def _facts(content: bytes) -> dict[str, Any]:
    # Only what is asked for is decoded: the newer policies parse every header each time that it is looked at.
    headers = BytesHeaderParser(policy=policy.compat32).parsebytes(content)
    return {
        "message_id": _told(headers, "Message-ID").strip() or f"none:{hashlib.sha256(content).hexdigest()}",
        "subject": _told(headers, "Subject"),
        "to": _told(headers, "To"),
        "headers": {name: _told(headers, name) for name in headers if name.lower().startswith("x-")},
        "bytes": len(content),
    }


def _told(headers: Message, name: str) -> str:
    """A header as people read it: unfolded, encoded words decoded."""
    raw = "".join(str(headers.get(name, "")).splitlines())
    return str(make_header(decode_header(raw)))
