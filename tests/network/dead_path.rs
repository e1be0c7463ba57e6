//! A path to the API server that dies without a word: connections on it are given up within a minute. A route that is
//! changed makes all packets to the server vanish: no end of a connection hears of it.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use http::Request;
use http_body_util::BodyExt;
use kube::{Client, Config, client::Body};
use regcred::cluster::{self, gate::Gate};

use crate::ip;

/// Where the server is, and where the client.
const SERVER: &str = "10.9.9.9";
const CLIENT: &str = "10.9.9.1";

/// Not sooner: a path may be dead for some seconds and come back. Not later: so long nothing is noticed.
const NOTICED: std::ops::Range<Duration> = Duration::from_secs(30)..Duration::from_secs(60);

/// In a network of its own.
pub fn connections_are_given_up() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(inside());
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
