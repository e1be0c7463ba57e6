//! The least of HTTP: a GET, a POST or a PATCH to 127.0.0.1.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const JSON: &str = "application/json";

/// The status code and the body.
pub(crate) fn get(port: u16, path: &str) -> Result<(u16, String), String> {
    request(port, "GET", path, JSON, "")
}

/// As [`get`], with JSON to send.
pub(crate) fn post(port: u16, path: &str, body: &str) -> Result<(u16, String), String> {
    request(port, "POST", path, JSON, body)
}

/// As [`get`], with a patch of that content type.
pub(crate) fn patch(port: u16, path: &str, content_type: &str, body: &str) -> Result<(u16, String), String> {
    request(port, "PATCH", path, content_type, body)
}

fn request(port: u16, method: &str, path: &str, content_type: &str, body: &str) -> Result<(u16, String), String> {
    let answer = exchange(port, method, path, content_type, body);
    answer.map_err(|error| format!("{method} http://127.0.0.1:{port}{path}: {error}"))
}

fn exchange(port: u16, method: &str, path: &str, content_type: &str, body: &str) -> Result<(u16, String), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let timeout = Some(Duration::from_secs(10));
    let answer = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(timeout)?;
        stream.set_write_timeout(timeout)?;
        // HTTP/1.0: the answer isn't chunked and ends where the connection does.
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type}");
        write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = answer().map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer isn't HTTP")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("the answer has no status")?;
    Ok((status, body.to_owned()))
}
