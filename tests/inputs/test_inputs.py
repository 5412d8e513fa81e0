"""Reading inputs: what of files, folders and globs becomes a part of every prompt, and what is refused."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from stretto import Input, read_inputs
from stretto.errors import TaskError
from stretto.inputs import gather

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def names(*sources: str | Path) -> list[str]:
    return [each.name for each in read_inputs(*sources)]


def test_a_text_stays_as_it_is_but_for_its_byte_order_mark(write: Write) -> None:
    write("a.md", b"\xef\xbb\xbfone\r\ntwo\n\n  \xe8\x8c\xb6 ")
    assert read_inputs("a.md") == [Input("a.md", "one\r\ntwo\n\n  茶 ")]


def test_a_name_is_the_path_as_seen_from_here(write: Write, tmp_path: Path) -> None:
    inside, outside = write("docs/a.md", "a"), tmp_path.parent / f"{tmp_path.name}.md"
    outside.write_text("x")
    assert names(inside, f"../{outside.name}") == ["docs/a.md", f"../{outside.name}"]


def test_a_folder_gives_its_files_in_the_order_of_their_names_and_never_hidden_ones(write: Write) -> None:
    for name in ("d/b.md", "d/a/z.md", "d/c.md", "d/.env", "d/.git/config", "d/a/.secret/k"):
        write(name, "text")
    assert names("d") == names("d/") == ["d/a/z.md", "d/b.md", "d/c.md"]


def test_a_folder_is_without_what_gitignore_names_at_every_level(write: Write) -> None:
    write("r/.git/info/exclude", "mine.txt\n")
    write("r/.gitignore", "*.log\n/build/\n!keep.log\n# no\n")
    write("r/src/.gitignore", "*.tmp\n!loud.log\n/only_here\n")
    files = ("a.log", "keep.log", "build/x.c", "mine.txt", "src/a.c", "src/loud.log", "src/t.tmp", "src/only_here")
    for name in (*files, "src/sub/only_here", "src/build/y.c", "src/sub/u.tmp"):
        write(f"r/{name}", "text")
    kept = ["r/keep.log", "r/src/a.c", "r/src/build/y.c", "r/src/loud.log", "r/src/sub/only_here"]
    assert names("r") == kept
    assert names("r/src") == [name for name in kept if name.startswith("r/src/")]  # those above count as well
    assert names("r/**/*.log") == ["r/keep.log", "r/src/loud.log"]


def test_who_names_an_ignored_file_or_folder_has_it(write: Write) -> None:
    write("r/.git/HEAD", "x")
    write("r/.gitignore", "build/\n*.log\n")
    write("r/build/x.c", "text")
    write("r/a.log", "text")
    assert names("r/build", "r/a.log") == ["r/build/x.c", "r/a.log"]


def test_gitignore_rules_of_a_repository_do_not_reach_into_one_inside_it(write: Write) -> None:
    write("r/.git/HEAD", "x")
    write("r/.gitignore", "*.md\n")
    write("r/inner/.git/HEAD", "x")
    write("r/inner/a.md", "text")
    assert names("r/inner") == ["r/inner/a.md"]


def test_a_glob_gives_files_and_a_file_of_such_a_name_is_meant_itself(write: Write) -> None:
    for name in ("d/a.md", "d/b/c.md", "d/b.txt", "d/[x].md"):
        write(name, "text")
    assert names("d/*") == ["d/[x].md", "d/a.md", "d/b.txt"]
    assert names("d/**/*.md") == ["d/[x].md", "d/a.md", "d/b/c.md"]
    assert names("d/[x].md") == ["d/[x].md"]


def test_a_file_that_is_named_twice_is_there_once(write: Write) -> None:
    write("d/a.md", "a")
    write("d/b.md", "b")
    assert names("d/b.md", "d", "d/*.md", "./d/../d/a.md") == ["d/b.md", "d/a.md"]
    assert gather(["d", "d/a.md"])[1].remarks == ("d/a.md: left out: it is there already",)


def test_links_in_a_folder_are_left_out_so_that_none_leads_elsewhere_or_in_a_circle(
    write: Write, tmp_path: Path
) -> None:
    secret = write("secret", "key")
    write("d/a.md", "a")
    (tmp_path / "d/round").symlink_to(tmp_path / "d")
    (tmp_path / "d/out.md").symlink_to(secret)
    (found,) = gather(["d"])
    assert [each.name for each in found.inputs] == ["d/a.md"]
    assert "d/out.md: left out: a link" in found.remarks[0]
    assert names("d/*") == ["d/a.md"]
    assert names("d/out.md") == ["d/out.md"]


def test_a_glob_goes_through_no_link_but_one_that_it_names_itself(write: Write, tmp_path: Path) -> None:
    write("home/keys/a.md", "key")
    write("r/a.md", "a")
    write("r/.hidden/b.md", "b")
    (tmp_path / "r/docs").symlink_to(tmp_path / "home/keys")
    (tmp_path / "r/round").symlink_to(tmp_path)
    for pattern in ("r/**/*.md", "r/*/*.md", "r/**", "r/d*/a.md", "r/**/keys/*"):
        assert all("home" not in str((tmp_path / name).resolve()) for name in found(pattern)), pattern
    assert names("r/**/*.md") == ["r/a.md"]
    assert names("r/.h*/*.md") == ["r/.hidden/b.md"]
    assert names("r/docs/*.md") == ["r/docs/a.md"]


def found(pattern: str) -> list[str]:
    try:
        return names(pattern)
    except TaskError:
        return []


@pytest.mark.parametrize(
    ("pattern", "ignored", "kept"),
    [
        ("*.log", "a.log d/b.log", "a.logs"),
        ("/a", "a", "d/a"),
        ("d/", "d/x", "e/d"),
        ("d/*", "d/x", "d.x"),
        ("**/d/b", "d/b e/d/b", "d/c"),
        ("d/**", "d/e/f", "f"),
        ("a/**/b", "a/b a/c/d/b", "b"),
        ("[a-c]?.md", "ax.md", "dx.md a.md"),
        ("[!a]x", "bx", "ax"),
        ("[[:digit:]]x", "1x", "dx"),
        ("\\!x", "!x", "x"),
        ("\\#x", "#x", "x"),
        ("#x", "", "#x"),
        ("x ", "x", "y"),
        ("x\\ ", "x ", "x"),
        ("[x", "", "[x"),
        ("a**b", "axb", "a/b"),
        ("*\n!d/k", "d/k", ""),  # what is in an ignored folder stays out
        ("*.md\n!k.md", "a.md", "k.md"),
    ],
)
def test_gitignore_means_what_it_means_to_git(write: Write, pattern: str, ignored: str, kept: str) -> None:
    def split(written: str) -> list[str]:
        return [written] if written.endswith(" ") else written.split()

    write("r/.git/HEAD", "x")
    write("r/.gitignore", pattern + "\n")
    write("r/other/z", "text") if pattern != "*\n!d/k" else write("r/z", "text")
    for name in (*split(ignored), *split(kept)):
        write(f"r/{name}", "text")
    there = {name.removeprefix("r/") for name in found("r")}
    assert not there & set(split(ignored))
    assert set(split(kept)) <= there


def test_no_pattern_of_a_gitignore_takes_for_ever(write: Write) -> None:
    hostile = ["*a" * 60 + "b", "**/a/" * 40 + "b", "[a-z]*" * 60 + "!", "?*" * 90 + "b", "a*" * 90 + "/b"]
    write("r/.git/HEAD", "x")
    write("r/.gitignore", "\n".join(hostile * 20))
    name = "a" * 200
    write(f"r/{name}/{name}/{name}", "text")
    assert names("r") == [f"r/{name}/{name}/{name}"]
    write("r/.gitignore", "*x\n" * 30_000)
    with pytest.raises(TaskError, match="more than 2,000 patterns"):
        names("r")


NOT_TEXT = [
    (b"II*\0\0", "an image (TIFF); make a PNG of it first"),
    (b"%PDF-1.7\n", "pdftotext"),
    ("text".encode("utf-16"), "iconv -f UTF-16"),
    (b"abc\0def", "binary data (byte 3)"),
    (b"a" * 9000 + b"\0", "binary data (byte 9000)"),
    (b"abc\xff", "not UTF-8 text (byte 3)"),
    (b"", "there is nothing in it"),
    (b"\xef\xbb\xbf \n", "there is nothing in it"),
]


@pytest.mark.parametrize(("data", "said"), NOT_TEXT)
def test_what_is_no_text_is_refused_if_it_was_named_and_left_out_of_a_folder(
    write: Write, data: bytes, said: str
) -> None:
    write("d/x", data)
    write("d/y", "text")
    with pytest.raises(TaskError) as error:
        read_inputs("d/x")
    assert str(error.value).startswith("d/x: ")
    assert said in str(error.value)
    (found,) = gather(["d"])
    assert [each.name for each in found.inputs] == ["d/y"]
    assert said in found.remarks[0]


def test_pipes_sockets_and_devices_hold_nobody_up(write: Write, tmp_path: Path) -> None:
    write("d/a.md", "a")
    os.mkfifo(tmp_path / "d/pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("d/socket")
        for name in ("d/pipe", "/dev/null"):
            with pytest.raises(TaskError, match=r"no regular file.*-i -"):
                read_inputs(name)
        with pytest.raises(TaskError, match="d/socket: no regular file"):
            read_inputs("d/socket")
        (found,) = gather(["d"])
    assert [each.name for each in found.inputs] == ["d/a.md"]
    assert found.remarks == ("d/pipe: left out: no regular file", "d/socket: left out: no regular file")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.md", "nowhere.md: there is no such file or folder"),
        ("*.xyz", "*.xyz: no file with text in it has such a name"),
        ("empty", "empty: there is no file with text in it"),
        ("dangling", "dangling: cannot be read: No such file"),
        ("", "an input has no name"),
        ("-", "standard input is not read here"),
    ],
)
def test_what_is_not_there_is_said_with_a_remedy(write: Write, tmp_path: Path, source: str, said: str) -> None:
    write("empty/.hidden", "text")
    (tmp_path / "dangling").symlink_to("nothing")
    with pytest.raises(TaskError) as error:
        read_inputs(source)
    assert said in str(error.value)


def test_too_much_is_refused_with_the_largest_files_and_before_it_is_read(write: Write, tmp_path: Path) -> None:
    for number in range(5):
        write(f"d/{number}", "x" * (100 + number))
    assert len(read_inputs("d", max_input=510)) == 5
    with pytest.raises(TaskError, match=r"more than 509 bytes.*d/4 \(104 bytes\), d/3.*--max-input"):
        read_inputs("d", max_input=509)
    with pytest.raises(TaskError, match="more than 205 bytes"):
        read_inputs("d/0", "d/1", "d/2", max_input=205)
    write("big/a", "start" * 2000)
    os.truncate(tmp_path / "big/a", 1 << 40)  # sparse
    for source in ("big", "big/*", "big/a"):
        with pytest.raises(TaskError, match=r"big/a: 1,099,511,627,776 bytes.*--max-input"):
            read_inputs(source)


def test_a_file_that_says_no_size_is_bounded_all_the_same(write: Write) -> None:
    write("a", "a")
    with pytest.raises(TaskError, match=r"/proc/cpuinfo: .* bytes"):
        read_inputs("/proc/cpuinfo", max_input=100)


def test_standard_input_is_read_no_further_than_it_may_be() -> None:
    asked = list[int]()

    def stdin(most: int) -> bytes:
        asked.append(most)
        return b"piped"

    (found,) = gather(["-"], 5, stdin)
    assert found.inputs == (Input("stdin", "piped"),)
    assert asked == [6]
    with pytest.raises(TaskError, match="standard input: 5 bytes"):
        gather(["-"], 4, stdin)
