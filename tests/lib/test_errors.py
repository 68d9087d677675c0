import os
import subprocess
import sys

import pytest

from lib.errors import nearest

COMMAND = """
from lib.errors import UserError, command

def main():
    {body}

command(main)
"""


def run(body, **options):
    code = COMMAND.format(body=body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("print('done')", 0, ""),
        ("return 3", 3, ""),
        (
            "raise UserError('no such thing; name another')",
            2,
            "error: no such thing; name another\n",
        ),
        ("raise KeyboardInterrupt", 130, "interrupted; the same command goes on from here\n"),
    ],
)
def test_a_command_ends_with_a_status_and_at_most_one_line(body, status, said):
    done = run(body)
    assert (done.returncode, done.stderr) == (status, said)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii:strict", rb"caf\xe9 \u732b \udce9"),
        ("ascii:surrogateescape", rb"caf\xe9 \u732b \udce9"),  # as in the C locale
        ("latin-1", b"caf\xe9 " + rb"\u732b \udce9"),
        ("utf-8", "café 猫 ".encode() + rb"\udce9"),
    ],
)
def test_what_a_stream_cannot_encode_is_written_as_an_escape(encoding, shown):
    name = ascii("café 猫 \udce9")
    code = COMMAND.format(body=f"print({name}); raise UserError({name})")
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert done.returncode == 2
    assert done.stdout == shown + b"\n"
    assert done.stderr == b"error: " + shown + b"\n"


def test_a_command_without_standard_output_ends_as_ever():
    code = "import sys; sys.stdout = None\n" + COMMAND.format(body="raise UserError('no')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert (done.returncode, done.stderr) == (2, b"error: no\n")


def test_a_defect_keeps_its_traceback():
    done = run("raise RuntimeError('a defect')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_reader_that_has_seen_enough_ends_it_quietly():
    code = COMMAND.format(body="print('line\\n' * 100_000)")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_the_nearest_name_is_offered_or_all():
    assert nearest("epoch", ["epochs", "lr"]) == "; did you mean 'epochs'?"
    assert nearest("xyz", ["epochs", "lr"]) == "; known are epochs, lr"
