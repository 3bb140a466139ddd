"""One trial in plain PyTorch: it gets a trial and a ``report`` function, and knows nobody."""
