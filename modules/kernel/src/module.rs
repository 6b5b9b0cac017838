//! What every module is, uniformly. Block work is not here: it is a plain function of its own signature, called by name
//! in the registry.

use prost::Name;
use serde::{Serialize, de::DeserializeOwned};
use smallvec::SmallVec;

use crate::{
    address::Address,
    authority::Authorized,
    backend::{StoreId, View},
    ctx::Ctx,
    error::{Error, Fatal, Reject, Result},
    indexed::DerivedSink,
};

/// A module of the chain.
pub trait Module {
    /// Its name: in proofs, genesis and codespaces.
    const NAME: &'static str;
    /// Its store.
    const STORE: StoreId;
    /// The version of its records' layout.
    const SCHEMA: u32;
    /// Its messages.
    type Msg: Message;
    /// Its part of the genesis document.
    type Genesis: Serialize + DeserializeOwned;

    /// Writes the module's state at genesis. A rejection names the field.
    fn init_genesis(ctx: &mut Ctx, genesis: Self::Genesis) -> Result<()>;
    /// The state as a genesis document that `init_genesis` takes.
    fn export_genesis(ctx: &Ctx) -> Result<Self::Genesis>;
    /// Executes a message.
    fn handle(ctx: &mut Ctx, msg: Authorized<Self::Msg>) -> Result<Reply>;
    /// Brings the state from an older schema to this one.
    fn migrate(ctx: &mut Ctx, from: u32) -> Result<(), Fatal>;
    /// All derived entries, from the records.
    fn rebuild(view: &dyn View, out: &mut DerivedSink) -> Result<(), Fatal>;
    /// The laws of the module's state.
    fn invariants(ctx: &Ctx, depth: Depth) -> Result<(), Broken>;
}

/// How much of the state a check of invariants reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Running totals only: every block.
    Counters,
    /// Every record: tests, and on demand.
    Full,
}

/// A law that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The law and the two figures.
    #[error("invariant {id} is broken: {detail}")]
    Law {
        /// Its id in the module's specification.
        id: &'static str,
        /// What was expected and what is.
        detail: String,
    },
    /// The check itself could not be made.
    #[error(transparent)]
    Error(#[from] Error),
}

impl Broken {
    /// A law that does not hold.
    pub fn law(id: &'static str, detail: impl Into<String>) -> Self {
        Self::Law { id, detail: detail.into() }
    }
}

impl From<Fatal> for Broken {
    fn from(fatal: Fatal) -> Self {
        Self::Error(fatal.into())
    }
}

/// A parsed message.
pub trait Message: Sized {
    /// Reads a message by the full name of its type: canonical form and every check that needs no state.
    fn parse(name: &str, body: &[u8], app_version: u32) -> Result<Self, Reject>;
    /// Who must sign: the first is the actor.
    fn signers(&self) -> Signers;
    /// Gas on top of what its reads and writes cost: the work that it leaves to later blocks.
    fn base_gas(&self) -> u64;
}

/// One to four signers, without repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers(SmallVec<[Address; 1]>);

impl Signers {
    /// The only signer.
    pub fn one(signer: Address) -> Self {
        Self(smallvec::smallvec![signer])
    }

    /// The signers, the actor first.
    pub fn as_slice(&self) -> &[Address] {
        &self.0
    }
}

/// What a message answers: an `Any` of its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The type URL of the response.
    pub type_url: String,
    /// The encoded response.
    pub value: Vec<u8>,
}

impl Reply {
    /// The reply that carries a response.
    pub fn of<R: Name>(response: &R) -> Self {
        Self { type_url: format!("/{}", R::full_name()), value: response.encode_to_vec() }
    }
}

/// Decodes a message of the wire and refuses every form but the canonical one: what would be signed with one hash and
/// read with another.
pub fn canonical<M: Name + Default>(body: &[u8]) -> Result<M, Reject> {
    let message = M::decode(body).map_err(|e| Reject::tx_decode(format!("{}: {e}", M::full_name())))?;
    let same = message.encoded_len() == body.len() && message.encode_to_vec() == body;
    if same {
        return Ok(message);
    }
    Err(Reject::tx_decode(format!(
        "{}: not in canonical form: fields in ascending order, each once, defaults left out, nothing unknown",
        M::full_name()
    )))
}
