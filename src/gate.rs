//! Lets a write onto the wire only while this replica leads.
//!
//! It is asked twice: when a request is handed to the client, and again when its body is about to go out. So whatever
//! waits in between (in a queue, for a retry, for a connection, or in a process that stood still) is stopped, too.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Method, Request, Response};
use http_body::{Frame, SizeHint};
use kube::{Client, client::Body};
use tokio::sync::Notify;
use tower::BoxError;

/// This replica doesn't lead.
#[derive(Debug, thiserror::Error)]
#[error("this replica doesn't lead, so it writes nothing")]
pub struct NotLeading;

/// How long the API server may still be at work on a request that we have given up: it waits so long for an admission
/// webhook, unless that says otherwise.
const LINGERS: Duration = Duration::from_secs(10);

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
    /// A client whose writes pass this gate. What only reads always passes.
    pub fn guard(self: &Arc<Self>, client: &Client) -> Client {
        let (gate, inner) = (self.clone(), client.clone());
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (gate, inner) = (gate.clone(), inner.clone());
            async move { gate.send(&inner, request).await.map_err(BoxError::from) }
        });
        Client::new(service, namespace)
    }

    async fn send(self: Arc<Self>, client: &Client, mut request: Request<Body>) -> kube::Result<Response<Body>> {
        if request.method() == Method::GET {
            return client.send(request).await;
        }
        let mut write = self.enter().ok_or_else(|| kube::Error::Service(NotLeading.into()))?;
        request.extensions_mut().insert(self.clone());
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

    /// Leaves it open until then. Once it has closed, it never opens again: who led may have been followed by another.
    pub fn open(&self, until: Instant) {
        let mut inner = self.lock();
        let now = Instant::now();
        if now < until && inner.until.is_none_or(|before| now < before) {
            inner.until = Some(until);
        }
    }

    /// Closes it now and for good.
    pub fn shut(&self) {
        self.lock().shut = true;
    }

    /// Whether writes may pass.
    pub fn is_open(&self) -> bool {
        self.lock().is_open(Instant::now())
    }

    /// When it closes unless [`Gate::open`] is called again; `None` before the first time.
    pub fn until(&self) -> Option<Instant> {
        self.lock().until
    }

    /// Shuts it and waits for the answers to what has passed. False where some may still be under way after `patience`.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.shut();
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

/// A request's body that goes out only while the gate of its request, if there is one, is open. Every write of ours has
/// a body; a request whose body fails is never finished, so the API server does nothing about it.
pub struct Guarded {
    body: Body,
    gate: Option<Arc<Gate>>,
}

impl Guarded {
    /// For the layer below all others.
    pub fn request(request: Request<Body>) -> Request<Self> {
        let gate = request.extensions().get::<Arc<Gate>>().cloned();
        request.map(|body| Self { body, gate })
    }
}

impl http_body::Body for Guarded {
    type Data = <Body as http_body::Body>::Data;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.gate.as_ref().is_some_and(|gate| !gate.is_open()) {
            return Poll::Ready(Some(Err(NotLeading.into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn open(time: Duration) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        gate.open(Instant::now() + time);
        gate
    }

    #[test]
    fn it_is_closed_at_first_and_once_it_has_closed_it_stays_so() {
        let gate = Gate::default();
        assert!(!gate.is_open());
        gate.open(Instant::now() + LONG);
        assert!(gate.is_open());
        let late = open(Duration::ZERO);
        assert_eq!(late.until(), None, "the answer came too late to begin with");
        late.lock().until = Some(Instant::now());
        late.open(Instant::now() + LONG);
        assert!(!late.is_open());
        gate.shut();
        gate.open(Instant::now() + LONG);
        assert!(!gate.is_open());
    }

    #[tokio::test]
    async fn a_body_that_was_let_in_doesnt_go_out_after_the_gate_has_closed() {
        let gate = open(LONG);
        let request = || {
            let mut request = Request::patch("/").body(Body::from(b"{}".to_vec())).unwrap();
            request.extensions_mut().insert(gate.clone());
            Guarded::request(request).into_body()
        };
        let (before, after) = (request(), request());
        assert_eq!(before.collect().await.unwrap().to_bytes(), "{}");
        gate.shut();
        assert!(after.collect().await.unwrap_err().is::<NotLeading>());
        let free = Guarded::request(Request::put("/").body(Body::from(b"{}".to_vec())).unwrap());
        assert_eq!(free.into_body().collect().await.unwrap().to_bytes(), "{}");
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
