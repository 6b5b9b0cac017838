//! gRPC: the query router's second front end. One service answers every method of the table, so nothing is declared twice.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut};
use kernel::Status as QueryStatus;
use tokio::sync::Semaphore;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, UnaryService},
};

use crate::{app::App, query};

/// The header by which a client asks for a past height, and by which it is told the one it got.
pub const HEIGHT_HEADER: &str = "x-cosmos-block-height";
/// With a refused simulation: the codespace and the code that a block would give.
pub const CODESPACE_HEADER: &str = "codespace";
/// See [`CODESPACE_HEADER`].
pub const CODE_HEADER: &str = "code";

/// How many queries are taken at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Those that run. 2.
    pub running: usize,
    /// Those that run or wait for their turn; one more is refused. 256.
    pub admitted: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { running: 2, admitted: 256 }
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
    let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
    let queries = Queries {
        app,
        running: Arc::new(Semaphore::new(limits.running)),
        admitted: Arc::new(Semaphore::new(limits.admitted)),
    };
    let router =
        tonic::service::Routes::new(v1).add_service(v1alpha).into_axum_router().fallback_service(queries);
    Ok(axum::serve(listener, router).with_graceful_shutdown(stop).await?)
}

/// The service of every method in the table.
#[derive(Clone)]
struct Queries {
    app: Arc<App>,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl tower::Service<axum::extract::Request> for Queries {
    type Response = axum::http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: axum::extract::Request) -> Self::Future {
        let method = Method { queries: self.clone(), path: request.uri().path().to_owned() };
        Box::pin(async move { Ok(Grpc::new(Raw).unary(method, request).await) })
    }
}

/// One call.
struct Method {
    queries: Queries,
    path: String,
}

impl UnaryService<Vec<u8>> for Method {
    type Response = Vec<u8>;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        let (queries, path) = (self.queries.clone(), std::mem::take(&mut self.path));
        Box::pin(async move {
            let height = asked_height(&request)?;
            let _place = queries
                .admitted
                .try_acquire()
                .map_err(|_| Status::resource_exhausted("too many queries wait: ask again later"))?;
            let _turn = queries.running.acquire().await.map_err(|_| Status::unavailable("the node stops"))?;
            let app = Arc::clone(&queries.app);
            let body = request.into_inner();
            let answer = tokio::task::spawn_blocking(move || query::run(&app, &path, &body, height))
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
