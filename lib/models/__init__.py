"""The networks, and where their weights come from.

    parts.py       `Classifier`: normalising, resizing, body and head; prediction
    small_cnn.py   a small network for pictures of about 32 px
    resnet18.py    torchvision's ResNet-18, fine-tuned whole or in part
    weights.py     pretrained weights from torchvision or a file

Nothing here knows of recipes or runs: `lib.training.network` builds what a recipe asks for.
"""
