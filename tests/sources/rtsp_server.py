"""A real RTSP server showing a test pattern, run as a process of its own and spoken to by lines.

    python rtsp_server.py PORT WIDTH HEIGHT [USER PASSWORD]

Prints `ready PORT` once it serves rtsp://127.0.0.1:PORT/live. A line `size W H` on its standard
input changes the picture's size in the middle of the stream; the end of the input ends it.
"""

from __future__ import annotations

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! capsfilter name=size caps={caps} "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 bitrate=800 "
    "! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)


def caps(width: int, height: int) -> str:
    return f"video/x-raw,format=I420,width={width},height={height},framerate=30/1"


class Server:
    def __init__(self, port: int, width: int, height: int, login: list[str]) -> None:
        self._filters: list[Gst.Element] = []
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address("127.0.0.1")
        self._server.set_service(str(port))
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(PIPELINE.format(caps=caps(width, height)))
        factory.set_shared(True)
        factory.connect("media-configure", self._configured)
        if login:
            self._require(login, factory)
        self._server.get_mount_points().add_factory("/live", factory)
        self._server.attach(None)
        self.port = self._server.get_bound_port()

    def resize(self, width: int, height: int) -> bool:
        for element in self._filters:
            element.set_property("caps", Gst.Caps.from_string(caps(width, height)))
        return False

    def _configured(self, _factory: object, media: GstRtspServer.RTSPMedia) -> None:
        self._filters = [media.get_element().get_by_name("size")]

    def _require(self, login: list[str], factory: GstRtspServer.RTSPMediaFactory) -> None:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*login), token)
        self._server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)


def obey(server: Server, loop: GLib.MainLoop) -> None:
    for line in sys.stdin:
        _, width, height = line.split()
        GLib.idle_add(server.resize, int(width), int(height))
    GLib.idle_add(loop.quit)


def main() -> None:
    Gst.init(None)
    port, width, height, *login = sys.argv[1:]
    loop = GLib.MainLoop()
    server = Server(int(port), int(width), int(height), login)
    threading.Thread(target=obey, args=(server, loop), daemon=True).start()
    print("ready", server.port, flush=True)
    loop.run()


if __name__ == "__main__":
    main()
