//! Text that many objects share: equal texts are one allocation, so ten thousand namespaces have one "default".

use std::{
    borrow::Borrow,
    collections::HashSet,
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// See the module's documentation. Cloning one is a reference count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<str>);

impl Text {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);
        // A panic while it was held can't have left half a change.
        Self(POOL.lock().unwrap_or_else(PoisonError::into_inner).share(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl Default for Text {
    fn default() -> Self {
        "".into()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(text.into())
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Beyond how many texts it is worth to look for those that nobody uses any more.
const FEW: usize = 1024;

/// Every text in use, and some that no longer are.
#[derive(Default)]
struct Pool {
    texts: HashSet<Arc<str>>,
    /// How many there were in use when it was last looked.
    used: usize,
}

impl Pool {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        if self.texts.len() >= self.used + (self.used / 4).max(FEW) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.texts.shrink_to(self.texts.len() * 2);
            self.used = self.texts.len();
        }
        let new: Arc<str> = text.into();
        self.texts.insert(new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_allocation() {
        let (a, b) = (Text::from("shared"), Text::from("shared".to_owned()));
        assert!(Arc::ptr_eq(&a.0, &b.0));
        let read: Text = serde_json::from_str("\"sh\\u0061red\"").unwrap();
        assert!(Arc::ptr_eq(&a.0, &read.0));
        assert_ne!(a, Text::from("other"));
    }

    #[test]
    fn what_nobody_uses_any_more_is_forgotten_and_what_is_used_stays() {
        let mut pool = Pool::default();
        let kept: Vec<_> = (0..100).map(|index| pool.share(&format!("kept-{index}"))).collect();
        for index in 0..100_000 {
            pool.share(&format!("gone-{index}"));
            assert!(pool.texts.len() <= kept.len() + 2 * FEW, "{}", pool.texts.len());
        }
        for (index, text) in kept.iter().enumerate() {
            assert!(Arc::ptr_eq(text, &pool.share(&format!("kept-{index}"))));
        }
    }
}
