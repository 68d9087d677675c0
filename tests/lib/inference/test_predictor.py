import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from lib.data.picture_files import UnreadablePicture
from lib.diagnosis.attribution import grad_cam
from lib.errors import UserError
from lib.inference import Prediction
from lib.inference import predictor as module
from tests.imports import PROJECT
from tests.lib.inference.conftest import picture, same


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_the_predictor_agrees_with_the_run_and_with_pytorch(predictor, bundle, run, tiny):
    logits = predictor.logits(tiny.test.images)
    assert (logits.dtype, logits.shape) == (torch.float32, (30, 3))
    close = {"rtol": 0, "atol": 1e-4}
    torch.testing.assert_close(logits, torch.from_numpy(run.predictions("test").logits), **close)
    with torch.inference_mode():
        torch.testing.assert_close(
            logits, bundle.load_model()(tiny.test.images.float() / 255), **close
        )


def test_pytorch_stands_in_where_the_device_is_not_a_cpu(bundle, predictor, tiny):
    network = module._torch_network(bundle, torch.device("cpu"))
    torch.testing.assert_close(
        network(tiny.test.images), predictor.logits(tiny.test.images), rtol=0, atol=1e-4
    )


def test_probabilities_are_divided_by_the_bundles_temperature_or_another(predictor, bundle, tiny):
    logits = predictor.logits(tiny.test.images)
    calibrated = (logits / bundle.temperature).softmax(1)
    torch.testing.assert_close(predictor.probabilities(tiny.test.images), calibrated)
    torch.testing.assert_close(predictor.probabilities(tiny.test.images, 1), logits.softmax(1))
    assert bundle.temperature != 1


def test_more_pictures_than_a_batch_are_predicted_each_as_if_alone(predictor, tiny, monkeypatch):
    alone = torch.cat([predictor.logits(image[None]) for image in tiny.test.images])
    monkeypatch.setattr(module, "BATCH", 7)
    together = predictor.logits(tiny.test.images)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert len(predictor.logits(tiny.test.images[:0])) == 0


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 9, 8, dtype=torch.uint8), torch.zeros(3, 8, 8)],
)
def test_pictures_of_another_type_or_shape_are_refused(predictor, images):
    with pytest.raises(ValueError, match=r"pictures are uint8 \(N, 3, 8, 8\), not"):
        predictor.logits(images)


def test_a_path_bytes_a_file_and_a_pillow_image_are_predicted_alike(predictor, files, tiny):
    path = files / "03.png"
    with path.open("rb") as file:
        said = predictor.predict([path, str(path), path.read_bytes(), file, Image.open(path)])
    expected = predictor.labelled(predictor.probabilities(tiny.test.images[3:4]))[0]
    assert [prediction.label for prediction in said] == [expected.label] * 5
    assert [p.confidence for p in said] == pytest.approx([expected.confidence] * 5)
    assert list(said[0].probabilities) == list(predictor.classes)
    assert predictor.predict([]) == []


def test_pictures_of_every_kind_come_out_as_the_rules_of_lib_pictures_say(predictor):
    upright = Image.new("RGB", (8, 8), "blue")
    upright.paste("red", (0, 0, 8, 4))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    grey = Image.fromarray(np.full((8, 8), 128 * 257, np.uint16))
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    as_it_is = torch.from_numpy(np.array(upright)).permute(2, 0, 1)
    assert torch.equal(predictor.prepare(saved(turned, "PNG", exif=exif)), as_it_is)
    assert torch.equal(predictor.prepare(upright), as_it_is)
    assert (predictor.prepare(saved(grey, "PNG")) == 128).all()
    assert (predictor.prepare(saved(clear, "PNG")) == 255).all()
    cmyk = predictor.prepare(saved(Image.new("CMYK", (40, 30), (0, 255, 255, 0)), "JPEG"))
    assert cmyk.shape == (3, 8, 8)
    assert (cmyk[0] > 200).all()
    assert (cmyk[1:] < 60).all()


def test_a_damaged_picture_is_named(predictor, files, tmp_path):
    (tmp_path / "bad.png").write_bytes((files / "00.png").read_bytes()[:60])
    with pytest.raises(UnreadablePicture, match=r"cannot read .*bad\.png"):
        predictor.predict([files / "00.png", tmp_path / "bad.png"])


def test_the_most_probable_come_first():
    prediction = Prediction("b", 0.6, {"a": 0.1, "b": 0.6, "c": 0.3})
    assert list(prediction.top(2).items()) == [("b", 0.6), ("c", 0.3)]
    assert len(prediction.top(9)) == 3


def test_an_explanation_shows_where_the_heat_is_in_whole_pixels(predictor, bundle, tiny):
    image = tiny.test.images[4]
    overlay = predictor.explain(picture(image), "green")
    assert (overlay.mode, overlay.size) == ("RGB", (448, 448))
    pixels = np.asarray(overlay).reshape(8, 56, 8, 56, 3)
    assert (pixels == pixels[:, :1, :, :1]).all()
    heat = grad_cam(bundle.load_model(), image[None] / 255, torch.tensor([1]))[0].numpy()
    warmth = pixels[:, 0, :, 0].astype(int) @ [1, 1, -1]  # viridis goes from violet to yellow
    assert np.corrcoef(warmth.ravel(), heat.ravel())[0, 1] > 0.7
    assert not same(overlay, predictor.explain(picture(image), "red"))


def test_an_explanation_is_of_the_predicted_class_unless_another_is_named(predictor, tiny):
    shown = picture(tiny.test.images[1])
    label = predictor.predict([shown])[0].label
    assert same(predictor.explain(shown), predictor.explain(shown, label))
    with pytest.raises(UserError, match="no class 'gren'; did you mean 'green'"):
        predictor.explain(shown, "gren")


def test_explaining_leaves_the_predictions_alone(predictor, tiny):
    before = predictor.logits(tiny.test.images)
    predictor.explain(picture(tiny.test.images[0]))
    assert torch.equal(predictor.logits(tiny.test.images), before)


def test_an_explanation_needs_neither_altair_nor_ipython(bundle):
    code = (
        "import sys; sys.modules['altair'] = sys.modules['IPython'] = None\n"  # imports fail
        "from PIL import Image; from lib.inference import Predictor\n"
        f"Predictor.load({str(bundle.path)!r}).explain(Image.new('RGB', (9, 9)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
