"""The channels that the settings have."""

from proto.types import Channel as ChannelName
from services.notify.channel import Channel
from services.notify.directory import Directory
from services.notify.email_channel import Email


def channels_of(directory: Directory) -> dict[ChannelName, Channel]:
    """Return the channels, none of them connected yet."""
    found: dict[ChannelName, Channel] = {}
    if directory.smtp is not None:
        found["email"] = Email(directory)
    return found
