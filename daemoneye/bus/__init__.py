"""The bus: topics, rights, and the broker that carries events between processes.

An event on its way from one client to another passes

    client ! → outgoing · → writer ! → broker ! → router · → outbox · → broker ! → reader !
    → link · → envelope · → client !

Rules (·): no I/O, no threads, no clock; `now` is an argument, decisions come back as values.

    topics         topics and filters: validate, matches, covers, intersection
    hierarchy      the declared topics and their payload messages
    subscriptions  the tree: who wants this topic
    roles          the built-in roles: which rights a name stands for
    access         identities, rules, decisions and their reasons
    limits         every number the bus promises to stay under

    envelope       an event as its subscriber sees it, a payload as its publisher gives it
    kinds          every kind of frame, as a value
    frames         frames ↔ protobuf bytes
    codecs         of every kind but publishes: encoding beside decoding
    orders         what the supervisor orders the broker to do ↔ protobuf bytes
    handshake      both sides of proving who one is
    places         who has a place at the broker, and who may have one more

    router         frames in → deliveries out: the middle of the broker
    directory      who is connected, who wants what, and who may
    routes         where a publisher's topic leads, remembered
    session        one client as the broker knows it
    runs           the unit of what waits, and the queue in which they replace each other
    streams        subscriptions, and the bounded queues of what waits for them
    outbox         what waits for one client, in lanes
    deliveries     runs on their way into outboxes
    wishes         for collectors that are not connected, on their way to the supervisor
    child_wish     such a wish in words of the lifeline
    requests       what a client may say besides publishing
    agenda         how much of what clients ask is done in one turn
    answers        what the broker answers to questions

    link           the client's side of the protocol, between bytes and what they mean
    sequences      what was lost with a connection, from the numbers of messages
    outgoing       what a client publishes, on its way into frames

Shells (!): they touch the world and decide nothing.

    endpoint       listening and dialling made safe
    broker         the broker process: read, ask the router, write
    door           accepts connections, and lets in who proves itself
    clients        the connections a broker holds, and writing to them
    mishaps        what goes wrong with connections, counted and logged
    mailbox        where other threads leave orders for the broker
    dialler        from an address and a key to a connection both sides believe in
    reader         whoever waits reads, for all who wait
    writer         one way out for all threads
    turn           whose turn it is in there, and what a signal handler wants meanwhile
    connection     one client's connection, over any number of sockets
    subscriber     a subscription as its user iterates over it
    client         BusClient, for programs with threads

`proto/` holds the schemas and what is generated from them.  This file imports nothing, so that a
command that needs one rule does not load the rest.
"""
