"""The live table of `moretta up`: services.cli.screen."""

import pytest
from golden import BY_TYPE
from msgspec import convert
from rich.console import Console

from proto.public import CameraV1, WindowV1
from services.cli.screen import Screen
from services.cli.view import View
from services.sites.settings import SiteSettings

SITE = {"id": "cannes", "cameras": [{"id": "gate-1", "url": "x"}]}


def shown(screen: Screen, height: int) -> list[str]:
    """What a terminal of 80 columns shows, a line each."""
    console = Console(width=80, height=height, force_terminal=False)
    with console.capture() as captured:
        console.print(screen)
    return captured.get().splitlines()


@pytest.fixture(name="screen")
def _screen() -> Screen:
    view = View()
    screen = Screen(view, [convert(SITE, SiteSettings)])
    view.take(BY_TYPE[WindowV1])
    view.take(BY_TYPE[CameraV1])
    return screen


def test_other_settings_change_what_is_shown(screen: Screen):
    """A removed camera is no row any more."""
    assert any("gate-1" in line for line in shown(screen, 40))
    screen.show([convert({"id": "cannes"}, SiteSettings)])
    assert not any("gate-1" in line for line in shown(screen, 40))
    assert any("cameras up 0/0" in line for line in shown(screen, 40))
