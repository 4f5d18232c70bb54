//! Memory is planned before long work starts and refused with numbers when over budget.

use std::fmt;

/// Bytes in one GiB.
pub const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Work needs more memory than it may have.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "needs {} of memory, the budget is {}: bin the data, take fewer rows or raise the budget (--memory, or Settings)",
    size(*needed_gib),
    size(*budget_gib)
)]
pub struct MemoryError {
    /// What the work would take at its peak.
    pub needed_gib: f64,
    /// What it may take.
    pub budget_gib: f64,
}

/// An amount of memory in words, small ones in MiB.
fn size(gib: f64) -> String {
    if gib < 0.1 { format!("{:.1} MiB", gib * 1024.0) } else { format!("{gib:.2} GiB") }
}

/// How many bytes the program may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    /// The limit in bytes.
    pub bytes: u64,
}

impl MemoryBudget {
    /// A budget given in GiB.
    pub fn from_gib(gib: f64) -> Self {
        Self { bytes: (gib.max(0.0) * GIB) as u64 }
    }

    /// Three quarters of what the system says is available now; 4 GiB where it does not say.
    pub fn from_system() -> Self {
        let available = available_bytes().unwrap_or((16.0 / 3.0 * GIB) as u64);
        Self { bytes: available / 4 * 3 }
    }

    /// Refuses a plan of `needed` bytes that is over budget.
    ///
    /// # Errors
    /// [`MemoryError`] with both numbers.
    pub fn admit(self, needed: u64) -> Result<(), MemoryError> {
        if needed <= self.bytes {
            return Ok(());
        }
        Err(MemoryError { needed_gib: needed as f64 / GIB, budget_gib: self.bytes as f64 / GIB })
    }
}

impl fmt::Display for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} GiB", self.bytes as f64 / GIB)
    }
}

/// Bytes of memory the system could give out now, where it says so (Linux's /proc/meminfo).
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_budget_is_refused_with_both_numbers() {
        let budget = MemoryBudget::from_gib(1.0);
        assert_eq!(budget.admit(1 << 29), Ok(()));
        let text = budget.admit(3 << 30).unwrap_err().to_string();
        assert!(text.contains("3.00 GiB") && text.contains("1.00 GiB"), "{text}");
        let text = MemoryBudget { bytes: 1 << 20 }.admit(3 << 20).unwrap_err().to_string();
        assert!(text.contains("needs 3.0 MiB") && text.contains("1.0 MiB"), "{text}");
    }
}
