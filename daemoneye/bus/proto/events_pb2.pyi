from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProcessAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROCESS_ACTION_UNSPECIFIED: _ClassVar[ProcessAction]
    PROCESS_ACTION_START: _ClassVar[ProcessAction]
    PROCESS_ACTION_EXEC: _ClassVar[ProcessAction]
    PROCESS_ACTION_STOP: _ClassVar[ProcessAction]

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_NOTICE: _ClassVar[Severity]
    SEVERITY_WARNING: _ClassVar[Severity]
    SEVERITY_CRITICAL: _ClassVar[Severity]

class Edge(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EDGE_UNSPECIFIED: _ClassVar[Edge]
    EDGE_ENTERED: _ClassVar[Edge]
    EDGE_LEFT: _ClassVar[Edge]
    EDGE_MOMENT: _ClassVar[Edge]

class NetworkAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NETWORK_ACTION_UNSPECIFIED: _ClassVar[NetworkAction]
    NETWORK_ACTION_OPEN: _ClassVar[NetworkAction]
    NETWORK_ACTION_CLOSE: _ClassVar[NetworkAction]

class FilesystemAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILESYSTEM_ACTION_UNSPECIFIED: _ClassVar[FilesystemAction]
    FILESYSTEM_ACTION_CREATE: _ClassVar[FilesystemAction]
    FILESYSTEM_ACTION_REMOVE: _ClassVar[FilesystemAction]
    FILESYSTEM_ACTION_MOVE: _ClassVar[FilesystemAction]

class FileType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILE_TYPE_UNSPECIFIED: _ClassVar[FileType]
    FILE_TYPE_REGULAR: _ClassVar[FileType]
    FILE_TYPE_DIRECTORY: _ClassVar[FileType]
    FILE_TYPE_LINK: _ClassVar[FileType]
    FILE_TYPE_OTHER: _ClassVar[FileType]

class FilesystemChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILESYSTEM_CHANGE_UNSPECIFIED: _ClassVar[FilesystemChange]
    FILESYSTEM_CHANGE_CONTENT: _ClassVar[FilesystemChange]
    FILESYSTEM_CHANGE_ATTRIBUTES: _ClassVar[FilesystemChange]

class Health(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEALTH_UNSPECIFIED: _ClassVar[Health]
    HEALTH_HEALTHY: _ClassVar[Health]
    HEALTH_DEGRADED: _ClassVar[Health]
    HEALTH_UNHEALTHY: _ClassVar[Health]

class TaskOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_OUTCOME_UNSPECIFIED: _ClassVar[TaskOutcome]
    TASK_OUTCOME_DONE: _ClassVar[TaskOutcome]
    TASK_OUTCOME_FAILED: _ClassVar[TaskOutcome]
    TASK_OUTCOME_REFUSED: _ClassVar[TaskOutcome]
    TASK_OUTCOME_EXPIRED: _ClassVar[TaskOutcome]
PROCESS_ACTION_UNSPECIFIED: ProcessAction
PROCESS_ACTION_START: ProcessAction
PROCESS_ACTION_EXEC: ProcessAction
PROCESS_ACTION_STOP: ProcessAction
SEVERITY_UNSPECIFIED: Severity
SEVERITY_NOTICE: Severity
SEVERITY_WARNING: Severity
SEVERITY_CRITICAL: Severity
EDGE_UNSPECIFIED: Edge
EDGE_ENTERED: Edge
EDGE_LEFT: Edge
EDGE_MOMENT: Edge
NETWORK_ACTION_UNSPECIFIED: NetworkAction
NETWORK_ACTION_OPEN: NetworkAction
NETWORK_ACTION_CLOSE: NetworkAction
FILESYSTEM_ACTION_UNSPECIFIED: FilesystemAction
FILESYSTEM_ACTION_CREATE: FilesystemAction
FILESYSTEM_ACTION_REMOVE: FilesystemAction
FILESYSTEM_ACTION_MOVE: FilesystemAction
FILE_TYPE_UNSPECIFIED: FileType
FILE_TYPE_REGULAR: FileType
FILE_TYPE_DIRECTORY: FileType
FILE_TYPE_LINK: FileType
FILE_TYPE_OTHER: FileType
FILESYSTEM_CHANGE_UNSPECIFIED: FilesystemChange
FILESYSTEM_CHANGE_CONTENT: FilesystemChange
FILESYSTEM_CHANGE_ATTRIBUTES: FilesystemChange
HEALTH_UNSPECIFIED: Health
HEALTH_HEALTHY: Health
HEALTH_DEGRADED: Health
HEALTH_UNHEALTHY: Health
TASK_OUTCOME_UNSPECIFIED: TaskOutcome
TASK_OUTCOME_DONE: TaskOutcome
TASK_OUTCOME_FAILED: TaskOutcome
TASK_OUTCOME_REFUSED: TaskOutcome
TASK_OUTCOME_EXPIRED: TaskOutcome

class ProcessLifecycle(_message.Message):
    __slots__ = ("action", "pid", "parent_pid", "created_at", "name", "executable", "command_line", "user", "observed_at", "exit_code", "lifetime_seconds", "existed_before")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PARENT_PID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_LINE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EXISTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    action: ProcessAction
    pid: int
    parent_pid: int
    created_at: float
    name: str
    executable: str
    command_line: _containers.RepeatedScalarFieldContainer[str]
    user: str
    observed_at: float
    exit_code: int
    lifetime_seconds: float
    existed_before: bool
    def __init__(self, action: _Optional[_Union[ProcessAction, str]] = ..., pid: _Optional[int] = ..., parent_pid: _Optional[int] = ..., created_at: _Optional[float] = ..., name: _Optional[str] = ..., executable: _Optional[str] = ..., command_line: _Optional[_Iterable[str]] = ..., user: _Optional[str] = ..., observed_at: _Optional[float] = ..., exit_code: _Optional[int] = ..., lifetime_seconds: _Optional[float] = ..., existed_before: bool = ...) -> None: ...

class ProcessMetadata(_message.Message):
    __slots__ = ("observed_at", "interval_seconds", "samples")
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    observed_at: float
    interval_seconds: float
    samples: _containers.RepeatedCompositeFieldContainer[ProcessSample]
    def __init__(self, observed_at: _Optional[float] = ..., interval_seconds: _Optional[float] = ..., samples: _Optional[_Iterable[_Union[ProcessSample, _Mapping]]] = ...) -> None: ...

class ProcessSample(_message.Message):
    __slots__ = ("pid", "created_at", "name", "cpu_percent", "rss_bytes", "virtual_bytes", "threads", "descriptors", "status")
    PID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTORS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    pid: int
    created_at: float
    name: str
    cpu_percent: float
    rss_bytes: int
    virtual_bytes: int
    threads: int
    descriptors: int
    status: str
    def __init__(self, pid: _Optional[int] = ..., created_at: _Optional[float] = ..., name: _Optional[str] = ..., cpu_percent: _Optional[float] = ..., rss_bytes: _Optional[int] = ..., virtual_bytes: _Optional[int] = ..., threads: _Optional[int] = ..., descriptors: _Optional[int] = ..., status: _Optional[str] = ...) -> None: ...

class ProcessTree(_message.Message):
    __slots__ = ("observed_at", "nodes", "batch", "part", "parts")
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    observed_at: float
    nodes: _containers.RepeatedCompositeFieldContainer[ProcessNode]
    batch: int
    part: int
    parts: int
    def __init__(self, observed_at: _Optional[float] = ..., nodes: _Optional[_Iterable[_Union[ProcessNode, _Mapping]]] = ..., batch: _Optional[int] = ..., part: _Optional[int] = ..., parts: _Optional[int] = ...) -> None: ...

class ProcessNode(_message.Message):
    __slots__ = ("pid", "created_at", "parent_pid", "name")
    PID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    PARENT_PID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    pid: int
    created_at: float
    parent_pid: int
    name: str
    def __init__(self, pid: _Optional[int] = ..., created_at: _Optional[float] = ..., parent_pid: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class ProcessIntegrity(_message.Message):
    __slots__ = ("executable", "sha256", "previous_sha256", "size_bytes", "modified_at", "observed_at", "pids", "error")
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    executable: str
    sha256: bytes
    previous_sha256: bytes
    size_bytes: int
    modified_at: float
    observed_at: float
    pids: _containers.RepeatedScalarFieldContainer[int]
    error: str
    def __init__(self, executable: _Optional[str] = ..., sha256: _Optional[bytes] = ..., previous_sha256: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., modified_at: _Optional[float] = ..., observed_at: _Optional[float] = ..., pids: _Optional[_Iterable[int]] = ..., error: _Optional[str] = ...) -> None: ...

class ProcessAnomaly(_message.Message):
    __slots__ = ("finding", "pid", "created_at", "name")
    FINDING_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    finding: Finding
    pid: int
    created_at: float
    name: str
    def __init__(self, finding: _Optional[_Union[Finding, _Mapping]] = ..., pid: _Optional[int] = ..., created_at: _Optional[float] = ..., name: _Optional[str] = ...) -> None: ...

class ProcessBatch(_message.Message):
    __slots__ = ("observed_at", "processes", "batch", "part", "parts")
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    observed_at: float
    processes: _containers.RepeatedCompositeFieldContainer[ProcessRow]
    batch: int
    part: int
    parts: int
    def __init__(self, observed_at: _Optional[float] = ..., processes: _Optional[_Iterable[_Union[ProcessRow, _Mapping]]] = ..., batch: _Optional[int] = ..., part: _Optional[int] = ..., parts: _Optional[int] = ...) -> None: ...

class ProcessRow(_message.Message):
    __slots__ = ("pid", "created_at", "parent_pid", "name", "executable", "command_line", "user", "status", "rss_bytes", "threads")
    PID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    PARENT_PID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_LINE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    pid: int
    created_at: float
    parent_pid: int
    name: str
    executable: str
    command_line: _containers.RepeatedScalarFieldContainer[str]
    user: str
    status: str
    rss_bytes: int
    threads: int
    def __init__(self, pid: _Optional[int] = ..., created_at: _Optional[float] = ..., parent_pid: _Optional[int] = ..., name: _Optional[str] = ..., executable: _Optional[str] = ..., command_line: _Optional[_Iterable[str]] = ..., user: _Optional[str] = ..., status: _Optional[str] = ..., rss_bytes: _Optional[int] = ..., threads: _Optional[int] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("rule", "severity", "edge", "reason", "value", "threshold", "unit", "observed_at")
    RULE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    EDGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    rule: str
    severity: Severity
    edge: Edge
    reason: str
    value: float
    threshold: float
    unit: str
    observed_at: float
    def __init__(self, rule: _Optional[str] = ..., severity: _Optional[_Union[Severity, str]] = ..., edge: _Optional[_Union[Edge, str]] = ..., reason: _Optional[str] = ..., value: _Optional[float] = ..., threshold: _Optional[float] = ..., unit: _Optional[str] = ..., observed_at: _Optional[float] = ...) -> None: ...

class Endpoint(_message.Message):
    __slots__ = ("address", "port")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    address: str
    port: int
    def __init__(self, address: _Optional[str] = ..., port: _Optional[int] = ...) -> None: ...

class NetworkConnection(_message.Message):
    __slots__ = ("protocol", "local", "remote", "state", "pid", "process_created_at", "process_name")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    REMOTE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    PROCESS_NAME_FIELD_NUMBER: _ClassVar[int]
    protocol: str
    local: Endpoint
    remote: Endpoint
    state: str
    pid: int
    process_created_at: float
    process_name: str
    def __init__(self, protocol: _Optional[str] = ..., local: _Optional[_Union[Endpoint, _Mapping]] = ..., remote: _Optional[_Union[Endpoint, _Mapping]] = ..., state: _Optional[str] = ..., pid: _Optional[int] = ..., process_created_at: _Optional[float] = ..., process_name: _Optional[str] = ...) -> None: ...

class NetworkLifecycle(_message.Message):
    __slots__ = ("action", "connection", "observed_at", "existed_before")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    EXISTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    action: NetworkAction
    connection: NetworkConnection
    observed_at: float
    existed_before: bool
    def __init__(self, action: _Optional[_Union[NetworkAction, str]] = ..., connection: _Optional[_Union[NetworkConnection, _Mapping]] = ..., observed_at: _Optional[float] = ..., existed_before: bool = ...) -> None: ...

class NetworkListener(_message.Message):
    __slots__ = ("action", "socket", "observed_at", "existed_before")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SOCKET_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    EXISTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    action: NetworkAction
    socket: NetworkConnection
    observed_at: float
    existed_before: bool
    def __init__(self, action: _Optional[_Union[NetworkAction, str]] = ..., socket: _Optional[_Union[NetworkConnection, _Mapping]] = ..., observed_at: _Optional[float] = ..., existed_before: bool = ...) -> None: ...

class NetworkAnomaly(_message.Message):
    __slots__ = ("finding", "connection")
    FINDING_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    finding: Finding
    connection: NetworkConnection
    def __init__(self, finding: _Optional[_Union[Finding, _Mapping]] = ..., connection: _Optional[_Union[NetworkConnection, _Mapping]] = ...) -> None: ...

class NetworkBatch(_message.Message):
    __slots__ = ("observed_at", "connections", "batch", "part", "parts")
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    observed_at: float
    connections: _containers.RepeatedCompositeFieldContainer[NetworkConnection]
    batch: int
    part: int
    parts: int
    def __init__(self, observed_at: _Optional[float] = ..., connections: _Optional[_Iterable[_Union[NetworkConnection, _Mapping]]] = ..., batch: _Optional[int] = ..., part: _Optional[int] = ..., parts: _Optional[int] = ...) -> None: ...

class FilesystemLifecycle(_message.Message):
    __slots__ = ("action", "path", "moved_from", "type", "observed_at")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    MOVED_FROM_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    action: FilesystemAction
    path: str
    moved_from: str
    type: FileType
    observed_at: float
    def __init__(self, action: _Optional[_Union[FilesystemAction, str]] = ..., path: _Optional[str] = ..., moved_from: _Optional[str] = ..., type: _Optional[_Union[FileType, str]] = ..., observed_at: _Optional[float] = ...) -> None: ...

class FilesystemMetadata(_message.Message):
    __slots__ = ("change", "file", "observed_at")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    change: FilesystemChange
    file: FileRow
    observed_at: float
    def __init__(self, change: _Optional[_Union[FilesystemChange, str]] = ..., file: _Optional[_Union[FileRow, _Mapping]] = ..., observed_at: _Optional[float] = ...) -> None: ...

class FilesystemIntegrity(_message.Message):
    __slots__ = ("path", "sha256", "previous_sha256", "size_bytes", "modified_at", "observed_at", "error")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    path: str
    sha256: bytes
    previous_sha256: bytes
    size_bytes: int
    modified_at: float
    observed_at: float
    error: str
    def __init__(self, path: _Optional[str] = ..., sha256: _Optional[bytes] = ..., previous_sha256: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., modified_at: _Optional[float] = ..., observed_at: _Optional[float] = ..., error: _Optional[str] = ...) -> None: ...

class FilesystemBatch(_message.Message):
    __slots__ = ("observed_at", "files", "batch", "part", "parts")
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    observed_at: float
    files: _containers.RepeatedCompositeFieldContainer[FileRow]
    batch: int
    part: int
    parts: int
    def __init__(self, observed_at: _Optional[float] = ..., files: _Optional[_Iterable[_Union[FileRow, _Mapping]]] = ..., batch: _Optional[int] = ..., part: _Optional[int] = ..., parts: _Optional[int] = ...) -> None: ...

class FileRow(_message.Message):
    __slots__ = ("path", "type", "size_bytes", "modified_at", "mode", "owner_uid", "owner_gid", "device", "inode")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OWNER_UID_FIELD_NUMBER: _ClassVar[int]
    OWNER_GID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    INODE_FIELD_NUMBER: _ClassVar[int]
    path: str
    type: FileType
    size_bytes: int
    modified_at: float
    mode: int
    owner_uid: int
    owner_gid: int
    device: int
    inode: int
    def __init__(self, path: _Optional[str] = ..., type: _Optional[_Union[FileType, str]] = ..., size_bytes: _Optional[int] = ..., modified_at: _Optional[float] = ..., mode: _Optional[int] = ..., owner_uid: _Optional[int] = ..., owner_gid: _Optional[int] = ..., device: _Optional[int] = ..., inode: _Optional[int] = ...) -> None: ...

class PerformanceMetadata(_message.Message):
    __slots__ = ("observed_at", "interval_seconds", "cpu_percent", "cpu_each_percent", "load", "memory", "swap", "disks", "networks", "volumes")
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    CPU_EACH_PERCENT_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    SWAP_FIELD_NUMBER: _ClassVar[int]
    DISKS_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    observed_at: float
    interval_seconds: float
    cpu_percent: float
    cpu_each_percent: _containers.RepeatedScalarFieldContainer[float]
    load: _containers.RepeatedScalarFieldContainer[float]
    memory: Memory
    swap: Swap
    disks: _containers.RepeatedCompositeFieldContainer[DiskSample]
    networks: _containers.RepeatedCompositeFieldContainer[NetworkSample]
    volumes: _containers.RepeatedCompositeFieldContainer[VolumeSample]
    def __init__(self, observed_at: _Optional[float] = ..., interval_seconds: _Optional[float] = ..., cpu_percent: _Optional[float] = ..., cpu_each_percent: _Optional[_Iterable[float]] = ..., load: _Optional[_Iterable[float]] = ..., memory: _Optional[_Union[Memory, _Mapping]] = ..., swap: _Optional[_Union[Swap, _Mapping]] = ..., disks: _Optional[_Iterable[_Union[DiskSample, _Mapping]]] = ..., networks: _Optional[_Iterable[_Union[NetworkSample, _Mapping]]] = ..., volumes: _Optional[_Iterable[_Union[VolumeSample, _Mapping]]] = ...) -> None: ...

class Memory(_message.Message):
    __slots__ = ("total_bytes", "available_bytes", "used_bytes", "used_percent")
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_PERCENT_FIELD_NUMBER: _ClassVar[int]
    total_bytes: int
    available_bytes: int
    used_bytes: int
    used_percent: float
    def __init__(self, total_bytes: _Optional[int] = ..., available_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., used_percent: _Optional[float] = ...) -> None: ...

class Swap(_message.Message):
    __slots__ = ("total_bytes", "used_bytes", "used_percent")
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_PERCENT_FIELD_NUMBER: _ClassVar[int]
    total_bytes: int
    used_bytes: int
    used_percent: float
    def __init__(self, total_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., used_percent: _Optional[float] = ...) -> None: ...

class DiskSample(_message.Message):
    __slots__ = ("name", "read_bytes", "written_bytes", "reads", "writes", "read_bytes_per_second", "written_bytes_per_second")
    NAME_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_BYTES_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    name: str
    read_bytes: int
    written_bytes: int
    reads: int
    writes: int
    read_bytes_per_second: float
    written_bytes_per_second: float
    def __init__(self, name: _Optional[str] = ..., read_bytes: _Optional[int] = ..., written_bytes: _Optional[int] = ..., reads: _Optional[int] = ..., writes: _Optional[int] = ..., read_bytes_per_second: _Optional[float] = ..., written_bytes_per_second: _Optional[float] = ...) -> None: ...

class NetworkSample(_message.Message):
    __slots__ = ("name", "received_bytes", "sent_bytes", "received_packets", "sent_packets", "errors", "drops", "received_bytes_per_second", "sent_bytes_per_second")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_PACKETS_FIELD_NUMBER: _ClassVar[int]
    SENT_PACKETS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    DROPS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    SENT_BYTES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    name: str
    received_bytes: int
    sent_bytes: int
    received_packets: int
    sent_packets: int
    errors: int
    drops: int
    received_bytes_per_second: float
    sent_bytes_per_second: float
    def __init__(self, name: _Optional[str] = ..., received_bytes: _Optional[int] = ..., sent_bytes: _Optional[int] = ..., received_packets: _Optional[int] = ..., sent_packets: _Optional[int] = ..., errors: _Optional[int] = ..., drops: _Optional[int] = ..., received_bytes_per_second: _Optional[float] = ..., sent_bytes_per_second: _Optional[float] = ...) -> None: ...

class VolumeSample(_message.Message):
    __slots__ = ("mount_point", "total_bytes", "used_bytes", "used_percent")
    MOUNT_POINT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_PERCENT_FIELD_NUMBER: _ClassVar[int]
    mount_point: str
    total_bytes: int
    used_bytes: int
    used_percent: float
    def __init__(self, mount_point: _Optional[str] = ..., total_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., used_percent: _Optional[float] = ...) -> None: ...

class PerformanceAnomaly(_message.Message):
    __slots__ = ("finding", "subject")
    FINDING_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    finding: Finding
    subject: str
    def __init__(self, finding: _Optional[_Union[Finding, _Mapping]] = ..., subject: _Optional[str] = ...) -> None: ...

class PerformanceBatch(_message.Message):
    __slots__ = ("observed_at", "hostname", "system", "release", "machine", "python_version", "booted_at", "cpus", "cores", "memory_bytes", "swap_bytes", "volumes", "interfaces")
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    BOOTED_AT_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    CORES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SWAP_BYTES_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    INTERFACES_FIELD_NUMBER: _ClassVar[int]
    observed_at: float
    hostname: str
    system: str
    release: str
    machine: str
    python_version: str
    booted_at: float
    cpus: int
    cores: int
    memory_bytes: int
    swap_bytes: int
    volumes: _containers.RepeatedCompositeFieldContainer[VolumeSample]
    interfaces: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, observed_at: _Optional[float] = ..., hostname: _Optional[str] = ..., system: _Optional[str] = ..., release: _Optional[str] = ..., machine: _Optional[str] = ..., python_version: _Optional[str] = ..., booted_at: _Optional[float] = ..., cpus: _Optional[int] = ..., cores: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., swap_bytes: _Optional[int] = ..., volumes: _Optional[_Iterable[_Union[VolumeSample, _Mapping]]] = ..., interfaces: _Optional[_Iterable[str]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("child", "pid", "incarnation", "progress", "uptime_seconds", "paused", "busy_seconds", "doing", "sent_at")
    CHILD_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    BUSY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DOING_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    child: str
    pid: int
    incarnation: int
    progress: int
    uptime_seconds: float
    paused: bool
    busy_seconds: float
    doing: str
    sent_at: float
    def __init__(self, child: _Optional[str] = ..., pid: _Optional[int] = ..., incarnation: _Optional[int] = ..., progress: _Optional[int] = ..., uptime_seconds: _Optional[float] = ..., paused: bool = ..., busy_seconds: _Optional[float] = ..., doing: _Optional[str] = ..., sent_at: _Optional[float] = ...) -> None: ...

class HealthStatus(_message.Message):
    __slots__ = ("overall", "reason", "supervisor_pid", "supervisor_uptime_seconds", "supervisor_rss_bytes", "version", "instance", "children", "observed_at")
    OVERALL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUPERVISOR_PID_FIELD_NUMBER: _ClassVar[int]
    SUPERVISOR_UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SUPERVISOR_RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    overall: Health
    reason: str
    supervisor_pid: int
    supervisor_uptime_seconds: float
    supervisor_rss_bytes: int
    version: str
    instance: str
    children: _containers.RepeatedCompositeFieldContainer[ChildStatus]
    observed_at: float
    def __init__(self, overall: _Optional[_Union[Health, str]] = ..., reason: _Optional[str] = ..., supervisor_pid: _Optional[int] = ..., supervisor_uptime_seconds: _Optional[float] = ..., supervisor_rss_bytes: _Optional[int] = ..., version: _Optional[str] = ..., instance: _Optional[str] = ..., children: _Optional[_Iterable[_Union[ChildStatus, _Mapping]]] = ..., observed_at: _Optional[float] = ...) -> None: ...

class ChildStatus(_message.Message):
    __slots__ = ("name", "state", "desired", "pid", "incarnation", "restarts", "uptime_seconds", "heartbeat_age_seconds", "rss_bytes", "cpu_percent", "reason", "next_attempt_at", "health", "crash_report", "answer_to", "error", "observed_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_AT_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    CRASH_REPORT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_TO_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    desired: str
    pid: int
    incarnation: int
    restarts: int
    uptime_seconds: float
    heartbeat_age_seconds: float
    rss_bytes: int
    cpu_percent: float
    reason: str
    next_attempt_at: float
    health: Health
    crash_report: str
    answer_to: int
    error: str
    observed_at: float
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., desired: _Optional[str] = ..., pid: _Optional[int] = ..., incarnation: _Optional[int] = ..., restarts: _Optional[int] = ..., uptime_seconds: _Optional[float] = ..., heartbeat_age_seconds: _Optional[float] = ..., rss_bytes: _Optional[int] = ..., cpu_percent: _Optional[float] = ..., reason: _Optional[str] = ..., next_attempt_at: _Optional[float] = ..., health: _Optional[_Union[Health, str]] = ..., crash_report: _Optional[str] = ..., answer_to: _Optional[int] = ..., error: _Optional[str] = ..., observed_at: _Optional[float] = ...) -> None: ...

class Diagnostics(_message.Message):
    __slots__ = ("ask", "answer", "stacks", "error", "observed_at")
    ASK_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    STACKS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    ask: str
    answer: str
    stacks: str
    error: str
    observed_at: float
    def __init__(self, ask: _Optional[str] = ..., answer: _Optional[str] = ..., stacks: _Optional[str] = ..., error: _Optional[str] = ..., observed_at: _Optional[float] = ...) -> None: ...

class CollectorWish(_message.Message):
    __slots__ = ("verb", "request", "reason")
    VERB_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    verb: str
    request: int
    reason: str
    def __init__(self, verb: _Optional[str] = ..., request: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class CollectorConfig(_message.Message):
    __slots__ = ("settings", "validate_only", "request")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    settings: str
    validate_only: bool
    request: int
    def __init__(self, settings: _Optional[str] = ..., validate_only: bool = ..., request: _Optional[int] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("id", "kind", "operation", "arguments", "priority", "timeout_seconds", "deadline_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    operation: str
    arguments: str
    priority: int
    timeout_seconds: float
    deadline_at: float
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., operation: _Optional[str] = ..., arguments: _Optional[str] = ..., priority: _Optional[int] = ..., timeout_seconds: _Optional[float] = ..., deadline_at: _Optional[float] = ...) -> None: ...

class TaskResult(_message.Message):
    __slots__ = ("id", "outcome", "result", "error", "collector", "duration_seconds")
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    COLLECTOR_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    outcome: TaskOutcome
    result: str
    error: str
    collector: str
    duration_seconds: float
    def __init__(self, id: _Optional[str] = ..., outcome: _Optional[_Union[TaskOutcome, str]] = ..., result: _Optional[str] = ..., error: _Optional[str] = ..., collector: _Optional[str] = ..., duration_seconds: _Optional[float] = ...) -> None: ...

class ClientPresence(_message.Message):
    __slots__ = ("identity", "role", "pid", "incarnation", "connected", "cause", "changed_at", "connections")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    identity: str
    role: str
    pid: int
    incarnation: int
    connected: bool
    cause: str
    changed_at: float
    connections: int
    def __init__(self, identity: _Optional[str] = ..., role: _Optional[str] = ..., pid: _Optional[int] = ..., incarnation: _Optional[int] = ..., connected: bool = ..., cause: _Optional[str] = ..., changed_at: _Optional[float] = ..., connections: _Optional[int] = ...) -> None: ...

class LossReport(_message.Message):
    __slots__ = ("identity", "lost", "observed_at")
    class LostEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    identity: str
    lost: _containers.ScalarMap[str, int]
    observed_at: float
    def __init__(self, identity: _Optional[str] = ..., lost: _Optional[_Mapping[str, int]] = ..., observed_at: _Optional[float] = ...) -> None: ...

class Denial(_message.Message):
    __slots__ = ("identity", "action", "topic", "rule", "count", "observed_at")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    identity: str
    action: str
    topic: str
    rule: str
    count: int
    observed_at: float
    def __init__(self, identity: _Optional[str] = ..., action: _Optional[str] = ..., topic: _Optional[str] = ..., rule: _Optional[str] = ..., count: _Optional[int] = ..., observed_at: _Optional[float] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("group", "topic", "payload", "content_type", "publisher", "delivery_count", "cause", "reason", "filter", "payload_bytes", "sequence", "time")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    group: str
    topic: str
    payload: bytes
    content_type: str
    publisher: str
    delivery_count: int
    cause: str
    reason: str
    filter: str
    payload_bytes: int
    sequence: int
    time: int
    def __init__(self, group: _Optional[str] = ..., topic: _Optional[str] = ..., payload: _Optional[bytes] = ..., content_type: _Optional[str] = ..., publisher: _Optional[str] = ..., delivery_count: _Optional[int] = ..., cause: _Optional[str] = ..., reason: _Optional[str] = ..., filter: _Optional[str] = ..., payload_bytes: _Optional[int] = ..., sequence: _Optional[int] = ..., time: _Optional[int] = ...) -> None: ...

class BusStatistics(_message.Message):
    __slots__ = ("clients", "subscriptions", "published_total", "delivered_total", "lost_total", "denied_total", "queued", "queued_bytes", "observed_at", "lost", "refused", "turned_away", "cut_off", "postponed_total", "large_bytes", "large_descriptors", "groups", "handled_total", "group_waiting", "group_in_flight", "away", "calls_total", "replies_total", "failed_calls", "group_bytes")
    class LostEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class TurnedAwayEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class CutOffEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class FailedCallsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONS_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    LOST_TOTAL_FIELD_NUMBER: _ClassVar[int]
    DENIED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    QUEUED_BYTES_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    TURNED_AWAY_FIELD_NUMBER: _ClassVar[int]
    CUT_OFF_FIELD_NUMBER: _ClassVar[int]
    POSTPONED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    LARGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LARGE_DESCRIPTORS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    HANDLED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    GROUP_WAITING_FIELD_NUMBER: _ClassVar[int]
    GROUP_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    AWAY_FIELD_NUMBER: _ClassVar[int]
    CALLS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    REPLIES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    FAILED_CALLS_FIELD_NUMBER: _ClassVar[int]
    GROUP_BYTES_FIELD_NUMBER: _ClassVar[int]
    clients: int
    subscriptions: int
    published_total: int
    delivered_total: int
    lost_total: int
    denied_total: int
    queued: int
    queued_bytes: int
    observed_at: float
    lost: _containers.ScalarMap[str, int]
    refused: _containers.ScalarMap[str, int]
    turned_away: _containers.ScalarMap[str, int]
    cut_off: _containers.ScalarMap[str, int]
    postponed_total: int
    large_bytes: int
    large_descriptors: int
    groups: int
    handled_total: int
    group_waiting: int
    group_in_flight: int
    away: int
    calls_total: int
    replies_total: int
    failed_calls: _containers.ScalarMap[str, int]
    group_bytes: int
    def __init__(self, clients: _Optional[int] = ..., subscriptions: _Optional[int] = ..., published_total: _Optional[int] = ..., delivered_total: _Optional[int] = ..., lost_total: _Optional[int] = ..., denied_total: _Optional[int] = ..., queued: _Optional[int] = ..., queued_bytes: _Optional[int] = ..., observed_at: _Optional[float] = ..., lost: _Optional[_Mapping[str, int]] = ..., refused: _Optional[_Mapping[str, int]] = ..., turned_away: _Optional[_Mapping[str, int]] = ..., cut_off: _Optional[_Mapping[str, int]] = ..., postponed_total: _Optional[int] = ..., large_bytes: _Optional[int] = ..., large_descriptors: _Optional[int] = ..., groups: _Optional[int] = ..., handled_total: _Optional[int] = ..., group_waiting: _Optional[int] = ..., group_in_flight: _Optional[int] = ..., away: _Optional[int] = ..., calls_total: _Optional[int] = ..., replies_total: _Optional[int] = ..., failed_calls: _Optional[_Mapping[str, int]] = ..., group_bytes: _Optional[int] = ...) -> None: ...
