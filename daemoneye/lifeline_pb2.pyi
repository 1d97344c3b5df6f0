from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Order(_message.Message):
    __slots__ = ("drain", "pause", "configure", "dump", "tell", "verdict")
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    CONFIGURE_FIELD_NUMBER: _ClassVar[int]
    DUMP_FIELD_NUMBER: _ClassVar[int]
    TELL_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    drain: Drain
    pause: bool
    configure: Configure
    dump: Dump
    tell: Tell
    verdict: Verdict
    def __init__(self, drain: _Optional[_Union[Drain, _Mapping]] = ..., pause: bool = ..., configure: _Optional[_Union[Configure, _Mapping]] = ..., dump: _Optional[_Union[Dump, _Mapping]] = ..., tell: _Optional[_Union[Tell, _Mapping]] = ..., verdict: _Optional[_Union[Verdict, _Mapping]] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("ready", "beat", "extend", "condition", "failure", "dumped", "wish", "tell", "configured")
    READY_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    EXTEND_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    DUMPED_FIELD_NUMBER: _ClassVar[int]
    WISH_FIELD_NUMBER: _ClassVar[int]
    TELL_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    ready: Ready
    beat: Beat
    extend: Extend
    condition: Condition
    failure: Failure
    dumped: Dumped
    wish: Wish
    tell: Tell
    configured: Configured
    def __init__(self, ready: _Optional[_Union[Ready, _Mapping]] = ..., beat: _Optional[_Union[Beat, _Mapping]] = ..., extend: _Optional[_Union[Extend, _Mapping]] = ..., condition: _Optional[_Union[Condition, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., dumped: _Optional[_Union[Dumped, _Mapping]] = ..., wish: _Optional[_Union[Wish, _Mapping]] = ..., tell: _Optional[_Union[Tell, _Mapping]] = ..., configured: _Optional[_Union[Configured, _Mapping]] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("timeout",)
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    timeout: float
    def __init__(self, timeout: _Optional[float] = ...) -> None: ...

class Configure(_message.Message):
    __slots__ = ("request", "settings")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    request: int
    settings: str
    def __init__(self, request: _Optional[int] = ..., settings: _Optional[str] = ...) -> None: ...

class Configured(_message.Message):
    __slots__ = ("request", "error")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request: int
    error: str
    def __init__(self, request: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class Dump(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: int
    def __init__(self, request: _Optional[int] = ...) -> None: ...

class Dumped(_message.Message):
    __slots__ = ("request", "stacks")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    request: int
    stacks: str
    def __init__(self, request: _Optional[int] = ..., stacks: _Optional[str] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Beat(_message.Message):
    __slots__ = ("progress", "busy_seconds", "doing", "counters", "paused", "bus_connected", "uses_bus")
    class CountersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    BUSY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DOING_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    BUS_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    USES_BUS_FIELD_NUMBER: _ClassVar[int]
    progress: int
    busy_seconds: float
    doing: str
    counters: _containers.ScalarMap[str, int]
    paused: bool
    bus_connected: bool
    uses_bus: bool
    def __init__(self, progress: _Optional[int] = ..., busy_seconds: _Optional[float] = ..., doing: _Optional[str] = ..., counters: _Optional[_Mapping[str, int]] = ..., paused: bool = ..., bus_connected: bool = ..., uses_bus: bool = ...) -> None: ...

class Extend(_message.Message):
    __slots__ = ("seconds",)
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    def __init__(self, seconds: _Optional[float] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("degraded",)
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    degraded: str
    def __init__(self, degraded: _Optional[str] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("exception", "message", "traceback")
    EXCEPTION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    exception: str
    message: str
    traceback: str
    def __init__(self, exception: _Optional[str] = ..., message: _Optional[str] = ..., traceback: _Optional[str] = ...) -> None: ...

class Wish(_message.Message):
    __slots__ = ("request", "verb", "child", "settings", "asked_by")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    CHILD_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    ASKED_BY_FIELD_NUMBER: _ClassVar[int]
    request: int
    verb: str
    child: str
    settings: str
    asked_by: str
    def __init__(self, request: _Optional[int] = ..., verb: _Optional[str] = ..., child: _Optional[str] = ..., settings: _Optional[str] = ..., asked_by: _Optional[str] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("request", "ok", "text")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    request: int
    ok: bool
    text: str
    def __init__(self, request: _Optional[int] = ..., ok: bool = ..., text: _Optional[str] = ...) -> None: ...

class Tell(_message.Message):
    __slots__ = ("name", "body")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    name: str
    body: bytes
    def __init__(self, name: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...
