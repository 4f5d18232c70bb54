//! Work that lets a hand at the window go first.
//!
//! Priorities of the system do not do: a thread that gave up its own may not take it back, and one of the lowest starves
//! beside any other program. So workers rest a little at their checks, and only while somebody moves something.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest rest at one check: work goes on, slowly, however long somebody moves something.
const REST: Duration = Duration::from_millis(20);

/// Until when workers give way; clones are the same.
#[derive(Debug, Clone)]
pub struct GiveWay(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// Milliseconds after `began`; 0 for nobody.
    until_ms: AtomicU64,
}

impl Default for GiveWay {
    fn default() -> Self {
        Self(Arc::new(Shared { began: Instant::now(), until_ms: AtomicU64::new(0) }))
    }
}

impl GiveWay {
    /// Workers give way for this long from now on.
    pub fn extend(&self, time: Duration) {
        let until = (self.0.began.elapsed() + time).as_millis();
        self.0.until_ms.fetch_max(u64::try_from(until).unwrap_or(0), Ordering::Relaxed);
    }

    /// Rests, at most 20 ms, where somebody goes first.
    pub(crate) fn rest(&self) {
        let until = self.0.until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return;
        }
        let left = Duration::from_millis(until).saturating_sub(self.0.began.elapsed());
        if left.is_zero() {
            // Another extension since then stays.
            _ = self.0.until_ms.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
        } else {
            std::thread::sleep(left.min(REST));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_rest_only_while_somebody_goes_first() {
        let way = GiveWay::default();
        let time = |n: usize| {
            let began = Instant::now();
            (0..n).for_each(|_| way.rest());
            began.elapsed()
        };
        assert!(time(1000) < Duration::from_millis(50), "nobody is there");
        way.extend(Duration::from_millis(60));
        assert!(time(1) >= Duration::from_millis(19));
        std::thread::sleep(Duration::from_millis(60));
        assert!(time(1000) < Duration::from_millis(50), "gone again");
        assert_eq!(way.0.until_ms.load(Ordering::Relaxed), 0);
    }
}
