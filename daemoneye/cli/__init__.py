"""The command line: one module for each group of commands; it prints and decides nothing.

    main.py      finds the command, loads its module, turns errors into words and exit codes
    options.py   arguments that several commands share
    exits.py     the exit codes, and which error means which
    screen.py    text for people: width, colour, escaping, tables
    control.py   the client of the supervisor's control endpoint
    streams.py   printing what arrives, one line for each event
    sending.py   what `bus pub` and `bus call` send
    payloads.py  payloads as JSON and in words, and JSON as payloads
    telling.py   what `run` tells whoever looks at its terminal
    run.py · status.py · orders.py · events.py · bus.py · validate.py · version.py

Data goes to standard output, everything else to standard error.  `status` has to be quick, so what
it imports (main, options, exits, screen, control) stays free of protobuf, psutil, asyncio and
multiprocessing; a test holds that.
"""
