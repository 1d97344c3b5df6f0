from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_HELLO: _ClassVar[Kind]
    KIND_CHALLENGE: _ClassVar[Kind]
    KIND_PROOF: _ClassVar[Kind]
    KIND_WELCOME: _ClassVar[Kind]
    KIND_REFUSED: _ClassVar[Kind]
    KIND_PUBLISH: _ClassVar[Kind]
    KIND_SUBSCRIBE: _ClassVar[Kind]
    KIND_UNSUBSCRIBE: _ClassVar[Kind]
    KIND_CREDIT: _ClassVar[Kind]
    KIND_QUERY: _ClassVar[Kind]
    KIND_GOODBYE: _ClassVar[Kind]
    KIND_RELEASE: _ClassVar[Kind]
    KIND_SETTLE: _ClassVar[Kind]
    KIND_CALL: _ClassVar[Kind]
    KIND_CANCEL: _ClassVar[Kind]
    KIND_WILL: _ClassVar[Kind]
    KIND_CLEAR: _ClassVar[Kind]
    KIND_ANSWER: _ClassVar[Kind]
    KIND_STREAM: _ClassVar[Kind]
    KIND_NOTICE: _ClassVar[Kind]
    KIND_CONFIRM: _ClassVar[Kind]
    KIND_PING: _ClassVar[Kind]
    KIND_PONG: _ClassVar[Kind]
    KIND_CHUNK: _ClassVar[Kind]
    KIND_REPLY: _ClassVar[Kind]

class Guarantee(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GUARANTEE_UNSPECIFIED: _ClassVar[Guarantee]
    GUARANTEE_BEST_EFFORT: _ClassVar[Guarantee]
    GUARANTEE_AT_LEAST_ONCE: _ClassVar[Guarantee]

class Resumption(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESUMPTION_UNSPECIFIED: _ClassVar[Resumption]
    RESUMPTION_COMPLETE: _ClassVar[Resumption]
    RESUMPTION_PARTIAL: _ClassVar[Resumption]

class Overflow(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERFLOW_UNSPECIFIED: _ClassVar[Overflow]
    OVERFLOW_DROP_OLDEST: _ClassVar[Overflow]
    OVERFLOW_DROP_NEWEST: _ClassVar[Overflow]
    OVERFLOW_LATEST: _ClassVar[Overflow]
    OVERFLOW_DISCONNECT: _ClassVar[Overflow]
    OVERFLOW_BLOCK: _ClassVar[Overflow]

class Choice(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHOICE_UNSPECIFIED: _ClassVar[Choice]
    CHOICE_LEAST_IN_FLIGHT: _ClassVar[Choice]
    CHOICE_ROUND_ROBIN: _ClassVar[Choice]
    CHOICE_BY_KEY: _ClassVar[Choice]
    CHOICE_STANDBY: _ClassVar[Choice]

class Replay(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_UNSPECIFIED: _ClassVar[Replay]
    REPLAY_IF_NEW: _ClassVar[Replay]
    REPLAY_ALL: _ClassVar[Replay]
    REPLAY_NONE: _ClassVar[Replay]
KIND_UNSPECIFIED: Kind
KIND_HELLO: Kind
KIND_CHALLENGE: Kind
KIND_PROOF: Kind
KIND_WELCOME: Kind
KIND_REFUSED: Kind
KIND_PUBLISH: Kind
KIND_SUBSCRIBE: Kind
KIND_UNSUBSCRIBE: Kind
KIND_CREDIT: Kind
KIND_QUERY: Kind
KIND_GOODBYE: Kind
KIND_RELEASE: Kind
KIND_SETTLE: Kind
KIND_CALL: Kind
KIND_CANCEL: Kind
KIND_WILL: Kind
KIND_CLEAR: Kind
KIND_ANSWER: Kind
KIND_STREAM: Kind
KIND_NOTICE: Kind
KIND_CONFIRM: Kind
KIND_PING: Kind
KIND_PONG: Kind
KIND_CHUNK: Kind
KIND_REPLY: Kind
GUARANTEE_UNSPECIFIED: Guarantee
GUARANTEE_BEST_EFFORT: Guarantee
GUARANTEE_AT_LEAST_ONCE: Guarantee
RESUMPTION_UNSPECIFIED: Resumption
RESUMPTION_COMPLETE: Resumption
RESUMPTION_PARTIAL: Resumption
OVERFLOW_UNSPECIFIED: Overflow
OVERFLOW_DROP_OLDEST: Overflow
OVERFLOW_DROP_NEWEST: Overflow
OVERFLOW_LATEST: Overflow
OVERFLOW_DISCONNECT: Overflow
OVERFLOW_BLOCK: Overflow
CHOICE_UNSPECIFIED: Choice
CHOICE_LEAST_IN_FLIGHT: Choice
CHOICE_ROUND_ROBIN: Choice
CHOICE_BY_KEY: Choice
CHOICE_STANDBY: Choice
REPLAY_UNSPECIFIED: Replay
REPLAY_IF_NEW: Replay
REPLAY_ALL: Replay
REPLAY_NONE: Replay

class Frame(_message.Message):
    __slots__ = ("kind", "topic", "count", "body", "sequence", "guarantee", "target", "expires_at", "correlation", "deduplication_id", "partition_key", "retain", "content_type", "descriptors", "request", "large_bytes", "parcel", "offset", "until_handled", "said_again", "publisher", "publisher_pid", "publisher_incarnation", "publisher_role", "received_at", "delivery", "delivery_count", "replayed")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    GUARANTEE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_FIELD_NUMBER: _ClassVar[int]
    DEDUPLICATION_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    RETAIN_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTORS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    LARGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PARCEL_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    UNTIL_HANDLED_FIELD_NUMBER: _ClassVar[int]
    SAID_AGAIN_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_PID_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_INCARNATION_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_ROLE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    kind: Kind
    topic: str
    count: int
    body: bytes
    sequence: int
    guarantee: Guarantee
    target: str
    expires_at: int
    correlation: Correlation
    deduplication_id: str
    partition_key: str
    retain: bool
    content_type: str
    descriptors: int
    request: int
    large_bytes: int
    parcel: int
    offset: int
    until_handled: bool
    said_again: bool
    publisher: str
    publisher_pid: int
    publisher_incarnation: int
    publisher_role: str
    received_at: int
    delivery: int
    delivery_count: int
    replayed: bool
    def __init__(self, kind: _Optional[_Union[Kind, str]] = ..., topic: _Optional[str] = ..., count: _Optional[int] = ..., body: _Optional[bytes] = ..., sequence: _Optional[int] = ..., guarantee: _Optional[_Union[Guarantee, str]] = ..., target: _Optional[str] = ..., expires_at: _Optional[int] = ..., correlation: _Optional[_Union[Correlation, _Mapping]] = ..., deduplication_id: _Optional[str] = ..., partition_key: _Optional[str] = ..., retain: bool = ..., content_type: _Optional[str] = ..., descriptors: _Optional[int] = ..., request: _Optional[int] = ..., large_bytes: _Optional[int] = ..., parcel: _Optional[int] = ..., offset: _Optional[int] = ..., until_handled: bool = ..., said_again: bool = ..., publisher: _Optional[str] = ..., publisher_pid: _Optional[int] = ..., publisher_incarnation: _Optional[int] = ..., publisher_role: _Optional[str] = ..., received_at: _Optional[int] = ..., delivery: _Optional[int] = ..., delivery_count: _Optional[int] = ..., replayed: bool = ...) -> None: ...

class Stamp(_message.Message):
    __slots__ = ("publisher", "publisher_pid", "publisher_incarnation", "publisher_role", "received_at", "delivery", "delivery_count", "replayed")
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_PID_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_INCARNATION_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_ROLE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    publisher: str
    publisher_pid: int
    publisher_incarnation: int
    publisher_role: str
    received_at: int
    delivery: int
    delivery_count: int
    replayed: bool
    def __init__(self, publisher: _Optional[str] = ..., publisher_pid: _Optional[int] = ..., publisher_incarnation: _Optional[int] = ..., publisher_role: _Optional[str] = ..., received_at: _Optional[int] = ..., delivery: _Optional[int] = ..., delivery_count: _Optional[int] = ..., replayed: bool = ...) -> None: ...

class Correlation(_message.Message):
    __slots__ = ("id", "parent", "root", "stage", "tags", "traceparent")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    parent: str
    root: str
    stage: str
    tags: _containers.ScalarMap[str, str]
    traceparent: str
    def __init__(self, id: _Optional[str] = ..., parent: _Optional[str] = ..., root: _Optional[str] = ..., stage: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("payload", "time")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    payload: _containers.RepeatedScalarFieldContainer[bytes]
    time: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, payload: _Optional[_Iterable[bytes]] = ..., time: _Optional[_Iterable[int]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("version", "identity", "incarnation", "nonce", "descriptors", "max_payload_bytes")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTORS_FIELD_NUMBER: _ClassVar[int]
    MAX_PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    version: int
    identity: str
    incarnation: int
    nonce: bytes
    descriptors: bool
    max_payload_bytes: int
    def __init__(self, version: _Optional[int] = ..., identity: _Optional[str] = ..., incarnation: _Optional[int] = ..., nonce: _Optional[bytes] = ..., descriptors: bool = ..., max_payload_bytes: _Optional[int] = ...) -> None: ...

class Challenge(_message.Message):
    __slots__ = ("nonce", "epoch")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    epoch: int
    def __init__(self, nonce: _Optional[bytes] = ..., epoch: _Optional[int] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("mac", "session", "received", "subscription")
    MAC_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    mac: bytes
    session: int
    received: int
    subscription: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, mac: _Optional[bytes] = ..., session: _Optional[int] = ..., received: _Optional[int] = ..., subscription: _Optional[_Iterable[int]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("mac", "role", "max_frame_bytes", "heartbeat_interval_ms", "missed_heartbeats", "descriptors", "max_payload_bytes", "large_from_bytes", "session", "resumption", "taken")
    MAC_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    MISSED_HEARTBEATS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTORS_FIELD_NUMBER: _ClassVar[int]
    MAX_PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    LARGE_FROM_BYTES_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RESUMPTION_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    mac: bytes
    role: str
    max_frame_bytes: int
    heartbeat_interval_ms: int
    missed_heartbeats: int
    descriptors: bool
    max_payload_bytes: int
    large_from_bytes: int
    session: int
    resumption: Resumption
    taken: int
    def __init__(self, mac: _Optional[bytes] = ..., role: _Optional[str] = ..., max_frame_bytes: _Optional[int] = ..., heartbeat_interval_ms: _Optional[int] = ..., missed_heartbeats: _Optional[int] = ..., descriptors: bool = ..., max_payload_bytes: _Optional[int] = ..., large_from_bytes: _Optional[int] = ..., session: _Optional[int] = ..., resumption: _Optional[_Union[Resumption, str]] = ..., taken: _Optional[int] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "detail")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: str
    detail: str
    def __init__(self, reason: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class SubscribeOptions(_message.Message):
    __slots__ = ("subscription", "overflow", "max_messages", "max_bytes", "credit_messages", "credit_bytes", "group", "choice", "serve", "replay", "selection")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREDIT_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    CREDIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    SERVE_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    subscription: int
    overflow: Overflow
    max_messages: int
    max_bytes: int
    credit_messages: int
    credit_bytes: int
    group: str
    choice: Choice
    serve: bool
    replay: Replay
    selection: Selection
    def __init__(self, subscription: _Optional[int] = ..., overflow: _Optional[_Union[Overflow, str]] = ..., max_messages: _Optional[int] = ..., max_bytes: _Optional[int] = ..., credit_messages: _Optional[int] = ..., credit_bytes: _Optional[int] = ..., group: _Optional[str] = ..., choice: _Optional[_Union[Choice, str]] = ..., serve: bool = ..., replay: _Optional[_Union[Replay, str]] = ..., selection: _Optional[_Union[Selection, _Mapping]] = ...) -> None: ...

class Selection(_message.Message):
    __slots__ = ("id", "stage", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    stage: str
    tags: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[str] = ..., stage: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Unsubscribe(_message.Message):
    __slots__ = ("subscription",)
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    subscription: int
    def __init__(self, subscription: _Optional[int] = ...) -> None: ...

class Credit(_message.Message):
    __slots__ = ("subscription", "messages", "bytes", "received")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    subscription: int
    messages: int
    bytes: int
    received: int
    def __init__(self, subscription: _Optional[int] = ..., messages: _Optional[int] = ..., bytes: _Optional[int] = ..., received: _Optional[int] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("parcel",)
    PARCEL_FIELD_NUMBER: _ClassVar[int]
    parcel: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, parcel: _Optional[_Iterable[int]] = ...) -> None: ...

class Settle(_message.Message):
    __slots__ = ("what", "delivery", "seconds", "reason")
    class What(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WHAT_UNSPECIFIED: _ClassVar[Settle.What]
        WHAT_ACK: _ClassVar[Settle.What]
        WHAT_RETRY: _ClassVar[Settle.What]
        WHAT_REJECT: _ClassVar[Settle.What]
        WHAT_EXTEND: _ClassVar[Settle.What]
    WHAT_UNSPECIFIED: Settle.What
    WHAT_ACK: Settle.What
    WHAT_RETRY: Settle.What
    WHAT_REJECT: Settle.What
    WHAT_EXTEND: Settle.What
    WHAT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    what: Settle.What
    delivery: _containers.RepeatedScalarFieldContainer[int]
    seconds: float
    reason: str
    def __init__(self, what: _Optional[_Union[Settle.What, str]] = ..., delivery: _Optional[_Iterable[int]] = ..., seconds: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("payload", "time", "rejected")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    time: int
    rejected: str
    def __init__(self, payload: _Optional[bytes] = ..., time: _Optional[int] = ..., rejected: _Optional[str] = ...) -> None: ...

class Loss(_message.Message):
    __slots__ = ("reason", "count")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Stream(_message.Message):
    __slots__ = ("subscription", "lost")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    subscription: _containers.RepeatedScalarFieldContainer[int]
    lost: _containers.RepeatedCompositeFieldContainer[Loss]
    def __init__(self, subscription: _Optional[_Iterable[int]] = ..., lost: _Optional[_Iterable[_Union[Loss, _Mapping]]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("error", "detail", "hint", "rule", "subscribers", "narrowed", "clients", "subscriptions", "retained", "topics", "acknowledge_timeout", "choice")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBERS_FIELD_NUMBER: _ClassVar[int]
    NARROWED_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONS_FIELD_NUMBER: _ClassVar[int]
    RETAINED_FIELD_NUMBER: _ClassVar[int]
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    error: str
    detail: str
    hint: str
    rule: str
    subscribers: int
    narrowed: _containers.RepeatedScalarFieldContainer[str]
    clients: _containers.RepeatedCompositeFieldContainer[ClientRow]
    subscriptions: _containers.RepeatedCompositeFieldContainer[SubscriptionRow]
    retained: _containers.RepeatedCompositeFieldContainer[RetainedRow]
    topics: _containers.RepeatedCompositeFieldContainer[TopicRow]
    acknowledge_timeout: float
    choice: Choice
    def __init__(self, error: _Optional[str] = ..., detail: _Optional[str] = ..., hint: _Optional[str] = ..., rule: _Optional[str] = ..., subscribers: _Optional[int] = ..., narrowed: _Optional[_Iterable[str]] = ..., clients: _Optional[_Iterable[_Union[ClientRow, _Mapping]]] = ..., subscriptions: _Optional[_Iterable[_Union[SubscriptionRow, _Mapping]]] = ..., retained: _Optional[_Iterable[_Union[RetainedRow, _Mapping]]] = ..., topics: _Optional[_Iterable[_Union[TopicRow, _Mapping]]] = ..., acknowledge_timeout: _Optional[float] = ..., choice: _Optional[_Union[Choice, str]] = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ("what", "who", "action", "topic")
    class What(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WHAT_UNSPECIFIED: _ClassVar[Query.What]
        WHAT_CLIENTS: _ClassVar[Query.What]
        WHAT_SUBSCRIPTIONS: _ClassVar[Query.What]
        WHAT_ACCESS: _ClassVar[Query.What]
        WHAT_RETAINED: _ClassVar[Query.What]
        WHAT_TOPICS: _ClassVar[Query.What]
    WHAT_UNSPECIFIED: Query.What
    WHAT_CLIENTS: Query.What
    WHAT_SUBSCRIPTIONS: Query.What
    WHAT_ACCESS: Query.What
    WHAT_RETAINED: Query.What
    WHAT_TOPICS: Query.What
    WHAT_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    what: Query.What
    who: str
    action: str
    topic: str
    def __init__(self, what: _Optional[_Union[Query.What, str]] = ..., who: _Optional[str] = ..., action: _Optional[str] = ..., topic: _Optional[str] = ...) -> None: ...

class ClientRow(_message.Message):
    __slots__ = ("identity", "role", "pid", "incarnation", "connected_at", "published", "delivered", "lost", "queued", "subscriptions", "away")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_AT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONS_FIELD_NUMBER: _ClassVar[int]
    AWAY_FIELD_NUMBER: _ClassVar[int]
    identity: str
    role: str
    pid: int
    incarnation: int
    connected_at: int
    published: int
    delivered: int
    lost: int
    queued: int
    subscriptions: int
    away: bool
    def __init__(self, identity: _Optional[str] = ..., role: _Optional[str] = ..., pid: _Optional[int] = ..., incarnation: _Optional[int] = ..., connected_at: _Optional[int] = ..., published: _Optional[int] = ..., delivered: _Optional[int] = ..., lost: _Optional[int] = ..., queued: _Optional[int] = ..., subscriptions: _Optional[int] = ..., away: bool = ...) -> None: ...

class SubscriptionRow(_message.Message):
    __slots__ = ("identity", "subscription", "filter", "overflow", "delivered", "lost", "queued", "group", "in_flight")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    identity: str
    subscription: int
    filter: str
    overflow: str
    delivered: int
    lost: int
    queued: int
    group: str
    in_flight: int
    def __init__(self, identity: _Optional[str] = ..., subscription: _Optional[int] = ..., filter: _Optional[str] = ..., overflow: _Optional[str] = ..., delivered: _Optional[int] = ..., lost: _Optional[int] = ..., queued: _Optional[int] = ..., group: _Optional[str] = ..., in_flight: _Optional[int] = ...) -> None: ...

class RetainedRow(_message.Message):
    __slots__ = ("topic", "publisher", "sequence", "received_at", "expires_at", "size", "content_type")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    topic: str
    publisher: str
    sequence: int
    received_at: int
    expires_at: int
    size: int
    content_type: str
    def __init__(self, topic: _Optional[str] = ..., publisher: _Optional[str] = ..., sequence: _Optional[int] = ..., received_at: _Optional[int] = ..., expires_at: _Optional[int] = ..., size: _Optional[int] = ..., content_type: _Optional[str] = ...) -> None: ...

class TopicRow(_message.Message):
    __slots__ = ("topic", "publishers", "subscribers", "retained")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PUBLISHERS_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBERS_FIELD_NUMBER: _ClassVar[int]
    RETAINED_FIELD_NUMBER: _ClassVar[int]
    topic: str
    publishers: int
    subscribers: int
    retained: bool
    def __init__(self, topic: _Optional[str] = ..., publishers: _Optional[int] = ..., subscribers: _Optional[int] = ..., retained: bool = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("code", "topic", "detail", "rule", "subscription", "delivery")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    code: str
    topic: str
    detail: str
    rule: str
    subscription: int
    delivery: int
    def __init__(self, code: _Optional[str] = ..., topic: _Optional[str] = ..., detail: _Optional[str] = ..., rule: _Optional[str] = ..., subscription: _Optional[int] = ..., delivery: _Optional[int] = ...) -> None: ...

class Confirm(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: int
    def __init__(self, messages: _Optional[int] = ...) -> None: ...

class AccessRule(_message.Message):
    __slots__ = ("who", "access", "filter", "deny")
    WHO_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DENY_FIELD_NUMBER: _ClassVar[int]
    who: str
    access: str
    filter: str
    deny: bool
    def __init__(self, who: _Optional[str] = ..., access: _Optional[str] = ..., filter: _Optional[str] = ..., deny: bool = ...) -> None: ...

class Credential(_message.Message):
    __slots__ = ("identity", "role", "kind", "incarnation", "key", "pid", "publishes", "subscribes", "declares_publishes", "declares_subscribes")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PUBLISHES_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBES_FIELD_NUMBER: _ClassVar[int]
    DECLARES_PUBLISHES_FIELD_NUMBER: _ClassVar[int]
    DECLARES_SUBSCRIBES_FIELD_NUMBER: _ClassVar[int]
    identity: str
    role: str
    kind: str
    incarnation: int
    key: bytes
    pid: int
    publishes: _containers.RepeatedScalarFieldContainer[str]
    subscribes: _containers.RepeatedScalarFieldContainer[str]
    declares_publishes: bool
    declares_subscribes: bool
    def __init__(self, identity: _Optional[str] = ..., role: _Optional[str] = ..., kind: _Optional[str] = ..., incarnation: _Optional[int] = ..., key: _Optional[bytes] = ..., pid: _Optional[int] = ..., publishes: _Optional[_Iterable[str]] = ..., subscribes: _Optional[_Iterable[str]] = ..., declares_publishes: bool = ..., declares_subscribes: bool = ...) -> None: ...

class BrokerOrder(_message.Message):
    __slots__ = ("rules", "admit", "ended", "say")
    RULES_FIELD_NUMBER: _ClassVar[int]
    ADMIT_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    SAY_FIELD_NUMBER: _ClassVar[int]
    rules: BrokerRules
    admit: Credential
    ended: Ended
    say: Say
    def __init__(self, rules: _Optional[_Union[BrokerRules, _Mapping]] = ..., admit: _Optional[_Union[Credential, _Mapping]] = ..., ended: _Optional[_Union[Ended, _Mapping]] = ..., say: _Optional[_Union[Say, _Mapping]] = ...) -> None: ...

class BrokerRules(_message.Message):
    __slots__ = ("rules", "limits", "clients")
    class LimitsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RULES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[AccessRule]
    limits: _containers.ScalarMap[str, float]
    clients: _containers.RepeatedCompositeFieldContainer[Credential]
    def __init__(self, rules: _Optional[_Iterable[_Union[AccessRule, _Mapping]]] = ..., limits: _Optional[_Mapping[str, float]] = ..., clients: _Optional[_Iterable[_Union[Credential, _Mapping]]] = ...) -> None: ...

class Ended(_message.Message):
    __slots__ = ("identity", "incarnation", "cause")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    identity: str
    incarnation: int
    cause: str
    def __init__(self, identity: _Optional[str] = ..., incarnation: _Optional[int] = ..., cause: _Optional[str] = ...) -> None: ...

class Say(_message.Message):
    __slots__ = ("topic", "payload", "content_type", "target", "retain")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    RETAIN_FIELD_NUMBER: _ClassVar[int]
    topic: str
    payload: bytes
    content_type: str
    target: str
    retain: bool
    def __init__(self, topic: _Optional[str] = ..., payload: _Optional[bytes] = ..., content_type: _Optional[str] = ..., target: _Optional[str] = ..., retain: bool = ...) -> None: ...
