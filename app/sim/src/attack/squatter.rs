//! Somebody who puts small deposits into other people's accounts.

use std::collections::{BTreeMap, BTreeSet};

use kernel::Address;
use market::types::OrderId;
use proto::underbid::market::v1::MsgTopUp;
use underbid::client::tx::any;

use super::arena::{Agent, Outbox, View};
use crate::address;

/// A squatter.
#[derive(Clone)]
pub struct Squatter {
    pub name: String,
    address: Address,
    /// What it deposits at a time, in ucredit, and how often into each order; 0: it is honest and does nothing.
    pub amount: u64,
    pub times: u64,
    pub mates: BTreeSet<Address>,
    done: BTreeMap<OrderId, u64>,
}

impl Squatter {
    /// One who does nothing yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: address(name),
            amount: 0,
            times: 0,
            mates: BTreeSet::new(),
            done: BTreeMap::new(),
        }
    }
}

impl Agent for Squatter {
    fn act(&mut self, view: &View, out: &mut Outbox) {
        let strangers = view.orders.iter().filter(|(_, listing)| !self.mates.contains(&listing.order.tenant));
        for (id, _) in strangers {
            let done = self.done.entry(*id).or_default();
            if *done < self.times {
                *done += 1;
                let amount = self.amount.to_string();
                let top_up = MsgTopUp { signer: self.address.to_string(), order_id: *id, amount };
                out.send(&self.name, vec![any(&top_up)]);
            }
        }
    }
}
