"""Speed beside peers, as ratios; `python -m tests.benchmarks` lists and runs them."""
