//! `underbid tx sign` and `underbid tx broadcast`: the way on from `--generate-only`, on two machines if need be.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use prost::Message;
use proto::cosmos::tx::v1beta1::{AuthInfo, Tx, TxBody, TxRaw};

use super::{
    Context, Failure, block_on, keys,
    terminal::{print_json, read_text},
    tx::{connect, show},
};
use crate::client::{
    chain,
    keys::Keyring,
    tx::{Draft, SignedTx, Signer},
};

/// What stands beside the modules under `tx`.
pub(super) const COMMANDS: [&str; 2] = ["sign", "broadcast"];

#[derive(Args)]
struct SignFlags {
    /// The unsigned transaction, as --generate-only prints it; `-` is standard input
    file: String,
    /// The key's name
    #[arg(long, value_name = "KEY")]
    from: String,
    /// The number of the signer's account [default: asked of the node]
    #[arg(long, value_name = "N", requires = "sequence")]
    account_number: Option<u64>,
    /// How many ordered transactions the signer has sent [default: asked of the node]
    #[arg(long, value_name = "N", requires = "account_number")]
    sequence: Option<u64>,
}

#[derive(Args)]
struct BroadcastFlags {
    /// The signed transaction, as `tx sign` prints it; `-` is standard input
    file: String,
    /// How long to wait for a block, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u64,
}

pub(super) fn add(root: Command) -> Command {
    root.subcommand(
        SignFlags::augment_args(Command::new("sign"))
            .about("Signs a transaction of --generate-only and prints it"),
    )
    .subcommand(
        BroadcastFlags::augment_args(Command::new("broadcast"))
            .about("Submits a signed transaction and waits for its block"),
    )
}

pub(super) fn run(context: &Context<'_>, command: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let usage = |e: clap::Error| Failure::usage(e.to_string());
    match command {
        "sign" => sign(context, &SignFlags::from_arg_matches(matches).map_err(usage)?),
        _ => broadcast(context, &BroadcastFlags::from_arg_matches(matches).map_err(usage)?),
    }
}

fn sign(context: &Context<'_>, flags: &SignFlags) -> Result<(), Failure> {
    let draft = Draft::from_tx(read_tx(context, &flags.file)?).ok_or_else(|| {
        Failure::failed(format!("{}: expected body, auth_info and no extensions, tip or granter", flags.file))
    })?;
    let keyring = Keyring::new(&context.config.home, context.config.keyring);
    let address = keyring.info(&flags.from)?.address;
    let (chain_id, account_number, sequence) =
        match (&context.config.chain_id, flags.account_number, flags.sequence) {
            (Some(chain_id), Some(number), Some(sequence)) => (chain_id.clone(), number, sequence),
            (_, number, sequence) => block_on(async {
                let client = connect(context).await?;
                let account = client.account(address).await?;
                let chain_id = client.chain_id().to_owned();
                Ok((chain_id, number.unwrap_or(account.number), sequence.unwrap_or(account.sequence)))
            })?,
        };
    let key = keys::unlock(&keyring, &flags.from)?;
    let signed = draft.sign(&chain_id, &[Signer { key: &key, account_number, sequence }]);
    let TxRaw { body_bytes, auth_info_bytes, signatures } = TxRaw::decode(signed.bytes.as_slice())?;
    let body = Some(TxBody::decode(body_bytes.as_slice())?);
    let auth_info = Some(AuthInfo::decode(auth_info_bytes.as_slice())?);
    print_tx(context, &Tx { body, auth_info, signatures })
}

fn broadcast(context: &Context<'_>, flags: &BroadcastFlags) -> Result<(), Failure> {
    let Tx { body, auth_info, signatures } = read_tx(context, &flags.file)?;
    let body_bytes = body.unwrap_or_default().encode_to_vec();
    let auth_info_bytes = auth_info.unwrap_or_default().encode_to_vec();
    let tx = SignedTx::new(TxRaw { body_bytes, auth_info_bytes, signatures }.encode_to_vec());
    let outcome = block_on(async {
        let client = connect(context).await?;
        match client.broadcast(&tx).await {
            // The same file again: there is one transaction, and its outcome is asked for.
            Err(chain::Error::Known { .. }) => {}
            done => done?,
        }
        Ok(client.wait(&tx, Duration::from_secs(flags.wait)).await?)
    })?;
    show(context, &outcome)
}

fn read_tx(context: &Context<'_>, file: &str) -> Result<Tx, Failure> {
    let descriptor = context.reflection.message("cosmos.tx.v1beta1.Tx")?;
    let tx = context
        .reflection
        .from_json(&descriptor, &read_text(file)?)
        .map_err(|e| Failure::failed(format!("{file}: {e}")))?;
    Ok(Tx::decode(tx.encode_to_vec().as_slice())?)
}

/// Prints a transaction as JSON, whatever the format: it is for programs.
pub(super) fn print_tx(context: &Context<'_>, tx: &Tx) -> Result<(), Failure> {
    let descriptor = context.reflection.message("cosmos.tx.v1beta1.Tx")?;
    let tx = context.reflection.decode(&descriptor, &tx.encode_to_vec())?;
    print_json(&context.reflection.to_json(&tx)?)
}
