//! Unix and TCP sockets behind one face, and the rules for socket files.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tracing::warn;

use super::Error;

/// The longest unix socket path: `sun_path` has 108 bytes, the last of them zero.
pub const UNIX_PATH_BYTES_MAX: usize = 107;

/// Where the server listens: `unix://PATH` or `tcp://HOST:PORT`, as in CometBFT's `proxy_app`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The path of a unix socket, at most [`UNIX_PATH_BYTES_MAX`] bytes.
    Unix(PathBuf),
    /// `host:port`; port 0 takes a free one.
    Tcp(String),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let address = text.split_once("://").and_then(|(scheme, rest)| match (scheme, rest) {
            (_, "") => None,
            ("unix", path) => Some(Self::Unix(PathBuf::from(path))),
            ("tcp", host) => Some(Self::Tcp(host.to_owned())),
            _ => None,
        });
        address.ok_or_else(|| Error::Address { address: text.to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
        }
    }
}

pub(super) enum Listener {
    Unix { listener: UnixListener, path: PathBuf, identity: (u64, u64) },
    Tcp(TcpListener),
}

impl Listener {
    /// Binds without blocking accepts. Returns the address that is bound, with the actual port for TCP.
    pub(super) fn bind(address: &Address) -> Result<(Self, Address), Error> {
        let failed = |source| Error::Bind { address: address.clone(), source };
        match address {
            Address::Unix(path) => {
                let bytes = path.as_os_str().len();
                if bytes > UNIX_PATH_BYTES_MAX {
                    return Err(Error::PathTooLong { path: path.clone(), bytes });
                }
                remove_stale_socket(path)?;
                let listener = Self::bind_unix(path).map_err(failed)?;
                Ok((listener, address.clone()))
            }
            Address::Tcp(host) => {
                let listener = TcpListener::bind(host.as_str()).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                Ok((Self::Tcp(listener), Address::Tcp(bound.to_string())))
            }
        }
    }

    fn bind_unix(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(Self::Unix { listener, path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix { listener, .. } => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
        }
    }
}

impl Drop for Listener {
    /// Removes the socket file, unless another server has put its own there.
    fn drop(&mut self) {
        let Self::Unix { path, identity, .. } = self else { return };
        let is_ours =
            std::fs::symlink_metadata(&*path).is_ok_and(|file| (file.dev(), file.ino()) == *identity);
        if is_ours && let Err(error) = std::fs::remove_file(&*path) {
            warn!(path = %path.display(), %error, "ABCI socket could not be removed");
        }
    }
}

fn remove_stale_socket(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Bind { address: Address::Unix(path.to_owned()), source };
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) => metadata,
    };
    if !metadata.file_type().is_socket() {
        return Err(Error::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Blocking, and for TCP without Nagle's delay, which would add 40 ms to a response that follows another.
    pub(super) fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(false),
            Self::Tcp(stream) => stream.set_nonblocking(false).and_then(|()| stream.set_nodelay(true)),
        }
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tcp(stream) => stream.shutdown(how),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(bytes),
            Self::Tcp(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
