"""The client's side of the bus: what programs publish, subscribe and ask with.

Rules (·): no I/O, no threads, no clock; `now` is an argument, decisions come back as values.

    link           the client's side of the protocol, between bytes and what they mean
    interests      what a client wants to hear, and its room for it
    gaps           what each owner has missed, until its next message tells it
    sequences      what was lost with a connection, from the numbers of messages
    dialogue       who waits for which answer, and what the broker said unasked
    answers        what an answer means to whoever asked, and what none means
    notices        what was told unasked: counted, and logged once for each topic
    calling        calls: what is asked of a client, and the slots in which it replies
    wishes         what a caller asks for, checked
    work           what a member of a group has in hand, and when it may say what became of it
    jobs           events of a group, as a member settles them
    freight        which way large payloads go
    holdings       large payloads that came, and who still uses them
    outgoing       what a client publishes, on its way into frames
    outbound       where that is until the kernel has it: what both writers keep
    retaining      what a broker that was started anew has to be told
    counters       what a client has counted
    backoff        how long to wait between attempts to connect
    insisting      how long a confirmed publish is repeated that somebody had no room for
    deadlines      when the time is up that a caller gives

Shells (!): they touch the world and decide nothing.

    destination    where to connect, and as whom
    gone           what stands where a connection was, after closing and after a fork
    parting        what a client that nobody closed still writes
    ending         what ends with its block
    remarks        the log of a client
    requests       calls that came to us, and how threads and tasks reply to them
    dialler        from an address and a key to a connection both sides believe in

Shells for threads:

    bus_client     BusClient, for programs with threads
    service        what serves a topic, as its user iterates over the calls
    subscriber     a subscription as its user iterates over it
    connection     one client's connection, over any number of sockets
    reader         whoever waits reads, for all who wait
    writer         one way out for all threads
    outlet         what one turn gives the kernel: all of a frame, or the connection is given up
    flusher        the thread that writes the tail of a burst
    loading        a large payload on its way into a socket
    monitor        a lock that a signal handler need not wait for
    turn           whose turn it is in there, and what a signal handler wants meanwhile

Shells for the tasks of an event loop, over the same rules:

    async_bus_client  AsyncBusClient, for programs with an event loop
    async_subscriber  a subscription as tasks iterate over it
    async_service     what serves a topic, as tasks iterate over the calls
    async_connection  one client's connection, over any number of sockets
    async_writer      one way out for all tasks
    async_outlet      what the kernel has not taken yet, and who waits for that
    async_dialler     what dialler does, without keeping the loop waiting
    async_waiting     tasks that wait: in a line, with deadlines, losing nothing when cancelled
    opening           what is awaited, or used with `async with`

This file imports nothing, so that who needs one name does not load the rest.
"""
