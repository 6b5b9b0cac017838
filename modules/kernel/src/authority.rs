//! Who a message speaks for. Handlers take only [`Authorized`] messages, and only this module makes one; its callers are
//! the ante (signatures), and later grants and the governance executor.

use std::ops::Deref;

use crate::address::Address;

/// How the actor's consent was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It signed the transaction.
    Signed,
    /// It granted the right to somebody who signed.
    Grant {
        /// Who signed.
        grantee: Address,
    },
    /// A proposal passed.
    Gov {
        /// The proposal's id.
        proposal: u64,
    },
}

/// Somebody's checked consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    actor: Address,
    origin: Origin,
}

impl Authority {
    /// Consent over a message.
    pub fn over<M>(self, msg: M) -> Authorized<M> {
        Authorized { msg, authority: self }
    }
}

/// The actor signed the transaction, and its signature was checked.
pub fn signed<M>(msg: M, actor: Address) -> Authorized<M> {
    Authority { actor, origin: Origin::Signed }.over(msg)
}

/// A message with the consent of the one for whom it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorized<M> {
    msg: M,
    authority: Authority,
}

impl<M> Authorized<M> {
    /// For whom it speaks.
    pub const fn actor(&self) -> Address {
        self.authority.actor
    }

    /// How the consent was given.
    pub const fn origin(&self) -> Origin {
        self.authority.origin
    }

    /// The message and the consent apart: how a registry passes the inner message on.
    pub fn open(self) -> (M, Authority) {
        (self.msg, self.authority)
    }
}

impl<M> Deref for Authorized<M> {
    type Target = M;
    fn deref(&self) -> &M {
        &self.msg
    }
}
