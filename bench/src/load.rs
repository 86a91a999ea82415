//! Who else uses the processors, from /proc. Where there is no /proc, nobody is assumed to.

use std::time::{Duration, Instant};

/// Seconds a tick of /proc takes: Linux shows user programs 100 a second on every architecture we know.
const TICK: f64 = 0.01;
/// The share of one processor that others may use while a chunk runs, and the ticks that rounding alone can make.
const SHARE: f64 = 0.04;
const ROUNDING: f64 = 2.1 * TICK;

/// Processor time used so far, by the machine and by this process, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    at: Instant,
    busy: Option<f64>,
    own: Option<f64>,
}

impl Load {
    /// Reads the counters.
    pub fn now() -> Load {
        let read = |path| std::fs::read_to_string(path).ok();
        Load {
            at: Instant::now(),
            busy: read("/proc/stat").and_then(|text| busy(&text)),
            own: read("/proc/self/stat").and_then(|text| own(&text)),
        }
    }

    /// Seconds of processor time that other processes (and the host, as steal time) took from `self` to `later`.
    pub fn others(&self, later: &Load) -> f64 {
        match (self.busy, self.own, later.busy, later.own) {
            (Some(b0), Some(o0), Some(b1), Some(o1)) => ((b1 - b0) - (o1 - o0)).max(0.0),
            _ => 0.0,
        }
    }

    /// Whether others took enough from `self` to `later` to disturb a measurement.
    pub fn contended(&self, later: &Load) -> bool {
        let wall = later.at.duration_since(self.at).as_secs_f64();
        self.others(later) > ROUNDING.max(SHARE * wall)
    }
}

/// The most memory this process ever had, in bytes: all of it, not only what tensors take. `None` where there is no /proc.
pub fn peak_process_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Waits until others use no more than a tick in 60 ms, at most `limit`; returns how long it waited.
pub(crate) fn wait_until_idle(limit: Duration) -> Duration {
    let start = Instant::now();
    while start.elapsed() < limit {
        let before = Load::now();
        std::thread::sleep(Duration::from_millis(60));
        if before.others(&Load::now()) < 1.5 * TICK {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    start.elapsed()
}

/// The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. All but idle and iowait is work.
fn busy(text: &str) -> Option<f64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> = line.split_whitespace().take(8).map_while(|t| t.parse().ok()).collect();
    (ticks.len() == 8).then(|| (ticks.iter().sum::<f64>() - ticks[3] - ticks[4]) * TICK)
}

/// User and system time in /proc/self/stat, the 14th and 15th field. The 2nd, in parentheses, may hold spaces.
fn own(text: &str) -> Option<f64> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) * TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(at: Instant, ms: u64, busy: f64, own: f64) -> Load {
        Load { at: at + Duration::from_millis(ms), busy: Some(busy), own: Some(own) }
    }

    #[test]
    fn the_counters_are_read_as_proc_writes_them() {
        let stat = "cpu  100 20 30 4000 50 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        assert!((busy(stat).unwrap() - 1.71).abs() < 1e-12);
        let own_stat = "7 (a b) c) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(own(own_stat), Some(3.0));
        for broken in ["", "cpu", "cpu  1 2 3", "cpu  a b c d e f g h", "intr 5"] {
            assert_eq!(busy(broken), None, "{broken:?}");
        }
        assert_eq!(own("7 R 1 2"), None);
    }

    #[test]
    fn others_is_what_this_process_did_not_use() {
        let t = Instant::now();
        let start = load(t, 0, 10.0, 5.0);
        assert!((start.others(&load(t, 150, 10.3, 5.2)) - 0.1).abs() < 1e-12);
        // Rounding of ticks can make a process look busier than its machine.
        assert_eq!(start.others(&load(t, 150, 10.1, 5.2)), 0.0);
        let blind = Load { at: t, busy: None, own: None };
        assert_eq!(blind.others(&start), 0.0);
    }

    #[test]
    fn a_chunk_is_contended_above_rounding_and_above_the_share() {
        let t = Instant::now();
        let start = load(t, 0, 10.0, 5.0);
        assert!(!start.contended(&load(t, 150, 10.32, 5.3)));
        assert!(start.contended(&load(t, 150, 10.33, 5.3)));
        assert!(!start.contended(&load(t, 2000, 12.07, 7.0)));
        assert!(start.contended(&load(t, 2000, 12.09, 7.0)));
    }
}
