"""The bus against a model of each of its promises, by random steps.

`world` is the real router with clients in memory; `promises` says in a few lines each what has to
hold; `machine` takes the steps.  `python -m tests.bus.model` takes many.
"""
