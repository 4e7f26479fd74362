"""What checked settings allow and nobody may have meant: warnings of `moretta check-config`, and of each start."""

from collections.abc import Iterator

from services.notify.settings import NotifyFile, SmtpSettings, is_loopback
from services.sites.problems import Problem


def doubts(file: NotifyFile) -> list[Problem]:
    """Return each with its path. No address is quoted: these lines end in logs."""
    notify = file.notify
    return [] if notify.smtp is None else list(_open_mails(notify.smtp))


def _open_mails(smtp: SmtpSettings) -> Iterator[Problem]:
    """Yield it where mails leave this machine unencrypted, or for whoever answers; with a password it is an error."""
    if is_loopback(smtp.host):
        return
    if smtp.security == "none":
        why = f"'none' sends mails and their recipients' addresses openly to {smtp.host!r}; take starttls or tls"
        yield "notify.smtp.security", why
    elif not smtp.verify:
        why = f"false hands mails to whoever answers as {smtp.host!r}; name the server's authority in ca_file instead"
        yield "notify.smtp.verify", why
