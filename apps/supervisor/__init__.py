"""``cortex up``: starts the parts, keeps them up, stops them together.

parts.py      which parts there are: command, environment, port, how to see that one is well
watching.py   one part's life: start, health, restart with back-off, stop
supervise.py  all parts until told to stop
state.py      what is up, in a file that others read
logs.py       one log a part, bounded
"""
