"""Ways of distilling, one per file; the file's name is the name in YAML."""
