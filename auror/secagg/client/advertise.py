"""Round 0 (Bonawitz 2017, figure 4, AdvertiseKeys): fresh keys and seeds for one sum."""

from __future__ import annotations

from dataclasses import dataclass

from auror.crypto.entropy import Entropy, Secret
from auror.crypto.kex import KeyPair
from auror.secagg.instance import MASK_KEY, SELF_SEED, Instance, SecretKind


@dataclass(frozen=True)
class InstanceSecrets:
    """One client's secrets for one sum, drawn anew for every attempt."""

    instance: Instance
    mask_key: KeyPair
    """s_i, agrees pairwise masks; restored by the others when i drops out or is left out."""
    self_seed: Secret
    """b_i, the self mask; restored by the others when i is part of the sum."""

    @classmethod
    def draw(cls, instance: Instance, entropy: Entropy) -> InstanceSecrets:
        return cls(instance, KeyPair.draw(entropy), Secret.draw(entropy))

    def to_share(self) -> dict[SecretKind, Secret]:
        """Round 1 (ShareKeys): what the holders get shares of."""
        return {
            SELF_SEED[self.instance]: self.self_seed,
            MASK_KEY[self.instance]: self.mask_key.secret,
        }
