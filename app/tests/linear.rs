//! What a stranger sends costs no more than its length allows: the bytes that are allocated for an input grow no faster
//! than the input. Counted by the allocator, so the figures are the same on every machine.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tests"
)]
#![allow(unsafe_code, reason = "an allocator that counts is unsafe code by its nature")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bank::OUTPUTS_MAX;
use prost::Message as _;
use prost_types::Any;
use proto::cosmos::{
    bank::v1beta1::{Input, MsgMultiSend, Output},
    tx::v1beta1::{AuthInfo, Fee, ModeInfo, SignerInfo, TxBody, TxRaw, mode_info},
};
use sim::{FEE, GAS, TestChain, any_send, coin, text};
use underbid::{
    client::tx::{Draft, any},
    genesis, query,
    tx::{MESSAGES_MAX, Purpose, TX_BYTES_MAX, Tx},
};

struct Counting;

static ALLOCATED: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is the system allocator's; only a number is added to.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A call counts as well: many small pieces are no cheaper than one large one.
        ALLOCATED.fetch_add(layout.size() as u64 + 16, Relaxed);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's pointer and layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One measurement at a time: the counter is the process's.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // One that panicked has nothing to leave behind.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sizes, doubling up to the largest transaction.
const SIZES: [usize; 4] = [TX_BYTES_MAX / 8, TX_BYTES_MAX / 4, TX_BYTES_MAX / 2, TX_BYTES_MAX];

/// What a piece of work allocates for each byte of its input; what the input's last half adds is no more a byte than
/// what its second eighth adds. A fixed cost hides neither.
fn assert_linear(name: &str, per_byte_max: u64, input: impl Fn(usize) -> Vec<u8>, work: impl Fn(&[u8])) {
    let costs = SIZES.map(|size| {
        let input = input(size);
        work(&input);
        let before = ALLOCATED.load(Relaxed);
        work(&input);
        (input.len() as u64, ALLOCATED.load(Relaxed) - before)
    });
    for (length, allocated) in &costs {
        assert!(allocated / length <= per_byte_max, "{name}: more than {per_byte_max} a byte: {costs:?}");
    }
    let [first, second, third, last] = costs;
    assert!(last.0 >= first.0 * 4, "{name}: its inputs hardly differ: {costs:?}");
    let added = |from: (u64, u64), to: (u64, u64)| to.1.saturating_sub(from.1) / (to.0 - from.0);
    // A quarter more for buffers that double.
    let grown = added(third, last) > added(first, second) * 5 / 4 + 1;
    assert!(!grown, "{name}: grows faster than its input: {costs:?}");
}

fn raw(body: &TxBody, auth_info: &AuthInfo, signatures: Vec<Vec<u8>>) -> Vec<u8> {
    let (body_bytes, auth_info_bytes) = (body.encode_to_vec(), auth_info.encode_to_vec());
    TxRaw { body_bytes, auth_info_bytes, signatures }.encode_to_vec()
}

fn body(messages: Vec<Any>) -> TxBody {
    TxBody { messages, ..TxBody::default() }
}

/// How many items of `bytes` each fill a size.
fn fill(size: usize, bytes: usize) -> usize {
    (size - 1_000) / bytes
}

/// Makes a transaction of about so many bytes.
type OfSize = Box<dyn Fn(usize) -> Vec<u8>>;

/// Transactions that are long in one way each.
fn long_ones() -> Vec<(&'static str, OfSize)> {
    let nested = |levels: usize| {
        (0..levels).fold(ModeInfo::default(), |inner, _| {
            let multi = mode_info::Multi { bitarray: None, mode_infos: vec![inner] };
            ModeInfo { sum: Some(mode_info::Sum::Multi(multi)) }
        })
    };
    let outputs = |size: usize| {
        let output = Output { address: text("bob"), coins: vec![coin("uflop", 1)] };
        let coins = vec![coin("uflop", fill(size, 80) as u64)];
        let inputs = vec![Input { address: text("alice"), coins }];
        MsgMultiSend { inputs, outputs: vec![output; fill(size, 80)] }
    };
    vec![
        (
            "messages",
            Box::new(move |size| {
                raw(&body(vec![any_send("alice", "bob", 1); fill(size, 140)]), &AuthInfo::default(), vec![])
            }),
        ),
        (
            "empty messages",
            Box::new(move |size| {
                raw(&body(vec![Any::default(); fill(size, 3)]), &AuthInfo::default(), vec![])
            }),
        ),
        (
            "outputs",
            Box::new(move |size| raw(&body(vec![any(&outputs(size))]), &AuthInfo::default(), vec![])),
        ),
        (
            "a memo",
            Box::new(move |size| {
                let body =
                    TxBody { memo: "x".repeat(fill(size, 1)), ..body(vec![any_send("alice", "bob", 1)]) };
                raw(&body, &AuthInfo::default(), vec![])
            }),
        ),
        (
            "signers",
            Box::new(move |size| {
                let signer_infos = vec![SignerInfo { sequence: 1, ..Default::default() }; fill(size, 4)];
                let auth_info = AuthInfo { signer_infos, ..AuthInfo::default() };
                raw(&body(vec![any_send("alice", "bob", 1)]), &auth_info, vec![])
            }),
        ),
        (
            "signatures",
            Box::new(move |size| {
                raw(
                    &body(vec![any_send("alice", "bob", 1)]),
                    &AuthInfo::default(),
                    vec![vec![]; fill(size, 2)],
                )
            }),
        ),
        (
            "nested modes",
            Box::new(move |size| {
                let info = SignerInfo { mode_info: Some(nested(40)), ..Default::default() };
                let count = fill(size, info.encoded_len() + 4);
                let auth_info = AuthInfo { signer_infos: vec![info; count], ..AuthInfo::default() };
                raw(&body(vec![any_send("alice", "bob", 1)]), &auth_info, vec![])
            }),
        ),
        (
            "fee coins",
            Box::new(move |size| {
                let fee = Fee { amount: vec![coin("uflop", 1); fill(size, 12)], ..Fee::default() };
                raw(
                    &body(vec![any_send("alice", "bob", 1)]),
                    &AuthInfo { fee: Some(fee), ..AuthInfo::default() },
                    vec![],
                )
            }),
        ),
        // Not canonical: the same field again and again, and fields that nobody knows.
        ("a repeated field", Box::new(move |size| [10, 1, 7].repeat(fill(size, 3)))),
        ("unknown fields", Box::new(move |size| [0xfa, 0x3f, 1, 7].repeat(fill(size, 4)))),
        ("groups", Box::new(move |size| vec![0x0b; fill(size, 1)])),
    ]
}

#[test]
fn a_transaction_costs_its_length() {
    let _alone = alone();
    let chain = TestChain::new();
    for (name, input) in long_ones() {
        assert_linear(&format!("decode {name}"), 200, &input, |bytes| {
            for purpose in [Purpose::Execute, Purpose::Simulate] {
                drop(Tx::decode(bytes, 1, purpose));
            }
        });
        assert_linear(&format!("check {name}"), 200, &input, |bytes| {
            drop(chain.app().check_tx(bytes, false).unwrap());
        });
        assert_linear(&format!("simulate {name}"), 200, &input, |bytes| {
            drop(chain.app().simulate(bytes).unwrap());
        });
    }
}

#[test]
fn a_signed_transaction_costs_its_length_in_a_block() {
    let _alone = alone();
    let chain = TestChain::new();
    let payments = |outputs: usize| {
        let output = |at: usize| Output { address: text(&format!("{at}")), coins: vec![coin("uflop", 1)] };
        let inputs = vec![Input { address: text("alice"), coins: vec![coin("uflop", outputs as u64)] }];
        any(&MsgMultiSend { inputs, outputs: (0..outputs).map(output).collect() })
    };
    let signed = |messages: Vec<Any>| {
        let fee = vec![coin("uflop", 300 * FEE)];
        chain.sign(&Draft { gas_limit: 300 * GAS, fee, ..Draft::new(messages) }, &["alice"])
    };
    let finalize = |bytes: &[u8]| {
        let (results, ..) = chain.app().finalize(&chain.raw_block(&[bytes.to_vec()])).unwrap();
        assert_eq!(results[0].code, 0, "{}", results[0].log);
    };
    // As many messages as there may be, short ones and each as long as fits; then one that pays as many people as it may.
    let short = |size| signed(vec![any_send("alice", "bob", 1); MESSAGES_MAX * size / TX_BYTES_MAX]);
    assert_linear("finalize short messages", 600, short, finalize);
    let message = payments(50);
    let messages = |size| signed(vec![message.clone(); MESSAGES_MAX * size / TX_BYTES_MAX]);
    assert_linear("finalize messages", 600, messages, finalize);
    let outputs = |size| signed(vec![payments(OUTPUTS_MAX * size / TX_BYTES_MAX)]);
    assert_linear("finalize outputs", 600, outputs, finalize);
}

#[test]
fn a_query_and_a_document_cost_their_length() {
    let _alone = alone();
    let chain = TestChain::new();
    for path in ["/cosmos.bank.v1beta1.Query/Balance", "/underbid.market.v1.Query/Orders"] {
        assert_linear(
            path,
            60,
            |size| [0xfa, 0x3f, 1, 7].repeat(fill(size, 4)),
            |bytes| {
                drop(query::run(chain.app(), path, bytes, 0));
            },
        );
        assert_linear(
            path,
            60,
            |size| [10, 1, 0x37].repeat(fill(size, 3)),
            |bytes| {
                drop(query::run(chain.app(), path, bytes, 0));
            },
        );
    }
    let paths = |size: usize| format!("/{}", "a/".repeat(fill(size, 2))).into_bytes();
    assert_linear("a path", 60, paths, |bytes| {
        let path = std::str::from_utf8(bytes).unwrap();
        drop(query::run(chain.app(), path, &[], 0));
    });
    for text in ["[", "{\"a\":", "\"x\",", "0.1e", "{\"chain_id\":1}"] {
        assert_linear(
            text,
            60,
            |size| text.repeat(fill(size, text.len())).into_bytes(),
            |bytes| {
                drop(genesis::validate(std::str::from_utf8(bytes).unwrap()));
            },
        );
    }
}

#[test]
#[should_panic(expected = "grows faster than its input")]
fn what_grows_with_the_square_is_found() {
    let work = |bytes: &[u8]| {
        (0..bytes.len() / 1_024).for_each(|end| drop(black_box(bytes[..end * 1_024].to_vec())))
    };
    let _alone = alone();
    assert_linear("a square", u64::MAX, |size| vec![0; size], work);
}
