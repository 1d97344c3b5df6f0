"""Kill, stop and cut everything at random, then account for every message.

`players` are the programs on the bus, each in a process of its own, which write down what they do;
`wreck` does the damage; `account` adds up what was written down.  `python -m tests.crash` does it
for a minute and prints the account.
"""
