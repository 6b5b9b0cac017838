//! `underbid init`: a home that CometBFT and the application share.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use clap::Args;
use kernel::Address;
use serde_json::{Value, json};

use super::{
    Context, Failure, Format,
    terminal::{print, print_json, read_text},
};
use crate::{
    abci::server,
    client::{keys::Keyring, reflect::units},
    config::{self, Config},
    genesis,
};

/// The program that runs consensus.
const COMETBFT: &str = "cometbft";

#[derive(Args)]
pub(super) struct InitArgs {
    /// The network's genesis; one without validators gets this node as its only one
    #[arg(long, value_name = "FILE")]
    genesis: Option<String>,
    /// Gives an account of the genesis money, as underbid1...=1000FLOP,50CREDIT or alice=1000FLOP for a key's name
    #[arg(long, value_name = "ACCOUNT=COINS", requires = "genesis")]
    account: Vec<String>,
    /// CometBFT's program [default: the one on PATH]
    #[arg(long, value_name = "PATH")]
    cometbft: Option<PathBuf>,
    /// Replaces configuration and genesis that are there, and keeps CometBFT's as config.toml.old, or .old2 and so on; keys and
    /// data always stay
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &Context<'_>, args: &InitArgs) -> Result<(), Failure> {
    let config = context.config;
    let home = &config.home;
    if let server::Address::Unix(path) = &config.abci
        && path.as_os_str().len() > server::UNIX_PATH_BYTES_MAX
    {
        let bytes = path.as_os_str().len();
        return Err(Failure::failed(format!(
            "{}: the socket's path has {bytes} bytes, expected at most {}: choose a shorter home, or `abci`",
            path.display(),
            server::UNIX_PATH_BYTES_MAX
        )));
    }
    if !args.force {
        refuse_existing(home)?;
    }
    // Whatever is wrong with the input is found before anything is written.
    let genesis =
        args.genesis.as_deref().map(|file| read_genesis(file, config, &args.account)).transpose()?;
    let cometbft = find_cometbft(args)?;
    if cometbft.is_none() && genesis.as_ref().is_some_and(|genesis| validators(genesis).is_none()) {
        let present = read_local(config)?;
        present.as_ref().and_then(validators).ok_or_else(no_validator)?;
    }

    fs::create_dir_all(home.join("config"))?;
    fs::create_dir_all(home.join("data"))?;
    Keyring::new(home, config.keyring).create()?;
    // CometBFT leaves a configuration that it finds, with the peers of the network before, and a genesis, whose validator
    // may be another than this home's key.
    let mut files = vec![home.join("config/config.toml")];
    files.extend(cometbft.is_some().then(|| config.genesis_file()));
    let aside = Aside::take(files)?;
    match fill(config, cometbft.as_deref(), genesis) {
        Ok(()) => aside.forget(&config.genesis_file())?,
        Err(failure) => {
            aside.put_back()?;
            return Err(failure);
        }
    }
    report(context, cometbft.as_deref(), args.genesis.is_some())
}

/// The application's configuration is last: a new home that has it is whole.
fn fill(config: &Config, cometbft: Option<&Path>, genesis: Option<Document>) -> Result<(), Failure> {
    let home = &config.home;
    if let Some(program) = cometbft {
        run_cometbft(program, home)?;
        point_to_application(&home.join("config/config.toml"), config)?;
    }
    install_genesis(config, genesis)?;
    write(&home.join("config/app.toml"), &config::template(config.provenance()))
}

/// Files that make room for new ones, and come back if those can't be made.
struct Aside {
    /// Each with where it is, if it was there.
    files: Vec<(PathBuf, Option<PathBuf>)>,
}

impl Aside {
    fn take(files: Vec<PathBuf>) -> Result<Self, Failure> {
        let mut aside = Self { files: Vec::new() };
        for file in files {
            let old = Self::old(&file);
            match present(fs::rename(&file, &old), &file) {
                Ok(was_there) => aside.files.push((file, was_there.then_some(old))),
                Err(failure) => {
                    aside.put_back()?;
                    return Err(failure);
                }
            }
        }
        Ok(aside)
    }

    /// A place that is free: a run that was cut off has left its own there, and nobody else has them.
    fn old(file: &Path) -> PathBuf {
        let others = (2_u32..).map(|number| beside(file, &format!(".old{number}")));
        let mut places = std::iter::once(beside(file, ".old")).chain(others);
        places.find(|place| !place.exists()).unwrap_or_default()
    }

    fn put_back(&self) -> Result<(), Failure> {
        for (file, old) in &self.files {
            present(fs::remove_file(file), file)?;
            if let Some(old) = old {
                present(fs::rename(old, file), file)?;
            }
        }
        Ok(())
    }

    /// What stood where this file now stands is needed no more.
    fn forget(&self, file: &Path) -> Result<(), Failure> {
        for (_, old) in self.files.iter().filter(|(taken, _)| taken == file) {
            if let Some(old) = old {
                present(fs::remove_file(old), file)?;
            }
        }
        Ok(())
    }
}

/// Whether the file was there; one that was not is no error.
fn present(done: io::Result<()>, file: &Path) -> Result<bool, Failure> {
    match done {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Failure::failed(format!("{}: {e}", file.display()))),
    }
}

fn refuse_existing(home: &Path) -> Result<(), Failure> {
    let files = ["config/app.toml", "config/config.toml", "config/genesis.json"];
    match files.iter().map(|file| home.join(file)).find(|path| path.exists()) {
        Some(path) => Err(Failure::failed(format!(
            "{} exists already: expected an empty home, or --force to replace configuration and genesis",
            path.display()
        ))),
        None => Ok(()),
    }
}

/// A genesis file: a JSON object.
type Document = serde_json::Map<String, Value>;

/// A genesis that the application accepts, though it may have no validators yet, with the wanted chain id and accounts.
fn read_genesis(file: &str, config: &Config, accounts: &[String]) -> Result<Document, Failure> {
    let failed = |why: String| Failure::failed(format!("{file}: {why}"));
    let text = read_text(file)?;
    let mut genesis: Document =
        serde_json::from_str(&text).map_err(|e| failed(format!("expected a JSON object: {e}")))?;
    if let Some(id) = &config.chain_id {
        genesis.insert("chain_id".into(), json!(id));
    }
    for account in accounts {
        let balance = balance(config, account)?;
        balances(&mut genesis)
            .ok_or_else(|| failed("app_state.bank.balances: expected a list".into()))?
            .push(balance);
    }
    validate(&genesis).map_err(|e| failed(e.message))?;
    Ok(genesis)
}

/// An entry of the bank's genesis.
fn balance(config: &Config, account: &str) -> Result<Value, Failure> {
    let wrong =
        || Failure::usage(format!("--account {account}: expected ACCOUNT=COINS, as alice=1000FLOP,50CREDIT"));
    let (owner, coins) = account.split_once('=').ok_or_else(wrong)?;
    let coins = units::coins(coins).ok_or_else(wrong)?;
    let address = match Address::parse(owner) {
        Ok(address) => address,
        Err(_) => Keyring::new(&config.home, config.keyring).info(owner)?.address,
    };
    let coins: Value = coins
        .into_iter()
        .map(|(amount, denom)| json!({ "denom": denom, "amount": amount.to_string() }))
        .collect();
    Ok(json!({ "address": address, "coins": coins }))
}

fn balances(genesis: &mut Document) -> Option<&mut Vec<Value>> {
    let bank = genesis.get_mut("app_state")?.get_mut("bank")?.as_object_mut()?;
    bank.entry("balances").or_insert_with(|| json!([])).as_array_mut()
}

/// The validators, if there is one.
fn validators(genesis: &Document) -> Option<&Value> {
    genesis.get("validators").filter(|list| list.as_array().is_some_and(|list| !list.is_empty()))
}

/// The program to run; none where there is none on PATH and none was asked for.
fn find_cometbft(args: &InitArgs) -> Result<Option<PathBuf>, Failure> {
    match &args.cometbft {
        Some(path) if path.is_file() => Ok(Some(path.clone())),
        Some(path) => Err(Failure::failed(format!("--cometbft {}: expected a program", path.display()))),
        None => {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            Ok(std::env::split_paths(&folders)
                .map(|folder| folder.join(COMETBFT))
                .find(|path| path.is_file()))
        }
    }
}

fn run_cometbft(program: &Path, home: &Path) -> Result<(), Failure> {
    let failed =
        |why: String| Failure::failed(format!("{} init --home {}: {why}", program.display(), home.display()));
    let done = process::Command::new(program)
        .args(["init", "--home"])
        .arg(home)
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
}

/// Sets the two lines of CometBFT's configuration that name the application; its comments stay.
fn point_to_application(path: &Path, config: &Config) -> Result<(), Failure> {
    let text = fs::read_to_string(path).map_err(|e| Failure::failed(format!("{}: {e}", path.display())))?;
    let mut found = 0;
    let lines = text.lines().map(|line| match line {
        line if line.starts_with("proxy_app =") => {
            found += 1;
            format!("proxy_app = {:?}", config.abci.to_string())
        }
        line if line.starts_with("abci =") => {
            found += 1;
            "abci = \"socket\"".to_owned()
        }
        line => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    if found != 2 {
        return Err(Failure::failed(format!(
            "{}: expected CometBFT v0.38's keys proxy_app and abci",
            path.display()
        )));
    }
    write(path, &text)
}

/// Writes the given genesis, or the chain id into CometBFT's. A given one without validators gets this node's.
fn install_genesis(config: &Config, given: Option<Document>) -> Result<(), Failure> {
    let local = read_local(config)?;
    let own_validators = local.as_ref().and_then(validators).cloned();
    let own_time = local.as_ref().and_then(|local| local.get("genesis_time")).cloned();
    let document = match (given, own_validators) {
        (Some(given), _) if validators(&given).is_some() => given,
        (Some(mut given), Some(own)) => {
            given.insert("validators".into(), own);
            // Without a time of its own CometBFT would take the present one, at each start another.
            given.entry("genesis_time").or_insert(own_time.into());
            validate(&given)?;
            given
        }
        (Some(_), None) => return Err(no_validator()),
        (None, _) => match (local, &config.chain_id) {
            (Some(mut local), Some(id)) => {
                local.insert("chain_id".into(), json!(id));
                local
            }
            _ => return Ok(()),
        },
    };
    write(&config.genesis_file(), &(serde_json::to_string_pretty(&document)? + "\n"))
}

/// The genesis that is in the home.
fn read_local(config: &Config) -> Result<Option<Document>, Failure> {
    let path = config.genesis_file();
    let failed = |why: String| Failure::failed(format!("{}: {why}", path.display()));
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| failed(e.to_string())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(e.to_string())),
    }
}

fn no_validator() -> Failure {
    Failure::failed(
        "the genesis has no validators, and without CometBFT this node has no key to be one: expected --cometbft PATH",
    )
}

fn validate(genesis: &Document) -> Result<(), Failure> {
    genesis::validate(&serde_json::to_string(genesis)?).map_err(|e| Failure::failed(e.to_string()))?;
    Ok(())
}

/// The file with this behind its name.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Through a file of its own, so that what was there is replaced whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let new = beside(path, ".new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|e| Failure::failed(format!("{}: {e}", path.display())))
}

fn report(context: &Context<'_>, cometbft: Option<&Path>, has_genesis: bool) -> Result<(), Failure> {
    let home = context.config.home.display().to_string();
    if context.format == Format::Json {
        return print_json(&json!({
            "home": home,
            "abci": context.config.abci.to_string(),
            "cometbft": cometbft.map(|path| path.display().to_string()),
            "genesis": has_genesis,
        }));
    }
    let program = cometbft.map_or(COMETBFT.into(), |path| path.display().to_string());
    let mut steps = Vec::new();
    if cometbft.is_none() {
        steps.push(format!(
            "install CometBFT v0.38, run `cometbft init --home {home}`, and set proxy_app = {:?} in {home}/config/config.toml",
            context.config.abci.to_string()
        ));
    }
    if !has_genesis {
        steps.push(format!("put the network's genesis at {home}/config/genesis.json"));
    }
    steps.push(format!("underbid start --home {home}"));
    steps.push(format!("in another terminal: {program} start --home {home}"));
    steps.push("underbid status".into());
    let steps: Vec<String> =
        steps.iter().zip(1..).map(|(step, number)| format!("  {number}. {step}")).collect();
    print(&format!("created {home}\n\nnext:\n{}", steps.join("\n")))
}
