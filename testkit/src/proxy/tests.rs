//! Plain blocking sockets on both sides.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;
use crate::process::becomes_true;

/// Sends back what it gets, with a letter in front of each piece that tells which server it is.
fn echo(name: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&[&[name], &buffer[..length]].concat());
                }
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn asks(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes())?;
    let mut answer = vec![0; text.len() + 1];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8(answer).unwrap())
}

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn it_passes_on_counts_and_changes_its_target_for_new_connections() {
    let proxy = Proxy::start(echo(b'a')).unwrap();
    let mut old = connect(&proxy);
    assert_eq!(asks(&mut old, "one").unwrap(), "aone");
    proxy.set_target(echo(b'b'));
    let mut new = connect(&proxy);
    assert_eq!(asks(&mut new, "two").unwrap(), "btwo");
    assert_eq!(asks(&mut old, "three").unwrap(), "athree");
    assert_eq!((proxy.accepted(), proxy.open(), proxy.bytes()), (2, 2, 25));
    drop(old);
    assert!(becomes_true(LIMIT, || proxy.open() == 1));
}

#[test]
fn a_cut_resets_what_is_open_and_nothing_else() {
    let proxy = Proxy::start(echo(b'a')).unwrap();
    let mut streams = [connect(&proxy), connect(&proxy)];
    for stream in &mut streams {
        asks(stream, "hello").unwrap();
    }
    proxy.cut();
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(asks(&mut connect(&proxy), "again").unwrap(), "aagain");
    assert!(becomes_true(LIMIT, || proxy.open() == 0));
}

#[test]
fn a_stall_keeps_everything_and_loses_nothing() {
    let proxy = Proxy::start(echo(b'a')).unwrap();
    let mut stream = connect(&proxy);
    asks(&mut stream, "hello").unwrap();
    proxy.stall(true);
    stream.write_all(b"waits").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    proxy.stall(false);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"awaits");
}

#[test]
fn new_connections_can_be_refused_and_a_missing_target_resets() {
    let proxy = Proxy::start(echo(b'a')).unwrap();
    let mut open = connect(&proxy);
    asks(&mut open, "hello").unwrap();
    proxy.refuse(true);
    let refused =
        || TcpStream::connect(proxy.address()).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    assert!(becomes_true(LIMIT, refused));
    assert_eq!(asks(&mut open, "goes on").unwrap(), "agoes on");
    proxy.refuse(false);
    assert!(becomes_true(LIMIT, || TcpStream::connect(proxy.address()).is_ok()));

    proxy.set_target(SocketAddr::from(([127, 0, 0, 1], free_port())));
    let mut lost = connect(&proxy);
    assert_eq!(lost.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}
