//! gRPC as any client sees it: answers, codes, heights, reflection, limits.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use kernel::{AppHash, Backend, Changes, Fatal, HeightError, Proof, Staged, View};
use prost::{Message, Name};
use proto::{
    cosmos::{
        auth::v1beta1::{QueryAccountRequest, QueryAccountResponse},
        bank::v1beta1::{MsgSendResponse, QueryBalanceRequest, QueryBalanceResponse},
        tx::v1beta1::{SimulateRequest, SimulateResponse},
    },
    underbid::market::v1::{MsgSettle, QueryOrderRequest, QueryOrderResponse},
};
use store::MemoryBackend;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time,
};
use tonic::{Code, Request, Response, Status, codec::ProstCodec, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use underbid::{
    app::App,
    execute::RawBlock,
    grpc::{self, CODE_HEADER, CODESPACE_HEADER, HEIGHT_HEADER, Limits},
    metrics::Metrics,
    modules::STORES,
    query,
};

use sim::*;

const BALANCE: &str = "/cosmos.bank.v1beta1.Query/Balance";
const SIMULATE: &str = "/cosmos.tx.v1beta1.Service/Simulate";

/// A served application; it stops with this.
struct Served {
    channel: Channel,
    address: String,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<Result<(), grpc::Error>>,
}

impl Served {
    async fn new(app: &Arc<App>, limits: Limits) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let until = async move { stopped.await.unwrap() };
        let ended = tokio::spawn(grpc::serve(Arc::clone(app), listener, limits, until));
        let channel = connect(&address).await;
        Self { channel, address, stop, ended }
    }

    async fn ask<Q, R>(&self, path: &str, request: Request<Q>) -> Result<Response<R>, Status>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        ask(&self.channel, path, request).await
    }

    /// What becomes of a query of the last state.
    async fn code(&self) -> Code {
        let answer: Result<Response<QueryBalanceResponse>, Status> =
            self.ask(BALANCE, Request::new(balance_of("bob"))).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    }

    /// A stop ends the server although the client is still connected.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

async fn connect(address: &str) -> Channel {
    tonic::transport::Endpoint::new(format!("http://{address}")).unwrap().connect().await.unwrap()
}

async fn ask<Q, R>(channel: &Channel, path: &str, request: Request<Q>) -> Result<Response<R>, Status>
where
    Q: Message + 'static,
    R: Message + Default + 'static,
{
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    client.unary(request, path.parse().unwrap(), ProstCodec::<Q, R>::default()).await
}

fn balance_of(name: &str) -> QueryBalanceRequest {
    QueryBalanceRequest { address: text(name), denom: "uflop".into() }
}

fn at<Q>(request: Q, height: &str) -> Request<Q> {
    let mut request = Request::new(request);
    request.metadata_mut().insert(HEIGHT_HEADER, height.parse().unwrap());
    request
}

fn header<'a>(metadata: &'a tonic::metadata::MetadataMap, name: &str) -> Option<&'a str> {
    metadata.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn an_answer_has_the_height_that_was_asked_or_the_last_one() {
    let mut chain = TestChain::on_disk();
    for _ in 0..12 {
        chain.ok::<_, MsgSendResponse>("alice", &send("alice", "bob", 1));
    }
    let served = Served::new(chain.app(), Limits::default()).await;
    for (asked, height) in [(None, chain.height), (Some("0"), chain.height), (Some("9"), 9)] {
        let request = match asked {
            Some(asked) => at(balance_of("bob"), asked),
            None => Request::new(balance_of("bob")),
        };
        let answer: Response<QueryBalanceResponse> = served.ask(BALANCE, request).await.unwrap();
        assert_eq!(header(answer.metadata(), HEIGHT_HEADER), Some(height.to_string().as_str()));
        let held = answer.into_inner().balance.unwrap().amount;
        assert_eq!(held, (PURSE + height - 1).to_string());
    }
    let oldest = chain.height - 8;
    for (asked, code, named) in [
        ("1", Code::OutOfRange, format!("{oldest} to {}", chain.height)),
        ("1000", Code::OutOfRange, format!("{oldest} to {}", chain.height)),
        ("-1", Code::InvalidArgument, HEIGHT_HEADER.to_owned()),
        ("latest", Code::InvalidArgument, HEIGHT_HEADER.to_owned()),
    ] {
        let status =
            served.ask::<_, QueryBalanceResponse>(BALANCE, at(balance_of("bob"), asked)).await.unwrap_err();
        assert_eq!(status.code(), code, "{asked}: {status}");
        assert!(status.message().contains(&named), "{asked}: {status}");
    }
    served.stop().await;
}

#[tokio::test]
async fn errors_have_the_codes_of_grpc() {
    let chain = TestChain::new();
    let served = Served::new(chain.app(), Limits::default()).await;
    let unknown = kernel::Address([7; 20]).to_string();
    let account = "/cosmos.auth.v1beta1.Query/Account";
    let ask = |address: String| {
        served.ask::<_, QueryAccountResponse>(account, Request::new(QueryAccountRequest { address }))
    };
    let status = ask(unknown.clone()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, &*format!("account {unknown} not found")));
    assert_eq!(ask("nobody".into()).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(ask(text("alice")).await.is_ok());
    let order = Request::new(QueryOrderRequest { order_id: 5 });
    let status = served.ask::<_, QueryOrderResponse>("/underbid.market.v1.Query/Order", order).await;
    assert_eq!(status.unwrap_err().code(), Code::NotFound);
    for path in ["/cosmos.gov.v1.Query/Proposals", "/cosmos.bank.v1beta1.Query/Nothing", "/nothing/at-all"] {
        let status = served.ask::<_, QueryBalanceResponse>(path, Request::new(balance_of("bob"))).await;
        assert_eq!(status.unwrap_err().code(), Code::Unimplemented, "{path}");
    }
    let large = QueryBalanceRequest { address: "x".repeat(2 << 20), denom: String::new() };
    let status = served.ask::<_, QueryBalanceResponse>(BALANCE, Request::new(large)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(status.message().contains("1048576 bytes"), "{status}");
    assert!(served.ask::<_, QueryBalanceResponse>(BALANCE, Request::new(balance_of("bob"))).await.is_ok());
    served.stop().await;
}

#[tokio::test]
async fn a_refused_simulation_says_by_number_who_refused_it() {
    let chain = TestChain::new();
    let served = Served::new(chain.app(), Limits::default()).await;
    let simulate = |tx_bytes| {
        let request = SimulateRequest { tx_bytes, ..Default::default() };
        served.ask::<_, SimulateResponse>(SIMULATE, Request::new(request))
    };
    let settle = draft([&MsgSettle { signer: text("alice"), order_id: 5 }]).unsigned(&[0]);
    let too_much = draft([&send("alice", "bob", 2 * PURSE)]).unsigned(&[0]);
    let too_late = draft([&send("alice", "bob", 1)]).unsigned(&[7]);
    for (tx, codespace, code, words) in [
        (settle, "market", "13", "order 5"),
        (too_much, "sdk", "5", "insufficient funds"),
        (too_late, "sdk", "32", "account sequence mismatch, expected 0, got 7"),
        (vec![0xff; 9], "sdk", "2", ""),
    ] {
        let status = simulate(tx).await.unwrap_err();
        let rejection = (header(status.metadata(), CODESPACE_HEADER), header(status.metadata(), CODE_HEADER));
        assert_eq!(rejection, (Some(codespace), Some(code)), "{status}");
        assert_eq!(status.code(), Code::Unknown, "{status}");
        assert!(status.message().contains(words) && status.message().contains("with gas used"), "{status}");
    }
    let status = served.ask::<_, QueryBalanceResponse>("/x.Y/Z", Request::new(balance_of("bob"))).await;
    assert_eq!(header(status.unwrap_err().metadata(), CODE_HEADER), None);
    assert!(simulate(draft([&send("alice", "bob", 1)]).unsigned(&[0])).await.is_ok());
    served.stop().await;
}

#[tokio::test]
async fn reflection_lists_and_describes_what_is_served() {
    let chain = TestChain::new();
    let served = Served::new(chain.app(), Limits::default()).await;
    let ask = |message| {
        let channel = served.channel.clone();
        async move {
            let request = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
            let requests = tonic::codegen::tokio_stream::iter([request]);
            let mut answers = ServerReflectionClient::new(channel)
                .server_reflection_info(requests)
                .await
                .unwrap()
                .into_inner();
            answers.message().await.unwrap().unwrap().message_response.unwrap()
        }
    };
    let MessageResponse::ListServicesResponse(list) = ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("expected a list of services")
    };
    let listed: BTreeSet<String> = list.service.into_iter().map(|service| service.name).collect();
    for service in query::services() {
        assert!(listed.contains(service), "{service}");
        let described = ask(MessageRequest::FileContainingSymbol(service.to_owned())).await;
        assert!(matches!(described, MessageResponse::FileDescriptorResponse(_)), "{service}");
    }
    let symbol = MsgSettle::full_name();
    let described = ask(MessageRequest::FileContainingSymbol(symbol.clone())).await;
    assert!(matches!(described, MessageResponse::FileDescriptorResponse(_)), "{symbol}");
    served.stop().await;
}

#[tokio::test]
async fn more_queries_than_are_admitted_are_refused_and_a_place_is_given_back() {
    let chain = TestChain::new();
    let served = Served::new(chain.app(), Limits { running: 1, admitted: 0, ..Limits::default() }).await;
    let status = served.ask::<_, QueryBalanceResponse>(BALANCE, Request::new(balance_of("bob"))).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    served.stop().await;

    let served = Served::new(chain.app(), Limits { running: 1, admitted: 1, ..Limits::default() }).await;
    for _ in 0..20 {
        let answer = served.ask::<_, QueryBalanceResponse>(BALANCE, Request::new(balance_of("bob"))).await;
        assert!(answer.is_ok());
        let refused = QueryBalanceRequest { address: "x".into(), denom: String::new() };
        let status = served.ask::<_, QueryBalanceResponse>(BALANCE, Request::new(refused)).await;
        assert_eq!(status.unwrap_err().code(), Code::InvalidArgument, "a refusal gives its place back too");
    }
    served.stop().await;
}

/// A store that says when its past is asked for, and answers when it may, or nobody is left to say so.
struct Gated {
    store: MemoryBackend,
    asked: mpsc::UnboundedSender<()>,
    may: Mutex<Receiver<()>>,
}

/// The other side of a [`Gated`] store.
struct Gate {
    asked: mpsc::UnboundedReceiver<()>,
    may: Sender<()>,
}

impl Backend for Gated {
    fn view(&self, height: Option<u64>) -> Result<Arc<dyn View>, HeightError> {
        if height.is_some() {
            // Whoever waits may be gone.
            self.asked.send(()).ok();
            self.may.lock().unwrap().recv().ok();
        }
        self.store.view(height)
    }

    fn stage(&self, base: &dyn View, changes: Changes) -> Result<Staged, Fatal> {
        self.store.stage(base, changes)
    }

    fn commit(&self, staged: Staged, height: u64) -> Result<Arc<dyn View>, Fatal> {
        self.store.commit(staged, height)
    }

    fn last(&self) -> Option<(u64, AppHash)> {
        self.store.last()
    }

    fn prove(&self, height: Option<u64>, store: &str, key: &[u8]) -> Result<Proof, HeightError> {
        self.store.prove(height, store, key)
    }

    fn rollback(&self) -> Result<u64, Fatal> {
        self.store.rollback()
    }
}

/// An application of two blocks over a [`Gated`] store.
fn gated() -> (Arc<App>, Gate) {
    let ((sent, asked), (may, waited)) = (mpsc::unbounded_channel(), channel());
    let store = Gated { store: MemoryBackend::new(STORES), asked: sent, may: Mutex::new(waited) };
    let app = App::open(Arc::new(store), Metrics::default()).unwrap();
    app.init_chain(CHAIN_ID, 1, START_S, parsed(&genesis_state())).unwrap();
    for height in 1..=2 {
        app.finalize(&RawBlock { height, time_s: START_S + height, ..RawBlock::default() }).unwrap();
        app.commit().unwrap();
    }
    (Arc::new(app), Gate { asked, may })
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_keeps_its_place_until_it_ends() {
    let (app, mut gate) = gated();
    let soon = Duration::from_millis(300);
    for (answer, resets) in [(Duration::from_secs(60), true), (soon, false)] {
        let served = Served::new(&app, Limits { running: 1, admitted: 1, answer, ..Limits::default() }).await;
        let asked = served.ask::<_, QueryBalanceResponse>(BALANCE, at(balance_of("bob"), "1"));
        let mut asked = Box::pin(asked);
        tokio::select! {
            answer = &mut asked => panic!("{answer:?}"),
            reached = gate.asked.recv() => reached.unwrap(),
        }
        if resets {
            // Its stream is reset with it.
            drop(asked);
        } else {
            assert_eq!(asked.await.unwrap_err().code(), Code::DeadlineExceeded);
        }
        for _ in 0..10 {
            assert_eq!(served.code().await, Code::ResourceExhausted);
            time::sleep(Duration::from_millis(20)).await;
        }
        gate.may.send(()).unwrap();
        let given_back = async {
            while served.code().await != Code::Ok {
                time::sleep(Duration::from_millis(20)).await;
            }
        };
        time::timeout(Duration::from_secs(30), given_back).await.unwrap();
        served.stop().await;
    }
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_one_ends() {
    let chain = TestChain::new();
    let served = Served::new(chain.app(), Limits { connections: 3, ..Limits::default() }).await;
    assert_eq!(served.code().await, Code::Ok);
    let idle = [TcpStream::connect(&served.address).await, TcpStream::connect(&served.address).await];
    let late = connect(&served.address).await;
    let asked = ask::<_, QueryBalanceResponse>(&late, BALANCE, Request::new(balance_of("bob")));
    tokio::pin!(asked);
    assert!(time::timeout(Duration::from_millis(300), &mut asked).await.is_err(), "it waits");
    assert_eq!(served.code().await, Code::Ok, "the others don't");
    drop(idle);
    time::timeout(Duration::from_secs(30), asked).await.unwrap().unwrap();
    served.stop().await;
}

/// What an HTTP/2 client sends that asks for bob's balance and takes no byte of an answer's body (RFC 9113).
fn deaf_request() -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let header = |(name, value): (&str, &str)| {
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        [vec![0], text(name), text(value)].concat()
    };
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", BALANCE),
        (":authority", "node"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let message = balance_of("bob").encode_to_vec();
    let message = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    let no_window = [&4_u16.to_be_bytes()[..], &0_u32.to_be_bytes()].concat();
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &no_window),
        frame(1, 4, 1, &headers.map(header).concat()),
        frame(0, 1, 1, &message),
    ]
    .concat()
}

#[tokio::test]
async fn an_answer_that_nobody_reads_keeps_its_place_until_its_connection_is_cut() {
    let chain = TestChain::new();
    let (answer, soon) = (Duration::from_secs(1), Duration::from_millis(300));
    let served = Served::new(chain.app(), Limits { admitted: 1, answer, ..Limits::default() }).await;
    let mut deaf = TcpStream::connect(&served.address).await.unwrap();
    deaf.write_all(&deaf_request()).await.unwrap();
    time::sleep(soon).await;
    assert_eq!(served.code().await, Code::ResourceExhausted, "the answer waits to be read");
    let mut received = Vec::new();
    // A reset may take the place of an end.
    time::timeout(Duration::from_secs(30), deaf.read_to_end(&mut received)).await.unwrap().ok();
    let given_back = async {
        while served.code().await != Code::Ok {
            time::sleep(Duration::from_millis(20)).await;
        }
    };
    time::timeout(Duration::from_secs(30), given_back).await.unwrap();
    served.stop().await;
}

#[tokio::test]
async fn a_connection_that_sends_nothing_is_closed() {
    let chain = TestChain::new();
    let idle = Duration::from_millis(200);
    let served = Served::new(chain.app(), Limits { idle, ..Limits::default() }).await;
    let mut silent = TcpStream::connect(&served.address).await.unwrap();
    let mut received = Vec::new();
    time::timeout(Duration::from_secs(30), silent.read_to_end(&mut received)).await.unwrap().unwrap();
    // A client connects again.
    time::sleep(2 * idle).await;
    assert_eq!(served.code().await, Code::Ok);
    served.stop().await;
}
