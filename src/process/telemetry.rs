//! Logs: structured, to standard error, and never with a credential in them.

use clap::ValueEnum;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, ParseError, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// The client logs whole answers here: what can't be decoded as a warning, and refusals, which may quote what they
/// refuse. What matters of them we say ourselves, without a credential.
const QUOTES_ANSWERS: &str = "kube_client::client";

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// One line of text, for people.
    Text,
}

/// Begins to log. `filter` is as tracing's `EnvFilter` reads it, such as `info` or `regcred=debug,kube=warn`.
///
/// # Errors
/// Where the filter can't be read.
pub fn init(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    // Whatever the filter says, so that nobody who looks for a fault opens a leak.
    let filter = EnvFilter::builder().parse(filter)?.and(filter_fn(|metadata| metadata.target() != QUOTES_ANSWERS));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    Ok(())
}
