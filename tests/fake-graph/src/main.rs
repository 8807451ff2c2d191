//! The HTTP server of the fake Graph: passes requests to [`fake_graph::Server::handle`] and sends
//! the responses with their delays, bandwidths and broken connections.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request as AxumRequest, State};
use axum::response::Response as AxumResponse;
use axum::serve::{IncomingStream, Listener};
use fake_graph::{Request, Response, Server};
use futures_util::stream;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const USAGE: &str = "fake-graph [--port N] [--seed N] [--static DIR] [--stdin-lifeline] [--verbose]";

#[derive(Default)]
struct Args {
    port: u16,
    seed: u64,
    dir: Option<PathBuf>,
    has_lifeline: bool,
    is_verbose: bool,
}

fn args() -> Result<Args, String> {
    let mut out = Args { seed: 1, ..Args::default() };
    let mut list = std::env::args().skip(1);
    while let Some(name) = list.next() {
        let mut value = || list.next().ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--port" => out.port = value()?.parse().map_err(|_| "--port must be a number".to_owned())?,
            "--seed" => out.seed = value()?.parse().map_err(|_| "--seed must be a number".to_owned())?,
            "--static" => out.dir = Some(PathBuf::from(value()?)),
            "--stdin-lifeline" => out.has_lifeline = true,
            "--verbose" => out.is_verbose = true,
            _ => return Err(format!("unknown option {name}: {USAGE}")),
        }
    }
    Ok(out)
}

/// A connection that the server can close without a response. hyper offers no other way to do that.
struct Cuttable {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
}

impl Cuttable {
    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::SeqCst) { Err(ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

struct Loopback(TcpListener);

impl Listener for Loopback {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cuttable, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, from)) => {
                    let _ = stream.set_nodelay(true);
                    return (Cuttable { stream, cut: Arc::default() }, from);
                }
                // The process may have too many open connections.
                Err(_) => delayed(20).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[derive(Clone)]
struct Cut(Arc<AtomicBool>);

impl Connected<IncomingStream<'_, Loopback>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Loopback>) -> Self {
        Self(Arc::clone(&stream.io().cut))
    }
}

#[derive(Clone)]
struct App {
    server: Arc<Mutex<Server>>,
    dir: Option<Arc<PathBuf>>,
    is_verbose: bool,
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

async fn respond(
    State(app): State<App>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: AxumRequest,
) -> AxumResponse {
    let (head, body) = request.into_parts();
    let url = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let headers = head
        .headers
        .iter()
        .map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
        .collect();
    let body = to_bytes(body, 64 << 20).await.unwrap_or_default().to_vec();
    let request = Request { method: head.method.as_str().to_owned(), url, headers, body };
    let response = match &app.dir {
        Some(dir) if !request.url.starts_with("/w/") && !request.url.starts_with("/control/") => {
            file(dir, &request)
        }
        _ => app.server.lock().unwrap_or_else(PoisonError::into_inner).handle(&request, now_ms()),
    };
    if app.is_verbose {
        eprintln!("{} {} {}", response.status, request.method, request.url);
    }
    send(response, &cut).await
}

async fn send(response: Response, cut: &Cut) -> AxumResponse {
    if response.hang {
        std::future::pending::<()>().await;
    }
    if response.delay_ms > 0 {
        delayed(response.delay_ms).await;
    }
    let mut out = AxumResponse::builder().status(response.status.max(200));
    if response.status == 0 {
        cut.0.store(true, Ordering::SeqCst);
    }
    for (name, value) in &response.headers {
        out = out.header(name, value);
    }
    let whole = response.body.len();
    let built = if response.cut_after.is_some() || response.bytes_per_second.is_some() {
        // The full length, even if the connection closes before.
        out = out.header("Content-Length", whole);
        out.body(Body::from_stream(pieces(response)))
    } else {
        out.body(Body::from(response.body))
    };
    built.unwrap_or_else(|_| AxumResponse::new(Body::from("a header of the response is not allowed")))
}

/// Simulates a slow network or service, and waits to accept the next connection.
/// `tests/no-sleeps.mjs` allows no other sleep in Rust.
async fn delayed(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// The body in pieces of a tenth of a second, with an error at the byte of a cut.
fn pieces(response: Response) -> impl stream::Stream<Item = Result<Bytes, io::Error>> + Send {
    let end = response.cut_after.unwrap_or(response.body.len()).min(response.body.len());
    let step = response.bytes_per_second.map_or(end, |b| usize::try_from(b / 10).unwrap_or(end)).max(1);
    let cut = response.cut_after.is_some();
    let body = Bytes::from(response.body);
    let paced = response.bytes_per_second.is_some();
    stream::unfold((0usize, false), move |(at, failed)| {
        let body = body.clone();
        async move {
            if failed || (at >= end && !cut) {
                return None;
            }
            if at >= end {
                // Lets hyper flush the bytes before the cut.
                tokio::task::yield_now().await;
                return Some((Err(ErrorKind::ConnectionReset.into()), (at, true)));
            }
            if paced && at > 0 {
                delayed(100).await;
            }
            let to = at.saturating_add(step).min(end);
            Some((Ok(body.slice(at..to)), (to, false)))
        }
    })
}

/// A file of the folder of `--static`.
fn file(dir: &Path, request: &Request) -> Response {
    let path = request.url.split('?').next().unwrap_or("/");
    let mut at = dir.to_path_buf();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        // Refuses paths out of the folder. Files of a site need no percent-encoding.
        if part == ".." || part.contains(['\\', '%', ':']) {
            return missing();
        }
        at.push(part);
    }
    if at.is_dir() {
        at.push("index.html");
    }
    let Ok(body) = std::fs::read(&at) else { return missing() };
    let kind = match at.extension().and_then(|e| e.to_str()).unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "txt" | "md" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    };
    let headers = [
        ("Content-Type", kind),
        ("Cache-Control", "no-cache"),
        ("Access-Control-Allow-Origin", "*"),
        ("Connection", "close"),
    ];
    Response {
        status: 200,
        headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
        body,
        ..Response::default()
    }
}

fn missing() -> Response {
    let headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
    Response { status: 404, headers, body: b"the file does not exist".to_vec(), ..Response::default() }
}

/// Waits for SIGTERM, SIGINT or, with a lifeline, the end of stdin.
async fn wait_for_end(has_lifeline: bool) {
    let stdin = async {
        if !has_lifeline {
            std::future::pending::<()>().await;
        }
        let (mut stdin, mut buffer) = (tokio::io::stdin(), [0u8; 256]);
        while stdin.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let (stdin, terminated, interrupted) =
        (std::pin::pin!(stdin), std::pin::pin!(terminated), std::pin::pin!(interrupted));
    futures_util::future::select(stdin, futures_util::future::select(terminated, interrupted)).await;
}

async fn run(args: Args) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await?;
    let origin = format!("http://127.0.0.1:{}", listener.local_addr()?.port());
    let server = Arc::new(Mutex::new(Server::new(args.seed, origin.clone())));
    let app = App { server, dir: args.dir.map(Arc::new), is_verbose: args.is_verbose };
    let router = Router::new().fallback(respond).with_state(app);
    println!("fake-graph listening on {origin}");
    io::stdout().flush()?;
    let serving = axum::serve(Loopback(listener), router.into_make_service_with_connect_info::<Cut>());
    // Ends at once, without waiting for open connections.
    let serving = std::pin::pin!(async move { serving.await });
    futures_util::future::select(serving, std::pin::pin!(wait_for_end(args.has_lifeline))).await;
    Ok(())
}

fn main() {
    let outcome = args().map_err(io::Error::other).and_then(|args| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(args))?;
        // Does not wait for a pending read of stdin, which cannot be cancelled.
        runtime.shutdown_background();
        Ok(())
    });
    if let Err(error) = outcome {
        eprintln!("fake-graph: {error}");
        std::process::exit(1);
    }
}
