//! Everything that can be wrong with a Google service-account key file, each in a sentence.
//!
//! These sentences go to the status and to logs, so no variant can hold anything of the file but counts and positions.

use thiserror::Error;

use crate::credential::json_file::FileFault;

/// Why a file isn't a usable Google service-account key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// More than [`super::key::MAX_FILE_BYTES`].
    #[error(
        "the file has {bytes} bytes, more than a service-account key can have (65536); store the JSON key file alone"
    )]
    FileTooLarge {
        /// The size of the file.
        bytes: usize,
    },
    /// No bytes, or white space only.
    #[error("the file is empty; store the JSON key file that Google made")]
    EmptyFile,
    /// It begins with a UTF-8 byte order mark.
    #[error("the file begins with a UTF-8 byte order mark, which registries refuse; save it as UTF-8 without BOM")]
    Utf8Bom,
    /// UTF-16, as some shells on Windows write.
    #[error("the file is UTF-16 text; save it as UTF-8 without BOM (in PowerShell, copy the file, don't redirect it)")]
    Utf16,
    /// A PKCS#12 or DER file.
    #[error("the file is binary, as a P12 or DER key is; make a key of type JSON and store that file")]
    Binary,
    /// Some other encoding.
    #[error("the file isn't UTF-8 text from byte {offset} on; store the JSON key file unchanged")]
    NotUtf8 {
        /// How many bytes are valid.
        offset: usize,
    },
    /// Base64 of a JSON object.
    #[error(
        "the file is encoded in base64 once too often; put the plain JSON into stringData, or its base64, once, into data"
    )]
    Base64TooOften,
    /// A PEM file.
    #[error("the file is a PEM file; store the whole JSON key file, not only its private_key")]
    BarePem,
    /// Some other text or JSON value.
    #[error(
        "the file isn't a JSON object, as its first character isn't a brace; store the JSON key file's contents, not its path or a part of it"
    )]
    NotAnObject,
    /// JSON that ends too early.
    #[error("the JSON ends in the middle, after {bytes} bytes; store the whole key file")]
    Truncated {
        /// The size of the file.
        bytes: usize,
    },
    /// JSON with a syntax error.
    #[error("the file isn't valid JSON at line {line}, column {column}; store the key file unchanged")]
    InvalidJson {
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
    },
    /// A `config.json` of docker, new or old.
    #[error(
        "the file is a docker config, not a key; store the service account's JSON key file, regcred makes the docker config from it"
    )]
    DockerConfig,
    /// The credentials of an OAuth client.
    #[error("the file is an OAuth client secret; make a key for a service account and store that file")]
    OauthClient,
    /// `authorized_user`.
    #[error(
        "the field type says authorized_user, a person's gcloud login; make a key for a service account and store that file"
    )]
    AuthorizedUser,
    /// `external_account`.
    #[error(
        "the field type says that this is a workload identity federation configuration, which holds no key; make a key for a service account and store that file"
    )]
    ExternalAccount,
    /// `impersonated_service_account`.
    #[error(
        "the field type says impersonated_service_account, which holds no key; make a key for the service account itself and store that file"
    )]
    ImpersonatedServiceAccount,
    /// `gdch_service_account`.
    #[error(
        "the field type says gdch_service_account, a key for Google Distributed Cloud; make a key for a Google Cloud service account and store that file"
    )]
    GdchServiceAccount,
    /// Some other type.
    #[error("the field type isn't service_account; store the JSON key file of a service account")]
    UnknownType,
    /// A field that isn't there.
    #[error("the field {field} is missing; store the key file as Google made it")]
    MissingField {
        /// The field.
        field: &'static str,
    },
    /// A field that is there twice.
    #[error("the field {field} is there more than once; store the key file as Google made it")]
    DuplicateField {
        /// The field.
        field: &'static str,
    },
    /// A field that isn't a string.
    #[error("the field {field} isn't a string; store the key file as Google made it")]
    NotAString {
        /// The field.
        field: &'static str,
    },
    /// A string with half of a UTF-16 pair.
    #[error("the field {field} has a \\u escape that is no character; store the key file as Google made it")]
    BadEscape {
        /// The field.
        field: &'static str,
    },
    /// A string that is empty or white space.
    #[error("the field {field} is empty; store the key file as Google made it")]
    EmptyField {
        /// The field.
        field: &'static str,
    },
    /// A string that is too long for the status.
    #[error(
        "the field {field} has {bytes} bytes, more than the 320 that it can have; store the key file as Google made it"
    )]
    FieldTooLong {
        /// The field.
        field: &'static str,
        /// The size of the string.
        bytes: usize,
    },
    /// A string that isn't fit for the status.
    #[error(
        "the field {field} has a space, a control character or a character outside ASCII; store the key file as Google made it"
    )]
    Unprintable {
        /// The field.
        field: &'static str,
    },
    /// Not an address.
    #[error("the field client_email isn't an address with one @ in it; store the key file as Google made it")]
    NotAnEmail,
    /// `\n` as two characters.
    #[error(
        "the field private_key has backslash and n where line breaks belong, so it was escaped twice; store the key file as Google made it"
    )]
    EscapedTwice,
    /// Not PEM.
    #[error(
        "the field private_key isn't PEM, as it has no line -----BEGIN PRIVATE KEY-----; store the key file as Google made it"
    )]
    NotPem,
    /// PEM with another label.
    #[error(
        "the field private_key is PEM of another kind; it must be a PKCS#8 key between -----BEGIN PRIVATE KEY----- and its end line"
    )]
    OtherPem,
    /// A key under a passphrase.
    #[error("the field private_key is encrypted with a passphrase; store the key file as Google made it, unencrypted")]
    Encrypted,
    /// A public key.
    #[error("the field private_key holds a public key; store the key file as Google made it, with the private key")]
    PublicKey,
    /// A certificate.
    #[error("the field private_key holds a certificate; store the key file as Google made it, with the private key")]
    Certificate,
    /// PEM without its end.
    #[error("the field private_key has no end line after its begin line; store the whole key file")]
    PemTruncated,
    /// PEM on one line.
    #[error("the field private_key has lost its line breaks; store the key file as Google made it")]
    PemLineBreaksLost,
    /// PEM whose body can't be decoded.
    #[error(
        "the field private_key isn't valid base64 between its begin and end lines; store the key file as Google made it"
    )]
    PemNotBase64,
    /// EC, Ed25519 and so on.
    #[error("the field private_key isn't an RSA key; service accounts use RSA keys of 2048 bits")]
    NotRsa,
    /// Less than 2048 bits.
    #[error("the field private_key is an RSA key of less than 2048 bits; make a key of 2048 bits")]
    RsaTooSmall,
    /// More than 4096 bits.
    #[error("the field private_key is an RSA key of more than 4096 bits; make a key of 2048 bits")]
    RsaTooLarge,
    /// A size that nobody uses.
    #[error("the field private_key is an RSA key whose size isn't 2048, 3072 or 4096 bits; make a key of 2048 bits")]
    RsaOddSize,
    /// A key whose numbers don't fit together.
    #[error("the field private_key is damaged and doesn't load as an RSA key; store the key file as Google made it")]
    BrokenKey,
}

impl From<FileFault> for KeyError {
    fn from(fault: FileFault) -> Self {
        match fault {
            FileFault::Empty => Self::EmptyFile,
            FileFault::Utf8Bom => Self::Utf8Bom,
            FileFault::Utf16 => Self::Utf16,
            FileFault::Binary => Self::Binary,
            FileFault::NotUtf8 { offset } => Self::NotUtf8 { offset },
            FileFault::Base64TooOften => Self::Base64TooOften,
            FileFault::Pem => Self::BarePem,
            FileFault::NotAnObject => Self::NotAnObject,
        }
    }
}
