//! `underbid tx`: any message of any module, from flags or JSON into a block.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use kernel::Address;
use prost_reflect::{DynamicMessage, Kind, Value};
use proto::cosmos::base::v1beta1::Coin;
use serde_json::json;

use super::{
    Context, Failure, Format, block_on, fields, keys, offline,
    output::{self, message_json},
    terminal::{confirm, print, print_json, read_text},
};
use crate::client::{
    chain::{Account, Client, GAS_ADJUSTMENT_PERCENT, Gas, SendOptions, Simulation},
    keys::{Key, Keyring},
    reflect::{Method, Reflection, units},
    rpc::Rpc,
    tx::{Draft, Outcome, SignedTx},
};

/// For how long an unordered transaction is good; the chain allows at most 10 minutes.
const UNORDERED_FOR: Duration = Duration::from_secs(300);

/// What every message of a transaction understands.
#[derive(Args, Clone)]
#[command(next_help_heading = "Transaction")]
struct TxFlags {
    /// Who signs: a key's name; with --dry-run or --generate-only also an address
    #[arg(long, value_name = "KEY")]
    from: String,
    /// Reads the message from JSON; flags come after it; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from_json: Option<String>,
    /// The gas limit: a number, or `auto` to simulate and add 30 %
    #[arg(long, default_value = "auto", value_name = "auto|N", value_parser = gas)]
    gas: Gas,
    /// The fee, as 2000uflop [default: by the gas limit and the base fee]
    #[arg(long, value_name = "COINS", value_parser = coins)]
    fees: Option<Coins>,
    /// Free text, on the chain for everybody
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    memo: String,
    /// The last height at which it is good
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "HEIGHT")]
    timeout_height: u64,
    /// Waits for no other transaction of the signer, and is good for 5 minutes
    #[arg(long)]
    unordered: bool,
    /// Does not ask
    #[arg(long)]
    yes: bool,
    /// When to return: once the mempool has it, or once a block has it
    #[arg(long, default_value = "wait", value_name = "WHEN")]
    broadcast: Broadcast,
    /// How long to wait for a block, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u64,
    /// Simulates and shows gas, fee and result; nothing is signed
    #[arg(long, conflicts_with = "generate_only")]
    dry_run: bool,
    /// Prints the unsigned transaction as JSON
    #[arg(long)]
    generate_only: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Broadcast {
    /// The mempool has it.
    Sync,
    /// A block has it.
    Wait,
}

#[derive(Clone)]
struct Coins(Vec<Coin>);

fn gas(text: &str) -> Result<Gas, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(Gas::Auto { percent: GAS_ADJUSTMENT_PERCENT }),
        (_, Ok(limit)) => Ok(Gas::Limit(limit)),
        _ => Err("expected `auto` or a number".into()),
    }
}

fn coins(text: &str) -> Result<Coins, String> {
    let coins = units::coins(text)
        .ok_or("expected amounts with their denoms, each once, as 2000uflop or 0.002FLOP")?;
    Ok(Coins(coins.into_iter().map(|(amount, denom)| Coin { denom, amount: amount.to_string() }).collect()))
}

/// The command with every message of every module.
pub(super) fn command(reflection: &Reflection) -> Command {
    let root = Command::new("tx").about("Messages").long_about(
        "Sends a message: prices and signs it, submits it, waits for its block and shows what it did.\n\n\
         Example: underbid tx bank send underbid1... 1.5FLOP --from alice",
    );
    offline::add(fields::modules(reflection, root, reflection.messages(), TxFlags::augment_args))
}

/// Runs `tx MODULE METHOD`.
pub(super) fn run(
    context: &Context<'_>,
    module: &str,
    name: &str,
    matches: &ArgMatches,
) -> Result<(), Failure> {
    let flags = TxFlags::from_arg_matches(matches).map_err(|e| Failure::usage(e.to_string()))?;
    let methods = context.reflection.messages();
    let method = methods
        .iter()
        .find(|method| method.module == module && method.name == name)
        .ok_or_else(|| Failure::usage(format!("unknown message {module} {name}")))?;
    let keyring = Keyring::new(&context.config.home, context.config.keyring);
    let from = sender(&keyring, &flags)?;
    let message = message(context.reflection, method, matches, &flags, from)?;
    let options = SendOptions {
        gas: flags.gas,
        fee: flags.fees.clone().map(|coins| coins.0),
        memo: flags.memo.clone(),
        timeout_height: flags.timeout_height,
        unordered_for: flags.unordered.then_some(UNORDERED_FOR),
        wait: Duration::from_secs(flags.wait),
    };
    block_on(deliver(context, &keyring, &flags, from, &message, &options))
}

/// Who signs. Only what needs no signature takes a bare address.
fn sender(keyring: &Keyring, flags: &TxFlags) -> Result<Address, Failure> {
    match Address::parse(&flags.from) {
        Ok(address) if flags.dry_run || flags.generate_only => Ok(address),
        Ok(_) => Err(Failure::usage("--from: expected a key's name to sign with, found an address")),
        Err(_) => Ok(keyring.info(&flags.from)?.address),
    }
}

/// The message: JSON first, then flags over it, then the sender where no signer is named.
fn message(
    reflection: &Reflection,
    method: &Method,
    matches: &ArgMatches,
    flags: &TxFlags,
    from: Address,
) -> Result<DynamicMessage, Failure> {
    let mut message = match &flags.from_json {
        Some(file) => reflection
            .from_json(&method.input, &read_text(file)?)
            .map_err(|e| Failure::usage(format!("--from-json {file}: {e}")))?,
        None => DynamicMessage::new(method.input.clone()),
    };
    let named = fields::apply(reflection, &mut message, &method.input, matches)?;
    for field in reflection.signer_fields(&method.input) {
        if matches!(field.kind(), Kind::String) && !message.has_field(&field) {
            message.set_field(&field, Value::String(from.to_string()));
        }
    }
    let has_fields = method.input.fields().len() > 1;
    if named == 0 && flags.from_json.is_none() && has_fields {
        let help = format!("`underbid tx {} {} --help` shows them", method.module, method.name);
        return Err(Failure::usage(format!("expected the message's fields, or --from-json FILE; {help}")));
    }
    let signers = reflection.signers(&message);
    if signers.is_empty() || signers.iter().any(|signer| *signer != from.to_string()) {
        let named = signers.join(", ");
        return Err(Failure::usage(format!(
            "the message names the signer {named:?}, expected --from's {from}"
        )));
    }
    Ok(message)
}

async fn deliver(
    context: &Context<'_>,
    keyring: &Keyring,
    flags: &TxFlags,
    from: Address,
    message: &DynamicMessage,
    options: &SendOptions,
) -> Result<(), Failure> {
    let any = context.reflection.any(message);
    // An unsigned transaction whose gas is given needs no node.
    if flags.generate_only && matches!(flags.gas, Gas::Limit(_)) && flags.fees.is_some() {
        let client =
            Client::new(Rpc::new(&context.config.node), context.config.chain_id.clone().unwrap_or_default());
        let mut draft = client.draft(vec![any], options);
        let accounts = [Account { address: from, number: 0, sequence: 0 }];
        client.price(&mut draft, &accounts, options).await?;
        return generate(context, &draft, 0);
    }
    let client = connect(context).await?;
    let account = client.account(from).await?;
    let mut draft = client.draft(vec![any], options);
    if flags.dry_run {
        let simulation = client.simulate(draft.unsigned(&[account.sequence])).await?;
        let priced = SendOptions { gas: limit_after(options.gas, simulation.gas_used), ..options.clone() };
        client.price(&mut draft, &[account], &priced).await?;
        return show_simulation(context, &draft, &simulation);
    }
    client.price(&mut draft, &[account], options).await?;
    if flags.generate_only {
        return generate(context, &draft, account.sequence);
    }
    if !flags.yes && !agrees(context, &draft, message)? {
        return Err(Failure::failed("not sent"));
    }
    let key = keys::unlock(keyring, &flags.from)?;
    let tx = submit(&client, &draft, &key, account, options.wait).await?;
    if flags.broadcast == Broadcast::Sync {
        return show_accepted(context, &tx);
    }
    show(context, &client.wait(&tx, options.wait).await?)
}

/// A client of the configured node; its chain must be the configured one.
pub(super) async fn connect(context: &Context<'_>) -> Result<Client, Failure> {
    let client = Client::connect(&context.config.node).await?;
    match &context.config.chain_id {
        Some(expected) if expected != client.chain_id() => Err(Failure::failed(format!(
            "the node at {} is of the chain {}, expected {expected}",
            context.config.node,
            client.chain_id()
        ))),
        _ => Ok(client),
    }
}

fn limit_after(gas: Gas, used: u64) -> Gas {
    match gas {
        Gas::Auto { percent } => Gas::Limit(used.saturating_mul(u64::from(percent)).div_ceil(100)),
        limit @ Gas::Limit(_) => limit,
    }
}

/// Signs and broadcasts. Where another transaction of the signer came first it is signed once more, for the sequence
/// after the next block; the content that was agreed to stays.
async fn submit(
    client: &Client,
    draft: &Draft,
    key: &Key,
    account: Account,
    wait: Duration,
) -> Result<SignedTx, Failure> {
    let sign = |account: Account| draft.sign(client.chain_id(), &[account.signer(key)]);
    let first = sign(account);
    match client.broadcast(&first).await {
        Err(error) if error.is_sequence_taken() => {
            eprintln!(
                "another transaction of {} came first: signing again after the next block",
                account.address
            );
        }
        done => return Ok(done.map(|()| first)?),
    }
    client.wait_for_next_block(wait).await?;
    let again = sign(client.account(account.address).await?);
    match client.broadcast(&again).await {
        Err(error) if error.is_sequence_taken() => Err(Failure::failed(format!(
            "{error}; others of this account are still under way: try again once they are in a block, or use --unordered"
        ))),
        done => Ok(done.map(|()| again)?),
    }
}

fn agrees(context: &Context<'_>, draft: &Draft, message: &DynamicMessage) -> Result<bool, Failure> {
    eprintln!("{}", output::message(context.reflection, message));
    eprintln!("gas limit  {}\nfee        {}", draft.gas_limit, output::coins(&draft.fee));
    confirm("Sign and send?")
}

fn generate(context: &Context<'_>, draft: &Draft, sequence: u64) -> Result<(), Failure> {
    offline::print_tx(context, &draft.unsigned_tx(&[sequence]))
}

fn show_simulation(context: &Context<'_>, draft: &Draft, simulation: &Simulation) -> Result<(), Failure> {
    let reflection = context.reflection;
    match context.format {
        Format::Json => print_json(&json!({
            "gas_used": simulation.gas_used.to_string(),
            "gas_limit": draft.gas_limit.to_string(),
            "fee": output::coins_json(&draft.fee),
            "msg_responses": simulation.responses.iter().map(|any| message_json(reflection, any)).collect::<Vec<_>>(),
            "events": simulation.events,
        })),
        Format::Table => {
            let fee = output::coins(&draft.fee);
            let head = format!(
                "gas used   {}\ngas limit  {}\nfee        {fee}",
                simulation.gas_used, draft.gas_limit
            );
            print(&format!(
                "{head}{}",
                output::effects(reflection, &simulation.responses, &simulation.events)
            ))
        }
    }
}

fn show_accepted(context: &Context<'_>, tx: &SignedTx) -> Result<(), Failure> {
    match context.format {
        Format::Json => print_json(&json!({ "txhash": tx.id(), "code": 0 })),
        Format::Table => print(&format!("hash  {}\nthe mempool has it", tx.id())),
    }
}

/// Shows what a block made of a transaction; one that failed there fails the command.
pub(super) fn show(context: &Context<'_>, outcome: &Outcome) -> Result<(), Failure> {
    let reflection = context.reflection;
    match context.format {
        Format::Json => print_json(&json!({
            "txhash": outcome.hash,
            "height": outcome.height.to_string(),
            "codespace": outcome.codespace,
            "code": outcome.code,
            "raw_log": outcome.log,
            "gas_wanted": outcome.gas_wanted.to_string(),
            "gas_used": outcome.gas_used.to_string(),
            "msg_responses": outcome.responses.iter().map(|any| message_json(reflection, any)).collect::<Vec<_>>(),
            "events": outcome.events,
        }))?,
        Format::Table => {
            let Outcome { hash, height, gas_used, gas_wanted, .. } = outcome;
            let head = format!("hash    {hash}\nheight  {height}\ngas     {gas_used} of {gas_wanted}");
            print(&format!("{head}{}", output::effects(reflection, &outcome.responses, &outcome.events)))?;
        }
    }
    if outcome.code != 0 {
        let Outcome { codespace, code, log, .. } = outcome;
        return Err(Failure::failed(format!("the block refused it: {codespace} {code}: {log}")));
    }
    Ok(())
}
