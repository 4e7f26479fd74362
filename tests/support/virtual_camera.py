"""The ONVIF services of ipycam, a virtual camera from PyPI: its SOAP service and its WS-Discovery, without its video.

Its video needs OpenCV (215 MB), which its ONVIF services import and do not use; so an empty module stands for it.
usage: virtual_camera.py ADDRESS PORT RTSP_PORT [USER PASSWORD]      prints "ready"
"""

import sys
import types
from http.server import ThreadingHTTPServer

sys.modules["cv2"] = types.ModuleType("cv2")

from ipycam import CameraConfig, IPCameraHTTPHandler, ONVIFService, WSDiscoveryServer  # noqa: E402


def main(address: str, port: str, rtsp_port: str, user: str = "", password: str = "") -> None:
    config = CameraConfig(
        name="North gate", local_ip=address, onvif_port=int(port), rtsp_port=int(rtsp_port), username=user,
        password=password, main_stream_name="all", sub_stream_name="cam", sub_fps=8,
    )  # fmt: skip
    service = ONVIFService(config)
    IPCameraHTTPHandler.camera = types.SimpleNamespace(config=config, onvif=service)
    server = ThreadingHTTPServer((address, int(port)), IPCameraHTTPHandler)
    WSDiscoveryServer(service).start()
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
