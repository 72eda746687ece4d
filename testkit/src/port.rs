//! Ports that nobody uses.

use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which Linux takes the ports of outgoing connections, so that a server that was killed finds its port free
/// when it is started again.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 on which nobody listens. No port is given twice by one process; another process may take it before it is used,
/// so whoever starts a server on it looks whether that succeeded.
///
/// # Panics
/// When all of 20,000 ports are in use.
#[expect(clippy::panic, reason = "a machine without a free port runs no test")]
pub fn free_port() -> u16 {
    // Processes begin at different places, so that they seldom meet.
    let start = (std::process::id().wrapping_mul(7_919) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + ((u32::from(start) + u32::from(step)) % u32::from(COUNT)) as u16;
        // Binding it to see whether that works would keep it in use for a moment in processes that are forked just then.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            return port;
        }
    }
    panic!("no port of 127.0.0.1 is free");
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_is_free_and_given_once() {
        let ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        for port in &ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap();
        }
        assert_eq!(ports.iter().collect::<std::collections::HashSet<_>>().len(), ports.len());
    }

    #[test]
    fn a_port_in_use_is_not_given() {
        let taken: Vec<_> = (0..20).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap()).collect();
        let next = free_port();
        assert!(taken.iter().all(|listener| listener.local_addr().unwrap().port() != next));
    }
}
