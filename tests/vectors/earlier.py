"""The versions whose vectors are fixed for good: SHA-256 of each file. A release adds its row."""

from __future__ import annotations

EARLIER: dict[int, dict[str, str]] = {
    1: {
        "messages.json": "2405fde6e6111213697620699667e44b013d365d3006da4ca801345932a5952e",
        "messages_bad.json": "96a2830dbd445897ebb2d5e199d9ea82e90a6fef38668975de09ae307e6b314a",
        "primitives.json": "c1ae7fc52e885802602ecc903d5607313b3d96a9779b477f4eff09a3c799bee9",
        "primitives_bad.json": "53a1b7645118512bcf3de578ffcf4247a68f9f8d845c2ce14547f650870c2938",
        "round.json": "6893f2a43a82c85fa3af9fc82eac034e997d226b839e43892353477953a4e869",
    },
    2: {
        "messages.json": "7dbd7a13ea67d3c5072dfcd735e006c61a0a478659ee6cfa54789f4b343e1182",
        "messages_bad.json": "7d7e43698c6cae6608e7bdef1c33eb63c9e8c97de394f78d7426a1d7397c4e04",
        "operations.json": "17b899fcb1496a2076dad6a1345f9a04ba5025d70ba16cffa3d0179e3732eb2e",
        "primitives.json": "448cb414515a0331016f277e06de295df691e27d6e02e1929b22945fb90dc3ab",
        "primitives_bad.json": "53a1b7645118512bcf3de578ffcf4247a68f9f8d845c2ce14547f650870c2938",
        "round.json": "7799cd21724b867a9069b47e5253470879a7287fd9d792635e0e331a4d30b302",
    },
    3: {
        "messages.json": "ce27638da75668f664c1effd0cfd038088f41b04ad62914f2cbdb4848c483ff4",
        "messages_bad.json": "c713c93b14da63486f3422aae14ac2e24fb0517c8288b91f659980b26021b764",
        "operations.json": "c55efcf3f42f728e248be2cf957370944c7443c3eef364131eef093c2a4bc703",
        "primitives.json": "3ed59c266893ee26de815e9411bb3d08eed4f23e1dcbe2634360e20c7dc2de13",
        "primitives_bad.json": "53a1b7645118512bcf3de578ffcf4247a68f9f8d845c2ce14547f650870c2938",
        "round.json": "cb0230d864aa38a1c3100b3e95f21cfc96bd6e03689893db4dac6bd8222b7e17",
    },
    4: {
        "messages.json": "09e1db07db32ec41949b9d2ba6c3b83ce9a9ef971cf8396b50a74c9a9ae3faa5",
        "messages_bad.json": "3ae77c30925351fe9a1540281f7050361d4301006df2d4f7d7b0744c69852159",
        "operations.json": "eb2601c86282e09798dc5326f4560c4740f989e325ff164354a7a14107683d31",
        "primitives.json": "ba0c7ee29b83664fae6344bb8c29cc4f4d85b7c9254b16175ad573adf9d6fb3b",
        "primitives_bad.json": "53a1b7645118512bcf3de578ffcf4247a68f9f8d845c2ce14547f650870c2938",
        "round.json": "421f879a9444153eafbfa28f6bf407fc7a8ebaa798377e76d9229e481646b5b5",
    },
    5: {
        "messages.json": "6a67785e757233c33fec962eb48f96e526c50eaeb3d8c17625de6bb9fee8efc0",
        "messages_bad.json": "30e1b872d1033baa00f2f1886773c7dcb0b4e21fbe2d492fbc883089db812bdb",
        "operations.json": "dc2e4b5ec7af9fa57cc71306607fa3f386c82e6fdf1d9e46cc5effd5629bbfc3",
        "primitives.json": "170aed01f32ca1db4cc9741e737dec0fac7d740bfa02d20b87ec8c38c9b465c6",
        "primitives_bad.json": "53a1b7645118512bcf3de578ffcf4247a68f9f8d845c2ce14547f650870c2938",
        "round.json": "47f953b24d32ecb810aff96829b03b8823b4adca51b0c5a2dae9428bcc9ab1de",
    },
    6: {
        "messages.json": "2110827b89324c94436f76dccd9ced0879896dc383ec0a46a2bfbf0bff5d69ce",
        "messages_bad.json": "7fc530bb385e627420a95b309863e1e180428609f9c5821a606953e7e95b46dd",
        "operations.json": "dc2e4b5ec7af9fa57cc71306607fa3f386c82e6fdf1d9e46cc5effd5629bbfc3",
        "primitives.json": "cfecb7a69c37cd46c71e0b2b05e09f3aa8d2e51d8a2b6e0944b60818b7402c81",
        "primitives_bad.json": "53a1b7645118512bcf3de578ffcf4247a68f9f8d845c2ce14547f650870c2938",
        "round.json": "902f2ee8572d6eecd07712350f16899e90a7e8be7b5265b3d6472dd89948ce56",
    },
}
