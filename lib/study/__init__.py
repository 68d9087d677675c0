"""The study: what each day puts together from the packages below.

study.py             a study on disk: its pages, and the runs that they use
parameters.py        what each notebook's parameters may be
ranking.py           which recipe is the best, and which of its runs stands for it
selection.py         which runs are compared: found, grouped, named, tabled
scratch.py           day 2: a second network, wider and for longer
transfer.py          day 3: what each fine-tuning strategy takes and reaches
labels.py            day 3: how many labels each way of training needs
diagnostics.py       day 4: mistakes, heatmaps and calibration of the best models
measured.py          accuracy under attack and corruption, stored with its run
robustness.py        days 4 and 5: those models under attack and corruption
calibration_words.py sentences on a model's calibration, of days 4, 5 and the card
gallery.py           day 4: the pictures of the gallery page
evidence.py          when figures are evidence for a next step
next_steps.py        what follows from each day
artifacts.py         day 5: the selected model, and what its bundle takes
card_facts.py        day 5: the figures of the model card
model_card.py        day 5: the card, from model_card.md.jinja and references.bib
records.py           its runs as reference runs
home.py              the home page: the study in one view
"""
