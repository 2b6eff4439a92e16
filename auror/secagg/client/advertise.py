"""Round 0 (Bonawitz 2017, figure 4, AdvertiseKeys): fresh keys and seeds for one sum."""

from __future__ import annotations

from dataclasses import dataclass

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.kex import KeyPair
from auror.secagg.instance import SecretKind


@dataclass(frozen=True)
class MaskSecrets:
    """One client's secrets for one sum with dropout recovery, drawn anew for every attempt."""

    mask_key: KeyPair
    """s_i, agrees pairwise masks; restored by the others when i drops out or is left out."""
    self_seed: Secret
    """b_i, the self mask; restored by the others when i is part of the sum."""

    @classmethod
    def draw(cls, entropy: Entropy) -> MaskSecrets:
        return cls(KeyPair.draw(entropy), Secret.draw(entropy))

    def to_share(self) -> dict[SecretKind, Secret]:
        """Round 1 (ShareKeys): what the holders get shares of."""
        return {
            SecretKind.SELF_SEED: self.self_seed,
            SecretKind.MASK_KEY: self.mask_key.secret,
        }
