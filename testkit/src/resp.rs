//! As much of Redis's protocol as it takes to give an order and read the answer.

use std::io::{BufRead, BufReader, Error, Result, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest text of an answer that is read.
const LONGEST: usize = 16 << 20;

/// Gives an order, after the password where there is one. An answer is text, a number as text, nothing for nil, or the lines of a list.
pub(crate) fn ask(port: u16, password: Option<&str>, order: &[&str]) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    if let Some(password) = password {
        stream.write_all(&encode(&["AUTH", password]))?;
        read(&mut answers)?;
    }
    stream.write_all(&encode(order))?;
    read(&mut answers)
}

fn read(answers: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    let line = line.trim_end();
    let nonsense = || Error::other(format!("Redis answered {line:?}"));
    let (Some(kind), Some(rest)) = (line.chars().next(), line.get(1..)) else { return Err(nonsense()) };
    match kind {
        '+' | ':' => Ok(rest.to_owned()),
        '-' => Err(Error::other(rest.to_owned())),
        '$' if rest == "-1" => Ok(String::new()),
        '$' => {
            let length = rest.parse().ok().filter(|length| *length <= LONGEST).ok_or_else(nonsense)?;
            let mut text = vec![0; length + 2];
            answers.read_exact(&mut text)?;
            Ok(String::from_utf8_lossy(&text[..length]).into_owned())
        }
        '*' => {
            let items: i64 = rest.parse().map_err(|_| nonsense())?;
            let items = (0..items).map(|_| read(answers)).collect::<Result<Vec<_>>>()?;
            Ok(items.join("\n"))
        }
        _ => Err(nonsense()),
    }
}

fn encode(order: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", order.len());
    for word in order {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_an_array_of_texts() {
        assert_eq!(encode(&["SET", "k", "你"]), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n你\r\n".as_bytes());
    }
    #[test]
    fn answers_of_all_kinds_are_read() {
        let read = |answer: &str| super::read(&mut answer.as_bytes());
        assert_eq!(read("+OK\r\n").unwrap(), "OK");
        assert_eq!(read(":7\r\n").unwrap(), "7");
        assert_eq!(read("$4\r\na\r\nb\r\n").unwrap(), "a\r\nb");
        assert_eq!(read("$-1\r\n").unwrap(), "");
        assert_eq!(read("*2\r\n$1\r\na\r\n:2\r\n").unwrap(), "a\n2");
        assert_eq!(read("-ERR no\r\n").unwrap_err().to_string(), "ERR no");
        assert!(read("").is_err() && read("?\r\n").is_err() && read("$99999999999\r\n").is_err());
    }
}
