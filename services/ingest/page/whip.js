// Publishing over WHIP (RFC 9725) without trickle ICE: the offer carries every candidate.

const GATHER_MS = 3000;
const ANSWER_MS = 15000;
const GOODBYE_MS = 3000;
const BITRATE = 2_500_000;

/** The server said no: `status` of HTTP. */
export class Refused extends Error {
  constructor(status) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

/** Return the answer if it is one of success; raise Refused otherwise. */
export function accepted(answer) {
  if (!answer.ok) throw new Refused(answer.status);
  return answer;
}

/** A signal that aborts with `signal`, or after so long. `AbortSignal.any` is missing in phones of before 2024. */
export function within(milliseconds, signal = null) {
  const limited = new AbortController();
  const stop = () => limited.abort(signal.reason);
  setTimeout(() => {
    signal?.removeEventListener("abort", stop);
    limited.abort(new DOMException("no answer in time", "TimeoutError"));
  }, milliseconds);
  if (signal?.aborted) stop();
  else signal?.addEventListener("abort", stop);
  return limited.signal;
}

/** One published stream. */
export class Session {
  constructor(peer, sender, token) {
    this.peer = peer;
    this.sender = sender;
    this.token = token;
    this.resource = null;
  }

  /** Publish the picture of `stream`; raises Refused, TypeError (no network), or what `signal` was aborted with. */
  static async open(stream, url, token, signal) {
    const peer = new RTCPeerConnection();
    const [track] = stream.getVideoTracks();
    const { sender } = peer.addTransceiver(track, {
      direction: "sendonly",
      streams: [stream],
      sendEncodings: [{ maxBitrate: BITRATE }],
    });
    preferH264(peer.getTransceivers()[0]);
    const session = new Session(peer, sender, token);
    try {
      await session.negotiate(url, signal);
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  async negotiate(url, signal) {
    await this.peer.setLocalDescription(await this.peer.createOffer());
    await gathered(this.peer);
    const answer = accepted(
      await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${this.token}` },
        body: this.peer.localDescription.sdp,
        signal: within(ANSWER_MS, signal),
      }),
    );
    this.resource = new URL(answer.headers.get("Location"), answer.url);
    await this.peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    await this.keepResolution();
  }

  /** Rather fewer pictures than smaller ones: a small face cannot be judged. */
  async keepResolution() {
    const parameters = this.sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    await this.sender.setParameters(parameters).catch(() => {}); // a browser without it has its own mind
  }

  /** What is sent now: `{width, height, fps}`, null where unknown. */
  async sending() {
    for (const report of (await this.sender.getStats()).values()) {
      if (report.type !== "outbound-rtp") continue;
      const { frameWidth: width = null, frameHeight: height = null, framesPerSecond: fps = null } = report;
      return { width, height, fps };
    }
    return { width: null, height: null, fps: null };
  }

  /** End it here and there. `leaving`: the page goes, and the request must outlive it. */
  async close(leaving = false) {
    this.peer.close();
    const resource = this.resource;
    this.resource = null;
    if (resource === null) return;
    await fetch(resource, {
      method: "DELETE",
      headers: { Authorization: `Bearer ${this.token}` },
      keepalive: leaving,
      signal: within(GOODBYE_MS),
    }).catch(() => {}); // the server notices a peer that has gone
  }
}

async function gathered(peer) {
  if (peer.iceGatheringState === "complete") return;
  await new Promise((resolve) => {
    setTimeout(resolve, GATHER_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState === "complete") resolve();
    });
  });
}

/** Constrained baseline first: phones encode it in hardware, and every peer decodes it. */
function preferH264(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const rank = ({ mimeType, sdpFmtpLine = "" }) => {
    if (mimeType.toLowerCase() !== "video/h264") return 3;
    if (!sdpFmtpLine.includes("packetization-mode=1")) return 2;
    return sdpFmtpLine.includes("profile-level-id=42e0") ? 0 : 1;
  };
  transceiver.setCodecPreferences?.([...codecs].sort((one, other) => rank(one) - rank(other)));
}
