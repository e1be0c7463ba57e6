//! The HTTP server: `/metrics`, `/livez`, `/readyz`.

use axum::{Router, http::StatusCode, routing::get};
use tokio::{net::TcpListener, sync::watch};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until `stop` turns true: what `metrics` gives, and as long as `unready` gives a reason, that reason with the
/// status 503.
///
/// # Errors
/// Where the socket can't be used any more.
pub async fn serve(
    listener: TcpListener,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
    unready: impl Fn() -> Option<String> + Clone + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(|| async move { ([("content-type", CONTENT_TYPE)], metrics()) }))
        .route("/livez", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(|| async move {
                match unready() {
                    Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
                    None => (StatusCode::OK, "ok\n".to_owned()),
                }
            }),
        );
    let stopped = async move {
        // An error means that the sender is gone, which is as good as a stop.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}
