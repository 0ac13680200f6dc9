"""An auditor who follows a log over restarts and rotations, and believes nothing unproven."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import serialization

from rekor import Rekor, check_consistency, check_entry, sha256, verified_checkpoint


class Auditor:
    """Keeps the newest checkpoint of every shard that it has seen proven."""

    def __init__(self, key_ids: set[str]):
        self.key_ids = key_ids
        self.keys: dict[str, object] = {}
        self.trusted: dict[str, tuple[int, bytes]] = {}
        self.ended: dict[str, str] = {}
        self.proofs = 0

    def look(self, rekor: Rekor) -> None:
        """Every shard's checkpoint now."""
        log = rekor.get("/api/v1/log")
        for shard in log["inactiveShards"] or []:
            note = shard["signedTreeHead"]
            assert self.ended.setdefault(shard["treeID"], note) == note, "an ended shard got another checkpoint"
            self.trust(rekor, shard["treeID"], note)
        assert log["treeID"] not in self.ended, "an ended shard takes entries again"
        self.trust(rekor, log["treeID"], log["signedTreeHead"])

    def trust(self, rekor: Rekor, tree: str, note: str) -> tuple[int, bytes]:
        """Believes a checkpoint if its signature holds and it is consistent with the one before."""
        assert note.split("\n", 1)[0].endswith(f" - {tree}")
        size, root = verified_checkpoint(note, self.key(rekor, tree))
        known = self.trusted.get(tree)
        if known and known[0] and size:
            (old, old_root), (new, new_root) = sorted([known, (size, root)])
            path = f"/api/v1/log/proof?firstSize={old}&lastSize={new}&treeID={tree}"
            hashes = [bytes.fromhex(one) for one in rekor.get(path)["hashes"]]
            check_consistency(old, new, old_root, new_root, hashes)
            self.proofs += 1
        if not known or size > known[0]:
            self.trusted[tree] = (size, root)
        return size, root

    def confirm(self, rekor: Rekor, answer: dict) -> int:
        """Fetches an acknowledged entry and proves it under a checkpoint that is trusted already."""
        ((entry_id, promised),) = answer.items()
        tree = str(int(entry_id[:16], 16))
        fetched = rekor.get(f"/api/v1/log/entries/{entry_id}")
        ((found_id, found),) = fetched.items()
        for name in ("body", "integratedTime", "logID", "logIndex"):
            assert found[name] == promised[name], (name, promised, found)
        assert found_id == entry_id
        # The proof is under the checkpoint that came with it: that one has to be trusted first.
        self.trust(rekor, tree, found["verification"]["inclusionProof"]["checkpoint"])
        index, leaf = check_entry(fetched, self.key(rekor, tree))
        assert leaf == sha256(b"\0", base64.b64decode(promised["body"]))
        # And so has what the writer was told.
        self.trust(rekor, tree, promised["verification"]["inclusionProof"]["checkpoint"])
        check_entry(answer, self.key(rekor, tree))
        return index

    def key(self, rekor: Rekor, tree: str):
        if tree not in self.keys:
            rekor.connection.request("GET", f"/api/v1/log/publicKey?treeID={tree}")
            key = serialization.load_pem_public_key(rekor.connection.getresponse().read())
            spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            assert sha256(spki).hex() in self.key_ids, "a key that nobody made"
            self.keys[tree] = key
        return self.keys[tree]
