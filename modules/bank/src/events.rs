//! What happened to money: typed events, and the string events by which Cosmos clients search for the same.

use kernel::{AbciEvent, Address, Amount, Event};

use crate::Denom;

/// Money went from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are documented in events.proto")]
pub struct Transferred {
    pub sender: Address,
    pub receiver: Address,
    pub denom: Denom,
    pub amount: Amount,
}
kernel::message!(Transferred {
    sender: Address = 1,
    receiver: Address = 2,
    denom: Denom = 3,
    amount: Amount = 4
});

/// Money was destroyed; the supply of the denom fell by as much.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are documented in events.proto")]
pub struct Burned {
    pub account: Address,
    pub denom: Denom,
    pub amount: Amount,
}
kernel::message!(Burned { account: Address = 1, denom: Denom = 2, amount: Amount = 3 });

/// Money was created; the supply of the denom grew by as much.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are documented in events.proto")]
pub struct Minted {
    pub account: Address,
    pub denom: Denom,
    pub amount: Amount,
}
kernel::message!(Minted { account: Address = 1, denom: Denom = 2, amount: Amount = 3 });

impl Event for Transferred {
    const NAME: &'static str = "underbid.bank.v1.EventTransferred";

    fn render(&self, out: &mut Vec<AbciEvent>) {
        let (sender, receiver) = (self.sender.to_string(), self.receiver.to_string());
        let amount = format!("{}{}", self.amount, self.denom);
        out.push(typed(self));
        out.push(coin_spent(&sender, &amount));
        out.push(coin_received(&receiver, &amount));
        out.push(AbciEvent {
            kind: "transfer",
            attributes: vec![("recipient", receiver), ("sender", sender.clone()), ("amount", amount)],
        });
        out.push(AbciEvent { kind: "message", attributes: vec![("sender", sender)] });
    }
}

impl Event for Burned {
    const NAME: &'static str = "underbid.bank.v1.EventBurned";

    fn render(&self, out: &mut Vec<AbciEvent>) {
        let account = self.account.to_string();
        let amount = format!("{}{}", self.amount, self.denom);
        out.push(typed(self));
        out.push(coin_spent(&account, &amount));
        out.push(AbciEvent { kind: "burn", attributes: vec![("burner", account), ("amount", amount)] });
    }
}

impl Event for Minted {
    const NAME: &'static str = "underbid.bank.v1.EventMinted";

    fn render(&self, out: &mut Vec<AbciEvent>) {
        let account = self.account.to_string();
        let amount = format!("{}{}", self.amount, self.denom);
        out.push(typed(self));
        out.push(coin_received(&account, &amount));
        out.push(AbciEvent { kind: "coinbase", attributes: vec![("minter", account), ("amount", amount)] });
    }
}

fn typed<E: Event>(event: &E) -> AbciEvent {
    let mut attributes = Vec::new();
    event.render_fields(&mut attributes);
    AbciEvent { kind: E::NAME, attributes }
}

fn coin_spent(spender: &str, amount: &str) -> AbciEvent {
    let attributes = vec![("spender", spender.to_owned()), ("amount", amount.to_owned())];
    AbciEvent { kind: "coin_spent", attributes }
}

fn coin_received(receiver: &str, amount: &str) -> AbciEvent {
    let attributes = vec![("receiver", receiver.to_owned()), ("amount", amount.to_owned())];
    AbciEvent { kind: "coin_received", attributes }
}
