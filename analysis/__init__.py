"""The study: a notebook a day, and the command that runs them."""
