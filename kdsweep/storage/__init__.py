"""Where runs and teachers are kept: a directory, or an object store with a copy at hand."""
