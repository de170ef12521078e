"""Whether the tests would notice: each check is loosened in turn, and some test has to fail.

``python -m tools.mutation`` changes the modules that decide what is accepted, one place at a time,
and runs the tests of each with every change. A change that no test notices is printed.
"""
