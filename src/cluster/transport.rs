//! The connections to the API server.
//!
//! kube's own client is built the same way, except for `TCP_NODELAY`: without it, the first request on each new
//! connection waits 40 ms for the server's delayed acknowledgement (<https://github.com/kube-rs/kube/issues/2056>), and
//! a roll-out opens dozens. Each connection is behind the gate, and one whose path is dead is noticed.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt;
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt, DynBody},
};
use tower::{BoxError, ServiceBuilder, ServiceExt};

use crate::cluster::gate::{Fenced, Gate};

/// When a connection on which nothing comes in is probed first. A watch can be as quiet for a minute, and nothing else tells
/// a quiet one from one whose other end has gone without a word (a node that lost its power, a firewall that forgot it):
/// kube would wait for 295 s for an event, and for a list for good. A probe has no payload; on each connection there is one
/// every 30 s at most.
const QUIET: Duration = Duration::from_secs(30);

/// After how long without an answer the next probe follows.
const PROBE: Duration = Duration::from_secs(5);

/// How many probes in a row may stay without an answer.
const PROBES: u32 = 3;

/// For how long what was sent may stay unacknowledged: no probes are sent then, and the kernel alone would try for a
/// quarter of an hour. It has the last word on probes, too (tcp(7), `TCP_USER_TIMEOUT`), so it is the time that they take.
const UNACKNOWLEDGED: Duration = QUIET.saturating_add(PROBE.saturating_mul(PROBES));

/// A client for this cluster that tries nothing again by itself, and sends nothing once the gate is lost. (Through a
/// proxy, only what [`Gate::guard`] does holds.)
///
/// # Errors
/// Where the configuration has certificates, headers or an authentication that can't be used.
pub fn client(mut config: Config, gate: &Arc<Gate>) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        config.default_retry = false;
        return Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(QUIET));
    tcp.set_keepalive_interval(Some(PROBE));
    tcp.set_keepalive_retries(Some(PROBES));
    // Linux has it, for which regcred is; elsewhere developers compile it, too.
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let gate = gate.clone();
    let tcp = tcp.map_response(move |stream| TokioIo::new(Fenced::new(stream.into_inner(), gate.clone())));
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http)
        .map_response(|response| response.map(|body| Box::new(body.map_err(BoxError::from)) as Box<DynBody>))
        .boxed();
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}
