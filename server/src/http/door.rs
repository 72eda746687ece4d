//! The door of a listener, which can be shut without turning away who stands in it.
//!
//! Closing a listening socket resets the connections that the system has accepted and the program has not: their requests are lost, though
//! another process behind the same proxy could have answered them. So the door is shut first: from then on the system answers nobody who
//! wants to connect, which a proxy takes as a reason to ask the next process, while those already inside are served.

use std::net::TcpListener;
use std::time::Duration;

use socket2::{SockFilter, SockRef};

/// How long it takes until whoever was in the door is inside.
const THROUGH: Duration = Duration::from_millis(300);

// Of the classic packet filter (linux/filter.h, linux/bpf_common.h).
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Where the flags are in a TCP header, and two of them.
const FLAGS: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;
const WHOLE: u32 = u32::MAX;

/// A second handle of a listener that a server has.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
}

impl Door {
    /// The door of `listener`. `None` when the system gives no second handle; then it cannot be shut, only closed.
    pub(super) fn of(listener: &TcpListener) -> Option<Self> {
        listener.try_clone().map(|listener| Self { listener }).ok()
    }

    /// Lets nobody begin to connect any more; handshakes that have begun go on.
    pub(super) fn shut(&self) {
        // The wish to connect is a SYN without an ACK: drop it, let all else pass.
        let filter = [
            SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
            SockFilter::new(AND, 0, 0, SYN | ACK),
            SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
            SockFilter::new(RETURN, 0, 0, 0),
            SockFilter::new(RETURN, 0, 0, WHOLE),
        ];
        if let Err(error) = SockRef::from(&self.listener).attach_filter(&filter) {
            tracing::warn!(%error, "the listener could not be shut before it is closed; a call that connects just now may be lost");
        }
    }
}

/// Shuts all, and waits until whoever was in one of them is inside.
pub(super) async fn shut_all(doors: &[Door]) {
    doors.iter().for_each(Door::shut);
    tokio::time::sleep(THROUGH).await;
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn who_is_inside_stays_and_nobody_else_comes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door::of(&listener).unwrap();
        // Connected as far as the client can tell; the program has not seen it yet.
        let mut inside = TcpStream::connect(address).unwrap();
        inside.write_all(b"before").unwrap();
        door.shut();
        let outside = TcpStream::connect_timeout(&address, Duration::from_millis(200)).unwrap_err();
        assert_eq!(outside.kind(), ErrorKind::TimedOut, "{outside}");

        let (mut served, _) = listener.accept().unwrap();
        inside.write_all(b" and after").unwrap();
        let mut read = [0; 16];
        served.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"before and after");
        served.write_all(b"answer").unwrap();
        let mut answer = [0; 6];
        inside.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
    }
}
