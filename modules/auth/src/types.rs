//! Accounts, as they lie in the store.

use kernel::{Address, Derived, Due, Hold, Indexed};

use crate::{PublicKey, state};

kernel::record! {
    /// An account.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Account {
        /// Its address.
        pub address: Address = 1,
        /// The key that speaks for it; none before its first transaction, and never for a module account.
        pub key: Option<PublicKey> = 2,
        /// Its number, unique, part of what is signed.
        pub number: u64 = 3,
        /// The sequence of its next ordered transaction.
        pub sequence: u64 = 4,
        /// How many unordered transactions of it are on record.
        pub unordered_live: u32 = 5,
        /// The name of the module account; none if a key speaks for the account.
        pub module: Option<String> = 6,
    }

    /// A module account's place in the list of them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ModuleName {
        /// The account's address, which follows from the name.
        pub address: Address = 1,
    }

    /// The next account's number.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct NextNumber {
        /// The number.
        pub number: u64 = 1,
    }

    /// An unordered transaction that has not timed out: its key says whose it is and when it does.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Unordered {
        /// Why it could not be removed.
        pub hold: Option<Hold> = 1,
    }
}

/// Whose unordered transaction, and its timeout in nanoseconds of header time.
pub type UnorderedKey = (Address, u64);

impl Indexed<UnorderedKey> for Unordered {
    fn derive(&self, key: &UnorderedKey, out: &mut Derived) {
        match &self.hold {
            None => out.due(&state::EXPIRIES, crate::unordered::expiry(key.1)),
            Some(hold) => out.due(&state::RETRIES, hold.retry_at),
        }
    }
}

impl Due<UnorderedKey> for Unordered {
    fn hold(&mut self) -> &mut Option<Hold> {
        &mut self.hold
    }
}
