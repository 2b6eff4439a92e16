from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Watch(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WATCH_UNSPECIFIED: _ClassVar[Watch]
    WATCH_ALWAYS: _ClassVar[Watch]
    WATCH_DRAWN: _ClassVar[Watch]

class MeansSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MEANS_SOURCE_UNSPECIFIED: _ClassVar[MeansSource]
    MEANS_SOURCE_CLEAN_SAMPLES: _ClassVar[MeansSource]
    MEANS_SOURCE_OUTPUT_WEIGHTS: _ClassVar[MeansSource]

class KeyAlgorithm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_ALGORITHM_UNSPECIFIED: _ClassVar[KeyAlgorithm]
    KEY_ALGORITHM_X25519: _ClassVar[KeyAlgorithm]

class Refusal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_UNSPECIFIED: _ClassVar[Refusal]
    REFUSAL_COHORT_TOO_SMALL: _ClassVar[Refusal]
    REFUSAL_WRONG_COHORT: _ClassVar[Refusal]
    REFUSAL_GROUP_TOO_SMALL: _ClassVar[Refusal]
    REFUSAL_STATISTICS_TOO_LARGE: _ClassVar[Refusal]
    REFUSAL_RING_OVERFLOW: _ClassVar[Refusal]
    REFUSAL_WRONG_MODEL: _ClassVar[Refusal]
    REFUSAL_WRONG_CONFIGURATION: _ClassVar[Refusal]
    REFUSAL_WRONG_POLICY: _ClassVar[Refusal]
    REFUSAL_ROUND_REPLAYED: _ClassVar[Refusal]
    REFUSAL_ATTEMPTS_EXHAUSTED: _ClassVar[Refusal]
    REFUSAL_TOTAL_REPEATED: _ClassVar[Refusal]
    REFUSAL_KEYS_SUBSTITUTED: _ClassVar[Refusal]
    REFUSAL_KEY_REUSED: _ClassVar[Refusal]
    REFUSAL_OWN_KEYS_MISSING: _ClassVar[Refusal]
    REFUSAL_SET_NOT_SUBSET: _ClassVar[Refusal]
    REFUSAL_RANDOMNESS_FORGED: _ClassVar[Refusal]
    REFUSAL_DIGEST_FORGED: _ClassVar[Refusal]
    REFUSAL_VIEW_DISAGREES: _ClassVar[Refusal]
    REFUSAL_ACCEPTED_NOT_GROUPS: _ClassVar[Refusal]
    REFUSAL_ACCEPTED_TOO_SMALL: _ClassVar[Refusal]
    REFUSAL_TOO_MANY_DISPUTED: _ClassVar[Refusal]
    REFUSAL_QUORUM_MISSING: _ClassVar[Refusal]
    REFUSAL_SECOND_ANSWER: _ClassVar[Refusal]
    REFUSAL_OUT_OF_TURN: _ClassVar[Refusal]
    REFUSAL_BAD_UPDATE: _ClassVar[Refusal]
    REFUSAL_MASKS_WOULD_SHOW: _ClassVar[Refusal]
    REFUSAL_POLICY_EXPIRED: _ClassVar[Refusal]
    REFUSAL_WRONG_STEP: _ClassVar[Refusal]
    REFUSAL_BUDGET_SPENT: _ClassVar[Refusal]
    REFUSAL_FORGED_MEANS: _ClassVar[Refusal]
    REFUSAL_UNKNOWN_ROUND: _ClassVar[Refusal]
    REFUSAL_DATA_UNUSABLE: _ClassVar[Refusal]
    REFUSAL_DEVICE_FAILED: _ClassVar[Refusal]
    REFUSAL_OUT_OF_MEMORY: _ClassVar[Refusal]
    REFUSAL_STATE_UNWRITABLE: _ClassVar[Refusal]
    REFUSAL_TRAINING_FAILED: _ClassVar[Refusal]
    REFUSAL_WATCHED_TOO_OFTEN: _ClassVar[Refusal]
    REFUSAL_WRONG_FLAGS: _ClassVar[Refusal]

class AbortReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ABORT_REASON_UNSPECIFIED: _ClassVar[AbortReason]
    ABORT_REASON_TOO_FEW_ADVERTISED: _ClassVar[AbortReason]
    ABORT_REASON_TOO_FEW_DEALT: _ClassVar[AbortReason]
    ABORT_REASON_TOO_FEW_UPLOADED: _ClassVar[AbortReason]
    ABORT_REASON_TOO_FEW_CONSISTENT: _ClassVar[AbortReason]
    ABORT_REASON_TOO_FEW_STATISTICS: _ClassVar[AbortReason]
    ABORT_REASON_TOO_FEW_SHARES: _ClassVar[AbortReason]
    ABORT_REASON_TOO_FEW_AGREED: _ClassVar[AbortReason]
    ABORT_REASON_TOO_FEW_ACCEPTED: _ClassVar[AbortReason]
    ABORT_REASON_BINDING_FAILED: _ClassVar[AbortReason]
    ABORT_REASON_BAD_RECONSTRUCTION: _ClassVar[AbortReason]
    ABORT_REASON_SERVER_STOPPED: _ClassVar[AbortReason]

class ExclusionCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXCLUSION_CAUSE_UNSPECIFIED: _ClassVar[ExclusionCause]
    EXCLUSION_CAUSE_FLAG: _ClassVar[ExclusionCause]
    EXCLUSION_CAUSE_EARLIER_FLAG: _ClassVar[ExclusionCause]
    EXCLUSION_CAUSE_PROOF: _ClassVar[ExclusionCause]
WATCH_UNSPECIFIED: Watch
WATCH_ALWAYS: Watch
WATCH_DRAWN: Watch
MEANS_SOURCE_UNSPECIFIED: MeansSource
MEANS_SOURCE_CLEAN_SAMPLES: MeansSource
MEANS_SOURCE_OUTPUT_WEIGHTS: MeansSource
KEY_ALGORITHM_UNSPECIFIED: KeyAlgorithm
KEY_ALGORITHM_X25519: KeyAlgorithm
REFUSAL_UNSPECIFIED: Refusal
REFUSAL_COHORT_TOO_SMALL: Refusal
REFUSAL_WRONG_COHORT: Refusal
REFUSAL_GROUP_TOO_SMALL: Refusal
REFUSAL_STATISTICS_TOO_LARGE: Refusal
REFUSAL_RING_OVERFLOW: Refusal
REFUSAL_WRONG_MODEL: Refusal
REFUSAL_WRONG_CONFIGURATION: Refusal
REFUSAL_WRONG_POLICY: Refusal
REFUSAL_ROUND_REPLAYED: Refusal
REFUSAL_ATTEMPTS_EXHAUSTED: Refusal
REFUSAL_TOTAL_REPEATED: Refusal
REFUSAL_KEYS_SUBSTITUTED: Refusal
REFUSAL_KEY_REUSED: Refusal
REFUSAL_OWN_KEYS_MISSING: Refusal
REFUSAL_SET_NOT_SUBSET: Refusal
REFUSAL_RANDOMNESS_FORGED: Refusal
REFUSAL_DIGEST_FORGED: Refusal
REFUSAL_VIEW_DISAGREES: Refusal
REFUSAL_ACCEPTED_NOT_GROUPS: Refusal
REFUSAL_ACCEPTED_TOO_SMALL: Refusal
REFUSAL_TOO_MANY_DISPUTED: Refusal
REFUSAL_QUORUM_MISSING: Refusal
REFUSAL_SECOND_ANSWER: Refusal
REFUSAL_OUT_OF_TURN: Refusal
REFUSAL_BAD_UPDATE: Refusal
REFUSAL_MASKS_WOULD_SHOW: Refusal
REFUSAL_POLICY_EXPIRED: Refusal
REFUSAL_WRONG_STEP: Refusal
REFUSAL_BUDGET_SPENT: Refusal
REFUSAL_FORGED_MEANS: Refusal
REFUSAL_UNKNOWN_ROUND: Refusal
REFUSAL_DATA_UNUSABLE: Refusal
REFUSAL_DEVICE_FAILED: Refusal
REFUSAL_OUT_OF_MEMORY: Refusal
REFUSAL_STATE_UNWRITABLE: Refusal
REFUSAL_TRAINING_FAILED: Refusal
REFUSAL_WATCHED_TOO_OFTEN: Refusal
REFUSAL_WRONG_FLAGS: Refusal
ABORT_REASON_UNSPECIFIED: AbortReason
ABORT_REASON_TOO_FEW_ADVERTISED: AbortReason
ABORT_REASON_TOO_FEW_DEALT: AbortReason
ABORT_REASON_TOO_FEW_UPLOADED: AbortReason
ABORT_REASON_TOO_FEW_CONSISTENT: AbortReason
ABORT_REASON_TOO_FEW_STATISTICS: AbortReason
ABORT_REASON_TOO_FEW_SHARES: AbortReason
ABORT_REASON_TOO_FEW_AGREED: AbortReason
ABORT_REASON_TOO_FEW_ACCEPTED: AbortReason
ABORT_REASON_BINDING_FAILED: AbortReason
ABORT_REASON_BAD_RECONSTRUCTION: AbortReason
ABORT_REASON_SERVER_STOPPED: AbortReason
EXCLUSION_CAUSE_UNSPECIFIED: ExclusionCause
EXCLUSION_CAUSE_FLAG: ExclusionCause
EXCLUSION_CAUSE_EARLIER_FLAG: ExclusionCause
EXCLUSION_CAUSE_PROOF: ExclusionCause

class ClientMessage(_message.Message):
    __slots__ = ("advertised_keys", "dealt_shares", "receipt", "upload", "consistency", "randomness_shares", "masked_statistics", "agreement", "update_shares", "cross_masks", "withdraw")
    ADVERTISED_KEYS_FIELD_NUMBER: _ClassVar[int]
    DEALT_SHARES_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    RANDOMNESS_SHARES_FIELD_NUMBER: _ClassVar[int]
    MASKED_STATISTICS_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_SHARES_FIELD_NUMBER: _ClassVar[int]
    CROSS_MASKS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAW_FIELD_NUMBER: _ClassVar[int]
    advertised_keys: AdvertisedKeys
    dealt_shares: DealtShares
    receipt: Receipt
    upload: Upload
    consistency: Consistency
    randomness_shares: RandomnessShares
    masked_statistics: MaskedStatistics
    agreement: Agreement
    update_shares: UpdateShares
    cross_masks: CrossMasks
    withdraw: Withdraw
    def __init__(self, advertised_keys: _Optional[_Union[AdvertisedKeys, _Mapping]] = ..., dealt_shares: _Optional[_Union[DealtShares, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., upload: _Optional[_Union[Upload, _Mapping]] = ..., consistency: _Optional[_Union[Consistency, _Mapping]] = ..., randomness_shares: _Optional[_Union[RandomnessShares, _Mapping]] = ..., masked_statistics: _Optional[_Union[MaskedStatistics, _Mapping]] = ..., agreement: _Optional[_Union[Agreement, _Mapping]] = ..., update_shares: _Optional[_Union[UpdateShares, _Mapping]] = ..., cross_masks: _Optional[_Union[CrossMasks, _Mapping]] = ..., withdraw: _Optional[_Union[Withdraw, _Mapping]] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("round_start", "key_list", "share_delivery", "dealer_list", "upload_list", "consistency_list", "randomness_list", "accepted_set", "agreement_list", "binding_failed", "round_end", "final_model", "exclusion", "new_policy")
    ROUND_START_FIELD_NUMBER: _ClassVar[int]
    KEY_LIST_FIELD_NUMBER: _ClassVar[int]
    SHARE_DELIVERY_FIELD_NUMBER: _ClassVar[int]
    DEALER_LIST_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_LIST_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_LIST_FIELD_NUMBER: _ClassVar[int]
    RANDOMNESS_LIST_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_SET_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_LIST_FIELD_NUMBER: _ClassVar[int]
    BINDING_FAILED_FIELD_NUMBER: _ClassVar[int]
    ROUND_END_FIELD_NUMBER: _ClassVar[int]
    FINAL_MODEL_FIELD_NUMBER: _ClassVar[int]
    EXCLUSION_FIELD_NUMBER: _ClassVar[int]
    NEW_POLICY_FIELD_NUMBER: _ClassVar[int]
    round_start: RoundStart
    key_list: KeyList
    share_delivery: ShareDelivery
    dealer_list: DealerList
    upload_list: UploadList
    consistency_list: ConsistencyList
    randomness_list: RandomnessList
    accepted_set: AcceptedSet
    agreement_list: AgreementList
    binding_failed: BindingFailed
    round_end: RoundEnd
    final_model: FinalModel
    exclusion: Exclusion
    new_policy: NewPolicy
    def __init__(self, round_start: _Optional[_Union[RoundStart, _Mapping]] = ..., key_list: _Optional[_Union[KeyList, _Mapping]] = ..., share_delivery: _Optional[_Union[ShareDelivery, _Mapping]] = ..., dealer_list: _Optional[_Union[DealerList, _Mapping]] = ..., upload_list: _Optional[_Union[UploadList, _Mapping]] = ..., consistency_list: _Optional[_Union[ConsistencyList, _Mapping]] = ..., randomness_list: _Optional[_Union[RandomnessList, _Mapping]] = ..., accepted_set: _Optional[_Union[AcceptedSet, _Mapping]] = ..., agreement_list: _Optional[_Union[AgreementList, _Mapping]] = ..., binding_failed: _Optional[_Union[BindingFailed, _Mapping]] = ..., round_end: _Optional[_Union[RoundEnd, _Mapping]] = ..., final_model: _Optional[_Union[FinalModel, _Mapping]] = ..., exclusion: _Optional[_Union[Exclusion, _Mapping]] = ..., new_policy: _Optional[_Union[NewPolicy, _Mapping]] = ...) -> None: ...

class RoundId(_message.Message):
    __slots__ = ("counter", "nonce")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    counter: int
    nonce: bytes
    def __init__(self, counter: _Optional[int] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class RoundDescription(_message.Message):
    __slots__ = ("version", "deployment", "policy", "policy_version", "round_id", "attempt", "era", "step", "disputed", "parent", "model", "plan", "cohort", "watch", "flagged")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROUND_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ERA_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    DISPUTED_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    COHORT_FIELD_NUMBER: _ClassVar[int]
    WATCH_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    version: int
    deployment: bytes
    policy: bytes
    policy_version: int
    round_id: RoundId
    attempt: int
    era: int
    step: int
    disputed: bool
    parent: bytes
    model: bytes
    plan: bytes
    cohort: bytes
    watch: Watch
    flagged: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, version: _Optional[int] = ..., deployment: _Optional[bytes] = ..., policy: _Optional[bytes] = ..., policy_version: _Optional[int] = ..., round_id: _Optional[_Union[RoundId, _Mapping]] = ..., attempt: _Optional[int] = ..., era: _Optional[int] = ..., step: _Optional[int] = ..., disputed: _Optional[bool] = ..., parent: _Optional[bytes] = ..., model: _Optional[bytes] = ..., plan: _Optional[bytes] = ..., cohort: _Optional[bytes] = ..., watch: _Optional[_Union[Watch, str]] = ..., flagged: _Optional[_Iterable[int]] = ...) -> None: ...

class OutputLayer(_message.Message):
    __slots__ = ("offset", "length")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    offset: int
    length: int
    def __init__(self, offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class CountSketch(_message.Message):
    __slots__ = ("seed", "rows", "challenge")
    SEED_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    seed: bytes
    rows: int
    challenge: bool
    def __init__(self, seed: _Optional[bytes] = ..., rows: _Optional[int] = ..., challenge: _Optional[bool] = ...) -> None: ...

class LabelRows(_message.Message):
    __slots__ = ("offset", "means", "classes", "hidden", "exponent", "source")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    MEANS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    EXPONENT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    offset: int
    means: bytes
    classes: int
    hidden: int
    exponent: int
    source: MeansSource
    def __init__(self, offset: _Optional[int] = ..., means: _Optional[bytes] = ..., classes: _Optional[int] = ..., hidden: _Optional[int] = ..., exponent: _Optional[int] = ..., source: _Optional[_Union[MeansSource, str]] = ...) -> None: ...

class PlanPart(_message.Message):
    __slots__ = ("output_layer", "count_sketch", "label_rows")
    OUTPUT_LAYER_FIELD_NUMBER: _ClassVar[int]
    COUNT_SKETCH_FIELD_NUMBER: _ClassVar[int]
    LABEL_ROWS_FIELD_NUMBER: _ClassVar[int]
    output_layer: OutputLayer
    count_sketch: CountSketch
    label_rows: LabelRows
    def __init__(self, output_layer: _Optional[_Union[OutputLayer, _Mapping]] = ..., count_sketch: _Optional[_Union[CountSketch, _Mapping]] = ..., label_rows: _Optional[_Union[LabelRows, _Mapping]] = ...) -> None: ...

class StatisticsPlan(_message.Message):
    __slots__ = ("dim", "parts")
    DIM_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    dim: int
    parts: _containers.RepeatedCompositeFieldContainer[PlanPart]
    def __init__(self, dim: _Optional[int] = ..., parts: _Optional[_Iterable[_Union[PlanPart, _Mapping]]] = ...) -> None: ...

class RoundStart(_message.Message):
    __slots__ = ("description", "plan", "model")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    description: RoundDescription
    plan: StatisticsPlan
    model: bytes
    def __init__(self, description: _Optional[_Union[RoundDescription, _Mapping]] = ..., plan: _Optional[_Union[StatisticsPlan, _Mapping]] = ..., model: _Optional[bytes] = ...) -> None: ...

class AdvertisedKeys(_message.Message):
    __slots__ = ("encryption", "update_mask", "statistics_mask", "randomness", "signature", "min_present", "min_accepted", "min_group", "algorithm")
    ENCRYPTION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_MASK_FIELD_NUMBER: _ClassVar[int]
    RANDOMNESS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    MIN_PRESENT_FIELD_NUMBER: _ClassVar[int]
    MIN_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    MIN_GROUP_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    encryption: bytes
    update_mask: bytes
    statistics_mask: bytes
    randomness: bytes
    signature: bytes
    min_present: int
    min_accepted: int
    min_group: int
    algorithm: KeyAlgorithm
    def __init__(self, encryption: _Optional[bytes] = ..., update_mask: _Optional[bytes] = ..., statistics_mask: _Optional[bytes] = ..., randomness: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., min_present: _Optional[int] = ..., min_accepted: _Optional[int] = ..., min_group: _Optional[int] = ..., algorithm: _Optional[_Union[KeyAlgorithm, str]] = ...) -> None: ...

class KeyListEntry(_message.Message):
    __slots__ = ("client", "keys")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    client: int
    keys: AdvertisedKeys
    def __init__(self, client: _Optional[int] = ..., keys: _Optional[_Union[AdvertisedKeys, _Mapping]] = ...) -> None: ...

class KeyList(_message.Message):
    __slots__ = ("advertised", "entries", "commitments", "proof")
    ADVERTISED_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    COMMITMENTS_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    advertised: bytes
    entries: _containers.RepeatedCompositeFieldContainer[KeyListEntry]
    commitments: _containers.RepeatedCompositeFieldContainer[ClientDigest]
    proof: bytes
    def __init__(self, advertised: _Optional[bytes] = ..., entries: _Optional[_Iterable[_Union[KeyListEntry, _Mapping]]] = ..., commitments: _Optional[_Iterable[_Union[ClientDigest, _Mapping]]] = ..., proof: _Optional[bytes] = ...) -> None: ...

class ClientDigest(_message.Message):
    __slots__ = ("client", "digest")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    client: int
    digest: bytes
    def __init__(self, client: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class DealtEntry(_message.Message):
    __slots__ = ("holder", "ciphertext", "commitments")
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    COMMITMENTS_FIELD_NUMBER: _ClassVar[int]
    holder: int
    ciphertext: bytes
    commitments: bytes
    def __init__(self, holder: _Optional[int] = ..., ciphertext: _Optional[bytes] = ..., commitments: _Optional[bytes] = ...) -> None: ...

class DealtShares(_message.Message):
    __slots__ = ("entries", "secret_commitments", "signature")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    SECRET_COMMITMENTS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[DealtEntry]
    secret_commitments: bytes
    signature: bytes
    def __init__(self, entries: _Optional[_Iterable[_Union[DealtEntry, _Mapping]]] = ..., secret_commitments: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class EnvelopeEntry(_message.Message):
    __slots__ = ("dealer", "ciphertext", "commitments")
    DEALER_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    COMMITMENTS_FIELD_NUMBER: _ClassVar[int]
    dealer: int
    ciphertext: bytes
    commitments: bytes
    def __init__(self, dealer: _Optional[int] = ..., ciphertext: _Optional[bytes] = ..., commitments: _Optional[bytes] = ...) -> None: ...

class ShareDelivery(_message.Message):
    __slots__ = ("dealers", "envelopes")
    DEALERS_FIELD_NUMBER: _ClassVar[int]
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    dealers: bytes
    envelopes: _containers.RepeatedCompositeFieldContainer[EnvelopeEntry]
    def __init__(self, dealers: _Optional[bytes] = ..., envelopes: _Optional[_Iterable[_Union[EnvelopeEntry, _Mapping]]] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("unreadable", "signature")
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    unreadable: _containers.RepeatedScalarFieldContainer[int]
    signature: bytes
    def __init__(self, unreadable: _Optional[_Iterable[int]] = ..., signature: _Optional[bytes] = ...) -> None: ...

class DealerList(_message.Message):
    __slots__ = ("dealers",)
    DEALERS_FIELD_NUMBER: _ClassVar[int]
    dealers: bytes
    def __init__(self, dealers: _Optional[bytes] = ...) -> None: ...

class Upload(_message.Message):
    __slots__ = ("payload", "digest")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    digest: bytes
    def __init__(self, payload: _Optional[bytes] = ..., digest: _Optional[bytes] = ...) -> None: ...

class UploadList(_message.Message):
    __slots__ = ("uploaded", "proof")
    UPLOADED_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    uploaded: bytes
    proof: bytes
    def __init__(self, uploaded: _Optional[bytes] = ..., proof: _Optional[bytes] = ...) -> None: ...

class Consistency(_message.Message):
    __slots__ = ("signature",)
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    signature: bytes
    def __init__(self, signature: _Optional[bytes] = ...) -> None: ...

class ClientSignature(_message.Message):
    __slots__ = ("client", "signature")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    client: int
    signature: bytes
    def __init__(self, client: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ConsistencyList(_message.Message):
    __slots__ = ("signatures",)
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    signatures: _containers.RepeatedCompositeFieldContainer[ClientSignature]
    def __init__(self, signatures: _Optional[_Iterable[_Union[ClientSignature, _Mapping]]] = ...) -> None: ...

class ShareEntry(_message.Message):
    __slots__ = ("client", "share")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    client: int
    share: bytes
    def __init__(self, client: _Optional[int] = ..., share: _Optional[bytes] = ...) -> None: ...

class RandomnessShares(_message.Message):
    __slots__ = ("shares",)
    SHARES_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[ShareEntry]
    def __init__(self, shares: _Optional[_Iterable[_Union[ShareEntry, _Mapping]]] = ...) -> None: ...

class ClientRandomness(_message.Message):
    __slots__ = ("client", "randomness")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    RANDOMNESS_FIELD_NUMBER: _ClassVar[int]
    client: int
    randomness: bytes
    def __init__(self, client: _Optional[int] = ..., randomness: _Optional[bytes] = ...) -> None: ...

class RandomnessList(_message.Message):
    __slots__ = ("randomness", "keys", "proof")
    RANDOMNESS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    randomness: _containers.RepeatedCompositeFieldContainer[ClientRandomness]
    keys: _containers.RepeatedCompositeFieldContainer[KeyListEntry]
    proof: bytes
    def __init__(self, randomness: _Optional[_Iterable[_Union[ClientRandomness, _Mapping]]] = ..., keys: _Optional[_Iterable[_Union[KeyListEntry, _Mapping]]] = ..., proof: _Optional[bytes] = ...) -> None: ...

class MaskedStatistics(_message.Message):
    __slots__ = ("payload", "signature")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    signature: bytes
    def __init__(self, payload: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class AcceptedSet(_message.Message):
    __slots__ = ("accepted", "signatures")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    accepted: bytes
    signatures: _containers.RepeatedCompositeFieldContainer[ClientSignature]
    def __init__(self, accepted: _Optional[bytes] = ..., signatures: _Optional[_Iterable[_Union[ClientSignature, _Mapping]]] = ...) -> None: ...

class Agreement(_message.Message):
    __slots__ = ("signature",)
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    signature: bytes
    def __init__(self, signature: _Optional[bytes] = ...) -> None: ...

class AgreementList(_message.Message):
    __slots__ = ("signatures",)
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    signatures: _containers.RepeatedCompositeFieldContainer[ClientSignature]
    def __init__(self, signatures: _Optional[_Iterable[_Union[ClientSignature, _Mapping]]] = ...) -> None: ...

class OpenedShare(_message.Message):
    __slots__ = ("client", "self_seed", "mask_key")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SELF_SEED_FIELD_NUMBER: _ClassVar[int]
    MASK_KEY_FIELD_NUMBER: _ClassVar[int]
    client: int
    self_seed: bytes
    mask_key: bytes
    def __init__(self, client: _Optional[int] = ..., self_seed: _Optional[bytes] = ..., mask_key: _Optional[bytes] = ...) -> None: ...

class UpdateShares(_message.Message):
    __slots__ = ("shares",)
    SHARES_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[OpenedShare]
    def __init__(self, shares: _Optional[_Iterable[_Union[OpenedShare, _Mapping]]] = ...) -> None: ...

class BindingFailed(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MaskImage(_message.Message):
    __slots__ = ("client", "image")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    client: int
    image: bytes
    def __init__(self, client: _Optional[int] = ..., image: _Optional[bytes] = ...) -> None: ...

class CrossMasks(_message.Message):
    __slots__ = ("images",)
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[MaskImage]
    def __init__(self, images: _Optional[_Iterable[_Union[MaskImage, _Mapping]]] = ...) -> None: ...

class Withdraw(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: Refusal
    def __init__(self, reason: _Optional[_Union[Refusal, str]] = ...) -> None: ...

class RoundEnd(_message.Message):
    __slots__ = ("model", "aborted", "flagged", "left_out", "audited", "excluded")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ABORTED_FIELD_NUMBER: _ClassVar[int]
    FLAGGED_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    AUDITED_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    model: bytes
    aborted: AbortReason
    flagged: _containers.RepeatedScalarFieldContainer[int]
    left_out: _containers.RepeatedScalarFieldContainer[int]
    audited: _containers.RepeatedScalarFieldContainer[int]
    excluded: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, model: _Optional[bytes] = ..., aborted: _Optional[_Union[AbortReason, str]] = ..., flagged: _Optional[_Iterable[int]] = ..., left_out: _Optional[_Iterable[int]] = ..., audited: _Optional[_Iterable[int]] = ..., excluded: _Optional[_Iterable[int]] = ...) -> None: ...

class FinalModel(_message.Message):
    __slots__ = ("policy", "era", "step", "parent", "digest", "model")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ERA_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    policy: bytes
    era: int
    step: int
    parent: bytes
    digest: bytes
    model: bytes
    def __init__(self, policy: _Optional[bytes] = ..., era: _Optional[int] = ..., step: _Optional[int] = ..., parent: _Optional[bytes] = ..., digest: _Optional[bytes] = ..., model: _Optional[bytes] = ...) -> None: ...

class Exclusion(_message.Message):
    __slots__ = ("cause", "source", "target", "strength", "required", "rounds", "audits")
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    AUDITS_FIELD_NUMBER: _ClassVar[int]
    cause: ExclusionCause
    source: int
    target: int
    strength: float
    required: float
    rounds: int
    audits: int
    def __init__(self, cause: _Optional[_Union[ExclusionCause, str]] = ..., source: _Optional[int] = ..., target: _Optional[int] = ..., strength: _Optional[float] = ..., required: _Optional[float] = ..., rounds: _Optional[int] = ..., audits: _Optional[int] = ...) -> None: ...

class NewPolicy(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: bytes
    def __init__(self, text: _Optional[bytes] = ...) -> None: ...
