"""Supervision: starts functions named in specs, watches them, restarts them, ends them in order.

Rules, which are told what happened and answer what to do (no I/O, no clock):
`spec`, `contract`, `lifecycle`, `restarts`, `supervision`, `health`.

Shells, which touch the world and decide nothing:
`process`, `child`, `guardian`, `control`, `supervisor`.
"""
