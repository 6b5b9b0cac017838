//! Queries: every one answers or says why not, at every height that is kept, and what it answers can be proven.

use std::collections::BTreeSet;

use ics23::{CommitmentProof, HostFunctionsManager, commitment_proof::Proof};
use kernel::{KeyRange, Space, StatusCode};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, Value};
use proto::{
    cosmos::{
        auth::v1beta1::{QueryAccountRequest, QueryAccountResponse},
        bank::v1beta1::{MsgSendResponse, QueryBalanceRequest, QueryBalanceResponse},
        base::query::v1beta1::PageRequest,
        tx::v1beta1::{SimulateRequest, SimulateResponse, Tx},
    },
    underbid::{
        kernel::v1::{QueryClockRequest, QueryClockResponse},
        market::v1::MsgSettle,
    },
};
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{RequestQuery, ResponseQuery};
use underbid::{
    client::tx::Draft,
    modules::{ROUTES, STORES},
    query,
};

use sim::*;

const SIMULATE: &str = "/cosmos.tx.v1beta1.Service/Simulate";

fn ask(chain: &TestChain, path: &str, data: &[u8], height: u64, prove: bool) -> ResponseQuery {
    let height = i64::try_from(height).unwrap();
    chain.abci().query(RequestQuery { data: data.to_vec().into(), path: path.into(), height, prove })
}

fn paths() -> Vec<&'static str> {
    ROUTES.iter().flat_map(|routes| routes.iter().map(|(path, _)| *path)).chain([SIMULATE]).collect()
}

#[test]
fn every_method_that_is_described_is_served_and_the_other_way_round() {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let described: BTreeSet<String> = pool
        .services()
        .filter(|service| service.name() != "Msg")
        .flat_map(|service| {
            let methods: Vec<_> =
                service.methods().map(|m| format!("/{}/{}", service.full_name(), m.name())).collect();
            methods
        })
        .collect();
    let served: BTreeSet<String> = paths().into_iter().map(String::from).collect();
    assert_eq!(served, described);
    assert_eq!(served.len(), paths().len(), "a path has two handlers");
    assert!(served.iter().all(|path| query::is_served(path)));
    assert!(!query::is_served("/cosmos.bank.v1beta1.Query/Nothing"));
}

#[test]
fn every_query_answers_an_empty_request_and_garbage_with_a_value_or_a_status() {
    let chain = TestChain::new();
    let mut answered = 0;
    for path in paths() {
        for data in
            [vec![], vec![0xff; 9], vec![0x08, 0xff, 0xff, 0xff, 0xff, 0x0f], vec![0x0a, 0x02, 0xc3, 0x28]]
        {
            match query::run(chain.app(), path, &data, 0) {
                Ok(answer) => {
                    answered += 1;
                    assert_eq!(answer.height, chain.height, "{path}");
                }
                Err(status) => {
                    let expected = match path {
                        SIMULATE => [StatusCode::Unknown, StatusCode::InvalidArgument],
                        _ => [StatusCode::InvalidArgument, StatusCode::NotFound],
                    };
                    assert!(expected.contains(&status.code), "{path}: {status:?}");
                    assert!((1..500).contains(&status.message.len()), "{path}: {status}");
                }
            }
            let response = ask(&chain, path, &data, 0, false);
            assert_eq!(response.height, i64::try_from(chain.height).unwrap(), "{path}");
            assert!([0, 2, 18, 22].contains(&response.code), "{path}: {}", response.log);
            assert_eq!(response.code == 0, response.codespace.is_empty(), "{path}");
        }
        let huge = query::run(chain.app(), path, &vec![0; (1 << 20) + 1], 0).unwrap_err();
        assert_eq!(huge.code, StatusCode::InvalidArgument, "{path}");
    }
    assert!(answered > 10, "{answered} answers");
}

#[test]
fn errors_have_the_codes_and_words_that_clients_read() {
    let chain = TestChain::new();
    let address = kernel::Address([7; 20]).to_string();
    let request = QueryAccountRequest { address: address.clone() }.encode_to_vec();
    let response = ask(&chain, "/cosmos.auth.v1beta1.Query/Account", &request, 0, false);
    assert_eq!((response.code, response.codespace.as_str()), (22, "sdk"));
    assert_eq!(
        response.log,
        format!("rpc error: code = NotFound desc = account {address} not found: key not found")
    );
    let response = ask(&chain, "/cosmos.gov.v1.Query/Proposals", &[], 0, false);
    assert_eq!((response.code, response.codespace.as_str()), (6, "sdk"));
    let known: QueryAccountResponse = chain
        .query("/cosmos.auth.v1beta1.Query/Account", &QueryAccountRequest { address: text("alice") })
        .unwrap();
    assert_eq!(known.account.unwrap().type_url, "/cosmos.auth.v1beta1.BaseAccount");
    // A code would refuse peers.
    assert_eq!(ask(&chain, "/p2p/filter/addr/1.2.3.4:5", &[], 0, false).code, 0);
    assert_eq!(ask(&chain, "/app/version", &[], 0, false).code, 0);
}

#[test]
fn a_simulation_needs_no_signature_and_is_close_to_what_is_used() {
    let mut chain = TestChain::new();
    // Before and after the key is known.
    for sequence in 0..2 {
        let draft = Draft { fee: vec![], gas_limit: 0, ..draft([&send("alice", "bob", 5)]) };
        let request = SimulateRequest { tx_bytes: draft.unsigned(&[sequence]), ..Default::default() };
        let simulated: SimulateResponse = chain.query(SIMULATE, &request).unwrap();
        // Old clients send the transaction itself.
        let tx = Some(Tx { ..draft.unsigned_tx(&[sequence]) });
        #[allow(deprecated)]
        let old: SimulateResponse =
            chain.query(SIMULATE, &SimulateRequest { tx, ..Default::default() }).unwrap();
        let result = chain.run(chain.sign(&draft_of(draft.messages.clone()), &["alice"]));
        assert_eq!(result.code, 0, "{}", result.log);
        let estimate = simulated.gas_info.unwrap().gas_used;
        assert_eq!(old.gas_info.unwrap().gas_used, estimate);
        // What is missing is the price of the signature's and the key's bytes.
        let used = result.gas_used;
        assert!(estimate <= used && used <= estimate * 11 / 10, "estimated {estimate}, used {used}");
        assert_eq!(simulated.result.unwrap().data, result.data);
    }
    assert_eq!(chain.account("alice").sequence, 2, "a simulation changes nothing");
}

#[test]
fn a_refused_simulation_has_the_number_that_a_block_would_give() {
    let mut chain = TestChain::new();
    for (messages, codespace, code) in [
        (draft([&MsgSettle { signer: text("alice"), order_id: 5 }]), "market", 13),
        (draft([&send("alice", "bob", 2 * PURSE)]), "sdk", 5),
    ] {
        let request = SimulateRequest { tx_bytes: messages.unsigned(&[0]), ..Default::default() };
        let response = ask(&chain, SIMULATE, &request.encode_to_vec(), 0, false);
        assert_eq!((response.codespace.as_str(), response.code), (codespace, code), "{}", response.log);
        assert!(
            response.log.starts_with("rpc error: code = Unknown desc = failed to execute"),
            "{}",
            response.log
        );
        let status = chain.query::<SimulateResponse>(SIMULATE, &request).unwrap_err();
        assert_eq!((status.code, status.rejection), (StatusCode::Unknown, Some((codespace.into(), code))));
        assert!(status.message.contains("with gas used: '"), "{}", status.message);
        let mut other = TestChain::new();
        let result = other.run(other.sign(&messages, &["alice"]));
        assert_eq!((result.codespace.as_str(), result.code), (codespace, code));
    }
    // A query that fails by itself has no other number than before.
    let status = chain.query::<SimulateResponse>("/x.Y/Z", &SimulateRequest::default()).unwrap_err();
    assert_eq!((status.code, status.rejection), (StatusCode::Unimplemented, None));
    assert_eq!(chain.run(chain.sign(&draft([&send("alice", "bob", 1)]), &["alice"])).code, 0);
}

#[test]
fn past_heights_answer_and_the_others_name_the_oldest() {
    let mut chain = TestChain::on_disk();
    for _ in 0..12 {
        chain.ok::<_, MsgSendResponse>("alice", &send("alice", "bob", 1));
    }
    let balance = QueryBalanceRequest { address: text("bob"), denom: "uflop".into() }.encode_to_vec();
    let path = "/cosmos.bank.v1beta1.Query/Balance";
    let oldest = chain.height - 8;
    for height in oldest..=chain.height {
        let answer = query::run(chain.app(), path, &balance, height).unwrap();
        let held = QueryBalanceResponse::decode(answer.value.as_slice()).unwrap().balance.unwrap().amount;
        assert_eq!((answer.height, held), (height, (PURSE + height - 1).to_string()));
    }
    for height in [1, oldest - 1, chain.height + 1, u64::MAX] {
        let status = query::run(chain.app(), path, &balance, height).unwrap_err();
        assert_eq!(status.code, StatusCode::OutOfRange);
        assert!(status.message.contains(&format!("{oldest} to {}", chain.height)), "{status}");
    }
    let response = ask(&chain, path, &balance, 1, false);
    assert_eq!(response.code, 18);
    assert!(response.log.contains(&oldest.to_string()), "{}", response.log);
    assert_ne!(response.height, 0);
    let clock: QueryClockResponse =
        chain.query("/underbid.kernel.v1.Query/Clock", &QueryClockRequest {}).unwrap();
    assert_eq!(
        (clock.height, clock.header_s, clock.chain_id.as_str()),
        (chain.height, chain.time_s, CHAIN_ID)
    );
}

#[test]
fn a_height_that_leaves_the_history_during_a_query_is_refused_with_the_oldest() {
    let mut chain = TestChain::on_disk();
    let path = "/cosmos.bank.v1beta1.Query/Balance";
    let (_, handler) = bank::queries::ROUTES.iter().find(|(at, _)| *at == path).unwrap();
    let request = QueryBalanceRequest { address: text("bob"), denom: "uflop".into() }.encode_to_vec();
    let (view, block) = chain.app().state_at(Some(chain.height)).unwrap();
    let height = chain.height;
    let ask = |chain: &TestChain| query::run_on(chain.app(), *handler, &request, view.clone(), block.clone());
    chain.blocks(8);
    assert_eq!(ask(&chain).unwrap().height, height, "the oldest that is kept");
    chain.blocks(1);
    let status = ask(&chain).unwrap_err();
    assert_eq!(status.code, StatusCode::OutOfRange, "{status}");
    let expected =
        format!("height {height} is not available: this node holds {} to {}", height + 1, chain.height);
    assert_eq!(status.message, expected);
}

#[test]
fn lists_come_in_key_order_only_and_say_so() {
    let chain = TestChain::new();
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut lists = 0;
    for path in paths() {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap();
        let input = service.methods().find(|m| m.name() == method).unwrap().input();
        let Some(field) = input.get_field_by_name("pagination") else { continue };
        let page = PageRequest { reverse: true, ..Default::default() }.encode_to_vec();
        let mut request = DynamicMessage::new(input.clone());
        let page =
            DynamicMessage::decode(pool.get_message_by_name(&PageRequest::full_name()).unwrap(), &*page);
        request.set_field(&field, Value::Message(page.unwrap()));
        // Whatever else it names is well-formed.
        let is_one_of_two = |name: &str| name == "provider" && input.get_field_by_name("tenant").is_some();
        for field in input.fields().filter(|field| !field.is_list() && !is_one_of_two(field.name())) {
            match field.kind() {
                Kind::String if field.name() == "denom" => {
                    request.set_field(&field, Value::String("uflop".into()));
                }
                Kind::String if field.name() == "zone" => {
                    request.set_field(&field, Value::String("eu".into()))
                }
                Kind::String => request.set_field(&field, Value::String(text("alice"))),
                Kind::Uint64 => request.set_field(&field, Value::U64(1)),
                _ => {}
            }
        }
        let status = query::run(chain.app(), path, &request.encode_to_vec(), 0).unwrap_err();
        if status.code == StatusCode::NotFound {
            continue;
        }
        assert_eq!(status.code, StatusCode::InvalidArgument, "{path}: {status}");
        assert!(status.message.contains("pagination.reverse"), "{path}: {status}");
        lists += 1;
    }
    assert!(lists > 8, "{lists} lists");
}

/// Verifies an answer as a light client does: with the published specifications and the app hash alone.
fn verifies(
    response: &ResponseQuery,
    store: &str,
    key: &[u8],
    value: Option<&[u8]>,
    app_hash: &[u8],
) -> bool {
    let ops = &response.proof_ops.as_ref().unwrap().ops;
    assert_eq!(
        ops.iter().map(|op| op.r#type.as_str()).collect::<Vec<_>>(),
        ["ics23:underbid", "ics23:simple"]
    );
    assert_eq!((ops[0].key.as_slice(), ops[1].key.as_slice()), (key, store.as_bytes()));
    let [inner, outer] = [0, 1].map(|at: usize| CommitmentProof::decode(ops[at].data.as_slice()).unwrap());
    let Some(Proof::Exist(root)) = &outer.proof else { return false };
    let (root, spec) = (&root.value, store::proof_spec());
    let in_store = match value {
        Some(value) => ics23::verify_membership::<HostFunctionsManager>(&inner, &spec, root, key, value),
        None => ics23::verify_non_membership::<HostFunctionsManager>(&inner, &spec, root, key),
    };
    let roots = ics23::tendermint_spec();
    let hash = app_hash.to_vec();
    in_store
        && ics23::verify_membership::<HostFunctionsManager>(&outer, &roots, &hash, store.as_bytes(), root)
}

#[test]
fn every_record_and_what_is_missing_is_proven_against_the_app_hash() {
    let mut chain = TestChain::on_disk();
    chain.ok::<_, MsgSendResponse>("alice", &send("alice", "bob", 1));
    let (height, app_hash) = (chain.height, chain.app_hash());
    let view = chain.app().committed().base.state();
    let mut proven = 0;
    let mut records = Vec::new();
    for (id, store) in STORES {
        let all = view.scan(Space::State(*id), KeyRange { start: &[], end: None }, 10_000).unwrap();
        assert!(!all.is_empty(), "{store} has a record");
        records.extend(all.into_iter().map(|(key, value)| (*store, key, value)));
    }
    // Later blocks do not touch what was.
    chain.ok::<_, MsgSendResponse>("alice", &send("alice", "bob", 1));
    for (store, key, value) in records {
        for path in [format!("store/{store}/key"), format!("/store/{store}/key")] {
            let response = ask(&chain, &path, &key, height, true);
            assert_eq!(
                (response.code, response.height),
                (0, i64::try_from(height).unwrap()),
                "{}",
                response.log
            );
            assert_eq!(response.value, value);
            assert!(verifies(&response, store, &key, Some(&value), &app_hash), "{store} {key:?}");
            assert!(!verifies(&response, store, &key, Some(b"other"), &app_hash));
            assert!(!verifies(&response, store, &key, Some(&value), &chain.app_hash()));
        }
        let missing = [key.as_ref(), b"?"].concat();
        let response = ask(&chain, &format!("store/{store}/key"), &missing, height, true);
        assert!(response.value.is_empty());
        assert!(verifies(&response, store, &missing, None, &app_hash), "{store} {missing:?}");
        proven += 1;
        assert_eq!(
            ask(&chain, &format!("store/{store}/key"), &key, height, false).value,
            value,
            "without a proof"
        );
    }
    assert!(proven > 20);
    assert_eq!(ask(&chain, "store/nothing/key", b"x", 0, true).code, 22);
    assert_eq!(ask(&chain, "store/bank/key", b"x", 1_000, true).code, 18);
}
