//! A flood: everything that can be reached from a voxel through faces.

use crate::base::{Cancelled, Progress};

/// A flood within the box `lo..hi`: runs of columns are taken whole, their neighbours queued.
pub(super) struct Flood {
    lo: [usize; 3],
    size: [usize; 3],
    /// One bit per voxel of the box.
    seen: Vec<u64>,
    /// The box around what was reached, half open.
    pub(super) bounds: ([usize; 3], [usize; 3]),
}

impl Flood {
    /// Nothing reached yet.
    pub(super) fn new(lo: [usize; 3], hi: [usize; 3]) -> Self {
        let size: [usize; 3] = std::array::from_fn(|a| hi[a] - lo[a]);
        let bits: usize = size.iter().product();
        Self { lo, size, seen: vec![0; bits.div_ceil(64)], bounds: (hi, lo) }
    }

    fn bit(&self, zyx: [usize; 3]) -> usize {
        let [z, y, x] = std::array::from_fn(|a| zyx[a] - self.lo[a]);
        (z * self.size[1] + y) * self.size[2] + x
    }

    /// Whether a voxel of the box was reached.
    pub(super) fn has(&self, zyx: [usize; 3]) -> bool {
        let bit = self.bit(zyx);
        self.seen[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Reaches everything from the seed through faces over voxels that `accept` takes; false where that is more than `max_voxels`.
    pub(super) fn run(
        &mut self,
        progress: &Progress,
        seed: [usize; 3],
        max_voxels: u64,
        accept: impl Fn([usize; 3]) -> bool,
    ) -> Result<bool, Cancelled> {
        let mut stack = vec![seed];
        let (mut n, mut steps) = (0u64, 0u32);
        while let Some([z, y, x]) = stack.pop() {
            if self.has([z, y, x]) {
                continue;
            }
            steps += 1;
            if steps.is_multiple_of(4096) {
                progress.check()?;
            }
            let open = |flood: &Self, x: usize| !flood.has([z, y, x]) && accept([z, y, x]);
            let (mut first, mut last) = (x, x);
            while first > self.lo[2] && open(self, first - 1) {
                first -= 1;
            }
            while last + 1 < self.lo[2] + self.size[2] && open(self, last + 1) {
                last += 1;
            }
            n += (last - first + 1) as u64;
            progress.advance((last - first + 1) as u64);
            if n > max_voxels {
                return Ok(false);
            }
            self.mark([z, y], first, last);
            for (dz, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                self.queue_row([z, y], [dz, dy], first..last + 1, &accept, &mut stack);
            }
        }
        Ok(true)
    }

    fn mark(&mut self, [z, y]: [usize; 2], first: usize, last: usize) {
        for x in first..=last {
            let bit = self.bit([z, y, x]);
            self.seen[bit / 64] |= 1 << (bit % 64);
        }
        for (a, (low, high)) in [(z, z), (y, y), (first, last)].into_iter().enumerate() {
            self.bounds.0[a] = self.bounds.0[a].min(low);
            self.bounds.1[a] = self.bounds.1[a].max(high + 1);
        }
    }

    /// Queues the start of every open run of a neighbouring row below or above `columns`.
    fn queue_row(
        &self,
        at: [usize; 2],
        step: [isize; 2],
        columns: std::ops::Range<usize>,
        accept: &impl Fn([usize; 3]) -> bool,
        stack: &mut Vec<[usize; 3]>,
    ) {
        let row: [Option<usize>; 2] = std::array::from_fn(|a| {
            at[a].checked_add_signed(step[a]).filter(|i| (self.lo[a]..self.lo[a] + self.size[a]).contains(i))
        });
        let [Some(z), Some(y)] = row else { return };
        let mut inside = false;
        for x in columns {
            let open = !self.has([z, y, x]) && accept([z, y, x]);
            if open && !inside {
                stack.push([z, y, x]);
            }
            inside = open;
        }
    }
}
