//! Something between the operator and the API server that answers some requests itself, and wrongly.
//!
//! The rest goes through a real `kubectl proxy` that speaks TLS as the operator's user, so that this one needs nothing
//! but plain HTTP/1.1, one request for each connection.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::ports::free_port;
use crate::process::Process;
use crate::users::OPERATOR;
use crate::wait::eventually;

/// How long `kubectl proxy` may take to listen on a busy machine.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// How long a request may still be under way after [`FaultProxy::heal`], on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// What the operator asks for.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `PATCH`, …
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// As sent.
    pub body: Vec<u8>,
}

impl Request {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.uri.split('?').next().unwrap_or_default()
    }

    /// Whether it is answered for as long as both sides like.
    pub fn is_watch(&self) -> bool {
        self.uri.contains("watch=true")
    }

    /// The body; null where it isn't JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What it gets in place of the API server's answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A Status of this code, reason and message.
    Refuse(u16, &'static str, String),
    /// A watch that tells at once, as an event, that its version is too old.
    GoneEvent,
    /// A watch that ends before it has told anything.
    Nothing,
    /// The API server's own, to a request that it gets so much later.
    Held(Duration),
    /// The API server's own, each part of it so much later.
    Late(Duration),
    /// None: the connection is cut, and the API server never hears of the request.
    Cut,
    /// None: the API server does what it was asked for, and then the connection is cut.
    Lost,
    /// The API server's own, cut off after so many bytes.
    Truncated(usize),
}

type Rule = Box<dyn FnMut(&Request) -> Option<Answer> + Send>;

/// The time from one [`FaultProxy::heal`] to the next. Each request but a watch holds the one in which it came in.
#[derive(Default)]
struct Era {
    is_over: Arc<AtomicBool>,
}

/// What its threads share.
struct Shared {
    rule: Mutex<Rule>,
    watches: Mutex<Vec<Weak<TcpStream>>>,
    era: Mutex<Arc<Era>>,
}

/// Forwards what its rule has no answer for.
pub struct FaultProxy {
    port: u16,
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    _upstream: Process,
}

impl FaultProxy {
    /// Starts it for the operator's user. It forwards everything until [`FaultProxy::answer`] says otherwise.
    #[track_caller]
    pub fn start(cluster: &ControlPlane) -> FaultProxy {
        let upstream = free_port();
        let command = cluster.kubectl_command(OPERATOR, &["proxy", &format!("--port={upstream}")]);
        let process = Process::start("kubectl proxy", &command, &cluster.folder().join("kubectl-proxy.log")).unwrap();
        eventually(LISTENS_WITHIN, || TcpStream::connect(("127.0.0.1", upstream)).map_err(|error| error.to_string()));

        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let rule: Mutex<Rule> = Mutex::new(Box::new(|_| None));
        let shared = Arc::new(Shared { rule, watches: Mutex::default(), era: Mutex::default() });
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
        });
        let kubeconfig = cluster.folder().join("proxy.kubeconfig");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let of_all = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = of_all.clone();
                // An error means that one of the two has hung up, which is theirs to notice.
                thread::spawn(move || serve(&Arc::new(client), upstream, &shared));
            }
        });
        FaultProxy { port, shared, kubeconfig, _upstream: process }
    }

    /// What the operator is given as `$KUBECONFIG`.
    pub fn kubeconfig(&self) -> &PathBuf {
        &self.kubeconfig
    }

    /// Where it listens; nobody but who has [`FaultProxy::kubeconfig`] connects to it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on, this decides.
    pub fn answer(&self, rule: impl FnMut(&Request) -> Option<Answer> + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// From now on all is well, for what is under way, too: watches are late no more and aren't cut off; all else that
    /// came in before has been done or has failed when this returns. So nothing that was held up comes as a surprise,
    /// and what the operator asks for from now on is its own decision of now.
    #[track_caller]
    pub fn heal(&self) {
        self.answer(|_| None);
        let before = std::mem::take(&mut *self.shared.era.lock().unwrap());
        before.is_over.store(true, Ordering::Release);
        eventually(ENDS_WITHIN, || match Arc::strong_count(&before) {
            1 => Ok(()),
            count => Err(format!("{} requests are still under way", count - 1)),
        });
    }

    /// Breaks off every watch that is open.
    pub fn cut_watches(&self) -> usize {
        let watches = std::mem::take(&mut *self.shared.watches.lock().unwrap());
        // One that has ended already is closed, and needn't be.
        watches.iter().filter_map(Weak::upgrade).filter(|watch| watch.shutdown(Shutdown::Both).is_ok()).count()
    }
}

impl std::fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaultProxy on port {}", self.port)
    }
}

/// Serves one request. The connection ends with it: nobody else holds on to the stream.
fn serve(stream: &Arc<TcpStream>, upstream: u16, shared: &Shared) -> io::Result<()> {
    let mut client = &**stream;
    let (head, request) = read(client)?;
    // Before the rule is asked: whoever heals changes the rule first.
    let era = shared.era.lock().unwrap().clone();
    let answer = (*shared.rule.lock().unwrap())(&request);
    let (mut late, mut left) = (Duration::ZERO, usize::MAX);
    match answer {
        None => {}
        Some(Answer::Held(time)) => thread::sleep(time),
        Some(Answer::Late(time)) => late = time,
        Some(Answer::Truncated(bytes)) => left = bytes,
        Some(Answer::Lost) => left = 0,
        Some(Answer::Cut) => return Ok(()),
        Some(Answer::GoneEvent) => return client.write_all(gone_event().as_bytes()),
        Some(Answer::Nothing) => return client.write_all(http(200, "").as_bytes()),
        Some(Answer::Refuse(code, reason, message)) => {
            return client.write_all(http(code, &status(code, reason, &message).to_string()).as_bytes());
        }
    }
    let is_over = era.is_over.clone();
    let _under_way = (!request.is_watch()).then_some(era);
    if request.is_watch() {
        let mut watches = shared.watches.lock().unwrap();
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(stream));
    }
    let mut server = TcpStream::connect(("127.0.0.1", upstream))?;
    server.write_all(head.as_bytes())?;
    server.write_all(&request.body)?;
    let mut part = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut part)?;
        if length == 0 {
            return Ok(());
        }
        if request.is_watch() && is_over.load(Ordering::Acquire) {
            (late, left) = (Duration::ZERO, usize::MAX);
        }
        thread::sleep(late);
        let sent = length.min(left);
        client.write_all(&part[..sent])?;
        left -= sent;
        if left == 0 {
            return Ok(());
        }
    }
}

/// One request: its head as it is to be sent on, and what it says.
fn read(client: &TcpStream) -> io::Result<(String, Request)> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "connection" => continue,
            _ => {}
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    head += "Connection: close\r\n\r\n";
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, uri) = (word(), word());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, Request { method, uri, body }))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code})
}

fn gone_event() -> String {
    let status = status(410, "Expired", "too old resource version");
    http(200, &(json!({"type": "ERROR", "object": status}).to_string() + "\n"))
}

fn http(code: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {code} -\r\nContent-Type: application/json\r\nRetry-After: 1\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}
