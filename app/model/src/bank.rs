//! Who has how much of which denom.

use std::collections::BTreeMap;

use proto::{
    cosmos::{bank::v1beta1 as cosmos, base::v1beta1::Coin},
    underbid::bank::v1::{MsgBurn, MsgBurnResponse},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    Address, Model,
    refusal::{Refusal, guard},
};

/// The denom of stake and gas fees.
pub const UFLOP: &str = "uflop";
/// The denom of the market.
pub const UCREDIT: &str = "ucredit";

/// The account of a module.
pub fn module(name: &str) -> Address {
    let hrp = bech32::Hrp::parse_unchecked("underbid");
    bech32::encode::<bech32::Bech32>(hrp, &Sha256::digest(name)[..20]).unwrap()
}

/// All money.
#[derive(Clone, Debug, Default)]
pub struct Bank {
    balances: BTreeMap<(Address, String), u128>,
    disabled: Vec<String>,
}

impl Bank {
    pub(crate) fn genesis(bank: &Value) -> Self {
        let mut this = Self::default();
        for entry in bank["balances"].as_array().unwrap() {
            for coin in entry["coins"].as_array().unwrap() {
                let key = (text(&entry["address"]), text(&coin["denom"]));
                this.balances.insert(key, text(&coin["amount"]).parse().unwrap());
            }
        }
        let flags = bank["send_enabled"].as_array().unwrap().iter();
        this.disabled =
            flags.filter(|flag| flag["enabled"] == false).map(|flag| text(&flag["denom"])).collect();
        this
    }

    /// In the form of a genesis document.
    pub(crate) fn export(&self) -> Value {
        let mut balances = BTreeMap::<_, Vec<_>>::new();
        let mut supply = BTreeMap::<_, u128>::new();
        for ((address, denom), amount) in self.balances.iter().filter(|(_, amount)| **amount > 0) {
            let coin = json!({ "denom": denom, "amount": amount.to_string() });
            balances.entry(address).or_default().push(coin);
            *supply.entry(denom).or_default() += amount;
        }
        let balances: Vec<_> =
            balances.iter().map(|(address, coins)| json!({ "address": address, "coins": coins })).collect();
        let supply: Vec<_> = supply
            .iter()
            .map(|(denom, amount)| json!({ "denom": denom, "amount": amount.to_string() }))
            .collect();
        json!({ "balances": balances, "supply": supply })
    }

    fn balance(&mut self, of: &Address, denom: &str) -> &mut u128 {
        self.balances.entry((of.clone(), denom.to_owned())).or_default()
    }

    /// A guard: the account has as much.
    pub fn require(&mut self, of: &Address, denom: &str, amount: u128) -> Result<(), Refusal> {
        guard(*self.balance(of, denom) >= amount, Refusal::InsufficientFunds)
    }

    /// Takes money out of the world.
    pub fn burn(&mut self, from: &Address, denom: &str, amount: u128) -> Result<(), Refusal> {
        self.require(from, denom, amount)?;
        *self.balance(from, denom) -= amount;
        Ok(())
    }

    /// Moves money.
    pub fn transfer(
        &mut self,
        from: &Address,
        to: &Address,
        denom: &str,
        amount: u128,
    ) -> Result<(), Refusal> {
        self.burn(from, denom, amount)?;
        *self.balance(to, denom) += amount;
        Ok(())
    }

    fn require_enabled(&self, coins: &[Coin]) -> Result<(), Refusal> {
        guard(coins.iter().all(|coin| !self.disabled.contains(&coin.denom)), Refusal::SendDisabled)
    }

    fn require_all(&mut self, of: &Address, coins: &[Coin]) -> Result<(), Refusal> {
        coins.iter().try_for_each(|coin| self.require(of, &coin.denom, amount(coin)))
    }

    fn give(&mut self, from: &Address, to: &Address, coins: &[Coin]) -> Result<(), Refusal> {
        coins.iter().try_for_each(|coin| self.transfer(from, to, &coin.denom, amount(coin)))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn amount(coin: &Coin) -> u128 {
    coin.amount.parse().unwrap()
}

/// A module takes money only through its messages.
fn require_person(receiver: &Address) -> Result<(), Refusal> {
    let modules = ["fee_collector", "stake_pool", "escrow", "market_fees"].map(module);
    guard(!modules.contains(receiver), Refusal::Unauthorized)
}

impl Model {
    pub(crate) fn send(&mut self, msg: cosmos::MsgSend) -> Result<cosmos::MsgSendResponse, Refusal> {
        self.bank.require_enabled(&msg.amount)?;
        require_person(&msg.to_address)?;
        self.bank.require_all(&msg.from_address, &msg.amount)?;
        self.bank.give(&msg.from_address, &msg.to_address, &msg.amount)?;
        Ok(cosmos::MsgSendResponse {})
    }

    pub(crate) fn multi_send(
        &mut self,
        msg: cosmos::MsgMultiSend,
    ) -> Result<cosmos::MsgMultiSendResponse, Refusal> {
        let from = &msg.inputs[0];
        self.bank.require_enabled(&from.coins)?;
        msg.outputs.iter().try_for_each(|to| require_person(&to.address))?;
        self.bank.require_all(&from.address, &from.coins)?;
        for to in &msg.outputs {
            self.bank.give(&from.address, &to.address, &to.coins)?;
        }
        Ok(cosmos::MsgMultiSendResponse {})
    }

    pub(crate) fn burn(&mut self, msg: MsgBurn) -> Result<MsgBurnResponse, Refusal> {
        self.bank.require_enabled(&msg.amount)?;
        self.bank.require_all(&msg.from_address, &msg.amount)?;
        for coin in &msg.amount {
            self.bank.burn(&msg.from_address, &coin.denom, amount(coin))?;
        }
        Ok(MsgBurnResponse {})
    }
}
