"""Measure musicgate against the limits of its own stack: ``python -m benchmarks --help``.

One server at a time runs on the first core, as a process of its own. This process runs on the second core: it
is the load, the emulated vendor and the clock, all in one event loop. Everything is on loopback.

Start with `measurements`, the list of what is measured: coroutines that take a `Bench` and return figures as
JSON. `load` and `vendor` are the two ends of the wire, `servers` starts and weighs processes, `results` and
`tables` know what becomes of the figures. `workloads` and `profiling` say where the CPU time goes.
"""
