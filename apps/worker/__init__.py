"""The resident worker: ``python -m apps.worker``, started by ``cortex up``.

client.py    asks it; light, for the command line and the app
server.py    answers on the loopback interface, for who knows the token
watches.py   hears the disk
changes.py   which corpora changed and are not run yet
launching.py hands large work to Dagster or to a process of its own
running.py   runs small changes at once, looks around regularly
service.py   puts these together
"""
