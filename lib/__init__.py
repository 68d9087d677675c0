"""Everything that computes: data, training, evaluation, diagnostics, charts."""
