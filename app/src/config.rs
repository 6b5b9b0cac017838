//! What a process is told before it starts: defaults, then the file `<home>/config/app.toml`, then the environment
//! `UNDERBID_<KEY>`, then flags; the last one that names a key wins. A key that is not known is an error.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use figment::{
    Error as FigmentError, Figment, Metadata, Profile, Provider,
    error::{Actual, Kind},
    value::{Dict, Map, Value},
};
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{abci::server, client::keys::Storage};

/// The prefix of every environment variable that is read here.
const ENVIRONMENT: &str = "UNDERBID_";
/// Variables with that prefix that other parts read: where the home is, and the keyring's passphrase.
const ENVIRONMENT_OTHERS: [&str; 2] = ["UNDERBID_HOME", "UNDERBID_PASSPHRASE"];
/// The names of sources: of a value that nobody set, of the environment, of flags.
const DEFAULT: &str = "default";
const VARIABLES: &str = "environment";
const FLAG: &str = "flag";

/// One setting: its name in file, environment and flags, its default, and what it means.
struct Key {
    name: &'static str,
    default: &'static str,
    is_number: bool,
    about: &'static str,
}

const fn text(name: &'static str, default: &'static str, about: &'static str) -> Key {
    Key { name, default, is_number: false, about }
}

const fn number(name: &'static str, default: &'static str, about: &'static str) -> Key {
    Key { name, default, is_number: true, about }
}

/// Every setting, in the order in which they are written and shown.
const KEYS: [Key; 12] = [
    text(
        "chain_id",
        "",
        "The chain's id. Empty: the one in config/genesis.json, or for a client the node's.",
    ),
    text("prefix", kernel::address::DEFAULT_PREFIX, "The prefix of the chain's addresses."),
    text(
        "abci",
        "unix://<home>/abci.sock",
        "Where CometBFT reaches the application: unix://PATH or tcp://HOST:PORT, the proxy_app of config.toml.",
    ),
    text(
        "grpc",
        "127.0.0.1:9090",
        "Where gRPC is served, as HOST:PORT with a numeric host. Empty: not served.",
    ),
    text(
        "metrics",
        "",
        "Where Prometheus reads metrics, as HOST:PORT with a numeric host. Empty: not served.",
    ),
    text(
        "log_level",
        "info",
        "What is logged: error, warn, info, debug or trace, also by part, as info,store=debug.",
    ),
    text("log_format", "text", "How a log line is written: text or json."),
    text("node", "http://127.0.0.1:26657", "The CometBFT RPC that clients ask."),
    text("keyring", "encrypted", "Where clients keep keys: encrypted, or test, which does not protect them."),
    number(
        "history_heights",
        "256",
        "For how many past heights queries are served, 1 to 1000000; with proofs only since the last start or rollback.",
    ),
    number("history_memory_mib", "512", "The most memory for proofs at past heights, in MiB, 1 to 1048576."),
    number("cache_memory_mib", "256", "The most memory for the database's cache, in MiB, 1 to 1048576."),
];

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of keys, configuration and data.
    pub home: PathBuf,
    /// The chain's id, where it was said; see [`Config::chain_id`].
    pub chain_id: Option<String>,
    /// The prefix of the chain's addresses.
    pub prefix: String,
    /// Where CometBFT reaches the application.
    pub abci: server::Address,
    /// Where gRPC is served; none: not at all.
    pub grpc: Option<SocketAddr>,
    /// Where metrics are served; none: not at all.
    pub metrics: Option<SocketAddr>,
    /// Directives of what is logged, valid for `tracing_subscriber::EnvFilter`.
    pub log_level: String,
    /// How a log line is written.
    pub log_format: LogFormat,
    /// The CometBFT RPC that clients ask.
    pub node: String,
    /// Where clients keep keys.
    pub keyring: Storage,
    /// For how many past heights queries are served; with proofs only since the last start or rollback.
    pub history_heights: u32,
    /// The most memory for proofs at past heights, in MiB.
    pub history_memory_mib: u64,
    /// The most memory for the database's cache, in MiB.
    pub cache_memory_mib: u64,
    provenance: Vec<Setting>,
}

/// One setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Where the value comes from: `default`, a file, an environment variable or a flag.
    pub source: String,
}

/// What the command line says: the home, and settings by their keys.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--home`.
    pub home: Option<PathBuf>,
    /// Key and value of each flag that was given.
    pub settings: Vec<(&'static str, String)>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a flag, nor the environment, nor a home directory says where the home is.
    #[error("no home: expected --home DIR, UNDERBID_HOME or HOME")]
    NoHome,
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{}: expected TOML: {why}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where it is not.
        why: String,
    },
    /// A source names a setting that does not exist.
    #[error("{origin}: unknown key `{key}`, expected one of {}", names())]
    UnknownKey {
        /// The key.
        key: String,
        /// The file, variable or flag.
        origin: String,
    },
    /// A setting has a value of the wrong type or out of range.
    #[error("{origin}: key `{key}`: {why}")]
    Value {
        /// The key.
        key: String,
        /// The file, variable or flag.
        origin: String,
        /// What was found and what was expected.
        why: String,
    },
    /// Neither the configuration nor the genesis file names the chain.
    #[error("no chain id: expected the key `chain_id`, or `chain_id` in {}: {why}", genesis.display())]
    NoChainId {
        /// The genesis file.
        genesis: PathBuf,
        /// Why it does not say it.
        why: String,
    },
}

fn names() -> String {
    KEYS.map(|key| key.name).join(", ")
}

/// The settings as all sources together give them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    chain_id: String,
    prefix: String,
    abci: String,
    grpc: String,
    metrics: String,
    log_level: String,
    log_format: LogFormat,
    node: String,
    keyring: Storage,
    history_heights: u32,
    history_memory_mib: u64,
    cache_memory_mib: u64,
}

impl Config {
    /// Reads all sources. The environment is that of the process.
    pub fn load(flags: Flags) -> Result<Self, Error> {
        Self::from_sources(flags, std::env::vars_os().collect())
    }

    fn from_sources(flags: Flags, environment: BTreeMap<OsString, OsString>) -> Result<Self, Error> {
        let variable = |name: &str| environment.get(&OsString::from(name)).filter(|value| !value.is_empty());
        let (home, told_by) = match (flags.home, variable("UNDERBID_HOME"), variable("HOME")) {
            (Some(home), _, _) => (home, "flag --home"),
            (None, Some(home), _) => (PathBuf::from(home), "environment variable UNDERBID_HOME"),
            (None, None, Some(user)) => (Path::new(user).join(".underbid"), DEFAULT),
            (None, None, None) => return Err(Error::NoHome),
        };
        let home = std::path::absolute(&home).map_err(|source| Error::Unreadable { path: home, source })?;
        let figment = Figment::from(Source::defaults(&home))
            .merge(Source::file(&home.join("config/app.toml"))?)
            .merge(Source::environment(&environment)?)
            .merge(Source::flags(&flags.settings)?);
        let raw: Raw = figment.extract().map_err(|error| value_error(&error))?;
        let mut config = Self::check(home, raw, &figment)?;
        let home = config.home.display().to_string();
        config.provenance.push(Setting { key: "home", value: home, source: told_by.into() });
        config.provenance.extend(KEYS.iter().map(|key| setting(&figment, key)));
        Ok(config)
    }

    fn check(home: PathBuf, raw: Raw, figment: &Figment) -> Result<Self, Error> {
        let wrong =
            |key: &str, why: String| Error::Value { key: key.into(), origin: origin(figment, key), why };
        let address = |key: &str, text: &str| match text {
            "" => Ok(None),
            text => text.parse::<SocketAddr>().map(Some).map_err(|_| {
                wrong(key, format!("found {text:?}, expected HOST:PORT with a numeric host, or nothing"))
            }),
        };
        let abci: server::Address =
            raw.abci.parse().map_err(|e: server::Error| wrong("abci", e.to_string()))?;
        // A client with a deep home needs no socket: the default path is checked when a node starts.
        if let server::Address::Unix(path) = &abci
            && path.as_os_str().len() > server::UNIX_PATH_BYTES_MAX
            && origin(figment, "abci") != DEFAULT
        {
            let bytes = path.as_os_str().len();
            let max = server::UNIX_PATH_BYTES_MAX;
            return Err(wrong(
                "abci",
                format!("the socket's path has {bytes} bytes, expected at most {max}"),
            ));
        }
        check_log_level(&raw.log_level).map_err(|part| {
            let expected =
                "expected a level: error, warn, info, debug or trace, also by part, as info,store=debug";
            wrong("log_level", format!("found {part:?}, {expected}"))
        })?;
        if !(raw.node.starts_with("http://") && raw.node.len() > "http://".len()) {
            return Err(wrong("node", format!("found {:?}, expected http://HOST:PORT", raw.node)));
        }
        let range = |key: &str, value: u64, max: u64| match value {
            1.. if value <= max => Ok(value),
            _ => Err(wrong(key, format!("found {value}, expected 1 to {max}"))),
        };
        range("history_heights", u64::from(raw.history_heights), 1_000_000)?;
        range("history_memory_mib", raw.history_memory_mib, 1 << 20)?;
        range("cache_memory_mib", raw.cache_memory_mib, 1 << 20)?;
        Ok(Self {
            chain_id: (!raw.chain_id.is_empty()).then_some(raw.chain_id),
            prefix: raw.prefix,
            grpc: address("grpc", &raw.grpc)?,
            metrics: address("metrics", &raw.metrics)?,
            abci,
            log_level: raw.log_level,
            log_format: raw.log_format,
            node: raw.node,
            keyring: raw.keyring,
            history_heights: raw.history_heights,
            history_memory_mib: raw.history_memory_mib,
            cache_memory_mib: raw.cache_memory_mib,
            provenance: Vec::new(),
            home,
        })
    }

    /// Every setting in force, the home first, and where each comes from.
    pub fn provenance(&self) -> &[Setting] {
        &self.provenance
    }

    /// The genesis file of this home.
    pub fn genesis_file(&self) -> PathBuf {
        self.home.join("config/genesis.json")
    }

    /// The chain's id: the setting, or else what the genesis file says.
    pub fn chain_id(&self) -> Result<String, Error> {
        if let Some(id) = &self.chain_id {
            return Ok(id.clone());
        }
        #[derive(Deserialize)]
        struct Genesis {
            chain_id: String,
        }
        let genesis = self.genesis_file();
        let failed = |why: String| Error::NoChainId { genesis: genesis.clone(), why };
        let text = fs::read_to_string(&genesis).map_err(|e| failed(e.to_string()))?;
        let read: Genesis = serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
        Ok(read.chain_id)
    }
}

/// The commented file that a new home gets: every setting with its default, and in force only those that flags gave.
pub fn template(provenance: &[Setting]) -> String {
    let mut file = String::from(
        "# The settings of this home. A line without its # is in force; UNDERBID_<KEY> and flags come after it.\n\
         # `underbid config` prints what is in force and where it came from.\n",
    );
    for key in &KEYS {
        let written = |value: &str| if key.is_number { value.to_owned() } else { format!("{value:?}") };
        let is_given = |setting: &&Setting| setting.key == key.name && setting.source.starts_with(FLAG);
        let line = match provenance.iter().find(is_given) {
            Some(given) => format!("{} = {}", key.name, written(&given.value)),
            None => format!("# {} = {}", key.name, written(key.default)),
        };
        file.push_str(&format!("\n# {}\n{line}\n", key.about));
    }
    file
}

/// Values of one origin.
struct Source {
    name: String,
    values: Dict,
}

impl Source {
    fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), values: Dict::new() }
    }

    fn defaults(home: &Path) -> Self {
        let mut source = Self::new(DEFAULT);
        for key in &KEYS {
            let text = key.default.replace("<home>", &home.to_string_lossy());
            source.values.insert(key.name.into(), typed(key, text));
        }
        source
    }

    fn file(path: &Path) -> Result<Self, Error> {
        let mut source = Self::new(path.display().to_string());
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(source),
            Err(error) => return Err(Error::Unreadable { path: path.into(), source: error }),
        };
        source.values = toml::from_str(&text).map_err(|error| Error::NotToml {
            path: path.into(),
            why: error.to_string().trim_end().to_owned(),
        })?;
        for key in source.values.keys() {
            known(key, &source.name)?;
        }
        Ok(source)
    }

    fn environment(environment: &BTreeMap<OsString, OsString>) -> Result<Self, Error> {
        let mut source = Self::new(VARIABLES);
        for (name, value) in environment {
            let name = name.to_string_lossy();
            let Some(key) = name.strip_prefix(ENVIRONMENT) else { continue };
            if ENVIRONMENT_OTHERS.contains(&name.as_ref()) {
                continue;
            }
            let key = known(&key.to_ascii_lowercase(), &format!("environment variable {name}"))?;
            source.values.insert(key.name.into(), typed(key, value.to_string_lossy().into_owned()));
        }
        Ok(source)
    }

    fn flags(settings: &[(&'static str, String)]) -> Result<Self, Error> {
        let mut source = Self::new(FLAG);
        for (name, value) in settings {
            let key = known(name, FLAG)?;
            source.values.insert(key.name.into(), typed(key, value.clone()));
        }
        Ok(source)
    }
}

impl Provider for Source {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, FigmentError> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn known(name: &str, origin: &str) -> Result<&'static Key, Error> {
    let unknown = || Error::UnknownKey { key: name.to_owned(), origin: origin.to_owned() };
    KEYS.iter().find(|key| key.name == name).ok_or_else(unknown)
}

/// Environment and flags are text; a number that is none stays text, so that its error shows what was written.
fn typed(key: &Key, text: String) -> Value {
    match text.parse::<u64>() {
        Ok(number) if key.is_number => Value::from(number),
        _ => Value::from(text),
    }
}

/// A lone word that is no level would be read as a part of the program, of which alone all is then logged: the node would
/// fall silent. The error is the part that is wrong.
fn check_log_level(text: &str) -> Result<(), &str> {
    let is_level = |level: &str| !level.is_empty() && LevelFilter::from_str(level).is_ok();
    match text.split(',').find(|part| !is_level(part.rsplit('=').next().unwrap_or_default())) {
        Some(part) => Err(part),
        None => EnvFilter::from_str(text).map(drop).map_err(|_| text),
    }
}

/// Where the value of a key comes from, named so that a user finds it.
fn origin(figment: &Figment, key: &str) -> String {
    named_origin(figment.find_metadata(key), key)
}

fn named_origin(metadata: Option<&Metadata>, key: &str) -> String {
    match metadata.map_or(DEFAULT, |metadata| metadata.name.as_ref()) {
        VARIABLES => format!("environment variable {ENVIRONMENT}{}", key.to_ascii_uppercase()),
        FLAG => format!("flag --{}", key.replace('_', "-")),
        name => name.to_owned(),
    }
}

fn value_error(error: &FigmentError) -> Error {
    let key = error.path.join(".");
    let origin = named_origin(error.metadata.as_ref(), &key);
    let why = match &error.kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            let expected =
                if matches!(expected.as_str(), "u32" | "u64") { "a whole number from 0" } else { expected };
            format!("found {}, expected {expected}", words_of(found))
        }
        Kind::UnknownVariant(found, expected) => {
            format!("found {found:?}, expected {}", expected.join(" or "))
        }
        other => other.to_string(),
    };
    Error::Value { key, origin, why }
}

/// A value that has the wrong type, as its writer sees it.
fn words_of(found: &Actual) -> String {
    match found {
        Actual::Signed(number) => format!("the number {number}"),
        Actual::Unsigned(number) => format!("the number {number}"),
        Actual::Str(text) => format!("the text {text:?}"),
        Actual::Bool(yes) => yes.to_string(),
        Actual::Seq => "a list".into(),
        Actual::Map => "a table".into(),
        other => other.to_string(),
    }
}

fn setting(figment: &Figment, key: &Key) -> Setting {
    let value = match figment.find_value(key.name) {
        Ok(Value::String(_, text)) => text,
        Ok(value) => value.to_u128().map_or_else(String::new, |number| number.to_string()),
        Err(_) => String::new(),
    };
    Setting { key: key.name, value, source: origin(figment, key.name) }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests;
