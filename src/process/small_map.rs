//! A map of a few entries. A `BTreeMap` allocates room for eleven at once, and most namespaces have one Secret of ours
//! and one or two service accounts; here there is room for just what is in it.

use std::{borrow::Borrow, fmt};

/// A sorted list of keys and values.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmallMap<K, V>(Box<[(K, V)]>);

impl<K: Ord, V> SmallMap<K, V> {
    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// Whether the key is there.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Sets the value of a key; returns the old one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.change(|list| {
                    list.reserve_exact(1);
                    list.insert(at, (key, value));
                });
                None
            }
        }
    }

    /// Takes a key out; returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.change(|list| Some(list.remove(at).1))
    }

    /// Takes out all for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.change(|list| list.retain_mut(|(key, value)| keep(key, value)));
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(known, _)| known.borrow().cmp(key))
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Vec<(K, V)>) -> T) -> T {
        let mut list = std::mem::take(&mut self.0).into_vec();
        let result = change(&mut list);
        self.0 = list.into_boxed_slice();
        result
    }
}

impl<K, V> SmallMap<K, V> {
    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SmallMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SmallMap<K, V> {
    /// Of equal keys the last one counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut list: Vec<_> = entries.into_iter().collect();
        list.reverse();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list.dedup_by(|next, kept| next.0 == kept.0);
        Self(list.into_boxed_slice())
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SmallMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u8),
        Remove(u8),
        Change(u8, u8),
        RetainBelow(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0..8u8;
        prop_oneof![
            3 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            2 => key.clone().prop_map(Step::Remove),
            1 => (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Change(key, value)),
            1 => key.prop_map(Step::RetainBelow),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_map(start in prop::collection::vec((0..8u8, any::<u8>()), 0..6), steps in prop::collection::vec(step(), 0..20)) {
            let mut small: SmallMap<u8, u8> = start.iter().copied().collect();
            let mut map: BTreeMap<u8, u8> = start.into_iter().collect();
            for step in steps {
                match step {
                    Step::Insert(key, value) => prop_assert_eq!(small.insert(key, value), map.insert(key, value)),
                    Step::Remove(key) => prop_assert_eq!(small.remove(&key), map.remove(&key)),
                    Step::Change(key, value) => {
                        let (a, b) = (small.get_mut(&key), map.get_mut(&key));
                        prop_assert_eq!(a.is_some(), b.is_some());
                        a.into_iter().chain(b).for_each(|v| *v = value);
                    }
                    Step::RetainBelow(limit) => {
                        small.retain(|key, _| *key < limit);
                        map.retain(|key, _| *key < limit);
                    }
                }
                prop_assert!(small.iter().eq(map.iter()));
                prop_assert!(small.keys().eq(map.keys()) && small.values().eq(map.values()));
                prop_assert_eq!((small.len(), small.is_empty()), (map.len(), map.is_empty()));
                for key in 0..8 {
                    prop_assert_eq!(small.get(&key), map.get(&key));
                    prop_assert_eq!(small.contains_key(&key), map.contains_key(&key));
                }
                prop_assert_eq!(format!("{small:?}"), format!("{map:?}"));
            }
        }
    }
}
