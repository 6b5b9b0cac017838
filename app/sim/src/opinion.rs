//! The second opinion: the model runs the same blocks, and after each of them everything that both know must be equal.

use std::collections::{BTreeMap, BTreeSet};

use bank::Bank;
use kernel::Module as _;
use model::{Block, Model, Outcome, Tx};
use prost::Message as _;
use proto::{
    cosmos::tx::v1beta1::{AuthInfo, TxBody, TxRaw},
    underbid::escrow::v1::{QueryAccountRequest, QueryAccountResponse},
};
use serde_json::{Value, json};
use underbid::execute::{RawBlock, TxResult};

use crate::{
    chain::{CHAIN_ID, Done, TestChain, attribute},
    ledger::Ledger,
    observer::Observer,
    people::{PEOPLE, text},
};

/// The model and the ledger beside a chain.
pub struct Opinion {
    every: u64,
    /// Nothing before the first genesis.
    beside: Option<(Model, Ledger)>,
}

impl Opinion {
    /// Compares all balances and the ends of all transactions after every block, all else after each of so many blocks.
    pub fn every(blocks: u64) -> Self {
        Self { every: blocks, beside: None }
    }
}

impl Observer for Opinion {
    fn genesis(&mut self, chain: &TestChain, state: &Value) -> Result<(), String> {
        match &mut self.beside {
            // The history goes on from an export: both go on as they are.
            Some((model, _)) => model.restarted(chain.height + 1, chain.time_s),
            None => {
                let model = Model::genesis(CHAIN_ID, state, chain.time_s);
                self.beside = Some((model, Ledger::genesis(state)));
            }
        }
        Ok(())
    }

    fn block(&mut self, chain: &TestChain, block: &RawBlock, done: &Done) -> Result<(), String> {
        let (model, ledger) = self.beside.as_mut().ok_or("no genesis")?;
        let balances = serde_json::to_value(Bank::export_genesis(&chain.ctx()).unwrap()).unwrap();
        run(model, block, done).map_err(named)?;
        ledger.block(done);
        ledger.check(&balances).map_err(named)?;
        let says = match block.height % self.every {
            0 => chain.export(),
            _ => json!({ "bank": balances }),
        };
        compare(&says, model).and_then(|()| compare_streams(chain, model)).map_err(named)
    }
}

/// Runs the block; every transaction must end in the same way.
fn run(model: &mut Model, block: &RawBlock, done: &Done) -> Result<(), String> {
    if block.txs.len() != done.results.len() {
        return Err(format!("{} transactions, {} results", block.txs.len(), done.results.len()));
    }
    let mut txs = Vec::new();
    let mut results = Vec::new();
    for (bytes, result) in block.txs.iter().zip(&done.results) {
        // Only a transaction whose fee was taken has such an event.
        let paid = result.events.iter().find_map(|event| attribute(event, "fee_payer"));
        // A message ran, so the fee is gone, also where it failed.
        let ran = result.code == 0 || result.log.starts_with("failed to execute message");
        if ran && paid.is_none() {
            return Err(format!("no fee was taken: {}", result.log));
        }
        if let Some(fee_payer) = paid {
            txs.push(transaction(bytes, fee_payer, result));
            results.push(result);
        }
    }
    let header = Block { height: block.height, time_s: block.time_s, hash: &block.hash };
    let outcomes = model.block(&header, &txs);
    for ((tx, outcome), result) in txs.iter().zip(&outcomes).zip(results) {
        if !tx.out_of_gas {
            same_outcome(tx, outcome, result)?;
        }
    }
    Ok(())
}

fn transaction(bytes: &[u8], fee_payer: &str, result: &TxResult) -> Tx {
    let raw = TxRaw::decode(bytes).unwrap();
    let body = TxBody::decode(raw.body_bytes.as_slice()).unwrap();
    let fee = AuthInfo::decode(raw.auth_info_bytes.as_slice()).unwrap().fee.unwrap();
    Tx {
        fee_payer: fee_payer.to_owned(),
        fee: fee.amount.first().map_or(0, |coin| coin.amount.parse().unwrap()),
        gas_limit: fee.gas_limit,
        messages: body.messages,
        out_of_gas: (result.codespace.as_str(), result.code) == ("sdk", 11),
    }
}

fn same_outcome(tx: &Tx, outcome: &Outcome, result: &TxResult) -> Result<(), String> {
    let types: Vec<_> = tx.messages.iter().map(|message| message.type_url.as_str()).collect();
    match outcome {
        Err(refusal) if refusal.code() == (result.codespace.as_str(), result.code) => Ok(()),
        Err(refusal) => Err(format!(
            "{types:?}: chain {}/{} {}, model {refusal:?} {:?}",
            result.codespace,
            result.code,
            result.log,
            refusal.code()
        )),
        Ok(_) if result.code != 0 => Err(format!(
            "{types:?}: chain {}/{} {}, model accepts",
            result.codespace, result.code, result.log
        )),
        Ok(answers) if answers.len() != result.replies.len() => {
            Err(format!("{types:?}: chain gives {} answers, model {}", result.replies.len(), answers.len()))
        }
        Ok(answers) => {
            let differs = answers.iter().zip(&result.replies).find(|(answer, reply)| {
                (answer.type_url.as_str(), &answer.value) != (reply.type_url.as_str(), &reply.value)
            });
            match differs {
                None => Ok(()),
                Some((answer, reply)) => Err(format!(
                    "{types:?} answers: chain {} {}, model {} {}",
                    reply.type_url,
                    reply.value.escape_ascii(),
                    answer.type_url,
                    answer.value.escape_ascii()
                )),
            }
        }
    }
}

/// Compares what the chain exports with what the model has.
fn compare(says: &Value, model: &Model) -> Result<(), String> {
    for (module, says) in says.as_object().unwrap() {
        let thinks = model.export(module);
        for (field, thinks) in thinks.as_object().unwrap() {
            difference(&format!("{module}.{field}"), &says[field], thinks)?;
        }
    }
    Ok(())
}

/// Compares what leases owe at this second.
fn compare_streams(chain: &TestChain, model: &Model) -> Result<(), String> {
    for account in model.streams() {
        let request = QueryAccountRequest { order_id: account.order };
        let path = "/underbid.escrow.v1.Query/Account";
        let answer: QueryAccountResponse = chain
            .query(path, &request)
            .map_err(|status| format!("order {}: {}", account.order, status.message))?;
        let says = (answer.owed.as_str(), answer.balance.as_str(), answer.dry_at);
        let owed = account.earned.owed;
        let thinks = (&*owed.to_string(), &*(account.balance - owed).to_string(), account.dry_at());
        if says != thinks {
            return Err(format!(
                "account of order {} (owed, balance, dry_at): chain {says:?}, model {thinks:?}",
                account.order
            ));
        }
    }
    Ok(())
}

/// The first place at which two documents differ.
fn difference(path: &str, chain: &Value, model: &Value) -> Result<(), String> {
    match (chain, model) {
        (Value::Object(says), Value::Object(thinks)) => {
            let names: BTreeSet<_> = says.keys().chain(thinks.keys()).collect();
            let of =
                |fields: &serde_json::Map<String, Value>, name| fields.get(name).cloned().unwrap_or_default();
            names.into_iter().try_for_each(|name| {
                difference(&format!("{path}.{name}"), &of(says, name), &of(thinks, name))
            })
        }
        (Value::Array(_) | Value::Null, Value::Array(_) | Value::Null) => {
            let (says, thinks) = (by_key(chain), by_key(model));
            let keys: BTreeSet<_> = says.keys().chain(thinks.keys()).collect();
            let of = |entries: &BTreeMap<String, &Value>, key| {
                entries.get(key).map_or(Value::Null, |entry| (*entry).clone())
            };
            keys.into_iter()
                .try_for_each(|key| difference(&format!("{path}[{key}]"), &of(&says, key), &of(&thinks, key)))
        }
        _ if chain == model => Ok(()),
        _ => Err(format!("{path}: chain {chain}, model {model}")),
    }
}

/// The entries of a list by what they are known by: their keys, or their place where that means something.
fn by_key(list: &Value) -> BTreeMap<String, &Value> {
    const KEYS: [&str; 9] =
        ["id", "round", "owner", "address", "denom", "provider", "class_id", "zone", "seq"];
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let key = |(place, entry): (usize, &Value)| {
        // A candidate's place is its rank, a deposit's when it is spent.
        let ranked = entry.get("weight").or(entry.get("depositor")).is_some();
        let keys: Vec<_> = KEYS.iter().filter_map(|name| Some(entry.get(name)?.to_string())).collect();
        if ranked || keys.is_empty() { place.to_string() } else { keys.join(" ").replace('"', "") }
    };
    entries.iter().enumerate().map(|(place, entry)| (key((place, entry)), entry)).collect()
}

/// With people's names in place of their addresses.
fn named(what: String) -> String {
    PEOPLE.iter().fold(what, |what, name| what.replace(&text(name), name))
}
