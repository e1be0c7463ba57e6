//! The connections to the API server.
//!
//! kube's own client is built the same way, except for `TCP_NODELAY`: without it, the first request on each new
//! connection waits 40 ms for the server's delayed acknowledgement (<https://github.com/kube-rs/kube/issues/2056>), and
//! a roll-out opens dozens.

use http_body_util::BodyExt;
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{ClientBuilder, ConfigExt, DynBody},
};
use tower::{BoxError, ServiceBuilder, ServiceExt};

use crate::gate::Guarded;

/// A client for this cluster that tries nothing again by itself.
///
/// # Errors
/// Where the configuration has certificates, headers or an authentication that can't be used.
pub fn client(mut config: Config) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        config.default_retry = false;
        return Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: HttpClient<_, Guarded> = HttpClient::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .map_request(Guarded::request)
        .service(http)
        .map_response(|response| response.map(|body| Box::new(body.map_err(BoxError::from)) as Box<DynBody>))
        .boxed();
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}
