"""The addresses of the site's pages, by file name alone: `report.finish` completes them."""

from urllib.parse import quote, urlencode


def run(run_id: str) -> str:
    """The page of all runs, opened at one of them."""
    return f"runs.html#run={quote(run_id, safe='')}"


def gallery(true: str, predicted: str) -> str:
    """The gallery with the pictures of one cell of the confusion matrix."""
    return f"gallery.html#{urlencode({'true': true, 'predicted': predicted})}"


def day(notebook: str, section: str = "") -> str:
    """The page of an executed notebook, such as `day3_transfer`, or one of its sections."""
    return f"{notebook}.html{f'#{section}' if section else ''}"
