"""Charts: tidy tables become Altair charts whose titles claim no more than the numbers do.

    training.py      learning curves, learning rate, accuracy over time
    comparisons.py   settings compared: the ablation, accuracy against training time
    labels.py        accuracy by number of labels
    classes.py       class balance, confusion matrix, per-class accuracy
    calibration.py   reliability diagrams, measures of calibration, selective prediction
    failures.py      attacks and corruptions
    attribution.py   whether heatmaps are faithful to the model

    parts.py             what charts share: size, axes, colours, legends, labels of lines
    label_placement.py   where the name of each point goes

Every function takes a tidy table and returns a chart as wide as its page. Nothing here imports
torch.
"""
