//! Proofs as ICS-23 puts them, and the specification that verifies them.

use ics23::{
    CommitmentProof, ExistenceProof, HashOp, InnerOp, InnerSpec, LeafOp, LengthOp, NonExistenceProof,
    ProofSpec, commitment_proof,
};
use kernel::ProofOp;
use prost::Message;

use crate::{
    hash::{Hash, LEAF_TAG},
    trie::{Path, Sibling},
};

/// The kind of the step inside a module's trie; [`proof_spec`] verifies it.
pub const TRIE_PROOF: &str = "ics23:underbid";

/// The kind of the step from a module's root to the app hash; `ics23::tendermint_spec` verifies it.
pub const ROOTS_PROOF: &str = "ics23:simple";

/// The specification of a module's trie, for light clients and IBC counterparties. It has no least depth, since a
/// module may hold a single record, and no path is longer than a key hash has bits.
#[must_use]
pub fn proof_spec() -> ProofSpec {
    let inner = InnerSpec {
        child_order: vec![0, 1],
        child_size: 32,
        min_prefix_length: 0,
        max_prefix_length: 0,
        empty_child: Vec::new(),
        hash: HashOp::Sha256.into(),
    };
    ProofSpec {
        leaf_spec: Some(trie_leaf()),
        inner_spec: Some(inner),
        max_depth: 256,
        min_depth: 0,
        prehash_key_before_comparison: true,
    }
}

fn trie_leaf() -> LeafOp {
    LeafOp {
        hash: HashOp::Sha256.into(),
        prehash_key: HashOp::Sha256.into(),
        prehash_value: HashOp::Sha256.into(),
        length: LengthOp::NoPrefix.into(),
        prefix: LEAF_TAG.to_vec(),
    }
}

/// That a key of a trie has a value.
pub(crate) fn existence(path: Path, value: Vec<u8>) -> ExistenceProof {
    let steps = path.siblings.iter().map(|sibling| inner(&[], sibling)).collect();
    ExistenceProof { key: path.key, value, leaf: Some(trie_leaf()), path: steps }
}

/// The trie's step of a proof of existence.
pub(crate) fn present(key: &[u8], proof: ExistenceProof) -> ProofOp {
    operation(TRIE_PROOF, key, commitment_proof::Proof::Exist(proof))
}

/// The trie's step of a proof of absence: the neighbours in the order of key hashes have nothing between them.
pub(crate) fn absent(key: &[u8], left: Option<ExistenceProof>, right: Option<ExistenceProof>) -> ProofOp {
    let proof = NonExistenceProof { key: key.to_vec(), left, right };
    operation(TRIE_PROOF, key, commitment_proof::Proof::Nonexist(proof))
}

/// The step from a module's root to the app hash.
pub(crate) fn in_roots(name: &str, root: &Hash, siblings: &[Sibling]) -> ProofOp {
    let proof = ExistenceProof {
        key: name.as_bytes().to_vec(),
        value: root.to_vec(),
        leaf: ics23::tendermint_spec().leaf_spec,
        path: siblings.iter().map(|sibling| inner(&[1], sibling)).collect(),
    };
    operation(ROOTS_PROOF, name.as_bytes(), commitment_proof::Proof::Exist(proof))
}

fn inner(tag: &[u8], sibling: &Sibling) -> InnerOp {
    let (prefix, suffix) = match sibling {
        Sibling::Left(hash) => ([tag, hash].concat(), Vec::new()),
        Sibling::Right(hash) => (tag.to_vec(), hash.to_vec()),
    };
    InnerOp { hash: HashOp::Sha256.into(), prefix, suffix }
}

fn operation(kind: &'static str, key: &[u8], proof: commitment_proof::Proof) -> ProofOp {
    ProofOp { kind, key: key.to_vec(), data: CommitmentProof { proof: Some(proof) }.encode_to_vec() }
}
