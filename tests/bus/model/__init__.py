"""The bus against a model of each of its promises, by random steps.

`world` is the real router with clients in memory, and `seats` who they are.  `accounts`, `copies`
and `groups` say in a few lines each what has to hold, about what `reach` finds.  `machine` takes
all the `steps`, and `python -m tests.bus.model` many of them.
"""
