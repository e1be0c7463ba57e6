//! A path to the API server that dies without a word: connections on it are given up within a minute.
//!
//! It runs itself again in a network namespace of its own, where a route that is changed makes all packets to the server
//! vanish: no end of a connection hears of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, ExitCode},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use http::Request;
use http_body_util::BodyExt;
use kube::{Client, Config, client::Body};
use libtest_mimic::{Arguments, Trial};
use regcred::{cluster, gate::Gate};

/// Set in the namespace.
const INSIDE: &str = "REGCRED_TEST_DEAD_PATH";

/// Where the server is, and where the client.
const SERVER: &str = "10.9.9.9";
const CLIENT: &str = "10.9.9.1";

/// Not sooner: a path may be dead for some seconds and come back. Not later: so long nothing is noticed.
const NOTICED: std::ops::Range<Duration> = Duration::from_secs(30)..Duration::from_secs(60);

fn main() -> ExitCode {
    if std::env::var_os(INSIDE).is_some() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(inside());
        return ExitCode::SUCCESS;
    }
    // Where a network can't be made, it can't be broken: the test is counted as ignored.
    let possible = isolated("ip").args(["link", "add", "here", "type", "veth", "peer", "name", "there"]).output();
    let possible = possible.is_ok_and(|output| output.status.success());
    let trial = Trial::test("a_watch_and_a_request_on_a_dead_path_end_within_a_minute", outside);
    libtest_mimic::run(&Arguments::from_args(), vec![trial.with_ignored_flag(!possible)]).exit_code()
}

/// This program, in a network namespace of its own.
fn isolated(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--"]).arg(program);
    command
}

fn outside() -> Result<(), libtest_mimic::Failed> {
    let output = isolated(std::env::current_exe()?).env(INSIDE, "1").output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

fn ip(command: &str) {
    let output = Command::new("ip").args(command.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {command}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn inside() {
    ip("link set lo up");
    ip("link add here type veth peer name there");
    ip("link set here up");
    ip("link set there up");
    ip(&format!("address add {CLIENT}/32 dev lo"));
    ip(&format!("route add local {SERVER}/32 dev lo src {CLIENT}"));
    let listener = TcpListener::bind((SERVER, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || serve(&listener));

    let client = client(address);
    let mut watch = client.send(request("/watch")).await.unwrap().into_body();
    watch.frame().await.unwrap().unwrap();
    // Leaves a connection that the next request will go out on.
    client.send(request("/")).await.unwrap().into_body().collect().await.unwrap();

    ip(&format!("route del local {SERVER}/32 dev lo"));
    ip(&format!("route add {SERVER}/32 dev here src {CLIENT}"));
    // Nobody has that address, so nobody answers.
    ip(&format!("neighbour add {SERVER} lladdr 02:00:00:00:00:09 dev here nud permanent"));
    let cut = Instant::now();
    let noticed = async |what: &str, ended: bool| {
        println!("{what}: {:?}", cut.elapsed());
        assert!(ended && NOTICED.contains(&cut.elapsed()), "{what} ended: {ended}, after {:?}", cut.elapsed());
    };
    let watched = async {
        let frame = tokio::time::timeout(NOTICED.end, watch.frame()).await;
        noticed("the watch", matches!(frame, Ok(Some(Err(_))))).await;
    };
    let requested = async {
        let response = tokio::time::timeout(NOTICED.end, client.send(request("/"))).await;
        noticed("the request", matches!(response, Ok(Err(_)))).await;
    };
    tokio::join!(watched, requested);
}

fn client(server: SocketAddr) -> Client {
    let config = Config::new(format!("http://{server}").parse().unwrap());
    cluster::client(config, &Arc::<Gate>::default()).unwrap()
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// Answers each request at once; a watch begins, and goes on for good.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // An error means that the client has hung up.
        thread::spawn(move || answer(&stream));
    }
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            head += &line;
        }
        let answer = match head.starts_with("GET /watch") {
            true => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            false => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        };
        stream.write_all(answer.as_bytes())?;
    }
}
