"""Time from key press to next picture, and start-up time, with large folders and pictures.

    python -m benchmarks.labeler [--pictures 100000] [--keys 280] [--pace 4]

Measures the real window, in a process of its own on a virtual display (Xvfb):

* opening: from the start of `python -m labeler FOLDER` to the first picture on the screen, with a
  folder of small PNGs (median and worst of five starts), nothing labelled or nine tenths of it;
* key press to the next picture on the screen, the label flushed to the disk in between, at a given
  pace and as fast as the pictures appear: with those small pictures, at the first label and after
  90,000 labels while labels.csv is rewritten in the background, and with 12-megapixel JPEGs of
  about 5 MB;
* the largest resident memory of each of these processes.

A picture counts as shown when the X server has drawn it. The files are in the system's cache.

Result (two idle cores, Python 3.11, Tk 8.6, Pillow 13; one run of --pictures 5000 --keys 120
--pace 8):

                                                 median      p95    worst   memory
    open 5,000 small pictures, none labelled     0.30 s   0.36 s   0.36 s   194 MB
    the same, first 120 labels                   5.5 ms   7.3 ms   8.4 ms   202 MB
    open 5,000 of which 4,500 are labelled       0.32 s   0.34 s   0.34 s   194 MB
    the same, 120 labels after 4,500             5.2 ms   6.5 ms    14 ms   211 MB
    12-megapixel JPEGs, 8 keys per second        5.2 ms    10 ms    12 ms   265 MB
    12-megapixel JPEGs, as fast as they come      27 ms    59 ms    75 ms   258 MB

Without a pause between keys, two cores are busy all the time: a picture takes 45 ms of one to
decode, about 36 of them for JPEG's entropy coding, which no smaller scale saves, and 10 ms to show.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from labeler.record.table import write_table
from labeler.recording import virtual_display
from lib.data.tables import Table

STARTS = 5
DISTINCT = 8  # different photographs; the others are links to them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pictures",
        type=int,
        default=100_000,
        help="number of small pictures in the folder (default: %(default)s)",
    )
    parser.add_argument(
        "--keys", type=int, default=280, help="keys per measurement (default: %(default)s)"
    )
    parser.add_argument(
        "--pace", type=float, default=4.0, help="keys per second (default: %(default)s)"
    )
    parser.add_argument("--inside", nargs=4, metavar=("FOLDER", "KEYS", "PACE", "START"))
    options = parser.parse_args()
    if options.inside:
        folder, keys, pace, start = options.inside
        print(json.dumps(measure(Path(folder), int(keys), float(pace), float(start))))
        return
    with TemporaryDirectory() as scratch, virtual_display((1280, 900)) as display:
        os.environ["DISPLAY"] = display
        small, photos = Path(scratch) / "small", Path(scratch) / "photos"
        print(f"writing {options.pictures:,} small pictures ...", file=sys.stderr)
        names = write_small(small, options.pictures)
        print("writing photographs ...", file=sys.stderr)
        write_photos(photos, options.keys + 10)
        report(options, small, photos, names)


def report(options: argparse.Namespace, small: Path, photos: Path, names: list[str]) -> None:
    """Run every measurement and print a line for each."""
    keys, pace = options.keys, options.pace
    print(f"{'':58}{'median':>9}{'p95':>9}{'worst':>9}{'memory':>10}")

    def line(what: str, values: list[float], memory: float, unit: str) -> None:
        ordered = sorted(values)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        numbers = (statistics.median(ordered), p95, ordered[-1])
        cells = "".join(f"{number:7.2f} {unit}"[:11].rjust(9) for number in numbers)
        print(f"{what:58}{cells}{memory:7.0f} MB", flush=True)

    def opening(what: str) -> None:
        starts = [run(small, 0, 0) for _ in range(STARTS)]
        line(what, [s["opened"] for s in starts], max(s["memory"] for s in starts), "s")

    def labelling(what: str, folder: Path, pace: float) -> None:
        result = run(folder, keys, pace)
        line(what, [1000 * value for value in result["latencies"]], result["memory"], "ms")

    opening(f"open {len(names):,} small pictures, none labelled")
    labelling(f"small pictures, first {keys} labels, {pace:g} keys/s", small, pace)
    done = names[: len(names) * 9 // 10]
    forget(small)
    write_table(small / "labels.csv", Table({name: str(len(name) % 2) for name in done}))
    opening(f"open {len(names):,} small pictures, {len(done):,} labelled")
    labelling(f"small pictures, {keys} labels after {len(done):,}, {pace:g} keys/s", small, pace)
    labelling(f"12-megapixel JPEGs, {pace:g} keys/s", photos, pace)
    forget(photos)
    labelling("12-megapixel JPEGs, as fast as they come", photos, 0)


def forget(folder: Path) -> None:
    for name in ("labels.csv", ".labels.journal"):
        (folder / name).unlink(missing_ok=True)


def write_small(folder: Path, count: int) -> list[str]:
    folder.mkdir()
    example = folder / "example.png"
    Image.radial_gradient("L").resize((32, 32)).convert("RGB").save(example)
    data = example.read_bytes()
    example.unlink()
    names = [f"picture_{number}.png" for number in range(count)]
    for name in names:
        (folder / name).write_bytes(data)
    return names


def write_photos(folder: Path, count: int) -> None:
    """Photographs as far as a decoder can tell: shapes, shades, and sensor noise."""
    folder.mkdir()
    shade = Image.radial_gradient("L").resize((4000, 3000))
    for number in range(count):
        path = folder / f"photo_{number}.jpg"
        if number >= DISTINCT:
            os.link(folder / f"photo_{number % DISTINCT}.jpg", path)
            continue
        noise = Image.effect_noise((4000, 3000), 35)
        bands = [Image.blend(noise, shade.rotate(90 * band), 0.6) for band in range(3)]
        Image.merge("RGB", bands).rotate(45 * number).save(path, quality=90)


def run(folder: Path, keys: int, pace: float) -> dict:
    """Measure in a process of its own, which begins with the start of the labeler."""
    command = [sys.executable, "-m", "benchmarks.labeler", "--inside", str(folder)]
    command += [str(keys), str(pace), str(time.monotonic())]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def measure(folder: Path, keys: int, pace: float, start: float) -> dict:
    """Seconds from `start` to the first picture, and from each key to the next picture."""
    import tkinter as tk

    from labeler.desk import Desk
    from labeler.window.window import Window

    desk = Desk(folder)
    root = tk.Tk(className="labeler")
    window = Window(root, Desk, desk)
    stage = window.stage
    assert stage is not None

    def drawn() -> float:
        """Wait until the current picture is on the screen; the time."""
        while not stage.displayed:
            root.tk.dooneevent(0)  # waits, as mainloop does; asking on and on would take a core
        root.update_idletasks()
        root.winfo_pointerx()  # a question to the X server, answered when all before is drawn
        return time.monotonic()

    opened = drawn() - start
    root.focus_force()
    end = time.monotonic() + 1.0
    latencies = []
    for number in range(keys):
        while time.monotonic() < end:
            root.update()
            time.sleep(0.001)
        pressed = time.monotonic()
        before = stage.displayed
        root.event_generate(f"<KeyPress-{'ab'[number % 2]}>")
        latencies.append(drawn() - pressed)
        root.event_generate(f"<KeyRelease-{'ab'[number % 2]}>")
        assert stage.displayed != before, "the key had no effect"
        end = pressed + 1 / pace if pace else 0
    window.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"opened": opened, "latencies": latencies, "memory": memory}


if __name__ == "__main__":
    main()
