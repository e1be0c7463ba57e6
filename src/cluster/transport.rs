//! The connections to the API server.
//!
//! kube's own client is built the same way, except for `TCP_NODELAY`: without it, the first request on each new
//! connection waits 40 ms for the server's delayed acknowledgement (<https://github.com/kube-rs/kube/issues/2056>), and
//! a roll-out opens dozens. And each connection is behind the gate.

use std::sync::Arc;

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

use crate::gate::{Fenced, Gate};

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
