//! How many requests the apiserver has answered, from its own metrics.

use crate::control_plane::ControlPlane;

/// A counter of `apiserver_request_total`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestCount {
    /// `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`, `DELETECOLLECTION`, …
    pub verb: String,
    /// API group, empty for core.
    pub group: String,
    /// Plural, empty for what isn't a resource.
    pub resource: String,
    /// Such as `status`, else empty.
    pub subresource: String,
    /// HTTP status.
    pub code: u16,
    /// Requests since the apiserver started; a watch counts when it ends.
    pub count: u64,
}

impl RequestCount {
    /// Whether it changes something (a dry run counts, too).
    pub fn is_write(&self) -> bool {
        ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"].contains(&self.verb.as_str())
    }
}

impl ControlPlane {
    /// All requests so far of whatever client, ours and kubectl's among them. To tell clients apart, read the audit log.
    pub fn requests(&self) -> Vec<RequestCount> {
        parse(&self.kubectl_ok(&["get", "--raw", "/metrics"]))
    }
}

/// What was counted between two calls of [`ControlPlane::requests`].
pub fn diff(before: &[RequestCount], after: &[RequestCount]) -> Vec<RequestCount> {
    let labels = |count: &RequestCount| RequestCount { count: 0, ..count.clone() };
    let since = |now: &RequestCount| {
        let old = before.iter().find(|old| labels(old) == labels(now)).map_or(0, |old| old.count);
        // Fewer than before: the apiserver has been restarted and counts from zero.
        if now.count >= old { now.count - old } else { now.count }
    };
    let counts = after.iter().map(|now| RequestCount { count: since(now), ..now.clone() });
    counts.filter(|count| count.count > 0).collect()
}

/// Reads the Prometheus text format, summing over the labels that we leave out.
fn parse(metrics: &str) -> Vec<RequestCount> {
    let mut counts: Vec<RequestCount> = metrics.lines().filter_map(parse_line).collect();
    counts.sort();
    counts.dedup_by(|next, kept| {
        let same = RequestCount { count: 0, ..next.clone() } == RequestCount { count: 0, ..kept.clone() };
        kept.count += if same { next.count } else { 0 };
        same
    });
    counts
}

fn parse_line(line: &str) -> Option<RequestCount> {
    let (labels, value) = line.strip_prefix("apiserver_request_total{")?.rsplit_once("} ")?;
    // No value of these labels has a comma or an escaped quote in it.
    let label = |name: &str| {
        let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
    };
    Some(RequestCount {
        verb: label("verb")?,
        group: label("group")?,
        resource: label("resource")?,
        subresource: label("subresource")?,
        code: label("code")?.parse().ok()?,
        count: value.parse::<f64>().ok()? as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="namespace",subresource="",verb="LIST",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="cluster",subresource="",verb="LIST",version="v1"} 1e+01
apiserver_request_total{code="404",component="apiserver",dry_run="",group="apps",resource="deployments",scope="resource",subresource="status",verb="GET",version="v1"} 1
"#;

    #[test]
    fn counters_are_summed_over_scopes() {
        let counts = parse(METRICS);
        assert_eq!(counts.len(), 2);
        assert_eq!((counts[0].verb.as_str(), counts[0].code, counts[0].count), ("GET", 404, 1));
        assert_eq!((counts[1].resource.as_str(), counts[1].count), ("secrets", 12));
    }

    #[test]
    fn diff_keeps_what_has_moved() {
        let before = parse(METRICS);
        let mut after = before.clone();
        after[1].count += 3;
        let moved = diff(&before, &after);
        assert_eq!(moved, [RequestCount { count: 3, ..before[1].clone() }]);
    }
}
