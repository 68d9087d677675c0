"""Labels a folder as fast as it can, and reports each step once it is acknowledged.

Run by `test_crash.py`: for every number that it is sent it forks a process that labels from that
step on, and reports its id and its end. The steps follow from their number alone, so that
the test knows what each of them did: see `step_at`.
"""

import os
import sys

from labeler.record.autosave import Autosave
from labeler.record.session import Session

FILES = 40


def step_at(number):
    """What step `number` does: (action, file, class)."""
    action = ("label", "label", "skip", "label", "clear", "label", "undo")[number % 7]
    return action, f"folder/{number * 13 % FILES}, «é».png", str(number * number % 3)


def report(word, number):
    os.write(1, f"{word} {number}\n".encode())  # in one piece: two processes share the pipe


def label_on(folder, number):
    session = Session(folder, ["0", "1", "2"])
    Autosave(session, shortest=0.002, longest=0.01).start()
    while True:
        action, name, label = step_at(number)
        if action == "undo":
            session.undo()
        elif action == "label":
            session.label(name, label)
        else:
            getattr(session, action)(name)
        report("step", number)
        number += 1


def main(folder):
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            label_on(folder, int(line))
        report("process", process)
        os.waitpid(process, 0)
        report("dead", process)


if __name__ == "__main__":
    main(sys.argv[1])
