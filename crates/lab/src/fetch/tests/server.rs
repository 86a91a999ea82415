//! A server on this machine that does as it is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a server does with one request.
#[derive(Clone)]
pub enum Act {
    /// Everything right, ranges included.
    Good,
    /// Right, but without ranges.
    NoRange,
    /// So many bytes, then nothing more for a while.
    Stall(usize),
    /// So many bytes, then the connection is gone.
    Drop(usize),
    /// Closed before an answer.
    Refuse,
    /// Torn down in the middle of the answer: what the client said is left unread.
    Reset,
    Status(u16),
    /// A page, with status 200; with its length or without.
    Page(bool),
    /// Bytes of the right number, but others.
    Other,
    /// Says this length and sends everything.
    Length(u64),
    /// A part that was not asked for.
    OtherPart,
    /// So many bytes every few milliseconds.
    Slow(usize),
    /// The file is at another address.
    Moved(String),
}

/// A server on this machine: its address, and the ranges that it was asked for.
pub struct Server {
    pub url: String,
    pub asked: Arc<Mutex<Vec<String>>>,
}

/// Serves `content`; request number i is answered by act i, or by the last one.
pub fn serve(content: &[u8], acts: &[Act]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/set", listener.local_addr().expect("an address"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (content, acts, log) = (content.to_vec(), acts.to_vec(), asked.clone());
    thread::spawn(move || {
        for (i, stream) in listener.incoming().flatten().enumerate() {
            let act = acts[i.min(acts.len() - 1)].clone();
            let (content, log) = (content.clone(), log.clone());
            // Errors are those of a client that has left.
            thread::spawn(move || answer(stream, &content, &act, &log));
        }
    });
    Server { url, asked }
}

fn answer(
    mut s: TcpStream,
    content: &[u8],
    act: &Act,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    if matches!(act, Act::Reset) {
        s.read_exact(&mut byte)?;
        log.lock().unwrap().push("reset".into());
        write!(s, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len())?;
        return s.write_all(&content[..1000]);
    }
    while !head.ends_with(b"\r\n\r\n") && s.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let range = head
        .lines()
        .find_map(|l| l.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    log.lock().unwrap().push(range.map_or("all".into(), |n| n.to_string()));
    let n = content.len();
    let with_length = |length: u64| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let (first, begin) = match (act, range) {
        (Act::Refuse, _) => return Ok(()),
        (Act::Status(code), _) => {
            return write!(
                s,
                "HTTP/1.1 {code} No\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<no>"
            );
        }
        (Act::Page(true), _) => {
            return write!(
                s,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
            );
        }
        (Act::Page(false), _) => {
            return write!(s, "HTTP/1.0 200 OK\r\n\r\n <!DOCTYPE html><html></html>");
        }
        (Act::Moved(to), _) => {
            return write!(
                s,
                "HTTP/1.1 302 Found\r\nLocation: {to}/file.bin\r\nContent-Length: 0\r\n\r\n"
            );
        }
        (Act::Length(length), _) => (with_length(*length), 0),
        (Act::NoRange, _) | (_, None) => (with_length(n as u64), 0),
        (Act::OtherPart, Some(_)) => (
            format!(
                "HTTP/1.1 206 OK\r\nContent-Length: {n}\r\nContent-Range: bytes 0-{}/{n}\r\n\r\n",
                n - 1
            ),
            0,
        ),
        (_, Some(from)) => (
            format!(
                "HTTP/1.1 206 OK\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{n}\r\n\r\n",
                n - from,
                n - 1
            ),
            from,
        ),
    };
    s.write_all(first.as_bytes())?;
    let rest = &content[begin..];
    match act {
        Act::Stall(k) => {
            s.write_all(&rest[..*k])?;
            thread::sleep(Duration::from_secs(2));
        }
        Act::Drop(k) => s.write_all(&rest[..*k])?,
        Act::Other => s.write_all(&rest.iter().map(|b| b ^ 1).collect::<Vec<u8>>())?,
        Act::Slow(k) => {
            for part in rest.chunks(*k) {
                s.write_all(part)?;
                thread::sleep(Duration::from_millis(5));
            }
        }
        _ => s.write_all(rest)?,
    }
    Ok(())
}
