//! Checks that a PEM text holds an RSA private key that loads.
//!
//! PEM is read here and not by `rustls-pki-types`, whose reader leaves copies of the key behind that nobody wipes.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{error::KeyRejected, rsa::KeyPair};
use zeroize::Zeroizing;

use super::key_error::KeyError;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

type Loader = fn(&[u8]) -> Result<KeyPair, KeyRejected>;

/// Checks the value of `private_key`.
pub(super) fn check(pem: &str) -> Result<(), KeyError> {
    if pem.contains("\\n") {
        return Err(KeyError::EscapedTwice);
    }
    let (_, begun) = pem.split_once(BEGIN).ok_or(KeyError::NotPem)?;
    let (label, rest) = begun.split_once(DASHES).ok_or(KeyError::NotPem)?;
    let (end, load): (&str, Loader) = match label {
        "PRIVATE KEY" => ("-----END PRIVATE KEY-----", KeyPair::from_pkcs8),
        "RSA PRIVATE KEY" => ("-----END RSA PRIVATE KEY-----", KeyPair::from_der),
        "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
        "EC PRIVATE KEY" | "EC PARAMETERS" => return Err(KeyError::NotRsa),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => return Err(KeyError::PublicKey),
        "CERTIFICATE" => return Err(KeyError::Certificate),
        _ => return Err(KeyError::OtherPem),
    };
    let (body, _) = rest.split_once(end).ok_or(KeyError::PemTruncated)?;
    if !(body.starts_with(['\r', '\n']) && body.ends_with('\n')) {
        return Err(KeyError::PemLineBreaksLost);
    }
    // RFC 1421 headers, which OpenSSL still writes for an encrypted PKCS#1 key: `Proc-Type: 4,ENCRYPTED`.
    if body.contains("ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    let der = decode(body).ok_or(KeyError::PemNotBase64)?;
    load(&der).map(|_| ()).map_err(rejected)
}

/// The bytes that a PEM body stands for.
fn decode(body: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    // As large as it can get: growing would leave a copy behind.
    let mut der = Zeroizing::new(Vec::with_capacity(base64.len()));
    BASE64_STANDARD.decode_vec(base64.as_bytes(), &mut der).ok()?;
    Some(der)
}

/// `ring` tells its reasons apart by their text only; a text that it may change one day still ends in a true sentence.
fn rejected(reason: KeyRejected) -> KeyError {
    match reason.to_string().as_str() {
        "WrongAlgorithm" => KeyError::NotRsa,
        "TooSmall" => KeyError::RsaTooSmall,
        "TooLarge" => KeyError::RsaTooLarge,
        "PrivateModulusLenNotMultipleOf512Bits" => KeyError::RsaOddSize,
        _ => KeyError::BrokenKey,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PKCS1: &str = include_str!("testdata/key-a-pkcs1.pem");

    fn pkcs8() -> String {
        let file: serde_json::Value = serde_json::from_str(crate::credential::testing::KEY_A).unwrap();
        file["private_key"].as_str().unwrap().to_owned()
    }

    #[test]
    fn rsa_keys_load_as_pkcs8_and_as_pkcs1() {
        assert_eq!(check(&pkcs8()), Ok(()));
        assert_eq!(check(PKCS1), Ok(()));
    }

    #[test]
    fn line_ends_of_windows_and_text_around_the_key_do_no_harm() {
        assert_eq!(check(&pkcs8().replace('\n', "\r\n")), Ok(()));
        assert_eq!(check(&format!("Bag Attributes\n{}\nmore", pkcs8())), Ok(()));
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        let key = pkcs8();
        let relabel = |label: &str| key.replace("PRIVATE KEY", label);
        let cases = [
            (key.replace('\n', "\\n"), KeyError::EscapedTwice),
            ("MIIEvQIBADANBg".to_owned(), KeyError::NotPem),
            ("-----BEGIN PRIVATE KEY".to_owned(), KeyError::NotPem),
            (relabel("ENCRYPTED PRIVATE KEY"), KeyError::Encrypted),
            (
                PKCS1.replace("KEY-----\nMII", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMII"),
                KeyError::Encrypted,
            ),
            (relabel("EC PARAMETERS"), KeyError::NotRsa),
            (include_str!("testdata/ec-sec1.pem").to_owned(), KeyError::NotRsa),
            (include_str!("testdata/ec-pkcs8.pem").to_owned(), KeyError::NotRsa),
            (include_str!("testdata/key-a-public.pem").to_owned(), KeyError::PublicKey),
            (relabel("RSA PUBLIC KEY"), KeyError::PublicKey),
            (relabel("CERTIFICATE"), KeyError::Certificate),
            (relabel("OPENSSH PRIVATE KEY"), KeyError::OtherPem),
            (key.replace("-----END", "-----"), KeyError::PemTruncated),
            (key[..key.len() / 2].to_owned(), KeyError::PemTruncated),
            (key.replace('\n', " "), KeyError::PemLineBreaksLost),
            (key.replace("KEY-----\nM", "KEY-----M"), KeyError::PemLineBreaksLost),
            (key.replace("\n-----END", "-----END"), KeyError::PemLineBreaksLost),
            (key.replace("MII", "M*I"), KeyError::PemNotBase64),
            (key.replace("MII", "MI"), KeyError::PemNotBase64),
            (include_str!("testdata/rsa-1024.pem").to_owned(), KeyError::RsaTooSmall),
            (include_str!("testdata/rsa-3000.pem").to_owned(), KeyError::RsaOddSize),
            (include_str!("testdata/rsa-4608.pem").to_owned(), KeyError::RsaTooLarge),
            (PKCS1.replace("RSA PRIVATE", "PRIVATE"), KeyError::BrokenKey),
            (relabel("RSA PRIVATE KEY"), KeyError::BrokenKey),
        ];
        for (pem, expected) in cases {
            assert_eq!(check(&pem), Err(expected), "{pem}");
        }
    }
}
