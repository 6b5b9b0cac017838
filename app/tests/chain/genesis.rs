//! The genesis documents of the repository, documents that are broken, and a chain that begins with another one's state.

use std::sync::Arc;

use kernel::Ctx;
use proto::underbid::{
    market::v1::{MsgCloseLease, MsgCloseLeaseResponse, MsgSettle, MsgSettleResponse, TenantReason},
    provider::v1::{MsgUnstake, MsgUnstakeResponse},
};
use serde_json::{Value, json};
use underbid::{
    app::App,
    execute::RawBlock,
    genesis::validate,
    metrics::Metrics,
    modules,
    tx::{SIGNERS_MAX, TX_BYTES_MAX},
};

use sim::*;

use crate::market;

const REFERENCE: &str = include_str!("../../../genesis/reference.json");

#[test]
fn the_networks_of_the_repository_have_their_app_hashes() {
    let pinned = [
        (LOCALNET, CHAIN_ID, "CAB004F52994D294AC8E03F0B79D34BF0AE715F2D21AA306DB11F8DFE511BAC0"),
        (REFERENCE, "underbid-1", "850CC2CB8B944A6EA613C197717DC182126E6C125CDC62A3C250543DA3F710EA"),
    ];
    let found = pinned.map(|(document, id, _)| {
        let summary = validate(document).unwrap();
        assert_eq!((summary.chain_id.as_str(), summary.validators), (id, 0));
        assert!(summary.records > 10, "{summary}");
        hex::encode_upper(summary.app_hash)
    });
    assert_eq!(found, pinned.map(|(_, _, hash)| hash));
}

/// A document with one thing wrong, and what the error names.
fn broken(pointer: &str, value: Value, named: &str) {
    let mut document: Value = serde_json::from_str(LOCALNET).unwrap();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match (value, parent) {
        (Value::Null, Value::Object(fields)) => drop(fields.remove(field).unwrap()),
        (value, Value::Object(fields)) => drop(fields.insert(field.into(), value)),
        (value, parent) => parent[field.parse::<usize>().unwrap()] = value,
    }
    let error = match validate(&document.to_string()) {
        Ok(summary) => panic!("{pointer}: expected an error that names {named:?}, got\n{summary}"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(named), "{pointer}: expected {named:?} in {error:?}");
    assert!(error.len() < 1_000, "{error}");
}

#[test]
fn nothing_may_follow_a_document() {
    for more in ["3", "{}", "]", "x"] {
        let error = validate(&format!("{LOCALNET}{more}")).unwrap_err().to_string();
        assert!(error.contains("trailing characters"), "{error}");
        let state = format!("{}{more}", genesis_state());
        let error = underbid::genesis::parse_state(state.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("app_state: trailing characters"), "{error}");
    }
    validate(&format!("{LOCALNET}\n ")).unwrap();
}

#[test]
fn an_error_names_the_field() {
    let balance = |address: &str, denom: &str, amount: Value| json!([{ "address": address, "coins": [{ "denom": denom, "amount": amount }] }]);
    let alice = text("alice");
    let other_prefix = "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4";
    // Outside of the application's state.
    broken("/chain_id", json!(""), "chain_id");
    broken("/chain_id", json!("x".repeat(51)), "chain_id");
    broken("/chain_id", json!(7), "chain_id");
    broken("/initial_height", json!("-1"), "initial_height");
    broken("/initial_height", json!("9223372036854775808"), "initial_height");
    broken("/genesis_time", json!("yesterday"), "genesis_time");
    broken("/genesis_time", json!("1930-01-01T00:00:00Z"), "genesis_time");
    broken("/app_state", Value::Null, "app_state");
    // Each validator would take its own present time.
    broken("/validators", json!([{}]), "genesis_time: expected a time");
    // CometBFT's limits: those that it would take, those that it would refuse, and others than the application's.
    broken("/consensus_params", Value::Null, "consensus_params: expected CometBFT's parameters");
    broken("/consensus_params/block", Value::Null, "consensus_params: missing field `block`");
    for bytes in [json!("0"), json!("-1"), json!("104857601"), json!("many"), json!(4_194_304)] {
        broken("/consensus_params/block/max_bytes", bytes, "consensus_params.block.max_bytes: ");
    }
    broken(
        "/consensus_params/block/max_bytes",
        Value::Null,
        "consensus_params.block: missing field `max_bytes`",
    );
    for gas in [json!("-1"), json!("299999999"), json!("0300000000"), json!(300_000_000)] {
        broken("/consensus_params/block/max_gas", gas, "consensus_params.block.max_gas: ");
    }
    broken(
        "/app_state/auth/params/max_block_gas",
        json!(20_000_000),
        "consensus_params.block.max_gas: found \"300000000\", expected \"20000000\"",
    );
    // Missing, unknown, of another type.
    for module in ["kernel", "auth", "bank", "escrow", "provider", "market"] {
        broken(&format!("/app_state/{module}"), Value::Null, module);
        broken(&format!("/app_state/{module}"), json!([]), &format!("app_state.{module}"));
        broken(&format!("/app_state/{module}/extra"), json!(1), "extra");
        broken(&format!("/app_state/{module}/params/extra"), json!(1), "extra");
    }
    broken("/app_state/gov", json!({}), "gov");
    broken("/app_state/auth/params/max_block_gas", json!("many"), "app_state.auth.params.max_block_gas");
    broken("/app_state/auth/params/max_block_gas", json!(-1), "app_state.auth.params.max_block_gas");
    broken("/app_state/auth/params/max_block_gas", json!(1.5), "app_state.auth.params.max_block_gas");
    broken("/app_state/market/params/bids_max", json!(4_294_967_296_u64), "app_state.market.params.bids_max");
    // Amounts and decimals.
    for amount in
        [json!("-1"), json!("1.5"), json!(""), json!("0x10"), json!("01"), json!(" 1"), json!("1".repeat(60))]
    {
        broken("/app_state/market/params/order_fee", amount.clone(), "app_state.market.params.order_fee");
        broken(
            "/app_state/bank/balances",
            balance(&alice, "uflop", amount),
            "app_state.bank.balances[0].coins[0].amount",
        );
    }
    broken(
        "/app_state/auth/params/fee/base_start",
        json!("0.0000000000000000001"),
        "app_state.auth.params.fee.base_start",
    );
    for denom in ["", "u", "9flop", "u flop", "üflop", "ucredit", &"u".repeat(200)] {
        broken("/app_state/auth/params/fee/denom", json!(denom), "app_state.auth.params.fee.denom");
    }
    // Addresses.
    for address in ["", "underbid1", other_prefix, &alice.to_uppercase(), &"x".repeat(10_000)] {
        broken("/app_state/escrow/params/authority", json!(address), "app_state.escrow.params.authority");
        broken(
            "/app_state/bank/balances",
            balance(address, "uflop", json!("1")),
            "app_state.bank.balances[0].address",
        );
    }
    broken("/app_state/kernel/params/bech32_prefix", json!("other"), "app_state.kernel.params.bech32_prefix");
    broken("/app_state/kernel/params/bech32_prefix", json!("Über"), "app_state.kernel.params.bech32_prefix");
    broken(
        "/app_state/kernel/params/bech32_prefix",
        json!("UNDERBID"),
        "app_state.kernel.params.bech32_prefix",
    );
}

#[test]
fn a_field_that_is_given_twice_is_an_error() {
    for field in [r#""chain_id": "underbid-local-1","#, r#""fee_ppm": 20000,"#, r#""bids_max": 32,"#] {
        let error = validate(&LOCALNET.replacen(field, &field.repeat(2), 1)).unwrap_err().to_string();
        assert!(error.contains("duplicate field"), "{field}: {error}");
    }
    assert!(validate("").is_err() && validate("[]").is_err() && validate(&"[".repeat(100_000)).is_err());
}

#[test]
fn a_state_that_breaks_a_rule_is_refused_with_its_field() {
    let alice = text("alice");
    let one = |denom: &str, amount: &str| json!({ "denom": denom, "amount": amount });
    let owner = |coins: Value| json!({ "address": alice, "coins": coins });
    let account = json!({ "address": alice });
    broken("/app_state/kernel/params/max_billing_step_s", json!(0), "kernel.params.max_billing_step_s");
    for billing in [253_402_300_800, u64::MAX] {
        broken("/app_state/kernel/billing", json!(billing), "kernel.billing: expected at most 253402300799");
    }
    let paused = |name: &str| json!({ "name": name, "paused": { "reason": "a test", "since": 1 } });
    for nothing in
        ["", "auth", "kernel", "Market", "underbid.market.v1.MsgSettle", "/underbid.market.v1.MsgBribe"]
    {
        broken(
            "/app_state/kernel/paused",
            json!([paused("market"), paused(nothing)]),
            "kernel.paused[1].name",
        );
    }
    broken("/app_state/kernel/paused", json!([paused("market"), paused("market")]), "kernel.paused[1].name");
    let upgrade = json!({ "name": "v2", "height": 1_000, "app_version": 2 });
    broken("/app_state/kernel/upgrade", upgrade, "app_state.kernel.upgrade");
    broken("/app_state/auth/accounts", json!([account, account]), "auth.accounts[1].address");
    broken("/app_state/auth/params/signatures_max", json!(0), "auth.params.signatures_max");
    broken("/app_state/auth/params/signatures_max", json!(5), "auth.params.signatures_max: expected 1 to 4");
    broken("/app_state/auth/params/fee/base_floor", json!("2000"), "auth.params.fee.base_floor");
    let coins = json!([one("uflop", "1"), one("uflop", "2")]);
    broken("/app_state/bank/balances", json!([owner(coins)]), "bank.balances[0]");
    broken("/app_state/bank/balances", json!([owner(json!([one("uflop", "0")]))]), "bank.balances[0]");
    let twice = owner(json!([one("uflop", "1")]));
    broken("/app_state/bank/balances", json!([twice, twice]), "bank.balances[1]");
    broken("/app_state/bank/supply", json!([one("uflop", "7")]), "bank.supply");
    broken("/app_state/escrow/params/fee_ppm", json!(1_000_001), "escrow.params.fee_ppm");
    broken("/app_state/provider/params/tier_days", json!([1, 2]), "provider.params.tier");
    broken("/app_state/market/params/bids_max", json!(1_000), "market.params.bids_max");
    broken("/app_state/market/last_order", json!(-1), "market.last_order");
}

/// What the parameters may allow, transactions may have.
#[test]
fn the_parameters_promise_no_more_than_a_transaction_can_have() {
    let promised = [auth::SIGNATURES_MAX, auth::TX_BYTES_MAX].map(|max| usize::try_from(max).unwrap());
    assert_eq!(promised, [SIGNERS_MAX, TX_BYTES_MAX]);
}

#[test]
fn every_module_and_every_message_can_begin_paused() {
    let pool = prost_reflect::DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = pool.services().filter(|service| service.name() == "Msg");
    let mut names: Vec<String> = ["bank", "escrow", "provider", "market"].map(str::to_owned).into();
    for service in services {
        names.extend(service.methods().map(|method| format!("/{}", method.input().full_name())));
    }
    assert!(names.len() > 20, "{names:?}");
    let mut document: Value = serde_json::from_str(LOCALNET).unwrap();
    let paused = |name| json!({ "name": name, "paused": { "reason": "a test", "since": 1 } });
    document["app_state"]["kernel"]["paused"] = names.into_iter().map(paused).collect();
    validate(&document.to_string()).unwrap();
}

#[test]
fn an_export_with_validators_and_a_time_is_a_genesis_with_the_limits_of_its_chain() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("config")).unwrap();
    std::fs::create_dir_all(home.path().join("data/application")).unwrap();
    let file = home.path().join("config/genesis.json");
    let mut genesis: Value = serde_json::from_str(LOCALNET).unwrap();
    std::fs::write(&file, genesis.to_string()).unwrap();
    {
        let options = store::Options::new(modules::STORES);
        let store = store::RocksBackend::open(home.path().join("data/application"), options).unwrap();
        let app = App::open(Arc::new(store), Metrics::default()).unwrap();
        app.init_chain(CHAIN_ID, 1, START_S, parsed(&genesis["app_state"])).unwrap();
        let block = RawBlock { height: 1, time_s: START_S, hash: vec![1; 32], ..RawBlock::default() };
        app.finalize(&block).unwrap();
        app.commit().unwrap();
    }
    let export = || -> Value {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_underbid"));
        command.env_clear().args(["export", "--chain-id", CHAIN_ID, "--home"]).arg(home.path());
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    };

    let mut exported = export();
    assert_eq!(exported["consensus_params"], genesis["consensus_params"]);
    exported["validators"] = json!([{}]);
    exported["genesis_time"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(validate(&exported.to_string()).unwrap().validators, 1);

    // Both limits of gas are one, whatever the file said.
    genesis["consensus_params"]["block"]["max_gas"] = json!("-1");
    std::fs::write(&file, genesis.to_string()).unwrap();
    assert_eq!(export()["consensus_params"], exported["consensus_params"]);
    // Without the file the limit of bytes must be said.
    std::fs::remove_file(&file).unwrap();
    let error = validate(&export().to_string()).unwrap_err().to_string();
    assert!(error.contains("consensus_params.block: missing field `max_bytes`"), "{error}");
}

#[test]
fn money_of_a_pool_needs_its_owners() {
    // Stake without a provider, escrow without an order.
    for pool in [provider::STAKE_POOL, escrow::POOL] {
        let coins = json!([{ "denom": "ucredit", "amount": "5" }, { "denom": "uflop", "amount": "5" }]);
        let address = kernel::Address::of_module(pool).to_string();
        broken("/app_state/bank/balances", json!([{ "address": address, "coins": coins }]), "invariant");
    }
}

/// The export of a chain that has just read this state.
fn reexported(state: &Value, height: u64, time_s: u64) -> Value {
    let app = Home::memory().app();
    app.init_chain(CHAIN_ID, height, time_s, parsed(state)).unwrap();
    let committed = app.committed();
    let ctx = Ctx::new(committed.base.state(), kernel::Mode::Query, committed.block.clone());
    serde_json::to_value(modules::export_genesis(&ctx).unwrap()).unwrap()
}

#[test]
fn a_chain_can_begin_with_the_state_of_another() {
    let mut chain = market::with_providers();
    let order = market::active_lease(&mut chain);
    let bidding = market::order_with_bids(&mut chain);
    let unstake = MsgUnstake { owner: text("eve"), amount: "1000000".into() };
    chain.ok::<_, MsgUnstakeResponse>("eve", &unstake);
    let mut unordered = draft([&send("alice", "bob", 1)]);
    let seconds = i64::try_from(chain.time_s + 100).unwrap();
    unordered.unordered_until = Some(prost_types::Timestamp { seconds, nanos: 0 });
    assert_eq!(chain.run(chain.sign(&unordered, &["alice"])).code, 0);

    let state = chain.export();
    assert_eq!(state["market"]["orders"].as_array().unwrap().len(), 2);
    assert_eq!(reexported(&state, chain.height + 1, chain.time_s), state);
    // The billing clock goes on where it stood: a day between the chains bills nobody.
    assert_eq!(reexported(&state, chain.height + 1, chain.time_s + 86_400), state);

    // It goes on: the lease is paid, the auction is decided, nothing can be used twice.
    let homes = vec![Home::memory(), Home::disk()];
    let mut next = TestChain::from_genesis(homes, &state, chain.height + 1, chain.time_s);
    assert_eq!(next.run(chain.sign(&unordered, &["alice"])).code, 19);
    let settle = MsgSettle { signer: text("tim"), order_id: order };
    let paid: MsgSettleResponse = next.ok("tim", &settle);
    assert_ne!(paid.paid, "0");
    next.blocks(15);
    let close = MsgCloseLease { tenant: text("tom"), order_id: order, reason: TenantReason::Done.into() };
    next.ok::<_, MsgCloseLeaseResponse>("tom", &close);
    assert_eq!(market::state_of(&next, bidding), proto::underbid::market::v1::OrderState::Leased);
}
