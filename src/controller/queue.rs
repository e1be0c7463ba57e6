//! The queue of work: each key once, urgent work first, never the same key twice at a time.
//!
//! kube-runtime's scheduler parks what is above the concurrency limit in no order, so that a new namespace would wait
//! behind a roll-out to ten thousand. Here live work (an event) goes past bulk work (a roll-out, a
//! retry), and bulk work leaves some of the workers to what happens meanwhile.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    hash::Hash,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::Notify;

/// How urgent work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Everything at once: a first roll-out, a rotation, a changed spec.
    Bulk,
    /// Something has just happened.
    Live,
}

/// See the module's documentation. One task takes from it.
#[derive(Debug)]
pub struct Queue<K> {
    inner: Mutex<Inner<K>>,
    changed: Notify,
    /// How many keys from the bulk lane may be in work at a time.
    bulk_limit: AtomicUsize,
}

#[derive(Debug)]
struct Inner<K> {
    live: VecDeque<K>,
    bulk: VecDeque<K>,
    delayed: BinaryHeap<Reverse<(Instant, K)>>,
    keys: HashMap<K, Key>,
    bulk_running: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Key {
    queued: Option<Priority>,
    running: Option<Priority>,
    /// The one entry of `delayed` that counts; others are left over from before.
    due: Option<Instant>,
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// An empty queue.
    pub fn new(bulk_limit: usize) -> Self {
        let inner = Inner {
            live: VecDeque::new(),
            bulk: VecDeque::new(),
            delayed: BinaryHeap::new(),
            keys: HashMap::new(),
            bulk_running: 0,
        };
        Self { inner: Mutex::new(inner), changed: Notify::new(), bulk_limit: AtomicUsize::new(bulk_limit.max(1)) }
    }

    /// Queues `key`, at the back of its lane. Where it is queued already, it moves up to the live lane or stays; where
    /// it is in work, it comes again after that.
    pub fn add(&self, key: K, priority: Priority) {
        self.lock().add(key, priority);
        self.changed.notify_one();
    }

    /// Queues many keys in their order.
    pub fn add_all(&self, keys: impl IntoIterator<Item = K>, priority: Priority) {
        let mut inner = self.lock();
        for key in keys {
            inner.add(key, priority);
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Queues `key` at `due`, in the bulk lane, unless it is to come earlier anyway.
    pub fn add_at(&self, key: K, due: Instant) {
        let mut inner = self.lock();
        let state = inner.keys.entry(key.clone()).or_default();
        if state.due.is_none_or(|earlier| due < earlier) {
            state.due = Some(due);
            inner.delayed.push(Reverse((due, key)));
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// The next key to work on; [`Queue::done`] has to be called for it.
    pub async fn next(&self) -> K {
        loop {
            let due = {
                let mut inner = self.lock();
                if let Some(key) = inner.take(Instant::now(), self.bulk_limit.load(Ordering::Relaxed)) {
                    return key;
                }
                inner.delayed.peek().map(|Reverse((due, _))| *due)
            };
            match due {
                None => self.changed.notified().await,
                Some(due) => {
                    // Whichever comes first.
                    let _ = tokio::time::timeout_at(due.into(), self.changed.notified()).await;
                }
            }
        }
    }

    /// The work on `key` has ended.
    pub fn done(&self, key: &K) {
        self.lock().done(key);
        self.changed.notify_one();
    }

    /// From now on, so many keys from the bulk lane may be in work at a time; those that are go on.
    pub fn limit_bulk(&self, limit: usize) {
        self.bulk_limit.store(limit.max(1), Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// How many keys wait, those that wait for their time aside.
    pub fn depth(&self) -> usize {
        self.lock().keys.values().filter(|key| key.queued.is_some()).count()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        // Nothing in here panics half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash + Ord> Inner<K> {
    fn add(&mut self, key: K, priority: Priority) {
        let state = self.keys.entry(key.clone()).or_default();
        if state.queued >= Some(priority) {
            return;
        }
        state.queued = Some(priority);
        if state.running.is_none() {
            // A key that moves up leaves its old place behind; `take` passes over that.
            self.priority(priority).push_back(key);
        }
    }

    fn priority(&mut self, priority: Priority) -> &mut VecDeque<K> {
        match priority {
            Priority::Live => &mut self.live,
            Priority::Bulk => &mut self.bulk,
        }
    }

    fn take(&mut self, now: Instant, bulk_limit: usize) -> Option<K> {
        while let Some(Reverse((due, _))) = self.delayed.peek()
            && *due <= now
        {
            let Some(Reverse((due, key))) = self.delayed.pop() else { break };
            if let Some(state) = self.keys.get_mut(&key)
                && state.due == Some(due)
            {
                state.due = None;
                // Behind what has just happened: after an outage all namespaces may come back at once.
                self.add(key, Priority::Bulk);
            }
        }
        for priority in [Priority::Live, Priority::Bulk] {
            if priority == Priority::Bulk && self.bulk_running >= bulk_limit {
                return None;
            }
            while let Some(key) = self.priority(priority).pop_front() {
                let Some(state) = self.keys.get_mut(&key) else { continue };
                if state.queued == Some(priority) && state.running.is_none() {
                    state.queued = None;
                    state.running = Some(priority);
                    self.bulk_running += usize::from(priority == Priority::Bulk);
                    return Some(key);
                }
            }
        }
        None
    }

    fn done(&mut self, key: &K) {
        let Some(state) = self.keys.get_mut(key) else { return };
        let was = state.running.take();
        let again = state.queued;
        let idle = again.is_none() && state.due.is_none();
        self.bulk_running -= usize::from(was == Some(Priority::Bulk));
        if let Some(priority) = again {
            self.priority(priority).push_back(key.clone());
        }
        if idle {
            self.keys.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn drain(queue: &Queue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.lock().take(Instant::now(), queue.bulk_limit.load(Ordering::Relaxed))).collect()
    }

    #[test]
    fn live_work_goes_past_bulk_work() {
        let queue = Queue::new(9);
        queue.add_all(["a", "b", "c"], Priority::Bulk);
        queue.add("new", Priority::Live);
        assert_eq!(drain(&queue), ["new", "a", "b", "c"]);
    }

    #[test]
    fn a_key_that_waits_in_bulk_moves_up_and_comes_once() {
        let queue = Queue::new(9);
        queue.add_all(["a", "b"], Priority::Bulk);
        queue.add("b", Priority::Live);
        queue.add("b", Priority::Bulk);
        assert_eq!(queue.depth(), 2);
        assert_eq!(drain(&queue), ["b", "a"]);
    }

    #[test]
    fn a_key_in_work_comes_again_only_after_that() {
        let queue = Queue::new(9);
        queue.add("a", Priority::Bulk);
        assert_eq!(drain(&queue), ["a"]);
        queue.add("a", Priority::Live);
        queue.add("a", Priority::Live);
        assert!(drain(&queue).is_empty());
        queue.done(&"a");
        assert_eq!(drain(&queue), ["a"]);
        queue.done(&"a");
        assert!(drain(&queue).is_empty());
        assert!(queue.lock().keys.is_empty());
    }

    #[test]
    fn bulk_work_never_takes_the_last_workers() {
        let queue = Queue::new(2);
        queue.add_all(["a", "b", "c"], Priority::Bulk);
        assert_eq!(drain(&queue), ["a", "b"]);
        queue.add("new", Priority::Live);
        assert_eq!(drain(&queue), ["new"]);
        queue.done(&"a");
        assert_eq!(drain(&queue), ["c"]);
        queue.add_all(["d", "e", "f"], Priority::Bulk);
        queue.limit_bulk(1);
        queue.done(&"b");
        assert!(drain(&queue).is_empty(), "c goes on");
        queue.limit_bulk(3);
        assert_eq!(drain(&queue), ["d", "e"]);
    }

    #[test]
    fn delayed_work_comes_at_the_earliest_of_its_times() {
        let queue = Queue::new(2);
        let now = Instant::now();
        queue.add_at("a", now + Duration::from_secs(60));
        queue.add_at("a", now + Duration::from_secs(10));
        queue.add_at("a", now + Duration::from_secs(30));
        let take = |seconds| queue.lock().take(now + Duration::from_secs(seconds), 2);
        assert_eq!(take(9), None);
        assert_eq!(take(10), Some("a"));
        queue.done(&"a");
        assert_eq!(take(90), None);
    }

    #[tokio::test]
    async fn next_waits_for_work_and_for_its_time() {
        let queue = std::sync::Arc::new(Queue::new(2));
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { (queue.next().await, queue.next().await) }
        });
        queue.add("now", Priority::Live);
        queue.add_at("later", Instant::now() + Duration::from_millis(20));
        assert_eq!(waiting.await.unwrap(), ("now", "later"));
    }
}
