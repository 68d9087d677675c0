"""Diagnosis: predictions or pictures become tables of how good a model is, and how it fails.

mistakes.py             confusion matrix, per-class accuracy, most confused pairs, worst mistakes
calibration.py          temperature scaling and the measures of calibration
selective.py            accuracy where only the surest predictions count
attribution.py          Grad-CAM heatmaps, and whether they are faithful
attacks.py              adversarial pictures by FGSM and PGD
robustness.py           accuracy under attack
masking.py              whether gradients mislead the attacks
corruptions.py          fifteen common corruptions, in five severities
blurs.py                those of them that move pixels
weather.py              snow, frost and fog
corruption_accuracy.py  accuracy under corruption
heat.py                 heatmaps and pictures as PNG files; needs NumPy and Pillow alone
"""
