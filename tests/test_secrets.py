"""Runs that fail and runs that succeed, on real servers and closed ports: no secret comes out.

Everything is looked at: both streams as the system sees them (FFmpeg and GLib print past Python),
tracebacks, files, names of threads, what is logged, and for the Python interface every exception
with all that hangs on it.
"""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

import pytest
from huggingface_hub import close_session
from source_tools import Events, RtspServer, counted, write_video

from streamseg import StreamSegmenter, cli
from streamseg.clock import RealClock
from streamseg.config import SourceConfig
from streamseg.errors import StreamSegError
from streamseg.sources import open_source

SECRET = "Zq7!vX#9/k?w@Lü:e5"  # noqa: S105 - nobody's
PLAIN = "zq7vx9kwle5secret"
CLOSED = "127.0.0.1:9"
QUICK = SourceConfig(connect_timeout_s=3.0, stall_s=1.0)


def spellings(secret: str) -> set[str]:
    """Whole, and its telling parts, raw and encoded."""
    parts = {secret, secret.partition("/")[0], secret.rpartition("@")[2]}
    forms = set()
    for part in parts:
        forms |= {part, unquote(part), quote(part), quote(part, safe=""), quote_plus(part)}
        forms |= {json.dumps(part)[1:-1], ascii(part)[1:-1], quote(part, safe="").lower()}
    return forms


FORBIDDEN = spellings(SECRET) | spellings(PLAIN)


def check(*texts: str) -> None:
    for text in texts:
        found = [form for form in FORBIDDEN if form in text]
        assert not found, f"{found} in {text!r}"


def quoted(secret: str = SECRET) -> str:
    return quote(secret, safe="")


FAILING = [
    f"rtsp://admin:{quoted()}@{CLOSED}/1",
    f"rtsp://admin:{SECRET}@{CLOSED}/1",
    f"rtsp://{quoted()}@{CLOSED}/1",
    f"rtsp://admin:{PLAIN}@{CLOSED}/1?token={quoted()}#x",
    f"rtsp:/admin:{SECRET}@{CLOSED}/1",
    f"rtsp:admin:{SECRET}@{CLOSED}/1",
    f"admin:{SECRET}@{CLOSED}/1",
    f"rtps://admin:{SECRET}@{CLOSED}/1",
    f"rtsp://admin:{PLAIN}@[::1/1",
    f"rtsp://admin:{PLAIN}@ho st\u2100/1",
    f"rtsp://admin:{PLAIN}",
    f"http://admin:{quoted()}@{CLOSED}/a.mp4",
    f"http://{CLOSED}/a.mp4?whatever={quoted()}",
    f"http://{CLOSED}/a.mp4?{PLAIN}",
    f"{CLOSED}/a.mp4?whatever={quoted()}",
    f"rtmp://{CLOSED}/app/{PLAIN}",
    f"rtmp://{CLOSED}/app/{PLAIN} live=1 token={PLAIN}",
    f"srt://{CLOSED}?streamid={PLAIN}&passphrase={PLAIN}",
    f"async:http://admin:{PLAIN}@{CLOSED}/a.mp4",
    f"synthetic:easy?token={quoted()}",
    f'gst:rtspsrc location="rtsp://admin:{quoted()}@{CLOSED}/1" user-pw="{PLAIN}" ! decodebin',
    f"gst:rtspsrc location=rtsp://{CLOSED}/1?k={PLAIN} user-id=a user-pw={PLAIN} ! decodebin",
    f"gst:souphttpsrc location=http://{CLOSED}/a?t={PLAIN} cookies={PLAIN} ! decodebin",
    f'gst:souphttpsrc location=http://{CLOSED}/a extra-headers="h,a=(string){PLAIN}" ! decodebin',
    f"gst:nosuchelement key={PLAIN} ! decodebin",
    f"gst:videotestsrc nosuchproperty={PLAIN} ! fakesink",
    f"gst:videotestsrc num-buffers={PLAIN} ! fakesink",
    f'gst:videotestsrc name="{PLAIN} ! fakesink',
    f"gst:filesrc location=admin:{PLAIN}@{CLOSED}/1 ! decodebin",
    f"rtspsrc location=rtsp://{CLOSED} user-pw={PLAIN} ! decodebin",
]


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; redirects what begins with /moved to an address with a secret of its own."""

    def do_GET(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", f"http://admin:{PLAIN}@{CLOSED}/x.mp4?sig={PLAIN}")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *args: object) -> None:
        """Silent: what it would print is the URL."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("web")
    write_video(folder / "clip.mp4", [counted(number) for number in range(6)], faststart=True)
    (folder / "page.mp4").write_text("<html>no video</html>")
    handler = partial(Server, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def run(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> Callable[..., int]:
    """Runs the command line to its end, looks at all that came out, gives the exit code."""

    def call(source: str, *words: str, debug: bool = True) -> int:
        caplog.set_level(logging.DEBUG)
        output = tmp_path / "out"
        settings = ["source.connect_timeout_s=3", "source.stall_s=1", "sinks.images=true"]
        options = [word for setting in settings for word in ("--set", setting)]
        line = [
            "run",
            "-c",
            "classical",
            "-s",
            source,
            "-q",
            "the disc",
            "-o",
            str(output),
            *options,
            *words,
        ]
        with pytest.raises(SystemExit) as done:
            cli.main([*line, "--debug"] if debug else line)
        out, err = capfd.readouterr()
        check(out, err, caplog.text, *(thread.name for thread in threading.enumerate()))
        for path in output.rglob("*") if output.exists() else ():
            check(path.name)
            if path.is_file():
                check(path.read_bytes().decode("utf-8", "replace"))
        assert "internal error" not in err
        assert debug or err.count("\n") <= 1, err
        assert isinstance(done.value.code, int)
        return done.value.code

    return call


@pytest.mark.parametrize("source", FAILING)
def test_a_source_that_fails_keeps_its_secrets(run: Callable[..., int], source: str) -> None:
    assert run(source) in {1, 2}
    assert run(source, debug=False) in {1, 2}


def test_a_video_on_the_web_keeps_its_secrets(run: Callable[..., int], web: str) -> None:
    secret = f"{quoted()}&k={PLAIN}"
    assert run(f"http://admin:{quoted()}@{web}/clip.mp4?sig={secret}", "--max-frames", "3") == 0
    assert run(f"http://admin:{PLAIN}@{web}/page.mp4?sig={secret}") == 1
    assert run(f"http://admin:{PLAIN}@{web}/gone.mp4?sig={secret}") == 1
    assert run(f"http://admin:{PLAIN}@{web}/moved.mp4?sig={secret}") == 1


def test_a_camera_keeps_its_secrets_also_when_it_goes_away(web: str) -> None:
    server = RtspServer(login=("admin", PLAIN))
    events = Events()
    try:
        with pytest.raises(StreamSegError) as refused:
            open_source(f"rtsp://admin:{PLAIN}x@127.0.0.1:{server.port}/live", QUICK, RealClock())
        check_exception(refused.value)
        for spec in (
            f"rtsp://admin:{PLAIN}@127.0.0.1:{server.port}/live?token={PLAIN}",
            f"gst:rtspsrc location=rtsp://127.0.0.1:{server.port}/live user-id=admin "
            f"user-pw={PLAIN} latency=0 protocols=tcp ! decodebin",
        ):
            source = open_source(spec, QUICK, RealClock(), events)
            try:
                assert source.read(10.0) is not None
                check(repr(source.info), repr(source))
                server.kill()
                while not {"disconnected", "stalled"} & set(events.kinds):
                    source.read(0.2)
            finally:
                source.close()
            check(*(repr(event) for event in events))
            events.clear()
            server.restart((320, 240))
    finally:
        server.kill()


def check_exception(error: BaseException | None) -> None:
    """It, and all that it was raised from or while."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        check(str(one), repr(one), repr(one.args), repr(vars(one)))
        waiting += [one.__cause__, one.__context__]


@pytest.mark.parametrize("source", FAILING)
def test_an_exception_holds_no_secret(source: str) -> None:
    events = Events()
    with pytest.raises(StreamSegError) as told:
        open_source(source, QUICK, RealClock(), events)
    check_exception(told.value)
    check(*(repr(event) for event in events))


@pytest.mark.parametrize(
    "words",
    [
        ["run", f"rtsp://admin:{PLAIN}@host/1"],
        [f"rtsp://admin:{PLAIN}@host/1"],
        ["run", f"--source=rtsp://admin:{SECRET}@{CLOSED}/1", "-q", ""],
        ["run", f"-srtsp://admin:{SECRET}@{CLOSED}/1", "-q", "x", "--max-frames", "0"],
        [
            "run",
            "-c",
            "classical",
            "-s",
            "0",
            "-q",
            "x",
            "--config",
            f"https://admin:{PLAIN}@host/c.yaml?k={PLAIN}",
        ],
        ["run", "-c", "classical", "-s", "0", "-q", "x", "--set", f"https://admin:{PLAIN}@host/"],
        [
            "run",
            "-c",
            "classical",
            "-s",
            "0",
            "-q",
            "x",
            "--set",
            f"source=https://admin:{PLAIN}@host/?k={PLAIN}",
        ],
        ["models", "fetch", f"https://admin:{PLAIN}@host/x.pth?k={PLAIN}"],
        ["models", "verify", f"https://admin:{PLAIN}@host/x.pth"],
        ["doctor", "--config", f"https://admin:{PLAIN}@host/c.yaml"],
    ],
)
def test_wrong_words_are_not_repeated_with_their_secrets(
    words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for line in (words, [*words, "--debug"]):
        with pytest.raises(SystemExit) as done:
            cli.main(line)
        assert done.value.code in {1, 2}
        check(*capfd.readouterr())


def test_the_environments_secrets_do_not_show(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", f"hf_{PLAIN}")
    monkeypatch.setenv("HF_ENDPOINT", f"http://admin:{quoted()}@{CLOSED}")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://admin:{PLAIN}@{CLOSED}")
    request.addfinalizer(close_session)  # the hub's client keeps the proxies that it began with
    close_session()
    for words in (
        ["models"],
        ["models", "fetch", "someone/something", "--debug"],
        ["models", "fetch", "xmem", "--debug"],
        ["models", "verify", "xmem", "--debug"],
        ["doctor", "--json", "--config", "sam2.1-tiny"],
        ["run", "-c", "classical", "-s", "http://127.0.0.1:9/x.mp4", "-q", "x", "--debug"],
    ):
        with pytest.raises(SystemExit):
            cli.main(words)
        check(*capfd.readouterr())


def test_a_summary_shows_no_secret_of_the_config(tmp_path: Path) -> None:
    segmenter = StreamSegmenter.from_config(
        "classical", [f'description="see https://admin:{PLAIN}@host/?k={PLAIN}"']
    )
    list(segmenter.run("synthetic:easy?seed=1&size=64x64", "the disc", max_frames=1))
    check(json.dumps(segmenter.summary()))
    assert "https://***@host/?***" in json.dumps(segmenter.summary())
