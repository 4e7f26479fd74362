"""Writes the subject table as a document: publishers, subscribers, and each user's rights on JetStream's API."""

import sys
from pathlib import Path

from proto.permissions import (
    ACCOUNTS,
    JETSTREAM_API,
    NAMED,
    READER,
    account_of,
    inbox,
    inbox_name,
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
    lines = ["| user | account | inbox | publishes besides: JetStream's API, answers |", "|---|---|---|---|"]
    for identity, accounts in ACCOUNTS.items():
        for account in accounts:
            rows = {row.wildcard() for row in TABLE}
            more = [
                one for one in rights_of(identity, account).publish if one not in rows and not one.startswith("$SRV")
            ]
            shown = ", ".join(f"`{one.removeprefix(JETSTREAM_API)}`" for one in more) or "nothing"
            user = user_of(identity, account)
            where, own = account_of(identity, account), inbox(inbox_name(identity, account))
            lines.append(f"| `{user}` | {where} | `{own}` | {shown} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
    print(sys.argv[1])
