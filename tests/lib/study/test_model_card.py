import ast
import dataclasses
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import jinja2
import numpy as np
import pypandoc
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from sklearn import metrics

from lib.diagnosis.robustness import still_correct
from lib.errors import UserError
from lib.files import sha256
from lib.inference.__main__ import main
from lib.inference.bundle import Bundle
from lib.pages.wording import per_cent
from lib.study.card_facts import Facts
from lib.study.model_card import Bibliography, card, site_page, write
from lib.training.loop import fit
from lib.training.runs import RunStore
from tests.imports import PROJECT

PLACEHOLDER = re.compile(
    r"[Mm]ore [Ii]nformation|\bTODO\b|\bTBD\b|\bFIXME\b|\bXXX|\?\?|\{\{|\}\}|\{%|%\}"
    r"|\bNone\b|\bnan\b|\binf\b|\bundefined\b|\bFalse\b|\bTrue\b|[Ll]orem|<[^>]* object at"
)


CNN = {"model": "small_cnn", "strategy": "all", "weights": "none"}


RESNET = {"model": "resnet18", "strategy": "all", "weights": "none"}


RECIPES = [
    *({**CNN, "augmentation": name} for name in ("none", "flip_crop", "randaugment", "cutout")),
    {**CNN, "augmentation": "mixup", "label_smoothing": 0.0, "weight_decay": 0.0},
    {**CNN, "augmentation": "cutmix", "image_size": 32},
    RESNET,
    {**RESNET, "weights": "imagenet", "strategy": "last_stage", "image_size": 224},
    {**RESNET, "weights": "imagenet", "strategy": "all", "layer_decay": 0.7},
    {**RESNET, "weights": "run:turned", "strategy": "head"},
    {**RESNET, "weights": "run:000000000000", "strategy": "last_block"},
    {**RESNET, "model": "efficientnet_lite0", "weights": "imagenet", "strategy": "head"},
    {**RESNET, "model": "timm:resnet18", "weights": "timm", "strategy": "last_block"},
    {**RESNET, "strategy": "head", "head_fit": "lbfgs", "augmentation": "none", "epochs": 1},
    {**RESNET, "weights": "file:/somewhere/of/mine.pth#0123456789abcdef", "strategy": "head"},
]


SOURCES = [
    {"name": "digits", "flip": False},
    {"name": "cifar10", "flip": True},
    {"name": "my_pictures", "flip": True},
    {"name": "digits", "flip": True},  # a folder of that name
]


def rows_under(text, heading):
    """The cells of the last column-headed table under a heading of the card."""
    section = text.partition(f"# {heading}\n")[2].partition("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_card_reads_back_with_what_was_measured(facts, run, tmp_path):
    elsewhere = dataclasses.replace(facts.bundle, path=tmp_path / "best")
    write(dataclasses.replace(facts, bundle=elsewhere), tmp_path / "model_card.md")
    loaded = ModelCard.load(tmp_path / "best" / "README.md")
    assert loaded.data.library_name == "pytorch"
    assert loaded.data.pipeline_tag == "image-classification"
    assert loaded.data.get("license") is None  # that of the pictures is not known
    said = run.predictions("test")
    probabilities = torch.tensor(said.logits / facts.bundle.temperature).softmax(1).numpy()
    found = {result.metric_type: result.metric_value for result in loaded.data.eval_results}
    assert found["accuracy"] == round(metrics.accuracy_score(said.labels, said.logits.argmax(1)), 4)
    assert found["nll"] == pytest.approx(metrics.log_loss(said.labels, probabilities), abs=1e-4)
    assert set(found) == set(loaded.data.metrics)
    [result] = {(r.dataset_name, r.dataset_type, r.dataset_split) for r in loaded.data.eval_results}
    assert result == ("tiny", "imagefolder", "test")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: "-".join(map(str, recipe.values())))
def test_no_placeholder_is_left(variant, recipe):
    for source, changes in itertools.product(SOURCES, ({}, {"robustness": None, "dataset": None})):
        facts = variant(recipe, source, **changes)
        for text in (str(card(facts)), site_page(facts)):
            assert not PLACEHOLDER.search(text), PLACEHOLDER.search(text)
            prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
            assert not re.search(r"[^\n -] [,.;]|\(\)|\S  \S", prose)  # gaps in a sentence


@pytest.mark.parametrize(
    "text",
    ["[More Information Needed]", "TODO: say more", "on {{ name }}", "of None", "nan %", "± inf"],
)
def test_a_placeholder_would_be_found(text):
    assert PLACEHOLDER.search(text)


def test_a_fact_that_is_missing_stops_the_card(variant):
    with pytest.raises(ValueError, match="is None"):
        card(variant(training={"precision": None}))
    forgetful = variant()
    del forgetful.bundle.training["finished"]
    with pytest.raises(jinja2.UndefinedError, match="finished"):
        card(forgetful)


def test_the_page_links_to_what_is_there_and_the_readme_to_nothing(facts):
    page = site_page(facts)
    assert page.startswith("---\ntitle: Model card\nsubtitle: ")
    assert not re.search(r"^# ", page, re.MULTILINE)  # the title is in the front matter
    targets = set(re.findall(r"\]\(([^)]*)\)", page))
    assert {f"runs.html#run={facts.run.run_id}", "gallery.html", "glossary.html"} <= targets
    glossary = (PROJECT / "report" / "glossary.qmd").read_text(encoding="utf-8")
    for target in targets:
        name, _, place = target.partition("#")
        sources = [PROJECT / "report" / folder / name for folder in ("", "study")]
        assert any(source.with_suffix(".qmd").exists() for source in sources), target
        assert name != "glossary.html" or not place or f"{{#{place}}}" in glossary, target
    readme = str(card(facts))
    assert "](" not in readme
    assert "\n# tiny-small_cnn\n" in readme


def test_page_and_readme_tell_the_same(facts):
    """But for links, and characters that only guide where a line breaks."""
    page = re.sub(r"\[([^]]*)\]\([^)]*\)|<wbr>|\N{WORD JOINER}", r"\1", site_page(facts))
    readme = str(card(facts))
    mine = page[page.index("## Model details") :]
    assert mine == readme[readme.index("## Model details") :]


def test_no_path_of_this_machine_is_told(facts):
    text = str(card(facts)) + site_page(facts)
    assert str(facts.bundle.path.parent) not in text
    assert f"--bundle models/{facts.bundle.path.name}" in text


@pytest.mark.parametrize(
    "name",
    [
        "best",
        "my best",
        "it's",
        '"',
        "$HOME $(id)",
        "a `b` ``c``",
        "a\nb",
        "!1",
        "\\",
        "été",
        "-b",
        "{{< env HOME >}}",
        "a\n```\nb",
    ],
)
def test_commands_and_code_name_the_bundle_whatever_it_is_called(facts, name):
    bundle = dataclasses.replace(facts.bundle, path=Path(name))
    text = str(card(dataclasses.replace(facts, bundle=bundle)))
    place = f"./{name}" if name.startswith("-") else name
    shell = re.search(r"```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[1]
    script = 'python() { for word; do :; done; printf "%s\\0" "$word"; }\n' + shell
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().split("\0") == [place, place, ""]
    code = re.search(r"Predictor\.load\((.*)\)\.predict", text)[1]
    assert ast.literal_eval(code) == place
    plain = pypandoc.convert_text(text, "plain", "gfm", extra_args=["--wrap=none"])
    assert f"with this bundle in {' '.join(place.split())}:" in plain.replace("\N{WORD JOINER}", "")


@pytest.mark.parametrize(
    "odd",
    [
        ("a|b", "*c* _d_ `e`", "<f> [g](h) $i$ ^j^ ~k~ @l {m} \\n &amp; #o"),
        ("- a", "1. b", "::: {.c}"),
        ("`d`{=html}", "{{< env HOME >}}", "[e](javascript:f)"),
        ("'g' \"h\"", "i -- j ...", "https://k.example :smile: !"),
    ],
)
def test_names_from_elsewhere_are_not_read_as_markup(facts, odd):
    bundle = facts.bundle
    rows = [
        row | {"class": name} for row, name in zip(bundle.metrics["per_class"], odd, strict=True)
    ]
    changed = dataclasses.replace(
        bundle,
        classes=odd,
        metrics=bundle.metrics | {"per_class": rows},
        training=bundle.training | {"precision": " ".join(odd)},
        environment=bundle.environment | {"torch": " ".join(odd)},
    )
    odd_facts = dataclasses.replace(facts, bundle=changed, robustness=None)
    for text, reader in ((str(card(odd_facts)), "gfm"), (site_page(odd_facts), "markdown+smart")):
        assert "{{<" not in text
        plain = pypandoc.convert_text(
            text, "plain", reader, extra_args=["--wrap=none", "--columns=2000"]
        )
        assert ", ".join(odd) in plain, reader
        assert plain.count(" ".join(odd)) == 2, reader  # in the procedure and in the software


def test_the_classes_are_scored_as_scikit_learn_scores_them(facts, run):
    said = run.predictions("test")
    names = [str(name) for name in run.dataset["classes"]]
    report = metrics.classification_report(
        said.labels, said.logits.argmax(1), target_names=names, output_dict=True
    )
    rows = rows_under(str(card(facts)), "Accuracy")
    assert [row[0] for row in rows] == names
    for name, accuracy, precision, pictures in rows:
        assert accuracy.startswith(
            f"{report[name]['recall']:.1%}".replace("%", "\N{NO-BREAK SPACE}% (")
        )
        assert precision == f"{report[name]['precision']:.1%}".replace("%", "\N{NO-BREAK SPACE}%")
        assert int(pictures) == report[name]["support"]


def test_a_class_without_test_pictures_is_said_to_have_none(facts):
    empty = {"class": "blue", "accuracy": None, "low": 0.0, "high": 1.0, "precision": None, "n": 0}
    rows = [*facts.bundle.metrics["per_class"][:2], empty]
    changed = facts.bundle.metrics | {"per_class": rows}
    bundle = dataclasses.replace(facts.bundle, metrics=changed)
    text = str(card(dataclasses.replace(facts, bundle=bundle)))
    assert rows_under(text, "Accuracy")[2] == ["blue", "no pictures", "not predicted", "0"]
    assert "lowest accuracy is blue" not in text


def saying(facts, logits):
    """The facts of a run that says this of the test pictures, at a temperature of 1."""
    other = dataclasses.replace(facts, bundle=dataclasses.replace(facts.bundle, temperature=1.0))
    vars(other)["test"] = dataclasses.replace(facts.test, logits=logits)
    return other


def test_failures_are_told_by_name_and_number(facts):
    labels = facts.test.labels
    logits = np.eye(3)[labels] * 8.0  # all right
    red, green, blue = (np.flatnonzero(labels == label) for label in range(3))
    logits[red[:4]] = [0, 1, 0]  # red taken for green, without much confidence
    logits[green[:1]] = [1, 0, 0]
    logits[blue[:1]] = [0, 50, 0]  # blue taken for green, in full confidence
    text = str(card(saying(facts, logits)))
    assert "It misclassifies 6 of the 30 test pictures." in text
    assert "No pair of classes stands out; those with the most errors are:" in text
    assert "1 of these errors has a calibrated confidence of 90" in text
    tables = rows_under(text, "Failure modes")
    assert tables[:2] == [
        ["red → green", "4", "1"],
        ["blue → green", "1", "0"],
    ]
    assert [str(facts.test.ids[blue[0]]), "blue → green", "over 99.9\N{NO-BREAK SPACE}%"] in tables
    assert "or more for 25 of the 30 test pictures; its accuracy on those is 96.0" in text


def test_a_pair_of_classes_is_named_first_if_it_stands_out(facts):
    labels = facts.test.labels
    logits = np.eye(3)[labels] * 8.0
    logits[np.flatnonzero(labels == 0)[:6]] = [0, 1, 0]
    assert "The pairs with the most errors:" in str(card(saying(facts, logits)))


def test_errors_of_pairs_that_come_once_are_not_called_the_most(facts):
    labels = facts.test.labels
    logits = np.eye(3)[labels] * 8.0
    logits[np.flatnonzero(labels == 0)[:1]] = [0, 1, 0]
    text = str(card(saying(facts, logits)))
    assert "No two errors are of the same pair of classes:" in text
    assert "the most errors" not in text


def test_a_class_is_called_the_worst_only_if_it_differs_from_the_next(facts):
    def text(accuracies):
        rows = [
            {"class": name, "accuracy": a, "low": a - 0.1, "high": a, "precision": a, "n": 300}
            for name, a in zip(("red", "green", "blue"), accuracies, strict=True)
        ]
        logits = np.eye(3)[facts.test.labels]
        logits[0] = np.roll(logits[0], 1)
        metrics = facts.bundle.metrics | {"per_class": rows}
        bundle = dataclasses.replace(facts.bundle, metrics=metrics)
        return str(card(saying(dataclasses.replace(facts, bundle=bundle), logits)))

    assert "The class with the lowest accuracy is green: 60.0" in text([0.9, 0.6, 0.95])
    level = text([0.9, 0.89, 0.95])
    assert "No class is significantly less accurate than the next." in level
    assert "class with the lowest" not in level


def test_a_faultless_model_is_said_to_be_so(facts):
    text = str(card(saying(facts, np.eye(3)[facts.test.labels])))
    assert "It misclassifies none of the 30 test pictures." in text


def test_what_was_not_measured_is_said_to_be_missing(facts, run, tmp_path):
    bare = tmp_path / run.run_id  # a run's record without predictions, as in results/
    bare.mkdir()
    for name in ("recipe.json", "dataset.json", "summary.json"):
        shutil.copy(run.path / name, bare)
    facts = Facts(facts.bundle, type(run)(bare))
    text = str(card(facts))
    for missing in (
        "Accuracy under attack was not measured",
        "Accuracy under common corruptions was not measured",
        "Its accuracy under attack was not measured",
        "Which pictures it misclassifies was not recorded",
        "How many of each class was not recorded",
        "how far another seed would differ was not measured",
    ):
        assert missing in text
    assert "PGD" not in text
    assert not PLACEHOLDER.search(text)


def test_the_attack_that_is_quoted_is_the_standard_one(facts, run, tiny):
    text = " ".join(str(card(facts)).replace("\N{NO-BREAK SPACE}", " ").split())
    table = facts.robustness.attacks.set_index(["attack", "epsilon_255"])["accuracy"]
    clean, attacked = (f"{table.loc['pgd'].iloc[i]:.1%}".replace("%", " %") for i in (0, -1))
    assert (
        f"by at most 8/255 (PGD) changes its accuracy on 30 test pictures from {clean} to at most "
        f"{attacked}; 8/255 is the "
        "value of RobustBench for CIFAR-10; there is none for pictures of 8 px (Croce et al., 2021)"
    ) in text


def test_attacks_and_corruptions_are_those_that_were_measured(facts, run, tiny):
    test = tiny.test
    generator = torch.Generator().manual_seed(0)
    [standing] = still_correct(
        run.load_model(), test.images, test.labels, [4 / 255], "fgsm", generator
    )
    rows = {row[0]: row for row in rows_under(str(card(facts)), "Robustness")}
    shown = f"{standing.float().mean():.1%}".replace("%", "\N{NO-BREAK SPACE}%")
    assert rows["4/255"][1].startswith(f"{shown} (")
    assert rows["Corruption"] == ["Corruption", "1", "3", "5"]
    assert len(rows["Gaussian noise"]) == 4  # its name and three severities
    assert {"JPEG", "motion blur", "fog", "frost", "elastic transform"} <= set(rows)
    mean = per_cent(facts.robustness.corruptions["accuracy"].mean())
    assert f"mean over all 15 corruptions and 5 severities is {mean}" in str(card(facts))


@pytest.mark.parametrize(
    ("recipe", "told", "not_told"),
    [
        (CNN, ["whitens", "Jordan, 2024"], ["ResNet-18", "He et al.", "ImageNet"]),
        (RESNET, ["starts from random weights", "He et al., 2016"], ["whitens", "ImageNet"]),
        (
            {**RESNET, "weights": "imagenet"},
            ["Russakovsky et al., 2015", "Bias of the pretraining"],
            ["rotat"],
        ),
        (
            {**RESNET, "weights": "run:turned"},
            ["6 epochs on 96 rotated pictures", "Gidaris", "of pretraining"],
            ["random weights"],
        ),
        ({**RESNET, "weights": "run:0123"}, ["weights of run 0123."], ["Gidaris"]),
        ({**RESNET, "weights": "file:/a/b.pth#abcd"}, ["begins with `abcd`"], ["/a/b", "Gidaris"]),
        (
            {**RESNET, "strategy": "head"},
            ["only its last layer", "features of 1 view"],
            ["in each epoch"],
        ),
        (
            {**RESNET, "strategy": "head", "views": 0},
            ["anew in each epoch"],
            ["features of 1 view"],
        ),
        (
            {**RESNET, "strategy": "last_stage", "map_views": 4},
            ["what its frozen layers make of 4 views of it was stored"],
            ["in each epoch"],
        ),
        (
            {**RESNET, "strategy": "last_stage"},
            ["its last stage and its last layer"],
            ["all of its layers"],
        ),
        (
            {**RESNET, "model": "efficientnet_lite0", "weights": "imagenet"},
            ["EfficientNet-Lite0 (Tan and Le, 2019), starts from Google's weights"],
            ["ResNet", "torchvision's weights"],
        ),
        (
            {**RESNET, "model": "timm:resnet18", "weights": "timm"},
            ["`resnet18` of timm (Wightman, 2019), starts from timm's weights of that name"],
            ["He et al."],
        ),
        (
            {**RESNET, "strategy": "head", "head_fit": "lbfgs", "epochs": 1},
            ["| L-BFGS (Liu and Nocedal, 1989), until it converges |", "| L2 penalty |"],
            ["Nesterov", "cosine annealing", "| Epochs |", "| Weight decay |"],
        ),
        ({**RESNET, "layer_decay": 0.5}, ["| 0.5 per layer, towards the input |"], []),
        ({"augmentation": "none"}, ["not augmented"], ["mirrored"]),
        ({"augmentation": "mixup"}, ["Zhang et al., 2018", "@inproceedings{zhang2018"], ["Yun"]),
        ({"augmentation": "cutmix"}, ["CutMix", "@inproceedings{yun2019"], ["MixUp"]),
        ({"augmentation": "cutout"}, ["DeVries and Taylor, 2017"], ["RandAugment"]),
        ({"label_smoothing": 0.0}, ["| Label smoothing | none |"], ["Szegedy"]),
        ({"label_smoothing": 0.2}, ["| Label smoothing | 0.2 (Szegedy et al., 2016) |"], []),
        ({"weight_decay": 0.0}, ["| Weight decay | none |"], []),
        ({"optimizer": "sgd"}, ["| SGD with Nesterov", "not on norms and biases"], ["Muon"]),
        (
            {"optimizer": "muon", "lr": 0.4, "muon_lr": 0.1},
            ["Muon for filters (Jordan et al., 2024)", "0.4 (0.1 for filters) at", "layer alone"],
            ["| SGD with"],
        ),
        (RESNET, ["| SGD with Nesterov"], ["Muon"]),
        ({"whitening": False, "identity": False}, ["from scratch. After"], ["whitens", "pass"]),
        ({"bias_lr": 64.0}, ["learn at 64 times that rate"], []),
        ({"compile": True}, ["with torch.compile,"], []),
        ({"image_size": 24}, ["scales its input to 24 × 24 pixels"], []),
    ],
)
def test_the_text_follows_the_recipe(variant, recipe, told, not_told):
    text = str(card(variant(recipe, robustness=None)))
    for words in told:
        assert words in text
    for words in not_told:
        assert words not in text


def test_the_text_follows_the_machine(variant):
    on_gpu = str(card(variant(training={"precision": "bf16", "device": "cuda"})))
    assert "| Numerical precision | bf16, mixed (Micikevicius et al., 2018) |" in on_gpu
    assert "of the GPU |" in on_gpu
    assert "thread" not in on_gpu
    assert "Micikevicius" not in str(card(variant()))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (SOURCES[0], ["The same few people wrote", "alpaydin1998", "Mirrored pictures"]),
        (SOURCES[1], ["have near-copies", "krizhevsky2009", "datasets:\n- uoft-cs/cifar10"]),
        (SOURCES[2], ["the folder “my_pictures”", "type: imagefolder"]),
        (SOURCES[3], ["the folder “digits”"]),
    ],
)
def test_the_text_follows_the_dataset(variant, source, told):
    text = str(card(variant(source=source)))
    for words in told:
        assert words in text


def test_unreadable_pictures_that_were_left_out_are_named(variant):
    assert "Unreadable pictures" not in str(card(variant()))
    text = str(card(variant(source={"skipped": ["bee/3.png", "ant/*.png"]})))
    assert r"left out (2): bee/3.png and ant/\*.png." in text


def test_class_sizes_are_those_of_the_pictures_that_it_learned_from(variant):
    few = variant(source={"pictures": {"train": 5, "val": 24, "test": 30}})
    text = str(card(few))
    assert ["train", "5", "1–2", "training"] in rows_under(text, "Data")
    assert "not balanced: 2 pictures of red, 1 of blue." in text


def test_seeds_are_compared_where_there_are_several(bundle, run, quick, tiny, tmp_path):
    store = RunStore(tmp_path)
    shutil.copytree(run.path, tmp_path / run.run_id)
    other = fit(quick.replace(seed=1), tiny, store, "cpu")
    fit(quick.replace(seed=2, augmentation="none"), tiny, store, "cpu")  # of another recipe
    facts = Facts(bundle, store.get(run.run_id))
    accuracies = [run.summary["test_accuracy"], other.summary["test_accuracy"]]
    assert facts.seeds == dict(enumerate(accuracies))
    text = str(card(facts))
    assert "Of 2 runs that differ in their seed alone" in text
    assert "It is the best of 2 seeds on validation; their mean test accuracy is" in text
    assert facts.mean.value == pytest.approx(np.mean(accuracies))


def test_the_card_says_what_chance_gives_and_what_the_temperature_rests_on(facts):
    text = str(card(facts))
    assert re.search(r"a perfectly calibrated model would show [\d.]+\s% on 30 pictures", text)
    assert "24 validation pictures" in text
    assert "that also chose the epoch" in text or "one expected error in 26 gives" in text
    assert "right on at least 6 pictures that this one misclassifies and loses none" in text


@pytest.mark.parametrize(("source", "said"), [("cifar10", True), ("digits", False)])
def test_the_card_of_cifar10_says_what_its_recipe_was_developed_on(variant, source, said):
    text = str(card(variant(source={"name": source})))
    assert ("developed on CIFAR-10 with its test accuracy in sight" in text) is said
    assert ("Recht et al., 2019" in text) is said


def code_blocks(facts, language):
    return re.findall(rf"```{language}\n(.*?)```", str(card(facts)), re.DOTALL)


@pytest.fixture
def picture(tmp_path):
    """A photograph: not square, and lying on its side by its EXIF orientation."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "picture.png", exif=exif)
    return tmp_path / "picture.png"


def test_the_python_that_it_shows_runs_and_agrees(facts, picture, monkeypatch, capsys):
    with_project, without = code_blocks(facts, "python")
    monkeypatch.chdir(picture.parent)
    shutil.copytree(facts.bundle.path, picture.parent / "models" / facts.bundle.path.name)
    exec(with_project, {})
    label, confidence = capsys.readouterr().out.split()
    for file in facts.bundle.path.iterdir():
        shutil.copy(file, picture.parent)
    exec(without, {})
    probabilities = ast.literal_eval(capsys.readouterr().out)
    assert max(probabilities, key=probabilities.get) == label
    assert probabilities[label] == pytest.approx(float(confidence), abs=1e-4)


def test_the_command_that_it_shows_runs(facts, picture, monkeypatch, capsys):
    [commands] = code_blocks(facts, "bash")
    monkeypatch.chdir(picture.parent)
    shutil.copytree(facts.bundle.path, picture.parent / "models" / facts.bundle.path.name)
    words = commands.splitlines()[0].split()
    assert words[:3] == ["python", "-m", "lib.inference"]
    assert not main(words[3:])
    assert any(name in capsys.readouterr().out for name in facts.bundle.classes)


def test_a_page_that_cannot_be_written_is_one_line(facts, tmp_path):
    (tmp_path / "study").write_text("a file, where a folder should be")
    elsewhere = dataclasses.replace(facts.bundle, path=tmp_path)
    with pytest.raises(UserError, match="cannot write"):
        write(dataclasses.replace(facts, bundle=elsewhere), tmp_path / "study")


def test_the_card_is_listed_with_its_hash_in_the_bundle(facts, tmp_path):
    copy = Bundle.load(shutil.copytree(facts.bundle.path, tmp_path / "best"))
    write(dataclasses.replace(facts, bundle=copy), tmp_path)
    assert (tmp_path / "model_card.md").is_file()
    listed = Bundle.load(copy.path)
    assert listed.sha256["README.md"] == sha256(copy.path / "README.md")
    assert len(listed.digest()) == 64


def test_sources_are_cited_as_authors_and_year_and_listed_once():
    sources = Bibliography(
        (PROJECT / "lib" / "study" / "references.bib").read_text(encoding="utf-8")
    )
    assert sources.cite("guo2017") == "Guo et al., 2017"
    assert sources.cite("hendrycks2019") == "Hendrycks and Dietterich, 2019"
    assert sources.cite("page2019") == "Page, 2019"
    assert sources.cite("guo2017") == "Guo et al., 2017"
    assert [entry.partition("{")[2].partition(",")[0] for entry in sources.cited_entries()] == [
        "guo2017",
        "hendrycks2019",
        "page2019",
    ]
    with pytest.raises(ValueError, match="no entry 'nobody1999'"):
        sources.cite("nobody1999")


def test_every_entry_is_bibtex_that_pandoc_reads():
    text = (PROJECT / "lib" / "study" / "references.bib").read_text(encoding="utf-8")
    read = json.loads(pypandoc.convert_text(text, "csljson", "bibtex"))
    keys = re.findall(r"^@\w+{(\w+),", text, re.MULTILINE)
    assert [entry["id"] for entry in read] == keys
    assert all(entry["title"] and entry["author"] and entry["issued"] for entry in read)
