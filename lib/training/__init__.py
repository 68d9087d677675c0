"""Training: a recipe and a dataset become a run.

recipe.py        every choice of one training run
augment.py       a whole batch augmented at once
network.py       the network that a recipe asks for
backbones.py     the pretrained weights that a recipe names
batches.py       an epoch's batches: augmented pictures, or stored features
optimizers.py    SGD, Muon and the learning rate of each step
hardware.py      the device, its precisions, its description
precision.py     what the precision `auto` stands for
steps.py         a run's steps, and the state that they change
loop.py          `fit`: the training loop
runs.py          what a run leaves on disk, and how it is found again
predictions.py   a run's predictions, in full and as a reference run has them
pretraining.py   self-supervised pretraining by rotation prediction
threads.py       how many threads a run computes with
sweep.py         many recipes: here or on Ray
side_by_side.py  small networks on all cores of this machine
cluster.py       many recipes on a Ray cluster
timing.py        training speed in each precision
"""
