//! What a whole run came to, for its last line.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

#[derive(Debug, Default)]
pub struct Figures {
    /// What people did.
    pub acts: usize,
    /// Requests that went wrong, by how they did.
    pub faults: BTreeMap<String, usize>,
    /// Ends of the operator by SIGKILL.
    pub kills: usize,
    /// Ends of the API server by SIGKILL.
    pub outages: usize,
    /// Entries that people took away until the operator gave up.
    pub fights: usize,
    /// The operator's writes that the API server took.
    pub writes: usize,
    /// How long it took after each round of faults until all was as it should be.
    pub settled: Vec<Duration>,
}

static FIGURES: Mutex<Option<Figures>> = Mutex::new(None);

pub fn add(change: impl FnOnce(&mut Figures)) {
    change(FIGURES.lock().unwrap().get_or_insert_default());
}

/// The line, for a run that took so long.
pub fn summary(took: Duration) -> String {
    let mut figures = FIGURES.lock().unwrap().take().unwrap_or_default();
    figures.settled.sort_unstable();
    let settled = |percent: usize| {
        let index = (figures.settled.len() * percent / 100).min(figures.settled.len().saturating_sub(1));
        figures.settled.get(index).copied().unwrap_or_default().as_secs_f64()
    };
    let kinds: Vec<_> = figures.faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    format!(
        "{} acts, {} faults ({}), {} kills of the operator, {} of the API server, {} fights, {} writes; quiet {} times, after {:.1} s in \
         the median and {:.1} s at most; {:.1} minutes",
        figures.acts,
        figures.faults.values().sum::<usize>(),
        kinds.join(", "),
        figures.kills,
        figures.outages,
        figures.fights,
        figures.writes,
        figures.settled.len(),
        settled(50),
        settled(100),
        took.as_secs_f64() / 60.0,
    )
}
