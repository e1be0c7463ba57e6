//! Passwords that say themselves until when they are good.
//!
//! Who puts such a token into a Secret by hand, or by a job that fails one day, should be told before pods wait for their
//! images.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::json_file;
use crate::process::json;

/// When the password stops working, where it says so: a JWT (Azure, Harbor and Quay make such passwords) by `exp`
/// (<https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4>), one of Amazon ECR by `expiration`.
pub(super) fn expires_at(password: &str) -> Option<Timestamp> {
    jwt(password).or_else(|| ecr(password))
}

fn jwt(password: &str) -> Option<Timestamp> {
    let parts: Vec<&str> = password.split('.').collect();
    let [header, claims, signature] = parts[..] else { return None };
    // Every JWT begins with `{"` in base64.
    if !header.starts_with("eyJ") || signature.is_empty() {
        return None;
    }
    let mut decoded = Zeroizing::new(Vec::with_capacity(claims.len()));
    BASE64_URL_SAFE_NO_PAD.decode_vec(claims.trim_end_matches('='), &mut decoded).ok()?;
    moment(&decoded, "exp")
}

fn ecr(password: &str) -> Option<Timestamp> {
    // `{` in base64, which no hand-made password should be decoded without.
    if !password.starts_with("ey") {
        return None;
    }
    moment(&json_file::decode(password.as_bytes())?, "expiration")
}

/// A member that is a number of seconds since 1970.
fn moment(object: &[u8], name: &str) -> Option<Timestamp> {
    let text = std::str::from_utf8(object).ok()?;
    let members = json::members(text).ok()?;
    let value = members.iter().find(|member| member.is(name))?.value();
    let seconds = value.split(['.', 'e', 'E']).next()?.parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;

    fn jwt_of(claims: &str) -> String {
        format!("{}.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_tells_its_own_end() {
        let at = |password: &str| expires_at(password).map(Timestamp::as_second);
        assert_eq!(at(&jwt_of(r#"{"sub":"x","exp":1800000000}"#)), Some(1_800_000_000));
        assert_eq!(at(&jwt_of(r#"{"exp":1800000000.5}"#)), Some(1_800_000_000));
        let ecr = r#"{"payload":"abc","datakey":"def","version":"2","type":"DATA_KEY","expiration":1800000001}"#;
        assert_eq!(at(&BASE64_STANDARD.encode(ecr)), Some(1_800_000_001));
    }

    #[test]
    fn any_other_password_has_none() {
        for password in [
            "",
            "hunter2",
            "a.b.c",
            "eyJ.x.",
            "eyJ.@@.x",
            "eyJub3QganNvbg",
            &jwt_of(r#"{"exp":"soon"}"#),
            &jwt_of(r#"{"exp":99999999999999999}"#),
            &jwt_of("{}"),
            &jwt_of("not json"),
        ] {
            assert_eq!(expires_at(password), None, "{password}");
        }
    }
}
