"""Writes the subject table as a document: publishers, subscribers, and each user's rights on JetStream's API."""

import sys
from collections.abc import Iterable
from pathlib import Path

from proto.permissions import (
    ACCOUNTS,
    JETSTREAM_API,
    NAMED,
    READER,
    account_of,
    rights_of,
    user_of,
)
from proto.subjects import STREAM_OWNER, TABLE, Subject

_HEAD = f"""# Subjects and rights

Written by `make contracts` from `proto/subjects.py`; a test compares. Every identity has a user of its own in each
of its accounts, with an nkey; what is not named here is denied. A reader with a name (`{NAMED}NAME`) has the rights of
`{READER}`, in an account of its own. In MORETTA only `{STREAM_OWNER}` makes streams and has consumers
([ADR 20](adr/0020-identities.md)). Readers have consumers in their own accounts, on mirrors of the public streams
([ADR 45](adr/0045-readers-mirrors.md)); the page has none.

| subject | message | published by | subscribed by | stream |
|---|---|---|---|---|
"""


_USERS = f"""Rights beside these: inboxes, answers, and JetStream's API, whose names stand here without `$JS.API.`
(`_ORIGIN.` is that of the account MORETTA). In readers' accounts {STREAM_OWNER} keeps mirrors and consumers in
order, by imports of their API that are not in this table (ADR 45). Who may ask a micro service may ask `$SRV` for
it, too.
"""


def markdown() -> str:
    """Return the document."""
    return _HEAD + "".join(map(_row, TABLE)) + "\n" + _users()


def _row(row: Subject) -> str:
    place = row.stream or ("in the account MORETTA_FRAMES, never stored" if row.account == "MORETTA_FRAMES" else "none")
    queue = f" (queue group `{row.queue}`)" if row.queue else ""
    answer = f", answered by `{row.reply.__name__}`" if row.reply else ""
    who = f"{', '.join(row.publishers)} | {', '.join(row.subscribers)}{queue}"
    return f"| `{row.pattern}` | `{row.message.__name__}`{answer}: {row.purpose} | {who} | {place} |\n"


def _users() -> str:
    lines = [_USERS, "| user | account | subscribes, too | publishes, too |", "|---|---|---|---|"]
    for identity, accounts in ACCOUNTS.items():
        for account in accounts:
            rights = rights_of(identity, account)
            user, where = user_of(identity, account), account_of(identity, account)
            lines.append(f"| `{user}` | {where} | {_beside(rights.subscribe)} | {_beside(rights.publish)} |")
    return "\n".join(lines) + "\n"


def _beside(subjects: Iterable[str]) -> str:
    """Return what is not in the table of subjects, in short."""
    rows = {row.wildcard() for row in TABLE}
    others = [one for one in subjects if one.split()[0] not in rows and not one.startswith("$SRV")]
    return ", ".join(f"`{one.removeprefix(JETSTREAM_API)}`" for one in others) or "nothing"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
    print(sys.argv[1])
