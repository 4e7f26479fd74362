"""Reads how a stream's pictures must be turned, which its container says (`core.orientation`).

MP4, MOV and Matroska files have such a matrix. RTSP, MPEG-TS and MJPEG over HTTP have none: there only a message of
H.264 or H.265, or EXIF in a JPEG, may say it, and FFmpeg hands these over with each picture. A WebRTC peer turns its
pictures before it encodes them: it would send the angle beside them (3GPP TS 26.114, 7.4.5) only if we offered
`urn:3gpp:video-orientation`, and aiortc does not know that.
"""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import io
import struct

import av
from av import error as av_error
from av.logging import Capture
from av.video.stream import VideoStream

from services.ingest.core.orientation import UPRIGHT, Turn, turn_of

_MARKED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "hls")
"""FFmpeg's names of the formats that may have a matrix. HLS consists of MP4 files or of MPEG-TS."""
_BEFORE_MATRIX = len(b"tkhd") + 40
"""Bytes from the name of a track header box, version 0, to its matrix (ISO/IEC 14496-12, 8.3.2)."""


def turn_of_stream(stream: object) -> Turn:
    """Return the turn that the stream's container asks for; UPRIGHT if it asks for none or has no container."""
    if not isinstance(stream, VideoStream):
        return UPRIGHT
    known = getattr(stream.codec_context, "coded_side_data", None)
    if known is None:  # PyAV before 19
        kinds = ("mov", "mp4") if stream.container.format.name in _MARKED else ()
        return next((turn for kind in kinds if (turn := _turn_of_copy(stream, kind)) is not None), UPRIGHT)
    matrix = known.get("display_matrix")
    return UPRIGHT if matrix is None else turn_of(struct.unpack("=9i", matrix))


def _turn_of_copy(stream: VideoStream, kind: str) -> Turn | None:
    """Return the turn as FFmpeg writes it into the header of a file in memory; None if `kind` can't hold the codec.

    No packet gets into that file. What FFmpeg says of it goes into no log.
    """
    header = io.BytesIO()
    try:
        with Capture(), av.open(header, "w", format=kind, container_options={"movflags": "empty_moov"}) as copy:
            copy.add_stream_from_template(stream, opaque=True)
            copy.start_encoding()
    except (av_error.FFmpegError, OSError, ValueError):
        return None
    data = header.getvalue()
    box = data.find(b"tkhd")
    return None if box < 0 else turn_of(struct.unpack_from(">9i", data, box + _BEFORE_MATRIX))
