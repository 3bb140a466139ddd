"""The sweep on a Ray cluster: the only room that imports Ray and Optuna."""
