# Prints each message of Moretta's as it is published; what was before is missed. Run: venv/bin/python follow.py
from connect import connect, run


async def main():
    nc = await connect()
    subscription = await nc.subscribe("moretta.>")
    await nc.flush()
    async for msg in subscription.messages:
        print(msg.subject, msg.data.decode(), flush=True)


run(main)
