"""A student as files that run elsewhere, checked against the student itself."""
