"""``cortex doctor``: looks at everything that a run needs and says what is wrong, and what to do.

report.py    what is found
machine.py   interpreter, memory, compiled parts, graphics cards
data.py      folders, room, file system, DAGSTER_HOME, leases, what is up
lake.py      sources, tables, indexes, models
examine.py   all of these, one after the other
"""
