"""The resident worker: ``python -m apps.worker``, started by ``cortex up``.

client.py    asks it; light, for the command line and the app
server.py    answers on the loopback interface, for who knows the token
watches.py   hears the disk
changes.py   which corpora changed and are not run yet
corpora.py   which corpora there are
launching.py starts large work in Dagster or as a process of its own
handing.py   follows large work until it is over
running.py   runs small changes at once, looks around regularly
service.py   puts these together
"""
