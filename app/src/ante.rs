//! What a transaction must pass before its messages run: limits, time, accounts, nonce, fee, signatures.

use kernel::{Address, Amount, Cost, Ctx, Dec, Mode, Reject, Result, codec::length, excerpt};

use crate::{
    modules::FEE_COLLECTOR,
    signatures::{Facts, SignatureCache},
    tx::Tx,
};

/// What a transaction paid for being in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The whole fee.
    pub fee: Amount,
    /// The part that is burned: the base fee for all of its gas limit.
    pub base: Amount,
}

/// How far ahead of the last block's time a timeout has to be for the mempool, in seconds: this, or two of the network's blocks
/// if that is longer. What is over when the next block is made would fill it for nothing: it is refused there, and
/// nobody has paid.
pub const TIMEOUT_AHEAD_S: u64 = 10;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Runs the checks in order and takes the fee; after an error nothing of it remains.
pub fn run(ctx: &mut Ctx, tx: &Tx, signatures: &SignatureCache) -> Result<Paid> {
    let params = auth::params(ctx)?;
    within_limits(tx, &params)?;
    within_time(ctx, tx, &params)?;
    ctx.charge(Cost::Fixed(u64::from(params.tx_cost_per_byte).saturating_mul(length(tx.size))))?;
    let base_fee = auth::fees::base(ctx)?;
    let paid = fee_due(ctx.mode(), tx, &params, base_fee)?;
    let (accounts, facts) = known_signers(ctx, tx, &params)?;
    use_nonces(ctx, tx, accounts)?;
    bank::transfer(ctx, tx.fee_payer, Address::of_module(FEE_COLLECTOR), &bank::uflop(), paid.fee)?;
    // Last, as it takes longest: a signature is checked, and remembered, only for who can pay.
    let chain_id = &ctx.block.chain_id;
    let good = match ctx.mode() {
        Mode::Deliver => signatures.check(tx, &facts, chain_id),
        Mode::Check => signatures.check_and_remember(tx, &facts, chain_id),
        Mode::Recheck | Mode::Simulate | Mode::Query => true,
    };
    if good { Ok(paid) } else { Err(bad_signature(&facts, chain_id)) }
}

fn within_limits(tx: &Tx, params: &auth::Params) -> Result<()> {
    if tx.size > usize::try_from(params.tx_bytes_max).unwrap_or(usize::MAX) {
        let text = format!("a transaction has at most {} bytes, got {}", params.tx_bytes_max, tx.size);
        return Err(Reject::new(Reject::SDK, 21, text).into());
    }
    if length(tx.memo_length) > u64::from(params.max_memo_characters) {
        let text = format!(
            "maximum number of characters is {} but received {}",
            params.max_memo_characters, tx.memo_length
        );
        return Err(Reject::new(Reject::SDK, 12, format!("{text}: memo too large")).into());
    }
    if length(tx.signers.len()) > u64::from(params.signatures_max) {
        let text =
            format!("a transaction has at most {} signers, got {}", params.signatures_max, tx.signers.len());
        return Err(Reject::invalid_request(text).into());
    }
    if tx.gas_limit > params.max_block_gas {
        let text =
            format!("a block has {} gas, the transaction asks for {}", params.max_block_gas, tx.gas_limit);
        return Err(Reject::invalid_request(text).into());
    }
    Ok(())
}

fn within_time(ctx: &Ctx, tx: &Tx, params: &auth::Params) -> Result<()> {
    let height = ctx.block.height.value();
    if tx.timeout_height > 0 && height > tx.timeout_height {
        let text =
            format!("block height: {height}, timeout height: {}: tx timeout height", tx.timeout_height);
        return Err(Reject::new(Reject::SDK, 30, text).into());
    }
    if tx.timeout_nanos == 0 {
        return Ok(());
    }
    let now = ctx
        .block
        .time
        .value()
        .saturating_mul(NANOS_PER_SECOND)
        .saturating_add(u64::from(ctx.block.time_nanos));
    if tx.is_over(now) {
        let text = format!("block time: {now} ns, timeout: {} ns: tx timeout", tx.timeout_nanos);
        return Err(Reject::new(Reject::SDK, 30, text).into());
    }
    if matches!(ctx.mode(), Mode::Check | Mode::Recheck) {
        let two_blocks = u64::from(market::params(ctx)?.window_block_s).saturating_mul(2);
        let ahead_s = TIMEOUT_AHEAD_S.max(two_blocks);
        if tx.is_over(now.saturating_add(ahead_s.saturating_mul(NANOS_PER_SECOND))) {
            let text = format!(
                "last block time: {now} ns, timeout: {} ns, expected at least {ahead_s} s more: tx timeout",
                tx.timeout_nanos
            );
            return Err(Reject::new(Reject::SDK, 30, text).into());
        }
    }
    let ahead_max = u64::from(params.unordered_timeout_max_s).saturating_mul(NANOS_PER_SECOND);
    if tx.unordered && tx.timeout_nanos.saturating_sub(now) > ahead_max {
        let text = format!("an unordered transaction times out within {} s", params.unordered_timeout_max_s);
        return Err(Reject::invalid_request(text).into());
    }
    Ok(())
}

/// The fee that is taken: all that was offered. A simulation that offers none pays one unit, so that its gas is counted.
fn fee_due(mode: Mode, tx: &Tx, params: &auth::Params, base_fee: Dec) -> Result<Paid> {
    let base = auth::fees::required(base_fee, tx.gas_limit)?;
    let offered = match &tx.fee {
        None => Amount::ZERO,
        Some((denom, amount)) if *denom == params.fee.denom => *amount,
        Some((denom, _)) => {
            return Err(Reject::invalid_coins(format!(
                "fees are paid in {}, got {}",
                params.fee.denom,
                excerpt(denom)
            ))
            .into());
        }
    };
    if mode == Mode::Simulate {
        let unit = if base_fee == Dec::default() { Amount::ZERO } else { Amount::from(1) };
        return Ok(Paid { fee: offered.max(unit), base: Amount::ZERO });
    }
    if offered < base {
        let denom = &params.fee.denom;
        let text =
            format!("insufficient fees; got: {offered}{denom} required: {base}{denom}: insufficient fee");
        return Err(Reject::new(Reject::SDK, 13, text).into());
    }
    Ok(Paid { fee: offered, base })
}

/// The signers' accounts, and what their signatures are checked against: each exists, its key is its own, its sequence is
/// the next.
fn known_signers(ctx: &Ctx, tx: &Tx, params: &auth::Params) -> Result<(Vec<auth::Account>, Vec<Facts>)> {
    let (mut accounts, mut facts) = (Vec::new(), Vec::new());
    for signer in &tx.signers {
        let unknown = || {
            Reject::new(Reject::SDK, 9, format!("account {} does not exist: unknown address", signer.address))
        };
        let mut account = auth::get(ctx, &signer.address)?.ok_or_else(unknown)?;
        let expected = if tx.unordered { 0 } else { account.sequence };
        if signer.sequence != expected {
            let text = format!(
                "account sequence mismatch, expected {expected}, got {}: incorrect account sequence",
                signer.sequence
            );
            return Err(Reject::new(Reject::SDK, 32, text).into());
        }
        let key = match (&account.key, &signer.key) {
            (Some(known), None) => known.clone(),
            (Some(known), Some(given)) if known == given => known.clone(),
            (Some(_), Some(_)) => return Err(foreign_key(signer.address)),
            (None, Some(given)) if given.address() == signer.address => given.clone(),
            (None, Some(_)) => return Err(foreign_key(signer.address)),
            // A simulation comes without a key; one of the usual kind costs the same.
            (None, None) if ctx.mode() == Mode::Simulate => auth::PublicKey::Secp256k1([0; 33]),
            (None, None) => {
                let text = format!("{} has not signed before: expected its public key", signer.address);
                return Err(Reject::new(Reject::SDK, 8, text).into());
            }
        };
        ctx.charge(match key {
            auth::PublicKey::Secp256k1(_) => Cost::Fixed(params.secp256k1_cost.into()),
            auth::PublicKey::Ed25519(_) => Cost::Fixed(params.ed25519_cost.into()),
        })?;
        account.key.get_or_insert_with(|| key.clone());
        facts.push(Facts { account_number: account.number, key });
        accounts.push(account);
    }
    Ok((accounts, facts))
}

fn foreign_key(address: Address) -> kernel::Error {
    Reject::new(Reject::SDK, 8, format!("the public key is not the one of {address}: invalid pubkey")).into()
}

fn bad_signature(facts: &[Facts], chain_id: &str) -> kernel::Error {
    let numbers: Vec<_> = facts.iter().map(|fact| fact.account_number.to_string()).collect();
    let text = format!(
        "signature verification failed; verify correct account number ({}) and chain-id ({chain_id}): unauthorized",
        numbers.join(", ")
    );
    Reject::unauthorized(text).into()
}

/// Uses the transaction's nonces up, and keeps the keys of those who sign for the first time.
fn use_nonces(ctx: &mut Ctx, tx: &Tx, accounts: Vec<auth::Account>) -> Result<()> {
    for mut account in accounts {
        if tx.unordered {
            auth::unordered::claim(ctx, account, tx.timeout_nanos)?;
            continue;
        }
        account.sequence = account.sequence.checked_add(1).ok_or(kernel::Overflow)?;
        auth::set(ctx, &account)?;
    }
    Ok(())
}
