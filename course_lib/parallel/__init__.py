"""Many ranks: real processes from a notebook cell, the bytes they send, one sequence over all."""
