//! Verification as a light client does it: the module's step, then the step to the app hash.

use ics23::{CommitmentProof, HostFunctionsManager, commitment_proof::Proof};
use kernel::AppHash;
use prost::Message as _;

/// Whether the two steps prove that the key has this value, or none.
pub fn verifies(ops: &[Vec<u8>], store: &str, key: &[u8], value: Option<&[u8]>, root: &AppHash) -> bool {
    let [in_trie, in_roots] = ops else { return false };
    let Ok(in_trie) = CommitmentProof::decode(in_trie.as_slice()) else { return false };
    let Ok(in_roots) = CommitmentProof::decode(in_roots.as_slice()) else { return false };
    let Some(Proof::Exist(module)) = &in_roots.proof else { return false };
    let (spec, roots) = (store::proof_spec(), ics23::tendermint_spec());
    let trie_root = module.value.clone();
    let in_trie = match value {
        Some(value) => {
            ics23::verify_membership::<HostFunctionsManager>(&in_trie, &spec, &trie_root, key, value)
        }
        None => ics23::verify_non_membership::<HostFunctionsManager>(&in_trie, &spec, &trie_root, key),
    };
    in_trie
        && ics23::verify_membership::<HostFunctionsManager>(
            &in_roots,
            &roots,
            &root.to_vec(),
            store.as_bytes(),
            &trie_root,
        )
}
