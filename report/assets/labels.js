// Readers' names for the columns and values of runs; the data files keep the names of the code.

(function (daybook) {
  "use strict";

  const NAMES = {
    // recipe
    study: "study",
    dataset: "dataset",
    model: "model",
    width: "width (channels)",
    whitening: "whitening",
    identity: "identity initialisation",
    logit_scale: "logit scale",
    early_size: "early picture size (px)",
    weights: "initial weights",
    strategy: "fine-tuned layers",
    image_size: "input size (px)",
    augmentation: "augmentation",
    views: "augmented views",
    map_views: "augmented views (maps)",
    head_fit: "fit of the head",
    epochs: "epochs",
    val_every: "epochs between validations",
    batch_size: "batch size",
    optimizer: "optimiser",
    lr: "learning rate",
    muon_lr: "Muon learning rate",
    bias_lr: "bias learning-rate factor",
    layer_decay: "layer-wise learning-rate decay",
    momentum: "momentum",
    weight_decay: "weight decay",
    label_smoothing: "label smoothing",
    warmup: "warm-up (share of steps)",
    test_flip: "test-time flip",
    precision: "numerical precision",
    compile: "compiled",
    seed: "seed",
    // results
    best_epoch: "best epoch",
    epoch: "epoch",
    train_accuracy: "training accuracy",
    train_loss: "training loss",
    val_accuracy: "validation accuracy",
    val_loss: "validation loss",
    last_val_accuracy: "validation accuracy, last epoch",
    last_val_loss: "validation loss, last epoch",
    test_accuracy: "test accuracy",
    test_low: "test accuracy, lower bound",
    test_high: "test accuracy, upper bound",
    test_loss: "test loss",
    test_accuracy_flip: "test accuracy with flip",
    seconds: "training time",
    images_per_second: "pictures per second",
    parameters: "parameters",
    trainable_parameters: "trainable parameters",
    peak_memory_mib: "peak memory (MiB)",
    precision_used: "numerical precision used",
    device: "device",
    finished: "finished",
    // dataset
    name: "name",
    classes: "classes",
    pictures: "pictures",
    mean: "mean",
    std: "standard deviation",
    fingerprint: "fingerprint",
    // hardware and software
    started: "started",
    threads: "CPU threads",
    python: "Python",
    platform: "platform",
    torch: "PyTorch",
    torchvision: "torchvision",
    cuda: "CUDA",
    cpu: "CPU",
  };

  const VALUES = {
    model: { small_cnn: "small CNN", resnet18: "ResNet-18" },
    weights: { none: "random", imagenet: "ImageNet", rotation: "rotation prediction" },
    strategy: {
      head: "head only",
      last_block: "last block",
      layer4: "stage 4 + head",
      all: "all layers",
    },
    augmentation: {
      none: "no augmentation",
      flip_crop: "flip + crop",
      randaugment: "RandAugment",
      cutout: "Cutout",
      mixup: "MixUp",
      cutmix: "CutMix",
    },
    optimizer: { sgd: "SGD", muon: "Muon" },
    image_size: { 0: "that of the pictures" },
    views: { 0: "new in every epoch" },
  };

  // The name within a sentence.
  daybook.term = (name) => (Object.hasOwn(NAMES, name) ? NAMES[name] : name.replaceAll("_", " "));

  // The same as a heading; a package's name stays as it is.
  daybook.label = function (name) {
    const term = daybook.term(name);
    return name === "torchvision" ? term : term.slice(0, 1).toUpperCase() + term.slice(1);
  };

  // The name of a value, or undefined for most numbers; of several values all their names.
  daybook.valueName = function (name, value) {
    if (Array.isArray(value))
      return value.map((one) => daybook.valueName(name, one) ?? one).join("; ");
    const names = Object.hasOwn(VALUES, name) ? VALUES[name] : {};
    if (Object.hasOwn(names, value)) return names[value];
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value === "number") return undefined;
    if (name === "weights") return String(value).replace(/^run:/, "from run ");
    return String(value);
  };
})(window.daybook);
