//! What there is to reach: read from the code, except for which message can meet which refusal. That list is written out here,
//! and is right: a refusal that is not in it is as much a failure as one that is never met.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::coverage::{self, EVENT, MEMPOOL, NODE, TRANSACTION};

/// The modules whose refusals have codes of their own, with the source in which the codes are.
const SOURCES: [(&str, &str); 5] = [
    ("auth", include_str!("../../../../modules/auth/src/errors.rs")),
    ("bank", include_str!("../../../../modules/bank/src/errors.rs")),
    ("escrow", include_str!("../../../../modules/escrow/src/errors.rs")),
    ("provider", include_str!("../../../../modules/provider/src/errors.rs")),
    ("market", include_str!("../../../../modules/market/src/errors.rs")),
];

/// The refusals that every Cosmos client knows by number.
const SDK: [(u32, &str); 18] = [
    (2, "TxDecode"),
    (4, "Unauthorized"),
    (5, "InsufficientFunds"),
    (6, "UnknownRequest"),
    (7, "InvalidAddress"),
    (8, "InvalidPubKey"),
    (9, "UnknownAddress"),
    (10, "InvalidCoins"),
    (11, "OutOfGas"),
    (12, "MemoTooLarge"),
    (13, "InsufficientFee"),
    (18, "InvalidRequest"),
    (19, "TxInMempoolCache"),
    (20, "MempoolIsFull"),
    (21, "TxTooLarge"),
    (30, "TxTimeout"),
    (31, "UnknownExtension"),
    (32, "WrongSequence"),
];

/// The refusals of every module by codespace and code: the arms of `Error::code` in its `errors.rs`.
pub fn errors() -> BTreeMap<(String, u32), String> {
    let own = SOURCES.iter().flat_map(|(codespace, source)| {
        source.lines().filter_map(|line| {
            let (variant, code) = line.trim().strip_prefix("Self::")?.split_once(" => ")?;
            let name = variant.trim_end_matches(" { .. }").to_owned();
            Some(((*codespace).to_owned(), code.trim_end_matches(',').parse().ok()?, name))
        })
    });
    let shared = SDK.iter().map(|(code, name)| ("sdk".to_owned(), *code, (*name).to_owned()));
    own.chain(shared).map(|(codespace, code, name)| ((codespace, code), name)).collect()
}

/// A refusal's name with its codespace.
pub fn error(codespace: &str, code: u32) -> String {
    match errors_once().get(&(codespace.to_owned(), code)) {
        Some(name) => format!("{codespace}.{name}"),
        None => format!("{codespace}.{code}"),
    }
}

fn errors_once() -> &'static BTreeMap<(String, u32), String> {
    static ERRORS: OnceLock<BTreeMap<(String, u32), String>> = OnceLock::new();
    ERRORS.get_or_init(errors)
}

/// The full names of all messages that begin so, from the chain's own proto files.
fn declared(prefix: &str) -> BTreeSet<String> {
    let files = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap().file;
    let ours = files.into_iter().filter(|file| {
        let package = file.package();
        package.starts_with("underbid.") && !package.contains(".store.")
    });
    let names = ours.flat_map(|file| {
        let package = file.package().to_owned();
        file.message_type.into_iter().map(move |message| (package.clone(), message.name().to_owned()))
    });
    names
        .filter(|(_, name)| name.starts_with(prefix) && !name.ends_with("Response"))
        .map(|(package, name)| format!("{package}.{name}"))
        .collect()
}

/// The messages that a block can carry.
pub fn messages() -> BTreeSet<String> {
    let banks = ["MsgSend", "MsgMultiSend"].map(|name| format!("cosmos.bank.v1beta1.{name}"));
    declared("Msg").into_iter().chain(banks).collect()
}

/// Whether there is a message of this name.
pub fn is_message(name: &str) -> bool {
    static MESSAGES: OnceLock<BTreeSet<String>> = OnceLock::new();
    MESSAGES.get_or_init(messages).contains(name)
}

/// All that must be reached: (row, column).
pub fn known() -> BTreeSet<(String, String)> {
    let mut cells = BTreeSet::new();
    let mut add = |row: &str, column: &str| {
        cells.insert((row.to_owned(), column.to_owned()));
    };
    for (row, columns) in REFUSALS {
        columns.split_whitespace().for_each(|column| add(row, column));
    }
    for message in messages() {
        add(&message, "ok");
        add(&message, "sdk.OutOfGas");
    }
    for event in
        declared("Event").into_iter().filter(|event| !NEVER_EVENTS.iter().any(|(never, _)| never == event))
    {
        add(EVENT, &event);
    }
    for (event, reasons) in reasons() {
        reasons.iter().for_each(|reason| add(event, reason));
    }
    for (event, reason) in LATE {
        add(coverage::LATE, format!("{event} {reason}").trim_end());
    }
    for step in ["restart", "rollback", "import", "replay", "rounds"] {
        add(NODE, step);
    }
    cells
}

/// Events with a reason, and the reasons that there are.
fn reasons() -> [(&'static str, Vec<String>); 3] {
    fn texts<T: kernel::codec::Render>(of: impl Fn(u32) -> Option<T>) -> Vec<String> {
        (1..).map_while(of).map(|reason| reason.render()).collect()
    }
    [
        ("underbid.market.v1.EventOrderClosed", texts(market::types::OrderEnd::from_number)),
        ("underbid.market.v1.EventLeaseClosed", texts(market::types::LeaseEnd::from_number)),
        ("underbid.provider.v1.EventStakeSlashed", texts(provider::SlashReason::from_number)),
    ]
}

/// What is due at a time, by its event and its reason: a message that comes to it before the queue does it first.
pub const LATE: [(&str, &str); 6] = [
    ("underbid.market.v1.EventOrderClosed", "Expired"),
    ("underbid.market.v1.EventLeaseClosed", "NoStart"),
    ("underbid.market.v1.EventLeaseClosed", "EndReached"),
    ("underbid.market.v1.EventLeaseClosed", "OutOfFunds"),
    ("underbid.market.v1.EventLeaseClosed", "Reclaimed"),
    ("underbid.market.v1.EventLeaseLowFunds", ""),
];

/// Events that no history shows, and why.
pub const NEVER_EVENTS: [(&str, &str); 3] = [
    ("underbid.kernel.v1.EventItemHeld", "due work never fails; where it did, the history fails"),
    ("underbid.kernel.v1.EventModulePaused", "the totals never disagree; where they did, the history fails"),
    ("underbid.bank.v1.EventMinted", "nothing mints yet"),
];

/// Refusals that no history meets, and why.
pub const NEVER_ERRORS: [(&str, &str); 1] = [(
    "sdk.MempoolIsFull",
    "CheckTx says it to the 65th pending transaction of an account: tests/chain/mempool.rs",
)];

/// What each message can be refused for, besides running out of gas.
const REFUSALS: [(&str, &str); 27] = [
    (
        TRANSACTION,
        "sdk.TxDecode sdk.Unauthorized sdk.InsufficientFunds sdk.UnknownRequest sdk.InvalidPubKey sdk.UnknownAddress \
         sdk.InvalidCoins sdk.OutOfGas sdk.MemoTooLarge sdk.InsufficientFee sdk.InvalidRequest sdk.TxInMempoolCache \
         sdk.TxTooLarge sdk.TxTimeout sdk.UnknownExtension sdk.WrongSequence auth.TooManyUnordered",
    ),
    (MEMPOOL, "ok refused"),
    (
        "cosmos.bank.v1beta1.MsgSend",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidCoins sdk.Unauthorized sdk.InsufficientFunds bank.SendDisabled",
    ),
    (
        "cosmos.bank.v1beta1.MsgMultiSend",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidCoins sdk.Unauthorized sdk.InsufficientFunds bank.SendDisabled \
         bank.NoInputs bank.NoOutputs bank.InputOutputMismatch bank.MultipleSenders bank.TooManyOutputs",
    ),
    (
        "underbid.bank.v1.MsgBurn",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidCoins sdk.InsufficientFunds bank.SendDisabled",
    ),
    (
        "underbid.escrow.v1.MsgUpdateParams",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest escrow.NotAuthority",
    ),
    (
        "underbid.provider.v1.MsgSetClass",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.NotAuthority provider.BadClass",
    ),
    (
        "underbid.provider.v1.MsgRegisterProvider",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest sdk.InsufficientFunds provider.AlreadyRegistered \
         provider.TooManyOperators provider.StakeBelowMinimum provider.BadEndpoints",
    ),
    (
        "underbid.provider.v1.MsgUpdateProvider",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.UnknownProvider provider.ProviderNotActive \
         provider.BadEndpoints",
    ),
    (
        "underbid.provider.v1.MsgSetOperators",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.UnknownProvider provider.ProviderNotActive \
         provider.TooManyOperators",
    ),
    (
        "underbid.provider.v1.MsgAddStake",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest sdk.InsufficientFunds provider.UnknownProvider \
         provider.ProviderNotActive",
    ),
    (
        "underbid.provider.v1.MsgUnstake",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.UnknownProvider provider.ProviderNotActive \
         provider.InsufficientFreeStake provider.StakeBelowRequired provider.TooManyUnbondings",
    ),
    (
        "underbid.provider.v1.MsgSetCapacity",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.UnknownProvider provider.NotOperator \
         provider.ProviderNotActive provider.UnknownClass provider.ClassRetired provider.CapacityInUse \
         provider.TooManyLines provider.StakeBelowRequired",
    ),
    (
        "underbid.provider.v1.MsgExitProvider",
        "sdk.TxDecode sdk.InvalidAddress provider.UnknownProvider provider.ProviderNotActive provider.ProviderBusy",
    ),
    (
        "underbid.provider.v1.MsgUpdateParams",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.NotAuthority",
    ),
    (
        "underbid.market.v1.MsgCreateOrder",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest sdk.InsufficientFunds provider.UnknownClass \
         provider.ClassRetired market.CountOutOfRange market.RateOutOfRange market.TooManyZones market.WindowOutOfRange \
         market.TtlOutOfRange market.StartTimeoutOutOfRange market.ReclaimOutOfRange market.DurationOutOfRange \
         market.WeightOutOfRange market.RoundsOutOfRange market.DepositTooSmall",
    ),
    (
        "underbid.market.v1.MsgCancelOrder",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest market.UnknownOrder market.NotTenant market.OrderNotOpen",
    ),
    (
        "underbid.market.v1.MsgCreateBid",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.UnknownProvider provider.NotOperator \
         provider.ProviderNotActive market.UnknownOrder market.OrderNotBiddable market.OwnOrder market.Barred \
         market.BidExists market.RateOutOfRange market.ZoneNotAllowed market.ReclaimOutOfRange market.UptimeTooLow \
         market.InsufficientCapacity provider.StakeBelowRequired provider.InsufficientFreeStake market.NotLeading \
         market.AuctionEnding market.BookFull",
    ),
    (
        "underbid.market.v1.MsgImproveBid",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.UnknownProvider provider.NotOperator \
         market.UnknownOrder market.OrderNotBiddable market.UnknownBid market.RateOutOfRange market.StepTooSmall \
         provider.InsufficientFreeStake market.NotLeading market.AuctionEnding",
    ),
    (
        "underbid.market.v1.MsgWithdrawBid",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.UnknownProvider provider.NotOperator \
         market.UnknownOrder market.OrderNotBiddable market.UnknownBid market.BidBinding",
    ),
    (
        "underbid.market.v1.MsgConfirmStart",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest market.UnknownOrder market.NoLease provider.NotOperator \
         market.LeaseNotStarting",
    ),
    (
        "underbid.market.v1.MsgTopUp",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest sdk.InsufficientFunds market.UnknownOrder market.OrderClosed \
         market.DepositTooSmall escrow.TooManyDepositors",
    ),
    (
        "underbid.market.v1.MsgCloseLease",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest market.UnknownOrder market.NotTenant market.NoLease",
    ),
    (
        "underbid.market.v1.MsgReclaimLease",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest market.UnknownOrder market.NoLease provider.NotOperator \
         market.LeaseNotActive",
    ),
    (
        "underbid.market.v1.MsgAbandonLease",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest market.UnknownOrder market.NoLease market.NotOwner",
    ),
    (
        "underbid.market.v1.MsgSettle",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest market.UnknownOrder market.NothingToDo",
    ),
    (
        "underbid.market.v1.MsgUpdateParams",
        "sdk.TxDecode sdk.InvalidAddress sdk.InvalidRequest provider.NotAuthority",
    ),
];
