"""Render the website from the latest results of the study: `python -m report [--serve]`.

Quarto renders it if it is installed, otherwise Pandoc, which is one of the requirements. The new
site replaces the old one only when all of its pages have been rendered.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lib.errors import UserError, command
from lib.files import replacing_folder
from report import pandoc_edition, quarto_edition
from report.finish import finish
from report.prepare import prepare
from report.server import Server


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--engine",
        choices=("quarto", "pandoc"),
        help="default: quarto if it is installed, otherwise pandoc",
    )
    parser.add_argument(
        "--study",
        nargs="+",
        default=[],
        metavar="NAME",
        help="render these studies alone (default: all)",
    )
    parser.add_argument(
        "--serve", action="store_true", help="serve the rendered site on this computer only"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8000,
        help="TCP port for --serve; 0 for any free port (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    root = Path.cwd()
    pages, engine = build(root, options.engine, options.study)
    print(f"{pages} pages rendered with {engine.capitalize()} in _site/; open _site/index.html")
    if options.serve:
        serve(root / "_site", options.port)


def build(root: Path, engine: str | None = None, studies: Sequence[str] = ()) -> tuple[int, str]:
    """Render the site of these studies (none: all) into `root/_site`.

    Returns the number of pages and the engine.

    Raises
    ------
    UserError   if there is nothing to render or a page fails; the old site is then unchanged
    """
    if not (root / "_quarto.yml").exists():
        raise UserError(f"no _quarto.yml in {root}; run `python -m report` in the project's root")
    engine = engine or ("quarto" if shutil.which("quarto") else "pandoc")
    if engine == "quarto" and not shutil.which("quarto"):
        raise UserError("quarto is not on PATH; install it from quarto.org or use --engine pandoc")
    left_out = prepare(root, studies).left_out()
    with replacing_folder(root / "_site") as fresh:
        if engine == "quarto":
            with tempfile.TemporaryDirectory(prefix=".site-", dir=root) as sources:
                quarto_edition.render(root, fresh, Path(sources), left_out)
        else:
            pandoc_edition.render(root, fresh, left_out)
        pages = finish(fresh)
    return pages, engine


def serve(site: Path, port: int) -> None:
    """Serve the site on this computer until interrupted."""
    with Server(site, port) as server:
        print(f"http://127.0.0.1:{server.server_port}/ (Ctrl+C to stop)", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    command(main)
