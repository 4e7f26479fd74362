"""What a reader is refused, with NATS's client for Node.js: the call itself fails, within a second, but for silence."""

import asyncio
from pathlib import Path

import pytest
from patience import patient
from recipe_place import environment
from recipes import Recipe

SCRIPT = """
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from './connect.mjs';
const nc = await connect();
const jsm = await jetstreamManager(nc);
const listen = async (subject) => { for await (const _ of nc.subscribe(subject)); };
const tries = {
  publish: () => jetstream(nc).publish('moretta.v1.windows.x.x', '{}'),
  create: () => jsm.streams.add({ name: 'MINE', subjects: ['my.x'] }),
  purge: () => jsm.streams.purge('WINDOWS'),
  delete: () => jsm.streams.delete('WINDOWS'),
  subscribe: () => listen('>'),
  silence: () => Promise.race([listen('moretta.v1.sightings.>'), nc.flush()]),
};
for (const [name, act] of Object.entries(tries)) {
  const began = performance.now();
  const words = (error) => (error.cause ?? error).name; // of a publication: RequestError, with this cause
  const said = await act().then(() => 'done', words);
  console.log(name, said, Math.round(performance.now() - began));
}
await nc.close();
"""


@pytest.mark.alone
async def test_nodes_client_is_told_by_the_call(own_site, folder: Path):
    """It matches the server's error with the call; nats.py's call waits for its time-out."""
    await own_site.mirrored()
    (folder / "refused.mjs").write_text(SCRIPT)
    with Recipe("node refused.mjs", folder, environment(own_site)) as recipe:
        code, lines, words = await asyncio.to_thread(recipe.result)
    assert code == 0, words
    said = [line.split() for line in lines]
    refused = [[name, "PermissionViolationError"] for name in ("publish", "create", "purge", "delete", "subscribe")]
    assert [one[:2] for one in said] == [*refused, ["silence", "done"]]
    assert max(int(one[2]) for one in said) < patient(1_000)
