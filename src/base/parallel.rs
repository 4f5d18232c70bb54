//! Parallel loops whose result does not depend on the number of threads.
//!
//! Work is split into pieces of a fixed size, never by the number of workers, and results are
//! combined in the order of the pieces. That is what makes the same input give the same bits.

use rayon::prelude::*;

use super::progress::{Cancelled, Progress};

/// Runs `work` on every chunk of `data` of `chunk_len` items, in parallel; stops early on cancel.
///
/// `work` gets the index of the chunk and the chunk; each chunk advances `progress` by one.
///
/// # Errors
/// [`Cancelled`] if the owner cancelled; chunks already done stay done.
pub fn for_each_chunk<T: Send>(
    progress: &Progress,
    data: &mut [T],
    chunk_len: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) -> Result<(), Cancelled> {
    data.par_chunks_mut(chunk_len.max(1)).enumerate().try_for_each(|(index, chunk)| {
        progress.check()?;
        work(index, chunk);
        progress.advance(1);
        Ok(())
    })
}

/// Maps `0..n` in parallel and returns the results in order; stops early on cancel.
///
/// # Errors
/// [`Cancelled`] if the owner cancelled.
pub fn map_ordered<R: Send>(
    progress: &Progress,
    n: usize,
    work: impl Fn(usize) -> R + Sync,
) -> Result<Vec<R>, Cancelled> {
    (0..n)
        .into_par_iter()
        .map(|index| {
            progress.check()?;
            let result = work(index);
            progress.advance(1);
            Ok(result)
        })
        .collect()
}

/// Threads that the machine runs at once; 2 where it does not say.
pub fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Runs work that mostly waits, for files, on a thread of its own, so that it holds up no parallel loop; `false` where the
/// system gives no thread.
pub fn beside(name: &str, work: impl FnOnce() + Send + 'static) -> bool {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_all_visited_and_cancel_stops() {
        let progress = Progress::new();
        let mut data = vec![0usize; 1003];
        for_each_chunk(&progress, &mut data, 10, |index, chunk| chunk.fill(index + 1)).unwrap();
        assert!(data.iter().enumerate().all(|(i, v)| *v == i / 10 + 1));
        progress.cancel();
        assert_eq!(map_ordered(&progress, 5, |i| i), Err(Cancelled));
    }
}
