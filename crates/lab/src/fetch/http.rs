//! One request to one mirror: everything a server may do wrong has a name here.

use super::Watcher;
use super::catalogue::Published;
use super::part::Part;
use anyhow::Result;
use std::io::Read;
use std::time::{Duration, Instant};
use ureq::Agent;

/// How long a server is waited for.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a connection and for the head of an answer.
    pub answer: Duration,
    /// For the next bytes.
    pub silence: Duration,
    /// Over how long a time the speed is measured.
    pub window: Duration,
    /// The speed (bytes a second) under which another mirror is tried.
    pub slow: f64,
    /// How often a mirror may fail before it is given up.
    pub tries: usize,
    /// Between two tries of the same mirror.
    pub pause: Duration,
}

impl Default for Patience {
    /// 15 s for an answer and between bytes; slow is under 300 kB/s over 10 s; three tries, 2 s apart.
    fn default() -> Self {
        Patience {
            answer: Duration::from_secs(15),
            silence: Duration::from_secs(15),
            window: Duration::from_secs(10),
            slow: 3e5,
            tries: 3,
            pause: Duration::from_secs(2),
        }
    }
}

/// How a request ended.
pub enum End {
    /// All bytes are there; at so many a second.
    Complete(f64),
    /// It came too slowly, at so many bytes a second.
    Slow(f64),
    /// It failed.
    Fault {
        /// Why, after the mirror's name.
        text: String,
        /// Whether it would fail again.
        final_: bool,
    },
}

/// A client.
pub struct Http {
    agent: Agent,
    /// How long it waits.
    pub patience: Patience,
}

impl Http {
    /// A client with this patience.
    pub fn new(patience: &Patience) -> Result<Http> {
        encryption::install();
        let config = Agent::config_builder()
            .timeout_resolve(Some(patience.answer))
            .timeout_connect(Some(patience.answer))
            .timeout_recv_response(Some(patience.answer))
            .timeout_per_read(Some(patience.silence))
            .http_status_as_error(false)
            .user_agent(concat!("chainrule/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .max_idle_connections(0)
            .build();
        Ok(Http { agent: config.into(), patience: patience.clone() })
    }

    /// Reads from where the part ends; with `leave_slow` only while it comes fast enough.
    ///
    /// # Errors
    /// If the part cannot be written. What a server does wrong is an [`End::Fault`].
    pub fn read(
        &self,
        mirror: &str,
        file: &Published,
        part: &mut Part,
        leave_slow: bool,
        watcher: &mut dyn Watcher,
    ) -> Result<End> {
        let url = format!("{}/{}", mirror.trim_end_matches('/'), file.name);
        if url.starts_with("https:") && !encryption::possible() {
            let text = "encrypted connections need a processor with AES and AVX2 instructions; \
                        name an http:// mirror with --mirror (the sum is checked in any case)";
            return Ok(final_fault(text));
        }
        let mut request = self.agent.get(&url);
        if part.size > 0 {
            request = request.header("range", format!("bytes={}-", part.size));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(e) => return Ok(fault(&e)),
        };
        let mut skip = match begins_at(&response, file, part.size) {
            Ok(0) => part.size,
            Ok(_) => 0,
            // A server that is busy may not be later.
            Err(text) => {
                let busy = matches!(response.status().as_u16(), 429 | 500..);
                return Ok(End::Fault { text, final_: !busy });
            }
        };
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; 1 << 16];
        let mut speed = Speed::new(&self.patience);
        while part.size < file.bytes {
            let n = match body.read(&mut buffer) {
                Ok(0) => {
                    return Ok(fault(&format!(
                        "ended after {} of {} bytes",
                        part.size, file.bytes
                    )));
                }
                Ok(n) => n,
                Err(e) => return Ok(fault(&e)),
            };
            // A server that knows no ranges begins at the beginning.
            let known = skip.min(n as u64) as usize;
            skip -= known as u64;
            let rest = (file.bytes - part.size).min((n - known) as u64) as usize;
            let new = &buffer[known..known + rest];
            if part.size == 0 && !new.is_empty() && looks_like_a_page(new) {
                return Ok(final_fault("sent a page instead of the file"));
            }
            part.add(new)?;
            speed.add(n);
            watcher.progress(file, part.size, mirror, speed.now());
            if leave_slow && speed.is_slow() {
                return Ok(End::Slow(speed.now()));
            }
        }
        Ok(End::Complete(speed.now()))
    }
}

fn fault(error: &dyn std::fmt::Display) -> End {
    End::Fault { text: error.to_string(), final_: false }
}

fn final_fault(text: &str) -> End {
    End::Fault { text: text.to_string(), final_: true }
}

/// Where the bytes of an answer begin: at 0 or where they were asked to.
fn begins_at(
    response: &ureq::http::Response<ureq::Body>,
    file: &Published,
    asked: u64,
) -> std::result::Result<u64, String> {
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
    if header("content-type").is_some_and(|t| t.starts_with("text/html")) {
        return Err(match response.status().as_u16() {
            200 => "sent a page instead of the file".to_string(),
            code => format!("answered {code}"),
        });
    }
    let length = header("content-length").and_then(|v| v.trim().parse::<u64>().ok());
    match response.status().as_u16() {
        200 if length.is_some_and(|n| n != file.bytes) => {
            let n = length.unwrap_or_default();
            Err(format!("has a file of {n} bytes instead of {}", file.bytes))
        }
        200 => Ok(0),
        206 => {
            let want = format!("bytes {asked}-{}/{}", file.bytes - 1, file.bytes);
            match header("content-range") {
                Some(range) if range == want => Ok(asked),
                other => {
                    Err(format!("sent the part {:?} instead of {want:?}", other.unwrap_or("")))
                }
            }
        }
        code => Err(format!("answered {code}")),
    }
}

/// No published file begins like a page of text.
fn looks_like_a_page(bytes: &[u8]) -> bool {
    let begin = bytes.trim_ascii_start();
    begin.starts_with(b"<!") || begin.to_ascii_lowercase().starts_with(b"<html")
}

/// The speed over the last while.
struct Speed {
    window: Duration,
    slow: f64,
    begun: Instant,
    bytes: usize,
    /// The window before this one, at whose end its speed was known.
    last: Option<f64>,
}

impl Speed {
    fn new(patience: &Patience) -> Speed {
        let Patience { window, slow, .. } = *patience;
        Speed { window, slow, begun: Instant::now(), bytes: 0, last: None }
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.begun.elapsed() >= self.window {
            self.last = Some(self.current());
            (self.begun, self.bytes) = (Instant::now(), 0);
        }
    }

    fn current(&self) -> f64 {
        self.bytes as f64 / self.begun.elapsed().as_secs_f64().max(1e-3)
    }

    fn now(&self) -> f64 {
        self.last.unwrap_or_else(|| self.current())
    }

    /// Whether a whole window was slow.
    fn is_slow(&self) -> bool {
        self.last.is_some_and(|speed| speed < self.slow)
    }
}

/// TLS without a C compiler: rustls with Graviola, which is Rust and assembler that was proved correct. It wants some
/// instructions of the processor.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod encryption {
    pub fn install() {
        // A second installation fails, which is as good.
        let _ = rustls_graviola::default_provider().install_default();
    }

    #[cfg(target_arch = "x86_64")]
    pub fn possible() -> bool {
        is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("adx")
            && is_x86_feature_detected!("avx2")
    }

    #[cfg(target_arch = "aarch64")]
    pub fn possible() -> bool {
        use std::arch::is_aarch64_feature_detected as has;
        has!("aes") && has!("sha2") && has!("pmull") && has!("neon")
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod encryption {
    pub fn install() {}

    pub fn possible() -> bool {
        false
    }
}
