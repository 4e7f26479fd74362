# What the other programs share: the connection, by the variables that the command `nats` reads. Keep it beside them.
import asyncio
import contextlib
import os
import ssl
import sys

import nats
import nkeys
from nats.js.errors import Error as JetStreamError

env = os.environ.get
said = set()


async def tell(error):
    """Say once what is wrong; the client tries on, but not with a key that is refused."""
    text = str(error) or type(error).__name__
    if "Authorization" in text:
        print(f"{text}: is the key in NATS_NKEY the server's present one?", file=sys.stderr, flush=True)
        os._exit(2)
    if text not in said:
        print(text, file=sys.stderr, flush=True)
    said.add(text)


async def connect():
    """Return a connection, which comes back by itself."""
    tls = ssl.create_default_context(cafile=env("NATS_CA")) if env("NATS_CA") else None
    if env("NATS_CERT"):
        tls.load_cert_chain(env("NATS_CERT"), env("NATS_KEY"))
    servers, seed = env("NATS_URL", "nats://127.0.0.1:4222").split(","), env("NATS_NKEY", "subscriber.nk")
    return await nats.connect(servers, nkeys_seed=seed, tls=tls, error_cb=tell, max_reconnect_attempts=-1)


async def patiently(subscribe):
    """Yield what a durable consumer has, for ever; one that is gone, as after a restore, is made again."""
    consumer = None
    while True:
        try:
            consumer = consumer or await subscribe()
            messages = await consumer.fetch(1, timeout=5)
        except nats.errors.TimeoutError:  # nothing new, or the server is away
            continue
        except JetStreamError as error:
            await tell(
                f"{type(error).__name__}: {getattr(error, 'description', None) or 'no answer'}; subscribes again"
            )
            await asyncio.sleep(1)
            consumer = None
            continue
        for msg in messages:
            yield msg


def run(main):
    """Run a program to its end; what ends it is one line, and exit code 2."""
    try:
        asyncio.run(main())
        sys.stdout.flush()  # here a full disk is an error; after the last line Python would only print it
    except BrokenPipeError:  # the reader of the output has enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, nkeys.NkeysError, nats.errors.Error, JetStreamError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(2)  # sys.exit would write once more what could not be written, and end with another code
    except KeyboardInterrupt:
        sys.exit(130)
