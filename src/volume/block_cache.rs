//! Blocks of pyramids in memory, under one budget, read ahead of being shown by a few threads.
//!
//! A viewer says which blocks it wants now, the most urgent first; a list replaces the one before
//! it, so that what has gone out of sight is never read. Threads live while there is work. What has
//! not been used for longest goes first when the budget is spent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::AnyArray;
use super::pyramid::{BlockId, Pyramid};
use crate::base::parallel::{beside, n_cores};

/// Bytes of blocks unless the owner says otherwise.
const DEFAULT_BYTES: u64 = 1 << 30;
/// Threads that read and decompress at once, at most.
const MOST_THREADS: usize = 8;

type Key = (u64, BlockId);

#[derive(Debug)]
struct Kept {
    values: Arc<AnyArray>,
    bytes: u64,
    /// Clock of the last use.
    used: u64,
}

#[derive(Debug, Default)]
struct State {
    blocks: HashMap<Key, Kept>,
    bytes: u64,
    clock: u64,
    /// What each viewer still waits for, the most urgent last.
    wanted: BTreeMap<u64, (Arc<Pyramid>, Vec<BlockId>)>,
    /// The viewer that was served last.
    served: u64,
    reading: BTreeSet<Key>,
    failed: BTreeMap<Key, String>,
    n_threads: usize,
}

/// Blocks of any number of pyramids.
#[derive(Debug)]
pub struct BlockCache {
    state: Mutex<State>,
    budget_bytes: AtomicU64,
    /// Grows with every block that arrives.
    arrivals: AtomicU64,
}

impl Default for BlockCache {
    fn default() -> Self {
        Self::new(DEFAULT_BYTES)
    }
}

impl BlockCache {
    /// An empty cache for `bytes` of decoded blocks.
    pub fn new(bytes: u64) -> Self {
        Self { state: Mutex::default(), budget_bytes: AtomicU64::new(bytes), arrivals: AtomicU64::new(0) }
    }

    /// The cache that all pyramids of the process share, since they share its memory.
    pub fn of_process() -> Arc<Self> {
        static SHARED: std::sync::OnceLock<Arc<BlockCache>> = std::sync::OnceLock::new();
        Arc::clone(SHARED.get_or_init(Arc::default))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes it may hold.
    pub fn budget(&self) -> u64 {
        self.budget_bytes.load(Ordering::Relaxed)
    }

    /// Changes what it may hold; drops what is over at once.
    pub fn set_budget(&self, bytes: u64) {
        self.budget_bytes.store(bytes, Ordering::Relaxed);
        self.lock().shrink_to(bytes);
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// How many blocks have arrived since the start.
    pub fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Acquire)
    }

    /// A block, where it is in memory.
    pub fn get(&self, pyramid: u64, block: BlockId) -> Option<Arc<AnyArray>> {
        self.get_all(pyramid, &[block]).pop().flatten()
    }

    /// Blocks, where they are in memory.
    pub fn get_all(&self, pyramid: u64, blocks: &[BlockId]) -> Vec<Option<Arc<AnyArray>>> {
        let mut state = self.lock();
        state.clock += 1;
        let clock = state.clock;
        let mut found = |block: &BlockId| {
            let kept = state.blocks.get_mut(&(pyramid, *block))?;
            kept.used = clock;
            Some(Arc::clone(&kept.values))
        };
        blocks.iter().map(&mut found).collect()
    }

    /// Keeps a block.
    pub fn insert(&self, pyramid: u64, block: BlockId, values: AnyArray) {
        self.lock().keep((pyramid, block), values, self.budget());
        self.arrivals.fetch_add(1, Ordering::Release);
    }

    /// Why blocks of a pyramid could not be read: the first sentence.
    pub fn problem(&self, pyramid: u64) -> Option<String> {
        let state = self.lock();
        state.failed.iter().find(|((of, _), _)| *of == pyramid).map(|(_, sentence)| sentence.clone())
    }

    /// Those of the blocks that are neither in memory nor given up.
    pub fn missing(&self, pyramid: u64, blocks: &[BlockId]) -> Vec<BlockId> {
        let state = self.lock();
        blocks.iter().filter(|block| state.is_missing(pyramid, **block)).copied().collect()
    }

    /// What a viewer wants now, the most urgent first, in place of what it wanted before.
    pub fn want(self: &Arc<Self>, viewer: u64, pyramid: &Arc<Pyramid>, blocks: &[BlockId]) {
        let mut state = self.lock();
        let id = pyramid.id();
        let is_wanted =
            |block: &&BlockId| state.is_missing(id, **block) && !state.reading.contains(&(id, **block));
        let missing: Vec<BlockId> = blocks.iter().rev().filter(is_wanted).copied().collect();
        let n = missing.len();
        if n == 0 {
            state.wanted.remove(&viewer);
            return;
        }
        state.wanted.insert(viewer, (Arc::clone(pyramid), missing));
        let most = n_cores().min(MOST_THREADS);
        let more = most.saturating_sub(state.n_threads).min(n);
        for _ in 0..more {
            let cache = Arc::clone(self);
            // Without a thread the blocks stay wanted, and the next picture asks again.
            state.n_threads += usize::from(beside("blocks", move || cache.work()));
        }
    }

    /// A viewer is gone: nothing is wanted for it any more.
    pub fn forget(&self, viewer: u64) {
        self.lock().wanted.remove(&viewer);
    }

    /// Reads what is wanted until nothing is.
    fn work(&self) {
        loop {
            let next = self.lock().next_or_leave();
            let Some((pyramid, block)) = next else { return };
            let result = pyramid.read(block);
            let key = (pyramid.id(), block);
            let mut state = self.lock();
            state.reading.remove(&key);
            match result {
                Ok(values) => state.keep(key, values, self.budget()),
                Err(sentence) => _ = state.failed.insert(key, sentence),
            }
            drop(state);
            self.arrivals.fetch_add(1, Ordering::Release);
        }
    }
}

impl State {
    /// Whether a block is neither in memory nor given up.
    fn is_missing(&self, pyramid: u64, block: BlockId) -> bool {
        let key = (pyramid, block);
        !self.blocks.contains_key(&key) && !self.failed.contains_key(&key)
    }

    /// The next block to read, from each viewer in turn; without one the thread counts as gone.
    fn next_or_leave(&mut self) -> Option<(Arc<Pyramid>, BlockId)> {
        loop {
            let after = (Bound::Excluded(self.served), Bound::Unbounded);
            let after = self.wanted.range(after).next().or_else(|| self.wanted.iter().next());
            let Some(viewer) = after.map(|(viewer, _)| *viewer) else {
                self.n_threads -= 1;
                return None;
            };
            self.served = viewer;
            let Some((pyramid, blocks)) = self.wanted.get_mut(&viewer) else { continue };
            let (pyramid, block) = (Arc::clone(pyramid), blocks.pop());
            if blocks.is_empty() {
                self.wanted.remove(&viewer);
            }
            let Some(block) = block else { continue };
            let key = (pyramid.id(), block);
            // Two viewers may want the same.
            if !self.blocks.contains_key(&key) && self.reading.insert(key) {
                return Some((pyramid, block));
            }
        }
    }

    fn keep(&mut self, key: Key, values: AnyArray, budget: u64) {
        let width = crate::with_array!(&values, array => array.iter().next().map_or(0, size_of_val));
        let bytes = values.shape().iter().map(|n| *n as u64).product::<u64>() * width as u64;
        self.clock += 1;
        let kept = Kept { values: Arc::new(values), bytes, used: self.clock };
        self.bytes += bytes;
        if let Some(old) = self.blocks.insert(key, kept) {
            self.bytes -= old.bytes;
        }
        if self.bytes > budget {
            // Some room at once, so that not every block that comes sorts all others.
            self.shrink_to(budget - budget / 16);
        }
    }

    fn shrink_to(&mut self, bytes: u64) {
        if self.bytes <= bytes {
            return;
        }
        let mut by_age: Vec<(u64, Key)> = self.blocks.iter().map(|(key, kept)| (kept.used, *key)).collect();
        by_age.sort_unstable();
        for (_, key) in by_age {
            if self.bytes <= bytes {
                break;
            }
            if let Some(kept) = self.blocks.remove(&key) {
                self.bytes -= kept.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pyramid::tests::Computed;
    use super::*;
    use std::time::{Duration, Instant};

    fn wait(cache: &BlockCache, pyramid: &Pyramid, blocks: &[BlockId]) {
        let began = Instant::now();
        while !cache.missing(pyramid.id(), blocks).is_empty() {
            assert!(began.elapsed() < Duration::from_secs(20), "the blocks do not come");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn what_is_wanted_arrives_and_threads_leave() {
        let cache = Arc::new(BlockCache::new(1 << 30));
        let (pyramid, _) = Computed::new([64; 3], 2, 16).pyramid(1, &cache);
        let blocks = pyramid.blocks_of(0, [0; 3], [64; 3]);
        cache.want(1, &pyramid, &blocks[..40]);
        // Any number will do as a name.
        cache.want(u64::MAX, &pyramid, &blocks[30..]);
        wait(&cache, &pyramid, &blocks);
        assert_eq!(cache.bytes(), 64 * 64 * 64 * 4);
        assert!(cache.arrivals() >= 64);
        let began = Instant::now();
        while cache.lock().n_threads > 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "threads stay");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn the_budget_is_held_and_the_oldest_goes_first() {
        let block_bytes = 16 * 16 * 16 * 4;
        let cache = Arc::new(BlockCache::new(32 * block_bytes));
        let (pyramid, _) = Computed::new([64; 3], 1, 16).pyramid(0, &cache);
        let blocks = pyramid.blocks_of(0, [0; 3], [64; 3]);
        for block in &blocks[..32] {
            cache.insert(pyramid.id(), *block, pyramid.read(*block).unwrap());
        }
        // The first is used again and so is younger than the second.
        assert!(cache.get(pyramid.id(), blocks[0]).is_some());
        for block in &blocks[32..] {
            cache.insert(pyramid.id(), *block, pyramid.read(*block).unwrap());
            assert!(cache.bytes() <= 32 * block_bytes);
            assert!(cache.get(pyramid.id(), blocks[0]).is_some());
        }
        assert!(cache.get(pyramid.id(), blocks[1]).is_none());
        cache.set_budget(2 * block_bytes);
        assert!(cache.bytes() <= 2 * block_bytes);
    }

    #[derive(Debug)]
    struct Broken;

    impl super::super::pyramid::BlockSource for Broken {
        fn read(&self, _: usize, _: [usize; 3], _: [usize; 3]) -> Result<AnyArray, String> {
            Err("the disk is gone".to_owned())
        }

        fn value_bytes(&self) -> u64 {
            1
        }
    }

    #[test]
    fn a_block_that_cannot_be_read_is_given_up_with_its_sentence() {
        let cache = Arc::new(BlockCache::new(1 << 20));
        let levels = Computed::new([16; 3], 1, 16).levels;
        let pyramid = Arc::new(Pyramid::new(levels, 0, Box::new(Broken), Arc::clone(&cache)).unwrap());
        let blocks = pyramid.blocks_of(0, [0; 3], [16; 3]);
        cache.want(7, &pyramid, &blocks);
        wait(&cache, &pyramid, &blocks);
        assert_eq!(cache.problem(pyramid.id()).as_deref(), Some("the disk is gone"));
        assert!(cache.get(pyramid.id(), blocks[0]).is_none());
    }
}
