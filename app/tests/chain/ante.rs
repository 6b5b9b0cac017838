//! What a transaction must pass, what it costs, and what remains of one that failed.

use kernel::Address;
use prost::Message;
use prost_types::{Any, Timestamp};
use proto::cosmos::{
    bank::v1beta1::{MsgSend, MsgSendResponse},
    crypto::ed25519,
    tx::v1beta1::{Tip, Tx, TxRaw},
};
use underbid::{
    client::tx::{Draft, Signer, any},
    modules::FEE_COLLECTOR,
};

use sim::*;

/// A transaction as one person would send it.
fn of(chain: &TestChain, by: &str, change: impl FnOnce(&mut Draft)) -> Vec<u8> {
    let mut draft = draft([&send(by, "bob", 5)]);
    change(&mut draft);
    chain.sign(&draft, &[by])
}

/// Alice's send, changed after the library made it and then signed by her.
fn changed(chain: &TestChain, change: impl FnOnce(&mut Tx)) -> Vec<u8> {
    let draft = draft([&send("alice", "bob", 5)]);
    let infos = infos_of(&chain.sign(&draft, &["alice"]));
    let number = chain.account("alice").number;
    forged(&draft, infos, change, |body, auth_info| {
        vec![key("alice").sign(&sign_bytes(body, auth_info, CHAIN_ID, number)).to_vec()]
    })
}

fn signed_for(chain: &TestChain, chain_id: &str, number_off: u64, by: &str) -> Vec<u8> {
    let account = chain.account("alice");
    let signer =
        Signer { key: &key(by), account_number: account.number + number_off, sequence: account.sequence };
    draft([&send("alice", "bob", 5)]).sign(chain_id, &[signer]).bytes
}

/// The other signature over the same bytes that the plain rule of ECDSA accepts: (r, n - s).
fn high_s(signature: &[u8]) -> Vec<u8> {
    let order = hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").unwrap();
    let (mut out, mut borrow) = (signature.to_vec(), 0i16);
    for at in (0..32).rev() {
        let difference = i16::from(order[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        out[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    out
}

fn with_raw(bytes: &[u8], change: impl FnOnce(&mut TxRaw)) -> Vec<u8> {
    let mut raw = TxRaw::decode(bytes).unwrap();
    change(&mut raw);
    raw.encode_to_vec()
}

fn until(chain: &TestChain, seconds: i64) -> Timestamp {
    Timestamp { seconds: i64::try_from(chain.time_s).unwrap() + seconds, nanos: 0 }
}

/// What is refused before the messages run: what it is, the code, the transaction.
type Case = (&'static str, u32, Vec<u8>);

/// Refused for its bytes, its signers and signatures.
fn badly_signed(chain: &TestChain) -> Vec<Case> {
    let good = || of(chain, "alice", |_| ());
    let two = draft([&send("alice", "bob", 5), &send("carol", "bob", 5)]);
    vec![
        ("no bytes", 18, vec![]),
        ("garbage", 2, vec![0xff; 100]),
        ("a byte after the end", 2, [good(), vec![0]].concat()),
        ("an unknown field", 2, [good(), vec![0x22, 1, 0]].concat()),
        ("another chain", 4, signed_for(chain, "underbid-local-2", 0, "alice")),
        ("another account number", 4, signed_for(chain, CHAIN_ID, 1, "alice")),
        ("a high s", 4, with_raw(&good(), |raw| raw.signatures[0] = high_s(&raw.signatures[0]))),
        ("a flipped signature", 4, with_raw(&good(), |raw| raw.signatures[0][7] ^= 1)),
        ("a short signature", 4, with_raw(&good(), |raw| raw.signatures[0].truncate(63))),
        ("an empty signature", 4, with_raw(&good(), |raw| raw.signatures[0].clear())),
        ("no signature", 4, with_raw(&good(), |raw| raw.signatures.clear())),
        ("two signatures", 4, with_raw(&good(), |raw| raw.signatures.push(vec![0; 64]))),
        ("no signer info", 4, changed(chain, |tx| tx.auth_info.as_mut().unwrap().signer_infos.clear())),
        ("one signer of two", 4, chain.sign(&two, &["alice"])),
        ("the signers in another order", 8, chain.sign(&two, &["carol", "alice"])),
        (
            "an unknown sign mode",
            4,
            changed(chain, |tx| tx.auth_info.as_mut().unwrap().signer_infos[0].mode_info = None),
        ),
        ("somebody else's key", 8, signed_for(chain, CHAIN_ID, 0, "carol")),
        (
            "no key, and none known",
            8,
            changed(chain, |tx| tx.auth_info.as_mut().unwrap().signer_infos[0].public_key = None),
        ),
        ("a payer that does not sign", 4, of(chain, "alice", |draft| draft.payer = text("bob"))),
        ("a fee above the balance", 5, of(chain, "poor", |_| ())),
    ]
}

/// Refused for what it asks, pays or allows.
fn badly_made(chain: &TestChain) -> Vec<Case> {
    let five: Vec<_> = ["alice", "carol", "dave", "erin", "tom"].map(|name| send(name, "bob", 1)).into();
    let stranger = {
        let signer = Signer { key: &key("stranger"), account_number: 0, sequence: 0 };
        draft([&send("stranger", "bob", 5)]).sign(CHAIN_ID, &[signer]).bytes
    };
    let unknown = Any { type_url: "/underbid.market.v1.MsgNothing".into(), value: vec![] };
    let foreign = Any { type_url: "/cosmos.gov.v1.MsgVote".into(), value: vec![] };
    vec![
        ("no messages", 18, of(chain, "alice", |draft| draft.messages.clear())),
        (
            "too many messages",
            18,
            of(chain, "alice", |draft| draft.messages = vec![any_send("alice", "bob", 1); 65]),
        ),
        ("five signers", 18, chain.sign(&draft(&five), &["alice", "carol", "dave", "erin", "tom"])),
        ("an unknown message", 6, of(chain, "alice", |draft| draft.messages = vec![unknown])),
        ("another chain's message", 6, of(chain, "alice", |draft| draft.messages = vec![foreign])),
        (
            "a malformed address",
            7,
            of(chain, "alice", |draft| {
                let message = MsgSend { to_address: "underbid1x".into(), ..send("alice", "bob", 1) };
                draft.messages = vec![any(&message)];
            }),
        ),
        ("an account that is not there", 9, stranger),
        ("a fee in another denom", 10, of(chain, "alice", |draft| draft.fee = vec![coin("ucredit", FEE)])),
        (
            "a fee in two denoms",
            10,
            of(chain, "alice", |draft| draft.fee = vec![coin("ucredit", FEE), coin("uflop", FEE)]),
        ),
        ("less gas than its bytes cost", 11, of(chain, "alice", |draft| draft.gas_limit = 100)),
        ("a long memo", 12, of(chain, "alice", |draft| draft.memo = "x".repeat(257))),
        ("no fee", 13, of(chain, "alice", |draft| draft.fee.clear())),
        ("too low a fee", 13, of(chain, "alice", |draft| draft.fee = vec![coin("uflop", 9)])),
        ("more gas than a block", 18, of(chain, "alice", |draft| draft.gas_limit = 300_000_001)),
        (
            "a tip",
            18,
            changed(chain, |tx| {
                tx.auth_info.as_mut().unwrap().tip = Some(Tip { tipper: text("alice"), amount: vec![] })
            }),
        ),
        (
            "a granter",
            18,
            changed(chain, |tx| tx.auth_info.as_mut().unwrap().fee.as_mut().unwrap().granter = text("bob")),
        ),
        ("too many bytes", 21, of(chain, "alice", |draft| draft.memo = "x".repeat(256 * 1024))),
    ]
}

/// Refused for its time, its sequence, or what this chain does not serve.
fn badly_timed(chain: &TestChain) -> Vec<Case> {
    let height = chain.height;
    vec![
        ("a height that is over", 30, of(chain, "alice", |draft| draft.timeout_height = height)),
        (
            "a time that is over",
            30,
            of(chain, "alice", |draft| draft.unordered_until = Some(until(chain, 1))),
        ),
        (
            "unordered for too long",
            18,
            of(chain, "alice", |draft| draft.unordered_until = Some(until(chain, 602))),
        ),
        ("unordered without a time", 18, changed(chain, |tx| tx.body.as_mut().unwrap().unordered = true)),
        (
            "an extension",
            31,
            changed(chain, |tx| {
                tx.body.as_mut().unwrap().extension_options = vec![any_send("alice", "bob", 1)]
            }),
        ),
        ("a sequence that is used", 32, {
            let account = chain.account("dave");
            let signer =
                Signer { key: &key("dave"), account_number: account.number, sequence: account.sequence - 1 };
            draft([&send("dave", "bob", 5)]).sign(CHAIN_ID, &[signer]).bytes
        }),
        ("a sequence of the future", 32, chain.sign_ahead(&draft([&send("alice", "bob", 5)]), &["alice"], 1)),
    ]
}

#[test]
fn every_refusal_has_its_code_and_leaves_nothing() {
    let mut chain = TestChain::new();
    chain.ok::<_, MsgSendResponse>("dave", &send("dave", "bob", 5));
    for (what, code, tx) in
        badly_signed(&chain).into_iter().chain(badly_made(&chain)).chain(badly_timed(&chain))
    {
        let checked = chain.app().check_tx(&tx, false).unwrap();
        let holdings = chain.holdings();
        // A block holds it only if its proposer is dishonest.
        let result = chain.forced(&[tx]).results.swap_remove(0);
        assert_eq!((result.codespace.as_str(), result.code), ("sdk", code), "{what}: {}", result.log);
        // The mempool speaks of the last block's time, the block of its own.
        if what != "unordered for too long" {
            assert_eq!((checked.codespace.as_str(), checked.code), ("sdk", code), "{what}: {}", checked.log);
        }
        assert!(!result.log.is_empty() && result.log.len() < 500, "{what}: {}", result.log);
        assert!(result.data.is_empty() && result.events.is_empty() && result.replies.is_empty(), "{what}");
        assert!(result.gas_used <= result.gas_wanted, "{what}");
        assert_eq!(chain.holdings(), holdings, "{what}");
        // The next case has the times and heights of a chain that did not move.
        chain.rollback();
    }
    let account = chain.account("alice");
    assert_eq!((account.sequence, account.key), (0, None));
}

/// What would be over when the next block is made is refused before it takes room there for nothing, and is dropped when it
/// waits for so long.
#[test]
fn the_mempool_wants_a_timeout_some_seconds_ahead() {
    let mut chain = TestChain::new();
    let ahead = i64::try_from(underbid::ante::TIMEOUT_AHEAD_S).unwrap();
    let timed =
        |chain: &TestChain, seconds| of(chain, "alice", |draft| draft.timeout = Some(until(chain, seconds)));
    let code = |chain: &TestChain, tx: &[u8], recheck| chain.app().check_tx(tx, recheck).unwrap().code;
    assert_eq!(code(&chain, &timed(&chain, ahead), false), 30);
    let good = timed(&chain, ahead + 1);
    assert_eq!(code(&chain, &good, false), 0);
    chain.block(&[]);
    assert_eq!(code(&chain, &good, true), 30, "a second later it is too near");
    assert_eq!(chain.run(good).code, 0, "a block takes it until it is over");
    // Where blocks are slow, two of them.
    let mut state = genesis_state();
    state["market"]["params"]["window_block_s"] = 30.into();
    let slow = TestChain::with(vec![Home::memory()], &state);
    assert_eq!(code(&slow, &timed(&slow, 60), false), 30);
    assert_eq!(code(&slow, &timed(&slow, 61), false), 0);
}

#[test]
fn a_sequence_error_has_the_words_that_clients_read() {
    let chain = TestChain::new();
    let tx = chain.sign_ahead(&draft([&send("alice", "bob", 5)]), &["alice"], 3);
    let result = chain.app().check_tx(&tx, false).unwrap();
    assert_eq!(result.log, "account sequence mismatch, expected 0, got 3: incorrect account sequence");
}

#[test]
fn a1_22_a_transaction_is_executed_once() {
    let mut chain = TestChain::new();
    let tx = of(&chain, "alice", |_| ());
    let done = chain.block(&[tx.clone(), tx.clone()]);
    assert_eq!([done.results[0].code, done.results[1].code], [0, 32]);
    assert_eq!(chain.run(tx).code, 32);
    assert_eq!(chain.account("alice").sequence, 1);
    assert_eq!(chain.flop(&address("bob")), u128::from(PURSE) + 5);
}

#[test]
fn of_several_messages_all_happen_or_none() {
    let mut chain = TestChain::new();
    let both = draft([&send("alice", "bob", 5), &send("alice", "carol", 7)]);
    assert_eq!(chain.run(chain.sign(&both, &["alice"])).code, 0);
    assert_eq!(chain.flop(&address("carol")), u128::from(PURSE) + 7);

    let second_fails = draft([&send("alice", "bob", 5), &send("alice", "carol", PURSE)]);
    let result = chain.run(chain.sign(&second_fails, &["alice"]));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 5));
    assert!(result.log.contains("message index: 1"), "{}", result.log);
    assert!(result.data.is_empty());
    let acted = |event: &&kernel::AbciEvent| event.attributes.iter().any(|(key, _)| *key == "action");
    assert_eq!(result.events.iter().find(acted), None);
    assert_eq!(chain.flop(&address("bob")), u128::from(PURSE) + 5, "the first message is undone");
    // The fee and the sequence are not.
    assert_eq!(chain.flop(&address("alice")), u128::from(PURSE - 12 - 2 * FEE));
    assert_eq!(chain.account("alice").sequence, 2);
}

#[test]
fn a_message_that_runs_out_of_gas_costs_its_whole_limit() {
    let mut chain = TestChain::new();
    let real = chain.run(of(&chain, "alice", |_| ())).gas_used;
    let tx = of(&chain, "carol", |draft| draft.gas_limit = real - 3_000);
    let result = chain.run(tx);
    assert_eq!(
        (result.code, result.gas_used, result.gas_wanted),
        (11, real - 3_000, real - 3_000),
        "{}",
        result.log
    );
    assert_eq!(chain.flop(&address("carol")), u128::from(PURSE - FEE));
    assert_eq!(chain.account("carol").sequence, 1);
    assert_eq!(chain.flop(&address("bob")), u128::from(PURSE) + 5);
}

#[test]
fn a_send_costs_what_wallets_expect() {
    let mut chain = TestChain::new();
    for _ in 0..2 {
        let result = chain.run(of(&chain, "alice", |_| ()));
        assert!((40_000..100_000).contains(&result.gas_used), "{}", result.gas_used);
    }
}

#[test]
fn several_signers_sign_one_transaction_and_a_payer_pays() {
    let mut chain = TestChain::new();
    let four: Vec<_> = ["alice", "carol", "dave", "erin"].map(|name| send(name, "bob", 1)).into();
    let mut together = draft(&four);
    together.payer = text("erin");
    let result = chain.run(chain.sign(&together, &["alice", "carol", "dave", "erin"]));
    assert_eq!(result.code, 0, "{}", result.log);
    assert_eq!(chain.flop(&address("bob")), u128::from(PURSE) + 4);
    assert_eq!(chain.flop(&address("alice")), u128::from(PURSE - 1));
    assert_eq!(chain.flop(&address("erin")), u128::from(PURSE - 1 - FEE));
    assert!(["alice", "carol", "dave", "erin"].iter().all(|name| chain.account(name).sequence == 1));

    // A payer may sign for nothing else: it signs last.
    let mut sponsored = draft(&[send("alice", "bob", 1)]);
    sponsored.payer = text("tom");
    let (alice, tom) = (chain.flop(&address("alice")), chain.flop(&address("tom")));
    let result = chain.run(chain.sign(&sponsored, &["alice", "tom"]));
    assert_eq!(result.code, 0, "{}", result.log);
    assert_eq!(chain.flop(&address("alice")), alice - 1);
    assert_eq!(chain.flop(&address("tom")), tom - u128::from(FEE));
    assert_eq!((chain.account("alice").sequence, chain.account("tom").sequence), (2, 1));

    // One bad signature of four spoils it, and no sequence is used.
    let bad = with_raw(&chain.sign(&together, &["alice", "carol", "dave", "erin"]), |raw| {
        raw.signatures[2][3] ^= 1
    });
    assert_eq!(chain.run(bad).code, 4);
    assert_eq!(chain.account("alice").sequence, 2);
}

#[test]
fn a_bot_signs_with_ed25519() {
    use ed25519_dalek::Signer as _;
    let mut chain = TestChain::new();
    let draft = draft([&send("bot", "bob", 5)]);
    let mut infos = infos_of(&chain.sign(&draft_of(vec![any_send("alice", "bob", 5)]), &["alice"]));
    infos[0].public_key = Some(any(&ed25519::PubKey { key: bot().verifying_key().as_bytes().to_vec() }));
    let number = chain.account("bot").number;
    let good = forged(
        &draft,
        infos,
        |_| (),
        |body, auth_info| {
            vec![bot().sign(&sign_bytes(body, auth_info, CHAIN_ID, number)).to_bytes().to_vec()]
        },
    );
    let bad = with_raw(&good, |raw| raw.signatures[0][40] ^= 1);
    assert_eq!(chain.run(bad).code, 4);
    let result = chain.run(good);
    assert_eq!(result.code, 0, "{}", result.log);
    assert_eq!(chain.account("bot").key, Some(bot_key()));
}

#[test]
fn a_known_key_need_not_be_sent_again() {
    let mut chain = TestChain::new();
    chain.run(of(&chain, "alice", |_| ()));
    let tx = changed(&chain, |tx| tx.auth_info.as_mut().unwrap().signer_infos[0].public_key = None);
    assert_eq!(chain.run(tx).code, 0);
}

#[test]
fn an_unordered_transaction_is_used_once_and_needs_no_sequence() {
    let mut chain = TestChain::new();
    let unordered = |chain: &TestChain, seconds, amount| {
        let mut draft = draft([&send("alice", "bob", amount)]);
        draft.unordered_until = Some(until(chain, seconds));
        chain.sign(&draft, &["alice"])
    };
    let (first, second) = (unordered(&chain, 10, 1), unordered(&chain, 9, 1));
    let same_time = unordered(&chain, 10, 2);
    let done = chain.block(&[first.clone(), second, first.clone(), same_time]);
    assert_eq!(done.results.iter().map(|result| result.code).collect::<Vec<_>>(), [0, 0, 19, 19]);
    assert_eq!(chain.account("alice").sequence, 0);
    assert_eq!(chain.account("alice").unordered_live, 2);
    assert_eq!(chain.run(first.clone()).code, 19);
    // At its time it is over, and a second later it is forgotten.
    chain.blocks(8);
    assert_eq!(chain.run(first.clone()).code, 30);
    chain.blocks(2);
    assert_eq!(chain.account("alice").unordered_live, 0);
    assert_eq!(chain.run(first).code, 30);
    assert_eq!(chain.flop(&address("bob")), u128::from(PURSE) + 2);
}

#[test]
fn an_account_has_at_most_256_live_unordered_transactions() {
    let mut chain = TestChain::new();
    let txs: Vec<_> = (0..257)
        .map(|extra| {
            let mut draft = draft([&send("alice", "bob", 1)]);
            draft.unordered_until = Some(until(&chain, 100 + extra));
            draft.gas_limit = 200_000;
            chain.sign(&draft, &["alice"])
        })
        .collect();
    let done = chain.block(&txs);
    assert!(done.results[..256].iter().all(|result| result.code == 0), "{:?}", done.results[0]);
    assert_eq!((done.results[256].codespace.as_str(), done.results[256].code), ("auth", 2));
    assert_eq!(chain.account("alice").unordered_live, 256);
}

#[test]
fn the_base_fee_is_burned_and_the_rest_is_kept() {
    let mut chain = TestChain::new();
    let supply = |chain: &TestChain| bank::supply(&chain.ctx(), &bank::uflop()).unwrap().units();
    let collector = Address::of_module(FEE_COLLECTOR);
    for (index, by) in ["alice", "carol", "dave"].into_iter().enumerate() {
        let base = auth::fees::base(&chain.ctx()).unwrap();
        let (supply_before, kept_before) = (supply(&chain), chain.flop(&collector));
        // The second one fails after its fee is taken.
        let amount = if index == 1 { PURSE } else { 5 };
        let mut draft = draft([&send(by, "bob", amount)]);
        draft.gas_limit = 777_777;
        let result = chain.run(chain.sign(&draft, &[by]));
        assert_eq!(result.code, if index == 1 { 5 } else { 0 }, "{}", result.log);
        let burned = auth::fees::required(base, 777_777).unwrap().units();
        assert!(burned > 0);
        assert_eq!(supply_before - supply(&chain), burned);
        assert_eq!(chain.flop(&collector) - kept_before, u128::from(FEE) - burned);
    }
}

#[test]
fn no_message_takes_the_money_that_a_later_transaction_pays_with() {
    let mut chain = TestChain::new();
    let params = auth::params(&chain.ctx()).unwrap();
    let base = auth::fees::base(&chain.ctx()).unwrap();
    let first = chain.sign(&draft([&send("alice", "bob", PURSE - FEE)]), &["alice"]);
    let (gas_limit, fee) = (params.max_block_gas - GAS, 100 * FEE);
    let rest = Draft { gas_limit, fee: vec![coin("uflop", fee)], ..draft([&send("alice", "bob", 5)]) };
    let second = chain.sign_ahead(&rest, &["alice"], 1);
    for tx in [&first, &second] {
        assert_eq!(chain.app().check_tx(tx, false).unwrap().code, 0, "its place in a block is taken");
    }
    let codes: Vec<_> = chain.block(&[first, second]).results.iter().map(|result| result.code).collect();
    assert_eq!(codes, [5, 0]);
    assert_eq!(chain.flop(&address("alice")), u128::from(PURSE - FEE - fee - 5));
    // The block had no room for others, so its gas becomes dearer, though hardly any was used.
    let dearer = auth::fees::next(base, gas_limit + GAS, params.max_block_gas, &params.fee);
    assert!(dearer > base);
    assert_eq!(auth::fees::base(&chain.ctx()).unwrap(), dearer);
}

#[test]
fn a_transaction_may_still_be_in_the_block_of_its_last_height() {
    let mut chain = TestChain::new();
    let until = |chain: &TestChain, height| of(chain, "alice", |draft| draft.timeout_height = height);
    let in_time = until(&chain, chain.height + 1);
    assert_eq!(chain.app().check_tx(&in_time, false).unwrap().code, 0);
    assert_eq!(chain.run(in_time).code, 0);
    let late = until(&chain, chain.height);
    assert_eq!(chain.app().check_tx(&late, false).unwrap().code, 30);
    assert_eq!(chain.run(late).code, 30);
}

#[test]
fn exactly_the_least_fee_is_enough() {
    let mut chain = TestChain::new();
    let least = auth::fees::required(auth::fees::base(&chain.ctx()).unwrap(), GAS).unwrap().units();
    let with_fee = |chain: &TestChain, fee: u128| {
        let fee = u64::try_from(fee).unwrap();
        of(chain, "alice", |draft| draft.fee = vec![coin("uflop", fee)])
    };
    assert_eq!(chain.run(with_fee(&chain, least - 1_000)).code, 13);
    let least = auth::fees::required(auth::fees::base(&chain.ctx()).unwrap(), GAS).unwrap().units();
    assert_eq!(chain.forced(&[with_fee(&chain, least - 1)]).results[0].code, 13);
    let least = auth::fees::required(auth::fees::base(&chain.ctx()).unwrap(), GAS).unwrap().units();
    assert_eq!(chain.run(with_fee(&chain, least)).code, 0);
}

#[test]
fn a_transaction_tells_its_fee_sequence_and_messages() {
    let mut chain = TestChain::new();
    let result = chain.run(of(&chain, "alice", |_| ()));
    let value = |kind: &str, key: &str| {
        let event = result.events.iter().filter(|event| event.kind == kind);
        event
            .flat_map(|event| &event.attributes)
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.clone())
    };
    assert_eq!(value("tx", "fee"), Some(format!("{FEE}uflop")));
    assert_eq!(value("tx", "acc_seq"), Some(format!("{}/0", text("alice"))));
    assert!(value("tx", "signature").is_some());
    assert_eq!(value("message", "action"), Some("/cosmos.bank.v1beta1.MsgSend".into()));
    assert_eq!(value("message", "sender"), Some(text("alice")));
    assert!(value("transfer", "amount").is_some());
}

#[test]
fn the_network_sets_how_many_sign_and_what_it_costs() {
    let gas_with = |cost: u64| {
        let mut state = genesis_state();
        state["auth"]["params"]["signatures_max"] = 2.into();
        state["auth"]["params"]["secp256k1_cost"] = cost.into();
        let mut chain = TestChain::with(vec![Home::memory()], &state);
        let three: Vec<_> = ["alice", "carol", "dave"].map(|name| send(name, "bob", 1)).into();
        assert_eq!(chain.run(chain.sign(&draft(&three), &["alice", "carol", "dave"])).code, 18);
        let result = chain.run(chain.sign(&draft(&three[..2]), &["alice", "carol"]));
        assert_eq!(result.code, 0, "{}", result.log);
        result.gas_used
    };
    assert_eq!(gas_with(5_000) - gas_with(1_000), 2 * 4_000);
}
