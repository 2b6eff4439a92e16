from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_KIND_UNSPECIFIED: _ClassVar[MessageKind]
    MESSAGE_KIND_ADVERTISED_KEYS: _ClassVar[MessageKind]
    MESSAGE_KIND_DEALT_SHARES: _ClassVar[MessageKind]
    MESSAGE_KIND_RECEIPT: _ClassVar[MessageKind]
    MESSAGE_KIND_UPLOAD: _ClassVar[MessageKind]
    MESSAGE_KIND_CONSISTENCY: _ClassVar[MessageKind]
    MESSAGE_KIND_RANDOMNESS_SHARES: _ClassVar[MessageKind]
    MESSAGE_KIND_MASKED_STATISTICS: _ClassVar[MessageKind]
    MESSAGE_KIND_AGREEMENT: _ClassVar[MessageKind]
    MESSAGE_KIND_UPDATE_SHARES: _ClassVar[MessageKind]
    MESSAGE_KIND_CROSS_MASKS: _ClassVar[MessageKind]
    MESSAGE_KIND_WITHDRAW: _ClassVar[MessageKind]
    MESSAGE_KIND_ROUND_START: _ClassVar[MessageKind]
    MESSAGE_KIND_KEY_LIST: _ClassVar[MessageKind]
    MESSAGE_KIND_SHARE_DELIVERY: _ClassVar[MessageKind]
    MESSAGE_KIND_DEALER_LIST: _ClassVar[MessageKind]
    MESSAGE_KIND_UPLOAD_LIST: _ClassVar[MessageKind]
    MESSAGE_KIND_CONSISTENCY_LIST: _ClassVar[MessageKind]
    MESSAGE_KIND_RANDOMNESS_LIST: _ClassVar[MessageKind]
    MESSAGE_KIND_ACCEPTED_SET: _ClassVar[MessageKind]
    MESSAGE_KIND_AGREEMENT_LIST: _ClassVar[MessageKind]
    MESSAGE_KIND_BINDING_FAILED: _ClassVar[MessageKind]
    MESSAGE_KIND_ROUND_END: _ClassVar[MessageKind]
    MESSAGE_KIND_FINAL_MODEL: _ClassVar[MessageKind]
    MESSAGE_KIND_EXCLUSION: _ClassVar[MessageKind]
    MESSAGE_KIND_NEW_POLICY: _ClassVar[MessageKind]

class GoodbyeReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GOODBYE_REASON_UNSPECIFIED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_FINISHED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_STOPPED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_REPLACED: _ClassVar[GoodbyeReason]
MESSAGE_KIND_UNSPECIFIED: MessageKind
MESSAGE_KIND_ADVERTISED_KEYS: MessageKind
MESSAGE_KIND_DEALT_SHARES: MessageKind
MESSAGE_KIND_RECEIPT: MessageKind
MESSAGE_KIND_UPLOAD: MessageKind
MESSAGE_KIND_CONSISTENCY: MessageKind
MESSAGE_KIND_RANDOMNESS_SHARES: MessageKind
MESSAGE_KIND_MASKED_STATISTICS: MessageKind
MESSAGE_KIND_AGREEMENT: MessageKind
MESSAGE_KIND_UPDATE_SHARES: MessageKind
MESSAGE_KIND_CROSS_MASKS: MessageKind
MESSAGE_KIND_WITHDRAW: MessageKind
MESSAGE_KIND_ROUND_START: MessageKind
MESSAGE_KIND_KEY_LIST: MessageKind
MESSAGE_KIND_SHARE_DELIVERY: MessageKind
MESSAGE_KIND_DEALER_LIST: MessageKind
MESSAGE_KIND_UPLOAD_LIST: MessageKind
MESSAGE_KIND_CONSISTENCY_LIST: MessageKind
MESSAGE_KIND_RANDOMNESS_LIST: MessageKind
MESSAGE_KIND_ACCEPTED_SET: MessageKind
MESSAGE_KIND_AGREEMENT_LIST: MessageKind
MESSAGE_KIND_BINDING_FAILED: MessageKind
MESSAGE_KIND_ROUND_END: MessageKind
MESSAGE_KIND_FINAL_MODEL: MessageKind
MESSAGE_KIND_EXCLUSION: MessageKind
MESSAGE_KIND_NEW_POLICY: MessageKind
GOODBYE_REASON_UNSPECIFIED: GoodbyeReason
GOODBYE_REASON_FINISHED: GoodbyeReason
GOODBYE_REASON_STOPPED: GoodbyeReason
GOODBYE_REASON_REPLACED: GoodbyeReason

class Header(_message.Message):
    __slots__ = ("kind", "size", "sha256", "round_counter", "round_nonce", "offset", "body")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    ROUND_COUNTER_FIELD_NUMBER: _ClassVar[int]
    ROUND_NONCE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    kind: MessageKind
    size: int
    sha256: bytes
    round_counter: int
    round_nonce: bytes
    offset: int
    body: bytes
    def __init__(self, kind: _Optional[_Union[MessageKind, str]] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ..., round_counter: _Optional[int] = ..., round_nonce: _Optional[bytes] = ..., offset: _Optional[int] = ..., body: _Optional[bytes] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_version", "deployment", "client", "next_counter", "next_era", "flagged", "policy_version")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    NEXT_COUNTER_FIELD_NUMBER: _ClassVar[int]
    NEXT_ERA_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    deployment: str
    client: int
    next_counter: int
    next_era: int
    flagged: _containers.RepeatedScalarFieldContainer[int]
    policy_version: int
    def __init__(self, protocol_version: _Optional[int] = ..., deployment: _Optional[str] = ..., client: _Optional[int] = ..., next_counter: _Optional[int] = ..., next_era: _Optional[int] = ..., flagged: _Optional[_Iterable[int]] = ..., policy_version: _Optional[int] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClientFrame(_message.Message):
    __slots__ = ("hello", "header", "chunk", "beat")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    header: Header
    chunk: bytes
    beat: Beat
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., header: _Optional[_Union[Header, _Mapping]] = ..., chunk: _Optional[bytes] = ..., beat: _Optional[_Union[Beat, _Mapping]] = ...) -> None: ...

class Begun(_message.Message):
    __slots__ = ("sha256", "offset")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    offset: int
    def __init__(self, sha256: _Optional[bytes] = ..., offset: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol_version", "deployment", "begun")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    BEGUN_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    deployment: str
    begun: Begun
    def __init__(self, protocol_version: _Optional[int] = ..., deployment: _Optional[str] = ..., begun: _Optional[_Union[Begun, _Mapping]] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: GoodbyeReason
    def __init__(self, reason: _Optional[_Union[GoodbyeReason, str]] = ...) -> None: ...

class Filler(_message.Message):
    __slots__ = ("nothing",)
    NOTHING_FIELD_NUMBER: _ClassVar[int]
    nothing: bytes
    def __init__(self, nothing: _Optional[bytes] = ...) -> None: ...

class Probed(_message.Message):
    __slots__ = ("time_s", "policy_version")
    TIME_S_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    time_s: float
    policy_version: int
    def __init__(self, time_s: _Optional[float] = ..., policy_version: _Optional[int] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("welcome", "header", "chunk", "goodbye", "beat")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    header: Header
    chunk: bytes
    goodbye: Goodbye
    beat: Beat
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., header: _Optional[_Union[Header, _Mapping]] = ..., chunk: _Optional[bytes] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., beat: _Optional[_Union[Beat, _Mapping]] = ...) -> None: ...
