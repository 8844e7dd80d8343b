"""What runs around a chapter: checks, progress, claims, plots, demos and the command `course`."""
