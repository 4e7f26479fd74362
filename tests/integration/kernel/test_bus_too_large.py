"""A frame beyond the server's limit is refused with a sentence that says what to set."""

import messages
import pytest
from nats_process import NatsProcess

from proto.subjects import FRAMES
from services.bus import Bus, NatsSettings, TooLarge


@pytest.fixture(name="small_server")
def _small_server(tmp_path_factory: pytest.TempPathFactory):
    """A server that takes messages of 1 kB at most."""
    server = NatsProcess(tmp_path_factory.mktemp("nats"), max_payload="1KB").start()
    yield server
    server.stop()


async def test_a_frame_too_large_for_the_server(small_server: NatsProcess):
    """The error names the subject, the size, the server's limit and the setting."""
    bus = await Bus.connect(NatsSettings(url=small_server.url), "ingest")
    frame = messages.frame(64 * 96, site="s", camera="c", width=64, height=64)
    with pytest.raises(TooLarge, match=r"frames\.s\.c: 6\d{3} bytes, but NATS takes 1024; set its max_payload"):
        await bus.request(FRAMES, frame, timeout=1)
    await bus.close()
