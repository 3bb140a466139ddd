"""kdsweep: sweep students and ways of distilling; get the front of size against accuracy."""

__version__ = "0.1.0"
