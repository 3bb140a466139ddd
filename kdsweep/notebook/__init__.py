"""Sweeps for notebooks and scripts: tables, fronts, pictures and students."""
