//! As much of an HTTP/1.1 request's head as a provider needs.

/// The longest head, and the longest body, in bytes.
pub(super) const LONGEST_HEAD: usize = 16 * 1024;
pub(super) const LONGEST_BODY: usize = 64 << 20;

/// A request's head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Where the body begins.
    pub(super) length: usize,
    /// Bytes of the body.
    pub(super) body: usize,
    /// Whether it asks for a chat.
    pub(super) is_chat: bool,
    /// Whether the connection ends with this request.
    pub(super) closes: bool,
}

/// The head at the begin of `received`: `None` when it is not whole yet, an error when it is none.
pub(super) fn read(received: &[u8]) -> Result<Option<Head>, ()> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if received.len() > LONGEST_HEAD { Err(()) } else { Ok(None) };
    };
    let text = std::str::from_utf8(&received[..end]).map_err(drop)?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().ok_or(())?.split(' ');
    let (method, path) = (words.next().ok_or(())?, words.next().ok_or(())?);
    let is_chat = method == "POST" && path.ends_with("/chat/completions");
    let mut head = Head { length: end + 4, body: 0, is_chat, closes: false };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.body = value.parse().ok().filter(|length| *length <= LONGEST_BODY).ok_or(())?;
        } else if name.eq_ignore_ascii_case("connection") {
            head.closes = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(());
        }
    }
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_once_they_are_whole() {
        let request =
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{";
        let whole = request.len() - 1;
        assert_eq!(read(&request[..whole - 1]), Ok(None));
        assert_eq!(read(request), Ok(Some(Head { length: whole, body: 12, is_chat: true, closes: true })));
        let other = b"GET /v1/models HTTP/1.1\r\n\r\n";
        assert_eq!(read(other), Ok(Some(Head { length: other.len(), body: 0, is_chat: false, closes: false })));
        assert_eq!(read(b"nonsense\r\n\r\n"), Err(()));
        assert_eq!(read(b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(()));
        assert_eq!(read(&[b'a'; LONGEST_HEAD + 1]), Err(()));
    }
}
