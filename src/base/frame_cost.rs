//! What frames cost: processor time of the window's own thread, and of the threads of a driver that draws by processor.

use std::path::Path;

/// Beginnings of the names of threads of software drivers.
const DRIVERS: [&str; 3] = ["llvmpipe", "lavapipe", "softpipe"];

/// Adds up the processor time that drawing takes.
#[derive(Debug)]
pub(crate) struct FrameCost {
    is_software: bool,
    /// Where the system tells no processor time of threads: wall time of the frames so far, times the cores that a driver uses.
    told: f64,
}

impl FrameCost {
    /// For a window that a card or the processor draws.
    pub(crate) fn new(is_software: bool) -> Self {
        Self { is_software, told: 0.0 }
    }

    /// Whether the processor draws.
    pub(crate) fn is_software(&self) -> bool {
        self.is_software
    }

    /// A frame took so many seconds on the clock; counted where the system does not say better.
    pub(crate) fn tell(&mut self, seconds: f64) {
        let cores = if self.is_software { super::parallel::n_cores() } else { 1 };
        self.told += seconds * cores as f64;
    }

    /// Processor time of all frames until now, seconds.
    pub(crate) fn spent(&self) -> f64 {
        let own = seconds_of(Path::new("/proc/thread-self"));
        let Some(own) = own else { return self.told };
        if self.is_software { own + drivers() } else { own }
    }
}

/// Processor time of a software driver's threads, seconds.
fn drivers() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let path = task.ok()?.path();
        let name = std::fs::read_to_string(path.join("comm")).ok()?;
        DRIVERS.iter().any(|driver| name.starts_with(driver)).then(|| seconds_of(&path)).flatten()
    };
    tasks.filter_map(of).sum()
}

/// Processor time of a thread as Linux tells it; `None` elsewhere.
fn seconds_of(thread: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(thread.join("schedstat")).ok()?;
    let nanos: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanos as f64 * 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_thread_computes_is_counted_and_what_others_do_is_not() {
        let mut cost = FrameCost::new(false);
        let before = cost.spent();
        cost.tell(0.5);
        if seconds_of(Path::new("/proc/thread-self")).is_none() {
            assert!((cost.spent() - before - 0.5).abs() < 1e-9);
            return;
        }
        let busy = || {
            let until = std::time::Instant::now() + std::time::Duration::from_millis(60);
            while std::time::Instant::now() < until {
                std::hint::spin_loop();
            }
        };
        std::thread::Builder::new().name("busy".to_owned()).spawn(busy).unwrap().join().unwrap();
        assert!(cost.spent() - before < 0.03, "only waited");
        let began = std::time::Instant::now();
        while cost.spent() - before < 0.03 {
            assert!(began.elapsed().as_secs() < 20, "work of this thread is not counted");
        }
    }
}
