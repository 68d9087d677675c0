"""The networks, and where their weights come from.

    parts.py          `Classifier`: normalising, resizing, body and head; prediction
    small_cnn.py      a small network for pictures of about 32 px
    strategies.py     which part of a pretrained network trains
    resnet18.py       torchvision's ResNet-18
    timm_networks.py  those of timm, EfficientNet-Lite0 among them
    weights.py        pretrained weights from torchvision, an installed package or a file

Nothing here knows of recipes or runs: `lib.training.network` builds what a recipe asks for.
"""
