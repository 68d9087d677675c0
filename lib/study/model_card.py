"""The model card of a bundle, as a file of the bundle and as a page of the site.

The card (Mitchell et al., "Model Cards for Model Reporting", 2019) in the format of the
Hugging Face Hub. Its text is `model_card.md.jinja`, its sources are in `references.bib`; every
figure comes from `lib.study.card_facts`, and the card says what was not measured.
"""

import re
from functools import cache
from pathlib import Path

import jinja2
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from pybtex.database import parse_string

from lib.diagnosis.calibration import BINS
from lib.diagnosis.robustness import QUOTED, why_quoted
from lib.files import write_text
from lib.inference.export import add_card
from lib.intervals import Interval
from lib.pages import links
from lib.pages.markdown import Markdown, code, plain, python_string, shell_word, verbatim
from lib.pages.palette import label
from lib.pages.wording import corruption, count, duration, listed, per_cent, points
from lib.study.artifacts import place
from lib.study.card_facts import SURE, Facts, width
from lib.study.evidence import SIGNIFICANT_FROM

HERE = Path(__file__).parent
PAGE = "model_card.md"  # in the study's folder
TITLE = "Model card"
SUBTITLE = "Intended use, evaluation and failure modes of the best model of the study."
HUB_DATASETS = {"digits": "digits", "cifar10": "uoft-cs/cifar10", "folder": "imagefolder"}
HUB_METRICS = {  # what the Hub calls a measure of calibration: its name in lib, and in words
    "ece": ("ece", "Expected calibration error"),
    "nll": ("nll", "Negative log-likelihood"),
    "brier_score": ("brier", "Brier score"),
}


def write(facts: Facts, study: str | Path) -> ModelCard:
    """Write the card into its bundle and as a page of the study's site, and return it.

    Parameters
    ----------
    study : path   the study's folder; empty: there is no page

    Raises
    ------
    UserError   if one of the two cannot be written
    """
    made = card(facts)
    add_card(facts.bundle, str(made))
    if study:
        write_text(Path(study) / PAGE, site_page(facts))
    return made


def card(facts: Facts) -> ModelCard:
    """The card as the bundle holds it."""
    front = ModelCardData(
        library_name="pytorch",
        pipeline_tag="image-classification",
        tags=["image-classification", "pytorch", "onnx", facts.bundle.recipe.model],
        datasets=[HUB_DATASETS["cifar10"]] if facts.source == "cifar10" else None,
        metrics=["accuracy", *HUB_METRICS],
        model_name=facts.bundle.name,
        eval_results=_eval_results(facts),
    )
    body = _text(facts, site=False)
    return ModelCard(f"---\n{front.to_yaml()}\n---\n\n# {plain(facts.bundle.name)}\n\n{body}")


def site_page(facts: Facts) -> str:
    """The card as a page for Quarto and Pandoc, linked to the pages beside it."""
    front = yaml.safe_dump(
        {"title": TITLE, "subtitle": SUBTITLE, "sidebar": False}, sort_keys=False
    )
    unbroken = re.sub(r"(?<=\d)–(?=\d)", "\N{WORD JOINER}–\N{WORD JOINER}", _text(facts, site=True))
    return f"---\n{front}---\n\n{unbroken}"


def _eval_results(facts: Facts) -> list[EvalResult]:
    """Accuracy, and calibration as it is served: after scaling."""
    values = {"accuracy": ("Accuracy", facts.accuracy)} | {
        metric: (name, facts.calibration(measure, "after"))
        for metric, (measure, name) in HUB_METRICS.items()
    }
    return [
        EvalResult(
            task_type="image-classification",
            task_name="Image classification",
            dataset_type=HUB_DATASETS[facts.source],
            dataset_name=facts.bundle.dataset["name"],
            dataset_split="test",
            metric_type=metric,
            metric_name=name,
            metric_value=round(interval.value, 4),
        )
        for metric, (name, interval) in values.items()
    ]


# The text


def _text(facts: Facts, site: bool) -> str:
    """The card below its title; on the site, words link to other pages."""
    sources = Bibliography((HERE / "references.bib").read_text(encoding="utf-8"))
    text = _template().render(
        facts=facts,
        bundle=facts.bundle,
        recipe=facts.bundle.recipe,
        place=place(facts.bundle.path),
        sure=SURE,
        bins=BINS,
        needed=count(SIGNIFICANT_FROM, "picture"),
        quoted=QUOTED,
        cite=sources.cite,
        run_page=links.run,
        sources=sources,
        site=site,
    )
    return _tidied(text)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,  # what is missing is an error, not a gap
        autoescape=True,  # macros and the escaped stay as they are ...
        finalize=_escaped,  # ... all else that the template prints is text, not Markdown
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment.get_template("model_card.md.jinja")


def _escaped(value: object) -> Markdown:
    """The value, which a card may not lack, as Markdown that shows it."""
    if value is None:
        raise ValueError("the card's text asks for a fact that is None")
    return plain(value)


class Bibliography:
    """BibTeX entries, and which of them a text has cited."""

    def __init__(self, text: str):
        self.entries = parse_string(text, "bibtex").entries
        self.cited: list[str] = []

    def cite(self, key: str) -> str:
        """`Guo et al., 2017`, noting that it was cited.

        Raises
        ------
        ValueError   if there is no such entry
        """
        if key not in self.entries:
            raise ValueError(f"no entry {key!r}")
        if key not in self.cited:
            self.cited.append(key)
        entry = self.entries[key]
        names = [" ".join(person.last_names) for person in entry.persons["author"]]
        authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        return f"{authors}, {entry.fields['year']}"

    def cited_entries(self) -> list[str]:
        """The BibTeX of what was cited, in the order of the keys."""
        return [self.entries[key].to_string("bibtex").strip() for key in sorted(self.cited)]


def _tidied(text: str) -> str:
    """A line a paragraph, and one empty line between blocks; code stays as it is."""
    parts = re.split(r"(^```.*?^```$)", text.strip(), flags=re.MULTILINE | re.DOTALL)
    for i in range(0, len(parts), 2):
        lines_joined = re.sub(r"(?<=[^\n|])\n(?![\n|<-]) *", " ", parts[i])
        parts[i] = re.sub(r"\n{3,}", "\n\n", lines_joined)
    return "".join(parts) + "\n"


def _interval(interval: Interval, spec: str = "") -> str:
    """`91.3 % (90.7–91.8)`, with a space before the per cent sign that doesn't break."""
    return format(interval, spec).replace(" %", "\N{NO-BREAK SPACE}%")


def _confidence(confidence: float) -> str:
    """`97.3 %`; what would round to certainty is `over 99.9 %`."""
    return per_cent(confidence) if confidence < 0.9995 else f"over {per_cent(0.999)}"


FILTERS = {
    "plain": plain,
    "listed": listed,
    "code": code,
    "shell": shell_word,
    "python": python_string,
    "verbatim": verbatim,
    "interval": _interval,
    "confidence": _confidence,
    "corruption": corruption,
    "percent": per_cent,
    "points": points,
    "width": width,
    "why_quoted": why_quoted,
    "duration": duration,
    "count": count,
    "label": label,
}
