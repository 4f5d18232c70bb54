//! What the graphics device reports while the window draws: memory that is full, a device that is lost.
//!
//! Without a handler of its own wgpu ends the program at the first error. Here a full device draws coarser from then on,
//! and a lost one (a driver that was restarted or updated, a card that was taken out) ends this window only: the session
//! goes into a new one.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use crate::session::Session;

/// What was reported since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// There was no memory for something.
    pub(super) is_full: bool,
    /// The device is lost, and what the driver said.
    pub(super) lost: Option<String>,
    /// Anything else: the first sentence.
    pub(super) other: Option<String>,
}

/// Listens to a device.
#[derive(Debug, Clone, Default)]
pub(super) struct DeviceWatch(Arc<Mutex<Reports>>);

impl DeviceWatch {
    /// Listens from now on; every report asks for a frame, in which it is heeded.
    pub(super) fn on(device: &wgpu::Device, ctx: &egui::Context) -> Self {
        let watch = Self::default();
        let (heard, waker) = (watch.clone(), ctx.clone());
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            heard.note(&error);
            waker.request_repaint();
        }));
        let (heard, waker) = (watch.clone(), ctx.clone());
        device.set_device_lost_callback(move |_reason, message| {
            heard.with(|reports| _ = reports.lost.get_or_insert(message.clone()));
            waker.request_repaint();
        });
        watch
    }

    fn with<R>(&self, work: impl FnOnce(&mut Reports) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, error: &wgpu::Error) {
        log::error!("graphics device: {error}");
        self.with(|reports| match error {
            wgpu::Error::OutOfMemory { .. } => reports.is_full = true,
            other => {
                let text = other.to_string();
                let first = text.lines().next().unwrap_or_default().trim().to_owned();
                _ = reports.other.get_or_insert(first);
            }
        });
    }

    /// What was reported since the last time.
    pub(super) fn take(&self) -> Reports {
        self.with(std::mem::take)
    }
}

/// Where a window leaves its session for the one that comes after it.
#[derive(Clone, Default)]
pub(super) struct Heir(pub(super) Rc<RefCell<Option<Box<Session>>>>);

impl Heir {
    /// Leaves a session.
    pub(super) fn leave(&self, session: Session) {
        *self.0.borrow_mut() = Some(Box::new(session));
    }

    /// Takes what was left.
    pub(super) fn take(&self) -> Option<Session> {
        self.0.borrow_mut().take().map(|session| *session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{DeviceChoice, Gpu};

    #[test]
    fn a_device_that_refuses_or_is_lost_is_heard_and_ends_nothing() {
        let Ok(gpu) = Gpu::headless(DeviceChoice::Auto) else { return };
        let watch = DeviceWatch::on(&gpu.device, &egui::Context::default());
        // A texture beyond any limit is refused: without the watch this would panic.
        let size = wgpu::Extent3d { width: 1 << 30, height: 1, depth_or_array_layers: 1 };
        _ = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("too large"),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::R8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING,
            view_formats: &[],
        });
        let reports = watch.take();
        assert!(reports.other.is_some() && reports.lost.is_none(), "{reports:?}");
        gpu.device.destroy();
        gpu.wait();
        assert!(watch.take().lost.is_some());
        assert!(watch.take().lost.is_none(), "told once");
    }
}
