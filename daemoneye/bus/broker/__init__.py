"""The broker: frames of one client in, deliveries for all others out.

Rules (·): no I/O, no threads, no clock; `now` is an argument, decisions come back as values.

    router         frames in → deliveries out: the middle of the broker
    admission      one publish at a time, with everything that can be asked of it
    clock          what the broker's own deadlines are measured by
    directory      who is connected, who wants what, and who may
    lobby          who has connected and has proved nothing yet
    places         who has a place at the broker, and who may have one more
    routes         where a publisher's topic leads, remembered
    away           sessions whose connection is lost, and who may go on with one
    selections     which subscriptions want a message for what it belongs to
    session        one client as the broker knows it
    runs           the unit of what waits, and the queue in which they replace each other
    parcels        large payloads in flight: who holds them, and room for them
    shares         which large payloads have to go when a client has more than its share
    shedding       who pays when more waits for all clients together than may
    uploads        large payloads on their way in
    transfers      large payloads on their way out in chunks
    streams        subscriptions, and the bounded queues of what waits for them
    unreceived     what was written to one client and may not have come
    sending        what is being written to one client, and how far the kernel has taken it
    lanes          from which stream of a client the next run may come
    outbox         what waits for one client, in lanes
    resumption     an outbox while its connection is lost, and when there is another
    deliveries     runs on their way into outboxes
    jobs           one message in the hands of a group
    deadlines      what is due when, of many things of which most are over before
    labels         the names that members of a group have there
    members        one of those who share the work of a group, and the queue of what it was given
    choices        who of a group gets the next message
    queues         what waits in a group
    group          one group: its members, its queue, its law of counting
    groups         all of them: who joins and leaves, and what becomes of their jobs
    room           how much groups hold, and in whose share that is
    dispatch       what groups are given: taken in, handed out, settled
    announcements  what the broker says in its own name
    dead_letters   a job that nobody handled, in words of the bus
    calls          handed to one who serves, replied to once
    servers        who serves which topic, and the calls in their hands
    wishes         for collectors that are not connected, on their way to the supervisor
    child_wish     such a wish in words of the lifeline
    retained       the last value of a topic, kept for who subscribes later
    replay         retained values on their way to a new subscription
    presence       who is connected, told as it changes
    reports        what is told of denials and losses
    wills          what clients want said when they end without a word
    statistics     what was counted, and the words for it
    requests       what a client may say besides publishing
    agenda         how much of what clients ask is done in one turn
    answers        what the broker answers to questions

Shells (!): they touch the world and decide nothing.

    serving        the broker as a child of the supervisor
    broker         one broker: read, ask the router, write
    door           accepts connections, and lets in who proves itself
    clients        the connections a broker holds, and writing to them
    descriptors    those that clients pass: looked at, and closed where nobody waits for it
    mishaps        what goes wrong with connections, counted and logged
    mailbox        where other threads leave orders for the broker

This file imports nothing, so that who needs one rule does not load the rest.
"""
