"""Supervision: starts functions named in specs, watches them, restarts them, ends them in order.

Rules, which are told what happened and answer what to do (no I/O, no clock):

    spec          what is asked: ChildSpec, RestartPolicy, Timeouts, Plan
    contract      observations and instructions
    lifecycle     a child's states, the one transition table, the diagram
    restarts      ledger, backoff, window, quarantine, the common rate
    dependencies  order of starts, ranks of the end
    heartbeats    what signs of life say
    incarnation   one child as the rules know it
    starts        whose turn it is to start
    reports       what a living child says, and what follows
    commands      what may be asked of one child
    stopping      the stop ladder, and the end of everything
    endings       what becomes of a child when nothing of it is left
    supervision   observations in, instructions out: all of the above
    health        reports for people: health, crashes, explanations
    status        slots as such reports

Shells, which touch the world and decide nothing:
`process`, `child`, `guardian`, `control`, `supervisor`.
"""
