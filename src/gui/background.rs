//! Values computed beside the window: the old one is shown until the new one is there.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

/// Voxels up to which the work is done at once: about a millisecond.
pub(crate) const AT_ONCE: usize = 1 << 20;

/// One value and what it was made from.
pub(crate) struct Background<K, T> {
    have: Option<(K, T)>,
    coming: Option<(K, Receiver<T>)>,
}

impl<K, T> Default for Background<K, T> {
    fn default() -> Self {
        Self { have: None, coming: None }
    }
}

impl<K: PartialEq + Clone, T: Send + 'static> Background<K, T> {
    /// The value for `key`, or the last one while that is being made; `at_once` waits for it.
    ///
    /// One piece of work runs at a time, so that quick changes do not pile up: what was asked for last is made next.
    pub(crate) fn get(
        &mut self,
        key: &K,
        at_once: bool,
        ctx: Option<&egui::Context>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<&T> {
        self.take();
        if self.have.as_ref().is_some_and(|(have, _)| have == key) {
            return self.value();
        }
        if at_once {
            self.have = Some((key.clone(), work()));
            return self.value();
        }
        if self.coming.is_none() {
            let (sender, receiver) = sync_channel(1);
            let ctx = ctx.cloned();
            let thread = std::thread::Builder::new().name("derived".to_owned()).spawn(move || {
                // Nobody waits any more where the window has been closed.
                sender.send(work()).ok();
                if let Some(ctx) = ctx {
                    super::frames::wake(&ctx);
                }
            });
            if thread.is_ok() {
                self.coming = Some((key.clone(), receiver));
            }
        }
        self.value()
    }

    fn value(&self) -> Option<&T> {
        self.have.as_ref().map(|(_, value)| value)
    }

    /// Takes what has been made meanwhile.
    fn take(&mut self) {
        let Some((key, receiver)) = &self.coming else { return };
        match receiver.try_recv() {
            Ok(value) => {
                self.have = Some((key.clone(), value));
                self.coming = None;
            }
            Err(TryRecvError::Disconnected) => self.coming = None,
            Err(TryRecvError::Empty) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_value_stays_until_the_new_one_is_there() {
        let mut value = Background::default();
        assert_eq!(value.get(&1, true, None, || "one"), Some(&"one"));
        let (go, wait) = sync_channel::<()>(1);
        let work = move || {
            wait.recv().unwrap();
            "two"
        };
        assert_eq!(value.get(&2, false, None, work), Some(&"one"));
        // Asked for again while it is being made: no second piece of work.
        assert_eq!(value.get(&2, false, None, || unreachable!()), Some(&"one"));
        go.send(()).unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while value.get(&2, false, None, || "two again") == Some(&"one") {
            assert!(std::time::Instant::now() < until, "the value never came");
            std::thread::yield_now();
        }
        assert_eq!(value.get(&2, false, None, || unreachable!()), Some(&"two"));
    }
}
