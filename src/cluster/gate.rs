//! Lets writes pass only while this replica leads.
//!
//! It is asked twice: when a write is handed to the client, and again, of whatever goes out, at the connection itself.
//! So what waits in between (for a connection, or in a process that stood still) is stopped, too.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Method, Request, Response};
use hyper_util::client::legacy::connect::{Connected, Connection};
use kube::{Client, client::Body};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};
use tower::BoxError;

/// This replica doesn't lead.
#[derive(Debug, thiserror::Error)]
#[error("this replica doesn't lead, so it writes nothing")]
pub struct NotLeading;

/// How long the API server may still be at work on a request that we have given up: it waits so long for an admission
/// webhook, unless that says otherwise.
const LINGERS: Duration = Duration::from_secs(10);

/// Where SelfSubjectAccessReviews are created.
const QUESTIONS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// See the module's documentation. Closed at first.
#[derive(Debug, Default)]
pub struct Gate {
    inner: Mutex<Inner>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// By the monotonic clock, so that no change of the time of day matters.
    until: Option<Instant>,
    shut: bool,
    /// Writes that wait for their answers.
    under_way: usize,
    /// When we last stopped waiting for one.
    given_up: Option<Instant>,
}

impl Inner {
    fn is_open(&self, now: Instant) -> bool {
        !self.shut && self.until.is_some_and(|until| now < until)
    }
}

impl Gate {
    /// A client whose writes pass this gate. What only reads or asks always passes.
    pub fn guard(self: &Arc<Self>, client: &Client) -> Client {
        let (gate, inner) = (self.clone(), client.clone());
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (gate, inner) = (gate.clone(), inner.clone());
            async move { gate.send(&inner, request).await.map_err(BoxError::from) }
        });
        Client::new(service, namespace)
    }

    async fn send(&self, client: &Client, request: Request<Body>) -> kube::Result<Response<Body>> {
        if request.method() == Method::GET || is_question(&request) {
            return client.send(request).await;
        }
        let mut write = self.enter().ok_or_else(|| kube::Error::Service(NotLeading.into()))?;
        let response = client.send(request).await?;
        write.answered = true;
        Ok(response)
    }

    fn enter(&self) -> Option<Write<'_>> {
        let mut inner = self.lock();
        if !inner.is_open(Instant::now()) {
            return None;
        }
        inner.under_way += 1;
        Some(Write { gate: self, answered: false })
    }

    /// Opens it, or leaves it open until then. One that has closed stays closed: who led may have been followed by
    /// another.
    pub fn open(&self, until: Instant) {
        let mut inner = self.lock();
        let now = Instant::now();
        if now < until && inner.until.is_none_or(|before| now < before) {
            inner.until = Some(until);
        }
    }

    /// As [`Gate::open`], also where it has closed, for who knows that nobody else has led since.
    pub fn reopen(&self, until: Instant) {
        if Instant::now() < until {
            self.lock().until = Some(until);
        }
    }

    /// Another leads already.
    pub fn lose(&self) {
        self.lock().until = Some(Instant::now());
    }

    /// Whether it was open and its time is up: another may lead, and nothing may go out any more.
    pub fn is_lost(&self) -> bool {
        let until = self.lock().until;
        until.is_some_and(|until| until <= Instant::now())
    }

    /// Whether writes may pass.
    pub fn is_open(&self) -> bool {
        self.lock().is_open(Instant::now())
    }

    /// When it closes unless it is opened again; `None` before the first time.
    #[cfg(test)]
    fn until(&self) -> Option<Instant> {
        self.lock().until
    }

    /// Lets no more writes in and waits for the answers to those that have passed. False where some may still be under
    /// way after `patience`.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.lock().shut = true;
        let answers = async {
            while self.lock().under_way > 0 {
                self.ended.notified().await;
            }
        };
        let answered = tokio::time::timeout(patience, answers).await.is_ok();
        answered && self.lock().given_up.is_none_or(|when| when.elapsed() > LINGERS)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it asks what we may do, which the API server wants to be POSTed and keeps nowhere. As it changes nothing, an
/// answer that never comes leaves nothing under way, for which the Lease would have to run out.
fn is_question(request: &Request<Body>) -> bool {
    request.method() == Method::POST && request.uri().path() == QUESTIONS
}

/// A write that has passed.
struct Write<'a> {
    gate: &'a Gate,
    answered: bool,
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let mut inner = self.gate.lock();
        inner.under_way -= 1;
        if !self.answered {
            inner.given_up = Some(Instant::now());
        }
        drop(inner);
        self.gate.ended.notify_one();
    }
}

/// A connection that nothing is sent on any more once this replica may have been followed by another. A process that
/// stood still may go on anywhere, such as in the middle of a request; this is as near to the system call as can be.
pub struct Fenced {
    stream: TcpStream,
    gate: Arc<Gate>,
}

impl Fenced {
    /// `stream` behind `gate`.
    pub fn new(stream: TcpStream, gate: Arc<Gate>) -> Self {
        Self { stream, gate }
    }

    fn check(&self) -> io::Result<()> {
        if self.gate.is_lost() { Err(io::Error::other(NotLeading)) } else { Ok(()) }
    }
}

impl AsyncRead for Fenced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Fenced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connection for Fenced {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn open(time: Duration) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        gate.open(Instant::now() + time);
        gate
    }

    #[test]
    fn it_is_closed_at_first_and_once_its_time_is_up_only_who_was_not_followed_opens_it_again() {
        let gate = Gate::default();
        assert!(!gate.is_open() && !gate.is_lost());
        gate.open(Instant::now());
        assert_eq!(gate.until(), None, "the answer came too late to begin with");
        gate.open(Instant::now() + LONG);
        assert!(gate.is_open() && !gate.is_lost());
        gate.lose();
        gate.open(Instant::now() + LONG);
        assert!(!gate.is_open() && gate.is_lost());
        gate.reopen(Instant::now());
        assert!(!gate.is_open(), "the answer came too late");
        gate.reopen(Instant::now() + LONG);
        assert!(gate.is_open() && !gate.is_lost());
    }

    #[tokio::test]
    async fn reads_and_questions_pass_a_closed_gate_and_nothing_else() {
        let answer = |_: Request<Body>| async { Ok::<_, BoxError>(Response::new(Body::empty())) };
        let gate = Arc::<Gate>::default();
        let client = gate.guard(&Client::new(tower::service_fn(answer), "default"));
        let list = "/apis/authorization.k8s.io/v1";
        for (method, path, passes) in [
            (Method::GET, "/api/v1/secrets".to_owned(), true),
            (Method::POST, QUESTIONS.to_owned(), true),
            (Method::POST, format!("{QUESTIONS}?fieldManager=regcred"), true),
            (Method::POST, format!("{list}/namespaces/team-a/localsubjectaccessreviews"), false),
            (Method::POST, "/api/v1/namespaces/selfsubjectaccessreviews/secrets".to_owned(), false),
            (Method::PATCH, QUESTIONS.to_owned(), false),
        ] {
            let request = Request::builder().method(method).uri(&path).body(Body::empty()).unwrap();
            assert_eq!(client.send(request).await.is_ok(), passes, "{path}");
        }
        assert!(gate.finish(LONG).await, "none of them is waited for");
    }

    #[tokio::test]
    async fn nothing_goes_out_on_a_connection_that_is_open_when_the_gate_is_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (gate, standby) = (open(LONG), Arc::new(Gate::default()));
        for (gate, passes) in [(&gate, true), (&standby, true), (&gate, false)] {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let mut connection = Fenced::new(stream, gate.clone());
            if !passes {
                gate.lose();
            }
            let written =
                std::future::poll_fn(|cx| Pin::new(&mut connection).poll_write(cx, b"PATCH / HTTP/1.1")).await;
            assert_eq!(written.is_ok(), passes);
        }
    }

    #[tokio::test]
    async fn it_tells_whether_a_write_may_still_be_under_way() {
        let gate = open(LONG);
        let mut write = gate.enter().unwrap();
        assert!(!gate.finish(Duration::from_millis(1)).await, "it waits for its answer");
        write.answered = true;
        drop(write);
        assert!(gate.finish(LONG).await);
        assert!(gate.enter().is_none());

        let gate = open(LONG);
        drop(gate.enter().unwrap());
        assert!(!gate.finish(LONG).await, "nobody knows what became of it");
    }
}
