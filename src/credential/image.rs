//! Images as the kubelet looks them up: which entries of a docker config it would use for one.
//!
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/credentialprovider/keyring.go>, and for names without a
//! host <https://github.com/distribution/reference/blob/v0.6.0/normalize.go>.

use super::registry::RegistryKey;

const DOCKER_HUB: &str = "docker.io";

/// Docker's own name for its registry: an entry of exactly this host is for all that Docker Hub has.
const DOCKER_HUB_INDEX: &str = "index.docker.io";

impl RegistryKey {
    /// Whether the kubelet would use an entry of this name for the image, where no other entry matches better.
    pub fn matches(&self, image: &str) -> bool {
        let image = Image::parse(image);
        self.matches_host_and_path(&image) || self.is_docker_hub_index() && image.is_of_docker_hub()
    }

    fn matches_host_and_path(&self, image: &Image<'_>) -> bool {
        let (host, port) = match image.authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (image.authority, None),
        };
        let path = self.as_str().strip_prefix(self.authority()).unwrap_or_default();
        self.port().map(|port| port.to_string()).as_deref() == port
            && self.host().split('.').count() == host.split('.').count()
            && self.host().split('.').zip(host.split('.')).all(|(pattern, label)| is_like(pattern, label))
            && image.path.starts_with(path)
    }

    fn is_docker_hub_index(&self) -> bool {
        self.as_str().trim_end_matches('/') == DOCKER_HUB_INDEX
    }
}

/// Where an image is, without its tag and digest.
struct Image<'a> {
    authority: &'a str,
    /// With a slash at its beginning.
    path: String,
}

impl<'a> Image<'a> {
    fn parse(text: &'a str) -> Self {
        let text = text.split_once('@').map_or(text, |(name, _digest)| name);
        // What comes after the last slash can't have a port, so a colon there begins a tag.
        let name_at = text.rfind('/').map_or(0, |slash| slash + 1);
        let text = text[name_at..].find(':').map_or(text, |colon| &text[..name_at + colon]);
        let is_host =
            |part: &str| part.contains(['.', ':']) || part == "localhost" || part.contains(char::is_uppercase);
        let (authority, path) = match text.split_once('/') {
            Some((DOCKER_HUB_INDEX, path)) => (DOCKER_HUB, path),
            Some((host, path)) if is_host(host) => (host, path),
            _ => (DOCKER_HUB, text),
        };
        let library = if authority == DOCKER_HUB && !path.contains('/') { "library/" } else { "" };
        Self { authority, path: format!("/{library}{path}") }
    }

    /// What the kubelet takes for an image of Docker Hub's: also one of a host that is a single word.
    fn is_of_docker_hub(&self) -> bool {
        self.authority == DOCKER_HUB || !self.authority.contains(['.', ':'])
    }
}

/// Whether a label of a host is like a pattern, in which `*` stands for any characters, none included.
fn is_like(pattern: &str, label: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == label };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut between) = label.strip_prefix(start).and_then(|label| label.strip_suffix(end)) else { return false };
    middle.split('*').all(|part| match between.find(part) {
        Some(at) => {
            between = &between[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching<'a>(key: &str, images: &[&'a str]) -> Vec<&'a str> {
        let key = RegistryKey::parse(key).unwrap();
        images.iter().copied().filter(|image| key.matches(image)).collect()
    }

    #[test]
    fn host_port_and_path_match_as_the_kubelet_has_it() {
        for (key, image, expected) in [
            ("gcr.io", "gcr.io/darwin/api:1", true),
            ("gcr.io/", "gcr.io/darwin/api", true),
            ("gcr.io", "eu.gcr.io/darwin/api", false),
            ("*.gcr.io", "eu.gcr.io/darwin/api", true),
            ("*.gcr.io", "gcr.io/darwin/api", false),
            ("*.gcr.io", "a.eu.gcr.io/darwin/api", false),
            ("*.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", true),
            ("europe*.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", true),
            ("*-docker.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", true),
            ("e*-*r.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", true),
            ("e*-*x.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", false),
            ("e*e*e*e.pkg.dev", "europe.pkg.dev/darwin/images/api", false),
            ("eu*rope.pkg.dev", "europe.pkg.dev/darwin/images/api", true),
            ("eur*rope.pkg.dev", "europe.pkg.dev/darwin/images/api", false),
            ("gcr.io/darwin/", "gcr.io/darwin/api", true),
            ("gcr.io/darwin/", "gcr.io/darwin2/api", false),
            ("gcr.io/darwin", "gcr.io/darwin2/api", true),
            ("gcr.io/darwin/api", "gcr.io/darwin", false),
            ("gcr.io/darwin/api", "gcr.io/darwin/api@sha256:0123", true),
            ("gcr.io/darwin/api", "gcr.io/darwin/api:1.2@sha256:0123", true),
            ("gcr.io:443", "gcr.io/darwin/api", false),
            ("gcr.io", "gcr.io:443/darwin/api", false),
            ("gcr.io:443", "gcr.io:443/darwin/api:1", true),
            ("registry.example:5000/a", "registry.example:5000/a/b:latest", true),
            ("localhost:5000", "localhost:5000/a", true),
            ("localhost", "localhost/a", true),
            ("gcr.io", "", false),
        ] {
            let key = RegistryKey::parse(key).unwrap();
            assert_eq!(key.matches(image), expected, "{key} and {image}");
        }
    }

    #[test]
    fn an_image_without_a_host_is_docker_hubs() {
        let images = ["nginx", "nginx:1.2", "grafana/grafana", "docker.io/nginx", "index.docker.io/a/b", "gcr.io/a/b"];
        assert_eq!(matching("docker.io", &images), images[..5]);
        assert_eq!(matching("docker.io/library/", &images), ["nginx", "nginx:1.2", "docker.io/nginx"]);
        assert_eq!(matching("docker.io/grafana/", &images), ["grafana/grafana"]);
        assert_eq!(matching("index.docker.io", &images), images[..5]);
        assert_eq!(matching("index.docker.io/", &images), images[..5]);
        assert_eq!(matching("index.docker.io/grafana", &images), [""; 0]);
    }
}
