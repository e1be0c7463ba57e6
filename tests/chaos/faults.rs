//! What goes wrong between the operator and the API server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use controlplane::{Answer, FaultProxy, Request};

use crate::{figures, order::Order, random::Random};

/// How many requests to a path (without its query) went wrong.
pub type Count = HashMap<String, usize>;

/// Lets so many of a hundred requests go wrong, each in a way of its own, until [`end`].
pub fn begin(proxy: &FaultProxy, mut random: Random, chance: usize, count: &Arc<Mutex<Count>>, order: Order) {
    let count = count.clone();
    proxy.answer(move |request| {
        order.look(request);
        let fault = random.percent(chance).then(|| fault(request, &mut random))?;
        *count.lock().unwrap().entry(request.path().to_owned()).or_default() += 1;
        figures::add(|figures| *figures.faults.entry(kind(&fault)).or_default() += 1);
        Some(fault)
    });
}

/// From now on all is well; see [`FaultProxy::heal`].
pub fn end(proxy: &FaultProxy, order: Order) {
    proxy.heal();
    proxy.answer(move |request| {
        order.look(request);
        None
    });
}

/// As the summary of a run calls it.
fn kind(fault: &Answer) -> String {
    match fault {
        Answer::Refuse(code, ..) => code.to_string(),
        Answer::GoneEvent => "gone events".to_owned(),
        Answer::Nothing => "ended watches".to_owned(),
        Answer::Held(_) => "held".to_owned(),
        Answer::Late(_) => "late".to_owned(),
        Answer::Cut => "cut".to_owned(),
        Answer::Lost => "lost".to_owned(),
        Answer::Truncated(_) => "truncated".to_owned(),
    }
}

fn fault(request: &Request, random: &mut Random) -> Answer {
    let refuse = |code, reason| Answer::Refuse(code, reason, "a fault of the test".to_owned());
    let is_write = request.method != "GET";
    match random.below(if request.is_watch() || is_write { 15 } else { 10 }) {
        0 => refuse(429, "TooManyRequests"),
        1 => refuse(500, "InternalError"),
        2 => refuse(503, "ServiceUnavailable"),
        3 => refuse(410, "Expired"),
        4 => Answer::Cut,
        5 | 6 => Answer::Lost,
        // Somewhere in the head, or in the body.
        7 => Answer::Truncated(1 + random.below(200)),
        8 => Answer::Truncated(200 + random.below(4000)),
        9 => Answer::Late(Duration::from_millis(random.below(300) as u64)),
        // Long enough for people to come between the decision and the write.
        10.. if is_write => Answer::Held(Duration::from_millis(random.below(1500) as u64)),
        10..14 => Answer::GoneEvent,
        _ => Answer::Nothing,
    }
}
