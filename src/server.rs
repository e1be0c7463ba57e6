//! The HTTP server: `/metrics`, `/livez`, `/readyz`.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio::{net::TcpListener, sync::watch};

use crate::{controller::Context, metrics::Controller};

#[derive(Clone)]
struct Shared {
    context: Arc<Context>,
    ready: watch::Receiver<bool>,
}

/// Serves until `stop` turns true.
///
/// # Errors
/// Where the socket can't be used any more.
pub async fn serve(
    listener: TcpListener,
    context: Arc<Context>,
    ready: watch::Receiver<bool>,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(Shared { context, ready });
    let stopped = async move {
        // An error means that the sender is gone, which is as good as a stop.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let context = &shared.context;
    let depths =
        [(Controller::Credential, context.credentials.depth()), (Controller::Namespace, context.namespaces.depth())];
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([("content-type", content_type)], context.metrics.render(&depths, context.pace.limit(), context.leads()))
}

async fn readyz(State(shared): State<Shared>) -> (StatusCode, String) {
    if let Some(why) = shared.context.refused_for_long() {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"))
    } else if *shared.ready.borrow() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not every namespace has been planned yet\n".to_owned())
    }
}
