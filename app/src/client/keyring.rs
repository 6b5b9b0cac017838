//! Keys on disk: one file a key. The private part is encrypted with a passphrase (age, scrypt); name, address and public
//! key are readable, so that listing asks for nothing. The test storage writes the same files without encryption.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use age::{
    DecryptError, scrypt,
    secrecy::{ExposeSecret, SecretString},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use kernel::Address;
use serde::{Deserialize, Serialize};

use super::keys::{self, Key};

/// The form of a key file. A larger number is a newer program's.
const VERSION: u32 = 1;
/// A key file has a few hundred bytes; what is larger is something else.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The longest name.
const NAME_CHARS_MAX: usize = 64;
/// The most scrypt work (as a power of two) that a file may ask for: a minute, and a quarter of a gigabyte.
const WORK_FACTOR_MAX: u8 = 22;

/// How keys lie on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// Under `<home>/keyring/`, encrypted with a passphrase.
    Encrypted,
    /// Under `<home>/keyring-test/`, readable by whoever reads the file: for local nets only.
    Test,
}

/// Why a keyring can't do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name can't be a file's.
    #[error(
        "key name {0:?}: expected 1 to {NAME_CHARS_MAX} letters, digits, `_`, `-` and `.`, not beginning with `.`"
    )]
    Name(String),
    /// The name is taken.
    #[error("the key {name} exists already in {}; delete it first or choose another name", keyring.display())]
    Exists {
        /// The name.
        name: String,
        /// The folder.
        keyring: PathBuf,
    },
    /// There is no such key.
    #[error("no key {name} in {}; `underbid keys list` shows those that are there", keyring.display())]
    Unknown {
        /// The name.
        name: String,
        /// The folder.
        keyring: PathBuf,
    },
    /// The passphrase does not open the key.
    #[error("wrong passphrase for the key {0}")]
    WrongPassphrase(String),
    /// An encrypted key needs a passphrase that is not empty.
    #[error("a passphrase is needed for the key {0}, and may not be empty")]
    NoPassphrase(String),
    /// The file is not a key file, or was changed.
    #[error("{}: not a key file: {why}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was expected.
        why: String,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Encryption failed.
    #[error("the key {name} can't be encrypted: {why}")]
    Encryption {
        /// The name.
        name: String,
        /// The reason.
        why: String,
    },
    /// The secret is no key.
    #[error(transparent)]
    Key(#[from] keys::Error),
}

/// What everybody may know of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its name in this keyring.
    pub name: String,
    /// The account.
    pub address: Address,
    /// The compressed public key, in hexadecimal.
    pub public_key: String,
}

/// A key file. Exactly one of the last two is there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    name: String,
    address: String,
    public_key: String,
    /// The secret, encrypted by age, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted_secret: Option<String>,
    /// The secret in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// The keys in one folder.
#[derive(Clone, Debug)]
pub struct Keyring {
    folder: PathBuf,
    storage: Storage,
    work_factor: Option<u8>,
}

impl Keyring {
    /// The keyring of a home. Nothing is read or created yet.
    pub fn new(home: &Path, storage: Storage) -> Self {
        let folder = match storage {
            Storage::Encrypted => "keyring",
            Storage::Test => "keyring-test",
        };
        Self { folder: home.join(folder), storage, work_factor: None }
    }

    /// The same with a chosen scrypt work factor, the power of two of its rounds. Without one, age takes what needs
    /// about a second on this machine.
    pub fn with_work_factor(self, work_factor: u8) -> Self {
        Self { work_factor: Some(work_factor), ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How the keys lie there.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// Creates the folder, readable by its owner alone.
    pub fn create(&self) -> Result<(), Error> {
        let failed = |source| Error::Io { path: self.folder.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)
    }

    /// Stores a key under a new name. The test storage takes no passphrase.
    pub fn add(&self, name: &str, key: &Key, passphrase: Option<&SecretString>) -> Result<KeyInfo, Error> {
        let path = self.free_path(name)?;
        let file = self.seal(name, key, passphrase)?;
        self.write(&path, &file)?;
        public_part(&path, &file)
    }

    /// Refuses a name that is taken or can't be one.
    pub fn check_free(&self, name: &str) -> Result<(), Error> {
        self.free_path(name).map(drop)
    }

    /// All keys, by name.
    pub fn list(&self) -> Result<Vec<KeyInfo>, Error> {
        let failed = |source| Error::Io { path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                keys.push(public_part(&path, &read(&path)?)?);
            }
        }
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(keys)
    }

    /// What everybody may know of a key.
    pub fn info(&self, name: &str) -> Result<KeyInfo, Error> {
        let path = self.path(name)?;
        public_part(&path, &self.find(name)?)
    }

    /// The key itself.
    pub fn unlock(&self, name: &str, passphrase: Option<&SecretString>) -> Result<Key, Error> {
        unseal(&self.path(name)?, &self.find(name)?, passphrase)
    }

    /// Removes a key for ever.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        self.find(name)?;
        let path = self.path(name)?;
        fs::remove_file(&path).map_err(|source| Error::Io { path, source })
    }

    /// The key's file, encrypted: as it lies there, or sealed with the passphrase where the storage is the test one.
    pub fn export(&self, name: &str, passphrase: Option<&SecretString>) -> Result<String, Error> {
        let mut file = self.find(name)?;
        if file.encrypted_secret.is_none() {
            let key = unseal(&self.path(name)?, &file, None)?;
            file = Self { storage: Storage::Encrypted, ..self.clone() }.seal(name, &key, passphrase)?;
        }
        Ok(text(&file))
    }

    /// Stores an exported key under a new name. The passphrase opens it, and seals it here where this storage encrypts.
    pub fn import(
        &self,
        name: &str,
        exported: &str,
        passphrase: Option<&SecretString>,
    ) -> Result<KeyInfo, Error> {
        let path = self.free_path(name)?;
        let key = unseal(&path, &parse(&path, exported)?, passphrase)?;
        self.add(name, &key, passphrase)
    }

    fn path(&self, name: &str) -> Result<PathBuf, Error> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let is_name = (1..=NAME_CHARS_MAX).contains(&name.len())
            && !name.starts_with('.')
            && name.chars().all(is_plain);
        if !is_name {
            return Err(Error::Name(name.chars().take(100).collect()));
        }
        Ok(self.folder.join(format!("{name}.json")))
    }

    fn free_path(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path(name)?;
        if path.exists() {
            return Err(Error::Exists { name: name.into(), keyring: self.folder.clone() });
        }
        Ok(path)
    }

    fn find(&self, name: &str) -> Result<File, Error> {
        let path = self.path(name)?;
        if !path.exists() {
            return Err(Error::Unknown { name: name.into(), keyring: self.folder.clone() });
        }
        read(&path)
    }

    fn seal(&self, name: &str, key: &Key, passphrase: Option<&SecretString>) -> Result<File, Error> {
        let mut file = File {
            version: VERSION,
            name: name.into(),
            address: key.address().to_string(),
            public_key: hex::encode(key.public_key()),
            encrypted_secret: None,
            secret: None,
        };
        match self.storage {
            Storage::Test => file.secret = Some(hex::encode(key.secret())),
            Storage::Encrypted => {
                let passphrase = passphrase
                    .filter(|passphrase| !passphrase.expose_secret().is_empty())
                    .ok_or_else(|| Error::NoPassphrase(name.into()))?;
                let mut recipient = scrypt::Recipient::new(passphrase.clone());
                if let Some(work_factor) = self.work_factor {
                    recipient.set_work_factor(work_factor);
                }
                let sealed = age::encrypt(&recipient, &key.secret())
                    .map_err(|e| Error::Encryption { name: name.into(), why: e.to_string() })?;
                file.encrypted_secret = Some(BASE64_STANDARD.encode(sealed));
            }
        }
        Ok(file)
    }

    /// Writes beside the file and renames, so that a crash leaves either all of a key or nothing.
    fn write(&self, path: &Path, file: &File) -> Result<(), Error> {
        self.create()?;
        let failed = |source| Error::Io { path: path.into(), source };
        let beside = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut out| out.write_all(text(file).as_bytes()).and_then(|()| out.sync_all()))
            // A link refuses to replace a key that another process has stored meanwhile.
            .and_then(|()| fs::hard_link(&beside, path));
        let removed = fs::remove_file(&beside);
        written.and(removed).map_err(failed)?;
        fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

fn text(file: &File) -> String {
    let mut text = serde_json::to_string_pretty(file).unwrap_or_default();
    text.push('\n');
    text
}

fn read(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Io { path: path.into(), source };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > FILE_BYTES_MAX {
        return Err(Error::Corrupt {
            path: path.into(),
            why: format!("expected a few hundred bytes, it has {size}"),
        });
    }
    parse(path, &fs::read_to_string(path).map_err(failed)?)
}

fn parse(path: &Path, text: &str) -> Result<File, Error> {
    let corrupt = |why: String| Error::Corrupt { path: path.into(), why };
    let file: File = serde_json::from_str(text).map_err(|e| corrupt(e.to_string()))?;
    if file.version != VERSION {
        return Err(corrupt(format!("expected version {VERSION}, it has {}", file.version)));
    }
    if file.encrypted_secret.is_some() == file.secret.is_some() {
        return Err(corrupt("expected either encrypted_secret or secret".into()));
    }
    Ok(file)
}

fn public_part(path: &Path, file: &File) -> Result<KeyInfo, Error> {
    let address = Address::parse(&file.address)
        .map_err(|e| Error::Corrupt { path: path.into(), why: e.to_string() })?;
    // The file's own name counts: a key that was renamed by hand is found by its new name.
    let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(KeyInfo { name, address, public_key: file.public_key.clone() })
}

fn unseal(path: &Path, file: &File, passphrase: Option<&SecretString>) -> Result<Key, Error> {
    let corrupt = |why: String| Error::Corrupt { path: path.into(), why };
    let key = match (&file.encrypted_secret, &file.secret) {
        (Some(sealed), _) => {
            let passphrase = passphrase.ok_or_else(|| Error::NoPassphrase(file.name.clone()))?;
            let sealed =
                BASE64_STANDARD.decode(sealed).map_err(|e| corrupt(format!("encrypted_secret: {e}")))?;
            let mut identity = scrypt::Identity::new(passphrase.clone());
            identity.set_max_work_factor(WORK_FACTOR_MAX);
            let secret = age::decrypt(&identity, &sealed).map_err(|error| match error {
                DecryptError::DecryptionFailed
                | DecryptError::KeyDecryptionFailed
                | DecryptError::NoMatchingKeys => Error::WrongPassphrase(file.name.clone()),
                other => corrupt(other.to_string()),
            })?;
            Key::from_secret(<[u8; 32]>::try_from(secret).map_err(|_| keys::Error::Secret)?)?
        }
        (None, secret) => Key::from_hex(secret.as_deref().unwrap_or_default())?,
    };
    let address = key.address().to_string();
    if address != file.address {
        return Err(corrupt(format!("its secret is the one of {address}, not of {}", file.address)));
    }
    Ok(key)
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encrypted => "encrypted",
            Self::Test => "test",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(byte: u8) -> Key {
        Key::from_secret([byte; 32]).unwrap()
    }

    fn keyring(home: &Path, storage: Storage) -> Keyring {
        Keyring::new(home, storage).with_work_factor(4)
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_alone() {
        let home = tempfile::tempdir().unwrap();
        let keyring = keyring(home.path(), Storage::Encrypted);
        let (right, wrong) = (SecretString::from("right"), SecretString::from("wrong"));
        assert!(matches!(keyring.add("a", &key(1), None), Err(Error::NoPassphrase(_))));
        assert!(matches!(keyring.add("a", &key(1), Some(&"".into())), Err(Error::NoPassphrase(_))));
        keyring.add("a", &key(1), Some(&right)).unwrap();
        assert_eq!(keyring.unlock("a", Some(&right)).unwrap().secret(), key(1).secret());
        assert!(
            matches!(keyring.unlock("a", Some(&wrong)), Err(Error::WrongPassphrase(name)) if name == "a")
        );
        assert!(matches!(keyring.unlock("a", None), Err(Error::NoPassphrase(_))));
        let path = home.path().join("keyring/a.json");
        let file = fs::read_to_string(&path).unwrap();
        assert!(!file.contains(&hex::encode(key(1).secret())));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(home.path().join("keyring")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn names_are_unique_listed_and_deleted() {
        let home = tempfile::tempdir().unwrap();
        let keyring = keyring(home.path(), Storage::Test);
        assert_eq!(keyring.list().unwrap(), []);
        keyring.add("b", &key(2), None).unwrap();
        keyring.add("a", &key(1), None).unwrap();
        assert!(matches!(keyring.add("a", &key(3), None), Err(Error::Exists { .. })));
        let names: Vec<String> = keyring.list().unwrap().into_iter().map(|key| key.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(keyring.info("a").unwrap().address, key(1).address());
        keyring.delete("a").unwrap();
        assert!(matches!(keyring.delete("a"), Err(Error::Unknown { .. })));
        assert!(matches!(keyring.unlock("a", None), Err(Error::Unknown { .. })));
        assert_eq!(fs::read_dir(keyring.folder()).unwrap().count(), 1, "nothing is left beside the key");
        for name in ["", ".", "..", "../a", "a/b", ".hidden", "a b", "ä", &"x".repeat(65)] {
            assert!(matches!(keyring.add(name, &key(1), None), Err(Error::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn an_exported_key_is_encrypted_and_moves_between_storages() {
        let home = tempfile::tempdir().unwrap();
        let (test, encrypted) =
            (keyring(home.path(), Storage::Test), keyring(home.path(), Storage::Encrypted));
        let passphrase = SecretString::from("moving");
        test.add("a", &key(1), None).unwrap();
        let exported = test.export("a", Some(&passphrase)).unwrap();
        assert!(!exported.contains(&hex::encode(key(1).secret())));
        encrypted.import("moved", &exported, Some(&passphrase)).unwrap();
        assert_eq!(encrypted.unlock("moved", Some(&passphrase)).unwrap().secret(), key(1).secret());
        assert!(encrypted.export("moved", None).unwrap().contains("encrypted_secret"));
        let wrong = SecretString::from("wrong");
        assert!(matches!(test.import("b", &exported, Some(&wrong)), Err(Error::WrongPassphrase(_))));
        assert!(matches!(test.info("b"), Err(Error::Unknown { .. })));
    }

    #[test]
    fn a_file_that_was_changed_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let keyring = keyring(home.path(), Storage::Test);
        keyring.add("a", &key(1), None).unwrap();
        let path = home.path().join("keyring-test/a.json");
        let good = fs::read_to_string(&path).unwrap();
        let (one, two) = (key(1).address().to_string(), key(2).address().to_string());
        for bad in [
            String::new(),
            "{}".into(),
            good.replace(&one, &two),
            good.replace(&one, "nobody"),
            good.replace("\"version\": 1", "\"version\": 2"),
            good.replace("\"version\"", "\"more\": 1, \"version\""),
            good.replace("\"secret\"", "\"encrypted_secret\""),
            " ".repeat(100_000),
        ] {
            fs::write(&path, &bad).unwrap();
            let opened = keyring.unlock("a", Some(&"p".into()));
            assert!(matches!(opened, Err(Error::Corrupt { .. })), "{bad} -> {opened:?}");
        }
    }
}
