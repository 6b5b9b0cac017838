//! `underbid keys`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Context, Failure, Format,
    output::table,
    terminal::{hidden, new_passphrase, passphrase, print, print_json, read_text},
};
use crate::client::{
    keyring::KeyInfo,
    keys::{self, Key, Keyring, Storage},
};

/// Manages the keys of accounts. Keys lie in the home, one file each; `--keyring test` does not encrypt them.
#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Makes a new key, or one from its mnemonic, and stores it
    Add(AddArgs),
    /// Shows all keys
    List,
    /// Shows one key
    Show {
        /// The key's name
        name: String,
        /// Only its address
        #[arg(long)]
        address: bool,
    },
    /// Removes a key for ever
    Delete {
        /// The key's name
        name: String,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
    /// Prints a key's encrypted file, for `keys import` elsewhere
    Export {
        /// The key's name
        name: String,
        /// Prints the private key itself in hexadecimal: whoever reads it owns the account
        #[arg(long)]
        secret: bool,
    },
    /// Stores an exported key
    Import {
        /// The key's name here
        name: String,
        /// The exported file, or one with 64 hexadecimal digits; `-` is standard input
        file: String,
    },
}

#[derive(Args)]
pub(super) struct AddArgs {
    /// The key's name
    name: String,
    /// Asks for the mnemonic of an existing key
    #[arg(long)]
    recover: bool,
    /// Reads the mnemonic of an existing key from a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    mnemonic_file: Option<String>,
    /// The last step of the path m/44'/118'/0'/0/INDEX
    #[arg(long, default_value_t = 0)]
    index: u32,
}

pub(super) fn run(context: &Context<'_>, command: KeysCommand) -> Result<(), Failure> {
    let keyring = Keyring::new(&context.config.home, context.config.keyring);
    match command {
        KeysCommand::Add(args) => add(context, &keyring, &args),
        KeysCommand::List => list(context, &keyring),
        KeysCommand::Show { name, address } => show(context, &keyring.info(&name)?, address),
        KeysCommand::Delete { name, yes } => {
            let info = keyring.info(&name)?;
            let question = format!("Delete {name} ({}) for ever?", info.address);
            if yes || super::terminal::confirm(&question)? {
                keyring.delete(&name)?;
                eprintln!("deleted {name}");
            }
            Ok(())
        }
        KeysCommand::Export { name, secret } => export(&keyring, &name, secret),
        KeysCommand::Import { name, file } => import(context, &keyring, &name, &file),
    }
}

fn add(context: &Context<'_>, keyring: &Keyring, args: &AddArgs) -> Result<(), Failure> {
    keyring.check_free(&args.name)?;
    let is_new = !args.recover && args.mnemonic_file.is_none();
    let mnemonic = match (&args.mnemonic_file, args.recover) {
        (Some(file), _) => read_text(file)?,
        (None, true) => hidden("The mnemonic: ", "--mnemonic-file FILE")?,
        (None, false) => keys::new_mnemonic()?,
    };
    let key = Key::derive(&mnemonic, args.index)?;
    let info = store(keyring, &args.name, &key)?;
    if !is_new {
        return show(context, &info, false);
    }
    match context.format {
        Format::Json => {
            let KeyInfo { name, address, public_key } = info;
            let key =
                json!({ "name": name, "address": address, "public_key": public_key, "mnemonic": mnemonic });
            print_json(&key)
        }
        Format::Table => {
            show(context, &info, false)?;
            print(&format!(
                "\n{mnemonic}\n\nWrite these words down and keep them from others: they are the only way to recover the key, \
                 and whoever has them owns the account."
            ))
        }
    }
}

fn store(keyring: &Keyring, name: &str, key: &Key) -> Result<KeyInfo, Failure> {
    let passphrase = match keyring.storage() {
        Storage::Encrypted => Some(new_passphrase(&format!("A passphrase for {name}: "))?),
        Storage::Test => {
            eprintln!("warning: {} is not encrypted; use it for local nets only", keyring.folder().display());
            None
        }
    };
    Ok(keyring.add(name, key, passphrase.as_ref())?)
}

fn list(context: &Context<'_>, keyring: &Keyring) -> Result<(), Failure> {
    let keys = keyring.list()?;
    match context.format {
        Format::Json => print_json(&serde_json::to_value(keys)?),
        Format::Table if keys.is_empty() => {
            eprintln!("no keys in {}; `underbid keys add NAME` makes one", keyring.folder().display());
            Ok(())
        }
        Format::Table => {
            let rows =
                keys.into_iter().map(|key| vec![key.name, key.address.to_string(), key.public_key]).collect();
            print(&table(&["NAME", "ADDRESS", "PUBLIC KEY"], rows))
        }
    }
}

fn show(context: &Context<'_>, key: &KeyInfo, address_only: bool) -> Result<(), Failure> {
    match (address_only, context.format) {
        (true, _) => print(&key.address.to_string()),
        (false, Format::Json) => print_json(&serde_json::to_value(key)?),
        (false, Format::Table) => print(&format!(
            "name        {}\naddress     {}\npublic key  {}",
            key.name, key.address, key.public_key
        )),
    }
}

fn export(keyring: &Keyring, name: &str, secret: bool) -> Result<(), Failure> {
    keyring.info(name)?;
    if secret {
        eprintln!("warning: whoever reads the next line owns the account");
        return print(&hex::encode(unlock(keyring, name)?.secret()));
    }
    let passphrase = match keyring.storage() {
        Storage::Encrypted => None,
        Storage::Test => Some(new_passphrase("A passphrase for the exported key: ")?),
    };
    print(&keyring.export(name, passphrase.as_ref())?)
}

fn import(context: &Context<'_>, keyring: &Keyring, name: &str, file: &str) -> Result<(), Failure> {
    keyring.check_free(name)?;
    let text = read_text(file)?;
    let info = match text.trim_start().starts_with('{') {
        true => {
            let opening = passphrase("The passphrase of the exported key: ")?;
            keyring.import(name, &text, Some(&opening))?
        }
        false => store(keyring, name, &Key::from_hex(&text)?)?,
    };
    show(context, &info, false)
}

/// The key of a name; the passphrase is asked for where the storage needs one.
pub(super) fn unlock(keyring: &Keyring, name: &str) -> Result<Key, Failure> {
    keyring.info(name)?;
    let passphrase = match keyring.storage() {
        Storage::Encrypted => Some(passphrase(&format!("The passphrase of {name}: "))?),
        Storage::Test => None,
    };
    Ok(keyring.unlock(name, passphrase.as_ref())?)
}
