"""No password comes through, however odd."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streamseg.sources.masking import Masker, mask

WORDS = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=4)
SURROUNDINGS = "cannot open rtsp://***@camera.local:554/stream?channel=1: 401 Unauthorized"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://admin:secret@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin@cam/1", "rtsp://***@cam/1"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("rtsp://admin:p@ss/w@rd@cam:554/1", "rtsp://***@cam:554/1"),
        ("see RTSP://a:b@c/d and http://e:f@g/h", "see RTSP://***@c/d and http://***@g/h"),
        ("http://cam/mjpg?user=a&password=b&x=1", "http://cam/mjpg?user=a&password=***&x=1"),
        ("rtspsrc user-id=a user-pw=b latency=0", "rtspsrc user-id=a user-pw=*** latency=0"),
        ('rtspsrc user-pw="b c" ! fakesink', "rtspsrc user-pw=*** ! fakesink"),
        ("mail me@example.org", "mail me@example.org"),
    ],
)
def test_mask(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(user=WORDS, password=WORDS)
def test_url_password_never_shows(user: str, password: str) -> None:
    assume(password not in SURROUNDINGS)
    url = f"rtsp://{user}:{password}@camera.local:554/stream?channel=1"
    assert mask(f"cannot open {url}: 401 Unauthorized") == SURROUNDINGS
    assert password not in Masker(url)(f"login {user}:{password} refused")


@given(password=st.text(min_size=4).filter(str.strip))
def test_quoted_password_shows_neither_way(password: str) -> None:
    """Libraries repeat what they decoded from the URL as well as the URL."""
    url = f"rtsp://admin:{quote(password, safe='')}@camera.local/1"
    words = Masker(url)(f"login with '{password}' refused by {url}")
    rest = "login with '***' refused by rtsp://***@camera.local/1"
    assume(password not in rest)
    assert password not in words
    assert quote(password, safe="") not in words


@given(password=st.text(st.characters(exclude_characters="\"'"), min_size=4).filter(str.strip))
def test_pipeline_password_never_shows(password: str) -> None:
    pipeline = f'rtspsrc location="rtsp://admin:{password}@cam/1" user-pw="{password}" ! fakesink'
    rest = 'rtspsrc location="rtsp://***@cam/1" user-pw=*** ! fakesink'
    assume(password not in rest)
    assert password not in Masker(pipeline)(pipeline)


@given(text=st.text())
def test_mask_takes_any_text(text: str) -> None:
    assert mask(mask(text)) == mask(text)
    assert isinstance(Masker(text)(text), str)
