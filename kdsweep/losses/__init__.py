"""Loss functions: pure, one value per example."""
