"""Is what is kept of a command's output bounded, plain and free of the host's paths?"""

from __future__ import annotations

import pytest

from crews.tools.output import Output, plain


def output(data: bytes, limit: int = 100, piece: int = 7) -> Output:
    made = Output(limit)
    for start in range(0, len(data), piece):
        made.add(data[start : start + piece])
    return made


@pytest.mark.parametrize("size", [0, 1, 49, 50, 51, 99, 100])
def test_what_fits_is_whole(size: int) -> None:
    data = bytes(97 + n % 26 for n in range(size))
    assert output(data).text() == data.decode()
    assert not output(data).truncated


@pytest.mark.parametrize("size", [101, 150, 151, 1000])
def test_what_does_not_fit_keeps_both_ends(size: int) -> None:
    data = bytes(97 + n % 26 for n in range(size))
    kept = output(data)
    assert kept.truncated
    middle = f"\n[... {size - 100} bytes left out ...]\n"
    assert kept.text() == data[:50].decode() + middle + data[-50:].decode()


def test_memory_is_bounded_and_endless_output_is_seen() -> None:
    kept = output(b"x" * 5_000, piece=1000)
    assert not kept.endless
    kept.add(b"x")
    assert kept.endless


def test_a_character_across_two_pieces_is_whole() -> None:
    assert output("aé€😀".encode(), piece=1).text() == "aé€😀"


def test_what_is_no_text_is_replaced() -> None:
    assert output(b"a\xff\xfeb").text() == "a\ufffd\ufffdb"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP payload \x1b\\x", "x"),
        ("\x9b2Jx\x9d0;t\x9cy", "xy"),
        ("\x1b(Bx\x1bcy", "xy"),
        ("a\x08\x00\x7fb\tc", "ab\tc"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("\x1b]unfinished\nnext line", "\nnext line"),
        ("\x1b[31", ""),
    ],
)
def test_control_sequences_go(raw: str, text: str) -> None:
    found = plain(raw)
    assert found == text or (raw == "\x1b[31" and "\x1b" not in found)


def test_the_names_of_the_host_become_the_commands_names() -> None:
    names = {"/home/u/run": "/workspace", "/home/u/run/tmp": "/tmp"}
    assert output(b"/home/u/run/a /home/u/run/tmp/b").text(names) == "/workspace/a /tmp/b"


def test_a_name_that_was_cut_is_not_half_there() -> None:
    path = "/home/someone/private/run"
    data = b"a" * 40 + path.encode() + b"b" * 200 + path.encode() + b"c" * 35
    text = output(data).text({path: "/workspace"})
    assert "home" not in text
    assert "private" not in text
    assert text.startswith("a" * 40)
    assert text.endswith("c" * 35)
