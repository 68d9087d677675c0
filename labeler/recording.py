"""Record a video of the labeler at work: a minute with scikit-learn's digits, as a small WebM.

    python -m labeler.recording report/assets/labeler.webm

The website shows the video and, until it is played, the still image that is written beside it
(`labeler.webp`). The real window opens on a virtual display (Xvfb), a script presses the keys of a
user (xdotool), and ffmpeg records the screen. A caption below the window describes each step.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from labeler.errors import LabelerError

SIZE = (1120, 820)  # of the window
CAPTION = 44  # pixels, height of the caption below it
SECONDS = 60  # of video
LARGEST = 3_000_000  # bytes
STILL = 8  # second of the video at which the still image is taken
QUALITIES = (33, 38, 43, 48)  # VP9's constant rate factor, the best first
CLASSES = {3: "three", 8: "eight"}


@contextmanager
def virtual_display(size: tuple[int, int] = SIZE) -> Iterator[str]:
    """A virtual display: its name, for as long as the context lasts.

    Raises
    ------
    LabelerError   if there is no Xvfb
    """
    require("Xvfb")
    reading, writing = os.pipe()
    screen = f"{size[0]}x{size[1]}x24"
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", screen, "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise LabelerError("Xvfb did not start.")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def require(program: str) -> None:
    """Raise a LabelerError if a program is not installed."""
    if not shutil.which(program):
        raise LabelerError(
            f"{program} is not installed: install it with your system's package manager."
        )


def xdotool(environment: dict[str, str], *arguments: object) -> None:
    """Press a key, move the mouse or find a window, on the display of the environment."""
    command = ["xdotool", *map(str, arguments)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def save_digits(folder: Path) -> list[int]:
    """Write scikit-learn's threes and eights as small PNGs; return the digits in file order."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise LabelerError("The video needs scikit-learn for its pictures: install it.") from error
    digits = load_digits()
    chosen = [number for number, digit in enumerate(digits.target) if digit in CLASSES]
    for position, number in enumerate(chosen):
        pixels = (digits.images[number] * 255 / 16).astype("uint8")
        Image.fromarray(pixels).save(folder / f"digit_{position + 1:03}.png")
    return [int(digits.target[number]) for number in chosen]


@dataclass
class Actor:
    """Presses keys in the window, and notes the time of each caption."""

    environment: dict[str, str]
    digits: list[int]
    next: int = 0  # index of the next unlabelled picture
    started: float = field(default_factory=time.monotonic)
    captions: list[tuple[float, str]] = field(default_factory=list)

    def caption(self, text: str) -> None:
        self.captions.append((time.monotonic() - self.started, text))

    def press(self, key: str, pause: float) -> None:
        xdotool(self.environment, "key", key)
        time.sleep(pause)

    def move_mouse(self, x: int, y: int, *more: object) -> None:
        xdotool(self.environment, "mousemove", x, y, *more)

    def label(self, count: int, pause: float, wrongly: bool = False) -> None:
        """Label the next pictures correctly, or wrongly."""
        keys = "ba" if wrongly else "ab"
        for _ in range(count):
            self.press(keys[list(CLASSES).index(self.digits[self.next])], pause)
            self.next += 1

    def until(self, second: float) -> None:
        """Label until this second of the video."""
        while time.monotonic() - self.started < second:
            self.label(1, 0.3)


def perform(actor: Actor, seconds: float) -> None:
    """The steps of the video."""
    time.sleep(1.5)
    actor.caption("Press A or B to label; the next picture appears at once")
    actor.label(14, 0.45)
    actor.caption("Ctrl+Z undoes a wrong label, any number of steps back")
    actor.label(1, 1.2, wrongly=True)
    actor.next -= 1
    actor.press("ctrl+z", 1.2)
    actor.label(3, 0.5)
    actor.caption("Space skips a picture whose class is unclear")
    actor.press("space", 1.2)
    actor.next += 1
    actor.label(4, 0.4)
    actor.caption("Click a thumbnail to go back to its picture")
    actor.move_mouse(16 + 2 * 56 + 24, SIZE[1] - 45, "click", 1)
    time.sleep(1.6)
    actor.press("b" if actor.digits[actor.next - 3] == 8 else "a", 0.8)
    actor.move_mouse(SIZE[0] - 4, SIZE[1] - 4)
    actor.caption("Each label is saved to disk before the next picture is shown")
    actor.label(30, 0.2)
    actor.caption("? shows all keys")
    actor.press("question", 4)
    actor.press("Escape", 0.5)
    actor.caption("Ctrl+F filters the pictures, here by the class eight")
    actor.press("ctrl+f", 1)
    for _ in range(4):
        actor.press("Down", 0.25)
    actor.press("Return", 1)
    for _ in range(4):
        actor.press("Right", 0.4)
    actor.press("ctrl+f", 0.7)
    actor.press("Return", 0.5)
    actor.caption("Page Down: next unlabelled picture. Ctrl+D: light or dark theme")
    actor.press("Next", 0.8)
    actor.press("ctrl+d", 1)
    actor.until(seconds - 9)
    actor.caption("Ctrl+E divides the labelled pictures into train, val and test")
    actor.press("ctrl+e", 2)
    actor.press("Return", 5)
    actor.press("Escape", 0)
    time.sleep(max(0.0, seconds - (time.monotonic() - actor.started)))


def record(output: Path, seconds: float = SECONDS) -> None:
    """Record a video of the window, `seconds` long.

    Raises
    ------
    LabelerError   if a program is missing or the video gets too large
    """
    for program in ("xdotool", "ffmpeg"):
        require(program)
    with TemporaryDirectory() as scratch, virtual_display() as display:
        pictures, raw = Path(scratch) / "threes and eights", Path(scratch) / "raw.mkv"
        pictures.mkdir()
        digits = save_digits(pictures)
        project = str(Path(__file__).parents[1])
        environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": project}
        command = [sys.executable, "-m", "labeler", pictures.name, "--scale", "1"]
        command += ["--classes", ",".join(CLASSES.values())]
        # Started there, so that the video shows only the folder's name.
        labeler = subprocess.Popen(command, env=environment, cwd=scratch)
        try:
            by_title = ["search", "--sync", "--name", "of [0-9]+ labelled"]
            xdotool(environment, *by_title, "windowfocus", "--sync")
            capture = subprocess.Popen(_screen_capture(display, raw), stdin=subprocess.PIPE)
            actor = Actor(environment, digits)
            perform(actor, seconds)
            capture.communicate(b"q")
        finally:
            labeler.terminate()
            labeler.wait()
        _encode(raw, output, actor.captions, seconds)


def _screen_capture(display: str, raw: Path) -> list[str]:
    screen = ["-f", "x11grab", "-framerate", "20", "-video_size", f"{SIZE[0]}x{SIZE[1]}"]
    lossless = ["-c:v", "libx264rgb", "-qp", "0", "-preset", "ultrafast"]
    return ["ffmpeg", "-loglevel", "error", "-y", *screen, "-i", display, *lossless, str(raw)]


def _encode(raw: Path, output: Path, captions: Sequence[tuple[float, str]], seconds: float) -> None:
    """Add the captions and encode, in the best quality that `LARGEST` allows."""
    filters = [f"pad=iw:ih+{CAPTION}:0:0:color=0x1b1c1e"]
    ends = [start for start, _ in captions[1:]] + [seconds]
    for number, ((start, text), end) in enumerate(zip(captions, ends, strict=True)):
        caption = raw.with_name(f"caption{number}.txt")
        caption.write_text(text)
        filters.append(
            f"drawtext=textfile='{caption}':font=Sans:fontsize=20:fontcolor=0xe8e8e6"
            f":x=(w-text_w)/2:y=h-{CAPTION}/2-text_h/2:enable='between(t,{start:.2f},{end:.2f})'"
        )
    for quality in QUALITIES:
        codec = ["-c:v", "libvpx-vp9", "-crf", str(quality), "-b:v", "0", "-cpu-used", "4"]
        codec += ["-row-mt", "1", "-pix_fmt", "yuv420p", "-g", "200", "-t", str(seconds)]
        command = ["ffmpeg", "-loglevel", "error", "-y", "-i", str(raw), "-vf", ",".join(filters)]
        subprocess.run([*command, *codec, str(output)], check=True)
        if output.stat().st_size <= LARGEST:
            break
    else:
        raise LabelerError(f"{output} has more than {LARGEST:,} bytes: record fewer seconds.")
    command = ["ffmpeg", "-loglevel", "error", "-y", "-ss", str(STILL), "-i", str(output)]
    subprocess.run([*command, "-frames:v", "1", str(output.with_suffix(".webp"))], check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m labeler.recording",
        description=f"Record a video of the labeler at work, {SECONDS} seconds long.",
    )
    parser.add_argument(
        "output",
        type=Path,
        help="file to write (.webm); a still image (.webp) is written beside it",
    )
    options = parser.parse_args(arguments)
    try:
        record(options.output)
    except LabelerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Written: {options.output} ({options.output.stat().st_size:,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
