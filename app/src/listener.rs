//! What gRPC and metrics listen on: a bounded number of connections, so that strangers can't use up the descriptors that
//! the store needs. One more than that is not refused but waits in the system's queue, where it costs nothing.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Sleep, sleep},
};

/// How long a connection may send nothing before it is closed.
pub const IDLE: Duration = Duration::from_secs(300);

/// A listener with so many places.
pub struct Listener {
    listener: TcpListener,
    places: Arc<Semaphore>,
    idle: Duration,
}

impl Listener {
    /// At most `connections` at once, each closed after `idle` without a byte from it.
    pub fn new(listener: TcpListener, connections: usize, idle: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(connections)), idle }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return pending().await };
        let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
        let (cut, is_cut) = oneshot::channel();
        let cut = Cut(Arc::new(Mutex::new(Some(cut))));
        let (idle, silence) = (self.idle, None);
        (Connection { stream, idle, silence, cut, is_cut: Some(is_cut), _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Ends its connection, with all that waits there to be sent.
#[derive(Clone)]
pub struct Cut(Arc<Mutex<Option<oneshot::Sender<()>>>>);

impl Cut {
    /// Ends the connection.
    pub fn now(&self) {
        let cut = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The connection may have ended by itself.
        cut.map(|cut| cut.send(()).ok());
    }
}

impl Connected<IncomingStream<'_, Listener>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().cut.clone()
    }
}

/// A connection with its place.
pub struct Connection {
    stream: TcpStream,
    idle: Duration,
    /// Ends when nothing has come for too long; none while something comes.
    silence: Option<Pin<Box<Sleep>>>,
    cut: Cut,
    /// None once it has come: a receiver is asked once only.
    is_cut: Option<oneshot::Receiver<()>>,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The connection has a sender itself, so there is no end but the cut.
        let is_whole = self.is_cut.as_mut().is_some_and(|cut| Pin::new(cut).poll(context).is_pending());
        if !is_whole {
            self.is_cut = None;
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.silence = None;
            return Poll::Ready(read);
        }
        let idle = self.idle;
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(idle)));
        silence.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
