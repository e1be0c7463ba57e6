//! stub
pub enum Guard2 {}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(std::sync::Arc<str>);
impl Revision {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    Create,
    Uid(String),
    Exact { uid: String, resource_version: String },
}
#[derive(Debug)]
pub struct PullSecret;
