"""All that needs a GPU: the kernels' tests, their speed and memory; `make gpu` runs it.

In reading order: plans, stopwatch, attention, fused, machine, kernel_tests, record, tuning. Nothing
is needed but torch, triton, numpy, pytest and hypothesis.
"""
