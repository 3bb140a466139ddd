"""What sets of texts are made of: rows, tokenizers and splits of tokens."""
