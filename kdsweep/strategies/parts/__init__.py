"""What several ways of distilling are made of: adapters, pairs of layers, settings they share."""
