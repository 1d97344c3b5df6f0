"""Supervision: starts functions named in specs, watches them, restarts them, ends them in order.

Rules, which are told what happened and answer what to do (no I/O, no clock):

    spec          what is asked: ChildSpec, RestartPolicy, Timeouts, Plan
    bus_plan      the part of it that is about the bus
    settings      the part of a spec that may change while the child runs
    words         how much is kept of what a child says of itself
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
    documents     reports as JSON documents

Shells, which touch the world and decide nothing:

    supervisor    the face: run it, or hold it in a `with`
    loop          waits on everything at once, one turn after another
    performer     does what the rules say
    lives         all incarnations: what they say, and their ends, as observations
    launcher      a process of the start method spawn, born safe
    process       one child as the operating system knows it; the starter thread
    child         the child's side: what `child` in a worker is
    runtime       the thread behind it: orders in, reports and beats out
    guardian      ends what a dead supervisor left behind
    scope         mark, switch and guardian: what ties a tree of processes together
    orphans       escaped grandchildren, ended behind their child
    tenure        what is held while a run directory is ours
    control       the control endpoint
    desk          where orders come in and answers go out
    view          what can be said at this moment
    voice         what is told to the broker, and through it to the bus
    crashes       the crash directory
"""
