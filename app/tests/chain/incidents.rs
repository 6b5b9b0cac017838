//! What went wrong elsewhere, as far as no other test says that it can't here; docs/reliability.md lists it all.

use prost::Message as _;
use prost_types::Any;
use proto::cosmos::tx::v1beta1::{SignerInfo, TxRaw};
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{RequestProcessProposal, response_process_proposal::ProposalStatus};
use underbid::client::tx::any;

use sim::*;

/// A transaction that CheckTx refuses with this code of the codespace `sdk`, and that no block may hold.
fn refused_everywhere(chain: &TestChain, tx: &[u8], code: u32) {
    let checked = chain.app().check_tx(tx, false).unwrap();
    assert_eq!((checked.codespace.as_str(), checked.code), ("sdk", code), "{}", checked.log);
    let request = RequestProcessProposal { txs: vec![tx.to_vec().into()], ..Default::default() };
    let status = chain.abci().process_proposal(request).status;
    assert_eq!(status, ProposalStatus::Reject as i32);
}

/// A network that names no limits gets CometBFT's, under which blocks are as large as they are slow.
#[test]
fn i_07_the_networks_set_their_own_limits_for_blocks() {
    for document in [LOCALNET, include_str!("../../../genesis/reference.json")] {
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        let block = &document["consensus_params"]["block"];
        let limit = |name: &str| block[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(limit("max_bytes") <= 4 << 20 && limit("max_gas") <= 300_000_000, "{block}");
        let gas = &document["app_state"]["auth"]["params"]["max_block_gas"];
        assert!(gas.is_null() || gas.as_u64() == Some(limit("max_gas")), "both limits of gas are one: {gas}");
    }
}

/// Messages in messages are bytes here: nothing unpacks them, however deep they are.
#[test]
fn i_20_nested_messages_are_refused_without_being_unpacked() {
    let chain = TestChain::new();
    let mut nested = any(&send("alice", "bob", 1));
    for _ in 0..10_000 {
        if nested.encoded_len() > 200_000 {
            break;
        }
        nested = Any { type_url: "/cosmos.authz.v1beta1.MsgExec".into(), value: nested.encode_to_vec() };
    }
    assert!(nested.encoded_len() > 200_000);
    let draft = draft_of(vec![nested]);
    refused_everywhere(&chain, &chain.sign(&draft, &["alice"]), 6);
    // Groups and lists inside fields that the transaction does have.
    let mut deep = vec![0x0b; 100_000];
    deep.extend(vec![0x0c; 100_000]);
    refused_everywhere(&chain, &deep, 2);
}

/// Counts of signers that wrap around in eight bits.
#[test]
fn i_32_no_number_of_signers_or_signatures_wraps_around() {
    let chain = TestChain::new();
    let tx = TxRaw::decode(chain.sign(&draft([&send("alice", "bob", 1)]), &["alice"]).as_slice()).unwrap();
    for count in [0, 2, 255, 256, 257] {
        let mut more = tx.clone();
        more.signatures = vec![tx.signatures[0].clone(); count];
        refused_everywhere(&chain, &more.encode_to_vec(), 4);
        let infos: Vec<SignerInfo> = vec![infos_of(&tx.encode_to_vec())[0].clone(); count];
        let draft = draft([&send("alice", "bob", 1)]);
        let signed = forged(&draft, infos, |_| {}, |_, _| vec![tx.signatures[0].clone(); count]);
        refused_everywhere(&chain, &signed, 4);
    }
}
