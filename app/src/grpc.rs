//! gRPC: the query router's second front end. One service answers every method of the table, so nothing is declared twice.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, State},
    middleware::{self, Next},
};
use bytes::{Buf, BufMut};
use http_body_util::BodyExt as _;
use kernel::Status as QueryStatus;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, UnaryService},
};

use crate::{
    app::App,
    listener::{self, Cut, Listener},
    query,
};

/// The header by which a client asks for a past height, and by which it is told the one it got.
pub const HEIGHT_HEADER: &str = "x-cosmos-block-height";
/// With a refused simulation: the codespace and the code that a block would give.
pub const CODESPACE_HEADER: &str = "codespace";
/// See [`CODESPACE_HEADER`].
pub const CODE_HEADER: &str = "code";

/// A request for reflection is the name of a file or a symbol.
const REFLECTION_BYTES_MAX: usize = 4 * 1024;

/// How much is taken at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Queries that run. 2.
    pub running: usize,
    /// Queries that run, wait for their turn or are still being sent; one more is refused. 256.
    pub admitted: usize,
    /// From a query's header to its answer; what takes longer is answered with an error. A client that then takes as long
    /// again to read the answer loses its connection. 30 s.
    pub answer: Duration,
    /// Connections; one more waits until another one ends. 256.
    pub connections: usize,
    /// How long a connection may send nothing before it is closed. 5 min.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            running: 2,
            admitted: 256,
            answer: Duration::from_secs(30),
            connections: 256,
            idle: listener::IDLE,
        }
    }
}

/// Why gRPC can't be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reflection service could not be built.
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Serving failed.
    #[error("gRPC: {0}")]
    Io(#[from] std::io::Error),
}

/// Serves until `stop` resolves.
pub async fn serve(
    app: Arc<App>,
    listener: tokio::net::TcpListener,
    limits: Limits,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let builder = || {
        query::services().into_iter().fold(
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET),
            tonic_reflection::server::Builder::with_service_name,
        )
    };
    let v1 = builder().build_v1()?.max_decoding_message_size(REFLECTION_BYTES_MAX);
    let v1alpha = builder().build_v1alpha()?.max_decoding_message_size(REFLECTION_BYTES_MAX);
    let queries = Queries { app, running: Arc::new(Semaphore::new(limits.running)), answer: limits.answer };
    let places = Places { free: Arc::new(Semaphore::new(limits.admitted)), read_within: limits.answer };
    let router = tonic::service::Routes::new(v1)
        .add_service(v1alpha)
        .into_axum_router()
        .fallback_service(queries)
        .layer(middleware::from_fn_with_state(places, admit));
    let listener = Listener::new(listener, limits.connections, limits.idle);
    let service = router.into_make_service_with_connect_info::<Cut>();
    Ok(axum::serve(listener, service).with_graceful_shutdown(stop).await?)
}

/// Places for what runs, waits or is being sent: they bound what requests and answers take.
#[derive(Clone)]
struct Places {
    free: Arc<Semaphore>,
    /// How long a client may take to read an answer.
    read_within: Duration,
}

/// A request's place, for as long as anybody holds it.
#[derive(Clone)]
struct Place(#[allow(dead_code, reason = "it is held")] Arc<OwnedSemaphorePermit>);

/// Ends a connection unless it is dropped before.
struct Deadline(JoinHandle<()>);

impl Deadline {
    fn new(cut: Cut, after: Duration) -> Self {
        Self(tokio::spawn(async move {
            tokio::time::sleep(after).await;
            cut.now();
        }))
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gives a request a place before its body is read, and takes it back when its answer is sent.
async fn admit(
    State(places): State<Places>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    mut request: axum::extract::Request,
    next: Next,
) -> axum::response::Response {
    let Ok(place) = places.free.try_acquire_owned() else {
        let refused = Status::resource_exhausted("too many queries wait: ask again later");
        return refused.into_http::<Body>().map(axum::body::Body::new);
    };
    let place = Place(Arc::new(place));
    request.extensions_mut().insert(place.clone());
    let answer = next.run(request).await;
    let held = (place, Deadline::new(cut, places.read_within));
    answer.map(|body| {
        axum::body::Body::new(body.map_frame(move |frame| {
            let _held = &held;
            frame
        }))
    })
}

/// The service of every method in the table.
#[derive(Clone)]
struct Queries {
    app: Arc<App>,
    running: Arc<Semaphore>,
    answer: Duration,
}

impl tower::Service<axum::extract::Request> for Queries {
    type Response = axum::http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: axum::extract::Request) -> Self::Future {
        let method = Method {
            app: Arc::clone(&self.app),
            path: request.uri().path().into(),
            running: Arc::clone(&self.running),
            place: request.extensions().get::<Place>().cloned(),
        };
        let limit = self.answer;
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw).max_decoding_message_size(query::REQUEST_BYTES_MAX);
            let answer = tokio::time::timeout(limit, grpc.unary(method, request)).await;
            let late = |_| Status::deadline_exceeded("the query took too long: ask again later").into_http();
            Ok(answer.unwrap_or_else(late))
        })
    }
}

/// One call.
struct Method {
    app: Arc<App>,
    path: Arc<str>,
    running: Arc<Semaphore>,
    place: Option<Place>,
}

impl UnaryService<Vec<u8>> for Method {
    type Response = Vec<u8>;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        let (app, path) = (Arc::clone(&self.app), Arc::clone(&self.path));
        let (running, place) = (Arc::clone(&self.running), self.place.clone());
        Box::pin(async move {
            let height = asked_height(&request)?;
            let turn = running.acquire_owned().await.map_err(|_| Status::unavailable("the node stops"))?;
            let body = request.into_inner();
            // A query that has begun runs to its end, also when nobody waits for it any more: it keeps its place and its
            // turn until then.
            let run = move || {
                let answer = query::run(&app, &path, &body, height);
                drop((turn, place));
                answer
            };
            let answer = tokio::task::spawn_blocking(run)
                .await
                .map_err(|_| Status::internal("the query was cut off"))?
                .map_err(|status| to_grpc(&status))?;
            let mut response = Response::new(answer.value);
            if let Ok(value) = answer.height.to_string().parse() {
                response.metadata_mut().insert(HEIGHT_HEADER, value);
            }
            Ok(response)
        })
    }
}

#[allow(clippy::result_large_err, reason = "the error is tonic's")]
fn asked_height(request: &Request<Vec<u8>>) -> Result<u64, Status> {
    match request.metadata().get(HEIGHT_HEADER) {
        None => Ok(0),
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Status::invalid_argument(format!("{HEIGHT_HEADER}: expected a height"))),
    }
}

fn to_grpc(status: &QueryStatus) -> Status {
    let code = i32::try_from(status.code.number()).map_or(Code::Unknown, Code::from_i32);
    let mut answer = Status::new(code, status.message.clone());
    if let Some((codespace, code)) = &status.rejection {
        let metadata = answer.metadata_mut();
        for (name, value) in [(CODESPACE_HEADER, codespace.parse()), (CODE_HEADER, code.to_string().parse())]
        {
            if let Ok(value) = value {
                metadata.insert(name, value);
            }
        }
    }
    answer
}

/// Messages as bytes: the table's handlers decode them.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}
