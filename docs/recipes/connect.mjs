// What the other programs share: the connection, by the variables that the command `nats` reads. Keep it beside them.
import { readFileSync, writeSync } from 'node:fs';
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect as open, nkeyAuthenticator } from '@nats-io/transport-node';

const { NATS_URL = 'nats://127.0.0.1:4222', NATS_NKEY = 'subscriber.nk', NATS_CA, NATS_CERT, NATS_KEY } = process.env;

/** Say what ends a program, in one line; exit code 2. */
export function end(error) {
  console.error(`${error.name}: ${error.message}`);
  process.exit(2);
}
process.on('unhandledRejection', end).on('uncaughtException', end);

/** Print a line; throws unless all of it was written. console.log goes on, and what it lost would be acknowledged. */
export function print(...fields) {
  for (let rest = Buffer.from(`${fields.map(String).join(' ')}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code === 'EPIPE') process.exit(0); // the reader of the output has enough, such as `head`
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10); // a pipe whose reader is slow
    }
  }
}

/** Return a connection, which comes back by itself. */
export async function connect() {
  const authenticator = nkeyAuthenticator(Buffer.from(readFileSync(NATS_NKEY, 'utf8').trim()));
  const tls = NATS_CA ? { tls: { caFile: NATS_CA, certFile: NATS_CERT, keyFile: NATS_KEY } } : {};
  const nc = await open({ servers: NATS_URL.split(','), authenticator, maxReconnectAttempts: -1, ...tls });
  (async () => {
    for await (const { type, error, server } of nc.status()) {
      if (error?.name === 'AuthorizationError') end(error);
      if (type === 'error' || type === 'disconnect') console.error(type, error?.message ?? server);
    }
  })();
  nc.closed().then((error) => error && end(error));
  return nc;
}

/** Return what `ask` returns; while the server is away, which is said once, it is asked again. */
async function patiently(ask) {
  for (let said = ''; ; ) {
    try {
      return await ask();
    } catch (error) {
      if (!isAway(error)) throw error;
      if (said !== error.message) console.error(`${error.name}: ${error.message}`);
      said = error.message;
      await new Promise((again) => setTimeout(again, 1000));
    }
  }
}

/** Say whether a server, or the one that leads JetStream, does not answer for the moment. */
function isAway({ name, message, status }) {
  return ['TimeoutError', 'JetStreamNotEnabled'].includes(name) || message === 'connection refused' || status === 503;
}

/** Return what a durable consumer has of the windows, and will have; it is made unless it is there. */
export async function durable(name) {
  const nc = await patiently(connect);
  return patiently(async () => {
    await (await jetstreamManager(nc)).consumers.add('WINDOWS', { durable_name: name, ack_policy: AckPolicy.Explicit });
    return (await jetstream(nc).consumers.get('WINDOWS', name)).consume({ abort_on_missing_resource: true });
  });
}

/** Yield the latest message of each subject, then each new one. Its consumer lives on one server and may be lost with it:
 * after a loss another one, on a new connection, goes on behind the last message. */
export async function* latestThenNew(stream, subject) {
  let from = { deliver_policy: DeliverPolicy.LastPerSubject };
  for (let nc = await connect(); ; nc = await patiently(connect)) {
    const consumer = await patiently(() => jetstream(nc).consumers.get(stream, { filter_subjects: subject, ...from }));
    const messages = await consumer.consume();
    for (const events of [nc.status(), messages.status()]) stopAtLoss(messages, events);
    for await (const msg of messages) {
      from = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: msg.seq + 1 };
      yield msg;
    }
    await consumer.delete().catch(() => {}); // if it is still there, it would keep its place for five minutes
    await nc.close();
  }
}

async function stopAtLoss(messages, events) {
  for await (const { type } of events) if (type === 'reconnect' || type === 'heartbeats_missed') return messages.stop();
}
