"""What no file system, hub or network has a name for: one line, the right exit code, no fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg import cli

SCENE = "synthetic:easy?seed=1&size=64x64&frames=2"
RUN = ["run", "-c", "classical", "-q", "the disc", "-s"]
EXPORT = ["export", "-c", "selftest", "-o"]
LONG = "x" * 5000
WRONG, FAILED = 2, 1

LINES: list[tuple[int, list[str]]] = [
    *[
        (WRONG, ["models", verb, name])
        for verb in ("fetch", "verify")
        for name in ("", "a\0b", LONG)
    ],
    *[(WRONG, ["models", "fetch", name]) for name in ("https://host/x.pth", f"x/{'y' * 300}")],
    *[
        (FAILED, ["models", "fetch", name])
        for name in ("../../x", "a/b/c/d", "a\nb", "a/..", "é/é")
    ],
    *[(FAILED, ["models", "verify", name]) for name in ("/dev/zero", "/etc", "./a\nb.pth")],
    *[(WRONG, [*RUN, SCENE, "-o", path]) for path in ("", "a\0b", LONG, "/" + "x/" * 3000)],
    *[(WRONG, [*EXPORT, path]) for path in ("", "a\0b", LONG)],
    *[(WRONG, [*RUN, source]) for source in ("", "a\0b", LONG, "a\nb.mp4", "\ud800.mp4")],
    *[(WRONG, [*RUN, source]) for source in (f"gst:{LONG}", f"file://{LONG}", "http://[::1")],
    *[
        (WRONG, [*RUN, f"synthetic:easy?{parameter}"])
        for parameter in (
            f"seed={'9' * 5000}",
            f"frames={'9' * 400}&live=1",
            "size=999999999999x9",
            "fps=nan",
            "fps=inf",
            "fps=1e-300&frames=2",
            "textures=a%00b",
            f"textures={LONG}",
            LONG,
        )
    ],
    *[(WRONG, [*RUN, SCENE, "-c", name]) for name in ("", "a\0b", LONG, "/dev/zero", "/etc")],
    *[(WRONG, [*RUN, SCENE, "--max-frames", n]) for n in ("9" * 5000, "9" * 400, "nan", "-1")],
    *[
        (WRONG, [*RUN, SCENE, "--set", change])
        for change in (
            f"trigger.cooldown_s={'9' * 5000}",
            "trigger.cooldown_s=.inf",
            "trigger=" + "[" * 20_000,
            "a." * 5000 + "b=1",
            "name=\ud800",
            "propagation.xmem.device=cuda:99999999999999999999",
            f"segmentation.sam2.checkpoint={LONG}",
        )
    ],
    (WRONG, ["\0"]),
    (WRONG, [LONG]),
    (WRONG, ["doctor", "-c", "a\0b"]),
]


@pytest.mark.parametrize(
    ("code", "words"),
    LINES,
    ids=[" ".join(ascii(word)[1:24] for word in words) for _, words in LINES],
)
def test_what_cannot_be_is_one_line(
    code: int,
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as done:
        cli.main(words)
    out, err = capsys.readouterr()
    assert (done.value.code, out) == (code, "")
    assert err.startswith("streamseg")
    assert "internal error" not in err
    assert err.endswith("\n")
    assert err[:-1].isprintable()  # one line, and nothing that steers a terminal
    assert len(err) < 2100
    assert not list(tmp_path.iterdir())
