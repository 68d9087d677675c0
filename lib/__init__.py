"""Everything that computes: data, augmentation, models, training, evaluation, diagnostics, inference."""
