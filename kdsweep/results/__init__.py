"""Records of trials, the front, and the choice from it: pure Python."""
