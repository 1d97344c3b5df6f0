"""Supervision: starts functions named in specs, watches them, restarts them, ends them in order.

Rules (·): told what happened, they answer what to do; no I/O, no threads, no clock.

    spec         what to start and how to treat it: values, validated
    contract     observations (what happened) and instructions (what to do)
    lifecycle    a child's states and the one transition table
    restarts     ledger, backoff, window, quarantine
    supervision  observations in → instructions out
    health       health reports and crash reports

Shells (!): they touch the world and decide nothing.

    process      spawning, signals, facts, the identity of a process
    child        the child's side: what `child` in a worker is
    guardian     ends what a dead supervisor left behind
    control      the control endpoint
    supervisor   the loop: performs instructions

What happens in the world comes up as observations, goes through `supervision`, and comes down as
instructions; nothing else crosses that line.
"""
