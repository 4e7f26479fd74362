// What this device gives: its camera, and a screen that stays on.

/** Return the picture only, no sound, in the size that faces need. Raises what `getUserMedia` raises. */
export async function camera(facingMode) {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: false,
    video: {
      facingMode: { ideal: facingMode },
      width: { ideal: 1280 },
      height: { ideal: 720 },
      frameRate: { ideal: 15, max: 30 },
    },
  });
  stream.getVideoTracks()[0].contentHint = "detail";
  return stream;
}

/** What is said of a camera that the browser did not give, a key below `state.`. */
export function withheld(error) {
  const known = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "no-camera" };
  return known[error.name] ?? "camera-busy";
}

/** Let go of a camera. */
export function release(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Keep the screen on, where that can be had; returns what ends it by `release()`, or null. */
export async function awake() {
  if (document.visibilityState !== "visible" || !navigator.wakeLock) return null;
  return navigator.wakeLock.request("screen").catch(() => null); // an empty battery may forbid it
}
